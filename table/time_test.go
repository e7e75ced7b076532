package table_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

const account = "123456789012"

// cacheBytes is what the cache tables of an engine may hold together.
const cacheBytes = 4 << 20

// engine is an engine in a bubble, with its upkeep running.
type engine struct {
	*table.Tables
	t       *testing.T
	store   kv.Store
	expired int
	filled  func() // called when a back-fill has looked at some items; nil: nobody asks
}

// bubble runs fn with an engine in a bubble of its own.
func bubble(t *testing.T, fn func(t *testing.T, e *engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &engine{t: t, store: kvtest.Memory(t)}
		leases := lease.New(lease.Config{Store: e.store, Alone: true})
		var err error
		e.Tables, err = table.Open(t.Context(), table.Config{Store: e.store, Leases: leases, Region: "eu-test-1", CacheBytes: cacheBytes,
			Moments: table.Moments{Expired: func(n int) { e.expired += n }, Backfilled: func(int) {
				if e.filled != nil {
					e.filled()
				}
			}}})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		fn(t, e)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want %v", err, context.Canceled)
		}
		if err := leases.Close(); err != nil {
			t.Errorf("close leases: %v", err)
		}
	})
}

func (e *engine) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatalf("got error %v, want nil", err)
	}
}

// pass lets time pass, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func str(s string) item.Value { return item.NewString(s) }
func num(n int64) item.Value  { return item.NewNumber(item.Int(n)) }

func key(id string) item.Item { return item.Item{"id": str(id)} }

func definition(name string) table.Definition {
	return table.Definition{Name: name, Billing: table.PayPerRequest, Key: table.Key{Hash: "id"},
		Attributes: []table.Attribute{{Name: "id", Type: item.TypeString}}}
}

func (e *engine) create(d table.Definition) {
	e.t.Helper()
	_, err := e.Create(e.t.Context(), account, d)
	e.must(err)
}

func (e *engine) put(name string, it item.Item) {
	e.t.Helper()
	_, err := e.Write(e.t.Context(), account, table.WriteRequest{Table: name, Kind: table.Put, Item: it})
	e.must(err)
}

func (e *engine) has(name, id string) bool {
	e.t.Helper()
	res, err := e.Get(e.t.Context(), account, table.GetRequest{Table: name, Key: key(id)})
	e.must(err)
	return res.Item != nil
}

// iterator asks for an iterator over a table's latest stream.
func (e *engine) iterator(name string, kind table.IteratorKind, seq string) (string, error) {
	e.t.Helper()
	d, err := e.Describe(e.t.Context(), account, name)
	e.must(err)
	return e.iteratorOf(d.StreamARN, kind, seq)
}

func (e *engine) iteratorOf(arn string, kind table.IteratorKind, seq string) (string, error) {
	e.t.Helper()
	s, err := e.Stream(e.t.Context(), account, arn)
	if err != nil {
		return "", err
	}
	return e.Iterator(e.t.Context(), account, table.IteratorRequest{Stream: arn, Shard: s.Shards[0].ID, Kind: kind, Sequence: seq})
}

func (e *engine) records(it string) table.Records {
	e.t.Helper()
	r, err := e.Records(e.t.Context(), account, it, 0)
	e.must(err)
	return r
}

