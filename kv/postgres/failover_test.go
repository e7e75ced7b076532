package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestFailOver: the server dies for good and its standby takes over. What was acknowledged is there, the store goes on, and a
// tailer misses nothing: records of the new server stand in an epoch of their own.
func TestFailOver(t *testing.T) {
	t.Parallel()
	first := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
	standby := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true, Clone: first})
	first.SQL(`alter system set synchronous_standby_names = '*'`)
	first.SQL(`select pg_reload_conf()`)
	both := "postgres://rouse@/postgres?" + url.Values{"host": {first.Dir() + "," + standby.Dir()}, "target_session_attrs": {"read-write"}}.Encode()
	s := openAt(t, both)
	var acks atomic.Int64
	var done atomic.Bool
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for !done.Load() {
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					n, err := raise(tx, fmt.Sprint("n", w))
					tx.Append([]byte("log"), fmt.Appendf(nil, "n%d %d", w, n))
					return err
				})
				if err != nil {
					t.Errorf("Update across a fail-over: got %v, want nil", err)
					return
				}
				acks.Add(1)
			}
		})
	}
	waitFor(t, "work before", func() bool { return acks.Load() > 50 })
	var from kv.Pos
	var records int64
	next := map[string]int{}
	tail := func() {
		t.Helper()
		recs, err := s.Read(t.Context(), []byte("log"), from, 1000)
		if err != nil {
			t.Fatalf("Read: got %v, want nil", err)
		}
		for _, r := range recs {
			var key string
			var n int
			fmt.Sscan(string(r.Value), &key, &n)
			if next[key]++; n != next[key] {
				t.Fatalf("record of %s: got %d, want %d", key, n, next[key])
			}
			from, records = r.Pos, records+1
		}
	}
	tail()
	before := from.Epoch()
	first.Kill()
	standby.Promote()
	at := acks.Load()
	waitFor(t, "work after", func() bool { return acks.Load() > at+50 || t.Failed() })
	done.Store(true)
	writers.Wait()
	for limit := time.Now().Add(time.Minute); records < acks.Load() && time.Now().Before(limit); {
		tail()
	}
	if records != acks.Load() {
		t.Errorf("records after a fail-over: got %d, want the %d that were acknowledged", records, acks.Load())
	}
	if got := from.Epoch(); got != before+1 {
		t.Errorf("epoch after a fail-over: got %d, want %d", got, before+1)
	}
}

// TestNoStandby: a commit that is cut off while it waits for a standby is not acknowledged before one has it.
func TestNoStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema()})
	var writers sync.WaitGroup // several sessions: the question goes through another than the commit
	for w := range 8 {
		writers.Go(func() { set(t, s, fmt.Sprint("k", w), "v") })
	}
	writers.Wait()
	configure := func(names string) {
		server.SQL("alter system set synchronous_standby_names = '" + names + "'")
		server.SQL("select pg_reload_conf()")
	}
	waits := func(query string) func() bool {
		return func() bool {
			return server.SQL("select count(*) from pg_stat_activity where wait_event = 'SyncRep' and query like '"+query+"'") != "0"
		}
	}
	for _, end := range []string{"pg_terminate_backend", "pg_cancel_backend"} {
		configure("none")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("k"), []byte(end)); return nil })
		}()
		waitFor(t, "a commit that waits for its standby", waits("commit"))
		server.SQL("select " + end + "(pid) from pg_stat_activity where wait_event = 'SyncRep' and query = 'commit'")
		if end == "pg_terminate_backend" {
			waitFor(t, "a question that waits for the standby", waits("%"))
			cancel()
		}
		if err := <-ended; !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("Update that no standby has, after %s: got %v, want %v", end, err, kv.ErrUnknown)
		}
		cancel()
		configure("")
		waitFor(t, "the end of all waiting", func() bool { return !waits("%")() })
	}
}

func openAt(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Schema: pgtest.Schema(), Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
