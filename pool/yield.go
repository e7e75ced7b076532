package pool

import (
	"sync"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
)

// An attempt that has run for a second gives way to younger ones: from then on its sandbox counts for a tenth where
// processors are short. Requests that people wait for are over by then, so a function that computes for minutes, or never
// stops, costs its neighbours little; where processors are idle it has them as before.
const (
	yieldAfter = time.Second
	yieldShare = 10 // percent
)

// yielder lowers and restores the share of one instance.
type yielder struct {
	box sandbox.Sandbox

	mu      sync.Mutex
	attempt int  // guarded by mu; the one that runs, counted
	low     bool // guarded by mu
}

// begin starts an attempt's second; the returned function ends the attempt. A driver that limits no processors has nothing
// to lower, and one that could not lower a share leaves it as it was.
func (y *yielder) begin() (end func()) {
	y.mu.Lock()
	y.attempt++
	attempt := y.attempt
	y.mu.Unlock()
	timer := time.AfterFunc(yieldAfter, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		if y.attempt == attempt {
			y.low = y.box.Limit(sandbox.Limits{Share: yieldShare}) == nil
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		y.attempt++
		if y.low {
			_ = y.box.Limit(sandbox.Limits{Share: 100}) // it has ended, or keeps a low share: slow, not wrong
			y.low = false
		}
	}
}
