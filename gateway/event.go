package gateway

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// commonLogTime is how both formats write times.
const commonLogTime = "02/Jan/2006:15:04:05 -0700"

// The headers that do not reach a function: they belong to the connection, or to the gateway.
func dropped(name string, rest bool) bool {
	switch name {
	case "Connection", "Transfer-Encoding", "Te", "Upgrade", "Expect", "Keep-Alive", "Proxy-Connection", "Trailer",
		"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Amzn-Trace-Id", timingHeader:
		return true
	case "Content-Length", "Content-Md5", "Max-Forwards", "Proxy-Authenticate", "Server", "Www-Authenticate":
		return rest
	}
	return false
}

// forwarded is X-Forwarded-For with the client's address at its end.
func (x *exchange) forwarded() string {
	if given := x.r.Header["X-Forwarded-For"]; len(given) > 0 {
		return strings.Join(given, ", ") + ", " + x.sourceIP
	}
	return x.sourceIP
}

// event2 builds an event of payload format 2.0, for HTTP APIs and function URLs.
func (x *exchange) event2(c *context2) []byte {
	b := append(x.event[:0], `{"version":"2.0","routeKey":`...)
	b = appendString(b, c.routeKey)
	b = appendString(append(b, `,"rawPath":`...), c.path)
	b = appendString(append(b, `,"rawQueryString":`...), x.r.URL.RawQuery)
	b = x.appendCookies(b)
	b = x.appendHeaders2(append(b, `,"headers":`...), c)
	if x.parseQuery(); len(x.pairs) > 0 {
		b = x.appendQueryJoined(append(b, `,"queryStringParameters":`...))
	}
	b = x.appendContext2(append(b, `,"requestContext":`...), c)
	if x.route != nil && len(x.values) > 0 {
		b = append(b, `,"pathParameters":{`...)
		for i, name := range x.route.Names {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(appendColon(appendString(b, name)), unescapePath(x.values[i]))
		}
		b = append(b, '}')
	}
	if x.stage != nil && len(x.stage.Variables) > 0 {
		b = appendMap(append(b, `,"stageVariables":`...), x.stage.Variables)
	}
	binary := false
	if len(x.body) > 0 {
		b = append(b, `,"body":`...)
		if binary = !textual(x.r.Header, x.body); binary {
			b = appendBase64(b, x.body)
		} else {
			b = appendString(b, x.body)
		}
	}
	b = append(b, `,"isBase64Encoded":`...)
	b = appendBool(b, binary)
	x.event = append(b, '}')
	return x.event
}

// context2 is what differs between HTTP APIs and function URLs in an event of format 2.0.
type context2 struct {
	routeKey string
	path     string
	account  string
	api      string
	domain   string
	stage    string
	iam      []byte // JSON of authorizer.iam; nil when there is none
	url      bool   // a function URL: content-length only when the client sent it
}

func (x *exchange) appendContext2(b []byte, c *context2) []byte {
	b = appendString(append(b, `{"accountId":`...), c.account)
	b = appendString(append(b, `,"apiId":`...), c.api)
	if c.iam != nil {
		b = append(append(append(b, `,"authentication":null,"authorizer":{"iam":`...), c.iam...), '}')
	}
	b = appendString(append(b, `,"domainName":`...), c.domain)
	b = appendString(append(b, `,"domainPrefix":`...), c.api)
	b = appendString(append(b, `,"http":{"method":`...), x.r.Method)
	b = appendString(append(b, `,"path":`...), c.path)
	b = appendString(append(b, `,"protocol":`...), x.r.Proto)
	b = appendString(append(b, `,"sourceIp":`...), x.sourceIP)
	b = appendString(append(b, `,"userAgent":`...), x.r.UserAgent())
	b = appendString(append(b, `},"requestId":`...), x.requestID)
	b = appendString(append(b, `,"routeKey":`...), c.routeKey)
	b = appendString(append(b, `,"stage":`...), c.stage)
	b = append(b, `,"time":"`...)
	b = x.started.UTC().AppendFormat(b, commonLogTime)
	b = appendInt(append(b, `","timeEpoch":`...), x.started.UnixMilli())
	return append(b, '}')
}

