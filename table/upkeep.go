package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
	"github.com/rouse-dev/rouse/table/stream"
	"github.com/rouse-dev/rouse/table/token"
)

// How often Run looks, even if nothing hints that it should.
const (
	sweepEvery = 15 * time.Second // expired items, old tokens, counts
	lookEvery  = 15 * time.Second // back-fills, dropped tables
	trimEvery  = 10 * time.Minute // old stream records
	leaseTTL   = 15 * time.Second
)

// Run does the upkeep until ctx is done: it removes expired items, fills new indexes, sweeps what dropped tables left, and
// trims streams. On every node; what needs one owner is leased.
func (t *Tables) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { t.sweep(ctx) })
	wg.Go(func() { t.maintain(ctx) })
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := t.report(last); err != nil && !errors.Is(err, kv.ErrClosed) {
		t.cfg.Logger.Warn("table: counts not reported", "err", err)
	}
	return ctx.Err()
}

// sweep is what every node does: claims do not get in each other's way.
func (t *Tables) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for _, do := range []func(context.Context) error{
			func(ctx context.Context) error { return t.sweepExpired(ctx, t.cfg.Store, t.resolve) },
			t.sweepCaches,
			func(ctx context.Context) error { return token.Sweep(ctx, t.cfg.Store, t.at) },
			t.report,
		} {
			t.warn(ctx, do(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// warn logs what went wrong in the background; it is tried again.
func (t *Tables) warn(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrClosed) {
		t.cfg.Logger.Warn("table: upkeep failed", "err", err)
	}
}

// alone is the lease of a process that has the store for itself.
type alone struct{}

func (alone) Guard(kv.Tx) error     { return nil }
func (alone) Epoch() uint64         { return 0 }
func (alone) Lost() <-chan struct{} { return nil }

func (t *Tables) acquire(ctx context.Context) (kv.Lease, error) {
	if t.cfg.Leases == nil {
		return alone{}, nil
	}
	return t.cfg.Leases.Acquire(ctx, t.at.Upkeep(), leaseTTL)
}

// maintain is what one node does.
func (t *Tables) maintain(ctx context.Context) {
	for ctx.Err() == nil {
		held, release := context.WithCancel(ctx)
		lease, err := t.acquire(held)
		if err == nil {
			t.hold(held, lease)
		} else {
			t.warn(ctx, err)
			select {
			case <-ctx.Done():
			case <-time.After(leaseTTL):
			}
		}
		release()
	}
}

// hold works while the lease is held. Its duties do not wait for each other: a table of terabytes may be filled, or swept,
// for a day, and streams are to be trimmed meanwhile.
func (t *Tables) hold(ctx context.Context, lease kv.Lease) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { t.onHint(ctx, lease, t.fillAll) })
	wg.Go(func() { t.onHint(ctx, lease, t.bury) })
	wg.Go(func() { t.repeat(ctx, lease, trimEvery, nil, t.trimStreams) })
	select {
	case <-ctx.Done():
	case <-lease.Lost():
	}
}

// duty is something to do for whoever has the lease. more says that it is not done yet.
type duty func(ctx context.Context, lease kv.Lease) (more bool, err error)

// onHint does a duty whenever a table was changed, and now and then.
func (t *Tables) onHint(ctx context.Context, lease kv.Lease, do duty) {
	hint, stop := t.cfg.Store.Wake(t.at.Upkeep())
	defer stop()
	t.repeat(ctx, lease, lookEvery, hint, do)
}

// repeat does a duty until ctx is done: at once again while there is more to do, then when there is a hint, or after a time.
func (t *Tables) repeat(ctx context.Context, lease kv.Lease, every time.Duration, hint <-chan struct{}, do duty) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		more, err := do(ctx, lease)
		t.warn(ctx, err)
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-hint:
		case <-tick.C:
		}
	}
}

