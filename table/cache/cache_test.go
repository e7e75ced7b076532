package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/cache"
)

func open(max int64) *cache.Store {
	return cache.New(cache.Config{MaxBytes: max, Now: time.Now})
}

func set(t testing.TB, s *cache.Store, pairs ...string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Update: got %v, want nil", err)
	}
}

// keys reads a range.
func keys(t testing.TB, s *cache.Store, r kv.Range) (got []string) {
	t.Helper()
	err := s.View(t.Context(), func(v kv.View) error {
		for p, err := range v.Scan(r, 0) {
			if err != nil {
				return err
			}
			got = append(got, string(p.Key))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	return got
}

func get(t testing.TB, s *cache.Store, key string) (value string, ok bool) {
	t.Helper()
	err := s.View(t.Context(), func(v kv.View) error {
		b, found, err := v.Get([]byte(key))
		value, ok = string(b), found
		return err
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	return value, ok
}

// TestModel: without a bound that is reached, it is an ordered map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, model := open(1<<40), map[string]string{}
		genKey := rapid.StringMatching(`[a-d]{0,3}`)
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) {
				fail := rapid.Bool().Draw(rt, "fail")
				next := map[string]string{}
				for k, v := range model {
					next[k] = v
				}
				err := s.Update(context.Background(), func(tx kv.Tx) error {
					for range rapid.IntRange(1, 5).Draw(rt, "writes") {
						k := genKey.Draw(rt, "key")
						if rapid.Bool().Draw(rt, "delete") {
							tx.Delete([]byte(k))
							delete(next, k)
						} else {
							v := rapid.StringN(0, 3, 3).Draw(rt, "value")
							tx.Set([]byte(k), []byte(v))
							next[k] = v
						}
						if got, ok, err := tx.Get([]byte(k)); err != nil || string(got) != next[k] || ok != has(next, k) {
							rt.Fatalf("own write of %q: got %q, %v, %v; want %q, %v", k, got, ok, err, next[k], has(next, k))
						}
					}
					if fail {
						return errors.New("no")
					}
					return nil
				})
				if (err != nil) != fail {
					rt.Fatalf("Update: got %v, want an error: %v", err, fail)
				}
				if !fail {
					model = next
				}
			},
			"scan": func(rt *rapid.T) {
				r := kv.Range{From: []byte(genKey.Draw(rt, "from")), Reverse: rapid.Bool().Draw(rt, "reverse")}
				if rapid.Bool().Draw(rt, "bounded") {
					r.To = []byte(genKey.Draw(rt, "to"))
				}
				limit := rapid.IntRange(0, 4).Draw(rt, "limit")
				var want []string
				for k, v := range model {
					if k >= string(r.From) && (r.To == nil || k < string(r.To)) {
						want = append(want, k+"="+v)
					}
				}
				slices.Sort(want)
				if r.Reverse {
					slices.Reverse(want)
				}
				if limit > 0 && len(want) > limit {
					want = want[:limit]
				}
				var got []string
				_ = s.View(context.Background(), func(v kv.View) error {
					for p := range v.Scan(r, limit) {
						got = append(got, string(p.Key)+"="+string(p.Value))
					}
					return nil
				})
				if !slices.Equal(got, want) {
					rt.Fatalf("scan of %q to %q, reverse %v, limit %d: got %q, want %q", r.From, r.To, r.Reverse, limit, got, want)
				}
			},
			"claim": func(rt *rapid.T) {
				limit := rapid.IntRange(1, 3).Draw(rt, "limit")
				var want []string
				for k := range model {
					want = append(want, k)
				}
				slices.Sort(want)
				want = want[:min(limit, len(want))]
				pairs, err := s.Claim(context.Background(), kv.Range{}, limit, func(tx kv.Tx, pairs []kv.Pair) error {
					tx.Set([]byte("claimed"), pairs[0].Key)
					return nil
				})
				if err != nil || len(pairs) != len(want) {
					rt.Fatalf("Claim: got %d, %v; want %d", len(pairs), err, len(want))
				}
				for i, p := range pairs {
					if string(p.Key) != want[i] {
						rt.Fatalf("Claim: got %q, want %q", p.Key, want[i])
					}
					delete(model, want[i])
				}
				if len(pairs) > 0 {
					model["claimed"] = want[0]
				}
			},
			"": func(rt *rapid.T) {
				used := int64(0)
				for k, v := range model {
					used += block(k) + block(v) + cache.Overhead
				}
				if got := s.Used(); got != used {
					rt.Fatalf("Used: got %d, want %d", got, used)
				}
			},
		})
	})
}

// block is what a string takes of memory.
func block(s string) int64 { return int64(cap(append([]byte{}, s...))) }

func has(m map[string]string, k string) bool {
	_, ok := m[k]
	return ok
}

