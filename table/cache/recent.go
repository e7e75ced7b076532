package cache

import (
	"sync"
	"sync/atomic"
)

// recent is the owners' cells in the order of their last use: a ring around a cell that stands for both ends.
type recent struct {
	clock *atomic.Uint64
	mu    sync.Mutex
	ring  cell // guarded by mu: ring.older is the newest, ring.newer the oldest
}

func (r *recent) init(clock *atomic.Uint64) {
	r.clock, r.ring.newer, r.ring.older = clock, &r.ring, &r.ring
}

// add makes c the newest.
func (r *recent) add(c *cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link(c)
}

// use makes c the newest if it is there: a snapshot may have what is forgotten already.
func (r *recent) use(c *cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.newer != nil {
		unlink(c)
		r.link(c)
	}
}

// drop takes c out, if it is there.
func (r *recent) drop(c *cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.newer != nil {
		unlink(c)
	}
}

// oldest is the cell that was not used for longest; nil: there is none.
func (r *recent) oldest() *cell {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.ring.newer; c != &r.ring {
		return c
	}
	return nil
}

// age is when the oldest cell was used.
func (r *recent) age() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.ring.newer; c != &r.ring {
		return c.at
	}
	return never
}

// link makes c the newest. The caller holds mu.
func (r *recent) link(c *cell) {
	c.at = r.clock.Load()
	c.newer, c.older = &r.ring, r.ring.older
	c.older.newer = c
	r.ring.older = c
}

// unlink takes c out of the ring. The caller holds the ring's mu.
func unlink(c *cell) {
	c.newer.older, c.older.newer = c.older, c.newer
	c.newer, c.older = nil, nil
}
