package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/kv"
)

// last is above all positions that a store gives.
var last = kv.Pos(bytes.Repeat([]byte{0xff}, len(kv.Pos{})))

func appendAll(t testing.TB, s kv.Store, log string, values ...string) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx kv.Tx) error {
		for _, v := range values {
			tx.Append([]byte(log), []byte(v))
		}
		return nil
	}))
}

// read reads a log to its end, in pages of limit.
func read(t testing.TB, s kv.Store, log string, from kv.Pos, limit int) (values []string, end kv.Pos) {
	t.Helper()
	for {
		recs, err := s.Read(t.Context(), []byte(log), from, limit)
		must(t, err)
		if len(recs) == 0 {
			return values, from
		}
		if len(recs) > limit {
			t.Errorf("Read: got %d records, want at most %d", len(recs), limit)
		}
		for _, r := range recs {
			if bytes.Compare(r.Pos[:], from[:]) <= 0 {
				t.Errorf("position: got %x after %x, want them to ascend", r.Pos, from)
			}
			from = r.Pos
			values = append(values, string(r.Value))
		}
	}
}

func testLog(t *testing.T, open Open) {
	s := fresh(t, open)
	if got, end := read(t, s, "log", kv.Pos{}, 5); len(got) != 0 || end != (kv.Pos{}) {
		t.Errorf("Read of an empty log: got %q, want nothing", got)
	}
	appendAll(t, s, "log", "1", "2", "")
	appendAll(t, s, "log\x00", "other")
	appendAll(t, s, "lo", "another")
	appendAll(t, s, "", "nameless")
	got, end := read(t, s, "log", kv.Pos{}, 2)
	if want := []string{"1", "2", ""}; !slices.Equal(got, want) {
		t.Errorf("Read: got %q, want %q", got, want)
	}
	appendAll(t, s, "log", "4")
	if got, _ := read(t, s, "log", end, 2); !slices.Equal(got, []string{"4"}) {
		t.Errorf("Read from the end of the last: got %q, want the one that came since", got)
	}
	for log, want := range map[string]string{"log\x00": "other", "lo": "another", "": "nameless"} {
		if got, _ := read(t, s, log, kv.Pos{}, 9); !slices.Equal(got, []string{want}) {
			t.Errorf("Read of log %q: got %q, want %q", log, got, want)
		}
	}
	if recs, err := s.Read(t.Context(), []byte("log"), last, 9); err != nil || len(recs) != 0 {
		t.Errorf("Read from the last position: got %d, %v, want none", len(recs), err)
	}
	if recs, err := s.Read(t.Context(), []byte("log"), kv.Pos{}, 0); err != nil || len(recs) != 0 {
		t.Errorf("Read of at most 0: got %d, %v, want none", len(recs), err)
	}
}

func testTrim(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprint(i))
		appendAll(t, s, "log", all[i])
	}
	appendAll(t, s, "log2", "kept")
	recs, err := s.Read(ctx, []byte("log"), kv.Pos{}, 8)
	must(t, err)
	for range 2 {
		must(t, s.Trim(ctx, []byte("log"), recs[7].Pos))
	}
	must(t, s.Trim(ctx, []byte("log"), recs[3].Pos)) // behind the last: nothing
	if got, _ := read(t, s, "log", kv.Pos{}, 9); !slices.Equal(got, all[8:]) {
		t.Errorf("Read after Trim: got %q, want %q", got, all[8:])
	}
	if got, _ := read(t, s, "log", recs[2].Pos, 9); !slices.Equal(got, all[8:]) {
		t.Errorf("Read from a trimmed position: got %q, want %q", got, all[8:])
	}
	must(t, s.Trim(ctx, []byte("log"), last))
	appendAll(t, s, "log", "new")
	if got, _ := read(t, s, "log", kv.Pos{}, 9); !slices.Equal(got, []string{"new"}) {
		t.Errorf("Read after Trim of all and one more: got %q, want the new one", got)
	}
	if got, _ := read(t, s, "log2", kv.Pos{}, 9); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("Read of another log: got %q, want it whole", got)
	}
	for i := range 10 { // enough to go by more than single deletions
		var many []string
		for j := range 1000 {
			many = append(many, fmt.Sprint(i, j))
		}
		appendAll(t, s, "log", many...)
	}
	must(t, s.Trim(ctx, []byte("log"), last))
	appendAll(t, s, "log", "newer")
	if got, _ := read(t, s, "log", kv.Pos{}, 99); !slices.Equal(got, []string{"newer"}) {
		t.Errorf("Read after Trim of many: got %d records, want one", len(got))
	}
}

// testTail: writers append under keys of their own; a tailer beside them misses nothing, repeats nothing, and sees the
// records of each key in the order in which the key was written.
func testTail(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	const writers, keys, each = 8, 3, 60
	var done atomic.Bool
	var wg, tail sync.WaitGroup
	var got []string
	tail.Go(func() {
		var pos kv.Pos
		for {
			end := done.Load()
			recs, err := s.Read(ctx, []byte("log"), pos, 7)
			if err != nil {
				t.Errorf("Read: got %v, want nil", err)
				return
			}
			for _, r := range recs {
				got, pos = append(got, string(r.Value)), r.Pos
			}
			if end && len(recs) == 0 {
				return
			}
		}
	})
	for range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("key%d", i%keys)
				err := s.Update(ctx, func(tx kv.Tx) error {
					err := add(tx, key, 1)
					v, _, gerr := tx.Get([]byte(key))
					tx.Append([]byte("log"), fmt.Appendf(nil, "%s %d", key, number(v)))
					return errors.Join(err, gerr)
				})
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	tail.Wait()
	next := map[string]int{}
	for _, line := range got {
		var key string
		var n int
		fmt.Sscan(line, &key, &n)
		if next[key]++; n != next[key] {
			t.Fatalf("record of %s: got %d, want %d: the order of the writes", key, n, next[key])
		}
	}
	if want := writers * each; len(got) != want {
		t.Errorf("records: got %d, want %d", len(got), want)
	}
}

func testSnapshot(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	set(t, s, "a", "1", "b", "2")
	appendAll(t, s, "log", "r1", "r2")
	kinds := map[byte]int{}
	total := 0
	err := s.Snapshot(ctx, func(p kv.Pair) error {
		if total == 0 { // changes of now are not in it
			set(t, s, "a", "changed", "c", "new")
			appendAll(t, s, "log", "r3")
		}
		total++
		kinds[p.Key[0]]++
		if bytes.HasSuffix(p.Key, []byte("a")) && string(p.Value) != "1" {
			t.Errorf("value in the snapshot: got %q, want that of its beginning", p.Value)
		}
		return nil
	})
	if err != nil || kinds['k'] != 2 || kinds['l'] != 2 {
		t.Errorf("Snapshot: got %v by kind, %v, want 2 keys and 2 records", kinds, err)
	}
	boom := errors.New("boom")
	want(t, "Snapshot", s.Snapshot(ctx, func(kv.Pair) error { return boom }), boom)
}
