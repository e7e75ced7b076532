package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/outbox"
	"github.com/rouse-dev/rouse/timer"
)

// The frame above kv on this driver, as a cluster has it: two nodes on one store, hints that may be lost, real time.

// nodes opens a store twice, with leases of their own.
func nodes(t *testing.T) (stores [2]*postgres.Store, leases [2]*lease.Leases) {
	t.Helper()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	for i := range stores {
		stores[i] = server.Open(t, cfg)
		leases[i] = lease.New(lease.Config{Store: stores[i], Holder: fmt.Sprint("node", i)})
		t.Cleanup(func() { leases[i].Close() })
	}
	return stores, leases
}

// TestLeases: one owner at a time, over nodes; who lets go is followed at once, who dies when its time is over, and whoever
// has lost a lease cannot commit.
func TestLeases(t *testing.T) {
	t.Parallel()
	stores, leases := nodes(t)
	ctx, release := context.WithCancel(t.Context())
	first, err := leases[0].Acquire(ctx, []byte("duty"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	under := func(s kv.Store, l kv.Lease) error {
		return s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("done"), nil); return l.Guard(tx) })
	}
	if err := under(stores[0], first); err != nil {
		t.Errorf("Update under a lease: got %v, want nil", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	if l, err := leases[1].Acquire(short, []byte("duty"), time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Acquire of what another node keeps: got %v, %v, want it to wait", l, err)
	}
	cancel()
	release()
	second, err := leases[1].Acquire(t.Context(), []byte("duty"), 300*time.Millisecond)
	if err != nil || second.Epoch() <= first.Epoch() {
		t.Fatalf("Acquire of what was released: got %v, want it with an epoch above %d", err, first.Epoch())
	}
	if err := under(stores[0], first); !errors.Is(err, kv.ErrFenced) {
		t.Errorf("Update under a lease that is lost: got %v, want %v", err, kv.ErrFenced)
	}
	stores[1].Close() // it dies without letting go
	third, err := leases[0].Acquire(t.Context(), []byte("duty"), time.Second)
	if err != nil || third.Epoch() <= second.Epoch() {
		t.Errorf("Acquire of a dead node's duty: got %v, want it with an epoch above %d", err, second.Epoch())
	}
}

// TestTimers: set on either node, each fires once, not before it is due, on whichever node owns its shard.
func TestTimers(t *testing.T) {
	t.Parallel()
	stores, leases := nodes(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var timers [2]*timer.Timers
	for i := range stores {
		timers[i] = timer.New(timer.Config{Store: stores[i], Leases: leases[i], TTL: 2 * time.Second, Poll: time.Second})
		running.Go(func() {
			err := timers[i].Run(ctx, "kind", func(tx kv.Tx, id, payload []byte) error {
				var due int64
				fmt.Sscan(string(payload), &due)
				if tx.Now().UnixMilli() < due {
					t.Errorf("timer %s: fired at %v, want not before %v", id, tx.Now().UnixMilli(), due)
				}
				_, err := raise(tx, "fired "+string(id))
				return err
			})
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		})
	}
	const n = 60
	for i := range n {
		s := stores[i%2]
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			due := tx.Now().Add(time.Duration(i) * 30 * time.Millisecond)
			timers[i%2].Set(tx, "kind", fmt.Append(nil, i), due, fmt.Append(nil, due.UnixMilli()))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := func(want uint64) func() bool {
		return func() bool {
			for i := range n {
				if counter(t, stores[0], fmt.Sprint("fired ", i)) != want {
					return false
				}
			}
			return true
		}
	}
	waitFor(t, "all timers to fire", all(1))
	stop()
	running.Wait()
	if !all(1)() {
		t.Error("timers: got one that fired twice, want each once")
	}
}

// TestOutbox: what is sent on either node is moved once, per source in order, also when the node that moved it goes.
func TestOutbox(t *testing.T) {
	t.Parallel()
	stores, leases := nodes(t)
	var running sync.WaitGroup
	var boxes [2]*outbox.Outbox
	stops := make([]context.CancelFunc, 2)
	for i := range stores {
		boxes[i] = outbox.New(outbox.Config{Store: stores[i], Leases: leases[i], TTL: 2 * time.Second, Poll: time.Second})
		var ctx context.Context
		ctx, stops[i] = context.WithCancel(t.Context())
		running.Go(func() {
			err := boxes[i].Run(ctx, func(tx kv.Tx, r outbox.Record) error {
				n, err := raise(tx, "moved "+string(r.Source))
				if want := fmt.Sprint(n); string(r.Payload) != want {
					t.Errorf("record of %s: got %s, want %s", r.Source, r.Payload, want)
				}
				return err
			})
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		})
	}
	const sources, each = 8, 20
	var senders sync.WaitGroup
	for source := range sources {
		senders.Go(func() {
			for n := range each {
				err := stores[source%2].Update(t.Context(), func(tx kv.Tx) error {
					return boxes[source%2].Send(tx, fmt.Append(nil, source), "arn", "cause", fmt.Append(nil, n+1))
				})
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
					return
				}
				if source == 0 && n == each/2 {
					stops[0]() // the other node takes over what it had
				}
			}
		})
	}
	senders.Wait()
	for source := range sources {
		waitFor(t, fmt.Sprint("records of source ", source), func() bool {
			return counter(t, stores[1], fmt.Sprint("moved ", source)) == each || t.Failed()
		})
	}
	stops[1]()
	running.Wait()
}

// TestHintsBetweenNodes: a hint reaches another node long before it would poll, and everybody after a connection was lost.
func TestHintsBetweenNodes(t *testing.T) {
	t.Parallel()
	server := start(t)
	cfg := postgres.Config{Schema: pgtest.Schema()}
	a, b := server.Open(t, cfg), server.Open(t, cfg)
	topic := []byte("a topic of any \x00 bytes")
	hint, stop := b.Wake(topic)
	defer stop()
	for round := range 3 {
		err := a.Update(t.Context(), func(tx kv.Tx) error { tx.Wake(topic); return nil })
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-hint:
		case <-time.After(10 * time.Second):
			t.Fatalf("hint %d from another node: got none, want one", round)
		}
	}
	server.SQL(`select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'rouse %'`)
	select {
	case <-hint: // what was told while nobody listened may be lost, so everybody looks
	case <-time.After(10 * time.Second):
		t.Error("hint after a lost connection: got none, want one")
	}
}
