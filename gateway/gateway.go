// Package gateway answers HTTP requests to APIs and function URLs: it finds the API, stage and route in the snapshot of
// package api, makes the event that a function expects, has it run, and turns what it answered into a response, exactly as
// Amazon API Gateway and Lambda function URLs do.
//
// # Where requests come from
//
//	{api}.execute-api.ANYTHING/…                       by host, the stage in the path (none for $default)
//	/_aws/execute-api/{api}/{stage}/…                  by path, for clients without wildcard names
//	/restapis/{api}/{stage}/_user_request_/…           the older form that LocalStack's users know
//	{id}.lambda-url.ANYTHING/…, /_aws/lambda-url/{id}/…  function URLs
//	Plain(…)                                            one API at /, as sam local start-api has it
//
// Match tells whether a request is one of these.
//
// # The way of a request
//
//	locate ─> stage ─> CORS preflight? ─> route ─> throttle ─> body ─> may it invoke? ─> event ─> Invoker ─> answer ─> response
//
// The three kinds of doors differ at both ends: HTTP APIs (http.go) decode paths, infer responses and answer preflights
// themselves; REST APIs (rest.go) pass paths as they came, are strict about answers and let gateway responses replace
// their errors; function URLs (url.go) have their own authorisation and can stream. What lies between is the same.
//
// # The hot path
//
// An exchange, with its buffers, is taken from a pool for each request. Events are appended byte by byte, never built as
// maps, and answers are read member by member without a tree. Nothing is looked up in a store: routes, function ARNs and
// stage variables were put in place when the snapshot was compiled. Whether an API may invoke a function is asked once
// per route and remembered for two seconds, when the answer was yes. A request in good health logs nothing; Observe is
// told of every one.
//
// # Promises
//
// A Gateway is safe for concurrent use, and each request sees one snapshot throughout. The function's run does not end
// with the client's connection, as on AWS; it does end with the integration's timeout. Bodies, headers, answers and
// times are limited as AWS limits them. Hostile input cannot make an event that is not JSON, nor a response with headers
// that the function did not give. Errors tell the client what AWS tells; the reason goes to the log.
//
// Left to others: listening and TLS (node), signatures (Config.Verify), policies (Config.Authorize), running functions
// (Config.Invoker).
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// Limits, as AWS's.
const (
	BodyMax    = 10 << 20 // bytes of a request's or response's body
	HeadersMax = 10240    // bytes of the request line and all headers
)

// Config is what the gateway needs.
type Config struct {
	// API gives the snapshot; *api.APIs does. Required.
	API interface{ Snapshot() *api.Snapshot }
	// Region of the node. Required.
	Region string
	// Invoker runs the functions. Required.
	Invoker rouse.Invoker
	// Authorize decides whether an API, or who calls a function URL, may invoke a function. Required.
	Authorize rouse.Authorizer
	// Policy is a function's own policy as JSON, "" when it has none. nil: no function has one.
	Policy func(fn rouse.ARN) string
	// Trusts reports whether a role may be assumed by API Gateway, for integrations with credentials. nil: every role.
	Trusts func(roleARN string) bool
	// URLs finds the configuration of a function URL. nil: there are none.
	URLs func(id string) (URLConfig, bool)
	// Verify checks a request's signature, for function URLs with AuthType AWS_IAM. nil: all of them are refused.
	Verify func(*http.Request) (rouse.Origin, error)
	// Transport makes the calls of HTTP proxy integrations. nil: one that reaches public addresses only.
	Transport http.RoundTripper
	// SourceIP is the client's address; nil takes it from the connection. For nodes behind a balancer that they trust.
	SourceIP func(*http.Request) string
	// BodyPatience is how long the next piece of a request's body may take to come; 0: 30 s.
	BodyPatience time.Duration
	// Observe is told of every request once it is answered; may be nil. Called on the request's goroutine.
	Observe func(Access)
	// Log gets what an operator should act on; nil discards it.
	Log *slog.Logger
}

// Access describes a request that was answered.
type Access struct {
	API       string // id; that of a function URL
	Stage     string
	Route     string // "GET /pets/{id}"; "" when none was found
	Method    string
	Path      string // as it came, encoded, with the stage
	Function  string // ARN; "" when none was asked
	RequestID string // as the client was told
	SourceIP  string
	UserAgent string
	Status    int
	BytesIn   int // of the bodies
	BytesOut  int
	Took      time.Duration
	Timing    rouse.Timing // zero when no function ran
	Err       error        // why it was not answered in good health; nil otherwise
}

// Gateway is an http.Handler; made by New.
type Gateway struct {
	cfg      Config
	pool     sync.Pool
	memories memories
}

// New makes a Gateway.
func New(cfg Config) *Gateway {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Policy == nil {
		cfg.Policy = func(rouse.ARN) string { return "" }
	}
	if cfg.Trusts == nil {
		cfg.Trusts = func(string) bool { return true }
	}
	if cfg.URLs == nil {
		cfg.URLs = func(string) (URLConfig, bool) { return URLConfig{}, false }
	}
	if cfg.SourceIP == nil {
		cfg.SourceIP = remoteIP
	}
	if cfg.Transport == nil {
		cfg.Transport = publicTransport()
	}
	if cfg.BodyPatience == 0 {
		cfg.BodyPatience = 30 * time.Second
	}
	g := &Gateway{cfg: cfg}
	g.pool.New = func() any { return new(exchange) }
	return g
}

// place is where a request goes: an API or a function URL, and what is left of the path.
type place struct {
	kind placeKind
	id   string
	path string // encoded, begins with a slash
}

type placeKind uint8

