package guest

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
)

const (
	runtimePort = 9001 // where Lambda's Runtime API listens
	connsMax    = 64   // connections that one guest may hold at once

	apiPrefix       = "/2018-06-01/runtime/"
	credentialsPath = "/2021-04-23/credentials"
)

// served is the wire to a program that speaks Lambda's Runtime API.
type served struct {
	g     *Guest
	ln    net.Listener
	token string // of the credentials endpoint

	ready  chan struct{}             // closed by the first request for an event: INIT is over
	failed chan *rouse.FunctionError // INIT failed, by the program's own word
	events chan *delivery            // at most one waits to be taken
	closed chan struct{}
	work   sync.WaitGroup
	begin  sync.Once

	mu          sync.Mutex
	current     *delivery             // guarded by mu: taken by the program, not ended
	conns       map[net.Conn]struct{} // guarded by mu
	credentials Credentials           // guarded by mu
}

func newServed(g *Guest) *served {
	return &served{g: g, ready: make(chan struct{}), failed: make(chan *rouse.FunctionError, 1),
		events: make(chan *delivery, 1), closed: make(chan struct{}), conns: map[net.Conn]struct{}{}, token: rand.Text()}
}

func (s *served) load(ctx context.Context, fn *Function, env map[string]string) error {
	program, fe := findBootstrap(s.g.host, fn)
	if fe != nil {
		return &InitError{Function: fe, State: Exited}
	}
	ln, addr, err := s.g.host.Listen(runtimePort)
	if err != nil {
		return fmt.Errorf("listen for the runtime: %w", err)
	}
	s.ln = ln
	s.work.Add(1)
	go s.accept()
	env["AWS_LAMBDA_RUNTIME_API"] = addr
	s.setCredentials(fn.Credentials)
	if fn.CredentialsByURL {
		env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://" + addr + credentialsPath
		env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = s.token
	}
	if err := s.g.exec([]string{program}, env); err != nil {
		return execError(program, err)
	}
	select {
	case <-s.ready:
		return nil
	case fe := <-s.failed:
		return &InitError{Function: fe, State: Exited}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.g.host.Done():
		return s.diedInInit(ctx)
	}
}

// diedInInit waits for what the program said before it ended.
func (s *served) diedInInit(ctx context.Context) error {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for died := time.Now(); !heardOut(died, s.drained); {
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case fe := <-s.failed:
		return &InitError{Function: fe, State: Exited}
	default:
		return &InitError{Function: exitError("", s.g.cfg.Exited()), State: Exited}
	}
}

// findBootstrap is where Lambda looks: in the function's code, then in its layers.
func findBootstrap(h Host, fn *Function) (string, *rouse.FunctionError) {
	if fn.TaskPath == "" {
		return h.Path(taskRoot) + "/bootstrap", nil
	}
	for _, at := range []struct{ inside, host string }{{taskRoot, fn.TaskPath}, {layerRoot, fn.LayerPath}} {
		if at.host == "" {
			continue
		}
		st, err := os.Stat(filepath.Join(at.host, "bootstrap"))
		switch {
		case err != nil || st.IsDir():
			continue
		case st.Mode()&0o111 == 0:
			return "", invalidEntrypoint("fork/exec " + at.inside + "/bootstrap: permission denied")
		}
		return h.Path(at.inside) + "/bootstrap", nil
	}
	return "", invalidEntrypoint("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
}

// execError tells the function's fault from the platform's.
func execError(program string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		return &InitError{Function: invalidEntrypoint(err.Error()), State: Exited}
	}
	return fmt.Errorf("start %s: %w", program, err)
}

func invalidEntrypoint(why string) *rouse.FunctionError {
	return rouse.Unhandled("Runtime.InvalidEntrypoint", "Error: "+why)
}

func (s *served) setCredentials(c Credentials) {
	s.mu.Lock()
	s.credentials = c
	s.mu.Unlock()
}

func (s *served) invoke(ctx context.Context, c *Call, fresh *Credentials, a *answer) (*rouse.FunctionError, State, error) {
	if fresh != nil {
		s.setCredentials(*fresh)
	}
	d := newDelivery(c, a)
	select {
	case s.events <- d:
	default:
		return s.g.lost(ctx, errFrame, c.ID) // the event before was never taken, and its caller has given up
	}
	e, ok := d.wait(ctx, s.g.host.Done(), s.drained)
	s.mu.Lock()
	if s.current == d {
		s.current = nil
	}
	s.mu.Unlock()
	if ok {
		select {
		case <-s.g.host.Done():
			e.state = Exited
		default:
		}
		return e.fe, e.state, nil
	}
	return s.g.lost(ctx, nil, c.ID)
}