func code(err error) string {
	var e *rouse.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

// in is an item that expires in so long.
func in(id string, d time.Duration) item.Item {
	it := key(id)
	it["ends"] = num(time.Now().Add(d).Unix())
	return it
}

// TestExpiry: items expire within a minute of their time, those that were there before too; the stream says that the
// service did it. What has no time, or none that makes sense, stays.
func TestExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		d := definition("sessions")
		d.Attributes = append(d.Attributes, table.Attribute{Name: "user", Type: item.TypeString})
		d.Global = []table.IndexDefinition{{Name: "by-user", Key: table.Key{Hash: "user"}, Projection: table.Projection{Kind: table.ProjectAll}}}
		d.Stream = table.NewAndOldImages
		e.create(d)
		before := in("before", time.Hour)
		before["user"] = str("ann")
		e.put("sessions", before)
		e.must(e.SetTTL(t.Context(), account, "sessions", "ends", true))
		if got := code(e.SetTTL(t.Context(), account, "sessions", "ends", true)); got != "ValidationException" {
			t.Errorf("SetTTL again: got %s, want a ValidationException", got)
		}
		pass(time.Minute)
		if ttl, err := e.TTL(t.Context(), account, "sessions"); err != nil || ttl.Status != table.Enabled || ttl.Attribute != "ends" {
			t.Errorf("TTL: got %+v, %v; want it ENABLED by ends", ttl, err)
		}
		e.put("sessions", in("soon", time.Minute))
		e.put("sessions", in("moved", time.Minute))
		e.put("sessions", in("moved", 3*time.Hour))
		e.put("sessions", in("ancient", -6*365*24*time.Hour))
		e.put("sessions", key("never"))
		text := key("text")
		text["ends"] = str(strconv.FormatInt(time.Now().Unix(), 10))
		e.put("sessions", text)
		want := func(when string, ids ...string) {
			t.Helper()
			for _, id := range []string{"before", "soon", "moved", "ancient", "never", "text"} {
				if got, want := e.has("sessions", id), strings.Contains(strings.Join(ids, " "), id); got != want {
					t.Errorf("%s: %s is there: got %v, want %v", when, id, got, want)
				}
			}
		}
		want("at first", "before", "soon", "moved", "ancient", "never", "text")
		pass(2 * time.Minute)
		want("after two minutes", "before", "moved", "ancient", "never", "text")
		pass(time.Hour)
		want("after an hour", "moved", "ancient", "never", "text")
		pass(2 * time.Hour)
		want("after three hours", "ancient", "never", "text")
		if e.expired != 3 {
			t.Errorf("expired: got %d, want 3", e.expired)
		}
		page, err := e.Scan(t.Context(), account, table.ScanRequest{Table: "sessions", Index: "by-user"})
		if e.must(err); page.Count != 0 {
			t.Errorf("index: got %d entries, want none", page.Count)
		}
		it, err := e.iterator("sessions", table.TrimHorizon, "")
		e.must(err)
		services := 0
		for _, r := range e.records(it).Records {
			if r.Service {
				if services++; r.Event != "REMOVE" || r.Old == nil {
					t.Errorf("a record of the service: got %+v, want a REMOVE with the old item", r)
				}
			}
		}
		if services != 3 {
			t.Errorf("records of the service: got %d, want 3", services)
		}
		e.must(e.SetTTL(t.Context(), account, "sessions", "ends", false))
		e.put("sessions", in("kept", time.Minute))
		pass(time.Hour)
		if !e.has("sessions", "kept") {
			t.Error("with the time to live off, an item expired")
		}
	})
}

// TestExpiryAnew: a time to live that is turned off while its items are looked at, and on again by another attribute, is
// begun anew.
func TestExpiryAnew(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		e.create(definition("sessions"))
		const items = 60
		for i := range items {
			it := in(fmt.Sprint(i), time.Minute)
			it["later"] = num(time.Now().Add(time.Hour).Unix())
			e.put("sessions", it)
		}
		changed := false
		e.filled = func() {
			if changed {
				return
			}
			changed = true
			e.must(e.SetTTL(t.Context(), account, "sessions", "later", false))
			e.must(e.SetTTL(t.Context(), account, "sessions", "ends", true))
		}
		e.must(e.SetTTL(t.Context(), account, "sessions", "later", true))
		pass(5 * time.Minute)
		if ttl, err := e.TTL(t.Context(), account, "sessions"); err != nil || ttl.Status != table.Enabled || ttl.Attribute != "ends" || !changed {
			t.Errorf("TTL: got %+v, %v; want it ENABLED by ends", ttl, err)
		}
		if e.expired != items {
			t.Errorf("expired: got %d, want %d", e.expired, items)
		}
	})
}

