package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// Errors of HTTP APIs, as AWS writes them.
const (
	httpNotFound    = `{"message":"Not Found"}`
	httpThrottled   = `{"message":"Too Many Requests"}`
	httpTooLarge    = `{"message":"Request Entity Too Large"}`
	httpHeaders     = `{"message":"Request Header Fields Too Large"}`
	httpBadRequest  = `{"message":"Bad Request"}`
	httpInternal    = `{"message":"Internal Server Error"}`
	httpUnavailable = `{"message":"Service Unavailable"}`
)

// serveHTTP answers a request to a stage of an HTTP API. path is encoded and without the stage.
func (g *Gateway) serveHTTP(x *exchange, path string) {
	x.path, x.requestID = path, x.shortID()
	x.w.Header()["Apigw-Requestid"] = []string{x.requestID}
	st := x.stage
	if st == nil || st.Deployment == "" || st.Disabled {
		x.fail(http.StatusNotFound, httpNotFound, nil)
		return
	}
	if st.CORS != nil {
		if x.cors(st.CORS) {
			x.head(http.StatusNoContent, -1)
			return
		}
	}
	var ok bool
	if x.route, x.values, ok = st.Routes.Match(x.r.Method, path, x.values[:0]); !ok {
		x.fail(http.StatusNotFound, httpNotFound, nil)
		return
	}
	if x.route.Limiter != nil && !x.route.Limiter.Allow() {
		x.fail(http.StatusTooManyRequests, httpThrottled, nil)
		return
	}
	if err := x.checkHeaders(); err != nil {
		x.fail(http.StatusRequestHeaderFieldsTooLarge, httpHeaders, nil)
		return
	}
	if err := x.readBody(); err != nil {
		x.failBody(err, httpTooLarge, httpBadRequest)
		return
	}
	x.trace = x.traceID()
	switch in := x.route.Integration; in.Type {
	case api.Lambda:
		g.invokeHTTP(x)
	case api.HTTPProxy:
		g.proxy(x)
	default:
		x.fail(http.StatusInternalServerError, httpInternal, errors.New(in.Why))
	}
}

// failBody answers for a body that could not be read.
func (x *exchange) failBody(err error, tooLarge, broken string) {
	if errors.Is(err, errBodyTooLarge) {
		x.w.Header().Set("Connection", "close")
		x.fail(http.StatusRequestEntityTooLarge, tooLarge, nil)
		return
	}
	x.fail(http.StatusBadRequest, broken, err)
}

func (g *Gateway) invokeHTTP(x *exchange) {
	in := x.route.Integration
	x.function = in.ARN
	from := x.origin()
	if err := x.authorize(from); err != nil {
		x.fail(http.StatusInternalServerError, httpInternal, denied(err))
		return
	}
	f := formHTTP1
	var event []byte
	if in.Format2 {
		f = formHTTP2
		event = x.event2(&context2{routeKey: x.route.Key, path: unescapePath(x.prefix + x.path), account: x.live.Account,
			api: x.live.ID, domain: x.host, stage: x.stage.Name})
	} else {
		event = x.event1(x.path, x.requestID)
	}
	if len(event) > rouse.EventMax {
		x.fail(http.StatusRequestEntityTooLarge, httpTooLarge, nil)
		return
	}
	inv := rouse.Invocation{ID: x.uuid(), Function: in.Function, Event: event, From: from, Cause: rouse.CauseHTTP}
	res, err := x.invoke(inv, in.Timeout, &x.result)
	switch {
	case err != nil:
		x.failInvoke(err)
		return
	case res.Error != nil:
		x.fail(http.StatusInternalServerError, httpInternal, functionError(res.Error))
		return
	}
	a, err := x.read(f)
	if err == nil && a.base64 {
		err = a.decode()
	}
	if err != nil {
		x.fail(http.StatusInternalServerError, httpInternal, err)
		return
	}
	contentType := "text/plain;charset=UTF-8"
	if a.inferred {
		contentType = "application/json"
	}
	x.writeAnswer(a, contentType, x.stage.CORS != nil, nil)
}

// read takes the answer out of the result: by the form, or by its head when a function streamed although nobody asked.
func (x *exchange) read(f form) (*answer, error) {
	a := &x.answer
	if x.result.headed && x.result.head.Status != 0 {
		a.take(x.result.head, x.result.b)
		return a, nil
	}
	return a, a.parse(x.result.b, f)
}