// drained reports whether every connection has been read to its end.
func (s *served) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) == 0
}

func (s *served) close() {
	select {
	case <-s.closed:
		return
	default:
	}
	close(s.closed)
	if s.ln != nil {
		s.ln.Close()
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *served) accept() {
	defer s.work.Done()
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		full := len(s.conns) >= connsMax
		if !full {
			s.conns[c] = struct{}{}
		}
		s.mu.Unlock()
		select {
		case <-s.closed:
			full = true
		default:
		}
		if full {
			s.forget(c)
			continue
		}
		s.work.Add(1)
		go s.serve(c)
	}
}

func (s *served) forget(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// exchange is one connection.
type exchange struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

func (s *served) serve(c net.Conn) {
	defer s.work.Done()
	defer s.forget(c)
	x := &exchange{conn: c, r: bufio.NewReaderSize(c, requestBuf), w: bufio.NewWriterSize(c, requestBuf)}
	for {
		q, err := readRequest(x.r)
		if err == nil {
			if q.proceed {
				x.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
				x.w.Flush()
			}
			err = s.answer(x, q)
		}
		if errors.Is(err, errHTTP) {
			writeAnswer(x.w, "400 Bad Request", apiError("InvalidRequest", "Bad request"), true)
			x.w.Flush()
		}
		if err != nil || q.close {
			return
		}
	}
}

// answer serves one request. An error ends the connection.
func (s *served) answer(x *exchange, q *request) error {
	path, ok := strings.CutPrefix(q.path, apiPrefix)
	switch {
	case !ok && q.path == credentialsPath && q.method == "GET":
		return s.reply(x, q, func() (string, string) { return s.serveCredentials(q) })
	case !ok && isExtensionPath(q.path), ok && strings.HasPrefix(path, "restore/"):
		return s.reply(x, q, func() (string, string) {
			return "501 Not Implemented", apiError("NotImplemented", "Rouse does not implement "+q.path)
		})
	case ok && q.method == "GET" && path == "invocation/next":
		return s.serveNext(x, q)
	case ok && q.method == "POST" && path == "init/error":
		return s.serveInitError(x, q)
	case ok && q.method == "POST" && strings.HasPrefix(path, "invocation/"):
		id, what, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
		if what == "response" || what == "error" {
			return s.serveOutcome(x, q, id, what == "error")
		}
	}
	return s.reply(x, q, func() (string, string) { return "404 Not Found", apiError("NotFound", "404 page not found") })
}

// isExtensionPath: the APIs of Lambda's extensions, their logs and their telemetry.
func isExtensionPath(p string) bool {
	return strings.HasPrefix(p, "/2020-01-01/extension/") || strings.HasPrefix(p, "/2020-08-15/logs") ||
		strings.HasPrefix(p, "/2022-07-01/telemetry")
}

// reply reads past the body and answers.
func (s *served) reply(x *exchange, q *request, status func() (string, string)) error {
	if err := q.readBody(x.r, discardedMax, func([]byte) {}); err != nil {
		return err
	}
	code, body := status()
	writeAnswer(x.w, code, body, q.close)
	return x.flush()
}

// flush sends what was written, unless the next request is there already: then both answers go at once.
func (x *exchange) flush() error {
	if x.r.Buffered() > 0 {
		return nil
	}
	return x.w.Flush()
}

func apiError(typ, message string) string {
	b, _ := json.Marshal(map[string]string{"errorType": typ, "errorMessage": message}) // strings: cannot fail
	return string(b)
}

const accepted = `{"status":"OK"}`

func wrongState(to string) (string, string) {
	return "403 Forbidden", apiError("InvalidStateTransition",
		"State transition from Ready to "+to+" failed for runtime. Error: State transition is not allowed")
}

func (s *served) serveCredentials(q *request) (string, string) {
	if subtle.ConstantTimeCompare([]byte(q.authorization), []byte(s.token)) != 1 {
		return "401 Unauthorized", apiError("Unauthorized", "the token does not match")
	}
	s.mu.Lock()
	c := s.credentials
	s.mu.Unlock()
	expires := c.Expires
	if expires.IsZero() {
		expires = time.Now().Add(time.Hour) // SDKs want a time, and come again
	}
	b, _ := json.Marshal(map[string]string{"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey,
		"Token": c.SessionToken, "Expiration": expires.UTC().Format(time.RFC3339)})
	return "200 OK", string(b)
}

func (s *served) serveInitError(x *exchange, q *request) error {
	var body []byte
	if err := q.readBody(x.r, smallMax, func(b []byte) { body = append(body, b...) }); err != nil {
		return err
	}
	select {
	case <-s.ready:
		code, msg := wrongState("InitError")
		writeAnswer(x.w, code, msg, q.close)
		return x.flush()
	default:
	}
	writeAnswer(x.w, "202 Accepted", accepted, q.close)
	err := x.flush()
	select {
	case s.failed <- functionError(body, q.errorType):
	default: // it said so before
	}
	return err
}

func (s *served) serveNext(x *exchange, q *request) error {
	if err := q.readBody(x.r, smallMax, func([]byte) {}); err != nil {
		return err
	}
	if err := x.w.Flush(); err != nil {
		return err
	}
	s.begin.Do(func() { close(s.ready) })
	select {
	case <-s.closed:
		return net.ErrClosed
	case d := <-s.events:
		if gone(x.conn) {
			select {
			case s.events <- d: // for the next who asks
			default: // its caller gave up meanwhile
			}
			return net.ErrClosed
		}
		s.mu.Lock()
		s.current = d
		s.mu.Unlock()
		writeEvent(x.w, d.call)
		return x.w.Flush()
	}
}

// gone reports whether the client has hung up while it waited for an event.
func gone(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	hungUp := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		hungUp = n == 0 && err == nil
	})
	return err != nil || hungUp
}

