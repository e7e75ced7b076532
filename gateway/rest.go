package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// restError is one of the gateway's own errors of REST APIs, which a gateway response of its type may replace.
type restError struct {
	kind    string // of the gateway response
	status  int
	code    string // x-amzn-ErrorType
	message string
}

// The errors, as AWS writes them.
var (
	errForbidden     = restError{"ACCESS_DENIED", 403, "ForbiddenException", "Forbidden"}
	errNoRoute       = restError{"MISSING_AUTHENTICATION_TOKEN", 403, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	errThrottled     = restError{"THROTTLED", 429, "TooManyRequestsException", "Too Many Requests"}
	errTooLong       = restError{"REQUEST_TOO_LARGE", 413, "RequestTooLargeException", "Request Too Long"}
	errHeaders       = restError{api.Default4XX, 431, "RequestHeaderFieldsTooLargeException", "Request Header Fields Too Large"}
	errBadRequest    = restError{"BAD_REQUEST_BODY", 400, "BadRequestException", "Bad Request"}
	errMediaType     = restError{"UNSUPPORTED_MEDIA_TYPE", 415, "BadRequestException", "Unsupported Media Type"}
	errMalformedREST = restError{api.Default5XX, 502, "InternalServerErrorException", "Internal server error"}
	errInternal      = restError{"API_CONFIGURATION_ERROR", 500, "InternalServerErrorException", "Internal server error"}
	errFailed        = restError{"INTEGRATION_FAILURE", 500, "InternalServerErrorException", "Internal server error"}
	errTimedOut      = restError{"INTEGRATION_TIMEOUT", 504, "InternalServerErrorException", "Endpoint request timed out"}
)

// serveREST answers a request to a stage of a REST API. path is encoded and without the stage.
func (g *Gateway) serveREST(x *exchange, path string) {
	x.prefix = "/" + stageName(x.stage)
	full := path // what requestContext.path shows keeps doubled slashes
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	x.path, x.requestID, x.trace = path, x.uuid(), x.traceID()
	h := x.w.Header()
	h["X-Amzn-Requestid"] = []string{x.requestID}
	st := x.stage
	if st == nil || st.Deployment == "" || st.Disabled {
		x.failREST(errForbidden, nil)
		return
	}
	extended := x.shortID()
	h["X-Amz-Apigw-Id"] = []string{extended}
	var ok bool
	if x.route, x.values, ok = st.Routes.Match(x.r.Method, path, x.values[:0]); !ok {
		x.failREST(errNoRoute, nil)
		return
	}
	if x.route.Limiter != nil && !x.route.Limiter.Allow() {
		x.failREST(errThrottled, nil)
		return
	}
	if err := x.checkHeaders(); err != nil {
		x.failREST(errHeaders, nil)
		return
	}
	err := x.readBody()
	if err == nil && st.MinimumCompression >= 0 {
		err = x.inflate()
	}
	if errors.Is(err, errBodyTooLarge) {
		h.Set("Connection", "close")
		x.failREST(errTooLong, nil)
		return
	}
	if err != nil {
		x.failREST(errBadRequest, err)
		return
	}
	switch in := x.route.Integration; in.Type {
	case api.Lambda:
		g.invokeREST(x, full, extended)
	case api.HTTPProxy:
		g.proxy(x)
	case api.Mock:
		x.mock(in.Mock)
	default:
		x.failREST(errInternal, errors.New(in.Why))
	}
}

func stageName(st *api.Stage) string {
	if st == nil {
		return ""
	}
	return st.Name
}

// inflate unpacks a request's body, as REST APIs with compression do.
func (x *exchange) inflate() error {
	if x.r.Header.Get("Content-Encoding") != "gzip" || len(x.body) == 0 {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(x.body))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(z, BodyMax+1))
	if err != nil {
		return err
	}
	if n > BodyMax {
		return errBodyTooLarge
	}
	x.body = out.Bytes()
	x.r.Header.Del("Content-Encoding")
	return nil
}