// denied says why an API could not invoke its function, in words that tell an operator what to add.
func denied(err error) error {
	return rouse.Errorf(rouse.Denied, "the API may not invoke the function; it needs a permission for %s, or the integration a role: %w",
		apiPrincipal, err)
}

// failInvoke answers for an error of the platform.
func (x *exchange) failInvoke(err error) {
	if errors.Is(err, errTimeout) || errors.Is(err, context.DeadlineExceeded) {
		x.fail(http.StatusServiceUnavailable, httpUnavailable, err)
		return
	}
	switch rouse.KindOf(err) {
	case rouse.Throttled, rouse.Unavailable, rouse.Timeout:
		x.fail(http.StatusServiceUnavailable, httpUnavailable, err)
	case rouse.TooLarge:
		x.fail(http.StatusRequestEntityTooLarge, httpTooLarge, err)
	default:
		x.fail(http.StatusInternalServerError, httpInternal, err)
	}
}

// writeAnswer writes a function's answer. contentType is for answers that name none. corsOwned leaves out the function's
// CORS headers, as the gateway gives them; remap renames headers that are the server's, and may be nil.
func (x *exchange) writeAnswer(a *answer, contentType string, corsOwned bool, remap func(name string) string) {
	h := x.w.Header()
	typed := false
	for _, f := range a.header {
		key := http.CanonicalHeaderKey(f.name)
		if remap != nil {
			if to := remap(key); to != "" {
				h[to] = append(h[to], f.value)
				continue
			}
		}
		switch key {
		case "Connection", "Transfer-Encoding", "Content-Length", "Keep-Alive", "Upgrade", "Trailer", "Te", timingHeader:
			continue
		case "Content-Type":
			typed = true
			h[key] = []string{f.value}
			continue
		}
		if corsOwned && strings.HasPrefix(key, "Access-Control-") {
			continue
		}
		h[key] = append(h[key], f.value)
	}
	if !typed && (len(a.body) > 0 || contentType == "application/json") {
		h["Content-Type"] = []string{contentType}
	}
	if len(a.cookies) > 0 {
		h["Set-Cookie"] = append(h["Set-Cookie"], a.cookies...)
	}
	x.head(a.status, len(a.body))
	if bodyAllowed(a.status) && x.r.Method != http.MethodHead {
		x.bytesOut, _ = x.w.Write(a.body)
	}
}

// cors sets the headers that the configuration gives the request's origin, and reports whether the request is a preflight,
// which the gateway answers itself whether there is a route or not.
func (x *exchange) cors(c *api.CORS) (preflight bool) {
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	method := x.r.Header.Get("Access-Control-Request-Method")
	preflight = x.r.Method == http.MethodOptions && method != ""
	h := x.w.Header()
	allowed := allowedOrigin(c.AllowOrigins, origin)
	if allowed != "*" && len(c.AllowOrigins) > 0 {
		h.Add("Vary", "Origin")
	}
	if allowed == "" {
		return preflight
	}
	set := func(name string, values []string) {
		if len(values) > 0 {
			h[name] = []string{strings.Join(values, ",")}
		}
	}
	h["Access-Control-Allow-Origin"] = []string{allowed}
	if c.AllowCredentials != nil && *c.AllowCredentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	if !preflight {
		set("Access-Control-Expose-Headers", c.ExposeHeaders)
		return false
	}
	set("Access-Control-Allow-Methods", c.AllowMethods)
	set("Access-Control-Allow-Headers", c.AllowHeaders)
	if c.MaxAge != nil {
		h["Access-Control-Max-Age"] = []string{string(appendInt(nil, int64(*c.MaxAge)))}
	}
	return true
}

// allowedOrigin is what Access-Control-Allow-Origin says to origin: "*", the origin itself, or "" when it is not allowed.
func allowedOrigin(allowed []string, origin string) string {
	for _, o := range allowed {
		if o == "*" {
			return "*"
		}
		if strings.EqualFold(o, origin) {
			return origin
		}
		if scheme, ok := strings.CutSuffix(o, "://*"); ok && len(origin) > len(scheme)+3 &&
			strings.EqualFold(origin[:len(scheme)], scheme) && origin[len(scheme):len(scheme)+3] == "://" {
			return origin
		}
	}
	return ""
}
