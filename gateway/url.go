package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// URLConfig is a function URL's configuration.
type URLConfig struct {
	Function rouse.ARN // with the alias it belongs to, if any
	IAM      bool      // AuthType AWS_IAM: requests are signed. false: NONE
	Stream   bool      // InvokeMode RESPONSE_STREAM
	CORS     *api.CORS // nil: the function answers for itself
}

// Errors of function URLs, as AWS writes them.
const (
	urlForbidden = `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, ` +
		`see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`
	urlNotFound  = `{"Message":null}`
	urlThrottled = `{"Message":"Rate Exceeded."}`
	urlTooLarge  = `{"Message":"Request Entity Too Large"}`
	urlHeaders   = `{"Message":"Request Header Fields Too Large"}`
	urlBad       = `{"Message":"Bad Request"}`
	urlBusy      = `{"Message":"Service Unavailable"}`
	urlInternal  = "Internal Server Error"
)

// urlBodyMax is the largest body of a request to a function URL, in bytes: 6 MB, as an event may have.
const urlBodyMax = rouse.EventMax

// anonymous asks on behalf of whoever calls a function URL without a signature: only policies for everybody allow it.
const anonymous = "anonymous"

// serveURL answers a request to a function URL. path is encoded.
func (g *Gateway) serveURL(x *exchange, id, path string) {
	x.path, x.requestID, x.trace = path, x.uuid(), x.traceID()
	h := x.w.Header()
	h["X-Amzn-Requestid"] = []string{x.requestID}
	cfg, ok := g.cfg.URLs(id)
	if !ok {
		x.fail(http.StatusNotFound, urlNotFound, nil)
		return
	}
	if cfg.CORS != nil && x.cors(cfg.CORS) {
		x.head(http.StatusOK, 0)
		return
	}
	x.function = cfg.Function.String()
	from, err := x.urlOrigin(cfg)
	if err == nil {
		err = x.authorizeURL(id, cfg, from)
	}
	if err != nil {
		h["X-Amzn-Errortype"] = []string{"AccessDeniedException"}
		x.fail(http.StatusForbidden, urlForbidden, err)
		return
	}
	if err := x.checkHeaders(); err != nil {
		x.fail(http.StatusRequestHeaderFieldsTooLarge, urlHeaders, nil)
		return
	}
	err = x.readBody()
	if rouse.KindOf(err) == rouse.Unauthenticated { // a body that is not the one that was signed
		h["X-Amzn-Errortype"] = []string{"AccessDeniedException"}
		x.fail(http.StatusForbidden, urlForbidden, err)
		return
	}
	if err != nil || len(x.body) > urlBodyMax {
		if err == nil {
			err = errBodyTooLarge
		}
		x.failBody(err, urlTooLarge, urlBad)
		return
	}
	h["X-Amzn-Trace-Id"] = []string{x.trace}
	c := &context2{routeKey: api.DefaultStage, path: path, account: anonymous, api: id, domain: x.host, stage: api.DefaultStage, url: true}
	if cfg.IAM {
		c.account, c.iam = from.Principal.Account, iamContext(from)
	}
	event := x.event2(c)
	if len(event) > rouse.EventMax {
		x.fail(http.StatusRequestEntityTooLarge, urlTooLarge, nil)
		return
	}
	inv := rouse.Invocation{ID: x.requestID, Function: cfg.Function, Event: event, From: from, Cause: rouse.CauseURL, Stream: cfg.Stream}
	x.invokeURL(cfg, inv)
}

func (x *exchange) urlOrigin(cfg URLConfig) (rouse.Origin, error) {
	if !cfg.IAM {
		return rouse.Origin{Principal: rouse.Principal{Service: anonymous}, SourceIP: x.sourceIP, UserAgent: x.r.UserAgent(),
			Secure: x.r.TLS != nil, Trace: x.trace}, nil
	}
	if x.g.cfg.Verify == nil {
		return rouse.Origin{}, rouse.Errorf(rouse.Unauthenticated, "nobody checks signatures here")
	}
	from, err := x.g.cfg.Verify(x.r)
	from.Trace = x.trace
	return from, err
}

// authorizeURL decides whether from may call the URL. What an anonymous caller may do is remembered for a moment.
func (x *exchange) authorizeURL(id string, cfg URLConfig, from rouse.Origin) error {
	m := x.g.memories.of(x.snapshot)
	type urlKey string
	if until, ok := m.routes.Load(urlKey(id)); ok && !cfg.IAM && x.started.Before(until.(time.Time)) {
		return nil
	}
	kind := "NONE"
	if cfg.IAM {
		kind = "AWS_IAM"
	}
	need := rouse.Need{Action: "lambda:InvokeFunctionUrl", Resource: x.function, Policy: x.g.cfg.Policy(cfg.Function),
		Conditions: map[string][]string{"lambda:FunctionUrlAuthType": {kind}}}
	if err := x.g.cfg.Authorize.Authorize(x.r.Context(), from, []rouse.Need{need}); err != nil {
		return err
	}
	if !cfg.IAM {
		m.routes.Store(urlKey(id), x.started.Add(allowedFor))
	}
	return nil
}

