package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// exchange is one request and its response, with the buffers that both need. Pooled.
type exchange struct {
	g       *Gateway
	w       http.ResponseWriter
	r       *http.Request
	started time.Time

	snapshot *api.Snapshot // the only one that this request sees

	live   *api.API
	stage  *api.Stage
	route  *api.Route
	prefix string   // "/stage", part of the paths that events show
	path   string   // within the stage, encoded
	values []string // of the route's path variables, encoded

	requestID string // as the client is told
	trace     string // X-Amzn-Trace-Id
	sourceIP  string
	host      string // without port
	port      string
	scheme    string
	function  string

	body   []byte // the request's
	event  []byte
	pairs  []pair
	result sink
	answer answer
	ids    [32]byte
	text   [64]byte

	status   int
	bytesOut int
	timing   rouse.Timing
	err      error
	keep     bool // something may still hold a buffer: do not pool it
}

// pair is one parameter of the query, decoded.
type pair struct {
	key, value string
	seen       bool
}

// take starts an exchange.
func (g *Gateway) take(w http.ResponseWriter, r *http.Request) *exchange {
	x := g.pool.Get().(*exchange)
	x.g, x.w, x.r, x.started, x.snapshot = g, w, r, time.Now(), g.cfg.API.Snapshot()
	x.sourceIP = g.cfg.SourceIP(r)
	x.scheme, x.port = "http", "80"
	if r.TLS != nil {
		x.scheme, x.port = "https", "443"
	}
	x.host = r.Host
	if strings.IndexByte(x.host, ':') >= 0 {
		if host, port, err := net.SplitHostPort(x.host); err == nil {
			x.host, x.port = host, port
		}
	}
	_, _ = rand.Read(x.ids[:]) // never fails
	return x
}

// done tells of the exchange and gives it back.
func (g *Gateway) done(x *exchange) {
	if g.cfg.Observe != nil {
		a := Access{RequestID: x.requestID, Function: x.function, Method: x.r.Method, Path: x.r.URL.EscapedPath(),
			SourceIP: x.sourceIP, UserAgent: x.r.UserAgent(), Status: x.status, BytesIn: len(x.body), BytesOut: x.bytesOut,
			Took: time.Since(x.started), Timing: x.timing, Err: x.err}
		if x.live != nil {
			a.API = x.live.ID
		}
		if x.stage != nil {
			a.Stage = x.stage.Name
		}
		if x.route != nil {
			a.Route = x.route.Key
		}
		g.cfg.Observe(a)
	}
	if x.keep || cap(x.event)+cap(x.body)+cap(x.result.b) > pooledMax {
		return
	}
	*x = exchange{event: x.event[:0], body: x.body[:0], pairs: clearPairs(x.pairs), values: clearStrings(x.values),
		result: sink{b: x.result.b[:0]}, answer: answer{header: x.answer.header[:0], json: reader{buf: x.answer.json.buf[:0]}}}
	g.pool.Put(x)
}

// pooledMax is how many bytes of buffers an exchange may keep in the pool: one large request should not hold them for good.
const pooledMax = 1 << 20

func clearPairs(p []pair) []pair { clear(p[:cap(p)]); return p[:0] }

func clearStrings(s []string) []string { clear(s[:cap(s)]); return s[:0] }

// uuid makes a UUID of the exchange's random bytes.
func (x *exchange) uuid() string {
	u, b := x.ids[:16], x.text[:36]
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b)
}

// shortID makes an id as HTTP APIs have them: fifteen characters and "=".
func (x *exchange) shortID() string {
	b := x.text[:16]
	base64.RawStdEncoding.Encode(b, x.ids[16:28])
	b[15] = '='
	return string(b)
}

// traceID continues the client's trace or starts one: Root=1-TIME-RANDOM.
func (x *exchange) traceID() string {
	given := x.r.Header.Get("X-Amzn-Trace-Id")
	for part := range strings.SplitSeq(given, ";") {
		if root, ok := strings.CutPrefix(part, "Root="); ok && len(given) <= traceMax && validRoot(root) {
			return given
		}
	}
	b := append(x.text[:0], "Root=1-"...)
	b = appendHex(b, uint32(x.started.Unix()))
	b = append(b, '-')
	return string(hex.AppendEncode(b, x.ids[16:28]))
}

const traceMax = 512

func validRoot(root string) bool {
	for i := range len(root) {
		if c := root[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return root != ""
}

func appendHex(b []byte, n uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[n>>shift&15])
	}
	return b
}

var (
	errBodyTooLarge   = errors.New("the request's body is too large")
	errHeaderTooLarge = errors.New("the request's headers are too large")
)

// checkHeaders holds the request to HeadersMax.
func (x *exchange) checkHeaders() error {
	n := len(x.r.Method) + len(x.r.RequestURI) + len(x.r.Host)
	for name, values := range x.r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	if n > HeadersMax {
		return errHeaderTooLarge
	}
	return nil
}

// bodyAhead is how much is set aside for a body before any of it has come: more only as it comes, or else a head of a hundred
// bytes that nothing follows would cost BodyMax for as long as its connection lasts.
const bodyAhead = 32 << 10

