package pebble

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rouse-dev/rouse/kv"
)

var errOver = errors.New("kv: view or transaction used after its function returned")

// snapshot is what one View or one attempt of an Update sees.
type snapshot struct {
	s     *Store
	began time.Time
	over  bool

	seen *shot // taken at the first read
}

// shot is a snapshot of Pebble. Those who read between two commits share one: taking and giving back one of Pebble's costs as
// much as the reading of an item, and both take its one lock.
type shot struct {
	db   *pebble.Snapshot
	from uint64 // all commits up to this one are visible in it
	upTo uint64 // none above this one is
	refs atomic.Int32
}

// hold takes part in a shot unless the last who did has left.
func (t *shot) hold() bool {
	for {
		n := t.refs.Load()
		if n <= 0 {
			return false
		}
		if t.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (t *shot) leave() {
	if t.refs.Add(-1) == 0 {
		t.db.Close()
	}
}

// shoot makes a shot of now. The two numbers enclose it: what is published before it is in it, and what has not started
// after it is not.
func (s *Store) shoot() *shot {
	t := &shot{from: s.published.Load()}
	t.refs.Store(1)
	t.db = s.db.NewSnapshot()
	t.upTo = s.started.Load()
	return t
}

// take returns a shot in which all published commits are visible: the one that others have, or one that those who come
// before the next commit will have.
func (s *Store) take() *shot {
	if t := s.latest.Load(); t != nil && t.from == s.published.Load() && t.hold() {
		return t
	}
	t := s.shoot()
	if t.upTo == t.from {
		t.refs.Add(1)
		s.keep(t)
	}
	return t
}

// outdate lets go of the shared shot once a commit has followed it: it would hold what the engine could throw away.
func (s *Store) outdate() {
	if t := s.latest.Load(); t != nil && t.from < s.published.Load() && s.latest.CompareAndSwap(t, nil) {
		t.leave()
	}
}

// keep puts t, or nobody, in the place of the shot that is shared.
func (s *Store) keep(t *shot) {
	if old := s.latest.Swap(t); old != nil {
		old.leave()
	}
}

func (s *Store) snapshot() snapshot { return snapshot{s: s, began: time.Now()} }

// check says whether the snapshot may still be used.
func (v *snapshot) check() error {
	if v.over {
		return errOver
	}
	if time.Since(v.began) > kv.TxTimeMax {
		return kv.ErrTooOld
	}
	return nil
}

func (v *snapshot) open() *shot {
	if v.seen == nil {
		v.seen = v.s.take()
	}
	return v.seen
}

// from is the commit up to which all are visible; 0 before the first read.
func (v *snapshot) from() uint64 {
	if v.seen == nil {
		return 0
	}
	return v.seen.from
}

func (v *snapshot) close() {
	v.over = true
	if v.seen != nil {
		v.seen.leave()
		v.seen = nil
	}
}

// get answers with a copy of the value, and the commit that has to be on disk before anybody sees the answer.
func (v *snapshot) get(key []byte, hash uint64) (value []byte, ok bool, need uint64, err error) {
	if len(key) > kv.KeyMax {
		return nil, false, 0, kv.ErrTooLarge
	}
	if err := v.check(); err != nil {
		return nil, false, 0, err
	}
	var buf [256]byte
	seen := v.open()
	b, c, err := seen.db.Get(append(append(buf[:0], kindKey), key...))
	// The version is read after the snapshot: what is visible has stored it before.
	need = min(v.s.stripes.version(hash), seen.upTo)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, need, nil
	}
	if err != nil {
		return nil, false, 0, v.s.mend(err)
	}
	value = append(make([]byte, 0, len(b)), b...)
	c.Close()
	return value, true, need, nil
}

// iterate returns an iterator over r, to be closed, and the commit that has to be on disk before anybody sees what it finds.
func (v *snapshot) iterate(r kv.Range) (it *pebble.Iterator, need uint64, err error) {
	if err := v.check(); err != nil {
		return nil, 0, err
	}
	from, to := userRange(r)
	if bytes.Compare(from, to) > 0 {
		to = from
	}
	seen := v.open()
	it, err = seen.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, 0, v.s.mend(err)
	}
	return it, v.s.durable.lastIn(r, seen.upTo), nil
}

// view is a kv.View. Its two functions are bound to the context of the call that made it.
type view struct {
	snapshot
	wait  func(commit uint64) error // until commit is on disk
	alive func() error              // whether the call may go on
}

// View runs fn on one snapshot.
func (s *Store) View(ctx context.Context, fn func(kv.View) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	v := &view{
		snapshot: s.snapshot(),
		wait:     func(commit uint64) error { return s.durable.wait(ctx, commit) },
		alive:    ctx.Err,
	}
	defer v.close()
	if err := fn(v); err != nil {
		return err
	}
	return s.broken()
}

func (v *view) Get(key []byte) (value []byte, ok bool, err error) {
	value, ok, need, err := v.get(key, v.s.stripes.hash(key))
	if err == nil {
		err = v.wait(need)
	}
	if err != nil {
		return nil, false, err
	}
	return value, ok, nil
}

func (v *view) GetAll(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	var last uint64
	for i, k := range keys {
		value, _, need, err := v.get(k, v.s.stripes.hash(k))
		if err != nil {
			return nil, err
		}
		values[i], last = value, max(last, need)
	}
	if err := v.wait(last); err != nil {
		return nil, err
	}
	return values, nil
}

func (v *view) Scan(r kv.Range, limit int) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		it, need, err := v.iterate(r)
		if err != nil {
			yield(kv.Pair{}, err)
			return
		}
		defer it.Close()
		if err := v.wait(need); err != nil {
			yield(kv.Pair{}, err)
			return
		}
		for ok, n := first(it, r.Reverse), 0; ok && (limit < 1 || n < limit); ok, n = step(it, r.Reverse), n+1 {
			p, err := v.pair(it)
			if err == nil {
				err = v.alive()
			}
			if err != nil {
				yield(kv.Pair{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(kv.Pair{}, v.s.mend(err))
		}
	}
}

func first(it *pebble.Iterator, reverse bool) bool {
	if reverse {
		return it.Last()
	}
	return it.First()
}

func step(it *pebble.Iterator, reverse bool) bool {
	if reverse {
		return it.Prev()
	}
	return it.Next()
}

// pair copies what it stands on, without the kind.
func (v *snapshot) pair(it *pebble.Iterator) (kv.Pair, error) {
	if err := v.check(); err != nil {
		return kv.Pair{}, err
	}
	b, err := it.ValueAndErr()
	if err != nil {
		return kv.Pair{}, v.s.mend(err)
	}
	return kv.Pair{Key: append([]byte{}, it.Key()[1:]...), Value: append([]byte{}, b...)}, nil
}
