// Package cache is an ordered transactional store in memory, within a bound: what does not fit is forgotten, least
// recently used first. The engine keeps the items of cache tables in it instead of in kv.
//
// # Ideas
//
// The keys stand in a treap, a balanced search tree whose nodes are never changed: a write copies the path from the root
// down, some dozens of nodes. So a View is a pointer to a root. It costs nothing to take, sees one moment for as long as
// it lives, and neither waits for writers nor holds them up.
//
//	root at commit 7        root at commit 8
//	       (k)                 (k')
//	      /   \               /    \
//	    (d)   (r) ◀──────────+     (d')       shared: all that was not on the path
//	                              /    \
//	                            (a)    (f*)
//
// Update runs its function under one lock, so that transactions follow each other and never conflict.
//
// Some keys own others: an item owns its index entries and its place among those that expire. Config.Owner says which
// keys are owners; only they are counted as used, by point reads and writes, and only they are forgotten, each together
// with all that Config.Evict says belongs to it and in one step, so that nobody ever sees an entry without its item.
//
// # Promises
//
// View and Update are as package kv says: strictly serialisable, and reads of one call are of one moment. Keys and values
// are bounded as there. After each Update the bytes in use, with an allowance for the tree, are within the bound.
//
// Stores that share a Budget are within it together, too, as soon as their running Updates have returned. As long as there
// is room each has its own bound; then they are one: what was not used for longest in any of them is forgotten first.
//
// What it does not promise is the point of it: nothing is on disk, anything may be forgotten at any time, also what was
// written a moment ago, and nothing is left after a restart. There are no logs.
package cache

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// Overhead is how many bytes an entry is counted as besides its key and value.
const Overhead = 128

// ErrNoLogs is the error of a transaction that appends to a log.
var ErrNoLogs = errors.New("cache: a store in memory has no logs")

// Config of a Store.
type Config struct {
	MaxBytes int64            // of keys and values, in the blocks that memory has, and Overhead; required
	Now      func() time.Time // required; it does not go back
	Budget   *Budget          // of this and other stores; nil: MaxBytes alone

	// Owner says whether a key stands for itself. Nil: every key does.
	Owner func(key []byte) bool
	// Evict is told that an owner is forgotten, and answers with the keys that go with it. It must not call the Store. Nil:
	// none do.
	Evict func(key, value []byte) [][]byte
}

// Store is safe for concurrent use.
type Store struct {
	cfg  Config
	root atomic.Pointer[node] // what is committed

	mu     sync.Mutex // held by Update and Claim, from beginning to end; after the budget's
	used   int64      // guarded by mu
	closed bool       // guarded by mu: not in the budget any more

	recent recent
}

// New makes an empty store. One with a budget must be closed.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg}
	if s.cfg.Budget == nil {
		s.cfg.Budget = NewBudget(math.MaxInt64)
	}
	s.recent.init(&s.cfg.Budget.commits)
	s.cfg.Budget.enter(s)
	return s
}

// Close gives back to the budget what the store holds. Nobody may need the store any more; calls that still run do no harm.
func (s *Store) Close() { s.cfg.Budget.leave(s) }

// Used is how many bytes are counted at the moment.
func (s *Store) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Now is the clock.
func (s *Store) Now() time.Time { return s.cfg.Now() }

// View runs fn on one snapshot.
func (s *Store) View(ctx context.Context, fn func(kv.View) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(&view{s, s.root.Load()})
}

// Update runs fn, once, and commits unless it fails.
func (s *Store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.cfg.Budget.trim()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update(fn)
}

// update is Update without the budget's bound. The caller holds mu.
func (s *Store) update(fn func(kv.Tx) error) error {
	t := &tx{view: view{s, s.root.Load()}, now: s.cfg.Now()}
	if err := fn(t); err != nil {
		return err
	}
	if t.err != nil {
		return t.err
	}
	s.commit(t)
	return nil
}

