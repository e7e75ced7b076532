package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/meter"
)

func open(t *testing.T, store kv.Store) *meter.Meter {
	t.Helper()
	m, err := meter.Open(t.Context(), meter.Config{Store: store, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ids pages through all records as the console does.
func ids(t *testing.T, m *meter.Meter, function string, page int) (out []string) {
	t.Helper()
	for before := (time.Time{}); ; {
		recs, err := m.Records(t.Context(), account, function, before, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			out, before = append(out, r.ID), r.At
		}
		if len(recs) < page {
			return out
		}
	}
}

// TestPagesOfSeveralNodes: blocks of two nodes overlap, and pages lose and repeat nothing.
func TestPagesOfSeveralNodes(t *testing.T) {
	store := kvtest.Memory(t)
	nodes := []*meter.Meter{open(t, store), open(t, store)}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []string
	for i := range 2000 {
		r := attempt(fmt.Sprint("f", i%3), meter.OK, time.Second)
		r.ID, r.At = fmt.Sprintf("%04d", i), begin.Add(time.Duration(i)*time.Millisecond)
		nodes[i%2].Record(r)
		if i%3 == 0 {
			want = append(want, r.ID)
		}
		if i%601 == 0 {
			for _, n := range nodes {
				if err := n.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, n := range nodes {
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(want)
	for _, page := range []int{40, 400, 1000} {
		if got := ids(t, nodes[0], "f0", page); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d records of f0, want %d, newest first", page, len(got), len(want))
		}
	}
}

// TestRecordsOfFormatOne had a key each: they are found again in blocks.
func TestRecordsOfFormatOne(t *testing.T) {
	store := kvtest.Memory(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []string
	err := store.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set(format.Key("meter"), []byte(`{"version":1}`))
		want = want[:0]
		for i := range 2500 {
			r := attempt("f", meter.OK, time.Second)
			r.ID, r.At = fmt.Sprintf("%04d", i), begin.Add(time.Duration(i)*time.Second)
			value, err := json.Marshal(r)
			if err != nil {
				return err
			}
			tx.Set(tuple.Key(account, "us-east-1", "meter", "rec", r.At, uint64(0), uint64(i)), value)
			want = append(want, r.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	if got := ids(t, open(t, store), "", 1000); !slices.Equal(got, want) {
		t.Errorf("%d records after the change of format, want %d, newest first", len(got), len(want))
	}
	open(t, store) // and again
}

func BenchmarkFlush(b *testing.B) {
	m, err := meter.Open(context.Background(), meter.Config{Store: kvtest.Memory(b), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			m.Record(attempt("f", meter.OK, time.Second))
		}
		if err := m.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
