package pebble

import (
	"bytes"
	"context"
	"errors"
	"iter"
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

	db   *pebble.Snapshot // made at the first read
	from uint64           // all commits up to this one are visible in it
	upTo uint64           // none above this one is
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

// open takes the snapshot of Pebble. The two numbers enclose it: what is published before it is in it, and what has not
// started after it is not.
func (v *snapshot) open() *pebble.Snapshot {
	if v.db == nil {
		v.from = v.s.published.Load()
		v.db = v.s.db.NewSnapshot()
		v.upTo = v.s.started.Load()
	}
	return v.db
}

func (v *snapshot) close() {
	v.over = true
	if v.db != nil {
		v.db.Close()
		v.db = nil
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
	b, c, err := v.open().Get(append(append(buf[:0], kindKey), key...))
	// The version is read after the snapshot: what is visible has stored it before.
	need = min(v.s.stripes.version(hash), v.upTo)
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
	it, err = v.open().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, 0, v.s.mend(err)
	}
	return it, v.s.durable.lastIn(r, v.upTo), nil
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
	defer s.gate.leave()
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
