package postgres

import (
	"sync"
	"time"
)

// clock follows the server's. It is sampled; in between the process's own monotonic clock carries it on, a little slowly, so
// that it is never ahead of the server's, and a node that comes after this one has nothing to catch up with. Where the server's
// clock was set back it goes on slowly until they meet.
type clock struct {
	mu   sync.Mutex
	base time.Time // guarded by mu: what the server's clock showed at the earliest
	at   time.Time // guarded by mu: when, by this process's clock
	last time.Time // guarded by mu: the latest answer
	read time.Time // guarded by mu: when it was given
}

// driftPart is how much of the time between samples is left out: more than what two clocks of computers part.
const driftPart = 2000

// estimate is the server's time at t. The caller holds mu.
func (c *clock) estimate(t time.Time) time.Time {
	d := t.Sub(c.at)
	return c.base.Add(d - d/driftPart)
}

// sample notes that the server's clock showed t between sent and received.
func (c *clock) sample(t, sent, received time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	low, high := t, t.Add(received.Sub(sent))
	if c.at.IsZero() {
		c.base, c.at = low, received
		return
	}
	base := c.estimate(received)
	if base.Before(low) || base.After(high) {
		base = low
	}
	c.base, c.at = base, received
}

// floor makes the clock begin no earlier than t.
func (c *clock) floor(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.last) {
		c.last, c.read = t, time.Now()
	}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := time.Now()
	next := c.estimate(r)
	if elapsed := r.Sub(c.read); !c.last.IsZero() {
		if steady := c.last.Add(elapsed - elapsed/10); steady.After(next) {
			next = steady
		}
	}
	c.last, c.read = next, r
	return next
}
