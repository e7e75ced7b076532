package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// A position is the epoch (4 bytes), the xid of the transaction (8), the index within it (8).

func position(v [][]byte) (p kv.Pos) {
	copy(p[:4], v[0])
	copy(p[4:12], v[1])
	copy(p[12:], v[2])
	return p
}

// place is a position as parameters. What no column can hold is above all that there is.
func place(p kv.Pos) (e, x, i []byte) {
	if binary.BigEndian.Uint32(p[:]) > math.MaxInt32 {
		return int4(math.MaxInt32), xid8(math.MaxUint64), int8b(math.MaxInt64)
	}
	if binary.BigEndian.Uint64(p[12:]) > math.MaxInt64 {
		return p[:4], p[4:12], int8b(math.MaxInt64)
	}
	return p[:4], p[4:12], p[12:]
}

// Read yields the records of log after from, up to the oldest transaction that is still under way.
func (s *Store) Read(ctx context.Context, log []byte, from kv.Pos, limit int) ([]kv.Record, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	if len(log) > kv.KeyMax {
		return nil, kv.ErrTooLarge
	}
	var records []kv.Record
	for size := 0; len(records) < limit && size < kv.RangeMax; {
		n := min(limit-len(records), pageMax)
		page, bytes, err := s.readPage(ctx, log, from, n, kv.RangeMax-size)
		if err != nil {
			return nil, s.told(ctx, err)
		}
		records = append(records, page...)
		if size += bytes; len(page) < n {
			break
		}
		from = page[len(page)-1].Pos
	}
	return records, nil
}

// readPage reads at most n records, and no more than the one that reaches most bytes.
func (s *Store) readPage(ctx context.Context, log []byte, from kv.Pos, n, most int) (page []kv.Record, size int, err error) {
	r := s.reader(ctx, s.readers)
	defer r.close()
	e, x, i := place(from)
	err = r.ask(func(c *session) {
		page, size = nil, 0
		c.send("read", bytesOf(log), e, x, i, int4(int32(n)), int4(int32(most)))
	}, func(v [][]byte) error {
		page = append(page, kv.Record{Pos: position(v), Value: append([]byte{}, v[3]...)})
		size += len(v[3])
		return nil
	})
	return page, size, err
}

// Trim deletes the records of log up to and including to, as far as they can be read. It may be repeated, so an answer that is
// lost is asked for again.
func (s *Store) Trim(ctx context.Context, log []byte, to kv.Pos) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if len(log) > kv.KeyMax {
		return kv.ErrTooLarge
	}
	e, x, i := place(to)
	patience := s.patience(ctx)
	for {
		err := s.briefly(ctx, "cut", [][]byte{bytes.Clone(bytesOf(log)), e, x, i}, nil)
		if err == nil || !patience.again(err) {
			return s.told(ctx, err)
		}
	}
}

// waits of a session, by what it does.
const (
	connectMax = 10 * time.Second
	readMax    = kv.TxTimeMax + 10*time.Second // a statement of a snapshot that may still be used
	lockMax    = time.Minute                   // locks that others hold
	commitMax  = time.Minute
)
