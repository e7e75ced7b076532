package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// What a connection does. New and idle ones may be closed at any time by others, by moving them to closed.
const (
	stateNew    = iota // nothing has come yet
	stateIdle          // between two requests
	stateHead          // a head is coming
	stateActive        // a handler runs
	stateClosed
)

const (
	bufferUsual  = 4 << 10
	headersUsual = 64                     // of a request, of an answer
	drainMax     = 256 << 10              // of a body that a handler leaves
	lingerFor    = 500 * time.Millisecond // that a client may read an answer for which it was not listening
	lingerMax    = 1 << 20
	drainFor     = 5 * time.Second
	interimFirst = "HTTP/1.1 100 Continue\r\n\r\n"
)

// conn is one connection. Its fields belong to the goroutine of serve, and while that runs the handler to the handler.
type conn struct {
	s      *Server
	net    net.Conn
	socket io.ReadWriter // net, for what has no other reader or writer
	half   halfCloser    // nil: it cannot be
	remote string
	req    http.Request // as it is read; its handler gets a copy with a context
	header http.Header  // of responses, cleared after each

	buf  []byte // buf[from:to] has come and was not taken
	from int
	to   int

	until time.Time // of reads, as the handler wishes; told to the socket when something is read
	armed bool      // the socket has a deadline

	state atomic.Int32
	since atomic.Int64 // in ticks

	writing atomic.Int64 // the tick after that in which the write under way began; 0: none is

	mu       sync.Mutex
	quiet    bool               // guarded by mu; the request has come whole, and nothing after it: who reads would wait
	watching chan struct{}      // guarded by mu; closed when the watch ends; nil: none
	cancel   context.CancelFunc // guarded by mu
	ahead    byte               // what the watch has read
	hasAhead bool
}

type halfCloser interface{ CloseWrite() error }

// conn is a new connection. Listeners may wrap theirs, if the same bytes pass inside, which they show by NetConn. tls.Conn
// shows its inside too, and cannot be served.
func (s *Server) conn(nc net.Conn) *conn {
	c := &conn{s: s, net: nc, socket: nc, remote: nc.RemoteAddr().String(), header: http.Header{}}
	under := nc
	for {
		w, ok := under.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		under = w.NetConn()
	}
	if direct := socketOf(under); direct != nil {
		c.socket = direct
	}
	c.half, _ = under.(halfCloser)
	c.since.Store(s.ticks.Load())
	return c
}

// enter goes on to a state; false when the connection was closed meanwhile.
func (c *conn) enter(from, to int32) bool {
	c.since.Store(c.s.ticks.Load())
	return c.state.CompareAndSwap(from, to)
}

// stuck reports whether the client takes nothing of its answer any more.
func (c *conn) stuck(now int64) bool {
	began := c.writing.Load()
	return began != 0 && now-began > ticksOf(takePatience, takePatience)
}

// serve serves requests until either side wants no more.
func (c *conn) serve() {
	defer c.s.remove(c)
	defer c.net.Close()
	ctx := context.Background()
	if c.s.ConnContext != nil {
		ctx = c.s.ConnContext(ctx, c.net)
	}
	state := int32(stateNew)
	for {
		if c.from == c.to {
			c.from, c.to = 0, 0
			if cap(c.buf) != bufferUsual {
				c.buf = make([]byte, bufferUsual)
			}
			if c.fill() != nil {
				return
			}
		}
		if !c.enter(state, stateHead) {
			return
		}
		b, err := c.request()
		if err != nil {
			c.refuse(err)
			return
		}
		if !c.enter(stateHead, stateActive) || !c.handle(ctx, b) {
			return
		}
		// In this order: who closes either finds it idle, or is seen here.
		if state = stateIdle; !c.enter(stateActive, stateIdle) || c.s.closing.Load() {
			return
		}
	}
}