// TestUpkeepTogether: while one table is filled, for however long, others are filled too, dropped tables are swept and
// streams are trimmed.
func TestUpkeepTogether(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		d := definition("events")
		d.Stream = table.KeysOnly
		e.create(d)
		e.put("events", key("old"))
		at, err := e.iterator("events", table.TrimHorizon, "")
		e.must(err)
		first := e.records(at).Records[0].Sequence
		for _, name := range []string{"large", "small"} {
			e.create(definition(name))
		}
		for i := range 240 { // 6,000 items are three turns
			var batch []table.WriteRequest
			for j := range 25 {
				batch = append(batch, table.WriteRequest{Table: "large", Kind: table.Put, Item: key(fmt.Sprint(i, "-", j))})
			}
			_, err := e.BatchWrite(t.Context(), account, batch)
			e.must(err)
		}
		e.put("small", key("x"))
		blocked, calls := make(chan struct{}), 0
		e.filled = func() {
			if calls++; calls > 200 { // in the third turn: in the first, the small table may not be listed yet
				<-blocked
			}
		}
		for _, name := range []string{"large", "small"} {
			e.must(e.SetTTL(t.Context(), account, name, "ends", true))
		}
		pass(time.Minute)
		if ttl, err := e.TTL(t.Context(), account, "small"); err != nil || ttl.Status != table.Enabled {
			t.Errorf("small table: got %+v, %v, want it ENABLED while the large one is filled", ttl, err)
		}
		if ttl, err := e.TTL(t.Context(), account, "large"); err != nil || ttl.Status != table.Enabling {
			t.Errorf("large table: got %+v, %v, want it ENABLING", ttl, err)
		}
		pass(25 * time.Hour)
		if _, err := e.iterator("events", table.AtSequence, first); code(err) != "TrimmedDataAccessException" {
			t.Errorf("a record of yesterday: got %v, want it trimmed while a table is filled", err)
		}
		close(blocked)
		pass(time.Minute)
		if ttl, err := e.TTL(t.Context(), account, "large"); err != nil || ttl.Status != table.Enabled {
			t.Errorf("large table: got %+v, %v, want it ENABLED in the end", ttl, err)
		}
	})
}

// hooked is a store that calls a hook before its next update.
type hooked struct {
	kv.Store
	hook func()
}

func (h *hooked) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if hook := h.hook; hook != nil {
		h.hook = nil
		hook()
	}
	return h.Store.Update(ctx, fn)
}

// TestBatchOnce: a batch that finds a table changed in its middle does not do again what it has done: others may have
// seen it, and written over it.
func TestBatchOnce(t *testing.T) {
	store := &hooked{Store: kvtest.Memory(t)}
	db, err := table.Open(t.Context(), table.Config{Store: store, Region: "eu-test-1"})
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{Tables: db, t: t, store: store}
	e.create(cached("first"))
	e.create(definition("second"))
	e.has("second", "known")
	put := func(name, v string) table.WriteRequest {
		it := key("x")
		it["v"] = str(v)
		return table.WriteRequest{Table: name, Kind: table.Put, Item: it}
	}
	store.hook = func() {
		_, err := e.Write(t.Context(), account, put("first", "theirs"))
		e.must(err)
		e.must(e.Tag(t.Context(), account, "second", map[string]string{"a": "b"}))
	}
	res, err := e.BatchWrite(t.Context(), account, []table.WriteRequest{put("first", "ours"), put("second", "ours")})
	if e.must(err); len(res.Unprocessed) > 0 || store.hook != nil {
		t.Fatalf("batch: got %v unprocessed, want all done, with a change between", res.Unprocessed)
	}
	for name, want := range map[string]string{"first": "theirs", "second": "ours"} {
		got, err := e.Get(t.Context(), account, table.GetRequest{Table: name, Key: key("x")})
		if e.must(err); got.Item["v"].Str() != want {
			t.Errorf("%s: got %q, want %q", name, got.Item["v"].Str(), want)
		}
	}
}

