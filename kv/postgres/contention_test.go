package postgres_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestThousandWriters: a thousand callers step one counter. None is lost, all get their share, and the server sees no more
// connections than are allowed.
func TestThousandWriters(t *testing.T) {
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema(), Readers: 3, Writers: 5}
	s := server.Open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const writers, each = 1000, 5
	var wg sync.WaitGroup
	var most atomic.Int64
	var slowest atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for range each {
				began := time.Now()
				if err := s.Update(ctx, func(tx kv.Tx) error { _, err := raise(tx, "n"); return err }); err != nil {
					t.Errorf("Update: got %v, want nil", err)
					return
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			}
			if w%100 == 0 {
				n := number(server.SQL(`select count(*) from pg_stat_activity where application_name like 'rouse ` + cfg.Schema + `%'`))
				most.Store(max(most.Load(), n))
			}
		})
	}
	began := time.Now()
	wg.Wait()
	took := time.Since(began)
	if got := counter(t, s, "n"); got != writers*each {
		t.Errorf("counter: got %d, want %d", got, writers*each)
	}
	if limit := int64(cfg.Readers + cfg.Writers + 2); most.Load() > limit {
		t.Errorf("connections: got %d, want at most %d", most.Load(), limit)
	}
	t.Logf("%d steps in %v, the slowest took %v", writers*each, took, time.Duration(slowest.Load()))
}

func number(s string) (n int64) { fmt.Sscan(s, &n); return n }

// TestTwoNodesOnOneKey: writers of two stores step one counter; both nodes get on.
func TestTwoNodesOnOneKey(t *testing.T) {
	t.Parallel()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	nodes := []*postgres.Store{server.Open(t, cfg), server.Open(t, cfg)}
	var shares [2]atomic.Int64
	var total atomic.Int64
	var wg sync.WaitGroup
	const steps = 2000
	for w := range 32 {
		wg.Go(func() {
			for total.Add(1) <= steps {
				if err := nodes[w%2].Update(t.Context(), func(tx kv.Tx) error { _, err := raise(tx, "n"); return err }); err != nil {
					t.Errorf("Update: got %v, want nil", err)
					return
				}
				shares[w%2].Add(1)
			}
		})
	}
	wg.Wait()
	if got := counter(t, nodes[0], "n"); got != steps {
		t.Errorf("counter: got %d, want %d", got, steps)
	}
	if a, b := shares[0].Load(), shares[1].Load(); min(a, b) < steps/16 {
		t.Errorf("shares of two nodes: got %d and %d of %d, want both to get on", a, b, steps)
	}
}

// TestColliding: transactions over several keys in any order, on two nodes. The sum stays, nobody dead-locks, everybody gets on.
func TestColliding(t *testing.T) {
	t.Parallel()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	nodes := []*postgres.Store{server.Open(t, cfg), server.Open(t, cfg)}
	const accounts, sum = 12, 1200
	key := func(i int) []byte { return fmt.Appendf(nil, "account%d", i) }
	err := nodes[0].Update(t.Context(), func(tx kv.Tx) error {
		for i := range accounts {
			tx.Set(key(i), amount(sum/accounts))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shares := make([]int64, 24)
	var wg sync.WaitGroup
	for w := range shares {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for range 40 {
				picked := rng.Perm(accounts)[:4]
				err := nodes[w%2].Update(ctx, func(tx kv.Tx) error {
					for i, p := range picked { // one after the other, each in an order of its own
						b, _, err := tx.Get(key(p))
						if err != nil {
							return err
						}
						n := count(b)
						if i == 0 {
							n -= 3
						} else {
							n++
						}
						tx.Set(key(p), amount(n))
					}
					return nil
				})
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
					return
				}
				shares[w]++
			}
		})
	}
	wg.Wait()
	var got uint64
	for i := range accounts {
		got += counter(t, nodes[1], string(key(i)))
	}
	if got != sum || slices.Min(shares) != 40 {
		t.Errorf("sum: got %d, want %d; smallest share %d, want 40", got, sum, slices.Min(shares))
	}
	if dead := server.SQL(`select sum(deadlocks) from pg_stat_database`); dead != "0" {
		t.Errorf("dead-locks: got %s, want none", dead)
	}
}

func amount(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// TestManyLocks: several transactions as large as may be do not exhaust the server's table of locks.
func TestManyLocks(t *testing.T) {
	t.Parallel()
	s := start(t).Store(t)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			var keys [][]byte
			for i := range kv.TxKeysMax / 2 {
				keys = append(keys, fmt.Appendf(nil, "k%d", i))
			}
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if _, err := tx.GetAll(keys); err != nil {
					return err
				}
				for i := range kv.TxKeysMax / 2 {
					tx.Set(fmt.Appendf(nil, "own%d-%d", w, i), []byte("v"))
				}
				return nil
			})
			if err != nil {
				t.Errorf("large Update: got %v, want nil", err)
			}
		})
	}
	wg.Wait()
}

// TestCallerLeaves: a caller whose context ends while others hold its key hears that, and nothing happened.
func TestCallerLeaves(t *testing.T) {
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	s := server.Open(t, cfg)
	set(t, s, "k", "v")
	held, leave := make(chan bool), make(chan bool)
	var holder sync.WaitGroup
	holder.Go(func() {
		first := true
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			_, _, err := tx.Get([]byte("k"))
			tx.Set([]byte("k"), []byte("held"))
			if first { // lose the first try, so that the second holds the lock
				first = false
				set(t, server.Open(t, cfg), "k", "other")
				return err
			}
			held <- true
			<-leave
			return err
		})
		if err != nil {
			t.Errorf("Update that held the key: got %v, want nil", err)
		}
	})
	<-held
	for name, fn := range map[string]func(kv.Tx) error{
		"blind":  func(tx kv.Tx) error { tx.Set([]byte("k"), []byte("late")); return nil },
		"reader": func(tx kv.Tx) error { _, err := raise(tx, "k"); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := s.Update(ctx, fn)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s Update under a short context: got %v, want %v", name, err, context.DeadlineExceeded)
		}
	}
	close(leave)
	holder.Wait()
	if got := value(t, s, "k"); got != "held" {
		t.Errorf("key: got %q, want what its holder wrote", got)
	}
}
