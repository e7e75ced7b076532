package pebble

import (
	"bytes"
	"cmp"
	"slices"
	"sync"

	"github.com/rouse-dev/rouse/kv"
)

// marksMax is how many marks are remembered; beyond it the oldest goes, which costs its range one walk over tombstones.
const marksMax = 4096

// marks remember where claimed ranges begin: no key lives in [from, low). Marks do not overlap.
//
// A walk is announced before its snapshot is taken and learns of every insert that was applied since; commits report
// inserts after they are applied and before they can be durable. So a mark never passes a key that anybody has seen.
type marks struct {
	mu    sync.Mutex
	all   []*mark // guarded by mu; ascending by from
	walks []*walk // guarded by mu; those on their way
	turn  uint64  // guarded by mu
}

type mark struct {
	from, low []byte
	used      uint64
}

// walk is one search for the first key of a range.
type walk struct {
	from  []byte // of the range
	start []byte // where the walk began
	to    []byte // of the range; nil: no end
	low   []byte // the first key found, or to; nil: nothing learnt
	below []byte // the lowest key inserted meanwhile; nil: none
}

// begin announces a walk over r and moves r.From to where its keys begin.
func (m *marks) begin(r *kv.Range) *walk {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &walk{from: bytes.Clone(r.From), to: r.To}
	if i, ok := m.find(r.From); ok {
		m.turn++
		m.all[i].used = m.turn
		r.From = m.all[i].low
	}
	w.start = r.From
	m.walks = append(m.walks, w)
	return w
}

// exhaust notes that the walk saw no key if reach has not been called.
func (w *walk) exhaust() {
	if w != nil && w.to != nil {
		w.reach(slices.MaxFunc([][]byte{w.start, w.to}, bytes.Compare))
	}
}

// reach notes the first live key.
func (w *walk) reach(key []byte) {
	if w != nil && w.low == nil {
		w.low = bytes.Clone(key)
	}
}

// end keeps what the walk has learnt.
func (m *marks) end(w *walk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.walks = slices.DeleteFunc(m.walks, func(o *walk) bool { return o == w })
	low := w.low
	if w.below != nil && (low == nil || bytes.Compare(w.below, low) < 0) {
		low = w.below
	}
	if low == nil || bytes.Compare(low, w.from) <= 0 {
		return
	}
	m.set(w.from, low)
}

// find is the place of the mark at from. The caller holds mu.
func (m *marks) find(from []byte) (int, bool) {
	return slices.BinarySearchFunc(m.all, from, func(k *mark, f []byte) int { return bytes.Compare(k.from, f) })
}

// set makes [from, low) a mark, cutting what overlaps it. The caller holds mu.
func (m *marks) set(from, low []byte) {
	i, ok := m.find(from)
	if !ok {
		m.all = slices.Insert(m.all, i, &mark{from: from})
	}
	m.turn++
	m.all[i].low, m.all[i].used = low, m.turn
	if i > 0 && bytes.Compare(m.all[i-1].low, from) > 0 {
		m.all[i-1].low = from
	}
	end := i + 1
	for end < len(m.all) && bytes.Compare(m.all[end].from, low) < 0 {
		end++
	}
	m.all = slices.Delete(m.all, i+1, end)
	if len(m.all) > marksMax {
		oldest := slices.MinFunc(m.all, func(a, b *mark) int { return cmp.Compare(a.used, b.used) })
		m.all = slices.DeleteFunc(m.all, func(k *mark) bool { return k == oldest })
	}
}

// lower tells of keys that a commit has inserted.
func (m *marks) lower(writes []write) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) == 0 && len(m.walks) == 0 {
		return
	}
	for _, w := range writes {
		if !w.delete {
			m.insert([]byte(w.key))
		}
	}
}

// insert tells of one key. The caller holds mu.
func (m *marks) insert(key []byte) {
	i, ok := m.find(key)
	if !ok {
		i--
	}
	if i >= 0 && bytes.Compare(key, m.all[i].low) < 0 {
		m.all[i].low = key
	}
	for _, w := range m.walks {
		if bytes.Compare(key, w.from) >= 0 && (w.below == nil || bytes.Compare(key, w.below) < 0) {
			w.below = key
		}
	}
}
