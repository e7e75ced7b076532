package timer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/timer"
)

const kind = "test"

// note writes that id has fired, and when. A fire function may run twice, so what it did is to be seen in the store only.
func note(tx kv.Tx, id []byte) error {
	key := append([]byte("fired/"), id...)
	v, _, err := tx.Get(key)
	if err != nil {
		return err
	}
	tx.Set(key, binary.BigEndian.AppendUint64(v, uint64(tx.Now().UnixNano())))
	return nil
}

// fired reads when each id has fired.
func fired(t *testing.T, store kv.Store) map[string][]time.Time {
	t.Helper()
	got := map[string][]time.Time{}
	err := store.View(t.Context(), func(v kv.View) error {
		for p, err := range v.Scan(kv.Range{From: []byte("fired/"), To: []byte("fired0")}, 0) {
			if err != nil {
				return err
			}
			id := string(p.Key[len("fired/"):])
			for v := p.Value; len(v) >= 8; v = v[8:] {
				got[id] = append(got[id], time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return got
}

// start runs timers on store until stop, as its only node.
func start(t *testing.T, store kv.Store, fire timer.Fire) (timers *timer.Timers, stop func()) {
	t.Helper()
	return startNode(t, lease.Config{Store: store, Alone: true}, fire)
}

// startNode runs timers on a store that others may use.
func startNode(t *testing.T, cfg lease.Config, fire timer.Fire) (timers *timer.Timers, stop func()) {
	t.Helper()
	store, leases := cfg.Store, lease.New(cfg)
	timers = timer.New(timer.Config{Store: store, Leases: leases})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := timers.Run(ctx, kind, fire); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	return timers, func() { cancel(); running.Wait(); leases.Close() }
}

func update(t *testing.T, store kv.Store, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: got %v, want nil", err)
	}
}

func TestFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers, stop := start(t, store, func(tx kv.Tx, id, payload []byte) error {
			if want := "payload of " + string(id); string(payload) != want {
				t.Errorf("payload: got %q, want %q", payload, want)
			}
			return note(tx, id)
		})
		defer stop()
		begin := store.Now()
		delays := []time.Duration{-time.Hour, 0, time.Nanosecond, time.Millisecond, 1500 * time.Millisecond, time.Minute, 26 * time.Hour}
		for _, d := range delays {
			id := d.String()
			update(t, store, func(tx kv.Tx) error {
				timers.Set(tx, kind, []byte(id), begin.Add(d), []byte("payload of "+id))
				return nil
			})
		}
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		got := fired(t, store)
		for _, d := range delays {
			at := got[d.String()]
			if len(at) != 1 {
				t.Errorf("timer after %v: fired %d times, want once", d, len(at))
				continue
			}
			if late := at[0].Sub(begin.Add(max(d, 0))); late < 0 || late > 2*time.Millisecond {
				t.Errorf("timer after %v: fired %v late, want at its time", d, late)
			}
		}
	})
}

func TestReplaceAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers, stop := start(t, store, func(tx kv.Tx, id, payload []byte) error {
			return note(tx, append(append([]byte{}, id...), payload...))
		})
		defer stop()
		begin := store.Now()
		update(t, store, func(tx kv.Tx) error {
			for _, id := range []string{"later", "sooner", "gone", "same"} {
				timers.Set(tx, kind, []byte(id), begin.Add(time.Hour), []byte("1"))
			}
			return nil
		})
		time.Sleep(time.Minute)
		update(t, store, func(tx kv.Tx) error {
			timers.Set(tx, kind, []byte("later"), begin.Add(2*time.Hour), []byte("2"))
			timers.Set(tx, kind, []byte("sooner"), begin.Add(30*time.Minute), []byte("2"))
			timers.Set(tx, kind, []byte("same"), begin.Add(time.Hour), []byte("2"))
			for id, want := range map[string]bool{"gone": true, "never": false} {
				if was, err := timers.Cancel(tx, kind, []byte(id)); was != want || err != nil {
					t.Errorf("Cancel %s: got %v, %v, want %v", id, was, err, want)
				}
			}
			return nil
		})
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		got := fired(t, store)
		for id, want := range map[string]time.Duration{"later2": 2 * time.Hour, "sooner2": 30 * time.Minute, "same2": time.Hour} {
			if at := got[id]; len(at) != 1 || at[0].Sub(begin) != want {
				t.Errorf("timer %s: fired at %v, want once, %v after the beginning", id, at, want)
			}
		}
		for _, id := range []string{"later1", "sooner1", "same1", "gone1"} {
			if at := got[id]; len(at) != 0 {
				t.Errorf("timer %s: fired at %v, want never", id, at)
			}
		}
		update(t, store, func(tx kv.Tx) error {
			if was, err := timers.Cancel(tx, kind, []byte("later")); was || err != nil {
				t.Errorf("Cancel of what has fired: got %v, %v, want false", was, err)
			}
			return nil
		})
	})
}

// TestEvery: a timer that sets itself anew fires on its beat and leaves no keys behind.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers := timer.New(timer.Config{Store: store})
		_, stop := start(t, store, func(tx kv.Tx, id, _ []byte) error {
			timers.Set(tx, kind, id, tx.Now().Add(time.Minute), nil)
			return note(tx, id)
		})
		defer stop()
		update(t, store, func(tx kv.Tx) error { timers.Set(tx, kind, []byte("tick"), tx.Now(), nil); return nil })
		time.Sleep(100*time.Minute + time.Second)
		synctest.Wait()
		if got, want := len(fired(t, store)["tick"]), 101; got != want {
			t.Errorf("fired %d times, want %d", got, want)
		}
	})
}