func (g *Gateway) invokeREST(x *exchange, full, extended string) {
	in := x.route.Integration
	x.function = in.ARN
	from := x.origin()
	if err := x.authorize(from); err != nil {
		x.failREST(errInternal, denied(err))
		return
	}
	event := x.event1(full, extended)
	if len(event) > rouse.EventMax {
		x.failREST(errTooLong, nil)
		return
	}
	inv := rouse.Invocation{ID: x.requestID, Function: in.Function, Event: event, From: from, Cause: rouse.CauseHTTP}
	res, err := x.invoke(inv, in.Timeout, &x.result)
	switch {
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded), rouse.KindOf(err) == rouse.Timeout:
		x.failREST(errTimedOut, err)
		return
	case err != nil && rouse.KindOf(err) == rouse.TooLarge:
		x.failREST(errTooLong, err)
		return
	case err != nil:
		x.failREST(errFailed, err)
		return
	case res.Error != nil:
		x.failREST(errMalformedREST, functionError(res.Error))
		return
	}
	a, err := x.read(formREST)
	if err == nil && a.base64 && binaryMedia(x.stage.BinaryMediaTypes, x.r.Header.Get("Accept")) {
		err = a.decode()
	}
	if err != nil || len(a.body) > BodyMax {
		x.failREST(errMalformedREST, errMalformed)
		return
	}
	x.w.Header()["X-Amzn-Trace-Id"] = []string{x.trace}
	x.deflate(a)
	x.writeAnswer(a, "application/json", false, remapped)
}

// deflate packs an answer that is large enough, for clients that take it.
func (x *exchange) deflate(a *answer) {
	limit := x.stage.MinimumCompression
	if limit < 0 || len(a.body) == 0 || len(a.body) < limit || a.get("Content-Encoding") != "" || !acceptsGzip(x.r.Header) {
		return
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(a.body)
	if z.Close() == nil {
		a.body = out.Bytes()
		a.header = append(a.header, field{"Content-Encoding", "gzip"})
	}
}

func acceptsGzip(h http.Header) bool {
	for part := range strings.SplitSeq(h.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); (name == "gzip" || name == "*") && strings.TrimSpace(q) != "q=0" {
			return true
		}
	}
	return false
}

// remapped is the name under which a header of the server's own reaches the client; "" for others. key is canonical.
func remapped(key string) string {
	switch key {
	case "Connection":
		return "X-Amzn-Remapped-Connection"
	case "Content-Length":
		return "X-Amzn-Remapped-Content-Length"
	case "Date":
		return "X-Amzn-Remapped-Date"
	case "Server":
		return "X-Amzn-Remapped-Server"
	case "Www-Authenticate":
		return "X-Amzn-Remapped-Www-Authenticate"
	}
	return ""
}

// mock answers without an integration: the request's content type gives a status, which chooses the answer.
func (x *exchange) mock(m *api.MockAnswer) {
	t, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if t = strings.TrimSpace(t); t == "" {
		t = "application/json"
	}
	status, ok := m.Status[t]
	if !ok {
		if len(m.Status) > 0 {
			x.failREST(errMediaType, nil)
		} else {
			x.failREST(errInternal, errors.New("the mock integration has no request template with a statusCode"))
		}
		return
	}
	r, ok := m.Answer(strconv.Itoa(status))
	if !ok {
		x.failREST(errInternal, errors.New("no integration response fits the mock's status"))
		return
	}
	h := x.w.Header()
	contentType := r.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	h["Content-Type"] = []string{contentType}
	for _, f := range r.Header {
		h[http.CanonicalHeaderKey(f[0])] = []string{f[1]}
	}
	x.send(r.Status, r.Body)
}

// failREST answers with one of the gateway's own errors, or what the API put in its place.
func (x *exchange) failREST(e restError, why error) {
	x.err = why
	if why != nil && e.status >= 500 {
		x.logFailure(e.status, why)
	}
	if x.requestID == "" {
		x.requestID = x.uuid()
	}
	h := x.w.Header()
	h["X-Amzn-Requestid"] = []string{x.requestID}
	h["X-Amzn-Errortype"] = []string{e.code}
	h["Content-Type"] = jsonType
	status, body := e.status, `{"message":`
	if status >= 500 {
		body = `{"message": ` // AWS has a space there
	}
	body += string(appendString(nil, e.message)) + `}`
	if own, ok := x.gatewayResponse(e); ok {
		if n, err := strconv.Atoi(own.StatusCode); err == nil {
			status = n
		}
		body = x.render(own, e)
	}
	x.send(status, body)
}

