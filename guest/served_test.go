package guest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// puppet is a host whose program is the test: it speaks the Runtime API by hand.
type puppet struct {
	t    *testing.T
	addr string
	env  map[string]string
	up   chan struct{} // closed by Exec
	done chan struct{}
	how  string
}

func newPuppet(t *testing.T) *puppet {
	return &puppet{t: t, up: make(chan struct{}), done: make(chan struct{}), env: map[string]string{}}
}

func (p *puppet) Exec(_, env []string, _ string, _ []*os.File) error {
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		p.env[k] = v
	}
	close(p.up)
	return nil
}

func (p *puppet) Listen(int) (net.Listener, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		p.addr = ln.Addr().String()
	}
	return ln, p.addr, err
}

func (p *puppet) Dial(context.Context, int) (net.Conn, error) {
	return nil, errors.New("nobody listens")
}
func (p *puppet) Done() <-chan struct{}     { return p.done }
func (p *puppet) Path(target string) string { return target }
func (p *puppet) exited() string            { return p.how }

// die ends the program.
func (p *puppet) die(how string) {
	p.how = how
	close(p.done)
}

// wire is a connection to the Runtime API.
type wire struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (p *puppet) dial() *wire {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		p.t.Fatal(err)
	}
	return &wire{t: p.t, c: c, r: bufio.NewReader(c)}
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.c, text); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads a response; its body is read as well.
func (w *wire) answer() (*http.Response, string) {
	w.t.Helper()
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatalf("read the answer: %v", err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("read the body: %v", err)
	}
	return res, string(b)
}

// expect holds the next response against a status and an error type.
func (w *wire) expect(status int, errorType string) {
	w.t.Helper()
	res, body := w.answer()
	var e struct {
		Type string `json:"errorType"`
	}
	_ = json.Unmarshal([]byte(body), &e)
	if res.StatusCode != status || e.Type != errorType {
		w.t.Errorf("got %d %s, want %d with errorType %q", res.StatusCode, body, status, errorType)
	}
}

const (
	getNext = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	callID  = "8f5d1c9e-0000-4000-8000-000000000000"
)

func post(path, header, body string) string {
	return fmt.Sprintf("POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, header, len(body), body)
}

// outcome is what Invoke returned.
type outcome struct {
	reply guest.Reply
	err   error
	out   rouse.Buffer
}

// stage is a guest whose program is a puppet.
type stage struct {
	*guest.Guest
	*puppet
	lines []string
	mu    sync.Mutex
}

func (s *stage) log(l guest.Line) {
	s.mu.Lock()
	s.lines = append(s.lines, string(l.Bytes))
	s.mu.Unlock()
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{puppet: newPuppet(t)}
	g, err := guest.Boot(context.Background(), s.puppet, guest.Config{Kind: guest.Provided, Log: s.log, Exited: s.exited})
	if err != nil {
		t.Fatalf("Boot: %v", err)
	}
	s.Guest = g
	t.Cleanup(g.Close)
	return s
}

// load starts Load and returns its error later.
func (s *stage) load(fn guest.Function) <-chan error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	errs := make(chan error, 1)
	go func() {
		defer cancel()
		errs <- s.Load(ctx, fn)
	}()
	<-s.up
	return errs
}

// loaded is a stage whose program has asked for its first event on the wire.
func loaded(t *testing.T) (*stage, *wire) {
	t.Helper()
	s := newStage(t)
	errs := s.load(guest.Function{Handler: "h"})
	w := s.dial()
	w.send(getNext)
	if err := <-errs; err != nil {
		t.Fatalf("Load: %v", err)
	}
	return s, w
}

