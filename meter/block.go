package meter

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Records are stored in blocks: what one account's functions did in one write, compressed. A key per record cost the store
// more than the attempt's own bookkeeping: at 12,000 attempts a second compactions took a tenth of the node's processors.
const (
	blockRecords = 1_000
	blockBytes   = 256 << 10       // of JSON, before compression
	blockSpan    = 2 * time.Second // from the first record's end to the last's
	blockFormat  = 1
)

var errBlock = errors.New("meter: a block of records is damaged")

// block is a run of records of one account, encoded once, before the transaction that stores it.
type block struct {
	account string
	first   time.Time
	value   []byte
}

// blocks sorts a batch by account and time and cuts it into blocks.
func blocks(batch []Record) ([]block, error) {
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), a.At.Compare(b.At))
	})
	var out []block
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	for len(sorted) > 0 {
		first, n := sorted[0], 0
		raw.Reset()
		for n < len(sorted) && n < blockRecords && raw.Len() < blockBytes &&
			sorted[n].Account == first.Account && sorted[n].At.Sub(first.At) <= blockSpan {
			if err := enc.Encode(sorted[n]); err != nil {
				return nil, err
			}
			n++
		}
		value := binary.AppendUvarint([]byte{blockFormat}, uint64(n))
		out = append(out, block{first.Account, first.At, append(value, s2.Encode(nil, raw.Bytes())...)})
		sorted = sorted[n:]
	}
	return out, nil
}

// blockCount reads how many records a block holds, and leaves their encoding.
func blockCount(value []byte) (n int, payload []byte, err error) {
	if len(value) < 2 || value[0] != blockFormat {
		return 0, nil, errBlock
	}
	count, used := binary.Uvarint(value[1:])
	if used <= 0 || count < 1 || count > blockRecords {
		return 0, nil, errBlock
	}
	return int(count), value[1+used:], nil
}

// openBlock decodes a block's records, oldest first.
func openBlock(account string, value []byte) ([]Record, error) {
	n, payload, err := blockCount(value)
	if err != nil {
		return nil, err
	}
	if size, err := s2.DecodedLen(payload); err != nil || size > kv.ValueMax*2 {
		return nil, errBlock
	}
	raw, err := s2.Decode(nil, payload)
	if err != nil {
		return nil, errBlock
	}
	out := make([]Record, 0, n)
	for line := range bytes.Lines(raw) {
		r := Record{Account: account}
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", errBlock, err)
		}
		out = append(out, r)
	}
	if len(out) != n {
		return nil, errBlock
	}
	return out, nil
}

// blockKey orders blocks by their first record's end. The sequence restarts with the process, so the clock's nanoseconds
// stand before it.
func (m *Meter) blockKey(account string, first time.Time, seq uint64) []byte {
	return tuple.Key(account, m.cfg.Region, room, "blk", first, uint64(first.Nanosecond()), seq)
}

// Records lists attempts, newest first, of one function or of all when function is "", that ended before a moment.
func (m *Meter) Records(ctx context.Context, account, function string, before time.Time, limit int) ([]Record, error) {
	if limit <= 0 || limit > RecordsPage {
		limit = RecordsPage
	}
	r := tuple.Prefix(account, m.cfg.Region, room, "blk")
	if !before.IsZero() {
		r.To = tuple.After(tuple.Key(account, m.cfg.Region, room, "blk", before, uint64(before.Nanosecond())))
	}
	r.Reverse = true
	var out []Record
	err := m.pages(ctx, r, func(p kv.Pair) (bool, error) {
		records, err := openBlock(account, p.Value)
		if err != nil {
			return false, err
		}
		if len(out) >= limit && records[0].At.Add(blockSpan).Before(out[limit-1].At) {
			return false, nil // blocks of several nodes may overlap, and none is longer than that
		}
		for _, rec := range records {
			if (function == "" || rec.Function == function) && (before.IsZero() || rec.At.Before(before)) {
				out = append(out, rec)
			}
		}
		slices.SortStableFunc(out, func(a, b Record) int { return b.At.Compare(a.At) })
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read usage records: %w", err)
	}
	return out[:min(limit, len(out))], nil
}

// gather is the step from format 1, where each record had a key of its own, to blocks.
func (m *Meter) gather(ctx context.Context, store kv.Store) error {
	accounts, err := m.accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		all := tuple.Prefix(account, m.cfg.Region, room, "rec")
		for more := true; more; {
			_, err := store.Claim(ctx, all, sweepBatch, func(tx kv.Tx, pairs []kv.Pair) error {
				return m.gatherInto(tx, account, pairs)
			})
			if err != nil {
				return err
			}
			if more, err = m.holds(ctx, all); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Meter) gatherInto(tx kv.Tx, account string, pairs []kv.Pair) error {
	batch := make([]Record, len(pairs))
	for i, p := range pairs {
		batch[i].Account = account
		if err := json.Unmarshal(p.Value, &batch[i]); err != nil {
			return err
		}
	}
	cut, err := blocks(batch)
	if err != nil {
		return err
	}
	for i, b := range cut {
		tx.Set(m.blockKey(b.account, b.first, uint64(i)), b.value)
	}
	return nil
}

// holds reports whether there is anything in r.
func (m *Meter) holds(ctx context.Context, r kv.Range) (found bool, err error) {
	err = m.cfg.Store.View(ctx, func(v kv.View) error {
		found = false
		for _, err := range v.Scan(r, 1) {
			found = err == nil
			return err
		}
		return nil
	})
	return found, err
}