func TestFailingFire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		var tries atomic.Int64
		timers, stop := start(t, store, func(tx kv.Tx, id, _ []byte) error {
			if string(id) == "bad" && tries.Add(1) < 5 {
				tx.Set([]byte("trace"), nil)
				return errors.New("not now")
			}
			return note(tx, id)
		})
		defer stop()
		begin := store.Now()
		update(t, store, func(tx kv.Tx) error {
			timers.Set(tx, kind, []byte("bad"), begin, nil)
			for i := range 100 {
				timers.Set(tx, kind, fmt.Appendf(nil, "good%d", i), begin.Add(time.Second), nil)
			}
			return nil
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		got := fired(t, store)
		if at := got["bad"]; len(at) != 1 || at[0].Sub(begin) < 15*time.Second {
			t.Errorf("failing timer: fired at %v, want once, after pauses of 1, 2, 4 and 8 s", at)
		}
		for i := range 100 {
			if at := got[fmt.Sprintf("good%d", i)]; len(at) != 1 || at[0].Sub(begin) != time.Second {
				t.Errorf("timer good%d: fired at %v, want once and in time", i, at)
			}
		}
		err := store.View(t.Context(), func(v kv.View) error {
			if _, ok, err := v.Get([]byte("trace")); ok || err != nil {
				t.Errorf("write of a failed fire: got %v, %v, want none", ok, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// late is a transaction that began long before it commits.
type late struct{ kv.Tx }

func (l late) Now() time.Time { return l.Tx.Now().Add(-time.Minute) }

// TestStuckCommit: a timer that appears behind the cursor, because its commit was stuck, fires when the owner looks again.
func TestStuckCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers, stop := start(t, store, func(tx kv.Tx, id, _ []byte) error { return note(tx, id) })
		defer stop()
		time.Sleep(5 * time.Minute)
		update(t, store, func(tx kv.Tx) error {
			timers.Set(late{tx}, kind, []byte("stuck"), time.Time{}, nil)
			return nil
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := fired(t, store)["stuck"]; len(got) != 1 {
			t.Errorf("timer of a stuck commit: fired %d times within a poll, want once", len(got))
		}
	})
}

// TestBacklog: more than a walk takes, due while nobody ran.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers := timer.New(timer.Config{Store: store})
		const n = 3000
		for i := range n / 1000 {
			update(t, store, func(tx kv.Tx) error {
				for j := range 1000 {
					timers.Set(tx, kind, fmt.Appendf(nil, "%d", i*1000+j), tx.Now().Add(time.Duration(j)*time.Millisecond), nil)
				}
				return nil
			})
		}
		time.Sleep(time.Hour)
		_, stop := start(t, store, func(tx kv.Tx, id, _ []byte) error { return note(tx, id) })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got := fired(t, store)
		for id, at := range got {
			if len(at) != 1 {
				t.Errorf("timer %s: fired %d times, want once", id, len(at))
			}
		}
		if len(got) != n {
			t.Errorf("fired %d timers, want %d", len(got), n)
		}
		stop()
	})
}

// TestTakeOver: two nodes on one store, one of which stands still and comes back; every timer has its effect once.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		gate := &gated{Store: store, open: make(chan struct{})}
		fire := func(tx kv.Tx, id, _ []byte) error { return note(tx, id) }
		timers, stopA := startNode(t, lease.Config{Store: gate}, fire)
		time.Sleep(time.Second) // a has all shards
		_, stopB := startNode(t, lease.Config{Store: store}, fire)
		const n = 300
		update(t, store, func(tx kv.Tx) error {
			for i := range n {
				timers.Set(tx, kind, fmt.Appendf(nil, "%d", i), tx.Now().Add(time.Duration(i)*100*time.Millisecond), nil)
			}
			return nil
		})
		time.Sleep(10 * time.Second)
		gate.shut.Store(true) // a stands still, in the middle of firing
		time.Sleep(time.Minute)
		close(gate.open)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := fired(t, store)
		for i := range n {
			if c := len(got[fmt.Sprint(i)]); c != 1 {
				t.Errorf("timer %d: took effect %d times, want once", i, c)
			}
		}
		stopA()
		stopB()
	})
}

// gated is a store whose user stands still while it is shut: updates are prepared but not committed.
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

// TestCrash: the power fails again and again, at any moment; what was set fires once, and no effect is lost.
func TestCrash(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			disk := kvtest.NewDisk()
			fire := func(tx kv.Tx, id, _ []byte) error { return note(tx, id) }
			set := map[string]bool{}
			for round := range 5 {
				store := disk.Open(t)
				timers, stop := start(t, store, fire)
				for i := range 20 {
					id := fmt.Sprintf("%d-%d", round, i)
					update(t, store, func(tx kv.Tx) error {
						timers.Set(tx, kind, []byte(id), tx.Now().Add(time.Duration(rng.IntN(40))*time.Second), nil)
						return nil
					})
					set[id] = true
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
				}
				disk = disk.Crash(rng)
				stop()
				store.Close()
			}
			store := disk.Open(t)
			_, stop := start(t, store, fire)
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			got := fired(t, store)
			for id := range set {
				if len(got[id]) != 1 {
					t.Errorf("seed %d: timer %s took effect %d times, want once", seed, id, len(got[id]))
				}
			}
			stop()
		})
	}
}

func TestRunEndsWithTheStore(t *testing.T) {
	store := kvtest.Memory(t)
	leases := lease.New(lease.Config{Store: store, Alone: true})
	defer leases.Close()
	timers := timer.New(timer.Config{Store: store, Leases: leases})
	done := make(chan error)
	go func() { done <- timers.Run(t.Context(), kind, func(kv.Tx, []byte, []byte) error { return nil }) }()
	store.Close()
	if err := <-done; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Run on a closed store: got %v, want ErrClosed", err)
	}
}
