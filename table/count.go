package table

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Counting items exactly in their transactions would make one key hot that all writers of a table share. So each node
// counts what it has committed, and adds it to the store now and then.

// delta is how many items and bytes an index gained, or with index 0 the table.
type delta struct {
	index        uint32
	items, bytes int64
}

// tally is items and bytes.
type tally struct {
	Items int64 `json:"items"`
	Bytes int64 `json:"bytes"`
}

// counts is what a table has gained since it was last reported.
type counts struct {
	mu    sync.Mutex
	gains map[uint32]tally // guarded by mu: by index
	local bool             // guarded by mu: they are never reported, because the items are of this node alone
}

// add counts what was committed.
func (c *counts) add(e *effect) {
	if e == nil || e.same {
		return
	}
	d := delta{bytes: int64(e.newSize - e.oldSize)}
	if e.had {
		d.items--
	}
	if e.new != nil {
		d.items++
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gain(d)
	for _, d := range e.entries {
		c.gain(d)
	}
}

// gain adds d. The caller holds mu.
func (c *counts) gain(d delta) {
	if d.items == 0 && d.bytes == 0 {
		return
	}
	if c.gains == nil {
		c.gains = map[uint32]tally{}
	}
	g := c.gains[d.index]
	c.gains[d.index] = tally{g.Items + d.items, g.Bytes + d.bytes}
}

// take answers with the gains and forgets them.
func (c *counts) take() map[uint32]tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.local {
		return nil
	}
	g := c.gains
	c.gains = nil
	return g
}

// put gives back what could not be reported.
func (c *counts) put(gains map[uint32]tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, g := range gains {
		c.gain(delta{i, g.Items, g.Bytes})
	}
}

// reset forgets all, and counts for this node alone from now on.
func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gains, c.local = nil, true
}

func (c *counts) peek() map[uint32]tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.gains)
}

// countBook is the counts of all tables, by number.
type countBook struct {
	mu sync.Mutex
	m  map[uint64]*counts // guarded by mu
}

func (b *countBook) of(number uint64) *counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.m[number]
	if c == nil {
		if b.m == nil {
			b.m = map[uint64]*counts{}
		}
		c = &counts{}
		b.m[number] = c
	}
	return c
}

func (b *countBook) forget(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.m, number)
}

func (b *countBook) numbers() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.m))
}

// countKey holds the tallies of a table by index.
func (t *Tables) countKey(number uint64) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "count", number)
}

// report adds to the store what was counted here.
func (t *Tables) report(ctx context.Context) error {
	for _, number := range t.counts.numbers() {
		c := t.counts.of(number)
		gains := c.take()
		if len(gains) == 0 {
			continue
		}
		err := t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			values, err := tx.GetAll([][]byte{t.numberKey(number), t.countKey(number)})
			if err != nil || values[0] == nil { // the table is gone, and its counts with it
				return err
			}
			sums, err := decodeTallies(values[1])
			if err != nil {
				return err
			}
			for i, g := range gains {
				s := sums[i]
				sums[i] = tally{s.Items + g.Items, s.Bytes + g.Bytes}
			}
			value, err := json.Marshal(sums)
			if err == nil {
				tx.Set(t.countKey(number), value)
			}
			return err
		})
		if err != nil {
			c.put(gains)
			return fmt.Errorf("report counts: %w", err)
		}
	}
	return nil
}

func decodeTallies(value []byte) (map[uint32]tally, error) {
	sums := map[uint32]tally{}
	if value == nil {
		return sums, nil
	}
	if err := json.Unmarshal(value, &sums); err != nil {
		return nil, fmt.Errorf("counts: %w", err)
	}
	return sums, nil
}

// counted is a description with its counts.
func (t *Tables) counted(ctx context.Context, s *schema) (*Description, error) {
	var sums map[uint32]tally
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, _, err := v.Get(t.countKey(s.Number))
		if err == nil {
			sums, err = decodeTallies(value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	own := s.counts.peek()
	sum := func(i uint32) (items, size int64) {
		return max(0, sums[i].Items+own[i].Items), max(0, sums[i].Bytes+own[i].Bytes)
	}
	d := *s.Description
	d.Items, d.SizeBytes = sum(0)
	d.LocalIndexes, d.GlobalIndexes = slices.Clone(d.LocalIndexes), slices.Clone(d.GlobalIndexes)
	for _, list := range [][]Index{d.LocalIndexes, d.GlobalIndexes} {
		for i := range list {
			list[i].Items, list[i].SizeBytes = sum(list[i].Number)
		}
	}
	return &d, nil
}
