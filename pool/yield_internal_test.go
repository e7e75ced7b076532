package pool

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
)

// shares is a sandbox that notes the shares it is given.
type shares struct {
	sandbox.Sandbox
	given []int
}

func (s *shares) Limit(l sandbox.Limits) error {
	s.given = append(s.given, l.Share)
	return nil
}

// TestLongAttemptsYield: an attempt of more than a second lowers its sandbox's share, for as long as it runs.
func TestLongAttemptsYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &shares{}
		y := yielder{box: box}
		for _, took := range []time.Duration{time.Millisecond, yieldAfter / 2, 3 * yieldAfter, time.Millisecond} {
			end := y.begin()
			time.Sleep(took) // of the bubble's clock
			synctest.Wait()
			end()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if want := []int{yieldShare, 100}; !slices.Equal(box.given, want) {
			t.Errorf("shares of four attempts, the third of them long: got %v, want %v", box.given, want)
		}
	})
}
