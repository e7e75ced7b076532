package pebble

import (
	"sync"
	"time"
)

// clock follows the process's clock where that goes forward and the monotonic one where it does not: it neither goes back
// nor stands still when somebody sets the time. Across restarts it begins no earlier than what the last commit reserved.
type clock struct {
	wall func() time.Time

	mu   sync.Mutex
	last time.Time // guarded by mu: the latest answer
	read time.Time // guarded by mu: the reading behind it, with its monotonic part
}

// reserveAhead is how far the clock's reservation on disk runs ahead of it: at most ten renewals a second, and after a
// restart at most this much ahead of the wall.
const reserveAhead = 100 * time.Millisecond

func (c *clock) init(wall func() time.Time, from time.Time) {
	c.wall, c.read = wall, wall()
	c.last = c.read.Round(0).UTC()
	if from.After(c.last) {
		c.last = from
	}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.wall()
	next := r.Round(0).UTC()
	// Sub uses the monotonic parts where both have one. Without, a step back counts as no time. Being ahead of the wall,
	// the clock goes a tenth slower until they meet, else every restart could add to its lead.
	elapsed := max(0, r.Sub(c.read))
	if steady := c.last.Add(elapsed - elapsed/10); steady.After(next) {
		next = steady
	}
	c.last, c.read = next, r
	return next
}
