package guest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

const (
	knockFirst  = time.Millisecond // between the first two tries to reach it
	knockLast   = 20 * time.Millisecond
	webHeadMax  = 64 << 10 // bytes of an answer's head
	webIdleMax  = 4        // connections kept
	webBodyRead = 32 << 10 // bytes passed on at once
)

// proxied is the wire to a program that listens on $PORT.
type proxied struct {
	g         *Guest
	keys      *served // its credentials endpoint only
	port      int
	transport *http.Transport
}

func newProxied(g *Guest) *proxied {
	p := &proxied{g: g, keys: newServed(g)}
	p.transport = &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return g.host.Dial(ctx, p.port) },
		DisableCompression:     true,
		MaxIdleConns:           webIdleMax,
		MaxResponseHeaderBytes: webHeadMax,
	}
	return p
}

func (p *proxied) load(ctx context.Context, fn *Function, env map[string]string) error {
	var err error
	if p.port, err = freePort(p.g.host); err != nil {
		return fmt.Errorf("choose a port: %w", err)
	}
	if fn.CredentialsByURL {
		if err := p.keys.listen(fn, env); err != nil {
			return err
		}
	}
	env["PORT"] = strconv.Itoa(p.port)
	program := strings.TrimPrefix(fn.Handler, webPrefix)
	if program == "" {
		program = "bootstrap"
	}
	if !strings.HasPrefix(program, "/") {
		program = p.g.host.Path(taskRoot) + "/" + strings.TrimPrefix(program, "./")
	}
	argv := []string{program}
	switch in := p.g.cfg.Interpreter; in.Kind {
	case Node:
		argv = []string{insidePath(p.g.host, in.Path), program}
	case Python:
		argv = []string{insidePath(p.g.host, in.Path), "-u", "-s", "-B", program}
	}
	if err := p.g.exec(argv, env); err != nil {
		return execError(program, err)
	}
	return p.knock(ctx)
}

// freePort is a port that nobody listens on inside: a fixed one may be taken where a host shares its network with others.
func freePort(h Host) (int, error) {
	ln, addr, err := h.Listen(0)
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// knock waits until the program listens.
func (p *proxied) knock(ctx context.Context) error {
	t := time.NewTimer(knockFirst)
	defer t.Stop()
	for pause := knockFirst; ; pause = min(2*pause, knockLast) {
		c, err := p.g.host.Dial(ctx, p.port)
		if err == nil {
			return c.Close()
		}
		t.Reset(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.g.host.Done():
			return &InitError{Function: exitError("", p.g.cfg.Exited()), State: Exited}
		}
	}
}

func (p *proxied) invoke(ctx context.Context, c *Call, a *answer) (*rouse.FunctionError, State, error) {
	q, err := webRequest(c)
	if err != nil {
		return rouse.Unhandled("Runtime.InvalidEvent", err.Error()), Alive, nil
	}
	res, err := p.transport.RoundTrip(q.WithContext(ctx))
	if err == nil {
		defer res.Body.Close()
		err = pipe(res, a)
	}
	switch {
	case ctx.Err() != nil:
		return nil, Broken, context.Cause(ctx)
	case err == nil:
		return nil, Alive, nil
	}
	t := time.NewTimer(lastWords)
	defer t.Stop()
	select {
	case <-p.g.host.Done():
		return exitError(c.ID, p.g.cfg.Exited()), Exited, nil
	case <-t.C:
		return rouse.Unhandled("Runtime.InvalidResponse",
			"RequestId: "+c.ID+" Error: the program did not answer: "+err.Error()), Alive, nil
	}
}

// pipe hands an answer on as it comes.
func pipe(res *http.Response, a *answer) error {
	h := rouse.Head{Status: res.StatusCode, Header: res.Header, Cookies: res.Header["Set-Cookie"]}
	for _, k := range []string{"Set-Cookie", "Connection", "Keep-Alive", "Content-Length", "Date"} {
		delete(h.Header, k)
	}
	if h.ContentType = res.Header.Get("Content-Type"); h.ContentType == "" {
		h.ContentType = streamedType
	}
	a.streamed = true
	a.begin(h)
	buf := make([]byte, webBodyRead)
	for {
		n, err := res.Body.Read(buf)
		a.write(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// webEvent is what a web handler reads of payload 2.0.
type webEvent struct {
	Version string            `json:"version"`
	Path    string            `json:"rawPath"`
	Query   string            `json:"rawQueryString"`
	Cookies []string          `json:"cookies"`
	Headers map[string]string `json:"headers"`
	Context struct {
		HTTP *struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
	Body   string `json:"body"`
	Base64 bool   `json:"isBase64Encoded"`
}

// webRequest is the event as an HTTP request.
func webRequest(c *Call) (*http.Request, error) {
	var e webEvent
	if err := json.Unmarshal(c.Event, &e); err != nil || e.Context.HTTP == nil || !strings.HasPrefix(e.Version, "2.") {
		return nil, fmt.Errorf("this function is a web handler and takes HTTP requests (payload 2.0) only")
	}
	body := e.Body
	if e.Base64 {
		b, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil {
			return nil, fmt.Errorf("the event's body is not base64: %w", err)
		}
		body = string(b)
	}
	target := "http://guest" + e.Path
	if e.Path == "" {
		target += "/"
	}
	if e.Query != "" {
		target += "?" + escapeQuery(e.Query)
	}
	q, err := http.NewRequest(e.Context.HTTP.Method, target, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the event is no request: %w", err)
	}
	if len(e.Cookies) > 0 {
		if e.Headers == nil {
			e.Headers = map[string]string{}
		}
		e.Headers["cookie"] = strings.Join(e.Cookies, "; ")
	}
	for k, v := range e.Headers {
		if !validHeader(k, v) {
			return nil, fmt.Errorf("the event is no request: header %q", k)
		}
		switch http.CanonicalHeaderKey(k) {
		case "Host":
			q.Host = v
		case "Content-Length", "Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Expect", "Te":
		default:
			q.Header.Set(k, v)
		}
	}
	return q, nil
}

// validHeader: a name of token characters and a value on one line.
func validHeader(name, value string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return name != ""
}

// escapeQuery escapes what must not stand in a request line; gateways never send it, but anybody may invoke.
func escapeQuery(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *proxied) setCredentials(c Credentials) { p.keys.setCredentials(c) }

func (p *proxied) close() {
	p.transport.CloseIdleConnections()
	p.keys.close()
}
