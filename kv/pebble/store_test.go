package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/pebble"
)

func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := kvtest.Memory(t), t.Context()
		must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("a"), nil); tx.Set([]byte("b"), nil); return nil }))
		tooOld := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, kv.ErrTooOld) {
				t.Errorf("%s after %v: got %v, want ErrTooOld", what, kv.TxTimeMax, err)
			}
		}
		must(t, s.View(ctx, func(v kv.View) error {
			time.Sleep(kv.TxTimeMax)
			_, _, err := v.Get([]byte("a"))
			must(t, err)
			time.Sleep(time.Nanosecond)
			_, _, err = v.Get([]byte("a"))
			tooOld("Get", err)
			_, err = v.GetAll([][]byte{[]byte("a")})
			tooOld("GetAll", err)
			return nil
		}))
		must(t, s.View(ctx, func(v kv.View) error {
			var last error
			for _, err := range v.Scan(kv.Range{}, 0) {
				last = err
				time.Sleep(kv.TxTimeMax + 1)
			}
			tooOld("Scan", last)
			return nil
		}))
		tooOld("Update", s.Update(ctx, func(tx kv.Tx) error {
			tx.Set([]byte("c"), nil)
			time.Sleep(kv.TxTimeMax + 1)
			return nil
		}))
		tooOld("Update that reads", s.Update(ctx, func(tx kv.Tx) error {
			time.Sleep(kv.TxTimeMax + 1)
			tx.Get([]byte("a")) // overlooks the error
			tx.Set([]byte("c"), nil)
			return nil
		}))
		must(t, s.View(ctx, func(v kv.View) error {
			if _, ok, err := v.Get([]byte("c")); ok || err != nil {
				t.Errorf("write of an Update that was too old: got %v, %v, want none", ok, err)
			}
			return nil
		}))
	})
}

// TestQueue: those who wait for a locked key get it in order; one who leaves the queue, or panics, holds nobody up.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := kvtest.Memory(t), t.Context()
		// Each reads, lets another write slip in the first time, and so comes again with the key locked.
		var order []int
		locked := func(i int, then func()) func(tx kv.Tx) error {
			attempts := 0
			return func(tx kv.Tx) error {
				attempts++
				b, _, err := tx.Get([]byte("key"))
				tx.Set([]byte("key"), append(b, byte(i)))
				if attempts == 1 {
					must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("key"), nil); return nil }))
					return err
				}
				then()
				return err
			}
		}
		gate := make(chan bool)
		done := make(chan int, 10)
		go func() {
			must(t, s.Update(ctx, locked(0, func() { <-gate; order = append(order, 0) })))
			done <- 0
		}()
		synctest.Wait() // the first holds the lock
		leaving, leave := context.WithCancel(ctx)
		waiting := func(ctx context.Context, i int, then func()) {
			go func() {
				defer func() { recover(); done <- i }()
				err := s.Update(ctx, func(tx kv.Tx) error {
					b, _, err := tx.Get([]byte("key"))
					tx.Set([]byte("key"), append(b, byte(i)))
					then()
					return err
				})
				if i == 2 && !errors.Is(err, context.Canceled) {
					t.Errorf("Update that left the queue: got %v, want context.Canceled", err)
				}
			}()
			synctest.Wait()
		}
		var tries [5]atomic.Int64
		for i := 1; i < 5; i++ {
			c := ctx
			if i == 2 {
				c = leaving
			}
			waiting(c, i, func() {
				if tries[i].Add(1) == 1 {
					return // the first attempt holds nothing
				}
				order = append(order, i)
				if i == 3 {
					panic("in the queue")
				}
			})
		}
		leave()
		if got := <-done; got != 2 {
			t.Errorf("first to end: got %d, want 2, which left", got)
		}
		close(gate)
		for range 4 {
			<-done
		}
		if got, want := fmt.Sprint(order), "[0 1 3 4]"; got != want {
			t.Errorf("order: got %s, want %s", got, want)
		}
	})
}

