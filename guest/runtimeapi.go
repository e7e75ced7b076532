package guest

import (
	"bufio"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
)

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
				_ = x.w.Flush() // the answer says it again
			}
			err = s.answer(x, q)
		}
		if errors.Is(err, errHTTP) {
			writeAnswer(x.w, "400 Bad Request", apiError("InvalidRequest", "Bad request"), true)
			_ = x.w.Flush() // nobody is left to be told
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
		d.finish(rouse.Unhandled("Runtime.TruncatedResponse",
			"RequestId: "+id+" Error: the response ended before it was whole"), Broken)
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
