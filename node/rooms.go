package node

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Connections that the node holds at once. Each is an open file, and a node that runs out of those cannot write its store
// and ends; so clients get half of them, and the code in all sandboxes together a quarter.
const (
	filesFallback = 1024
	filesUsed     = 1 << 17 // more are not used: 64 Ki connections of clients are a gigabyte of buffers and stacks
	endpointConns = 1024    // of one sandbox: what one process of a function may open
)

// room counts connections up to a limit. Safe for concurrent use.
type room struct {
	max  int64
	open atomic.Int64
}

func (r *room) enter() bool {
	if r.open.Add(1) <= r.max {
		return true
	}
	r.leave()
	return false
}

func (r *room) leave() { r.open.Add(-1) }

// connectionRooms is what clients and what all sandboxes may hold of the files that the system lets this process open.
func connectionRooms() (clients, sandboxes *room) {
	files := int64(filesFallback)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		files = int64(min(limit.Cur, filesUsed))
	}
	return &room{max: files / 2}, &room{max: files / 4}
}

// How fast the code in one sandbox may open connections: so many at once, and then one every two milliseconds. More wait in
// the kernel. Whoever makes a new connection for each call stays below it.
const (
	endpointBurst = 1024
	endpointEvery = 2 * time.Millisecond
)

// pace spaces what comes faster. Not safe for concurrent use.
type pace struct {
	burst int
	every time.Duration // 0: no pace
	full  time.Time     // when all that came would have come, spaced
}

// wait returns how long to wait with what has come now.
func (p *pace) wait(now time.Time) time.Duration {
	if p.every == 0 {
		return 0
	}
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(p.every)
	return p.full.Sub(now) - time.Duration(p.burst)*p.every
}

// bounded is a listener that hangs up on connections for which there is no room. One goroutine accepts.
type bounded struct {
	net.Listener
	rooms []*room
	pace  pace
}

// Accept waits for a connection for which there is room in all rooms.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if wait := b.pace.wait(time.Now()); wait > 0 {
			time.Sleep(wait) // a few milliseconds
		}
		if b.enter() {
			return &visitor{Conn: c, b: b}, nil
		}
		_ = c.Close()
	}
}

func (b *bounded) enter() bool {
	for i, r := range b.rooms {
		if !r.enter() {
			for _, r := range b.rooms[:i] {
				r.leave()
			}
			return false
		}
	}
	return true
}

// visitor is a connection that leaves its rooms when it is closed.
type visitor struct {
	net.Conn
	b    *bounded
	once sync.Once
}

// NetConn is the connection itself.
func (v *visitor) NetConn() net.Conn { return v.Conn }

// Close closes the connection.
func (v *visitor) Close() error {
	v.once.Do(func() {
		for _, r := range v.b.rooms {
			r.leave()
		}
	})
	return v.Conn.Close()
}
