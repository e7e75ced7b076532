package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/item"
)

// StreamRetention is how long records of a stream are kept, and a stream after it was turned off.
const StreamRetention = 24 * time.Hour

// streamRecord is the value of streamKey.
type stream struct {
	Account  string     `json:"account"`
	Table    string     `json:"table"`
	Label    string     `json:"label"`
	Number   uint64     `json:"number"` // of the table
	View     StreamView `json:"view"`
	Key      Key        `json:"key"`
	Created  time.Time  `json:"created"`
	Disabled time.Time  `json:"disabled,omitzero"`
	Trimmed  []byte     `json:"trimmed,omitempty"` // position up to which records are gone, or are about to be
}

const labelForm = "2006-01-02T15:04:05.000"

func (t *Tables) streamARN(account, table, label string) string {
	return t.ARN(account, table) + "/stream/" + label
}

// ParseStreamARN takes the ARN of a stream apart.
func ParseStreamARN(arn string) (account, table, label string, ok bool) {
	a, err := rouse.ParseARN(arn)
	if err != nil || a.Service != "dynamodb" {
		return "", "", "", false
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) != 4 || parts[0] != "table" || parts[2] != "stream" || parts[1] == "" || parts[3] == "" {
		return "", "", "", false
	}
	return a.Account, parts[1], parts[3], true
}

func (s *stream) log(region string) []byte { return streamLog(s.Account, region, s.Number, s.Label) }

func (s *stream) trimmed() (p kv.Pos) {
	copy(p[:], s.Trimmed)
	return p
}

// shard is the name of the stream's only shard.
func (s *stream) shard() string {
	return fmt.Sprintf("shardId-%020d-%08x", s.Created.UnixMilli(), uint32(s.Number))
}

func checkStreamChange(d *descriptor, view StreamView) error {
	switch {
	case view == "" && d.Stream == "":
		return invalid("Table has no stream to disable: TableName: %s", d.Name)
	case view != "" && d.Stream != "":
		return invalid("Table already has an enabled stream: TableName: %s", d.Name)
	case view != "" && d.CacheBytes > 0:
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement streams of cache tables")
	}
	def := Definition{Stream: view}
	return def.checkRest()
}

// setStream turns the stream of a table on or off. The last record of a stream that is turned off says so: every write
// has read the head that changes with it, so nothing can follow.
func (t *Tables) setStream(tx kv.Tx, account string, d *descriptor, view StreamView, now time.Time) error {
	switch {
	case d.Stream == "" && view != "":
		return t.openStream(tx, account, d, view, now)
	case d.Stream != "" && view == "":
		key := t.streamKey(account, d.Name, d.StreamLabel)
		value, _, err := tx.Get(key)
		if err != nil {
			return err
		}
		var s stream
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("stream %s: %w", d.StreamARN, err)
		}
		s.Disabled = now.UTC()
		d.Stream = ""
		tx.Append(s.log(t.cfg.Region), appendChunkHead(nil, chunkEnd, now))
		tx.Wake([]byte(d.StreamARN))
		return setJSON(tx, key, s)
	}
	return nil
}

func (t *Tables) openStream(tx kv.Tx, account string, d *descriptor, view StreamView, now time.Time) error {
	now = now.UTC().Truncate(time.Millisecond)
	for {
		_, taken, err := tx.Get(t.streamKey(account, d.Name, now.Format(labelForm)))
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		now = now.Add(time.Millisecond)
	}
	d.Stream, d.StreamLabel = view, now.Format(labelForm)
	d.StreamARN = t.streamARN(account, d.Name, d.StreamLabel)
	tx.Set(t.streamListKey(account, d.Name, d.StreamLabel), nil)
	return setJSON(tx, t.streamKey(account, d.Name, d.StreamLabel), stream{
		Account: account, Table: d.Name, Label: d.StreamLabel, Number: d.Number, View: view, Key: d.Key, Created: now})
}

func setJSON(tx kv.Tx, key []byte, v any) error {
	value, err := json.Marshal(v)
	if err == nil {
		tx.Set(key, value)
	}
	return err
}

func errNoStream(arn string) error {
	return notFound("Requested resource not found: Stream: %s not found", arn)
}

