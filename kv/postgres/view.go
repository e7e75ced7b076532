package postgres

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// view is a kv.View.
type view struct {
	reader
	alive func() error      // whether the call may go on
	told  func(error) error // an error as the caller hears it
}

// View runs fn on one snapshot.
func (s *Store) View(ctx context.Context, fn func(kv.View) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	v := &view{reader: s.reader(ctx, s.readers), alive: ctx.Err, told: func(err error) error { return s.told(ctx, err) }}
	defer v.close()
	if err := fn(v); err != nil {
		return err
	}
	return v.told(v.fail)
}

// reader makes a reader of snapshots of a pool's sessions.
func (s *Store) reader(ctx context.Context, from *pool) reader {
	patience := s.patience(ctx)
	return reader{
		borrow: func() (*session, func(), error) {
			c, err := from.borrow(ctx)
			if err != nil {
				return nil, nil, err
			}
			return c, c.watch(ctx, time.Now().Add(readMax)), nil
		},
		repay: from.giveBack,
		again: patience.again,
	}
}

func (v *view) Get(key []byte) (value []byte, ok bool, err error) {
	if len(key) > kv.KeyMax {
		return nil, false, kv.ErrTooLarge
	}
	got, err := v.get(bytesOf(key))
	return got.value, got.there, v.told(err)
}

func (v *view) GetAll(keys [][]byte) ([][]byte, error) {
	for _, k := range keys {
		if len(k) > kv.KeyMax {
			return nil, kv.ErrTooLarge
		}
	}
	rows, err := v.all(keys)
	if err != nil {
		return nil, v.told(err)
	}
	values := make([][]byte, len(keys))
	for i := range rows {
		values[i] = rows[i].value
	}
	return values, nil
}

// Pages of a Scan: the first ones are small, since many readers stop early.
const (
	pageFirst = 64
	pageMax   = 4096
	pageFew   = kv.RangeMax / kv.ValueMax // rows that never need to be weighed
)

// top is above all keys.
func top() []byte { return bytes.Repeat([]byte{0xff}, kv.KeyMax+1) }

// Scan reads ahead by pages; each is one statement on the view's snapshot.
func (v *view) Scan(r kv.Range, limit int) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		from, to := bytesOf(r.From), r.To
		if to == nil {
			to = top()
		}
		for size := pageFirst; ; size = min(size*8, pageMax) {
			n := size
			if limit > 0 {
				n = min(limit, pageMax)
			}
			pairs, more, err := v.page(from, to, r.Reverse, n)
			if err != nil {
				yield(kv.Pair{}, v.told(err))
				return
			}
			for _, p := range pairs {
				if err := v.alive(); err != nil {
					yield(kv.Pair{}, err)
					return
				}
				if !yield(p, nil) {
					return
				}
			}
			if limit > 0 {
				if limit -= len(pairs); limit <= 0 {
					return
				}
			}
			if !more {
				return
			}
			if last := pairs[len(pairs)-1].Key; r.Reverse {
				to = last
			} else {
				from = append(bytes.Clone(last), 0)
			}
		}
	}
}

// page reads at most n pairs, fewer when they are large, and reports whether there may be more.
func (v *view) page(from, to []byte, reverse bool, n int) (pairs []kv.Pair, more bool, err error) {
	if bytes.Compare(from, to) >= 0 {
		return nil, false, v.check()
	}
	size := 0
	err = v.ask(func(c *session) {
		pairs, size = nil, 0
		switch {
		case n <= pageFew && reverse:
			c.send("fewback", from, to, int4(int32(n)))
		case n <= pageFew:
			c.send("few", from, to, int4(int32(n)))
		case reverse:
			c.send("back", from, to, int4(int32(n)), int4(kv.RangeMax))
		default:
			c.send("scan", from, to, int4(int32(n)), int4(kv.RangeMax))
		}
	}, func(row [][]byte) error {
		pairs = append(pairs, kv.Pair{Key: append([]byte{}, row[0]...), Value: append([]byte{}, row[1]...)})
		size += len(row[0]) + len(row[1])
		return nil
	})
	return pairs, err == nil && len(pairs) > 0 && (len(pairs) == n || size >= kv.RangeMax), err
}