// Claim takes up to limit of the first keys of r, deletes them, and runs fn in the same transaction. fn does not run when
// there are none.
func (s *Store) Claim(ctx context.Context, r kv.Range, limit int, fn func(kv.Tx, []kv.Pair) error) (pairs []kv.Pair, err error) {
	if err := ctx.Err(); err != nil || limit < 1 {
		return nil, err
	}
	defer s.cfg.Budget.trim()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := view{s, s.root.Load()}
	for p := range v.Scan(r, limit) {
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	err = s.update(func(t kv.Tx) error {
		for _, p := range pairs {
			t.Delete(p.Key)
		}
		return fn(t, pairs)
	})
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// commit makes the writes of t visible and forgets what does not fit any more. The caller holds mu.
func (s *Store) commit(t *tx) {
	s.cfg.Budget.commits.Add(1)
	s.change(func(root *node) *node {
		for _, w := range t.writes {
			if w.value == nil {
				root = s.remove(root, w.key)
			} else {
				root = s.set(root, w.key, w.value)
			}
		}
		for s.used > s.cfg.MaxBytes {
			c := s.recent.oldest()
			if c == nil {
				break
			}
			root = s.forget(root, c)
		}
		return root
	})
}

// shed forgets what was used at until or before, least recently used first, while the budget holds more than low. It answers
// the age of what is left.
func (s *Store) shed(until uint64, low int64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.cfg.Budget.used.Load() > low && s.recent.age() <= until {
		c := s.recent.oldest()
		if c == nil {
			break
		}
		s.change(func(root *node) *node { return s.forget(root, c) })
	}
	return s.recent.age()
}

// change puts the tree that fn makes in the place of the one that is there, and tells the budget. The caller holds mu.
func (s *Store) change(fn func(root *node) *node) {
	was := s.used
	s.root.Store(fn(s.root.Load()))
	if !s.closed {
		s.cfg.Budget.used.Add(s.used - was)
	}
}

// forget is the tree without an owner and what goes with it.
func (s *Store) forget(root *node, c *cell) *node {
	if s.cfg.Evict != nil {
		for _, key := range s.cfg.Evict(c.key, c.value) {
			root = s.remove(root, key)
		}
	}
	return s.remove(root, c.key)
}

func (s *Store) set(root *node, key, value []byte) *node {
	c := newCell(key, value)
	root, old := insert(root, c)
	if old != nil {
		s.used -= old.size()
		s.recent.drop(old)
	}
	s.used += c.size()
	if s.cfg.Owner == nil || s.cfg.Owner(key) {
		s.recent.add(c)
	}
	return root
}

func (s *Store) remove(root *node, key []byte) *node {
	root, old := remove(root, key)
	if old != nil {
		s.used -= old.size()
		s.recent.drop(old)
	}
	return root
}

// view is a kv.View.
type view struct {
	s    *Store
	root *node
}

func (v *view) Get(key []byte) (value []byte, ok bool, err error) {
	if len(key) > kv.KeyMax {
		return nil, false, kv.ErrTooLarge
	}
	c := find(v.root, key)
	if c == nil {
		return nil, false, nil
	}
	v.s.recent.use(c)
	return append(make([]byte, 0, len(c.value)), c.value...), true, nil
}

func (v *view) GetAll(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		value, ok, err := v.Get(k)
		if err != nil {
			return nil, err
		}
		if ok {
			values[i] = value
		}
	}
	return values, nil
}

func (v *view) Scan(r kv.Range, limit int) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		n := 0
		walk(v.root, r, func(c *cell) bool {
			n++
			return yield(kv.Pair{Key: bytes.Clone(c.key), Value: append([]byte{}, c.value...)}, nil) && (limit < 1 || n < limit)
		})
	}
}

// write is the last word on a key; a nil value deletes it.
type write struct{ key, value []byte }

// tx is a kv.Tx.
type tx struct {
	view
	now    time.Time
	writes []write
	index  map[string]int // key → its place in writes
	size   int
	err    error // the first limit that was broken
}

func (t *tx) Now() time.Time { return t.now }

func (t *tx) Get(key []byte) (value []byte, ok bool, err error) {
	if i, ok := t.index[string(key)]; ok {
		w := t.writes[i]
		return bytes.Clone(w.value), w.value != nil, nil
	}
	return t.view.Get(key)
}

func (t *tx) GetAll(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		value, ok, err := t.Get(k)
		if err != nil {
			return nil, err
		}
		if ok {
			values[i] = value
		}
	}
	return values, nil
}

func (t *tx) Set(key, value []byte) { t.put(key, append([]byte{}, value...)) } // its capacity is the block that it takes

func (t *tx) Delete(key []byte) { t.put(key, nil) }

func (t *tx) put(key, value []byte) {
	t.size += len(key) + len(value)
	if len(key) > kv.KeyMax || len(value) > kv.ValueMax || t.size > kv.TxBytesMax || len(t.writes) >= kv.TxKeysMax {
		t.fail(kv.ErrTooLarge)
		return
	}
	if i, ok := t.index[string(key)]; ok {
		t.writes[i].value = value
		return
	}
	if t.index == nil {
		t.index = map[string]int{}
	}
	t.index[string(key)] = len(t.writes)
	t.writes = append(t.writes, write{bytes.Clone(key), value})
}

// Append fails the transaction.
func (t *tx) Append([]byte, []byte) { t.fail(ErrNoLogs) }

// Wake does nothing: nobody can wait.
func (t *tx) Wake([]byte) {}

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}
