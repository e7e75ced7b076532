package pebble

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/kv"
)

// stripeCount is how many stripes keys are hashed to; a power of two. Some 450 KiB in all.
const stripeCount = 8192

// stripes are the locks and the versions of all keys.
type stripes struct {
	seed maphash.Seed
	all  []stripe
}

func (s *stripes) init() { s.seed, s.all = maphash.MakeSeed(), make([]stripe, stripeCount) }

func (s *stripes) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *stripes) of(hash uint64) *stripe { return &s.all[hash%stripeCount] }

// stripe is a fair shared/exclusive lock: first come, first served, whatever the kind.
type stripe struct {
	version atomic.Uint64 // the last commit that wrote to it; stored before that commit becomes visible

	mu      sync.Mutex
	readers int       // guarded by mu
	writer  bool      // guarded by mu
	queue   []*waiter // guarded by mu
}

// waiter stands in a stripe's queue. granted is closed by whoever hands it the lock.
type waiter struct {
	exclusive bool
	granted   chan struct{}
}

// free reports whether the lock can be had at once, queue aside. The caller holds mu.
func (s *stripe) free(exclusive bool) bool { return !s.writer && (!exclusive || s.readers == 0) }

// take takes the lock. The caller holds mu and knows that it is free.
func (s *stripe) take(exclusive bool) {
	if exclusive {
		s.writer = true
	} else {
		s.readers++
	}
}

// try takes the lock if nobody stands in the way, waiting ones included.
func (s *stripe) try(exclusive bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 || !s.free(exclusive) {
		return false
	}
	s.take(exclusive)
	return true
}

// upgrade makes the caller's shared lock exclusive if it is the only one.
func (s *stripe) upgrade() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers != 1 {
		return false
	}
	s.readers, s.writer = 0, true
	return true
}

// acquire takes the lock, waiting for its turn.
func (s *stripe) acquire(ctx context.Context, exclusive bool, dead <-chan struct{}) error {
	s.mu.Lock()
	if len(s.queue) == 0 && s.free(exclusive) {
		s.take(exclusive)
		s.mu.Unlock()
		return nil
	}
	w := &waiter{exclusive: exclusive, granted: make(chan struct{})}
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	var err error
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-dead:
		err = kv.ErrClosed
	}
	s.mu.Lock()
	if i := slices.Index(s.queue, w); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		s.grant() // it may have stood before some that can go on
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	s.release(exclusive) // granted meanwhile
	return err
}

func (s *stripe) release(exclusive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if exclusive {
		s.writer = false
	} else {
		s.readers--
	}
	s.grant()
}

// grant hands the lock to the head of the queue, and on while it can. The caller holds mu.
func (s *stripe) grant() {
	n := 0
	for n < len(s.queue) && s.free(s.queue[n].exclusive) {
		s.take(s.queue[n].exclusive)
		close(s.queue[n].granted)
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// holding is a set of stripes of one transaction, and which of them it has locked how.
type holding struct {
	stripes *stripes
	want    map[uint64]bool // stripe → exclusive, known from the attempts before
	held    map[uint64]bool // stripe → exclusive, locked now
}

// lockWanted locks what is wanted, in ascending order, so that two of its kind never wait for each other.
func (h *holding) lockWanted(ctx context.Context, dead <-chan struct{}) error {
	order := make([]uint64, 0, len(h.want))
	for i := range h.want {
		order = append(order, i)
	}
	slices.Sort(order)
	for _, i := range order {
		if err := h.stripes.all[i].acquire(ctx, h.want[i], dead); err != nil {
			h.release()
			return err
		}
		h.held[i] = h.want[i]
	}
	return nil
}

// lockTouched locks what the attempt has touched beyond what is held, without waiting, and reports whether all of it
// could be had. Waiting here would be out of order.
func (h *holding) lockTouched(touched map[uint64]bool) bool {
	for i, exclusive := range touched {
		was, ok := h.held[i]
		switch {
		case ok && (was || !exclusive):
			continue
		case ok && !h.stripes.all[i].upgrade():
			return false
		case !ok && !h.stripes.all[i].try(exclusive):
			return false
		}
		h.held[i] = exclusive
	}
	return true
}

// learn adds what an attempt has touched to what the next one locks first.
func (h *holding) learn(touched map[uint64]bool) {
	for i, exclusive := range touched {
		h.want[i] = h.want[i] || exclusive
	}
}

func (h *holding) release() {
	for i, exclusive := range h.held {
		h.stripes.all[i].release(exclusive)
	}
	clear(h.held)
}