func (s *stage) invoke(c guest.Call) <-chan *outcome {
	c.ID, c.Deadline, c.ARN = callID, time.UnixMilli(1_700_000_000_123), "arn:aws:lambda:us-east-1:000000000000:function:shop"
	if c.Event == nil {
		c.Event = []byte(`{"n":1}`)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	ch := make(chan *outcome, 1)
	go func() {
		defer cancel()
		o := &outcome{out: rouse.Buffer{Max: rouse.StreamMax}}
		o.reply, o.err = s.Invoke(ctx, c, &o.out)
		ch <- o
	}()
	return ch
}

func (o *outcome) check(t *testing.T, body, errorType string) {
	t.Helper()
	got := ""
	if o.reply.Error != nil {
		got = o.reply.Error.Type
	}
	if o.err != nil || o.out.String() != body || got != errorType {
		t.Errorf("got body %.100q, error %q, %v, want %.100q, %q", o.out.String(), got, o.err, body, errorType)
	}
}

func TestNextHeaders(t *testing.T) {
	s, w := loaded(t)
	done := s.invoke(guest.Call{Trace: "Root=1", ClientContext: []byte("{\n\"a\":1}"), Identity: []byte(`{"cognitoIdentityId":"i"}`)})
	res, body := w.answer()
	for k, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       callID,
		"Lambda-Runtime-Deadline-Ms":          "1700000000123",
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:shop",
		"Lambda-Runtime-Trace-Id":             "Root=1",
		"Lambda-Runtime-Client-Context":       `{ "a":1}`,
		"Lambda-Runtime-Cognito-Identity":     `{"cognitoIdentityId":"i"}`,
		"Content-Type":                        "application/json",
	} {
		if got := res.Header.Get(k); got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
	if res.StatusCode != 200 || body != `{"n":1}` {
		t.Errorf("got %d %s, want the event", res.StatusCode, body)
	}
	w.send(post("invocation/"+callID+"/response", "", `[2]`))
	w.expect(202, "")
	(<-done).check(t, `[2]`, "")
}

func TestWaysToAnswer(t *testing.T) {
	const response = "invocation/" + callID + "/response"
	chunked := "Transfer-Encoding: chunked\r\n"
	head := "POST /2018-06-01/runtime/" + response + " HTTP/1.1\r\n"
	for name, c := range map[string]struct {
		send            string
		status          int
		errType         string // of the answer to the program
		body, fails     string // what the caller sees
		contentType     string
		httpStatus      int
		closes, streams bool
	}{
		"length":   {send: post(response, "", "[1]"), status: 202, body: "[1]"},
		"empty":    {send: post(response, "", ""), status: 202},
		"chunks":   {send: head + chunked + "\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n", status: 202, body: "[1]"},
		"HTTP/1.0": {send: "POST /2018-06-01/runtime/" + response + " HTTP/1.0\r\nContent-Length: 1\r\n\r\n1", status: 202, body: "1", closes: true},
		"last":     {send: post(response, "Connection: close\r\n", "1"), status: 202, body: "1", closes: true},
		"streaming": {send: head + chunked + "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: text/plain\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
			status: 202, body: "ab", contentType: "text/plain", streams: true},
		"streaming with a prelude": {send: head + chunked + "Content-Type: " + preludeType + "\r\n\r\n" +
			"8\r\n{\"status\r\n13\r\nCode\":302}\x00\x00\x00\x00\x00\x00\x00\x00x\r\n0\r\n\r\n",
			status: 202, body: "x", contentType: "application/octet-stream", httpStatus: 302, streams: true},
		"streaming, then an error": {send: head + chunked + "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n1\r\na\r\n0\r\n" +
			"Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIn0=\r\n\r\n",
			status: 202, body: "a", fails: "Late", contentType: "application/octet-stream", streams: true},
		"trailer without a body of the error": {send: head + chunked + "\r\n1\r\na\r\n0\r\nLambda-Runtime-Function-Error-Type: Late\r\n\r\n",
			status: 202, fails: "Late"},
		"error":                {send: post("invocation/"+callID+"/error", "", `{"errorType":"E","errorMessage":"m"}`), status: 202, fails: "E"},
		"error by header":      {send: post("invocation/"+callID+"/error", "Lambda-Runtime-Function-Error-Type: Runtime.X\r\n", `{"errorMessage":"m"}`), status: 202, fails: "Runtime.X"},
		"error without a word": {send: post("invocation/"+callID+"/error", "", ""), status: 202, fails: "Runtime.Unknown"},
		"too large": {send: post(response, "", strings.Repeat("x", rouse.ResultMax+1)), status: 413, errType: "RequestEntityTooLarge",
			fails: "Function.ResponseSizeTooLarge"},
		"too long a stream": {send: post(response, "Lambda-Runtime-Function-Response-Mode: streaming\r\n", strings.Repeat("x", rouse.StreamMax+1)), status: 413,
			errType: "RequestEntityTooLarge", fails: "Function.ResponseSizeTooLarge", contentType: "application/octet-stream", streams: true, body: "*"},
		"broken chunks": {send: head + chunked + "\r\n1\r\nabc\r\n", status: 400, errType: "InvalidRequest", fails: "Runtime.TruncatedResponse", closes: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := loaded(t)
			done := s.invoke(guest.Call{})
			w.answer()
			go io.WriteString(w.c, c.send) // the server may answer before it has read all
			w.expect(c.status, c.errType)
			o := <-done
			if c.body == "*" {
				c.body = o.out.String()
			}
			o.check(t, c.body, c.fails)
			if o.out.Meta.ContentType != c.contentType || o.out.Meta.Status != c.httpStatus || o.reply.Streamed != c.streams {
				t.Errorf("got head %+v, streamed %v, want %q, %d, %v", o.out.Meta, o.reply.Streamed, c.contentType, c.httpStatus, c.streams)
			}
			if c.closes {
				if _, err := w.r.ReadByte(); err != io.EOF {
					t.Errorf("got %v, want the connection to be closed", err)
				}
				w = s.dial()
			}
			w.send(getNext)
			again := s.invoke(guest.Call{})
			w.answer()
			w.send(post(response, "", "2"))
			w.expect(202, "")
			(<-again).check(t, "2", "")
		})
	}
}

func TestExpectContinue(t *testing.T) {
	s, w := loaded(t)
	done := s.invoke(guest.Call{})
	w.answer()
	w.send("POST /2018-06-01/runtime/invocation/" + callID + "/response HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	if line, err := w.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v, want 100 Continue", line, err)
	}
	_, _ = w.r.ReadString('\n')
	w.send("1")
	w.expect(202, "")
	(<-done).check(t, "1", "")
}

