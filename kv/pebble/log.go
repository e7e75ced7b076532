package pebble

import (
	"bytes"
	"context"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rouse-dev/rouse/kv"
)

// Read yields the records of log after from. It stops at the last commit that is on disk; all before it are visible.
func (s *Store) Read(ctx context.Context, log []byte, from kv.Pos, limit int) ([]kv.Record, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	if len(log) > kv.KeyMax {
		return nil, kv.ErrTooLarge
	}
	end := logKey(log, s.position(s.durable.synced.Load()+1, 0))
	snap := s.db.NewSnapshot()
	defer snap.Close()
	trimmed, commit, err := s.trimmed(snap, log)
	if err != nil {
		return nil, err
	}
	if bytes.Compare(trimmed[:], from[:]) > 0 {
		// Below it there are only tombstones. That they are there is an answer, too, and must not be taken back.
		from = trimmed
		if err := s.durable.wait(ctx, commit); err != nil {
			return nil, err
		}
	}
	start := logKey(log, above(from))
	if bytes.Compare(start, end) >= 0 || limit < 1 {
		return nil, nil
	}
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, s.mend(err)
	}
	defer it.Close()
	var records []kv.Record
	size := 0
	for ok := it.First(); ok && len(records) < limit && size < kv.RangeMax; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, s.mend(err)
		}
		k := it.Key()
		records = append(records, kv.Record{Pos: kv.Pos(k[len(k)-len(kv.Pos{}):]), Value: append([]byte{}, v...)})
		size += len(v)
	}
	if err := it.Error(); err != nil {
		return nil, s.mend(err)
	}
	return records, s.broken()
}

// trimmed is the position up to which log was trimmed, and the commit that did it.
func (s *Store) trimmed(r pebble.Reader, log []byte) (p kv.Pos, commit uint64, err error) {
	v, c, err := r.Get(trimKey(log))
	if errors.Is(err, pebble.ErrNotFound) {
		return p, 0, nil
	}
	if err != nil {
		return p, 0, s.mend(err)
	}
	defer c.Close()
	copy(p[:], v)
	return p, parseNumber(v[min(len(v), len(p)):]), nil
}

// trimPoints is how many records Trim deletes one by one. More at once go by a range tombstone; many of those, one per
// batch of a relay, would slow every read until they are compacted.
const trimPoints = 4096

// Trim deletes the records of log up to and including to, as far as they are on disk.
func (s *Store) Trim(ctx context.Context, log []byte, to kv.Pos) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if len(log) > kv.KeyMax {
		return kv.ErrTooLarge
	}
	c, err := s.trim(log, to)
	if err != nil || c == nil {
		return err
	}
	return s.finish(c, &tx{})
}

func (s *Store) trim(log []byte, to kv.Pos) (*committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(); err != nil {
		return nil, err
	}
	// What nobody can have read yet stays, even if to lies beyond it.
	if last := s.position(s.durable.synced.Load(), math.MaxUint64); bytes.Compare(to[:], last[:]) > 0 {
		to = last
	}
	was, _, err := s.trimmed(s.db, log)
	if err != nil || bytes.Compare(to[:], was[:]) <= 0 {
		return nil, err
	}
	b, n := s.db.NewBatch(), s.started.Load()+1
	err = s.deleteRecords(b, logKey(log, above(was)), logKey(log, above(to)))
	if err == nil {
		err = b.Set(trimKey(log), append(to[:], number(n)...), nil)
	}
	if err != nil {
		b.Close()
		return nil, s.mend(err)
	}
	if err := s.apply(n, b, nil); err != nil {
		return nil, err
	}
	return &committed{n, b}, nil
}

func (s *Store) deleteRecords(b *pebble.Batch, from, to []byte) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > trimPoints {
			b.Reset()
			return b.DeleteRange(from, to, nil)
		}
		if err := b.Delete(it.Key(), nil); err != nil {
			return err
		}
	}
	return it.Error()
}
