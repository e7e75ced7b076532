package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the part of http.Server that a node needs, with the same meaning of each field. Serve may be called for several
// listeners. Safe for concurrent use.
type Server struct {
	Handler http.Handler
	// HeadPatience is how long a head may take, from its first byte, or from the beginning for a connection's first. 0: 10 s.
	HeadPatience time.Duration
	// IdlePatience is how long a connection is kept between requests. 0: 2 minutes.
	IdlePatience time.Duration
	// HeadMax is how many bytes a head may have; longer ones are answered with 431. 0: 64 KiB.
	HeadMax int
	// ConnContext makes the context of a connection's requests. nil: they have no values.
	ConnContext func(context.Context, net.Conn) context.Context
	// Logger takes panics of handlers (error) and what clients do wrong (debug). nil: nowhere.
	Logger *slog.Logger

	mu        sync.Mutex
	listeners map[net.Listener]struct{} // guarded by mu
	conns     map[*conn]struct{}        // guarded by mu
	empty     chan struct{}             // guarded by mu; closed when the last connection ends; nil: there is none
	closing   atomic.Bool
	ticks     atomic.Int64 // sweeps so far: the clock of patience
	date      atomic.Pointer[date]
}

const (
	headPatience = 10 * time.Second
	idlePatience = 2 * time.Minute
	takePatience = time.Minute // for each 256 KiB of an answer: who reads more slowly than that holds a connection for nothing
	headMax      = 64 << 10
	tick         = 250 * time.Millisecond
	acceptRetry  = 50 * time.Millisecond
)

// Serve serves the listener's connections until it fails or the server is closed: then it returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closing.Load() {
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	if s.listeners == nil {
		s.listeners, s.conns = map[net.Listener]struct{}{}, map[*conn]struct{}{}
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.closing.Load() {
				return http.ErrServerClosed
			}
			var e net.Error
			if errors.As(err, &e) && e.Temporary() { //nolint:staticcheck // what else says "no descriptors are left just now"?
				s.logger().Warn("accept", "err", err)
				time.Sleep(acceptRetry)
				continue
			}
			return err
		}
		c := s.conn(nc)
		if !s.add(c) {
			_ = nc.Close()
			return http.ErrServerClosed
		}
		go c.serve()
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	if s.empty == nil {
		s.empty = make(chan struct{})
		go s.sweep(s.empty)
	}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

// sweep looks at all connections again and again, until there are none.
func (s *Server) sweep(empty chan struct{}) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.look(s.ticks.Add(1))
		case <-empty:
			return
		}
	}
}

// look closes the connections whose patience is at its end, and has those watched whose handler takes its time.
func (s *Server) look(now int64) {
	head, idle := ticksOf(s.HeadPatience, headPatience), ticksOf(s.IdlePatience, idlePatience)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		st := c.state.Load() // before its age: an idle connection's must not be held against a head that has just begun
		age := now - c.since.Load()
		switch {
		case st == stateIdle && age > idle, (st == stateNew || st == stateHead) && age > head:
			if c.state.CompareAndSwap(st, stateClosed) {
				_ = c.net.Close()
			}
		case st == stateActive && c.stuck(now):
			_ = c.net.Close()
		case st == stateActive && age > 0, st == stateClosed: // whose watch ends at once
			c.watch()
		}
	}
}

func ticksOf(d, usual time.Duration) int64 {
	if d <= 0 {
		d = usual
	}
	return int64((d + tick - 1) / tick)
}

// Shutdown closes the listeners and the connections that are idle, and waits until the others have answered, or for ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	err := s.stop()
	for c := range s.conns {
		if c.state.CompareAndSwap(stateIdle, stateClosed) || c.state.CompareAndSwap(stateNew, stateClosed) {
			_ = c.net.Close()
		}
	}
	empty := s.empty
	s.mu.Unlock()
	if empty == nil {
		return err
	}
	select {
	case <-empty:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the listeners and all connections, which cancels their requests, and does not wait for handlers.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.stop()
	for c := range s.conns {
		c.state.Store(stateClosed)
		_ = c.net.Close()
	}
	return err
}

// stop closes the listeners. The caller holds mu.
func (s *Server) stop() error {
	s.closing.Store(true)
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// date is the Date of answers given in one second.
type date struct {
	second int64
	text   string
}

func (s *Server) now() string {
	t := time.Now()
	d := s.date.Load()
	if d == nil || d.second != t.Unix() {
		d = &date{t.Unix(), t.UTC().Format(http.TimeFormat)}
		s.date.Store(d)
	}
	return d.text
}
