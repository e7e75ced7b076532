package table

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
	"github.com/rouse-dev/rouse/table/stream"
)

// StreamRetention is how long records of a stream are kept, and a stream after it was turned off.
const StreamRetention = 24 * time.Hour

// feed is a stream as it is stored, the value of streamKey.
type feed struct {
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

// log is where the stream's records are.
func (t *Tables) log(s *feed) []byte {
	return schema.Log(t.at.Data(s.Account, s.Number), s.Label)
}

func (s *feed) trimmed() (p kv.Pos) {
	copy(p[:], s.Trimmed)
	return p
}

// shard is the name of the stream's only shard.
func (s *feed) shard() string {
	return fmt.Sprintf("shardId-%020d-%08x", s.Created.UnixMilli(), uint32(s.Number))
}

func checkStreamChange(d *schema.Record, view StreamView) error {
	switch {
	case view == "" && d.Stream == "":
		return invalid("Table has no stream to disable: TableName: %s", d.Name)
	case view != "" && d.Stream != "":
		return invalid("Table already has an enabled stream: TableName: %s", d.Name)
	case view != "" && d.CacheBytes > 0:
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement streams of cache tables")
	}
	return schema.CheckView(view)
}

// setStream turns the stream of a table on or off. The last record of a stream that is turned off says so: every write
// has read the head that changes with it, so nothing can follow.
func (t *Tables) setStream(tx kv.Tx, account string, d *schema.Record, view StreamView, now time.Time) error {
	switch {
	case d.Stream == "" && view != "":
		return t.openStream(tx, account, d, view, now)
	case d.Stream != "" && view == "":
		key := t.at.Stream(account, d.Name, d.StreamLabel)
		value, _, err := tx.Get(key)
		if err != nil {
			return err
		}
		var s feed
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("stream %s: %w", d.StreamARN, err)
		}
		s.Disabled = now.UTC()
		d.Stream = ""
		stream.AppendEnd(tx, t.log(&s))
		tx.Wake([]byte(d.StreamARN))
		return setJSON(tx, key, s)
	}
	return nil
}

