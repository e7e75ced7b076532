package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rouse-dev/rouse/kv"
)

// Snapshot yields all keys, records and trimmed positions, as of one commit that is on disk. See kv.Store for the keys.
func (s *Store) Snapshot(ctx context.Context, yield func(kv.Pair) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	db := s.db.NewSnapshot()
	defer db.Close()
	if err := s.durable.wait(ctx, s.durable.last()); err != nil {
		return err
	}
	for _, kind := range []byte{kindKey, kindLog, kindTrim} {
		if err := s.copyKind(ctx, db, kind, yield); err != nil {
			return err
		}
	}
	return s.broken()
}

func (s *Store) copyKind(ctx context.Context, db *pebble.Snapshot, kind byte, yield func(kv.Pair) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return s.mend(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return s.mend(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(kv.Pair{Key: append([]byte{}, it.Key()...), Value: append([]byte{}, v...)}); err != nil {
			return err
		}
	}
	return s.mend(it.Error())
}
