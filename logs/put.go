package logs

import (
	"bytes"
	"context"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// chunk is what one stream brings in one transaction: encoded, so that storing it may be tried again.
type chunk struct {
	account, group, stream string
	create                 bool // the group and the stream, if they do not exist
	blocks                 []*block
}

// store writes chunks in one transaction and then shows them to followers. Blocks that are there already, because an
// earlier try succeeded unnoticed, are left as they are.
func (l *Logs) store(ctx context.Context, chunks []*chunk) error {
	ids := make([]uint64, 2*len(chunks)) // for groups and streams that have to be made
	for i := range ids {
		ids[i] = randomID()
	}
	var at time.Time
	err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		at = tx.Now()
		b := batch{l: l, tx: tx, groups: map[[2]string]*openGroup{}}
		for i, c := range chunks {
			if err := b.add(c, ids[2*i], ids[2*i+1]); err != nil {
				return err
			}
		}
		b.finish()
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range chunks {
		l.hub.publish(c, at)
	}
	return nil
}

// batch is one transaction being filled.
type batch struct {
	l      *Logs
	tx     kv.Tx
	groups map[[2]string]*openGroup
}

type openGroup struct {
	account string
	groupRecord
	counters
	streams map[string]*streamRecord
}

func (b *batch) add(c *chunk, groupID, streamID uint64) error {
	g, err := b.group(c, groupID)
	if err != nil {
		return err
	}
	s, err := b.stream(c, g, streamID)
	if err != nil {
		return err
	}
	now := b.tx.Now().UnixMilli()
	for _, k := range c.blocks {
		seq, there, err := b.place(c.account, g.ID, s.ID, k)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		h := header{stream: s.ID, name: c.stream, ingested: now, bytes: k.bytes, count: k.count}
		value := h.seal(k.payload)
		b.tx.Set(b.l.blockKey(c.account, g.ID, k.first, seq), value)
		i := indexed{bytes: k.bytes, disk: int64(len(value))}
		b.tx.Set(b.l.indexKey(c.account, g.ID, s.ID, k.first, seq), i.encode())
		g.Bytes += i.bytes
		g.Disk += i.disk
		if g.Trimmed > k.first {
			g.Trimmed = k.first // late lines begin before what was trimmed; retention still hides what is too old
		}
		if s.Ingested == 0 || k.first < s.First {
			s.First = k.first
		}
		s.Last, s.Ingested = max(s.Last, k.last), now
	}
	put(b.tx, b.l.streamKey(c.account, g.ID, c.stream), s)
	return nil
}

// place finds the number under which a block is stored: its own, unless another node happened to draw the same one for
// the same millisecond. there is true when this very block is stored already.
func (b *batch) place(account string, g, stream uint64, k *block) (seq uint64, there bool, err error) {
	for seq = k.seq; ; seq += 1 << nodeBits {
		value, ok, err := b.tx.Get(b.l.blockKey(account, g, k.first, seq))
		if err != nil || !ok {
			return seq, false, err
		}
		h, payload, err := openHeader(value)
		if err != nil {
			return seq, false, err
		}
		if h.stream == stream && bytes.Equal(payload, k.payload) {
			return seq, true, nil
		}
	}
}

func (b *batch) group(c *chunk, id uint64) (*openGroup, error) {
	k := [2]string{c.account, c.group}
	if g := b.groups[k]; g != nil {
		return g, nil
	}
	g := &openGroup{account: c.account, streams: map[string]*streamRecord{}}
	ok, err := get(b.tx, b.l.groupKey(c.account, c.group), &g.groupRecord)
	switch {
	case err != nil:
		return nil, err
	case !ok && !c.create:
		return nil, noGroup()
	case !ok:
		g.groupRecord = groupRecord{ID: id, Created: b.tx.Now()}
		b.l.createGroup(b.tx, c.account, c.group, g.groupRecord)
	default:
		if _, err := get(b.tx, b.l.countersKey(c.account, g.ID), &g.counters); err != nil {
			return nil, err
		}
	}
	b.groups[k] = g
	return g, nil
}

func (b *batch) stream(c *chunk, g *openGroup, id uint64) (*streamRecord, error) {
	if s := g.streams[c.stream]; s != nil {
		return s, nil
	}
	s := &streamRecord{}
	ok, err := get(b.tx, b.l.streamKey(c.account, g.ID, c.stream), s)
	switch {
	case err != nil:
		return nil, err
	case !ok && !c.create:
		return nil, noStream()
	case !ok:
		*s = streamRecord{ID: id, Created: b.tx.Now().UnixMilli()}
	}
	g.streams[c.stream] = s
	return s, nil
}

func (b *batch) finish() {
	for _, g := range b.groups {
		put(b.tx, b.l.countersKey(g.account, g.ID), g.counters)
	}
}

// Put is an event that a client brings.
type Put struct {
	Time    time.Time
	Message string
}

// Rejected says which events of a Put were not stored, by index; -1 where there are none.
type Rejected struct {
	TooNew  int // the first that lies more than two hours in the future
	TooOld  int // the end of those that are older than 14 days
	Expired int // the end of those that are older than the group's retention
}

const (
	tooNew = 2 * time.Hour
	tooOld = 14 * 24 * time.Hour
)

// Put stores events, ordered by time, in a stream that exists. nil: they are on disk, save for those rejected.
func (l *Logs) Put(ctx context.Context, account, group, stream string, events []Put) (Rejected, error) {
	rejected := Rejected{-1, -1, -1}
	if err := checkPut(events); err != nil {
		return rejected, err
	}
	var g groupRecord
	err := l.cfg.Store.View(ctx, func(v kv.View) (err error) {
		g, _, err = l.stream(v, account, group, stream)
		return err
	})
	if err != nil {
		return rejected, failed(err)
	}
	now := l.now()
	lines := make([]line, 0, len(events))
	for i, e := range events {
		switch {
		case e.Time.Sub(now) > tooNew:
			if rejected.TooNew < 0 {
				rejected.TooNew = i
			}
		case now.Sub(e.Time) > tooOld:
			rejected.TooOld = i + 1
		case g.Retention > 0 && now.Sub(e.Time) > days(g.Retention):
			rejected.Expired = i + 1
		default:
			lines = append(lines, line{e.Time.UnixMilli(), e.Message})
		}
	}
	if len(lines) == 0 {
		return rejected, nil
	}
	blocks := encodeBlocks(lines, func() uint64 { return l.seqs.next(now) })
	return rejected, failed(l.store(ctx, []*chunk{{account: account, group: group, stream: stream, blocks: blocks}}))
}

func checkPut(events []Put) error {
	if len(events) == 0 || len(events) > PutEventsMax {
		return invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have "+
			"length between 1 and %d", PutEventsMax)
	}
	size := 0
	for i, e := range events {
		size += len(e.Message) + EventCost
		switch {
		case e.Message == "":
			return invalid("1 validation error detected: Value at 'logEvents.%d.member.message' failed to satisfy "+
				"constraint: Member must have length greater than or equal to 1", i+1)
		case e.Time.UnixMilli() < 0:
			return invalid("1 validation error detected: Value at 'logEvents.%d.member.timestamp' failed to satisfy "+
				"constraint: Member must have value greater than or equal to 0", i+1)
		case len(e.Message)+EventCost > EventMax:
			return invalid("Log event too large: %d bytes exceeds limit of %d", len(e.Message)+EventCost, EventMax)
		case i > 0 && e.Time.Before(events[i-1].Time):
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > PutBytesMax {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, PutBytesMax)
	}
	if span := events[len(events)-1].Time.Sub(events[0].Time); span > PutSpanMax {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