func (t *Tables) openStream(tx kv.Tx, account string, d *schema.Record, view StreamView, now time.Time) error {
	now = now.UTC().Truncate(time.Millisecond)
	for {
		_, taken, err := tx.Get(t.at.Stream(account, d.Name, now.Format(labelForm)))
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
	tx.Set(t.at.Trim(account, d.Name, d.StreamLabel), nil)
	return setJSON(tx, t.at.Stream(account, d.Name, d.StreamLabel), feed{
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

// feed reads a stream.
func (t *Tables) feed(ctx context.Context, account, arn string) (*feed, error) {
	_, table, label, ok := stream.ParseARN(arn)
	if !ok || arn != t.streamARN(account, table, label) { // another account's, or region's: permissions are by ARN
		return nil, errNoStream(arn)
	}
	var s *feed
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, ok, err := v.Get(t.at.Stream(account, table, label))
		if err != nil {
			return err
		}
		if !ok {
			return errNoStream(arn)
		}
		s = &feed{}
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
	r := t.at.Streams(account, table)
	if after != "" {
		_, name, label, ok := stream.ParseARN(after)
		if !ok || table != "" && name != table {
			return nil, "", invalid("Invalid ExclusiveStartStreamArn: %s", after)
		}
		r.From = tuple.After(t.at.Stream(account, name, label))
	}
	err = t.cfg.Store.View(ctx, func(v kv.View) error {
		list = nil
		for p, err := range v.Scan(r, limit+1) {
			if err != nil {
				return err
			}
			var s feed
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

func (t *Tables) summary(s *feed) StreamSummary {
	return StreamSummary{ARN: t.streamARN(s.Account, s.Table, s.Label), Table: s.Table, Label: s.Label}
}

// Stream describes a stream.
func (t *Tables) Stream(ctx context.Context, account, arn string) (*StreamDescription, error) {
	s, err := t.feed(ctx, account, arn)
	if err != nil {
		return nil, err
	}
	d := &StreamDescription{Summary: t.summary(s), Status: Enabled, View: s.View, Created: s.Created, Key: s.Key}
	shard := Shard{ID: s.shard(), First: stream.Sequence(stream.Above(s.trimmed()))}
	if !s.Disabled.IsZero() {
		d.Status = Disabled
		end, err := stream.Last(ctx, t.cfg.Store, t.log(s), s.trimmed())
		if err != nil {
			return nil, err
		}
		shard.Last = stream.Sequence(end)
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

// errTrimmed is DynamoDB's text.
func errTrimmed() error {
	return rouse.Errorf(rouse.Invalid, "The operation attempted to read past the oldest stream record in a shard.").
		WithCode("TrimmedDataAccessException")
}

// Records reads a page of a shard from where an iterator stands.
func (t *Tables) Records(ctx context.Context, account, iterator string, limit int) (Records, error) {
	it, err := t.signer.Parse(iterator, t.cfg.Store.Now())
	if err != nil {
		return Records{}, err
	}
	owner, _, label, ok := stream.ParseARN(it.Stream)
	if !ok || owner != account {
		return Records{}, errNoStream(it.Stream)
	}
	if limit < 1 || limit > RecordsMax {
		limit = RecordsMax
	}
	log := schema.Log(t.at.Data(account, it.Number), label)
	page, err := stream.Read(ctx, t.cfg.Store, log, it.Pos, limit)
	if err != nil {
		return Records{}, fmt.Errorf("read stream %s: %w", it.Stream, err)
	}
	// Only now: what has been trimmed while it was read has been announced before.
	s, err := t.feed(ctx, account, it.Stream)
	if err != nil {
		return Records{}, err
	}
	if s.Number != it.Number {
		return Records{}, errNoStream(it.Stream)
	}
	if trimmed := s.trimmed(); !it.Horizon && string(it.Pos[:]) < string(trimmed[:]) {
		return Records{}, errTrimmed()
	}
	for i := range page.Records {
		r := &page.Records[i]
		r.Stream, r.View, r.ID = it.Stream, s.View, stream.RecordID(s.Number, r.Sequence)
	}
	out := Records{Records: page.Records}
	if !page.Closed {
		it.Pos, it.Horizon = page.Pos, it.Horizon && page.Pos == kv.Pos{}
		out.Next = t.signer.Sign(it, t.cfg.Store.Now())
	}
	return out, nil
}

// record appends the stream record of an effect.
func (e *effect) record(tx kv.Tx, service bool) {
	c := stream.Change{Event: stream.Modify, Service: service}
	it := e.new
	switch {
	case !e.had:
		c.Event = stream.Insert
	case e.new == nil:
		c.Event = stream.Remove
		it = e.old
	}
	c.Keys = item.Append(nil, e.s.KeyOf(it))
	if e.s.Stream == NewImage || e.s.Stream == NewAndOldImages {
		c.New = e.encoded
	}
	if e.s.Stream == OldImage || e.s.Stream == NewAndOldImages {
		c.Old = e.oldValue
	}
	c.Append(tx, e.s.log)
	tx.Wake(e.s.topic)
}

// Iterator makes an iterator over a shard.
func (t *Tables) Iterator(ctx context.Context, account string, r IteratorRequest) (string, error) {
	s, err := t.feed(ctx, account, r.Stream)
	if err != nil {
		return "", err
	}
	if r.Shard != s.shard() {
		return "", notFound("Requested resource not found: Shard does not exist")
	}
	it := stream.Iterator{Stream: r.Stream, Number: s.Number}
	switch r.Kind {
	case TrimHorizon:
		it.Horizon = true
	case Latest:
		if it.Pos, err = stream.End(ctx, t.cfg.Store, t.log(s), s.trimmed()); err != nil {
			return "", fmt.Errorf("find the end of stream %s: %w", r.Stream, err)
		}
	case AtSequence, AfterSequence:
		if it.Pos, err = s.position(r); err != nil {
			return "", err
		}
	default:
		return "", invalid("1 validation error detected: Value '%s' at 'shardIteratorType' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]", r.Kind)
	}
	return t.signer.Sign(it, t.cfg.Store.Now()), nil
}

// position is where an iterator by sequence number begins.
func (s *feed) position(r IteratorRequest) (kv.Pos, error) {
	p, ok := stream.ParseSequence(r.Sequence)
	if !ok {
		return p, invalid("Invalid SequenceNumber: %s", r.Sequence)
	}
	if trimmed := s.trimmed(); string(p[:]) <= string(trimmed[:]) && trimmed != (kv.Pos{}) {
		return p, errTrimmed()
	}
	if r.Kind == AtSequence {
		p = stream.Before(p)
	}
	return p, nil
}

// IteratorStream is the ARN of the stream that an iterator says it reads. Records checks whether that is true.
func (t *Tables) IteratorStream(iterator string) (arn string, err error) {
	arn, _, ok := strings.Cut(iterator, "|")
	if _, _, _, isStream := stream.ParseARN(arn); !ok || !isStream {
		return "", invalid("Invalid ShardIterator")
	}
	return arn, nil
}

// loadSecret reads what signs iterators, which all nodes share; the first one draws it.
func (t *Tables) loadSecret(ctx context.Context) error {
	fresh := make([]byte, sha256.Size)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	return t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		value, ok, err := tx.Get(t.at.Secret())
		if err != nil {
			return err
		}
		if !ok {
			tx.Set(t.at.Secret(), fresh)
			value = fresh
		}
		t.signer.Secret = value
		return nil
	})
}
