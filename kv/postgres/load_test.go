package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// dump is all pairs of a store, sorted; of trimmed logs what the contract says.
func dump(t testing.TB, s kv.Store) (all []string) {
	t.Helper()
	err := s.Snapshot(t.Context(), func(p kv.Pair) error {
		e, err := kv.ParseEntry(p)
		all = append(all, fmt.Sprintf("%c %x %x %x", e.Kind, e.Name, e.Pos, e.Value))
		return err
	})
	if err != nil {
		t.Fatalf("Snapshot: got %v, want nil", err)
	}
	slices.Sort(all)
	return all
}

// fill writes a little of everything.
func fill(t testing.TB, s kv.Store) {
	t.Helper()
	for i := range 5 {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			for j := range 50 {
				tx.Set(fmt.Appendf(nil, "k%d-%d", i, j), bytes.Repeat([]byte{byte(j)}, j*40))
			}
			tx.Append([]byte("log"), fmt.Append(nil, i))
			tx.Append([]byte(""), nil)
			tx.Set(nil, nil)
			return nil
		})
		if err != nil {
			t.Fatalf("Update: got %v, want nil", err)
		}
	}
	recs, err := s.Read(t.Context(), []byte("log"), kv.Pos{}, 2)
	if err == nil {
		err = s.Trim(t.Context(), []byte("log"), recs[1].Pos)
	}
	if err != nil {
		t.Fatalf("Trim: got %v, want nil", err)
	}
}

// TestLoad takes a store from driver to driver, and back, and goes on with its logs.
func TestLoad(t *testing.T) {
	t.Parallel()
	server := start(t)
	dir := t.TempDir()
	folder := func(name string) *pebble.Store {
		s, err := pebble.Open(pebble.Config{Dir: filepath.Join(dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	from := folder("first")
	fill(t, from)
	want := dump(t, from)
	there := postgres.Config{URL: server.URL(), Schema: pgtest.Schema()}
	load := func(what string, from kv.Store, into func(func(func(kv.Pair) error) error) error) {
		t.Helper()
		if err := into(func(yield func(kv.Pair) error) error { return from.Snapshot(t.Context(), yield) }); err != nil {
			t.Fatalf("Load %s: got %v, want nil", what, err)
		}
	}
	load("into PostgreSQL", from, func(f func(func(kv.Pair) error) error) error { return postgres.Load(t.Context(), there, f) })
	second := server.Open(t, there)
	if got := dump(t, second); !slices.Equal(got, want) {
		t.Errorf("PostgreSQL after Load: got %d pairs, want the %d of the folder, the same", len(got), len(want))
	}
	goesOn(t, second, 1)
	want = dump(t, second)
	load("into a folder", second, func(f func(func(kv.Pair) error) error) error {
		return pebble.Load(t.Context(), pebble.Config{Dir: filepath.Join(dir, "third")}, f)
	})
	third := folder("third")
	if got := dump(t, third); !slices.Equal(got, want) {
		t.Errorf("folder after Load: got %d pairs, want the %d of PostgreSQL, the same", len(got), len(want))
	}
	goesOn(t, third, 2)
	again := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("Load into a store that holds something: got nil, want an error")
		}
	}
	nothing := func(func(kv.Pair) error) error { return nil }
	again(postgres.Load(t.Context(), there, nothing))
	again(pebble.Load(t.Context(), pebble.Config{Dir: filepath.Join(dir, "third")}, nothing))
}

// goesOn: what is read stays, what is new comes behind it.
func goesOn(t testing.TB, s kv.Store, round int) {
	t.Helper()
	before, err := s.Read(t.Context(), []byte("log"), kv.Pos{}, 100)
	if err != nil || len(before) != 2+round {
		t.Fatalf("Read after Load: got %d records, %v, want %d", len(before), err, 2+round)
	}
	err = s.Update(t.Context(), func(tx kv.Tx) error { tx.Append([]byte("log"), []byte("new")); return nil })
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Read(t.Context(), []byte("log"), before[len(before)-1].Pos, 100)
	if err != nil || len(after) != 1 || string(after[0].Value) != "new" {
		t.Errorf("Read from the last position after Load: got %d records, %v, want the new one", len(after), err)
	}
	if old, now := before[len(before)-1].Pos.Epoch(), after[0].Pos.Epoch(); now <= old {
		t.Errorf("epoch of a new record: got %d, want more than %d", now, old)
	}
}

// TestLoadIsWhole: a Load that fails leaves nothing.
func TestLoadIsWhole(t *testing.T) {
	t.Parallel()
	server := start(t)
	boom := errors.New("boom")
	for name, from := range map[string]func(func(kv.Pair) error) error{
		"the source fails": func(yield func(kv.Pair) error) error {
			for i := range 1000 {
				if err := yield(kv.Entry{Kind: kv.EntryKey, Name: fmt.Append(nil, i), Value: make([]byte, 1000)}.Pair()); err != nil {
					return err
				}
			}
			return boom
		},
		"a pair is none": func(yield func(kv.Pair) error) error { return yield(kv.Pair{Key: []byte("x")}) },
		"a key comes two times": func(yield func(kv.Pair) error) error {
			p := kv.Pair{Key: []byte("ka")}
			return errors.Join(yield(p), yield(p))
		},
	} {
		cfg := postgres.Config{URL: server.URL(), Schema: pgtest.Schema()}
		if err := postgres.Load(t.Context(), cfg, from); err == nil {
			t.Errorf("Load when %s: got nil, want an error", name)
		} else if name == "the source fails" && !errors.Is(err, boom) {
			t.Errorf("Load when %s: got %v, want %v", name, err, boom)
		}
		if got := dump(t, server.Open(t, cfg)); len(got) != 0 {
			t.Errorf("store after a Load that failed because %s: got %d pairs, want none", name, len(got))
		}
	}
}