func TestPipelined(t *testing.T) {
	s, w := loaded(t)
	for range 3 {
		done := s.invoke(guest.Call{})
		w.answer()
		w.send(post("invocation/"+callID+"/response", "", "1") + getNext)
		w.expect(202, "")
		(<-done).check(t, "1", "")
	}
}

func TestRefusals(t *testing.T) {
	s, w := loaded(t)
	x := s.dial()
	for _, c := range []struct {
		send    string
		status  int
		errType string
	}{
		{post("invocation/"+callID+"/response", "", "1"), 400, "InvalidRequestID"}, // no event was given out
		{post("init/error", "", "{}"), 403, "InvalidStateTransition"},
		{post("elsewhere", "", ""), 404, "NotFound"},
		{"GET / HTTP/1.1\r\n\r\n", 404, "NotFound"},
		{"DELETE /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n", 404, "NotFound"},
		{"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n", 501, "NotImplemented"},
		{"POST /2020-01-01/extension/register HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 501, "NotImplemented"},
		{"PUT /2022-07-01/telemetry HTTP/1.1\r\n\r\n", 501, "NotImplemented"},
		{"GET /2021-04-23/credentials HTTP/1.1\r\n\r\n", 401, "Unauthorized"},
		{"GET /2021-04-23/credentials HTTP/1.1\r\nAuthorization: guess\r\n\r\n", 401, "Unauthorized"},
	} {
		x.send(c.send)
		x.expect(c.status, c.errType)
	}
	done := s.invoke(guest.Call{})
	w.answer()
	x.send(post("invocation/another/response", "", "1"))
	x.expect(400, "InvalidRequestID")
	x.send(post("invocation/"+callID+"/response", "", "1"))
	x.expect(202, "")
	(<-done).check(t, "1", "")
	x.send(post("invocation/"+callID+"/response", "", "2"))
	x.expect(400, "InvalidRequestID")
}

// firstWrite is a sink that tells when the body begins.
type firstWrite struct {
	rouse.Buffer
	begun chan struct{}
	once  sync.Once
}

func (f *firstWrite) Write(b []byte) (int, error) {
	f.once.Do(func() { close(f.begun) })
	return f.Buffer.Write(b)
}

func TestTwoAnswers(t *testing.T) {
	s, w := loaded(t)
	out := &firstWrite{begun: make(chan struct{})}
	done := make(chan *outcome, 1)
	go func() {
		o := &outcome{}
		o.reply, o.err = s.Invoke(context.Background(), guest.Call{ID: callID, Event: []byte("1")}, out)
		done <- o
	}()
	w.answer()
	w.send("POST /2018-06-01/runtime/invocation/" + callID + "/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" +
		"Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n1\r\na\r\n")
	<-out.begun
	x := s.dial()
	x.send(post("invocation/"+callID+"/error", "", `{"errorType":"E"}`))
	x.expect(403, "InvalidStateTransition")
	w.send("1\r\nb\r\n0\r\n\r\n")
	w.expect(202, "")
	if o := <-done; o.reply.Error != nil || out.String() != "ab" {
		t.Errorf("got %q, %v, want the first answer", out.String(), o.reply.Error)
	}
}

func TestCredentialsByURL(t *testing.T) {
	s := newStage(t)
	keys := guest.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: "s1", SessionToken: "t1", Expires: time.Unix(1_800_000_000, 0)}
	errs := s.load(guest.Function{Credentials: keys, CredentialsByURL: true})
	if v, ok := s.env["AWS_ACCESS_KEY_ID"]; ok {
		t.Errorf("got static keys (%s), want none", v)
	}
	if got, want := s.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"], "http://"+s.addr+"/2021-04-23/credentials"; got != want {
		t.Errorf("got the endpoint %s, want %s", got, want)
	}
	w := s.dial()
	w.send(getNext)
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	x := s.dial()
	ask := func() string {
		x.send("GET /2021-04-23/credentials HTTP/1.1\r\nAuthorization: " + s.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] + "\r\n\r\n")
		_, body := x.answer()
		return body
	}
	if got, want := ask(), `{"AccessKeyId":"ASIA1","Expiration":"2027-01-15T08:00:00Z","SecretAccessKey":"s1","Token":"t1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Refresh(guest.Credentials{AccessKeyID: "ASIA2"})
	if got := ask(); !strings.Contains(got, `"AccessKeyId":"ASIA2"`) {
		t.Errorf("after Refresh: got %s, want the newer key", got)
	}
}

func TestConnections(t *testing.T) {
	s, _ := loaded(t)
	for range guest.ConnsMax - 1 {
		w := s.dial()
		w.send("GET / HTTP/1.1\r\n\r\n")
		w.expect(404, "NotFound")
	}
	w := s.dial()
	if _, err := w.r.ReadByte(); err == nil {
		t.Error("got an answer on one connection too many, want it to be closed")
	}
}
