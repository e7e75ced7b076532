package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// doubtful is a store that commits and, while it is told to, answers that it does not know.
type doubtful struct {
	kv.Store
	answers atomic.Int32 // so many more in doubt
	with    error
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	err := d.Store.Update(ctx, fn)
	if err == nil && d.answers.Add(-1) >= 0 {
		return d.with
	}
	return err
}

// TestDoubt: what a commit moved whose answer was lost, or was taken for a failure, is not moved again.
func TestDoubt(t *testing.T) {
	for _, with := range []error{kv.ErrUnknown, errors.New("no answer")} {
		synctest.Test(t, func(t *testing.T) {
			store := &doubtful{Store: kvtest.Memory(t), with: with}
			box, stop := start(t, alone(store), queued)
			var want []string
			for i := range 50 {
				want = append(want, fmt.Sprint(i))
				send(t, store.Store, box, "source", "target", want[i])
				if i%10 == 5 {
					store.answers.Store(2)
				}
				time.Sleep(time.Duration(i%3) * time.Second)
			}
			time.Sleep(time.Minute)
			stop()
			if got := queue(t, store.Store, "target"); !slices.Equal(got, want) {
				t.Errorf("after %v: got %v, want each once, in order", with, got)
			}
		})
	}
}
