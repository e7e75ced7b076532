package cache_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/cache"
)

// TestBudget: beyond the budget goes what was not used for longest in any store, with what it owns; a closed store gives
// back what it held.
func TestBudget(t *testing.T) {
	value := strings.Repeat("v", 4<<10)
	one := block("00") + block(value) + block("x/00") + 2*cache.Overhead
	b := cache.NewBudget(100 * one)
	var stores []*cache.Store
	for range 4 {
		stores = append(stores, cache.New(cache.Config{MaxBytes: 60 * one, Now: time.Now, Budget: b,
			Owner: func(key []byte) bool { return len(key) == 2 },
			Evict: func(key, _ []byte) [][]byte { return [][]byte{[]byte("x/" + string(key))} }}))
	}
	fill := func(s *cache.Store, n int) {
		for i := range n {
			set(t, s, fmt.Sprintf("%02d", i), value, fmt.Sprintf("x/%02d", i), "")
		}
	}
	holds := func(want ...int) {
		t.Helper()
		sum := int64(0)
		for i, s := range stores {
			sum += s.Used()
			if n := len(keys(t, s, kv.Range{})); n != 2*want[i] || s.Used() != int64(want[i])*one {
				t.Errorf("store %d: got %d keys, %d bytes; want %d with as many entries", i, n, s.Used(), want[i])
			}
		}
		if b.Used() != sum || sum > 100*one {
			t.Errorf("budget: got %d, want %d, at most %d", b.Used(), sum, 100*one)
		}
	}
	fill(stores[0], 70)
	holds(60, 0, 0, 0) // its own bound
	fill(stores[1], 40)
	holds(60, 40, 0, 0)
	for i := 10; i < 35; i++ { // those of store 0 are used again, but for 35 to 69
		get(t, stores[0], fmt.Sprintf("%02d", i))
	}
	fill(stores[2], 30)
	holds(30, 40, 30, 0)
	fill(stores[2], 20) // takes no room
	fill(stores[3], 44)
	holds(25, 0, 30, 44) // three go at once
	stores[2].Close()
	stores[2].Close()
	set(t, stores[2], "99", value) // one that came late counts nowhere
	if want := (25 + 44) * one; b.Used() != want {
		t.Errorf("after a store was closed: got %d, want %d", b.Used(), want)
	}
}

// TestBudgetTogether: stores that are written, read, opened and closed at once are within the budget when they have done.
func TestBudgetTogether(t *testing.T) {
	b := cache.NewBudget(1 << 20)
	open := func() *cache.Store {
		return cache.New(cache.Config{MaxBytes: 512 << 10, Now: time.Now, Budget: b})
	}
	left := make([]*cache.Store, 8)
	var wg sync.WaitGroup
	for w := range left {
		wg.Go(func() {
			s, rng := open(), rand.New(rand.NewPCG(1, uint64(w)))
			for range 2000 {
				key := fmt.Sprint(rng.IntN(500))
				switch {
				case rng.IntN(500) == 0:
					s.Close()
					s = open()
				case rng.IntN(2) == 0:
					get(t, s, key)
				default:
					set(t, s, key, strings.Repeat("v", rng.IntN(3000)))
				}
			}
			left[w] = s
		})
	}
	wg.Wait()
	check := func(when string, low int64) {
		t.Helper()
		sum := int64(0)
		for _, s := range left {
			sum += s.Used()
		}
		if b.Used() != sum || sum > 1<<20 || sum < low {
			t.Errorf("%s: got %d counted and %d held, want the same, from %d to %d", when, b.Used(), sum, low, 1<<20)
		}
	}
	check("when all have done", 0) // whose store was opened last may have taken nearly all, and have been closed
	for _, s := range left[:3] {
		for i := range 500 {
			set(t, s, fmt.Sprint(i), strings.Repeat("v", 3000))
		}
	}
	check("after more was written than fits", 1<<20-1<<15)
}
