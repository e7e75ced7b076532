package pool

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
)

// shares is a sandbox that notes what it is given of processors.
type shares struct {
	sandbox.Sandbox
	given []string
}

func (s *shares) Limit(l sandbox.Limits) error {
	s.given = append(s.given, fmt.Sprint(l.Share, "% of ", l.CPUs))
	return nil
}

// TestLongAttemptsYield: an attempt of more than a second lowers its sandbox's share for as long as it runs, and its
// processors while younger ones run.
func TestLongAttemptsYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var young atomic.Int64
		box := &shares{}
		y := &yielder{box: box, young: &young, full: 1, less: 0.25}
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		want := func(when string, others int64, list ...string) {
			t.Helper()
			if got := fmt.Sprint(box.given); got != fmt.Sprint(list) || young.Load() != others {
				t.Errorf("%s: got %s and %d young attempts, want %v and %d", when, got, young.Load(), list, others)
			}
			box.given = nil
		}
		for _, took := range []time.Duration{time.Millisecond, yieldAfter / 2} {
			end := y.begin()
			pass(took)
			end()
		}
		want("two short attempts", 0)
		end := y.begin()
		pass(yieldAfter + time.Millisecond)
		want("a long one alone", 0, "10% of 1")
		young.Add(1) // a neighbour's
		pass(3 * yieldAfter)
		want("beside a young one", 1, "10% of 0.25")
		young.Add(-1)
		pass(yieldAfter)
		want("alone again", 0, "10% of 1")
		end()
		want("at its end", 0, "100% of 1")
		end = y.begin()
		pass(time.Millisecond)
		end()
		pass(time.Hour)
		want("a short one after it", 0)
	})
}
