package pebble

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/kv"
)

// How many versions and locks keys are hashed to, powers of two. Versions are many, because a thousand transactions at
// once, each overtaken by the others, would else lose to strangers: at 8,192 half of them did. Together 900 KiB, of which
// an idle store touches little.
const (
	versionCount = 1 << 16
	stripeCount  = 1 << 13
)

// stripes are the locks and the versions of all keys.
type stripes struct {
	seed     maphash.Seed
	versions []atomic.Uint64 // the last commit that wrote to it; stored before that commit becomes visible
	all      []stripe
}

func (s *stripes) init() {
	s.seed = maphash.MakeSeed()
	s.versions = make([]atomic.Uint64, versionCount)
	s.all = make([]stripe, stripeCount)
}

func (s *stripes) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *stripes) version(hash uint64) uint64 { return s.versions[hash%versionCount].Load() }

func (s *stripes) wrote(hash, commit uint64) { s.versions[hash%versionCount].Store(commit) }

// stripe is a fair shared/exclusive lock: first come, first served, whatever the kind.
type stripe struct {
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

// open reports whether nobody but the caller holds the lock or waits for it; the caller holds it shared or not at all.
func (s *stripe) open(heldShared bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := s.readers
	if heldShared {
		others--
	}
	return !s.writer && others == 0 && (heldShared || len(s.queue) == 0)
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

// mayWrite reports whether nobody else has a claim on a stripe that is about to be written: those who locked it rely on
// it to stay. The caller holds the commit lock, and so needs no lock on the stripe itself.
func (h *holding) mayWrite(i uint64) bool {
	exclusive, held := h.held[i]
	return exclusive || h.stripes.all[i].open(held)
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