// gatewayResponse finds what the API put in place of an error: of its type, else of its class.
func (x *exchange) gatewayResponse(e restError) (api.GatewayResponse, bool) {
	if x.stage == nil || len(x.stage.GatewayResponses) == 0 {
		return api.GatewayResponse{}, false
	}
	if own, ok := x.stage.GatewayResponses[e.kind]; ok {
		return own, true
	}
	class := api.Default4XX
	if e.status >= 500 {
		class = api.Default5XX
	}
	own, ok := x.stage.GatewayResponses[class]
	return own, ok
}

// render writes a gateway response's headers and makes its body, in the form that the client accepts or else JSON.
func (x *exchange) render(own api.GatewayResponse, e restError) string {
	h := x.w.Header()
	for to, from := range own.ResponseParameters {
		if v, ok := x.parameter(from, e); ok && validValue(v) {
			h[http.CanonicalHeaderKey(strings.TrimPrefix(to, "gatewayresponse.header."))] = []string{v}
		}
	}
	accept, _, _ := strings.Cut(x.r.Header.Get("Accept"), ",")
	text, ok := own.ResponseTemplates[accept]
	if ok {
		h["Content-Type"] = []string{accept}
	} else {
		text = own.ResponseTemplates["application/json"]
	}
	return substitute(text, func(name string) string { return x.variable(name, e) })
}

// parameter evaluates the source of a gateway response's header.
func (x *exchange) parameter(from string, e restError) (string, bool) {
	if len(from) >= 2 && from[0] == '\'' {
		return from[1 : len(from)-1], true
	}
	if name, ok := strings.CutPrefix(from, "context."); ok {
		return x.variable("context."+name, e), true
	}
	place, name, _ := strings.Cut(strings.TrimPrefix(from, "method.request."), ".")
	switch place {
	case "header", "multivalueheader":
		v := x.r.Header.Values(name)
		return strings.Join(v, ","), len(v) > 0
	case "querystring", "multivaluequerystring":
		v := x.r.URL.Query()[name]
		return strings.Join(v, ","), len(v) > 0
	case "path":
		if x.route != nil {
			for i, n := range x.route.Names {
				if n == name && i < len(x.values) {
					return x.values[i], true
				}
			}
		}
	}
	return "", false
}

// variable is the value of $context.… or $stageVariables.… in a gateway response.
func (x *exchange) variable(name string, e restError) string {
	if v, ok := strings.CutPrefix(name, "stageVariables."); ok {
		return x.stage.Variables[v]
	}
	switch strings.TrimPrefix(name, "context.") {
	case "error.message":
		return e.message
	case "error.messageString":
		return string(appendString(nil, e.message))
	case "error.responseType":
		return e.kind
	case "requestId", "extendedRequestId":
		return x.requestID
	case "stage":
		return x.stage.Name
	case "resourcePath":
		if x.route != nil {
			return x.route.Path
		}
	case "resourceId":
		if x.route != nil {
			return x.route.ResourceID
		}
	case "path":
		return escapeInner(x.prefix + x.path)
	case "httpMethod":
		return escapeInner(x.r.Method)
	case "apiId":
		return x.live.ID
	case "accountId":
		return x.live.Account
	case "domainName":
		return escapeInner(x.host)
	case "identity.sourceIp":
		return x.sourceIP
	case "identity.userAgent":
		return escapeInner(x.r.UserAgent())
	case "protocol":
		return x.r.Proto
	case "requestTime":
		return x.started.UTC().Format(commonLogTime)
	case "requestTimeEpoch":
		return strconv.FormatInt(x.started.UnixMilli(), 10)
	}
	return ""
}

// escapeInner makes text that a client gave safe between the quotes of a template.
func escapeInner(s string) string {
	b := appendString(nil, s)
	return string(b[1 : len(b)-1])
}
