package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// reclaimMax is how many entries one transaction of reclaim looks at.
const reclaimMax = 1000

// reclaim makes due what somebody still holds. Only for a store of which this is the only node, before it works on the queue:
// then the holder is dead. An entry is held until holdFor from now at the most, since the store's clock never goes back.
func (d *Dispatcher) reclaim(ctx context.Context) error {
	now := d.cfg.Store.Now()
	held := kv.Range{From: tuple.Key("", d.cfg.Region, room, "due", now),
		To: tuple.Key("", d.cfg.Region, room, "due", now.Add(holdFor+time.Millisecond))}
	total := 0
	for {
		entries, last, err := d.held(ctx, held)
		if err != nil {
			return err
		}
		if err := d.free(ctx, entries, now); err != nil {
			return err
		}
		total += len(entries)
		if last == nil {
			break
		}
		held.From = append(last, 0)
	}
	if total > 0 {
		d.cfg.Logger.Info("async queue: took over what a dead node held", "events", total)
	}
	return nil
}

// held finds the entries of r that somebody works on, and the key to go on after; nil at the end.
func (d *Dispatcher) held(ctx context.Context, r kv.Range) (entries []entry, last []byte, err error) {
	err = d.cfg.Store.View(ctx, func(v kv.View) error {
		entries, last = nil, nil
		n := 0
		for p, err := range v.Scan(r, reclaimMax) {
			if err != nil {
				return err
			}
			var e entry
			if json.Unmarshal(p.Value, &e) == nil && e.Held { // what cannot be read is claim's to set aside
				entries = append(entries, e)
			}
			if n++; n == reclaimMax {
				last = p.Key
			}
		}
		return nil
	})
	return entries, last, err
}

// free puts entries under now, in one transaction.
func (d *Dispatcher) free(ctx context.Context, entries []entry, now time.Time) error {
	if len(entries) == 0 {
		return nil
	}
	return d.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, e := range entries {
			tx.Delete(d.dueKey(e.Due, e.ID))
			e.Due, e.Held = now, false
			if err := d.place(tx, e); err != nil {
				return fmt.Errorf("free entry %s: %w", e.ID, err)
			}
		}
		return nil
	})
}
