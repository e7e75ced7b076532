package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/stream"
)

var log = []byte("log")

func key(i int) item.Item { return item.Item{"id": item.NewString(fmt.Sprint(i))} }

// add appends a change in a transaction of its own.
func add(t testing.TB, store kv.Store, changes ...stream.Change) {
	t.Helper()
	err := store.Update(t.Context(), func(tx kv.Tx) error {
		for i := range changes {
			changes[i].Append(tx, log)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
}

func change(i int) stream.Change {
	return stream.Change{Event: stream.Insert, Keys: item.Append(nil, key(i))}
}

// readAll reads by pages.
func readAll(t testing.TB, store kv.Store, from kv.Pos, limit int) (all []stream.Record, last stream.Page) {
	t.Helper()
	for {
		page, err := stream.Read(t.Context(), store, log, from, limit)
		if err != nil {
			t.Fatalf("Read: got %v, want nil", err)
		}
		all = append(all, page.Records...)
		if from = page.Pos; page.Closed || len(page.Records) == 0 {
			return all, page
		}
	}
}

// TestLarge: a record larger than a value of the store is read as one, from its beginning and not from its middle.
func TestLarge(t *testing.T) {
	store := kvtest.Memory(t)
	rng := rand.New(rand.NewPCG(1, 1))
	body := make([]byte, 390<<10)
	for i := range body {
		body[i] = byte(rng.Uint32())
	}
	image := item.Item{"id": item.NewString("x"), "body": item.NewBinary(body)}
	large := stream.Change{Event: stream.Modify, Keys: item.Append(nil, key(1)), New: item.Append(nil, image), Old: item.Append(nil, image)}
	add(t, store, change(0), large, change(2))
	add(t, store, large)
	for limit := range 5 {
		got, _ := readAll(t, store, kv.Pos{}, limit+1)
		if len(got) != 4 || !got[1].New.Equal(image) || !got[3].Old.Equal(image) || got[2].Keys["id"].Str() != "2" {
			t.Fatalf("by %d: got %d records, want 4, the second and the fourth large", limit+1, len(got))
		}
		p, ok := stream.ParseSequence(got[1].Sequence)
		if !ok {
			t.Fatalf("sequence %s is none", got[1].Sequence)
		}
		if rest, _ := readAll(t, store, p, limit+1); len(rest) != 2 || rest[0].Keys["id"].Str() != "2" {
			t.Errorf("after the large one: got %d records, want 2", len(rest))
		}
		if rest, _ := readAll(t, store, stream.Before(p), limit+1); len(rest) != 3 || !rest[0].New.Equal(image) {
			t.Errorf("from the large one: got %d records, want 3", len(rest))
		}
	}
}

// TestEnds: the end is behind all records, old ones are found, and a closed log says so.
func TestEnds(t *testing.T) {
	store := kvtest.Memory(t)
	end := func(from kv.Pos) kv.Pos {
		t.Helper()
		p, err := stream.End(t.Context(), store, log, from)
		if err != nil {
			t.Fatalf("End: got %v, want nil", err)
		}
		return p
	}
	if got, _ := readAll(t, store, end(kv.Pos{}), 10); len(got) != 0 {
		t.Errorf("an empty log: got %d records, want none", len(got))
	}
	for i := range 200 {
		add(t, store, change(2*i), change(2*i+1))
		if i%50 == 0 {
			p := end(kv.Pos{})
			if got, _ := readAll(t, store, p, 10); len(got) != 0 {
				t.Errorf("after the end of %d: got %d records, want none", i, len(got))
			}
			add(t, store, change(-1))
			if got, _ := readAll(t, store, p, 10); len(got) != 1 {
				t.Errorf("one after the end of %d: got %d records, want 1", i, len(got))
			}
		}
	}
	all, _ := readAll(t, store, kv.Pos{}, 1000)
	if to, ok, err := stream.Older(t.Context(), store, log, kv.Pos{}, all[100].Created); err != nil {
		t.Errorf("Older: got %v, want nil", err)
	} else if left, _ := readAll(t, store, to, 1000); ok && left[0].Created.Before(all[100].Created) {
		t.Errorf("Older: got a record of %v left, want none before %v", left[0].Created, all[100].Created)
	}
	to, ok, err := stream.Older(t.Context(), store, log, kv.Pos{}, time.Now().Add(time.Hour))
	if err != nil || !ok || to != end(kv.Pos{}) {
		t.Errorf("Older than the future: got %x, %v, %v; want the end", to, ok, err)
	}
	if _, ok, err := stream.Older(t.Context(), store, log, kv.Pos{}, time.Unix(0, 0)); ok || err != nil {
		t.Errorf("Older than the past: got %v, %v; want none", ok, err)
	}
	err = store.Update(t.Context(), func(tx kv.Tx) error {
		stream.AppendEnd(tx, log)
		return nil
	})
	if err != nil {
		t.Fatalf("AppendEnd: got %v, want nil", err)
	}
	if got, last := readAll(t, store, kv.Pos{}, 1000); len(got) != len(all) || !last.Closed {
		t.Errorf("a closed log: got %d records, closed %v; want %d, true", len(got), last.Closed, len(all))
	}
}

// TestSequences: they order as positions, as text and as numbers, and read back.
func TestSequences(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) (p kv.Pos) {
		copy(p[:], rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "commit"))
		p[19] = rapid.Byte().Draw(t, "index")
		return p
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := gen.Draw(rt, "a"), gen.Draw(rt, "b")
		x, y := stream.Sequence(a), stream.Sequence(b)
		if got, want := strings.Compare(x, y), bytes.Compare(a[:], b[:]); got != want || len(x) != len(y) || len(x) > 40 {
			rt.Fatalf("%x, %x: got %s, %s in order %d, want %d", a, b, x, y, got, want)
		}
		if back, ok := stream.ParseSequence(x); !ok || back != a {
			rt.Fatalf("%s: got %x, %v; want %x", x, back, ok, a)
		}
		if a != (kv.Pos{}) && stream.Above(stream.Before(a)) != a {
			rt.Fatalf("the position above the one before %x: got %x", a, stream.Above(stream.Before(a)))
		}
	})
}