// readBody reads the whole body.
func (x *exchange) readBody() error {
	if x.r.Body == nil || x.r.ContentLength == 0 {
		return nil
	}
	if x.r.ContentLength > BodyMax {
		return errBodyTooLarge
	}
	// A server's own limit for reading would count on while the function runs. Writers that know no deadlines have none.
	c := http.NewResponseController(x.w)
	b := x.body[:0]
	for {
		_ = c.SetReadDeadline(time.Now().Add(x.g.cfg.BodyPatience))
		if len(b) == cap(b) {
			room := max(2*cap(b), bodyAhead)
			if whole := int(x.r.ContentLength) + 1; whole > cap(b) { // and one to see its end with
				room = min(room, whole)
			}
			b = append(make([]byte, 0, room), b...)
		}
		n, err := x.r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		x.body = b
		if len(b) > BodyMax {
			return errBodyTooLarge
		}
		if err == io.EOF {
			_ = c.SetReadDeadline(time.Time{})
			return nil
		}
		if err != nil { // and the deadline stands: the server must not wait for the rest either
			return err
		}
	}
}

// parseQuery decodes the query into pairs, in order.
func (x *exchange) parseQuery() {
	x.pairs = x.pairs[:0]
	for rest := x.r.URL.RawQuery; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		x.pairs = append(x.pairs, pair{key: unescapeQuery(k), value: unescapeQuery(v)})
	}
}

// unescapeQuery decodes what can be decoded, and leaves alone what cannot.
func unescapeQuery(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func unescapePath(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// fail answers with a JSON error of the gateway's own. why is for the log and Observe; nil where it is the client's doing.
func (x *exchange) fail(status int, body string, why error) {
	x.err = why
	if why != nil && status >= 500 {
		x.logFailure(status, why)
	}
	h := x.w.Header()
	h["Content-Type"] = jsonType
	x.send(status, body)
}

var jsonType = []string{"application/json"}

func (x *exchange) logFailure(status int, why error) {
	attrs := []any{"status", status, "method", x.r.Method, "path", x.r.URL.EscapedPath(), "request", x.requestID, "err", why}
	if x.live != nil {
		attrs = append(attrs, "api", x.live.ID)
	}
	if x.route != nil {
		attrs = append(attrs, "route", x.route.Key)
	}
	if x.function != "" {
		attrs = append(attrs, "fn", x.function)
	}
	level := slog.LevelWarn
	if ofFunction(why) {
		level = slog.LevelDebug
	}
	x.g.cfg.Log.Log(x.r.Context(), level, "request failed", attrs...)
}

// send writes the head and a body that is a string.
func (x *exchange) send(status int, body string) {
	x.head(status, len(body))
	n, _ := io.WriteString(x.w, body)
	x.bytesOut = n
}

// head writes the status line and the headers, with the length when it is known (not negative). A status that is none of
// an answer becomes 502: by 101 a function could have a proxy before us pass whatever follows on this connection unread.
func (x *exchange) head(status, length int) {
	h := x.w.Header()
	if status < 200 || status > 599 {
		status = http.StatusBadGateway
	}
	if length >= 0 && bodyAllowed(status) {
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	if x.r.Header.Get(timingHeader) == "1" {
		h[timingHeader] = []string{timingText(x.timing, time.Since(x.started))}
	}
	x.status = status
	x.w.WriteHeader(status)
}

func bodyAllowed(status int) bool { return status >= 200 && status != 204 && status != 304 }

// timingHeader asks, with the value 1, where the time went, and answers it in the form of Server-Timing.
const timingHeader = "X-Rouse-Timing"

// timingText writes "warm;dur=1.2, run;dur=0.9": how it started with the whole time, then the phases, in milliseconds.
func timingText(t rouse.Timing, total time.Duration) string {
	var b strings.Builder
	phase := func(name string, d time.Duration) {
		if d > 0 {
			fmt.Fprintf(&b, ", %s;dur=%.3f", name, float64(d)/float64(time.Millisecond))
		}
	}
	start := string(t.Start)
	if start == "" {
		start = "none"
	}
	fmt.Fprintf(&b, "%s;dur=%.3f", start, float64(total)/float64(time.Millisecond))
	phase("queued", t.Queued)
	phase("sandbox", t.Sandbox)
	phase("mount", t.Mount)
	phase("runtime", t.Runtime)
	phase("init", t.Init)
	phase("run", t.Run)
	return b.String()
}

// sink keeps a result in a buffer that is used again.
type sink struct {
	b      []byte
	head   rouse.Head
	headed bool
}

// Head keeps the head of a function that streams although nobody asked it to.
func (s *sink) Head(h rouse.Head) error { s.head, s.headed = h, true; return nil }

// Write appends, up to what a buffered result may have.
func (s *sink) Write(p []byte) (int, error) {
	if len(s.b)+len(p) > rouse.ResultMax {
		return 0, rouse.ErrResultTooLarge
	}
	s.b = append(s.b, p...)
	return len(p), nil
}