func TestUseAfterTheFunction(t *testing.T) {
	s, ctx := kvtest.Memory(t), t.Context()
	var view kv.View
	var kept kv.Tx
	must(t, s.View(ctx, func(v kv.View) error { view = v; return nil }))
	must(t, s.Update(ctx, func(tx kv.Tx) error { kept = tx; return nil }))
	if _, _, err := view.Get(nil); err == nil {
		t.Error("Get of a View that is over: got nil, want an error")
	}
	if _, _, err := kept.Get(nil); err == nil {
		t.Error("Get of a transaction that is over: got nil, want an error")
	}
	for _, err := range view.Scan(kv.Range{}, 0) {
		if err == nil {
			t.Error("Scan of a View that is over: got a pair, want an error")
		}
	}
}

// TestLeavesNothingRunning: Close ends all that Open and the work have started.
func TestLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: vfs.NewMem()})
	must(t, err)
	for i := range 50 {
		must(t, s.Update(t.Context(), func(tx kv.Tx) error {
			tx.Set(fmt.Append(nil, i), make([]byte, 100_000))
			return nil
		}))
	}
	must(t, s.Close())
}

// TestManyRestarts: a folder that is opened and closed without work does not grow.
func TestManyRestarts(t *testing.T) {
	fs := vfs.NewMem()
	files := func() int {
		names, err := fs.List("store")
		must(t, err)
		return len(names)
	}
	var before int
	for i := range 30 {
		s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
		must(t, err)
		must(t, s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil }))
		must(t, s.Close())
		if i == 9 {
			before = files()
		}
	}
	if got := files(); got > before+8 {
		t.Errorf("files after 30 restarts: got %d, want about the %d of 10", got, before)
	}
}

// TestConflict: a transaction that meets another key each time, and loses each time, is told to try again later.
func TestConflict(t *testing.T) {
	s, ctx := kvtest.Memory(t), t.Context()
	attempts := 0
	err := s.Update(ctx, func(tx kv.Tx) error {
		attempts++
		tx.Set([]byte("trace"), nil)
		for n := 0; ; n++ {
			key := fmt.Appendf(nil, "key%d-%d", attempts, n)
			if _, _, err := tx.Get(key); err != nil {
				return err
			}
			// A key may by chance share a stripe with those that this attempt has locked, and so cannot be written now.
			soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			err := s.Update(soon, func(tx kv.Tx) error { tx.Set(key, nil); return nil })
			cancel()
			if err == nil {
				return nil
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
		}
	})
	if !errors.Is(err, kv.ErrConflict) || attempts < 10 {
		t.Errorf("Update that always loses: got %v after %d attempts, want ErrConflict after many", err, attempts)
	}
	must(t, s.View(ctx, func(v kv.View) error {
		if _, ok, err := v.Get([]byte("trace")); ok || err != nil {
			t.Errorf("write of an Update that lost: got %v, %v, want none", ok, err)
		}
		return nil
	}))
}

// TestManyClaimedRanges: more ranges than the store remembers the beginnings of.
func TestManyClaimedRanges(t *testing.T) {
	s, ctx := kvtest.Memory(t), t.Context()
	const ranges = 5000
	key := func(i, j int) []byte { return fmt.Appendf(nil, "%05d/%d", i, j) }
	for j := range 3 {
		for i := 0; i < ranges; i += 1000 {
			must(t, s.Update(ctx, func(tx kv.Tx) error {
				for k := range 1000 {
					tx.Set(key(i+k, 2-j), nil) // each time below what was claimed before
				}
				return nil
			}))
		}
		for i := range ranges {
			r := kv.Range{From: fmt.Appendf(nil, "%05d/", i), To: fmt.Appendf(nil, "%05d0", i)}
			got, err := s.Claim(ctx, r, 2, func(kv.Tx, []kv.Pair) error { return nil })
			if err != nil || len(got) != 1 || string(got[0].Key) != string(key(i, 2-j)) {
				t.Fatalf("Claim %d of range %d: got %q, %v, want %q", j, i, got, err, key(i, 2-j))
			}
		}
	}
}
