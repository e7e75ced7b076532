package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/outbox"
)

// queued is a move: it appends to the queue of the record's target, in the store.
func queued(tx kv.Tx, rec outbox.Record) error {
	key := []byte("queue/" + rec.Target)
	v, _, err := tx.Get(key)
	if err != nil {
		return err
	}
	tx.Set(key, append(v, rec.Payload...))
	return nil
}

// queue reads what was moved to target, as lines.
func queue(t *testing.T, store kv.Store, target string) []string {
	t.Helper()
	var lines []string
	err := store.View(t.Context(), func(v kv.View) error {
		b, _, err := v.Get([]byte("queue/" + target))
		lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(b) == 0 {
			lines = nil
		}
		return err
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	return lines
}

// start relays on a store until stop.
func start(t *testing.T, cfg lease.Config, move func(kv.Tx, outbox.Record) error) (box *outbox.Outbox, stop func()) {
	t.Helper()
	leases := lease.New(cfg)
	box = outbox.New(outbox.Config{Store: cfg.Store, Leases: leases})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := box.Run(ctx, move); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	return box, func() { cancel(); running.Wait(); leases.Close() }
}

func alone(store kv.Store) lease.Config { return lease.Config{Store: store, Alone: true} }

// send sends one line from source in a transaction.
func send(t *testing.T, store kv.Store, box *outbox.Outbox, source, target, line string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx kv.Tx) error {
		return box.Send(tx, []byte(source), target, "cause", []byte(line+"\n"))
	})
	if err != nil {
		t.Fatalf("Send: got %v, want nil", err)
	}
}

func TestMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		var ids sync.Map
		box, stop := start(t, alone(store), func(tx kv.Tx, rec outbox.Record) error {
			if rec.Cause != "cause" || !strings.HasPrefix(string(rec.Source), "source") {
				t.Errorf("record: got cause %q, source %q, want those that were sent", rec.Cause, rec.Source)
			}
			if was, ok := ids.Swap(rec.ID, string(rec.Payload)); ok && was != string(rec.Payload) {
				t.Errorf("id %s: got two records, want one", rec.ID)
			}
			return queued(tx, rec)
		})
		defer stop()
		boom := errors.New("boom")
		for i := range 500 {
			source := fmt.Sprintf("source%d", i%7)
			send(t, store, box, source, source, strconv.Itoa(i))
			err := store.Update(t.Context(), func(tx kv.Tx) error {
				return errors.Join(box.Send(tx, []byte(source), source, "cause", []byte("never\n")), boom)
			})
			if !errors.Is(err, boom) {
				t.Fatalf("failed Update: got %v, want %v", err, boom)
			}
		}
		synctest.Wait() // hints are enough, no time has to pass
		for s := range 7 {
			got := queue(t, store, fmt.Sprintf("source%d", s))
			for i, line := range got {
				if want := strconv.Itoa(i*7 + s); line != want {
					t.Fatalf("source %d, record %d: got %s, want %s: all, in order", s, i, line, want)
				}
			}
			if want := (500 - s + 6) / 7; len(got) != want {
				t.Errorf("source %d: got %d records, want %d", s, len(got), want)
			}
		}
	})
}

func TestTrimsBehindItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		box, stop := start(t, alone(store), queued)
		for i := range 100 {
			send(t, store, box, "source", "t", strconv.Itoa(i))
		}
		time.Sleep(time.Minute)
		stop()
		left := 0
		err := store.Snapshot(t.Context(), func(p kv.Pair) error {
			if p.Key[0] == 'l' {
				left++
			}
			return nil
		})
		if err != nil || left != 0 {
			t.Errorf("records left in the logs: got %d, %v, want none", left, err)
		}
		if got := queue(t, store, "t"); len(got) != 100 {
			t.Errorf("moved: got %d, want 100", len(got))
		}
	})
}

func TestLargePayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		var mu sync.Mutex
		got := map[string][]byte{}
		box, stop := start(t, alone(store), func(tx kv.Tx, rec outbox.Record) error {
			mu.Lock()
			defer mu.Unlock()
			got[rec.Target] = bytes.Clone(rec.Payload)
			return nil
		})
		defer stop()
		sizes := []int{0, 1, 400 << 10, kv.ValueMax - 1, kv.ValueMax, kv.ValueMax + 1, 1 << 20, outbox.PayloadMax}
		payload := func(n int) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8), 7}, n/3+1)[:n] }
		for _, n := range sizes {
			err := store.Update(ctx, func(tx kv.Tx) error {
				return box.Send(tx, []byte("one source"), strconv.Itoa(n), "", payload(n))
			})
			if err != nil {
				t.Fatalf("Send of %d bytes: got %v, want nil", n, err)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, n := range sizes {
			if !bytes.Equal(got[strconv.Itoa(n)], payload(n)) {
				t.Errorf("payload of %d bytes: got %d bytes, want the same back", n, len(got[strconv.Itoa(n)]))
			}
		}
		err := store.Update(ctx, func(tx kv.Tx) error {
			if err := box.Send(tx, nil, "t", "", make([]byte, outbox.PayloadMax+1)); !errors.Is(err, kv.ErrTooLarge) {
				t.Errorf("Send beyond PayloadMax: got %v, want ErrTooLarge", err)
			}
			if err := box.Send(tx, make([]byte, outbox.HeaderMax), "t", "", nil); !errors.Is(err, kv.ErrTooLarge) {
				t.Errorf("Send beyond HeaderMax: got %v, want ErrTooLarge", err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("Update around refused Sends: got %v, want nil", err)
		}
	})
}

// TestParked: a record that cannot be moved holds nobody up and is moved when it can be.
func TestParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		var mended atomic.Bool
		var bad sync.Map
		move := func(tx kv.Tx, rec outbox.Record) error {
			if rec.Target == "bad" {
				bad.Store(rec.ID, true)
				if !mended.Load() {
					tx.Set([]byte("trace"), nil)
					return errors.New("no such target")
				}
			}
			return queued(tx, rec)
		}
		box, stop := start(t, alone(store), move)
		for i := range 10 {
			send(t, store, box, "source", "good", strconv.Itoa(i))
			if i%3 == 0 {
				send(t, store, box, "source", "bad", strconv.Itoa(i))
			}
		}
		time.Sleep(10 * time.Second)
		if got := queue(t, store, "good"); len(got) != 10 {
			t.Errorf("good records beside bad ones: got %v, want all ten", got)
		}
		time.Sleep(time.Hour)
		stop()
		_, stop = start(t, alone(store), move) // parked ones outlive their owner
		defer stop()
		mended.Store(true)
		time.Sleep(2 * outbox.ParkedEvery)
		synctest.Wait()
		if got, want := queue(t, store, "bad"), []string{"0", "3", "6", "9"}; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("bad records, once mended: got %v, want %v", got, want)
		}
		ids := 0
		bad.Range(func(any, any) bool { ids++; return true })
		if ids != 4 {
			t.Errorf("ids of the 4 bad records over all tries: got %d, want 4", ids)
		}
		time.Sleep(time.Hour)
		if got := queue(t, store, "bad"); len(got) != 4 {
			t.Errorf("bad records an hour later: got %v, want no more", got)
		}
	})
}

// gated is a store whose user stands still while it is shut.
type gated struct {
	kv.Store
	shut atomic.Bool
	open chan struct{}
}

func (g *gated) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if g.shut.Load() {
		<-g.open
	}
	return g.Store.Update(ctx, fn)
}

// TestTakeOver: the owner stands still in the middle of its work, another takes over, the first comes back.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		gate := &gated{Store: store, open: make(chan struct{})}
		_, stopA := start(t, lease.Config{Store: gate}, queued)
		time.Sleep(time.Second) // a has all shards
		box, stopB := start(t, lease.Config{Store: store}, queued)
		for i := range 400 {
			if i == 150 {
				gate.shut.Store(true)
			}
			if i == 300 {
				time.Sleep(time.Minute)
				close(gate.open)
			}
			source := fmt.Sprintf("source%d", i%10)
			send(t, store, box, source, source, strconv.Itoa(i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for s := range 10 {
			got := queue(t, store, fmt.Sprintf("source%d", s))
			if len(got) != 40 {
				t.Errorf("source %d: got %d records, want 40: %v", s, len(got), got)
				continue
			}
			for i, line := range got {
				if want := strconv.Itoa(i*10 + s); line != want {
					t.Errorf("source %d, record %d: got %s, want %s", s, i, line, want)
				}
			}
		}
		stopA()
		stopB()
	})
}

// TestCrash: the power fails again and again, at any moment; every committed record is moved exactly once, in order.
func TestCrash(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			disk := kvtest.NewDisk()
			sent := 0
			for range 5 {
				store := disk.Open(t)
				box, stop := start(t, alone(store), queued)
				for range 30 + rng.IntN(30) {
					send(t, store, box, "source", "t", strconv.Itoa(sent))
					sent++
				}
				if rng.IntN(2) == 0 {
					time.Sleep(time.Duration(rng.IntN(20)) * time.Second)
				}
				disk = disk.Crash(rng)
				stop()
				store.Close()
			}
			store := disk.Open(t)
			_, stop := start(t, alone(store), queued)
			synctest.Wait()
			got := queue(t, store, "t")
			for i, line := range got {
				if line != strconv.Itoa(i) {
					t.Fatalf("seed %d, record %d: got %s, want %d", seed, i, line, i)
				}
			}
			if len(got) != sent {
				t.Errorf("seed %d: got %d records, want the %d that were acknowledged", seed, len(got), sent)
			}
			stop()
		})
	}
}

func TestRunEndsWithTheStore(t *testing.T) {
	store := kvtest.Memory(t)
	leases := lease.New(alone(store))
	defer leases.Close()
	box := outbox.New(outbox.Config{Store: store, Leases: leases})
	done := make(chan error)
	go func() { done <- box.Run(t.Context(), queued) }()
	store.Close()
	if err := <-done; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Run on a closed store: got %v, want ErrClosed", err)
	}
}