// TestRetention: records are kept for a day, a stream that was turned off can be read for a day, and who comes too late
// is told so.
func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		d := definition("events")
		d.Stream = table.KeysOnly
		e.create(d)
		for i := range 50 {
			e.put("events", key(fmt.Sprint("old-", i)))
		}
		it, err := e.iterator("events", table.TrimHorizon, "")
		e.must(err)
		old := e.records(it).Records
		if len(old) != 50 {
			t.Fatalf("records: got %d, want 50", len(old))
		}
		pass(23 * time.Hour)
		e.put("events", key("new"))
		pass(2 * time.Hour)
		it, err = e.iterator("events", table.TrimHorizon, "")
		e.must(err)
		if got := e.records(it).Records; len(got) != 1 || got[0].Keys["id"].Str() != "new" {
			t.Errorf("after a day: got %d records, want the new one", len(got))
		}
		_, err = e.iterator("events", table.AfterSequence, old[10].Sequence)
		if got := code(err); got != "TrimmedDataAccessException" {
			t.Errorf("iterator after a record that is gone: got %s, want TrimmedDataAccessException", got)
		}
		latest, err := e.iterator("events", table.Latest, "")
		e.must(err)
		e.put("events", key("newer"))
		if got := e.records(latest).Records; len(got) != 1 || got[0].Keys["id"].Str() != "newer" {
			t.Errorf("LATEST: got %d records, want the one after it", len(got))
		}
		desc, err := e.Describe(t.Context(), account, "events")
		e.must(err)
		_, err = e.Delete(t.Context(), account, "events")
		e.must(err)
		it, err = e.iteratorOf(desc.StreamARN, table.TrimHorizon, "")
		e.must(err)
		got := e.records(it)
		if len(got.Records) != 2 || got.Next != "" {
			t.Errorf("of a dropped table: got %d records, next %q; want 2 and no more", len(got.Records), got.Next)
		}
		s, err := e.Stream(t.Context(), account, desc.StreamARN)
		if e.must(err); s.Status != table.Disabled || s.Shards[0].Last <= got.Records[1].Sequence {
			t.Errorf("Stream: got %s, last %s; want it DISABLED, and ended after %s", s.Status, s.Shards[0].Last, got.Records[1].Sequence)
		}
		pass(25 * time.Hour)
		_, err = e.Stream(t.Context(), account, desc.StreamARN)
		if got := code(err); got != "ResourceNotFoundException" {
			t.Errorf("a day later: got %s, want ResourceNotFoundException", got)
		}
		if list, _, err := e.Streams(t.Context(), account, "", "", 0); err != nil || len(list) != 0 {
			t.Errorf("Streams: got %v, %v; want none", list, err)
		}
	})
}

// TestIterators: they expire after 15 minutes, cannot be forged, and begin where they should.
func TestIterators(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		d := definition("events")
		d.Stream = table.KeysOnly
		e.create(d)
		horizon, err := e.iterator("events", table.TrimHorizon, "")
		e.must(err)
		first := e.records(horizon)
		if len(first.Records) != 0 || first.Next == "" {
			t.Errorf("an empty stream: got %d records, next %q; want none, and an iterator", len(first.Records), first.Next)
		}
		arn, err := e.IteratorStream(horizon)
		e.must(err)
		hint, stop := e.WatchStream(arn)
		defer stop()
		for i := range 5 {
			e.put("events", key(fmt.Sprint(i)))
		}
		pass(time.Second)
		select {
		case <-hint:
		default:
			t.Error("got no hint that there are records")
		}
		all := e.records(first.Next).Records
		if len(all) != 5 {
			t.Fatalf("records: got %d, want 5", len(all))
		}
		for kind, want := range map[table.IteratorKind]int{table.AtSequence: 3, table.AfterSequence: 2, table.Latest: 0, table.TrimHorizon: 5} {
			it, err := e.iterator("events", kind, all[2].Sequence)
			e.must(err)
			if got := e.records(it).Records; len(got) != want {
				t.Errorf("%s: got %d records, want %d", kind, len(got), want)
			}
		}
		for i := 1; i < len(all); i++ {
			if len(all[i].Sequence) > 40 || all[i-1].Sequence >= all[i].Sequence || all[i-1].ID == all[i].ID {
				t.Errorf("records %d and %d: got %s, %s and %s, %s; want ascending numbers and different ids", i-1, i,
					all[i-1].Sequence, all[i].Sequence, all[i-1].ID, all[i].ID)
			}
		}
		if arn, err := e.IteratorStream(horizon); err != nil || !strings.Contains(arn, ":table/events/stream/") {
			t.Errorf("IteratorStream: got %s, %v; want the stream", arn, err)
		}
		for _, forged := range []string{"", "x", horizon + "x", "x" + horizon, strings.Replace(horizon, "|1|", "|2|", 1),
			strings.Replace(horizon, "events", "evenus", 1), horizon[:len(horizon)-9] + "A" + horizon[len(horizon)-8:]} {
			if _, err := e.Records(t.Context(), account, forged, 0); code(err) != "ValidationException" {
				t.Errorf("forged iterator %q: got %v, want a ValidationException", forged, err)
			}
		}
		if _, err := e.Records(t.Context(), "999999999999", horizon, 0); code(err) != "ResourceNotFoundException" {
			t.Errorf("another account's iterator: got %v, want ResourceNotFoundException", err)
		}
		pass(16 * time.Minute)
		if _, err := e.Records(t.Context(), account, first.Next, 0); code(err) != "ExpiredIteratorException" {
			t.Errorf("after 16 minutes: got %v, want ExpiredIteratorException", err)
		}
	})
}

