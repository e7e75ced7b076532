package logs

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Stream is a log stream: the lines of one source.
type Stream struct {
	Name     string
	Created  time.Time
	First    time.Time // of its events; zero when it has had none
	Last     time.Time
	Ingested time.Time // when the last batch came
}

type streamRecord struct {
	ID       uint64
	Created  int64 // Unix milliseconds, as the others
	First    int64 `json:",omitempty"`
	Last     int64 `json:",omitempty"`
	Ingested int64 `json:",omitempty"`
}

func (r *streamRecord) stream(name string) Stream {
	s := Stream{Name: name, Created: millis(r.Created)}
	if r.Ingested != 0 {
		s.First, s.Last, s.Ingested = millis(r.First), millis(r.Last), millis(r.Ingested)
	}
	return s
}

// CreateStream makes a stream in a group.
func (l *Logs) CreateStream(ctx context.Context, account, group, name string) error {
	if err := checkStream(name); err != nil {
		return err
	}
	id := randomID()
	return failed(l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var g groupRecord
		ok, err := get(tx, l.groupKey(account, group), &g)
		if err != nil {
			return err
		}
		if !ok {
			return noGroup()
		}
		at := l.streamKey(account, g.ID, name)
		if _, ok, err := tx.Get(at); err != nil {
			return err
		} else if ok {
			return rouse.Errorf(rouse.Exists, "The specified log stream already exists").WithCode("ResourceAlreadyExistsException")
		}
		put(tx, at, streamRecord{ID: id, Created: tx.Now().UnixMilli()})
		return nil
	}))
}

// DeleteStream deletes a stream and its events. What a crash leaves of them the sweep removes.
func (l *Logs) DeleteStream(ctx context.Context, account, group, name string) error {
	var g groupRecord
	var s streamRecord
	err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var err error
		if g, s, err = l.stream(tx, account, group, name); err != nil {
			return err
		}
		tx.Delete(l.streamKey(account, g.ID, name))
		tx.Set(l.deadKey(account, g.ID, s.ID), nil)
		return nil
	})
	if err != nil {
		return failed(err)
	}
	return failed(l.buryStream(ctx, account, g.ID, s.ID))
}

// buryStream removes the blocks of a deleted stream, and then the note that it has to be done.
func (l *Logs) buryStream(ctx context.Context, account string, g, stream uint64) error {
	r := tuple.Prefix(account, l.cfg.Region, "logs", "i", g, stream)
	for {
		pairs, err := l.cfg.Store.Claim(ctx, r, sweepBatch, func(tx kv.Tx, pairs []kv.Pair) error {
			return l.dropIndexed(tx, account, g, pairs)
		})
		if err != nil {
			return err
		}
		if len(pairs) == 0 {
			break
		}
	}
	return l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		tx.Delete(l.deadKey(account, g, stream))
		return nil
	})
}

// dropIndexed deletes the blocks of claimed index entries.
func (l *Logs) dropIndexed(tx kv.Tx, account string, g uint64, pairs []kv.Pair) error {
	var freed indexed
	for _, p := range pairs {
		parts, err := tuple.Parse(p.Key)
		if err != nil || len(parts) != 8 {
			return errBlock
		}
		first, seq := parts[6].(int64), parts[7].(uint64)
		tx.Delete(l.blockKey(account, g, first, seq))
		i, err := openIndexed(p.Value)
		if err != nil {
			return err
		}
		freed.bytes += i.bytes
		freed.disk += i.disk
	}
	return l.discount(tx, account, g, freed, 0)
}

// discount takes what was removed off the counters of a group, if it still exists; trimmed, if not 0, is up to when.
func (l *Logs) discount(tx kv.Tx, account string, g uint64, freed indexed, trimmed int64) error {
	var c counters
	ok, err := get(tx, l.countersKey(account, g), &c)
	if err != nil || !ok {
		return err
	}
	c.Bytes -= freed.bytes
	c.Disk -= freed.disk
	c.Trimmed = max(c.Trimmed, trimmed)
	put(tx, l.countersKey(account, g), c)
	return nil
}

// stream reads a stream that must exist.
func (l *Logs) stream(from getter, account, group, name string) (g groupRecord, s streamRecord, err error) {
	ok, err := get(from, l.groupKey(account, group), &g)
	if err != nil {
		return g, s, err
	}
	if !ok {
		return g, s, noGroup()
	}
	ok, err = get(from, l.streamKey(account, g.ID, name), &s)
	if err == nil && !ok {
		err = noStream()
	}
	return g, s, err
}

// StreamQuery selects streams of a group.
type StreamQuery struct {
	Account, Group string
	Prefix         string
	ByTime         bool // by the time of the last event instead of by name; without Prefix
	Descending     bool
	After          *Stream // continue behind this one
	Limit          int
}

// Streams lists streams of a group; more reports whether others follow.
func (l *Logs) Streams(ctx context.Context, q StreamQuery) (list []Stream, more bool, err error) {
	err = l.cfg.Store.View(ctx, func(v kv.View) error {
		list, more = nil, false
		var g groupRecord
		ok, err := get(v, l.groupKey(q.Account, q.Group), &g)
		if err != nil {
			return err
		}
		if !ok {
			return noGroup()
		}
		if q.ByTime {
			list, more, err = l.streamsByTime(v, g.ID, q)
		} else {
			list, more, err = l.streamsByName(v, g.ID, q)
		}
		return err
	})
	return list, more, failed(err)
}

func (l *Logs) streamsByName(v kv.View, g uint64, q StreamQuery) (list []Stream, more bool, err error) {
	r := tuple.Starting(q.Prefix, q.Account, l.cfg.Region, "logs", "s", g)
	r.Reverse = q.Descending
	if q.After != nil {
		at := l.streamKey(q.Account, g, q.After.Name)
		if q.Descending {
			r.To = at
		} else {
			r.From = tuple.After(at)
		}
	}
	for s, err := range l.eachStream(v, r) {
		if err != nil {
			return nil, false, err
		}
		if len(list) == q.Limit {
			return list, true, nil
		}
		list = append(list, s)
	}
	return list, false, nil
}

// streamsByTime sorts all streams of the group: their order changes with every batch, so none is kept.
func (l *Logs) streamsByTime(v kv.View, g uint64, q StreamQuery) (list []Stream, more bool, err error) {
	before := func(a, b Stream) int {
		c := cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.Name, b.Name))
		if q.Descending {
			return -c
		}
		return c
	}
	for s, err := range l.eachStream(v, tuple.Prefix(q.Account, l.cfg.Region, "logs", "s", g)) {
		if err != nil {
			return nil, false, err
		}
		if q.After == nil || before(*q.After, s) < 0 {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, before)
	if len(list) > q.Limit {
		return list[:q.Limit], true, nil
	}
	return list, false, nil
}

func (l *Logs) eachStream(v kv.View, r kv.Range) func(yield func(Stream, error) bool) {
	return func(yield func(Stream, error) bool) {
		for pair, err := range v.Scan(r, math.MaxInt) {
			if err != nil {
				yield(Stream{}, err)
				return
			}
			var s streamRecord
			name, err := lastString(pair.Key)
			if err == nil {
				_, err = get(loaded(pair), nil, &s)
			}
			if !yield(s.stream(name), err) || err != nil {
				return
			}
		}
	}
}

// loaded serves get from a pair that a scan has read already.
type loaded kv.Pair

func (p loaded) Get([]byte) ([]byte, bool, error) { return p.Value, true, nil }