// iamContext is requestContext.authorizer.iam.
func iamContext(o rouse.Origin) []byte {
	b, _ := json.Marshal(map[string]any{"accessKey": o.AccessKey, "accountId": o.Principal.Account, "callerId": o.Principal.UserID,
		"cognitoIdentity": nil, "principalOrgId": nil, "userArn": o.Principal.ARN, "userId": o.Principal.UserID})
	return b
}

func (x *exchange) invokeURL(cfg URLConfig, inv rouse.Invocation) {
	st := &stream{x: x, corsOwned: cfg.CORS != nil}
	var out rouse.Sink = &x.result
	if cfg.Stream {
		out = st
	}
	res, err := x.invoke(inv, 0, out)
	switch {
	case st.begun: // the head is out; all that is left is to say that the body ended early
		if err == nil && res.Error != nil {
			err = functionError(res.Error)
		}
		if err != nil {
			x.err = err
			x.logFailure(x.status, err)
			panic(http.ErrAbortHandler)
		}
		return
	case err != nil:
		x.failURL(err)
		return
	case res.Error != nil:
		x.failText(functionError(res.Error))
		return
	case st.headed: // streamed, and empty
		st.begin()
		return
	}
	a, err := x.read(formHTTP2)
	if err == nil && a.base64 {
		err = a.decode()
	}
	if err != nil {
		x.failText(err)
		return
	}
	x.writeAnswer(a, "application/json", cfg.CORS != nil, remapped)
}

// failText answers that the function failed: 502 and a plain text.
func (x *exchange) failText(why error) {
	x.err = why
	x.logFailure(http.StatusBadGateway, why)
	x.w.Header()["Content-Type"] = jsonType
	x.send(http.StatusBadGateway, urlInternal)
}

func (x *exchange) failURL(err error) {
	switch rouse.KindOf(err) {
	case rouse.Throttled:
		x.w.Header()["X-Amzn-Errortype"] = []string{"TooManyRequestsException"}
		x.fail(http.StatusTooManyRequests, urlThrottled, err)
	case rouse.TooLarge:
		x.fail(http.StatusRequestEntityTooLarge, urlTooLarge, err)
	case rouse.Unavailable, rouse.Timeout:
		x.fail(http.StatusServiceUnavailable, urlBusy, err)
	case rouse.NotFound:
		x.fail(http.StatusForbidden, urlForbidden, err) // as AWS answers for an alias that is gone
	default:
		if errors.Is(err, context.DeadlineExceeded) {
			x.fail(http.StatusServiceUnavailable, urlBusy, err)
			return
		}
		x.failText(err)
	}
}

// take makes an answer of a head and a body.
func (a *answer) take(h rouse.Head, body []byte) {
	a.status, a.body, a.base64, a.inferred = h.Status, body, false, false
	a.header, a.cookies = a.header[:0], append(a.cookies[:0], h.Cookies...)
	if h.ContentType != "" {
		a.header = append(a.header, field{"Content-Type", h.ContentType})
	}
	for name, values := range h.Header {
		if http.CanonicalHeaderKey(name) == "Set-Cookie" && len(h.Cookies) > 0 ||
			http.CanonicalHeaderKey(name) == "Content-Type" && h.ContentType != "" {
			continue
		}
		for _, v := range values {
			_ = a.add(name, v) // what cannot be a header is left out
		}
	}
}

// stream is the Sink of a response that is sent as it comes. A function that does not stream sends no head; its answer is
// kept and read when it is whole.
type stream struct {
	x         *exchange
	corsOwned bool
	headed    bool
	begun     bool
	head      rouse.Head
}

// Head keeps the head until the body begins, so that a failure before it can still be answered as one.
func (s *stream) Head(h rouse.Head) error {
	s.head, s.headed = h, true
	return nil
}

// Write sends p at once.
func (s *stream) Write(p []byte) (int, error) {
	if !s.headed {
		return s.x.result.Write(p)
	}
	if !s.begun {
		s.begin()
	}
	if s.x.bytesOut+len(p) > rouse.StreamMax {
		return 0, rouse.ErrResultTooLarge
	}
	n, err := s.x.w.Write(p)
	s.x.bytesOut += n
	if err == nil {
		err = http.NewResponseController(s.x.w).Flush()
		if errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	return n, err
}

// begin sends the head.
func (s *stream) begin() {
	s.begun = true
	x, h := s.x, s.x.w.Header()
	if s.head.Status == 0 {
		s.head.Status = http.StatusOK
		if s.head.ContentType == "" {
			s.head.ContentType = "application/octet-stream"
		}
	}
	a := &x.answer
	a.take(s.head, nil)
	for _, f := range a.header {
		key := http.CanonicalHeaderKey(f.name)
		if to := remapped(key); to != "" {
			key = to
		}
		switch key {
		case "Transfer-Encoding", "Keep-Alive", "Upgrade", "Trailer", "Te", timingHeader:
			continue
		}
		if s.corsOwned && strings.HasPrefix(key, "Access-Control-") {
			continue
		}
		h[key] = append(h[key], f.value)
	}
	for _, c := range a.cookies {
		if validValue(c) {
			h["Set-Cookie"] = append(h["Set-Cookie"], c)
		}
	}
	x.head(a.status, -1)
}