// stream reads a stream's record.
func (t *Tables) stream(ctx context.Context, account, arn string) (*stream, error) {
	owner, table, label, ok := ParseStreamARN(arn)
	if !ok || owner != account {
		return nil, errNoStream(arn)
	}
	var s *stream
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, ok, err := v.Get(t.streamKey(account, table, label))
		if err != nil {
			return err
		}
		if !ok {
			return errNoStream(arn)
		}
		s = &stream{}
		return json.Unmarshal(value, s)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// StreamsMax is how many streams Streams answers with at most.
const StreamsMax = 100

// Streams lists the streams of a table, or with table "" of the account, after an ARN. last is "" when there are no more.
func (t *Tables) Streams(ctx context.Context, account, table, after string, limit int) (list []StreamSummary, last string, err error) {
	if limit < 1 || limit > StreamsMax {
		limit = StreamsMax
	}
	parts := []any{account, t.cfg.Region, room, "stream"}
	if table != "" {
		parts = append(parts, table)
	}
	r := tuple.Prefix(parts...)
	if after != "" {
		_, name, label, ok := ParseStreamARN(after)
		if !ok || table != "" && name != table {
			return nil, "", invalid("Invalid ExclusiveStartStreamArn: %s", after)
		}
		r.From = tuple.After(t.streamKey(account, name, label))
	}
	err = t.cfg.Store.View(ctx, func(v kv.View) error {
		list = nil
		for p, err := range v.Scan(r, limit+1) {
			if err != nil {
				return err
			}
			var s stream
			if err := json.Unmarshal(p.Value, &s); err != nil {
				return fmt.Errorf("list streams: %w", err)
			}
			list = append(list, t.summary(&s))
		}
		return nil
	})
	if err != nil || len(list) <= limit {
		return list, "", err
	}
	return list[:limit], list[limit-1].ARN, nil
}

func (t *Tables) summary(s *stream) StreamSummary {
	return StreamSummary{ARN: t.streamARN(s.Account, s.Table, s.Label), Table: s.Table, Label: s.Label}
}

// Stream describes a stream.
func (t *Tables) Stream(ctx context.Context, account, arn string) (*StreamDescription, error) {
	s, err := t.stream(ctx, account, arn)
	if err != nil {
		return nil, err
	}
	d := &StreamDescription{StreamSummary: t.summary(s), Status: Enabled, View: s.View, Created: s.Created, Key: s.Key}
	shard := Shard{ID: s.shard(), First: sequence(above(s.trimmed()))}
	if !s.Disabled.IsZero() {
		d.Status = Disabled
		end, err := t.lastRecord(ctx, s)
		if err != nil {
			return nil, err
		}
		shard.Last = sequence(end)
	}
	d.Shards = []Shard{shard}
	return d, nil
}

// WatchStream returns a channel that gets a hint some time after a stream got records. stop must be called once.
func (t *Tables) WatchStream(arn string) (hint <-chan struct{}, stop func()) {
	return t.cfg.Store.Wake([]byte(arn))
}

// RecordsMax is how many records one call of Records answers with at most.
const RecordsMax = 1000

// recordsSizeMax ends a page of records.
const recordsSizeMax = 1 << 20

// errTrimmed is DynamoDB's text.
func errTrimmed() error {
	return rouse.Errorf(rouse.Invalid, "The operation attempted to read past the oldest stream record in a shard.").
		WithCode("TrimmedDataAccessException")
}

// Records reads a page of a shard from where an iterator stands.
func (t *Tables) Records(ctx context.Context, account, iterator string, limit int) (Records, error) {
	it, err := t.parseIterator(iterator)
	if err != nil {
		return Records{}, err
	}
	owner, table, label, ok := ParseStreamARN(it.arn)
	if !ok || owner != account {
		return Records{}, errIterator()
	}
	if limit < 1 || limit > RecordsMax {
		limit = RecordsMax
	}
	log := streamLog(account, t.cfg.Region, it.number, label)
	page, pos, closed, err := t.readRecords(ctx, log, it.pos, limit)
	if err != nil {
		return Records{}, err
	}
	// Only now: what has been trimmed while it was read has been announced before.
	s, err := t.stream(ctx, account, it.arn)
	if err != nil {
		return Records{}, err
	}
	if s.Number != it.number {
		return Records{}, errNoStream(it.arn)
	}
	if trimmed := s.trimmed(); !it.horizon && string(it.pos[:]) < string(trimmed[:]) {
		return Records{}, errTrimmed()
	}
	for i := range page {
		page[i].Stream, page[i].View = it.arn, s.View
		page[i].ID = recordID(s.Number, page[i].Sequence)
	}
	out := Records{Records: page}
	if !closed {
		next := it
		next.pos, next.horizon = pos, it.horizon && pos == kv.Pos{}
		out.Next = t.iterator(next)
	}
	_ = table
	return out, nil
}

// readRecords reads complete records after a position, and answers with where it stopped. closed says that the last
// record of the stream was read.
func (t *Tables) readRecords(ctx context.Context, log []byte, from kv.Pos, limit int) (page []StreamRecord, pos kv.Pos, closed bool, err error) {
	pos = from
	size := 0
	var part []byte // of the record that is being put together
	var first kv.Pos
	for at := from; len(page) < limit && size < recordsSizeMax; {
		chunks, err := t.cfg.Store.Read(ctx, log, at, limit-len(page))
		if err != nil {
			return nil, pos, false, err
		}
		if len(chunks) == 0 {
			return page, pos, false, nil
		}
		for _, c := range chunks {
			at = c.Pos
			flags, created, body, err := parseChunk(c.Value)
			switch {
			case err != nil:
				return nil, pos, false, err
			case flags&chunkEnd != 0:
				return page, c.Pos, true, nil
			case flags&chunkContinues != 0 && part == nil: // the iterator stands within a record that was read
				pos = c.Pos
				continue
			case part == nil:
				first = c.Pos
				part = body[:len(body):len(body)]
			default:
				part = append(part, body...)
			}
			if flags&chunkMore != 0 {
				continue
			}
			rec, err := parseRecord(part)
			if err != nil {
				return nil, pos, false, fmt.Errorf("stream record at %x: %w", first, err)
			}
			rec.Created, rec.Sequence = created, sequence(first)
			page, pos, part = append(page, rec), c.Pos, nil
			if size += rec.SizeBytes; len(page) >= limit || size >= recordsSizeMax {
				break
			}
		}
	}
	return page, pos, false, nil
}

// lastRecord is the position of the last record of a stream that is turned off.
func (t *Tables) lastRecord(ctx context.Context, s *stream) (kv.Pos, error) {
	log := s.log(t.cfg.Region)
	end, err := t.search(ctx, log, s.trimmed(), func(kv.Record) bool { return true })
	if err != nil {
		return kv.Pos{}, err
	}
	return end.first(), nil
}

// search finds the last commit whose records satisfy ok, among those after a position: ok is true up to some record, and
// false for all that follow. It gallops, then halves: some dozens of reads of one record each, however long the log.
func (t *Tables) search(ctx context.Context, log []byte, from kv.Pos, ok func(kv.Record) bool) (spot, error) {
	probe := func(p kv.Pos) (spot, bool, error) {
		recs, err := t.cfg.Store.Read(ctx, log, p, 1)
		if err != nil || len(recs) == 0 || !ok(recs[0]) {
			return spot{}, false, err
		}
		return spotOf(recs[0].Pos), true, nil
	}
	low, found, err := probe(from)
	if err != nil || !found {
		return spotOf(from), err
	}
	high := spotEnd
	step := spot{0, 1}
	for low.less(high) {
		mid, over := low.plus(step)
		if over || !mid.less(high) {
			mid = low.middle(high)
		}
		next, found, err := probe(mid.last())
		switch {
		case err != nil:
			return spot{}, err
		case found:
			low = next
			step, _ = step.plus(step)
		default:
			high = mid
			step = low.middle(high).minus(low)
		}
	}
	return low, nil
}

var errRecord = errors.New("not a stream record")

// record appends the stream record of an effect.
func (e *effect) record(tx kv.Tx, now time.Time, service bool) error {
	event := byte(eventModify)
	switch {
	case !e.had:
		event = eventInsert
	case e.new == nil:
		event = eventRemove
	}
	it := e.new
	if it == nil {
		it = e.old
	}
	var newImage, oldImage []byte
	if e.s.Stream == NewImage || e.s.Stream == NewAndOldImages {
		newImage = e.encoded
	}
	if e.s.Stream == OldImage || e.s.Stream == NewAndOldImages {
		oldImage = e.oldValue
	}
	body := appendRecord(nil, event, service, item.Append(nil, e.s.keyOf(it)), newImage, oldImage)
	for flags := byte(0); ; flags |= chunkContinues {
		n := min(len(body), kv.ValueMax-chunkHead)
		if n < len(body) {
			flags |= chunkMore
		} else {
			flags &^= chunkMore
		}
		tx.Append(e.s.log, append(appendChunkHead(make([]byte, 0, chunkHead+n), flags, now), body[:n]...))
		if body = body[n:]; len(body) == 0 {
			break
		}
	}
	tx.Wake(e.s.topic)
	return nil
}