// TestEviction: what was not used for longest goes first, with all that it owns, and the bound holds after every update.
func TestEviction(t *testing.T) {
	const size = 100
	value := strings.Repeat("v", size)
	entry := block("1") + block(value) + cache.Overhead
	attached := block("x/1") + cache.Overhead
	var gone []string
	s := cache.New(cache.Config{
		MaxBytes: 3*entry + 3*attached,
		Now:      time.Now,
		Owner:    func(key []byte) bool { return len(key) == 1 },
		Evict: func(key, value []byte) [][]byte {
			gone = append(gone, string(key))
			return [][]byte{[]byte("x/" + string(key))}
		},
	})
	put := func(k string) { set(t, s, k, value, "x/"+k, "") }
	put("1")
	put("2")
	put("3")
	if _, ok := get(t, s, "1"); !ok {
		t.Fatal("1: got nothing, want it still there")
	}
	put("4") // 2 is the oldest now
	put("5") // then 3
	if got, want := keys(t, s, kv.Range{}), []string{"1", "4", "5", "x/1", "x/4", "x/5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"2", "3"}; !slices.Equal(gone, want) {
		t.Errorf("evicted: got %q, want %q", gone, want)
	}
	set(t, s, "6", strings.Repeat("v", 10_000))
	if got := keys(t, s, kv.Range{}); len(got) != 0 || s.Used() != 0 {
		t.Errorf("after what does not fit: got %q, %d bytes; want nothing", got, s.Used())
	}
}

// TestSnapshots: a view sees one moment, whatever is written or forgotten meanwhile.
func TestSnapshots(t *testing.T) {
	s := open(1 << 20)
	for i := range 100 {
		set(t, s, fmt.Sprintf("%03d", i), "old")
	}
	err := s.View(t.Context(), func(v kv.View) error {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < 100; i += 4 {
					set(t, s, fmt.Sprintf("%03d", i), strings.Repeat("new", 20_000)) // does not fit: others go
				}
			})
		}
		n := 0
		for p, err := range v.Scan(kv.Range{}, 0) {
			if err != nil {
				return err
			}
			if n++; !bytes.Equal(p.Value, []byte("old")) {
				t.Errorf("%s: got a value of %d bytes, want old", p.Key, len(p.Value))
			}
		}
		wg.Wait()
		if n != 100 {
			t.Errorf("snapshot: got %d keys, want 100", n)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	if s.Used() > 1<<20 {
		t.Errorf("Used: got %d, want at most %d", s.Used(), 1<<20)
	}
}

// TestCounter: updates follow each other.
func TestCounter(t *testing.T) {
	s := open(1 << 20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					v, _, err := tx.Get([]byte("n"))
					tx.Set([]byte("n"), append(v, 'x'))
					return err
				})
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
				}
			}
		})
	}
	wg.Wait()
	if v, _ := get(t, s, "n"); len(v) != 1600 {
		t.Errorf("counter: got %d, want 1600", len(v))
	}
}

// TestLimits: kv's limits hold, and there are no logs.
func TestLimits(t *testing.T) {
	s := open(1 << 30)
	for what, fn := range map[string]func(kv.Tx){
		"long key":    func(tx kv.Tx) { tx.Set(make([]byte, kv.KeyMax+1), nil) },
		"large value": func(tx kv.Tx) { tx.Set([]byte("k"), make([]byte, kv.ValueMax+1)) },
		"many keys": func(tx kv.Tx) {
			for i := range kv.TxKeysMax + 1 {
				tx.Set(fmt.Append(nil, i), nil)
			}
		},
	} {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			fn(tx)
			return nil
		})
		if !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s: got %v, want %v", what, err, kv.ErrTooLarge)
		}
	}
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		tx.Append([]byte("log"), nil)
		return nil
	})
	if !errors.Is(err, cache.ErrNoLogs) {
		t.Errorf("Append: got %v, want %v", err, cache.ErrNoLogs)
	}
	if got := keys(t, s, kv.Range{}); len(got) != 0 {
		t.Errorf("after nothing was committed: got %q", got)
	}
}

// BenchmarkGet and BenchmarkSet: a lookup among a million keys, some 20 to 40 comparisons; a write copies as many nodes.
func BenchmarkGet(b *testing.B) {
	s, ks := filled(b)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		_ = s.View(b.Context(), func(v kv.View) error {
			_, _, err := v.Get(ks[i%len(ks)])
			return err
		})
		i += 7919
	}
}

func BenchmarkSet(b *testing.B) {
	s, ks := filled(b)
	i, value := 0, make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Update(b.Context(), func(tx kv.Tx) error {
			tx.Set(ks[i%len(ks)], value)
			return nil
		})
		i += 7919
	}
}

func filled(b *testing.B) (*cache.Store, [][]byte) {
	b.Helper()
	s := open(1 << 40)
	ks := make([][]byte, 1_000_000)
	for i := range ks {
		ks[i] = fmt.Appendf(nil, "key-%08d", (i*7919)%len(ks))
	}
	for chunk := range slices.Chunk(ks, 1000) {
		err := s.Update(b.Context(), func(tx kv.Tx) error {
			for _, k := range chunk {
				tx.Set(k, make([]byte, 100))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s, ks
}

// TestMemory: what is counted is what is taken, whatever the size of values.
func TestMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, size := range []int{10, 1100, 33_000} {
		const most = 16 << 20
		before := heap()
		s := open(most)
		value := strings.Repeat("v", size)
		for i := range (most + most/4) / (size + cache.Overhead) {
			set(t, s, fmt.Sprintf("a key as long as those of items mostly are, %032d", i), value)
		}
		used := s.Used()
		took := heap() - before
		runtime.KeepAlive(s)
		if used > most || used < most*9/10 || took > used*11/10 {
			t.Errorf("values of %d bytes: got %d counted and %d taken of %d", size, used, took, most)
		}
	}
}
