package kvtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/kv"
)

var queue = kv.Range{From: []byte("q/"), To: []byte("q0")}

// claim claims from the queue and answers with the keys.
func claim(t testing.TB, s kv.Store, r kv.Range, limit int) (keys []string) {
	t.Helper()
	got, err := s.Claim(t.Context(), r, limit, func(kv.Tx, []kv.Pair) error { return nil })
	must(t, err)
	for _, p := range got {
		keys = append(keys, string(p.Key))
	}
	return keys
}

func testClaim(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	set(t, s, "p", "", "q/1", "one", "q/2", "two", "q/3", "three", "q0", "")
	var seen []string
	got, err := s.Claim(ctx, queue, 2, func(tx kv.Tx, ps []kv.Pair) error {
		seen = nil
		for _, p := range ps {
			seen = append(seen, string(p.Key)+"="+string(p.Value))
			if _, ok, err := tx.Get(p.Key); ok || err != nil {
				t.Errorf("claimed key %s within fn: got %v, %v, want it deleted", p.Key, ok, err)
			}
			tx.Set(append([]byte("moved/"), p.Key...), p.Value)
		}
		return nil
	})
	if want := []string{"q/1=one", "q/2=two"}; err != nil || !slices.Equal(seen, want) || len(got) != 2 || string(got[1].Value) != "two" {
		t.Errorf("Claim: fn got %q, caller %q, %v, want %q", seen, got, err, want)
	}
	if got, want := pairs(t, s, kv.Range{}, 0), []string{"moved/q/1=one", "moved/q/2=two", "p=", "q/3=three", "q0="}; !slices.Equal(got, want) {
		t.Errorf("keys after Claim: got %q, want %q", got, want)
	}
	// The usual thing: the same message under a later time.
	must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Delete([]byte("q/3")); tx.Set([]byte("q/30"), []byte("three")); return nil }))
	if got := claim(t, s, queue, 9); !slices.Equal(got, []string{"q/30"}) {
		t.Errorf("Claim: got %q, want q/30", got)
	}
	got, err = s.Claim(ctx, queue, 9, func(kv.Tx, []kv.Pair) error { t.Error("fn ran without keys; want it not to"); return nil })
	if err != nil || len(got) != 0 {
		t.Errorf("Claim of an empty range: got %q, %v, want nothing", got, err)
	}
	if got := claim(t, s, kv.Range{From: []byte("z"), To: []byte("a")}, 9); len(got) != 0 {
		t.Errorf("Claim of no range: got %q, want nothing", got)
	}
	set(t, s, "q/1", "", "q/2", "")
	if got := claim(t, s, queue, 0); len(got) != 0 {
		t.Errorf("Claim of at most 0: got %q, want nothing", got)
	}
	r := queue
	r.Reverse = true
	if got := claim(t, s, r, 1); !slices.Equal(got, []string{"q/2"}) {
		t.Errorf("Claim in reverse: got %q, want q/2", got)
	}
}

// testClaimInsertsBelow: what a driver remembers of where a range begins must not hide what is inserted below.
func testClaimInsertsBelow(t *testing.T, open Open) {
	s := fresh(t, open)
	take := func(r kv.Range, limit int, want ...string) {
		t.Helper()
		if got := claim(t, s, r, limit); !slices.Equal(got, want) {
			t.Errorf("Claim from %q to %q: got %q, want %q", r.From, r.To, got, want)
		}
	}
	to := func(s string) kv.Range { return kv.Range{From: queue.From, To: []byte(s)} }
	set(t, s, "q/5", "", "q/6", "", "q/7", "")
	take(queue, 1, "q/5")
	take(queue, 1, "q/6")
	set(t, s, "q/3", "", "q/4", "")
	take(queue, 1, "q/3")
	set(t, s, "q/1", "")
	take(queue, 9, "q/1", "q/4", "q/7")
	take(queue, 9)
	set(t, s, "q/2", "")
	take(queue, 9, "q/2")
	// Ends that move on, as 'visible until now' does, and back.
	set(t, s, "q/4", "", "q/8", "")
	take(to("q/3"), 9)
	take(to("q/5"), 9, "q/4")
	take(to("q/7"), 9)
	set(t, s, "q/6", "")
	take(to("q/2"), 9)
	take(to("q/7"), 9, "q/6")
	take(queue, 9, "q/8")
	// Ranges within ranges.
	inner := kv.Range{From: []byte("q/5"), To: []byte("q/6")}
	set(t, s, "q/55", "", "q/9", "")
	take(inner, 9, "q/55")
	take(inner, 9)
	take(queue, 1, "q/9")
	take(queue, 1)
	set(t, s, "q/51", "")
	take(queue, 1, "q/51")
	set(t, s, "q/52", "", "q/4", "")
	take(inner, 9, "q/52")
	take(queue, 9, "q/4")
}

// testClaimExclusive: producers, claimers that requeue and claimers that give up; each message is finished once.
func testClaimExclusive(t *testing.T, open Open) {
	s := fresh(t, open)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const producers, each, claimers = 4, 100, 8
	var finished atomic.Int64
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				// Not in order, so that inserts land below claims.
				key := fmt.Appendf(nil, "q/%03d-%d", (i*37)%each, p)
				err := s.Update(ctx, func(tx kv.Tx) error { tx.Set(key, []byte{0}); return nil })
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
				}
			}
		})
	}
	for c := range claimers {
		wg.Go(func() {
			for finished.Load() < producers*each {
				n := 0
				_, err := s.Claim(ctx, queue, 1+c%3, func(tx kv.Tx, ps []kv.Pair) error {
					n = 0
					for _, p := range ps {
						if p.Value[0] < 2 { // twice round
							tx.Set(p.Key, []byte{p.Value[0] + 1})
							continue
						}
						n++
						if err := add(tx, "done/"+string(p.Key), 1); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("Claim: got %v, want nil", err)
					return
				}
				finished.Add(int64(n))
			}
		})
	}
	wg.Wait()
	all := pairs(t, s, kv.Range{From: []byte("done/"), To: []byte("done0")}, 0)
	for _, line := range all {
		key, n, _ := strings.Cut(line, "=")
		if number([]byte(n)) != 1 {
			t.Errorf("message %s: finished %d times, want once", key, number([]byte(n)))
		}
	}
	if len(all) != producers*each {
		t.Errorf("messages finished: got %d, want %d", len(all), producers*each)
	}
	if got := claim(t, s, queue, 9); len(got) != 0 {
		t.Errorf("left in the queue: got %q, want nothing", got)
	}
}
