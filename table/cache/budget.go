package cache

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
)

// Budget bounds what several stores hold together: beyond it, what was not used for longest in any of them is forgotten.
// Safe for concurrent use.
type Budget struct {
	maxBytes int64
	used     atomic.Int64
	commits  atomic.Uint64 // of all stores: what was used is dated by it

	mu     sync.Mutex      // before a Store's mu
	stores map[*Store]bool // guarded by mu
}

// What is freed of a full budget at once, so that stores are compared once for many commits: a part, but no more than is
// forgotten within about a millisecond.
const (
	slackPart = 64
	slackMax  = 256 << 10
)

// NewBudget makes a budget, counted as Config.MaxBytes is.
func NewBudget(maxBytes int64) *Budget {
	return &Budget{maxBytes: maxBytes, stores: map[*Store]bool{}}
}

// Used is how many bytes are counted at the moment.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) enter(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stores[s] = true
}

// leave gives back what a store holds, once.
func (b *Budget) leave(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.stores[s] {
		delete(b.stores, s)
		b.used.Add(-s.used)
		s.closed = true
	}
}

// trim forgets what does not fit. The caller holds no store's mu.
func (b *Budget) trim() {
	if b.used.Load() <= b.maxBytes {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used.Load() <= b.maxBytes {
		return // somebody else has
	}
	low := b.maxBytes - min(b.maxBytes/slackPart, slackMax)
	list := make(ages, 0, len(b.stores))
	for s := range b.stores {
		list = append(list, age{s, s.recent.age()})
	}
	heap.Init(&list)
	for b.used.Load() > low && list[0].at != never {
		list[0].at = list[0].store.shed(list.second(), low)
		heap.Fix(&list, 0)
	}
}

// never is the age of a store that has nothing to forget.
const never = math.MaxUint64

// age says when what a store would forget next was used. It grows as long as the store is not empty.
type age struct {
	store *Store
	at    uint64
}

// ages is a heap: the oldest is first.
type ages []age

func (a ages) Len() int           { return len(a) }
func (a ages) Less(i, j int) bool { return a[i].at < a[j].at }
func (a ages) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ages) Push(x any)        { *a = append(*a, x.(age)) }
func (a *ages) Pop() any          { panic("cache: the heap of ages does not shrink") }

// second is the oldest age but for the first.
func (a ages) second() uint64 {
	at := uint64(never)
	for _, other := range a[1:min(3, len(a))] {
		at = min(at, other.at)
	}
	return at
}