// pairs reads the pairs of a small range.
func (t *Tables) pairs(ctx context.Context, r kv.Range, limit int) (list []kv.Pair, err error) {
	err = t.cfg.Store.View(ctx, func(v kv.View) error {
		list = nil
		for p, err := range v.Scan(r, limit) {
			if err != nil {
				return err
			}
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// worksMax is how many back-fills are listed at a time.
const worksMax = 1000

func (t *Tables) drop(ctx context.Context, key []byte) error {
	return t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		tx.Delete(key)
		return nil
	})
}

// buryPage is how many keys of a dropped table or index one transaction deletes.
const buryPage = 1000

// bury deletes what dropped tables and indexes have left.
func (t *Tables) bury(ctx context.Context, lease kv.Lease) (more bool, err error) {
	graves, err := t.pairs(ctx, t.at.Graves(), worksMax)
	if err != nil {
		return false, fmt.Errorf("list dropped tables: %w", err)
	}
	var errs []error // one table in trouble holds up no other
	for _, g := range graves {
		if err := t.buryOne(ctx, lease, g); err != nil {
			errs = append(errs, fmt.Errorf("sweep dropped table: %w", err))
		}
	}
	return len(graves) == worksMax, errors.Join(errs...)
}

func (t *Tables) buryOne(ctx context.Context, lease kv.Lease, g kv.Pair) error {
	account, number, index, err := t.at.ParseGrave(g)
	if err != nil {
		return err
	}
	prefix := t.at.Data(account, number)
	if index > 0 {
		prefix = schema.IndexPrefix(prefix, index)
	}
	if err := t.deleteAll(ctx, lease, layout.Below(prefix)); err != nil {
		return err
	}
	return t.drop(ctx, g.Key)
}

// deleteAll deletes the keys of a range that nobody writes to any more.
func (t *Tables) deleteAll(ctx context.Context, lease kv.Lease, r kv.Range) error {
	for {
		var keys [][]byte
		err := t.cfg.Store.View(ctx, func(v kv.View) error {
			keys = nil
			size := 0
			for p, err := range v.Scan(r, buryPage) {
				if err != nil {
					return err
				}
				keys = append(keys, p.Key)
				if size += len(p.Value); size >= kv.RangeMax {
					break
				}
			}
			return nil
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		err = t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			for _, k := range keys {
				tx.Delete(k)
			}
			return lease.Guard(tx)
		})
		if err != nil {
			return err
		}
		r.From = append(keys[len(keys)-1], 0) // not over the tombstones again
	}
}

// trimStreams deletes records that are older than StreamRetention, and streams that were turned off so long ago.
func (t *Tables) trimStreams(ctx context.Context, lease kv.Lease) (more bool, err error) {
	r := t.at.Trims()
	var errs []error // one stream in trouble holds up no other
	for {
		list, err := t.pairs(ctx, r, worksMax)
		if err != nil || len(list) == 0 {
			return false, errors.Join(append(errs, err)...)
		}
		for _, p := range list {
			if err := t.trimStream(ctx, lease, p.Key); err != nil && rouse.KindOf(err) != rouse.NotFound {
				errs = append(errs, fmt.Errorf("trim stream: %w", err))
			}
		}
		r.From = tuple.After(list[len(list)-1].Key)
	}
}

func (t *Tables) trimStream(ctx context.Context, lease kv.Lease, listKey []byte) error {
	account, table, label, err := t.at.ParseTrim(listKey)
	if err != nil {
		return err
	}
	s, err := t.feed(ctx, account, t.streamARN(account, table, label))
	if err != nil {
		return err
	}
	log := t.log(s)
	key := t.at.Stream(account, table, label)
	old := t.cfg.Store.Now().Add(-StreamRetention)
	if !s.Disabled.IsZero() && s.Disabled.Before(old) {
		if err := t.cfg.Store.Trim(ctx, log, stream.Beyond()); err != nil {
			return err
		}
		return t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			tx.Delete(listKey)
			tx.Delete(key)
			return lease.Guard(tx)
		})
	}
	to, any, err := stream.Older(ctx, t.cfg.Store, log, s.trimmed(), old)
	if err != nil || !any {
		return err
	}
	err = t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		value, ok, err := tx.Get(key)
		if err != nil || !ok {
			return errors.Join(err, lease.Guard(tx))
		}
		var s feed
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		s.Trimmed = to[:]
		return errors.Join(setJSON(tx, key, s), lease.Guard(tx))
	})
	if err != nil {
		return err
	}
	return t.cfg.Store.Trim(ctx, log, to)
}
