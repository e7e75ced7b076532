package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv/pebble"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/item"
)

// largeRows fill tables before they measure, which takes minutes: only asked for by name, `make bench BENCH=large`.
func (b *bench) largeRows() []row {
	var rows []row
	for _, n := range []struct {
		name  string
		items int
	}{{"1M", 1e6}, {"10M", 1e7}} {
		rows = append(rows, row{"large latency " + n.name, b.large(n.items, latencyOf)},
			row{"large memory " + n.name, b.large(n.items, memoryOf)}, row{"large start " + n.name, b.large(n.items, startOf)})
	}
	return rows
}

const fewItems = 1000

// sized is a node on a table of so many items.
type sized struct {
	dir   string
	items int
}

// large holds a table of many items against one of a thousand: neither the time of a read, nor the memory, nor the start
// should tell the difference.
func (b *bench) large(items int, measure func(context.Context, *bench, sized) (float64, string, error)) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "the same with 1,000 items"}
		few, many := sized{filepath.Join(b.dir, "items", fmt.Sprint(fewItems)), fewItems}, sized{filepath.Join(b.dir, "items", fmt.Sprint(items)), items}
		var small, big []float64
		for _, s := range []sized{few, many} {
			if err := b.grow(ctx, s); err != nil {
				return r, fmt.Errorf("fill %d items: %w", s.items, err)
			}
		}
		for range repeats {
			for _, s := range []sized{few, many} {
				v, unit, err := measure(ctx, b, s)
				if err != nil {
					return r, err
				}
				if r.unit = unit; s == few {
					small = append(small, v)
				} else {
					big = append(big, v)
				}
			}
		}
		r.limit, r.rouse = median(small), median(big)
		return r, nil
	}
}

// on runs f beside a node on the table.
func (b *bench) on(ctx context.Context, s sized, f func(n *bench, started time.Duration) error) error {
	p, info, took, err := b.startRouse(ctx, s.dir)
	if err != nil {
		return err
	}
	defer p.stop()
	return f(&bench{rouse: p, api: addressOf(info.URL), seconds: b.seconds}, took)
}

func latencyOf(ctx context.Context, b *bench, s sized) (v float64, unit string, err error) {
	err = b.on(ctx, s, func(n *bench, _ time.Duration) error {
		at, err := n.readRandom(ctx, s.items)
		v = float64(at.Microseconds())
		return err
	})
	return v, "µs", err
}

func memoryOf(ctx context.Context, b *bench, s sized) (v float64, unit string, err error) {
	err = b.on(ctx, s, func(n *bench, _ time.Duration) error {
		if _, err := n.readRandom(ctx, s.items); err != nil {
			return err
		}
		v, err = resident(n.rouse.cmd.Process.Pid)
		return err
	})
	return v, "MiB", err
}

func startOf(ctx context.Context, b *bench, s sized) (v float64, unit string, err error) {
	err = b.on(ctx, s, func(_ *bench, started time.Duration) error {
		v = millis(started)
		return nil
	})
	return v, "ms", err
}

// readRandom reads items from all over the table by one connection, and returns the median.
func (b *bench) readRandom(ctx context.Context, items int) (time.Duration, error) {
	const reads = 4096
	requests := make([][]byte, reads)
	for i := range requests {
		requests[i] = signed(b.api, "GetItem", fmt.Appendf(nil, `{"TableName":"%s","Key":{"pk":{"S":"p%d"},"sk":{"S":"0"}}}`,
			tableName, i*7919%items))
	}
	_, at, err := volley(ctx, b.api, 1, b.seconds, func(_, i int) []byte { return requests[i%reads] })
	return at, err
}

// grow fills a table through the engine, in the folder of a node that does not run; the API would take longer for the same.
func (b *bench) grow(ctx context.Context, s sized) (err error) {
	store := filepath.Join(s.dir, "state", "store")
	if _, err := os.Stat(store); err == nil {
		return nil
	}
	if err := b.on(ctx, s, func(n *bench, _ time.Duration) error { return n.makeTable(ctx) }); err != nil {
		return err
	}
	db, err := pebble.Open(pebble.Config{Dir: store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tables, err := table.Open(ctx, table.Config{Store: db, Region: rouse.DefaultRegion})
	if err != nil {
		return err
	}
	return fillItems(ctx, tables, s.items)
}

// fillItems writes items of about 100 bytes, by many writers at once, since each batch waits for the disk.
func fillItems(ctx context.Context, tables *table.Tables, items int) error {
	const writers, batch = 64, 25
	failed := make(chan error, writers)
	for w := range writers {
		go func() {
			failed <- func() error {
				for i := w * batch; i < items && ctx.Err() == nil; i += writers * batch {
					var puts []table.WriteRequest
					for n := i; n < min(i+batch, items); n++ {
						puts = append(puts, table.WriteRequest{Table: tableName, Kind: table.Put, Item: item.Item{
							"pk": item.NewString(fmt.Sprintf("p%d", n)), "sk": item.NewString("0"),
							"name": item.NewString("a teapot, blue"), "stock": item.NewNumber(item.Int(int64(n)))}})
					}
					if _, err := tables.BatchWrite(ctx, rouse.DefaultAccount, puts); err != nil {
						return err
					}
				}
				return ctx.Err()
			}()
		}()
	}
	var first error
	for range writers {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}