// FuzzIterator: nothing but what was signed is an iterator.
func FuzzIterator(f *testing.F) {
	signer, now := stream.Signer{Secret: []byte("secret")}, time.Unix(1e9, 0)
	real := stream.Iterator{Stream: "arn:aws:dynamodb:r:1:table/t/stream/l", Number: 7, Pos: kv.Pos{1, 2, 3}}
	text := signer.Sign(real, now)
	f.Add(text)
	f.Add(stream.Signer{Secret: []byte("other")}.Sign(real, now))
	f.Add("")
	f.Add("a|1|b")
	f.Add("|1|")
	f.Fuzz(func(t *testing.T, s string) {
		it, err := signer.Parse(s, now)
		if (err == nil) != (s == text) {
			t.Errorf("%q: got %+v, %v; only %q is an iterator", s, it, err, text)
		}
		if err == nil && it != real {
			t.Errorf("got %+v, want %+v", it, real)
		}
		if err != nil && rouse.KindOf(err) != rouse.Invalid {
			t.Errorf("%q: got %v, want it invalid", s, err)
		}
	})
}

// FuzzRecord: whatever is in the log, reading it ends, in records or in an error.
func FuzzRecord(f *testing.F) {
	store := kvtest.Memory(f)
	add(f, store, change(1), stream.Change{Event: stream.Remove, Service: true, Keys: item.Append(nil, key(1)), Old: item.Append(nil, key(1))})
	recs, err := store.Read(f.Context(), log, kv.Pos{}, 10)
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range recs {
		f.Add(r.Value)
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		page, err := stream.Read(t.Context(), one{value: b}, log, kv.Pos{}, 10)
		if err == nil && len(page.Records) > 1 {
			t.Errorf("got %d records of one chunk", len(page.Records))
		}
	})
}

// one is a store with one record.
type one struct {
	kv.Store
	value []byte
}

func (o one) Read(_ context.Context, _ []byte, from kv.Pos, _ int) ([]kv.Record, error) {
	if from != (kv.Pos{}) {
		return nil, nil
	}
	return []kv.Record{{Pos: kv.Pos{1}, Value: o.value}}, nil
}