func writeEvent(w *bufio.Writer, c *Call) {
	header := func(name, value string) {
		if value == "" {
			return
		}
		w.WriteString(name)
		w.WriteString(": ")
		w.WriteString(headerSafe(value))
		w.WriteString("\r\n")
	}
	w.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
	header("Lambda-Runtime-Aws-Request-Id", c.ID)
	header("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.Deadline.UnixMilli(), 10))
	header("Lambda-Runtime-Invoked-Function-Arn", c.ARN)
	header("Lambda-Runtime-Trace-Id", c.Trace)
	header("Lambda-Runtime-Client-Context", string(c.ClientContext))
	header("Lambda-Runtime-Cognito-Identity", string(c.Identity))
	header("Content-Length", strconv.Itoa(len(c.Event)))
	w.WriteString("\r\n")
	w.Write(c.Event)
}

// headerSafe keeps a value on its line: JSON may have newlines between its parts, and nowhere else.
func headerSafe(v string) string {
	if !strings.ContainsAny(v, "\r\n\x00") {
		return v
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '\r', '\n', 0:
			return ' '
		}
		return r
	}, v)
}

// serveOutcome takes the answer, or the error, of the invocation id.
func (s *served) serveOutcome(x *exchange, q *request, id string, isError bool) error {
	s.mu.Lock()
	d := s.current
	s.mu.Unlock()
	if d == nil || d.call.ID != id {
		return s.reply(x, q, func() (string, string) {
			return "400 Bad Request", apiError("InvalidRequestID", "Invalid request ID")
		})
	}
	if !d.claim() {
		return s.reply(x, q, func() (string, string) { return wrongState("InvocationResponse") })
	}
	var fe *rouse.FunctionError
	var err error
	if isError {
		var body []byte
		err = q.readBody(x.r, rouse.ResultMax, func(b []byte) { body = append(body, b...) })
		fe = functionError(body, q.errorType)
	} else {
		err = d.take(x, q)
		fe = q.trailerError()
	}
	if err != nil {
		d.finish(rouse.Unhandled("Runtime.TruncatedResponse", "RequestId: "+id+" Error: the response ended before it was whole"), Broken)
		return err
	}
	var large bool
	d.do(func() { large = d.a.err != nil && !isError })
	if large {
		writeAnswer(x.w, "413 Request Entity Too Large", apiError("RequestEntityTooLarge",
			fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", rouse.ResultMax)), q.close)
	} else {
		writeAnswer(x.w, "202 Accepted", accepted, q.close)
	}
	err = x.flush()
	d.finish(fe, Alive)
	return err
}

// take reads the body of an answer into the invocation's sink: a streamed one as it comes, a buffered one when it is
// whole, for it may yet turn out too large or be cut off.
func (d *delivery) take(x *exchange, q *request) error {
	if q.streaming || q.contentType == preludeType {
		d.do(func() { d.a.start(q.contentType) })
		return q.readBody(x.r, discardedMax, func(b []byte) { d.do(func() { d.a.write(b) }) })
	}
	var body []byte
	if !q.chunked && q.length <= rouse.ResultMax {
		body = make([]byte, 0, q.length)
	}
	large := false
	err := q.readBody(x.r, discardedMax, func(b []byte) {
		if large = large || len(body)+len(b) > rouse.ResultMax; !large {
			body = append(body, b...)
		}
	})
	if err != nil {
		return err
	}
	d.do(func() {
		if large {
			d.a.err = tooLarge()
		} else if q.trailerError() == nil {
			d.a.write(body)
		}
	})
	return nil
}
