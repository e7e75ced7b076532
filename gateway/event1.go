package gateway

import (
	"strings"

	"github.com/rouse-dev/rouse/api"
)

// event1 builds an event of payload format 1.0, for REST APIs and for HTTP APIs that ask for it. They differ: REST APIs
// pass paths and path variables as they came, HTTP APIs decode them; what is in base64 is said by a REST API's binary media
// types, and by the content type elsewhere.
// given is the path as it came, without the stage.
func (x *exchange) event1(given, extendedID string) []byte {
	rest := x.live.Kind == api.KindREST
	path, full := x.path, x.prefix+given
	if !rest {
		path = unescapePath(full)
		full = path
	}
	b := append(x.event[:0], '{')
	if !rest {
		b = append(b, `"version":"1.0",`...)
	}
	b = appendString(append(b, `"resource":`...), x.route.Path)
	b = appendString(append(b, `,"path":`...), path)
	b = appendString(append(b, `,"httpMethod":`...), x.r.Method)
	b = x.appendHeaders1(append(b, `,"headers":{`...), rest, false)
	b = x.appendHeaders1(append(b, `,"multiValueHeaders":{`...), rest, true)
	b = x.appendQuery1(b)
	b = append(b, `,"pathParameters":`...)
	if len(x.values) == 0 {
		b = append(b, "null"...)
	} else {
		sep := byte('{')
		for i, name := range x.route.Names {
			v := x.values[i]
			if !rest {
				v = unescapePath(v)
			}
			b = appendString(appendColon(appendString(append(b, sep), name)), v)
			sep = ','
		}
		b = append(b, '}')
	}
	b = appendMap(append(b, `,"stageVariables":`...), x.stage.Variables)
	b = x.appendContext1(append(b, `,"requestContext":`...), full, extendedID, rest)
	b = append(b, `,"body":`...)
	binary := false
	switch {
	case len(x.body) == 0:
		b = append(b, "null"...)
	case rest && binaryMedia(x.stage.BinaryMediaTypes, x.r.Header.Get("Content-Type")),
		!rest && !textual(x.r.Header, x.body):
		binary = true
		b = appendBase64(b, x.body)
	default:
		b = appendString(b, x.body)
	}
	b = appendBool(append(b, `,"isBase64Encoded":`...), binary)
	x.event = append(b, '}')
	return x.event
}

func (x *exchange) appendHeaders1(b []byte, rest, multi bool) []byte {
	add := func(name, value string) {
		b = appendColon(appendString(b, name))
		if multi {
			b = append(appendString(append(b, '['), value), ']')
		} else {
			b = appendString(b, value)
		}
		b = append(b, ',')
	}
	length := false
	for name, values := range x.r.Header {
		if dropped(name, rest) || len(values) == 0 {
			continue
		}
		length = length || name == "Content-Length"
		b = appendColon(appendString(b, name))
		switch {
		case multi:
			b = appendList(b, values)
		case name == "Cookie":
			b = appendString(b, strings.Join(values, "; "))
		default:
			b = appendString(b, values[len(values)-1]) // the last one counts, as on AWS
		}
		b = append(b, ',')
	}
	if !rest && !length {
		add("Content-Length", string(appendInt(x.text[:0], int64(len(x.body)))))
	}
	add("Host", x.r.Host)
	add("X-Amzn-Trace-Id", x.trace)
	add("X-Forwarded-For", x.forwarded())
	add("X-Forwarded-Port", x.port)
	add("X-Forwarded-Proto", x.scheme)
	b[len(b)-1] = '}'
	return b
}

// appendQuery1 appends the parameters twice: the last value of each, and all of them.
func (x *exchange) appendQuery1(b []byte) []byte {
	if x.parseQuery(); len(x.pairs) == 0 {
		return append(b, `,"queryStringParameters":null,"multiValueQueryStringParameters":null`...)
	}
	b = append(b, `,"queryStringParameters":{`...)
	b = x.eachKey(b, func(b []byte, key string, from int) []byte {
		last := ""
		x.eachValue(key, from, func(v string) { last = v })
		return appendString(appendColon(appendString(b, key)), last)
	})
	b = append(b, `,"multiValueQueryStringParameters":{`...)
	return x.eachKey(b, func(b []byte, key string, from int) []byte {
		b = append(appendColon(appendString(b, key)), '[')
		x.eachValue(key, from, func(v string) { b = append(appendString(b, v), ',') })
		b[len(b)-1] = ']'
		return b
	})
}

func (x *exchange) appendContext1(b []byte, path, extendedID string, rest bool) []byte {
	resource := x.route.ResourceID
	if !rest {
		resource = x.route.Key
	}
	b = appendString(append(b, `{"resourceId":`...), resource)
	b = appendString(append(b, `,"resourcePath":`...), x.route.Path)
	b = appendString(append(b, `,"httpMethod":`...), x.r.Method)
	b = appendString(append(b, `,"extendedRequestId":`...), extendedID)
	b = append(b, `,"requestTime":"`...)
	b = x.started.UTC().AppendFormat(b, commonLogTime)
	b = appendString(append(b, `","path":`...), path)
	b = appendString(append(b, `,"accountId":`...), x.live.Account)
	b = appendString(append(b, `,"protocol":`...), x.r.Proto)
	b = appendString(append(b, `,"stage":`...), x.stage.Name)
	b = appendString(append(b, `,"domainPrefix":`...), x.live.ID)
	b = appendInt(append(b, `,"requestTimeEpoch":`...), x.started.UnixMilli())
	b = appendString(append(b, `,"requestId":`...), x.requestID)
	b = append(b, `,"identity":{"cognitoIdentityPoolId":null,"accountId":null,"cognitoIdentityId":null,"caller":null,"sourceIp":`...)
	b = appendString(b, x.sourceIP)
	b = append(b, `,"principalOrgId":null,"accessKey":null,"cognitoAuthenticationType":null,`...)
	b = append(b, `"cognitoAuthenticationProvider":null,"userArn":null,"userAgent":`...)
	if agent := x.r.UserAgent(); agent != "" || !rest {
		b = appendString(b, agent)
	} else {
		b = append(b, "null"...)
	}
	b = appendString(append(b, `,"user":null},"domainName":`...), x.host)
	if rest {
		b = appendString(append(b, `,"deploymentId":`...), x.stage.Deployment)
	}
	b = appendString(append(b, `,"apiId":`...), x.live.ID)
	return append(b, '}')
}

// binaryMedia reports whether a media type is among a REST API's binary ones: itself, "image/*" or "*/*".
func binaryMedia(types []string, value string) bool {
	if len(types) == 0 {
		return false
	}
	value, _, _ = strings.Cut(value, ";")
	value, _, _ = strings.Cut(value, ",") // of Accept, only the first type counts
	value = strings.ToLower(strings.TrimSpace(value))
	for _, t := range types {
		switch t = strings.ToLower(t); {
		case t == "*/*", t == value && value != "":
			return true
		case strings.HasSuffix(t, "/*") && strings.HasPrefix(value, t[:len(t)-1]) && value != "":
			return true
		}
	}
	return false
}
