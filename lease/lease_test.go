package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/lease"
)

const ttl = 9 * time.Second

var duty = []byte("sweep")

func acquire(t *testing.T, ctx context.Context, l *lease.Leases) kv.Lease {
	t.Helper()
	held, err := l.Acquire(ctx, duty, ttl)
	if err != nil {
		t.Fatalf("Acquire: got %v, want nil", err)
	}
	return held
}

// work is a transaction of the duty.
func work(ctx context.Context, store kv.Store, l kv.Lease) error {
	return store.Update(ctx, func(tx kv.Tx) error {
		if err := l.Guard(tx); err != nil {
			return err
		}
		tx.Set([]byte("work"), []byte{byte(l.Epoch())})
		return nil
	})
}

func lost(l kv.Lease) bool {
	select {
	case <-l.Lost():
		return true
	default:
		return false
	}
}

func TestOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		a, b := lease.New(lease.Config{Store: store, Holder: "a"}), lease.New(lease.Config{Store: store, Holder: "b"})
		defer b.Close()
		defer a.Close()
		first, cancel := context.WithCancel(ctx)
		la := acquire(t, first, a)
		var took atomic.Bool
		done := make(chan kv.Lease)
		go func() {
			lb, err := b.Acquire(ctx, duty, ttl)
			if err != nil {
				t.Errorf("Acquire by b: got %v, want nil", err)
			}
			took.Store(true)
			done <- lb
		}()
		time.Sleep(time.Hour)
		if took.Load() || lost(la) {
			t.Errorf("after an hour of renewals: taken over %v, lost %v, want neither", took.Load(), lost(la))
		}
		if err := work(ctx, store, la); err != nil {
			t.Errorf("work of the owner: got %v, want nil", err)
		}
		released := time.Now()
		cancel()
		lb := <-done
		if d := time.Since(released); d > 0 {
			t.Errorf("take-over after a release took %v, want none", d)
		}
		if !lost(la) {
			<-la.Lost()
		}
		if lb.Epoch() != la.Epoch()+1 {
			t.Errorf("epoch after take-over: got %d, want %d", lb.Epoch(), la.Epoch()+1)
		}
		if err := work(ctx, store, la); !errors.Is(err, kv.ErrFenced) {
			t.Errorf("work of the former owner: got %v, want ErrFenced", err)
		}
		if err := work(ctx, store, lb); err != nil {
			t.Errorf("work of the new owner: got %v, want nil", err)
		}
	})
}

// stuck is a store whose holder has been stopped: its updates wait until it goes on.
type stuck struct {
	kv.Store
	stop    atomic.Bool
	goOn    chan struct{}
	updates atomic.Int64
}

func (s *stuck) Update(ctx context.Context, fn func(kv.Tx) error) error {
	s.updates.Add(1)
	if s.stop.Load() {
		<-s.goOn
	}
	return s.Store.Update(ctx, fn)
}

func TestStaleOwnerIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		frozen := &stuck{Store: store, goOn: make(chan struct{})}
		a, b := lease.New(lease.Config{Store: frozen}), lease.New(lease.Config{Store: store})
		defer b.Close()
		defer a.Close()
		la := acquire(t, ctx, a)
		frozen.stop.Store(true)
		at := time.Now()
		lb := acquire(t, ctx, b)
		if d := time.Since(at); d < ttl/2 || d > ttl+2*time.Second {
			t.Errorf("take-over of a silent owner took %v, want about the time to live, %v", d, ttl)
		}
		if lost(la) {
			t.Error("stopped owner knows that it lost; want it not to, so that the fence is what holds it")
		}
		if err := work(ctx, store, la); !errors.Is(err, kv.ErrFenced) {
			t.Errorf("work of the stale owner: got %v, want ErrFenced", err)
		}
		frozen.stop.Store(false)
		close(frozen.goOn)
		<-la.Lost()
		if err := work(ctx, store, lb); err != nil || lost(lb) {
			t.Errorf("work of the new owner after the old one woke: got %v, lost %v, want nil and held", err, lost(lb))
		}
	})
}

// TestFenceIsAtomic: a take-over between an owner's reads and its commit makes that commit fail.
func TestFenceIsAtomic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		frozen := &stuck{Store: store, goOn: make(chan struct{})}
		a, b := lease.New(lease.Config{Store: frozen}), lease.New(lease.Config{Store: store})
		defer b.Close()
		defer a.Close()
		la := acquire(t, ctx, a)
		frozen.stop.Store(true)
		defer close(frozen.goOn)
		time.Sleep(ttl + time.Second)
		attempts := 0
		err := store.Update(ctx, func(tx kv.Tx) error {
			attempts++
			if err := la.Guard(tx); err != nil {
				return err
			}
			if attempts == 1 {
				acquire(t, ctx, b)
			}
			tx.Set([]byte("work"), []byte("stale"))
			return nil
		})
		if !errors.Is(err, kv.ErrFenced) || attempts != 2 {
			t.Errorf("commit across a take-over: got %v after %d attempts, want ErrFenced after 2", err, attempts)
		}
		frozen.stop.Store(false)
	})
}

func TestFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		l := lease.New(lease.Config{Store: store})
		held := acquire(t, ctx, l)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl)
		if !lost(held) {
			t.Error("lease on a closed store: still held, want it lost")
		}
		if _, err := l.Acquire(ctx, []byte("other"), ttl); !errors.Is(err, kv.ErrClosed) {
			t.Errorf("Acquire on a closed store: got %v, want ErrClosed", err)
		}
		l.Close()
	})
}

func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := kvtest.Memory(t), t.Context()
		// The first process dies without a release.
		killed := &stuck{Store: store, goOn: make(chan struct{})}
		a := lease.New(lease.Config{Store: killed, Alone: true})
		la := acquire(t, ctx, a)
		killed.stop.Store(true)
		counted := &stuck{Store: store}
		b := lease.New(lease.Config{Store: counted, Alone: true})
		at := time.Now()
		own, cancel := context.WithCancel(ctx)
		lb := acquire(t, own, b)
		if d := time.Since(at); d != 0 {
			t.Errorf("take-over after a crash took %v, want none", d)
		}
		if err := work(ctx, store, la); !errors.Is(err, kv.ErrFenced) {
			t.Errorf("work of the dead owner: got %v, want ErrFenced", err)
		}
		short, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		if _, err := b.Acquire(short, duty, ttl); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("second Acquire within the process: got %v, want it to wait", err)
		}
		cancel()
		<-lb.Lost()
		again := acquire(t, ctx, b)
		if again.Epoch() != lb.Epoch()+1 {
			t.Errorf("epoch of the next owner: got %d, want %d", again.Epoch(), lb.Epoch()+1)
		}
		before := counted.updates.Load()
		time.Sleep(time.Hour)
		if got := counted.updates.Load() - before; got != 0 {
			t.Errorf("writes of an idle hour: got %d, want none", got)
		}
		killed.stop.Store(false)
		close(killed.goOn)
		a.Close()
		b.Close()
		<-again.Lost()
	})
}

func TestLimits(t *testing.T) {
	l := lease.New(lease.Config{Store: kvtest.Memory(t)})
	defer l.Close()
	for _, d := range []time.Duration{0, -1, lease.TTLMin - 1, lease.TTLMax + 1} {
		if _, err := l.Acquire(t.Context(), duty, d); err == nil {
			t.Errorf("Acquire for %v: got nil, want an error", d)
		}
	}
	l.Close()
	if _, err := l.Acquire(t.Context(), duty, ttl); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Acquire after Close: got %v, want ErrClosed", err)
	}
}

// doubtful is a store that does not know the outcome of the first Updates: 'y' was carried out, 'n' not.
type doubtful struct {
	kv.Store
	doubt string
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if d.doubt == "" {
		return d.Store.Update(ctx, fn)
	}
	done := d.doubt[0] == 'y'
	d.doubt = d.doubt[1:]
	if done {
		if err := d.Store.Update(ctx, fn); err != nil {
			return err
		}
	}
	return kv.ErrUnknown
}

// TestDoubt: who does not know whether he has a duty finds out, and does not wait for himself; what others hold he leaves them.
func TestDoubt(t *testing.T) {
	for _, doubt := range []string{"y", "n", "yy", "ny", "yn"} {
		for _, alone := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				store := kvtest.Memory(t)
				l := lease.New(lease.Config{Store: &doubtful{store, doubt}, Alone: alone})
				defer l.Close()
				began := time.Now()
				held := acquire(t, t.Context(), l)
				if took := time.Since(began); took > ttl/2 {
					t.Errorf("%s, alone %v: took %v, want less than the lease's time", doubt, alone, took)
				}
				if err := work(t.Context(), store, held); err != nil {
					t.Errorf("%s, alone %v: work of the owner: got %v, want nil", doubt, alone, err)
				}
			})
		}
		synctest.Test(t, func(t *testing.T) {
			store := kvtest.Memory(t)
			a := lease.New(lease.Config{Store: store})
			defer a.Close()
			held := acquire(t, t.Context(), a)
			b := lease.New(lease.Config{Store: &doubtful{store, doubt}})
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if _, err := b.Acquire(ctx, duty, ttl); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, while another holds it: got %v, want %v", doubt, err, context.DeadlineExceeded)
			}
			if err := work(t.Context(), store, held); err != nil {
				t.Errorf("%s: work of the other: got %v, want nil", doubt, err)
			}
		})
	}
}
