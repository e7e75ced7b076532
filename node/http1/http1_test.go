package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/node/http1"
)

// server serves in memory, so that time belongs to the test.
type server struct {
	*http1.Server
	conns chan net.Conn
	ended chan error
}

func serve(t testing.TB, s *http1.Server) *server {
	t.Helper()
	srv := &server{s, make(chan net.Conn), make(chan error, 1)}
	l := &listener{srv.conns, make(chan struct{})}
	go func() { srv.ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-srv.ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: got %v, want %v", err, http.ErrServerClosed)
		}
	})
	return srv
}

// dial connects to the server.
func (s *server) dial(t testing.TB) *client {
	t.Helper()
	a, b := net.Pipe()
	s.conns <- b
	t.Cleanup(func() { a.Close() })
	return &client{t, a, bufio.NewReader(a)}
}

type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{} }

// client speaks by hand.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer reads an answer, whole.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("answer's body: %v", err)
	}
	return r, string(b)
}

// gone waits for the end of the connection.
func (c *client) gone() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil {
		c.t.Errorf("connection: got %q, %v, want its end", b, err)
	}
}

func handler(f http.HandlerFunc) *http1.Server { return &http1.Server{Handler: f} }

// tell answers with what it got.
func tell(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s %q %v", r.Method, r.RequestURI, r.Host, r.Header.Get("X-A"), b, err)
}