const (
	nowhere placeKind = iota
	atAPI
	atURL
)

const (
	apiPath    = "/_aws/execute-api/"
	urlPath    = "/_aws/lambda-url/"
	legacyPath = "/restapis/"
	legacyMark = "/_user_request_"
)

// locate reads host and path. path is encoded.
func locate(host, path string) place {
	if label, rest, ok := strings.Cut(host, "."); ok {
		second, _, _ := strings.Cut(rest, ".")
		switch second {
		case "execute-api":
			return place{atAPI, strings.ToLower(label), path}
		case "lambda-url":
			return place{atURL, strings.ToLower(label), path}
		}
	}
	if rest, ok := strings.CutPrefix(path, apiPath); ok {
		id, path := cutSegment(rest)
		return place{atAPI, id, path}
	}
	if rest, ok := strings.CutPrefix(path, urlPath); ok {
		id, path := cutSegment(rest)
		return place{atURL, id, path}
	}
	if rest, ok := strings.CutPrefix(path, legacyPath); ok {
		id, rest := cutSegment(rest)
		if stage, after, ok := strings.Cut(rest, legacyMark); ok && (after == "" || after[0] == '/') && strings.Count(stage, "/") == 1 {
			return place{atAPI, id, stage + after}
		}
	}
	return place{}
}

// cutSegment splits "a/b/c" into "a" and "/b/c"; "a" into "a" and "/".
func cutSegment(s string) (first, rest string) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, "/"
}

// Match reports whether a request with this host and path is the gateway's.
func (g *Gateway) Match(host, path string) bool { return locate(host, path).kind != nowhere }

// ServeHTTP answers requests to APIs by host or path and to function URLs.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := locate(r.Host, r.URL.EscapedPath())
	x := g.take(w, r)
	defer g.done(x)
	switch at.kind {
	case atAPI:
		g.serveAPI(x, x.snapshot.API(at.id), at.path)
	case atURL:
		g.serveURL(x, at.id, at.path)
	default:
		x.fail(http.StatusNotFound, `{"message":"Not Found"}`, nil)
	}
}

// Plain serves one API at /, as sam local start-api does: HTTP APIs by their $default stage, else, as REST APIs, by their
// only or first stage, whose name is not part of the path. choose picks the API; nil takes the oldest.
func (g *Gateway) Plain(choose func(*api.Snapshot) *api.API) http.Handler {
	if choose == nil {
		choose = func(s *api.Snapshot) *api.API {
			if all := s.All(); len(all) > 0 {
				return all[0]
			}
			return nil
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := g.take(w, r)
		defer g.done(x)
		live := choose(x.snapshot)
		if live == nil {
			x.fail(http.StatusNotFound, `{"message":"Not Found"}`, errors.New("no API is deployed"))
			return
		}
		x.live = live
		x.stage = plainStage(live)
		g.serveStage(x, r.URL.EscapedPath())
	})
}

// plainStage is the stage that Plain serves: $default, else the first by name that has a deployment.
func plainStage(live *api.API) *api.Stage {
	if st := live.Stages[api.DefaultStage]; st != nil {
		return st
	}
	var first *api.Stage
	for _, st := range live.Stages {
		// SAM's "Stage" exists only because a deployment once needed one.
		if st.Deployment == "" || st.Name == "Stage" && len(live.Stages) > 1 {
			continue
		}
		if first == nil || st.Name < first.Name {
			first = st
		}
	}
	return first
}

// serveAPI finds the stage that path names.
func (g *Gateway) serveAPI(x *exchange, live *api.API, path string) {
	if live == nil {
		x.fail(http.StatusNotFound, `{"message":"Not Found"}`, nil)
		return
	}
	x.live = live
	if live.Kind == api.KindREST {
		for strings.HasPrefix(path, "//") {
			path = path[1:]
		}
	}
	name, rest := cutSegment(strings.TrimPrefix(path, "/"))
	switch st := live.Stages[name]; {
	case st != nil && name != api.DefaultStage:
		x.stage, x.prefix = st, "/"+name
		g.serveStage(x, rest)
	case st != nil:
		x.stage = st
		g.serveStage(x, rest)
	case live.Kind == api.KindHTTP:
		x.stage = live.Stages[api.DefaultStage]
		g.serveStage(x, path)
	default:
		x.failREST(errForbidden, nil)
	}
}

func (g *Gateway) serveStage(x *exchange, path string) {
	if x.live.Kind == api.KindREST {
		g.serveREST(x, path)
	} else {
		g.serveHTTP(x, path)
	}
}

func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// publicTransport reaches public addresses only: an integration's URL is its author's, the host's network is not.
func publicTransport() http.RoundTripper {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	d.Control = func(_, address string, _ syscall.RawConn) error { // once more for each address that a name stands for
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		own, err := net.InterfaceAddrs()
		if err != nil {
			return err
		}
		if !public(at.Addr(), own) {
			return errors.New("gateway: HTTP proxy integrations reach public addresses only, not " + at.Addr().String())
		}
		return nil
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
		MaxIdleConns:    100,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression: true,
	}
}

// public reports whether a is an address of the internet and not one of this machine, whose own services a firewall may
// keep from the internet but not from us.
func public(a netip.Addr, own []net.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	for _, o := range own {
		if p, err := netip.ParsePrefix(o.String()); err == nil && p.Addr().Unmap() == a {
			return false
		}
	}
	return true
}

// special are ranges that look public and are not: this network, what carriers share (RFC 6598), where clouds keep
// services of their own, protocols, tests of networks, what is reserved; and the IPv6 addresses that stand for IPv4 ones,
// private ones too.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}
