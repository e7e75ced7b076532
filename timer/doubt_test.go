package timer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// doubtful is a store that does not know the outcome of every third Update: in turns it was carried out or not.
type doubtful struct {
	kv.Store
	n atomic.Int64
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	n := d.n.Add(1)
	if n%6 == 0 {
		return kv.ErrUnknown
	}
	if err := d.Store.Update(ctx, fn); err != nil {
		return err
	}
	if n%6 == 3 {
		return kv.ErrUnknown
	}
	return nil
}

// TestDoubt: a timer fires once, also when nobody knew at first whether it had.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		timers, stop := start(t, &doubtful{Store: store}, func(tx kv.Tx, id, _ []byte) error { return note(tx, id) })
		begin := store.Now()
		const count = 300
		for i := range count {
			update(t, store, func(tx kv.Tx) error {
				timers.Set(tx, kind, fmt.Append(nil, i), begin.Add(time.Duration(i)*time.Second), nil)
				return nil
			})
		}
		time.Sleep(time.Hour)
		stop()
		got := fired(t, store)
		for i := range count {
			if n := len(got[fmt.Sprint(i)]); n != 1 {
				t.Errorf("timer %d fired %d times, want once", i, n)
			}
		}
	})
}
