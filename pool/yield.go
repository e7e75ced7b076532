package pool

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/sandbox"
)

// An attempt that has run for a second gives way to younger ones. From then on its sandbox counts for a tenth where processors
// are short; and while younger attempts run, it has no more processors than Lambda would give it, or a quarter of one if that is
// more, for the kernel's shares hold between sandboxes and not against the node, which all of them wait for. Requests that
// people wait for are over by then, so a function that computes for minutes, or never stops, costs its neighbours little; where
// it is alone it has what it had.
const (
	yieldAfter = time.Second
	yieldShare = 10   // percent
	yieldCPUs  = 0.25 // at least
)

// yielder lowers and restores what one instance has of the processors. The zero value does nothing.
type yielder struct {
	box   sandbox.Sandbox
	young *atomic.Int64 // attempts of all instances that have not run for yieldAfter
	full  float64       // processors of the instance
	less  float64       // the same while it gives way

	mu      sync.Mutex
	attempt int     // guarded by mu; the one that runs, counted
	old     bool    // guarded by mu; that one has run for yieldAfter
	cpus    float64 // guarded by mu; that it has now, once it is old
	timer   *time.Timer
}

// newYielder makes the one of an instance of v.
func (m *Maker) newYielder(box sandbox.Sandbox, v *catalog.Version) *yielder {
	full := limitsOf(v.MemoryMB, v.TmpMB).CPUs
	return &yielder{box: box, young: &m.young, full: full,
		less: min(full, max(yieldCPUs, sandbox.LambdaLimits(v.MemoryMB, v.TmpMB).CPUs))}
}

// begin starts an attempt; the returned function ends it. A driver that limits no processors has nothing to lower, and one that
// could not leaves them as they were.
func (y *yielder) begin() (end func()) {
	y.young.Add(1)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.attempt++
	attempt := y.attempt
	y.timer = time.AfterFunc(yieldAfter, func() { y.lower(attempt) })
	return y.end
}

// lower is called when the attempt becomes old, and each second of its further life.
func (y *yielder) lower(attempt int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.attempt != attempt {
		return
	}
	if !y.old {
		y.old = true
		y.young.Add(-1)
	}
	cpus := y.full
	if y.young.Load() > 0 {
		cpus = y.less
	}
	if cpus != y.cpus && y.box.Limit(sandbox.Limits{Share: yieldShare, CPUs: cpus}) == nil {
		y.cpus = cpus
	}
	y.timer.Reset(yieldAfter)
}

func (y *yielder) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.timer.Stop()
	y.attempt++
	if !y.old {
		y.young.Add(-1)
		return
	}
	if y.cpus != 0 {
		_ = y.box.Limit(sandbox.Limits{Share: 100, CPUs: y.full}) // or it has ended, or stays slow
	}
	y.old, y.cpus = false, 0
}
