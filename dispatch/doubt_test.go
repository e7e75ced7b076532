package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// doubtful is a store that does not know the outcome of Updates that doubt names by their number: 'y' was carried out, 'n' not.
type doubtful struct {
	kv.Store
	doubt atomic.Value // string; of the Updates that follow its being set
	n     atomic.Int32
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	what := byte('-')
	if doubt, _ := d.doubt.Load().(string); doubt != "" {
		if n := int(d.n.Add(1)); n <= len(doubt) {
			what = doubt[n-1]
		}
	}
	if what == 'n' {
		return kv.ErrUnknown
	}
	if err := d.Store.Update(ctx, fn); err != nil || what == '-' {
		return err
	}
	return kv.ErrUnknown
}

// View takes its time, or an event would be moved to where it is.
func (d *doubtful) View(ctx context.Context, fn func(kv.View) error) error {
	time.Sleep(5 * time.Millisecond)
	return d.Store.View(ctx, fn)
}

// TestDoubtfulMoves: an event whose moves nobody knows the outcome of is found again: it does not run again once it has
// succeeded, and loses no retry.
func TestDoubtfulMoves(t *testing.T) {
	long := func(rouse.Invocation) (rouse.Result, error) {
		time.Sleep(45 * time.Second)
		return ok(rouse.Invocation{})
	}
	for _, c := range []struct {
		name, doubt string // Updates: accepted, counted, moved after 10, 20, 30, 40 s, settled
		fn          func(rouse.Invocation) (rouse.Result, error)
		calls       []int // their attempts
	}{
		{"held", "--y", long, []int{1}},
		{"held, nothing moved", "--n", long, []int{1}},
		{"held, all in doubt", "--ynyn", long, []int{1}},
		{"held, none but the last", "--yyny", long, []int{1}},
		{"counted", "-y", fails, []int{1, 2, 3}},
		{"counted, nothing moved", "-n", fails, []int{1, 2, 3}},
		{"counted and moved on", "-y-y", fails, []int{1, 2, 3}},
		{"a retry set", "--y", fails, []int{1, 2, 3}},
		{"settled", "--y", ok, []int{1}},
	} {
		w := &world{functions: functions{"f": c.fn}}
		synctest.Test(t, func(t *testing.T) {
			store := &doubtful{Store: kvtest.Memory(t)}
			run(t, w.config(store), func(ctx context.Context, d *dispatch.Dispatcher) {
				store.doubt.Store(c.doubt)
				if err := d.Enqueue(ctx, event("f", "1")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
			})()
		})
		var got []int
		for _, call := range w.calls {
			got = append(got, call.inv.Attempt)
		}
		if !slices.Equal(got, c.calls) {
			t.Errorf("%s (%s): got attempts %v, want %v", c.name, c.doubt, got, c.calls)
		}
	}
}

// teller delivers to functions by the queue itself.
type teller struct{ d *dispatch.Dispatcher }

func (tl *teller) Deliver(ctx context.Context, _ rouse.Origin, target rouse.ARN, payload []byte) error {
	return tl.d.Enqueue(ctx, rouse.Invocation{ID: dispatch.NewID(), Function: target, Event: payload, Received: time.Now()})
}

// TestDestinationInDoubt: an event of which nobody knows whether its destination was told is not settled before somebody does.
func TestDestinationInDoubt(t *testing.T) {
	for _, doubt := range []error{kv.ErrUnknown, errors.New("no answer")} {
		w := &world{functions: functions{"f": fails, "sad": ok}}
		synctest.Test(t, func(t *testing.T) {
			store := &faulty{Store: kvtest.Memory(t)}
			cfg, tl := w.config(store), &teller{}
			cfg.Deliver = tl
			cfg.Policy = func(rouse.ARN) dispatch.Policy {
				return dispatch.Policy{MaxAge: time.Hour, OnFailure: arn("sad").String()}
			}
			var armed atomic.Bool
			var n atomic.Int32
			store.update = func() error {
				if armed.Load() && n.Add(1) == 3 { // accepted, counted, told
					return doubt
				}
				return nil
			}
			run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
				tl.d = d
				armed.Store(true)
				if err := d.Enqueue(ctx, event("f", "1")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
			})()
		})
		told := 0
		for _, call := range w.calls {
			if name, _, _ := call.inv.Function.FunctionName(); name == "sad" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("after %v: the destination was told %d times, want once", doubt, told)
		}
	}
}
