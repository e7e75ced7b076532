package table

import (
	"context"
	"slices"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/tally"
)

// delta is what becomes of an index.
type delta struct {
	index uint32
	sum   tally.Sum
}

// count counts what was committed.
func (e *effect) count() {
	if e.same {
		return
	}
	s := tally.Sum{Bytes: int64(e.newSize - e.oldSize)}
	if e.had {
		s.Items--
	}
	if e.new != nil {
		s.Items++
	}
	e.s.gains.Add(0, s)
	for _, d := range e.entries {
		e.s.gains.Add(d.index, d.sum)
	}
}

// report adds to the store what was counted here.
func (t *Tables) report(ctx context.Context) error {
	return t.tally.Report(ctx, t.cfg.Store, func(number uint64) (sums, alive []byte) {
		return t.at.Sums(number), t.at.Number(number)
	})
}

// counted is a description with its counts.
func (t *Tables) counted(ctx context.Context, s *handle) (*Description, error) {
	var sums tally.Sums
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, _, err := v.Get(t.at.Sums(s.Number))
		if err == nil {
			sums, err = tally.Decode(value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	own := s.gains.Now()
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
