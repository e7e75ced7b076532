package logs

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// sweepBatch is how many blocks one transaction removes: at blockMax each, 16 MiB at most pass through memory.
const sweepBatch = 64

func (l *Logs) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(l.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.Sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrClosed) {
			l.cfg.Logger.Warn("expired log events could not be removed; it is tried again", "err", err)
		}
	}
}

// Sweep removes what has expired or was deleted; Run does so every SweepEvery.
func (l *Logs) Sweep(ctx context.Context) error {
	if err := l.sweepDead(ctx); err != nil {
		return err
	}
	every, err := l.keys(ctx, tuple.Prefix("", l.cfg.Region, "logs", "all"))
	if err != nil {
		return err
	}
	for _, parts := range every {
		if err := l.sweepGroup(ctx, parts[4].(string), parts[5].(string)); err != nil {
			return err
		}
	}
	return nil
}

// keys lists the parsed keys of r.
func (l *Logs) keys(ctx context.Context, r kv.Range) (out [][]any, err error) {
	err = l.cfg.Store.View(ctx, func(v kv.View) error {
		out = nil
		for pair, err := range v.Scan(r, math.MaxInt) {
			if err != nil {
				return err
			}
			parts, err := tuple.Parse(pair.Key)
			if err != nil {
				return err
			}
			out = append(out, parts)
		}
		return nil
	})
	return out, err
}

// sweepDead removes what deleted groups and streams left.
func (l *Logs) sweepDead(ctx context.Context) error {
	dead, err := l.keys(ctx, tuple.Prefix("", l.cfg.Region, "logs", "dead"))
	if err != nil {
		return err
	}
	for _, parts := range dead {
		account, g := parts[4].(string), parts[5].(uint64)
		if len(parts) == 7 {
			if err := l.buryStream(ctx, account, g, parts[6].(uint64)); err != nil {
				return err
			}
			continue
		}
		for _, kind := range []string{"b", "i", "s"} {
			r := tuple.Prefix(account, l.cfg.Region, "logs", kind, g)
			if err := l.clear(ctx, r); err != nil {
				return err
			}
		}
		err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error { tx.Delete(l.deadKey(account, g)); return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// clear deletes all of r.
func (l *Logs) clear(ctx context.Context, r kv.Range) error {
	for {
		pairs, err := l.cfg.Store.Claim(ctx, r, sweepBatch, func(kv.Tx, []kv.Pair) error { return nil })
		if err != nil || len(pairs) == 0 {
			return err
		}
	}
}

// sweepGroup removes the oldest blocks of a group: those all of whose events are older than its retention, and then as
// many as exceed SizeMax.
func (l *Logs) sweepGroup(ctx context.Context, account, name string) error {
	var g groupRecord
	var c counters
	gone := false
	err := l.cfg.Store.View(ctx, func(v kv.View) error {
		ok, err := get(v, l.groupKey(account, name), &g)
		if err != nil || !ok {
			gone = true
			return err
		}
		_, err = get(v, l.countersKey(account, g.ID), &c)
		return err
	})
	if err != nil || gone {
		return err
	}
	all := tuple.Prefix(account, l.cfg.Region, "logs", "b", g.ID)
	removed := false
	if g.Retention > 0 {
		until := l.now().Add(-days(g.Retention) - spanMax).UnixMilli()
		old := kv.Range{From: all.From, To: l.blockKey(account, g.ID, max(until, 0), 0)}
		for {
			n, _, err := l.removeOldest(ctx, account, g.ID, old, sweepBatch)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			removed = true
		}
	}
	for c.Disk > l.cfg.SizeMax {
		// A few at a time, so that not much more goes than must.
		n, disk, err := l.removeOldest(ctx, account, g.ID, all, 8)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		c.Disk = disk
		removed = true
	}
	if !removed {
		return nil
	}
	return l.sweepStreams(ctx, account, g.ID)
}

// removeOldest removes up to limit blocks of r, oldest first, and answers how many, and how many bytes the group has left.
func (l *Logs) removeOldest(ctx context.Context, account string, g uint64, r kv.Range, limit int) (n int, disk int64, err error) {
	pairs, err := l.cfg.Store.Claim(ctx, r, limit, func(tx kv.Tx, pairs []kv.Pair) error {
		var freed indexed
		var trimmed int64
		for _, p := range pairs {
			h, _, err := openHeader(p.Value)
			if err != nil {
				return err
			}
			first, seq, err := placeOf(p.Key)
			if err != nil {
				return err
			}
			tx.Delete(l.indexKey(account, g, h.stream, first, seq))
			freed.bytes += h.bytes
			freed.disk += int64(len(p.Value))
			trimmed = max(trimmed, first)
		}
		if err := l.discount(tx, account, g, freed, trimmed); err != nil {
			return err
		}
		var c counters
		_, err := get(tx, l.countersKey(account, g), &c)
		disk = c.Disk
		return err
	})
	return len(pairs), disk, err
}

// streamsPerSweep bounds one pass over streams; the next sweep goes on.
const streamsPerSweep = 1000

// sweepStreams removes streams that have become empty. Those that never had an event stay: their maker will write.
func (l *Logs) sweepStreams(ctx context.Context, account string, g uint64) error {
	var empty []string
	err := l.cfg.Store.View(ctx, func(v kv.View) error {
		empty = nil
		var c counters
		if _, err := get(v, l.countersKey(account, g), &c); err != nil {
			return err
		}
		for pair, err := range v.Scan(tuple.Prefix(account, l.cfg.Region, "logs", "s", g), math.MaxInt) {
			if err != nil {
				return err
			}
			var s streamRecord
			if _, err := get(loaded(pair), nil, &s); err != nil {
				return err
			}
			if s.Ingested == 0 || s.First > c.Trimmed {
				continue
			}
			has, err := l.hasBlocks(v, account, g, s.ID)
			if err != nil {
				return err
			}
			if has {
				continue
			}
			name, err := lastString(pair.Key)
			if err != nil {
				return err
			}
			if empty = append(empty, name); len(empty) == streamsPerSweep {
				return nil
			}
		}
		return nil
	})
	if err != nil || len(empty) == 0 {
		return err
	}
	return l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, name := range empty {
			var s streamRecord
			ok, err := get(tx, l.streamKey(account, g, name), &s)
			if err != nil {
				return err
			}
			// Every batch writes the stream's record, so one that came since is seen here, or makes this try again.
			if ok && tx.Now().UnixMilli()-s.Ingested > spanMax.Milliseconds() {
				tx.Delete(l.streamKey(account, g, name))
			}
		}
		return nil
	})
}

func (l *Logs) hasBlocks(v kv.View, account string, g, stream uint64) (bool, error) {
	for _, err := range v.Scan(tuple.Prefix(account, l.cfg.Region, "logs", "i", g, stream), 1) {
		return true, err
	}
	return false, nil
}
