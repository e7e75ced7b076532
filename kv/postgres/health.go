package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// health knows whether the server answers, and tells of changes once.
type health struct {
	s    *Store
	mu   sync.Mutex
	away error     // guarded by mu: why it does not
	when time.Time // guarded by mu: since when
}

func (h *health) init(s *Store) { h.s = s }

// lost notes that a connection was lost or could not be made.
func (h *health) lost(err error) {
	h.mu.Lock()
	first := h.away == nil
	if first {
		h.when = time.Now()
	}
	h.away = err
	h.mu.Unlock()
	if first {
		h.s.log.Warn("store away", "schema", h.s.cfg.Schema, "err", err)
	}
}

// found notes that a connection was made.
func (h *health) found() {
	h.mu.Lock()
	was, when := h.away, h.when
	h.away = nil
	h.mu.Unlock()
	if was != nil {
		h.s.log.Info("store back", "schema", h.s.cfg.Schema, "after", time.Since(when).Round(time.Millisecond))
	}
}

// Health is nil while the server answers, else why it does not.
func (s *Store) Health() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.away == nil {
		return nil
	}
	return fmt.Errorf("kv: store away since %s: %w", s.health.when.UTC().Format(time.RFC3339), s.health.away)
}

// Waits between two tries to reach a server that is away.
const (
	retryFirst = 10 * time.Millisecond
	retryMost  = time.Second
)

// patience is how long one call waits for the server.
type patience struct {
	until time.Time
	wait  time.Duration
	sleep func(time.Duration) bool // false: the call is over
	lost  func(error)
}

func (s *Store) patience(ctx context.Context) *patience {
	return &patience{wait: retryFirst, lost: s.dropAll, until: time.Now().Add(s.cfg.Patience), sleep: func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-s.gate.Closing():
			return false
		case <-time.After(d):
			return true
		}
	}}
}

// again reports whether what failed by err may be tried again, after a little while.
func (p *patience) again(err error) bool {
	if !errors.Is(err, errLost) && !away(err) {
		return false
	}
	p.lost(err)
	if time.Now().After(p.until) || !p.sleep(p.wait) {
		return false
	}
	p.wait = min(p.wait*2, retryMost)
	return true
}

// dropAll forgets the idle connections: the server that they led to is gone.
func (s *Store) dropAll(err error) {
	if away(err) {
		s.health.lost(err)
	}
	s.readers.drop()
	s.writers.drop()
}

// away reports whether a connection could not be made for a reason that may pass: no server, one that starts or stops, a
// standby that is not promoted yet, no room for another connection.
func away(err error) bool {
	switch c := code(err); {
	case strings.HasPrefix(c, "57P"), strings.HasPrefix(c, "08"), c == "53300", c == "25006", c == "55000":
		return true
	case c != "":
		return false
	}
	var n net.Error
	return errors.Is(err, errConnect) || errors.As(err, &n)
}

// errConnect marks that no server could be reached.
var errConnect = errors.New("cannot connect")

// plainly is an error of a connection in words that an operator can act on, without the URL.
func plainly(err error) error {
	var ce *pgconn.ConnectError
	if !errors.As(err, &ce) {
		return err
	}
	var hint string
	switch code(err) {
	case "28P01", "28000":
		hint = "the server refuses the user or the password"
	case "3D000":
		hint = "there is no such database; make it with createdb"
	case "53300":
		hint = "the server has no connection left: raise its max_connections, or lower readers and writers"
	case "":
		hint = "no server answers there"
	default:
		return fmt.Errorf("%w: %w", errConnect, err)
	}
	return fmt.Errorf("%s: %w: %w", hint, errConnect, err)
}

// cancel asks the server to stop what it does for a session.
func (s *Store) cancel(c *session) {
	to := c.net.RemoteAddr()
	conn, err := net.DialTimeout(to.Network(), to.String(), flushMax)
	if err != nil {
		return // the session's own deadline will do
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(flushMax))
	b, err := (&pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.secret}).Encode(nil)
	if err != nil {
		return
	}
	if _, err := conn.Write(b); err == nil {
		conn.Read(make([]byte, 1)) // the server hangs up when it is done
	}
}

// patient makes a session's request, a commit, bounded by ctx in a way that leaves its outcome known: the server is asked to
// stop, which it does where it waits for locks and not once it commits. A session that was told so is not used again: the
// message may come late and hit the next request.
func (c *session) patient(ctx context.Context, cancel func(*session)) (stop func()) {
	c.net.SetDeadline(time.Now().Add(commitMax))
	if ctx.Done() == nil {
		return func() {}
	}
	undo := context.AfterFunc(ctx, func() {
		c.net.SetDeadline(time.Now().Add(unknownAfter))
		cancel(c)
	})
	return func() {
		if !undo() {
			c.dead = true
		}
	}
}
