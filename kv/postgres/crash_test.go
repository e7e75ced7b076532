package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestConformanceAcrossCrashes: the server's processes are killed in the middle of work, with -9 and as pg_ctl -m immediate does.
func TestConformanceAcrossCrashes(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*pgtest.Server){"Kill": (*pgtest.Server).Kill, "Immediate": (*pgtest.Server).Immediate} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
			kvtest.RunCrash(t, func(t testing.TB) (kv.Store, func() kv.Store) {
				cfg := postgres.Config{Schema: pgtest.Schema()}
				return server.Open(t, cfg), func() kv.Store {
					kill(server)
					server.Run()
					return server.Open(t, cfg)
				}
			})
		})
	}
}

const crashes = 12

// TestOneStoreAcrossCrashes: one store goes on over many crashes of its server, and so do its callers. Every Update that was
// answered with nil happened once, and every other did not; no record is missing, doubled or out of order for a tailer that
// never looks back.
func TestOneStoreAcrossCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema(), Patience: time.Minute})
	var acks, steps atomic.Int64
	var done, written atomic.Bool
	var writers, tailer sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			own := fmt.Sprint("own", w)
			for !done.Load() {
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					n, err := raise(tx, own)
					if _, serr := raise(tx, "shared"); err == nil {
						err = serr
					}
					tx.Append([]byte("log"), fmt.Appendf(nil, "%s %d", own, n))
					return err
				})
				if err != nil {
					t.Errorf("Update across a crash: got %v, want nil", err)
					return
				}
				acks.Add(1)
				steps.Add(1)
			}
		})
	}
	var records int64
	tailer.Go(func() { records = tailAll(t, s, func() bool { return written.Load() }, &acks) })
	for i := range crashes {
		before := steps.Load()
		waitFor(t, "work between crashes", func() bool { return steps.Load() > before+20 })
		if i%3 == 2 {
			server.Immediate()
		} else {
			server.Kill()
		}
		server.Run()
	}
	done.Store(true)
	writers.Wait()
	written.Store(true)
	tailer.Wait()
	var shared uint64
	err := s.View(t.Context(), func(v kv.View) error {
		b, _, err := v.Get([]byte("shared"))
		shared = count(b)
		return err
	})
	if want := acks.Load(); err != nil || int64(shared) != want || records != want {
		t.Errorf("after %d crashes: got %d steps and %d records, %v, want the %d that were acknowledged", crashes, shared, records, err, want)
	}
}

// tailAll reads the log until it was written and all that was acknowledged has come, and never looks back.
func tailAll(t *testing.T, s kv.Store, written func() bool, acks *atomic.Int64) (records int64) {
	var from kv.Pos
	next := map[string]uint64{}
	for limit := time.Now().Add(5 * time.Minute); !written() || records < acks.Load() && time.Now().Before(limit); {
		recs, err := s.Read(t.Context(), []byte("log"), from, 100)
		if err != nil {
			t.Errorf("Read across a crash: got %v, want nil", err)
			return records
		}
		for _, r := range recs {
			var key string
			var n uint64
			fmt.Sscan(string(r.Value), &key, &n)
			if next[key]++; n != next[key] {
				t.Errorf("record of %s: got %d, want %d", key, n, next[key])
				return records
			}
			from, records = r.Pos, records+1
		}
	}
	if recs, err := s.Read(t.Context(), []byte("log"), from, 1); err != nil || len(recs) > 0 {
		t.Errorf("Read at the end: got %d records, %v, want none", len(recs), err)
	}
	return records
}

// TestLostCommit: connections are cut while commits are under way. Again what was answered is the truth.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	server := start(t)
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema()})
	var done atomic.Bool
	var wg sync.WaitGroup
	var acks atomic.Int64
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				if err := s.Update(t.Context(), func(tx kv.Tx) error { _, err := raise(tx, "n"); return err }); err != nil {
					t.Errorf("Update beside cut connections: got %v, want nil", err)
					return
				}
				acks.Add(1)
			}
		})
	}
	for range 30 {
		before := acks.Load()
		server.SQL(`select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'rouse %' and state <> 'idle'`)
		waitFor(t, "more commits", func() bool { return acks.Load() > before+3 || t.Failed() })
	}
	done.Store(true)
	wg.Wait()
	if got := counter(t, s, "n"); int64(got) != acks.Load() {
		t.Errorf("counter: got %d, want the %d that were acknowledged", got, acks.Load())
	}
}

// TestServerStaysAway: calls end with an error that says so, and a commit under way with kv.ErrUnknown when its caller leaves.
func TestServerStaysAway(t *testing.T) {
	t.Parallel()
	server := start(t)
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema(), Patience: 200 * time.Millisecond})
	set(t, s, "k", "v")
	server.Stop()
	if err := s.View(t.Context(), func(v kv.View) error { _, _, err := v.Get([]byte("k")); return err }); err == nil {
		t.Error("View without a server: got nil, want an error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("k"), []byte("w")); return nil })
	if err == nil || errors.Is(err, kv.ErrConflict) {
		t.Errorf("Update without a server: got %v, want another error", err)
	}
	waitFor(t, "the store to know that the server is away", func() bool { return s.Health() != nil })
	server.Run()
	waitFor(t, "the store to be back", func() bool {
		return s.View(t.Context(), func(v kv.View) error { _, _, err := v.Get([]byte("k")); return err }) == nil
	})
	if got := value(t, s, "k"); got != "v" {
		t.Errorf("key after the server is back: got %q, want what was acknowledged", got)
	}
	waitFor(t, "health", func() bool { return s.Health() == nil })
}
