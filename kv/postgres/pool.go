package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// pool lends sessions, at most max at a time, first come first served. Safe for concurrent use.
type pool struct {
	max     int
	connect func(context.Context) (*session, error)

	mu     sync.Mutex
	open   int             // guarded by mu: sessions that exist or are being made
	idle   []*session      // guarded by mu: the last one returned is the first one lent
	queue  []chan *session // guarded by mu: who waits; nil handed over: the receiver may make one
	closed bool            // guarded by mu
}

// borrow lends a session.
func (p *pool) borrow(ctx context.Context) (*session, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, kv.ErrClosed
	}
	now := time.Now()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if now.Before(c.expires) {
			p.mu.Unlock()
			return c, nil
		}
		p.open--
		c.close()
	}
	if p.open < p.max {
		p.open++
		p.mu.Unlock()
		return p.make(ctx)
	}
	turn := make(chan *session, 1)
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	select {
	case c := <-turn:
		if c == nil {
			return p.make(ctx)
		}
		return c, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.queue, turn)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // lent meanwhile
		if c := <-turn; c != nil {
			p.giveBack(c)
		} else {
			p.lose()
		}
	}
	return nil, ctx.Err()
}

// make makes a session that is counted already.
func (p *pool) make(ctx context.Context) (*session, error) {
	c, err := p.connect(ctx)
	if err != nil {
		p.lose()
		return nil, err
	}
	return c, nil
}

// lose takes a session out of the count and lets the next in the queue make another.
func (p *pool) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 {
		p.queue[0] <- nil
		p.queue = p.queue[1:]
		return
	}
	p.open--
}

// giveBack ends a loan. A Sync that is still owed rides along with the next loan's first request if somebody waits for one;
// else it is sent now. Nobody waits for the answer to it.
func (p *pool) giveBack(c *session) {
	if c.locked { // its locks go with it
		c.dead = true
	}
	p.mu.Lock()
	fit := !c.dead && !p.closed && time.Now().Before(c.expires)
	if fit && len(p.queue) > 0 {
		p.queue[0] <- c
		p.queue = p.queue[1:]
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	if fit && c.open {
		c.net.SetDeadline(time.Now().Add(flushMax))
		c.sync()
		fit = c.flush() == nil
	}
	if !fit {
		c.close()
		p.lose()
		return
	}
	p.mu.Lock()
	if len(p.queue) > 0 {
		p.queue[0] <- c
		p.queue = p.queue[1:]
	} else if p.closed {
		c.close()
		p.open--
	} else {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
}

// flushMax bounds the sending of a few bytes to a server that takes them at once.
const flushMax = 5 * time.Second

// waiting is how many wait for a session.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

// drop closes what is idle: after one session was found dead the others are not better.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
	p.open -= len(p.idle)
	p.idle = nil
}

// close ends all sessions. Nobody borrows any more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
}