// appendCookies appends the cookies as a list of their own; the header is left out of the others.
func (x *exchange) appendCookies(b []byte) []byte {
	lines := x.r.Header["Cookie"]
	if len(lines) == 0 {
		return b
	}
	b = append(b, `,"cookies":[`...)
	first := true
	for _, line := range lines {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c == "" {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			b, first = appendString(b, c), false
		}
	}
	return append(b, ']')
}

func (x *exchange) appendHeaders2(b []byte, c *context2) []byte {
	b = append(b, '{')
	length := false
	for name, values := range x.r.Header {
		if name == "Cookie" || dropped(name, false) {
			continue
		}
		length = length || name == "Content-Length"
		b = append(appendJoined(appendColon(appendLower(b, name)), values), ',')
	}
	if !length && (!c.url || x.r.ContentLength > 0) {
		b = append(appendInt(append(b, `"content-length":"`...), int64(len(x.body))), `",`...)
	}
	b = appendString(append(b, `"host":`...), x.r.Host)
	b = appendString(append(b, `,"x-amzn-trace-id":`...), x.trace)
	b = appendString(append(b, `,"x-forwarded-for":`...), x.forwarded())
	b = appendString(append(b, `,"x-forwarded-port":`...), x.port)
	b = appendString(append(b, `,"x-forwarded-proto":`...), x.scheme)
	return append(b, '}')
}

// appendQueryJoined appends the parameters, the values of equal keys joined by commas.
func (x *exchange) appendQueryJoined(b []byte) []byte {
	return x.eachKey(append(b, '{'), func(b []byte, key string, from int) []byte {
		b = append(appendColon(appendString(b, key)), '"')
		first := true
		x.eachValue(key, from, func(v string) {
			if !first {
				b = append(b, ',')
			}
			at := len(b)
			b = appendString(b, v) // without its quotes
			b = append(b[:at], b[at+1:len(b)-1]...)
			first = false
		})
		return append(b, '"')
	})
}

// eachKey calls add for each different key, with where it first stands, and closes the object. Many parameters are sorted
// first, so that a hostile query costs no more than that.
func (x *exchange) eachKey(b []byte, add func(b []byte, key string, from int) []byte) []byte {
	if len(x.pairs) > pairsLinear {
		slices.SortStableFunc(x.pairs, func(p, q pair) int { return strings.Compare(p.key, q.key) })
	}
	first := true
	for i := range x.pairs {
		if x.pairs[i].seen {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		b, first = add(b, x.pairs[i].key, i), false
	}
	for i := range x.pairs {
		x.pairs[i].seen = false
	}
	return append(b, '}')
}

// pairsLinear is up to how many parameters equal keys are looked for one by one.
const pairsLinear = 32

// eachValue yields the values of key, the first of which stands at from, and marks them as seen.
func (x *exchange) eachValue(key string, from int, yield func(string)) {
	for i := from; i < len(x.pairs); i++ {
		if x.pairs[i].key == key {
			x.pairs[i].seen = true
			yield(x.pairs[i].value)
		} else if len(x.pairs) > pairsLinear {
			return // sorted: there are no more
		}
	}
}

func appendColon(b []byte) []byte { return append(b, ':') }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// textual tells whether a body goes into an event of format 2.0 as text: text, JSON, XML and scripts do; forms do not.
func textual(h http.Header, body []byte) bool {
	if h.Get("Content-Encoding") != "" {
		return false
	}
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	t = strings.ToLower(strings.TrimSpace(t))
	switch {
	case t == "", strings.HasPrefix(t, "text/"), strings.HasSuffix(t, "+json"), strings.HasSuffix(t, "+xml"):
	case t == "application/json", t == "application/xml", t == "application/javascript", t == "application/x-javascript",
		t == "application/ecmascript", t == "application/graphql", t == "application/x-ndjson":
	default:
		return false
	}
	return utf8.Valid(body)
}