func TestRequests(t *testing.T) {
	long := strings.Repeat("a", 60<<10)
	for name, c := range map[string]struct{ send, want string }{
		"plain":           {"GET /a?b HTTP/1.1\r\nHost: h\r\nx-a: 1\r\n\r\n", `GET /a?b h 1 "" <nil>`},
		"by length":       {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", `POST / h  "abc" <nil>`},
		"in chunks":       {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX-T: u\r\n\r\n", `POST / h  "abc" <nil>`},
		"absolute":        {"GET http://a/b HTTP/1.1\r\nHost: h\r\n\r\n", `GET http://a/b a  "" <nil>`},
		"server":          {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"a long head":     {"GET / HTTP/1.1\r\nHost: h\r\nX-B: " + long + "\r\nX-A: 1\r\n\r\n", `GET / h 1 "" <nil>`},
		"broken off":      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", `POST / h  "a" malformed chunks`},
		"a size with a +": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n", `POST / h  "" malformed chunks`},
		"a size of zeros": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n", `POST / h  "" malformed chunks`},
		"a bare LF":       {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", `POST / h  "" malformed chunks`},
		"a long size":     {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + long, `POST / h  "" malformed chunks`},
		"long trailers":   {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: " + long, `POST / h  "" malformed chunks`},
		"a bad trailer":   {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na b\r\n\r\n", `POST / h  "" malformed chunks`},
		"mostly framing":  {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+long[:200]+"\r\na\r\n", 200), `POST / h  "` + long[:87] + `" malformed chunks`},
	} {
		t.Run(name, func(t *testing.T) {
			cl := serve(t, handler(tell)).dial(t)
			go io.WriteString(cl, c.send) // a refused one is not read to its end
			method, _, _ := strings.Cut(c.send, " ")
			if r, got := cl.answer(method); got != c.want || r.StatusCode != 200 {
				t.Errorf("got %d %.300s, want %.300s", r.StatusCode, got, c.want)
			}
		})
	}
}

// TestRefused: what another reader could take for something else.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		send string
		want int
	}{
		"no line":               {"x\r\n\r\n", 400},
		"a bare LF":             {"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
		"bare LFs":              {"GET / HTTP/1.1\nHost: h\n\n", 400},
		"a bare CR":             {"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400},
		"a NUL":                 {"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400},
		"a folded line":         {"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400},
		"a space in a name":     {"GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n", 400},
		"no colon":              {"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400},
		"no host":               {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":             {"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
		"a bad host":            {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"two lengths":           {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
		"a list of lengths":     {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na", 400},
		"a length with a sign":  {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na", 400},
		"a length below 0":      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na", 400},
		"a length beyond":       {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\na", 400},
		"length beside chunks":  {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"chunks of HTTP/1.0":    {"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"two codings":           {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"another coding":        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"a coding in disguise":  {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
		"another version":       {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
		"HTTP/2":                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"a space in the target": {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		"a tab in the target":   {"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		"a relative target":     {"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		"a proxy's method":      {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
		"a star":                {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		"an expectation":        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n", 417},
		"a head too long":       {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", 431},
		"a head without end":    {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 200<<10), 431},
	} {
		t.Run(name, func(t *testing.T) {
			cl := serve(t, handler(func(http.ResponseWriter, *http.Request) { t.Error("its handler ran") })).dial(t)
			go io.WriteString(cl, c.send)
			if r, got := cl.answer("GET"); r.StatusCode != c.want || !r.Close {
				t.Errorf("got %d %s, close %v, want %d and the end of the connection", r.StatusCode, got, r.Close, c.want)
			}
			cl.gone()
		})
	}
}

// TestAnswers: the bytes of answers.
func TestAnswers(t *testing.T) {
	const get, old = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
	big := strings.Repeat("x", 40<<10)
	write := func(s ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, s := range s {
				io.WriteString(w, s)
			}
		}
	}
	for name, c := range map[string]struct {
		send string
		do   http.HandlerFunc
		want string
	}{
		"nothing":            {get, func(http.ResponseWriter, *http.Request) {}, "200 OK|Content-Length: 0|"},
		"a text":             {get, write("a", "b"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"its head":           {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", write("ab"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2|"},
		"a head of nothing":  {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", write(), "200 OK|"},
		"to an old client":   {old, write("ab"), "HTTP/1.0 200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"an old one stays":   {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", write("ab"), "HTTP/1.0 200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2|Connection: keep-alive||ab"},
		"an old one, long":   {old, write(big), "HTTP/1.0 200 OK|Content-Type: text/plain; charset=utf-8||" + big},
		"long":               {get, write("a", big), "200 OK|Content-Type: text/plain; charset=utf-8|Transfer-Encoding: chunked||1;a;a000;" + big + ";0;;"},
		"asked to close":     {"GET / HTTP/1.1\r\nHost: h\r\nConnection: a, Close\r\n\r\n", write("ab"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2|Connection: close||ab"},
		"names by the way":   {get, set("X-B", "2", "X-A", "1", "A b", "c", "Content-Type", "a/b"), "200 OK|Content-Type: a/b|X-A: 1|X-B: 2|Content-Length: 2||ab"},
		"a second line":      {get, set("X-A", "1\r\nX-B: 2"), "200 OK|X-A: 1  X-B: 2|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"closed by handler":  {get, set("Connection", "close"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2|Connection: close||ab"},
		"a coding of theirs": {get, set("Transfer-Encoding", "gzip"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"declared":           {get, set("Content-Length", "2"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"no length":          {get, set("Content-Length", "x"), "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 2||ab"},
		"encoded":            {get, set("Content-Encoding", "x"), "200 OK|Content-Encoding: x|Content-Length: 2||ab"},
		"declared, long": {get, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big)
		}, "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 40960||" + big},
		"no content": {get, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("a")); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("Write after 204: got %v, want %v", err, http.ErrBodyNotAllowed)
			}
		}, "204 No Content|"},
		"not modified": {get, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(304)
		}, "304 Not Modified|Content-Length: 5|"},
		"a status apart": {get, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(299) }, "299 status code 299|Content-Length: 0|"},
		"hints before": {get, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "a")
			w.WriteHeader(103)
			w.WriteHeader(201)
		}, "103 Early Hints|Link: a||HTTP/1.1 201 Created|Link: a|Content-Length: 0|"},
		"too much": {get, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1")
			if _, err := w.Write([]byte("ab")); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("Write beyond the length: got %v, want %v", err, http.ErrContentLength)
			}
			io.WriteString(w, "a")
		}, "200 OK|Content-Type: text/plain; charset=utf-8|Content-Length: 1||a"},
		"in parts": {get, func(w http.ResponseWriter, r *http.Request) {
			for _, s := range []string{"a", "bc"} {
				io.WriteString(w, s)
				http.NewResponseController(w).Flush()
			}
		}, "200 OK|Content-Type: text/plain; charset=utf-8|Transfer-Encoding: chunked||1;a;2;bc;0;;"},
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan struct{})
			s := serve(t, handler(func(w http.ResponseWriter, r *http.Request) { close(began); c.do(w, r) }))
			cl := s.dial(t)
			cl.send(c.send)
			<-began
			go s.Shutdown(t.Context())
			b, err := io.ReadAll(cl.r)
			if err != nil {
				t.Fatal(err)
			}
			got := string(b)
			i := strings.Index(got, "Date: ")
			if i < 0 {
				t.Fatalf("got %.200q, want a Date", got)
			}
			got = got[:i] + got[i+strings.Index(got[i:], "\r\n")+2:]
			if !strings.Contains(c.want, "Connection: ") {
				got = strings.Replace(got, "Connection: close\r\n", "", 1) // it is shutting down, or not yet
			}
			if !strings.HasPrefix(c.want, "HTTP/") {
				c.want = "HTTP/1.1 " + c.want
			}
			if want := strings.NewReplacer("|", "\r\n", ";a", "\r\na", ";2", "\r\n2", ";b", "\r\nb", ";0", "\r\n0", ";x", "\r\nx", ";;", "\r\n\r\n").Replace(c.want); !strings.HasPrefix(got, want) || len(got) > len(want)+2 {
				t.Errorf("got  %.300q\nwant %.300q", got, want)
			}
		})
	}
}

// set answers "ab" with headers.
func set(pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Set(pairs[i], pairs[i+1])
		}
		io.WriteString(w, "ab")
	}
}

// TestOneAfterAnother: requests share a connection, whether they come in turn, at once or in pieces.
func TestOneAfterAnother(t *testing.T) {
	cl := serve(t, handler(tell)).dial(t)
	const a, b = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
	const wantA, wantB = `POST /a h  "ab" <nil>`, `POST /b h  "c" <nil>`
	go func() {
		for range 100 {
			cl.send(a + b)
		}
		for _, c := range []byte(a + b) {
			cl.send(string(c))
		}
	}()
	for i := range 101 {
		if _, got := cl.answer("POST"); got != wantA {
			t.Fatalf("round %d: got %s, want %s", i, got, wantA)
		}
		if _, got := cl.answer("POST"); got != wantB {
			t.Fatalf("round %d: got %s, want %s", i, got, wantB)
		}
	}
}

// TestBodyLeft: what a handler leaves of a body is taken in when that is little, and ends the connection when it is much.
func TestBodyLeft(t *testing.T) {
	const next = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, c := range map[string]struct {
		send  string
		stays bool
	}{
		"little":            {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("a", 1000), true},
		"little, in chunks": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true},
		"much":              {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("a", 1000000), false},
		"much, in chunks":   {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("a", 0x10000)+"\r\n", 9) + "0\r\n\r\n", false},
		"announced only":    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", false},
		"malformed":         {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			cl := serve(t, handler(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "done") })).dial(t)
			go io.WriteString(cl, c.send+next)
			r, got := cl.answer("POST")
			if got != "done" || r.Close == c.stays {
				t.Errorf("got %q, close %v, want done, close %v", got, r.Close, !c.stays)
			}
			if c.stays {
				cl.answer("GET")
			}
		})
	}
}

func TestContinue(t *testing.T) {
	cl := serve(t, handler(tell)).dial(t)
	cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if line, err := cl.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" || err != nil {
		t.Fatalf("got %q, %v, want to be told to go on", line, err)
	}
	cl.r.ReadString('\n')
	cl.send("ab")
	if _, got := cl.answer("POST"); got != `POST / h  "ab" <nil>` {
		t.Errorf("got %s", got)
	}
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	s := handler(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("oh")
	})
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	srv := serve(t, s)
	for _, path := range []string{"/abort", "/"} {
		cl := srv.dial(t)
		cl.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		cl.gone()
	}
	srv.Shutdown(t.Context())
	if n := strings.Count(log.String(), "handler panicked"); n != 1 || !strings.Contains(log.String(), "panic=oh") {
		t.Errorf("log: got %s, want one panic", &log)
	}
}

// TestTime: who sends no head, or nothing more, is cut off; who waits for an answer is not.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := handler(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Hour); tell(w, r) })
		s.HeadPatience, s.IdlePatience = 10*time.Second, time.Minute
		srv := serve(t, s)
		ends := func(cl *client, after time.Duration) {
			t.Helper()
			began := time.Now()
			cl.gone()
			if took := time.Since(began); took < after || took > after+time.Second {
				t.Errorf("cut off after %v, want %v", took, after)
			}
		}
		ends(srv.dial(t), 10*time.Second)
		cl := srv.dial(t)
		cl.send("GET / HTTP/1.1\r\n")
		ends(cl, 10*time.Second)
		cl = srv.dial(t)
		cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
		time.Sleep(30 * time.Minute)
		cl.send("a")
		if _, got := cl.answer("POST"); got != `POST / h  "a" <nil>` {
			t.Errorf("got %s", got)
		}
		ends(cl, time.Minute)
		srv.Close()
	})
}

// TestClientReadsNot: an answer that nobody takes ends, and with it the connection; one that is taken slowly does not.
func TestClientReadsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			_, err := w.Write(make([]byte, 1<<20))
			ended <- err
		}))
		cl := srv.dial(t)
		cl.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		began := time.Now()
		if err := <-ended; err == nil || time.Since(began) > 2*time.Minute {
			t.Errorf("Write to a client that does not read: got %v after %v, want an error in a minute", err, time.Since(began))
		}
		cl = srv.dial(t)
		cl.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		for range 1 << 20 / (128 << 10) {
			time.Sleep(25 * time.Second)
			if _, err := io.ReadFull(cl.r, make([]byte, 128<<10)); err != nil {
				t.Fatalf("slow reading: got %v, want the answer", err)
			}
		}
		if _, err := io.CopyN(io.Discard, cl.r, 64); err != nil {
			t.Fatalf("slow reading: got %v, want the rest", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Write to a slow client: got %v, want nil", err)
		}
		srv.Close()
	})
}

