package catalog

import (
	"hash/maphash"
	"sync/atomic"
)

// shards of a shelf. A change copies one of them: with 10,000 functions some 20 entries.
const shards = 512

// shelf is a map whose readers take no lock and allocate nothing. Writers are one at a time, by the caller's care.
type shelf[K comparable, V any] struct {
	seed  maphash.Seed
	slots *[shards]atomic.Pointer[map[K]V]
}

func newShelf[K comparable, V any]() shelf[K, V] {
	return shelf[K, V]{seed: maphash.MakeSeed(), slots: new([shards]atomic.Pointer[map[K]V])}
}

func (s shelf[K, V]) slot(k K) *atomic.Pointer[map[K]V] {
	return &s.slots[maphash.Comparable(s.seed, k)%shards]
}

func (s shelf[K, V]) get(k K) (v V, ok bool) {
	if m := s.slot(k).Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// set replaces the value of k, or removes it when keep is false.
func (s shelf[K, V]) set(k K, v V, keep bool) {
	p := s.slot(k)
	old := p.Load()
	if old == nil {
		old = new(map[K]V)
	}
	if _, had := (*old)[k]; !had && !keep {
		return
	}
	m := make(map[K]V, len(*old)+1)
	for ok, ov := range *old {
		m[ok] = ov
	}
	if keep {
		m[k] = v
	} else {
		delete(m, k)
	}
	p.Store(&m)
}

// all visits every entry, in no order. What changes meanwhile is seen or not.
func (s shelf[K, V]) all(yield func(K, V) bool) {
	for i := range s.slots {
		m := s.slots[i].Load()
		if m == nil {
			continue
		}
		for k, v := range *m {
			if !yield(k, v) {
				return
			}
		}
	}
}
