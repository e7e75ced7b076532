package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rouse-dev/rouse/api"
)

// proxy answers a request by the HTTP endpoint of its integration.
func (g *Gateway) proxy(x *exchange) {
	in := x.route.Integration
	ctx, cancel := context.WithTimeoutCause(x.r.Context(), in.Timeout, errTimeout)
	defer cancel()
	req, err := x.proxyRequest(ctx, in)
	if err != nil {
		x.failProxy(ctx, err)
		return
	}
	res, err := g.cfg.Transport.RoundTrip(req)
	if err != nil {
		x.failProxy(ctx, err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, BodyMax+1))
	if err == nil && len(body) > BodyMax {
		err = errors.New("the endpoint's answer is too large")
	}
	if err != nil {
		x.failProxy(ctx, err)
		return
	}
	a := &x.answer
	a.status, a.body, a.header, a.cookies = res.StatusCode, body, a.header[:0], a.cookies[:0]
	for name, values := range res.Header {
		for _, v := range values {
			a.header = append(a.header, field{name, v})
		}
	}
	remap, owned := remapped, false
	if x.live.Kind == api.KindHTTP {
		remap, owned = nil, x.stage.CORS != nil
	}
	x.writeAnswer(a, "", owned, remap)
}

func (x *exchange) failProxy(ctx context.Context, err error) {
	timedOut := errors.Is(context.Cause(ctx), errTimeout)
	switch {
	case x.live.Kind == api.KindHTTP:
		x.fail(http.StatusServiceUnavailable, httpUnavailable, err)
	case timedOut:
		x.failREST(errTimedOut, err)
	default:
		x.failREST(errFailed, err)
	}
}

// proxyRequest is the request as the endpoint gets it.
func (x *exchange) proxyRequest(ctx context.Context, in *api.Integration) (*http.Request, error) {
	target, err := x.target(in)
	if err != nil {
		return nil, err
	}
	method := in.Method
	if method == "" || method == "ANY" {
		method = x.r.Method
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(x.body))
	if err != nil {
		return nil, err
	}
	req.Header = make(http.Header, len(x.r.Header)+4)
	for name, values := range x.r.Header {
		if !dropped(name, true) {
			req.Header[name] = values
		}
	}
	if x.live.Kind == api.KindHTTP {
		req.Header.Set("Forwarded", "for="+x.sourceIP+";host="+x.r.Host+";proto="+x.scheme)
	} else {
		req.Header.Set("X-Forwarded-For", x.forwarded())
		req.Header.Set("X-Amzn-Apigateway-Api-Id", x.live.ID)
	}
	req.Header.Set("X-Amzn-Trace-Id", x.trace)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "AmazonAPIGateway_"+x.live.ID)
	}
	return req, nil
}

var errLeaves = errors.New("the path leaves the endpoint's")

// leaves reports whether a path has a step upwards, plain or encoded: endpoints decode before they resolve it.
func leaves(path string) bool {
	for _, p := range []string{path, unescapePath(path)} {
		for step := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
			if step == ".." {
				return true
			}
		}
	}
	return false
}

// target fills path variables into the integration's URL and adds the query. The $default route adds the whole path.
func (x *exchange) target(in *api.Integration) (string, error) {
	raw := in.URL
	for i, name := range x.route.Names {
		to := name
		for param, from := range in.Params {
			if from == name {
				to = param
			}
		}
		v := x.values[i]
		if leaves(v) {
			return "", errLeaves
		}
		raw = strings.ReplaceAll(raw, "{"+to+"}", v)
		raw = strings.ReplaceAll(raw, "{"+to+"+}", v)
	}
	if x.route.Path == api.DefaultStage {
		if leaves(x.path) {
			return "", errLeaves
		}
		raw = strings.TrimSuffix(raw, "/") + x.path
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if q := x.r.URL.RawQuery; q != "" {
		if u.RawQuery != "" {
			q = u.RawQuery + "&" + q
		}
		u.RawQuery = q
	}
	return u.String(), nil
}