// TestClientLeaves: its request's context ends; one that stays is not disturbed, and what it sends meanwhile is not lost.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			select {
			case <-r.Context().Done():
				ended <- r.Context().Err()
			case <-time.After(10 * time.Second):
			}
			fmt.Fprint(w, r.URL.Path)
		}))
		cl := srv.dial(t)
		cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na")
		time.Sleep(time.Second)
		cl.Close()
		began := time.Now()
		if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > time.Second {
			t.Errorf("context: got %v after %v, want its end at once", err, time.Since(began))
		}
		cl = srv.dial(t)
		cl.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(time.Second)
		go cl.send("GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
		for _, want := range []string{"/a", "/b"} {
			if _, got := cl.answer("GET"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		srv.Close()
	})
}

// TestReadDeadline: the handler's bounds the body, and is forgotten with the request.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
			tell(w, r)
		}))
		cl := srv.dial(t)
		cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na")
		cl.answer("POST")
		time.Sleep(5 * time.Second)
		cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
		if r, got := cl.answer("POST"); !strings.Contains(got, "timeout") || !r.Close {
			t.Errorf("got %s, close %v, want a timeout and the end", got, r.Close)
		}
		srv.Close()
	})
}

// TestShutdown: idle connections end at once, a running handler is waited for, and ctx bounds that.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Minute); tell(w, r) }))
		fresh, busy := srv.dial(t), srv.dial(t)
		busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown beside a handler: got %v, want %v", err, context.DeadlineExceeded)
		}
		fresh.gone()
		ended := make(chan error)
		go func() { ended <- srv.Shutdown(t.Context()) }()
		if r, _ := busy.answer("GET"); !r.Close {
			t.Error("the last answer does not say that it is")
		}
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: got %v, want nil", err)
		}
	})
}