// TestTokens: a transaction that comes again with its token is not done again, another one with the same is refused, and
// after ten minutes the token means nothing.
func TestTokens(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		e.create(definition("counters"))
		text := "ADD n :v"
		bound, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Values: item.Item{":v": num(1)}})
		e.must(err)
		add := func(digest byte) error {
			_, err := e.TransactWrite(t.Context(), account, table.TransactRequest{Token: "token", Digest: [32]byte{digest}, Measure: true,
				Writes: []table.WriteRequest{{Table: "counters", Kind: table.Update, Key: key("c"), Update: bound.Update}}})
			return err
		}
		want := func(n int64) {
			t.Helper()
			res, err := e.Get(t.Context(), account, table.GetRequest{Table: "counters", Key: key("c")})
			e.must(err)
			if got, _ := res.Item["n"].Number().Int64(); got != n {
				t.Errorf("counter: got %d, want %d", got, n)
			}
		}
		e.must(add(1))
		e.must(add(1))
		want(1)
		if got := code(add(2)); got != "IdempotentParameterMismatchException" {
			t.Errorf("another request: got %s, want IdempotentParameterMismatchException", got)
		}
		pass(9 * time.Minute)
		e.must(add(1))
		want(1)
		pass(2 * time.Minute)
		e.must(add(2))
		want(2)
	})
}

// TestSweep: what a dropped table and a dropped index had is deleted.
func TestSweep(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		count := func() (n int) {
			e.must(e.store.View(t.Context(), func(v kv.View) error {
				n = 0
				for _, err := range v.Scan(kv.Range{}, 0) {
					if err != nil {
						return err
					}
					n++
				}
				return nil
			}))
			return n
		}
		pass(time.Minute)
		before := count()
		d := definition("gone")
		d.Attributes = append(d.Attributes, table.Attribute{Name: "g", Type: item.TypeString})
		d.Global = []table.IndexDefinition{{Name: "by-g", Key: table.Key{Hash: "g"}, Projection: table.Projection{Kind: table.ProjectAll}}}
		e.create(d)
		e.must(e.SetTTL(t.Context(), account, "gone", "ends", true))
		for i := range 2500 {
			it := in(fmt.Sprint(i), time.Hour)
			it["g"] = str("g")
			e.put("gone", it)
		}
		pass(time.Minute)
		desc, err := e.Describe(t.Context(), account, "gone")
		if e.must(err); desc.Items != 2500 || desc.GlobalIndexes[0].Items != 2500 {
			t.Errorf("Describe: got %d items, %d entries; want 2500 of each", desc.Items, desc.GlobalIndexes[0].Items)
		}
		full := count()
		_, err = e.Update(t.Context(), account, "gone", table.Change{Indexes: []table.IndexChange{{Delete: "by-g"}}})
		e.must(err)
		pass(time.Minute)
		if got := count(); got != full-2500 {
			t.Errorf("after the index: got %d keys, want %d", got, full-2500)
		}
		_, err = e.Delete(t.Context(), account, "gone")
		e.must(err)
		e.create(definition("gone"))
		if e.has("gone", "7") {
			t.Error("a new table of the name has an item of the old one")
		}
		_, err = e.Delete(t.Context(), account, "gone")
		e.must(err)
		pass(2 * time.Hour)
		if got := count(); got != before {
			t.Errorf("after all is gone: got %d keys, want %d", got, before)
		}
	})
}
