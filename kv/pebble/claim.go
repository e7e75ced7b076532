package pebble

import (
	"bytes"
	"context"
	"sync"

	"github.com/rouse-dev/rouse/kv"
)

// claims are the keys that running Claims hold, so that no two of them pick the same.
type claims struct {
	mu   sync.Mutex
	keys map[string]bool // guarded by mu
}

func (c *claims) init() { c.keys = map[string]bool{} }

// hold takes key and reports whether nobody held it.
func (c *claims) hold(key []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[string(key)] {
		return false
	}
	c.keys[string(key)] = true
	return true
}

func (c *claims) release(keys ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		delete(c.keys, string(k))
	}
}

// Claim takes the first keys of r.
func (s *Store) Claim(ctx context.Context, r kv.Range, limit int, fn func(kv.Tx, []kv.Pair) error) ([]kv.Pair, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	if limit < 1 {
		return nil, nil
	}
	c := &claim{s: s, r: r, limit: limit}
	defer func() { s.claims.release(c.held...) }()
	var pairs []kv.Pair
	err := s.update(ctx, func(t *tx) error {
		var err error
		if pairs, err = c.take(t); err != nil || len(pairs) == 0 {
			return err
		}
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

// claim is one call of Claim. What it holds it keeps from attempt to attempt.
type claim struct {
	s     *Store
	r     kv.Range
	limit int
	held  [][]byte
}

// take answers with pairs that this claim holds, as t sees them, and notes them as read by t.
func (c *claim) take(t *tx) ([]kv.Pair, error) {
	pairs, err := c.retake(t)
	if err != nil || len(pairs) > 0 {
		return pairs, err
	}
	return c.search(t)
}

// retake is what is left of what an earlier attempt held.
func (c *claim) retake(t *tx) ([]kv.Pair, error) {
	var pairs []kv.Pair
	var keep, gone [][]byte
	for _, k := range c.held {
		v, ok, err := t.Get(k)
		if err != nil {
			return nil, err
		}
		if ok {
			pairs, keep = append(pairs, kv.Pair{Key: bytes.Clone(k), Value: v}), append(keep, k)
		} else {
			gone = append(gone, k)
		}
	}
	c.held = keep
	c.s.claims.release(gone...)
	return pairs, nil
}

// search walks r from where it is known to begin. The walk is announced to marks before the snapshot is taken.
func (c *claim) search(t *tx) (pairs []kv.Pair, err error) {
	r := c.r
	var w *walk
	if !r.Reverse {
		w = c.s.marks.begin(&r)
		defer func() { c.s.marks.end(w) }()
	}
	if t.seen != nil {
		return nil, errAgain // the snapshot of retake is older than the walk
	}
	t.seen = c.s.shoot() // and so may one be that others have: a commit on its way, of which the marks know, must be in it
	it, need, err := t.iterate(r)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	skipped := false
	for ok := first(it, r.Reverse); ok && len(pairs) < c.limit; ok = step(it, r.Reverse) {
		p, err := t.pair(it)
		if err != nil {
			return nil, err
		}
		w.reach(p.Key)
		if !c.s.claims.hold(p.Key) {
			continue
		}
		hash := t.s.stripes.hash(p.Key)
		if t.s.stripes.version(hash) > t.from() {
			// Perhaps a claim that has just ended took it. If not, a later snapshot will show.
			c.s.claims.release(p.Key)
			skipped = true
			continue
		}
		c.held = append(c.held, bytes.Clone(p.Key))
		if err := t.touch(hash, true); err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	if err := it.Error(); err != nil {
		return nil, c.s.mend(err)
	}
	w.exhaust()
	if len(pairs) == 0 && skipped {
		return nil, errAgain
	}
	t.need = max(t.need, need)
	return pairs, nil
}