// handle has a request answered, and reports whether another may follow.
func (c *conn) handle(ctx context.Context, b *body) (again bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := c.req.WithContext(ctx)
	c.req = http.Request{}
	c.mu.Lock()
	c.cancel, c.quiet = cancel, b == nil && c.from == c.to
	c.mu.Unlock()
	defer c.forget()
	w := &response{c: c, r: r, body: b, header: c.header, length: -1}
	c.call(w, r)
	if w.aborted {
		c.unwatch()
		w.release()
		return false
	}
	w.finish()
	if b != nil {
		_ = b.Close() // nothing to fail
	}
	c.unwatch() // no sooner: until here the body may come to its end, and be followed by a watch
	if b != nil && w.failed == nil && !b.done {
		c.linger()
	}
	c.until = time.Time{}
	return !w.close && w.failed == nil
}

// forget lets go of an answer's headers, and of the room that many of them took: a connection may be idle for long.
func (c *conn) forget() {
	if len(c.header) > headersUsual {
		c.header = http.Header{}
	}
	clear(c.header)
}

// call runs the handler. A panic ends the connection, and is logged unless it is http.ErrAbortHandler.
func (c *conn) call(w *response, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		w.aborted = true
		if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			c.s.logger().Error("handler panicked", "client", c.remote, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if r.RequestURI == "*" {
		w.Header().Set("Content-Length", "0") // of the server as such there is nothing to say
		return
	}
	c.s.Handler.ServeHTTP(w, r)
}

// settled is called when a request's body has come whole. Its deadline ends with it: the watch would end by that.
func (c *conn) settled() {
	if c.armed {
		_ = c.net.SetReadDeadline(time.Time{})
		c.armed = false
	}
	c.mu.Lock()
	c.quiet = c.from == c.to
	c.mu.Unlock()
}

// watch has somebody see whether the client leaves, if nothing else is to be read. The sweep calls it.
func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.quiet || c.watching != nil {
		return
	}
	c.watching = make(chan struct{})
	go c.look(c.watching, c.cancel)
}

// look reads one byte, which is the next request's first, and cancels the request when there will be none.
func (c *conn) look(done chan struct{}, cancel context.CancelFunc) {
	defer close(done)
	var b [1]byte
	n, err := c.net.Read(b[:])
	if n == 1 {
		c.ahead, c.hasAhead = b[0], true
	}
	var e net.Error
	if err != nil && (!errors.As(err, &e) || !e.Timeout()) {
		cancel()
	}
}

// unwatch ends the watch.
func (c *conn) unwatch() {
	c.mu.Lock()
	c.quiet = false
	done := c.watching
	c.watching = nil
	c.mu.Unlock()
	if done != nil {
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
		<-done
		_ = c.net.SetReadDeadline(time.Time{})
		c.armed = false
	}
}

// Read reads from the socket, after what the watch has read.
func (c *conn) Read(p []byte) (int, error) {
	if c.hasAhead {
		c.hasAhead = false
		p[0] = c.ahead
		return 1, nil
	}
	if c.armed || !c.until.IsZero() {
		if err := c.net.SetReadDeadline(c.until); err != nil {
			return 0, err
		}
		c.armed = !c.until.IsZero()
	}
	return c.socket.Read(p)
}

// fill reads more into the buffer, which has room.
func (c *conn) fill() error {
	n, err := c.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// take reads what has come already, or else from the socket.
func (c *conn) take(p []byte) (int, error) {
	if c.from == c.to {
		if len(p) >= len(c.buf) {
			return c.Read(p)
		}
		c.from, c.to = 0, 0
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.from:c.to])
	c.from += n
	return n, nil
}

// linger lets a client that is still sending read the answer: closing at once would throw it away (RFC 9112 §9.6).
func (c *conn) linger() {
	if c.half == nil || c.half.CloseWrite() != nil {
		return
	}
	if c.until = time.Now().Add(lingerFor); c.net.SetReadDeadline(c.until) == nil {
		_, _ = io.CopyN(io.Discard, c.net, lingerMax)
	}
}

// refuse answers a request that could not be read.
func (c *conn) refuse(err error) {
	var bad *badRequest
	if !errors.As(err, &bad) {
		return // the client is gone
	}
	c.s.logger().Debug("request refused", "client", c.remote, "err", err)
	text := fmt.Sprintf("%d %s", bad.status, http.StatusText(bad.status))
	_, err = fmt.Fprintf(c.net, "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s: %s", text, text, bad.why)
	if err == nil {
		c.linger()
	}
}
