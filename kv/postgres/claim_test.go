package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

var queue = kv.Range{From: []byte("q/"), To: []byte("q0")}

// TestClaimsOverNodes: messages are inserted on two nodes, above and below what was claimed, while both claim and the mark of the
// range moves as often as it can. None is hidden, none is finished twice.
func TestClaimsOverNodes(t *testing.T) {
	t.Parallel()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	stores := []*postgres.Store{server.Open(t, cfg), server.Open(t, cfg)}
	for _, s := range stores {
		postgres.MarkAlways(s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const producers, each = 6, 150
	var finished atomic.Int64
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(p), 3))
			for i := range each {
				// Mostly as time goes on, now and then far below.
				at := i
				if rng.IntN(4) == 0 {
					at = rng.IntN(i + 1)
				}
				key := fmt.Appendf(nil, "q/%04d-%d-%d", at, p, i)
				if err := stores[p%2].Update(ctx, func(tx kv.Tx) error { tx.Set(key, []byte{0}); return nil }); err != nil {
					t.Errorf("Update: got %v, want nil", err)
				}
			}
		})
	}
	for c := range 6 {
		wg.Go(func() {
			for finished.Load() < producers*each {
				n := 0
				_, err := stores[c%2].Claim(ctx, queue, 1+c%3, func(tx kv.Tx, ps []kv.Pair) error {
					n = 0
					for _, p := range ps {
						if p.Value[0] == 0 && p.Key[len(p.Key)-1]%3 == 0 {
							tx.Set(append([]byte("q/0000"), p.Key[6:]...), []byte{1}) // once more, at the front
							continue
						}
						n++
						if _, err := raise(tx, "done "+string(p.Key[6:])); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("Claim with %d of %d finished: got %v, want nil", finished.Load(), producers*each, err)
					return
				}
				finished.Add(int64(n))
			}
		})
	}
	wg.Wait()
	if got := finished.Load(); got != producers*each {
		t.Errorf("messages finished: got %d, want %d", got, producers*each)
	}
	for p := range producers {
		for i := range each {
			if got := counter(t, stores[0], fmt.Sprintf("done -%d-%d", p, i)); got != 1 {
				t.Errorf("message %d of producer %d: finished %d times, want once", i, p, got)
			}
		}
	}
	if marks := server.SQL(`select count(*) from "` + cfg.Schema + `".mark where low > r`); marks == "0" && !t.Failed() {
		t.Error("marks: got none that moved, want the range's to")
	}
}

// TestClaimCostIsInLiveKeys: what was claimed long ago is not walked over again, not even while an old snapshot keeps its rows.
func TestClaimCostIsInLiveKeys(t *testing.T) {
	t.Parallel()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	s := server.Open(t, cfg)
	postgres.MarkAlways(s)
	set(t, s, "first", "")
	server.Session(t).Send(`begin isolation level repeatable read; select count(*) from "` + cfg.Schema + `".kv;`)
	waitFor(t, "an old snapshot", func() bool {
		return server.SQL(`select count(*) from pg_stat_activity where state = 'idle in transaction'`) != "0"
	})
	const messages = 6000
	for n := 0; n < messages; n += 1000 {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range 1000 {
				tx.Set(fmt.Appendf(nil, "q/%08d", n+i), nil)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for taken := 0; taken < messages-1; {
		got, err := s.Claim(t.Context(), queue, min(200, messages-1-taken), func(kv.Tx, []kv.Pair) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		taken += len(got)
	}
	where := `select low from "` + cfg.Schema + `".mark where r = 'q/'`
	last := fmt.Sprintf(`\x%x`, fmt.Appendf(nil, "q/%08d", messages-1))
	waitFor(t, "the mark to stand at the last message", func() bool {
		_, err := s.Claim(t.Context(), queue, 1, func(tx kv.Tx, ps []kv.Pair) error { tx.Set(ps[0].Key, nil); return nil }) // and back
		return err == nil && server.SQL(where) == last
	})
	set(t, s, "q/00000001", "below")
	if got := server.SQL(where); got != fmt.Sprintf(`\x%x`, "q/00000001") {
		t.Errorf("mark after an insert below: got %s, want it lowered", got)
	}
	got, err := s.Claim(t.Context(), queue, 1, func(kv.Tx, []kv.Pair) error { return nil })
	if err != nil || len(got) != 1 || string(got[0].Value) != "below" {
		t.Errorf("Claim after an insert below: got %q, %v, want that one", got, err)
	}
}
