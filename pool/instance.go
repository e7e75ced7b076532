package pool

import (
	"container/list"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/sandbox"
)

// instance is a sandbox that has become one version of one function. The pool's fields belong to the pool's mutex, the
// rest to whoever it is lent to, except what mu guards.
type instance struct {
	set       *set
	place     *list.Element // in the pool's idle list; nil while busy
	idleSince time.Time

	box      sandbox.Sandbox
	guest    *guest.Guest
	endpoint net.Listener
	serving  sync.WaitGroup // the endpoint
	address  string
	lines    *lines
	release  func()
	renew    func(context.Context) (guest.Credentials, error)
	expires  time.Time // of the keys it has
	// keepsKeys is set when its process cannot be given newer keys: it goes before the ones it has expire.
	keepsKeys bool

	peak     int64 // bytes, highest seen
	oom      bool
	measured time.Time

	timer *time.Timer // the pool's; freezes it when idle for a while
	idle  atomic.Bool // set by the pool

	yield *yielder

	mu     sync.Mutex // held while it is frozen or thawed, which may take long: never taken with the pool's mutex held
	frozen bool       // guarded by mu
}

// charge is what the instance counts for in the pool's budget while it is busy.
func (in *instance) charge() int64 { return chargeOf(in.set.v) }

func chargeOf(v *catalog.Version) int64 { return int64(v.MemoryMB) << 20 }

func (in *instance) alive() bool { return !ended(in.box) }

// freezeAfter freezes the instance when it has been idle for d. The caller holds the pool's mutex.
func (in *instance) freezeAfter(d time.Duration) {
	in.idle.Store(true)
	if in.timer == nil {
		in.timer = time.AfterFunc(d, in.freeze)
		return
	}
	in.timer.Reset(d)
}

// freeze stops an instance that is still idle. A driver that cannot leaves it running, as its report says; one that got
// stuck in the middle of it goes back.
func (in *instance) freeze() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.idle.Load() || in.frozen {
		return
	}
	in.frozen = in.box.Freeze() == nil || in.box.Thaw() != nil
}

// thawLater marks the instance as busy; thaw, outside the pool's mutex, does the work. The caller holds the pool's mutex.
func (in *instance) thawLater() {
	in.idle.Store(false)
	in.timer.Stop()
}

// thaw lets a frozen instance go on. One that cannot is of no use.
func (in *instance) thaw() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.frozen {
		return nil
	}
	in.frozen = false
	return in.box.Thaw()
}

// expiring reports whether the keys run out soon.
func (in *instance) expiring() bool {
	return !in.expires.IsZero() && time.Until(in.expires) < credentialsRenewal
}

// refresh hands newer keys to an instance whose keys run out soon. It keeps the old ones when there are none.
func (in *instance) refresh(ctx context.Context) {
	if in.keepsKeys || !in.expiring() {
		return
	}
	if c, err := in.renew(ctx); err == nil {
		in.expires = c.Expires
		in.guest.Refresh(c)
	}
}

// measureEvery bounds how often a busy instance's memory is read: each reading is a few system calls.
const measureEvery = 50 * time.Millisecond

func (in *instance) worthAsking() bool { return time.Since(in.measured) > measureEvery }

// measure reads the highest use of memory so far.
func (in *instance) measure() {
	in.measured = time.Now()
	if in.box == nil {
		return
	}
	if s, err := in.box.Stats(); err == nil {
		in.peak = max(in.peak, s.MemoryPeakBytes)
		in.oom = in.oom || s.OOMKilled
	}
}

// outOfMemory reports whether its memory limit ended the instance.
func (in *instance) outOfMemory() bool { return in.oom || in.box.Exit().OOM }

// exited says how a process ended, in Lambda's words.
func exited(x sandbox.Exit) string {
	switch {
	case x.OOM || x.Signal == 9:
		return "signal: killed"
	case x.Signal != 0:
		return fmt.Sprintf("signal: %d", x.Signal)
	}
	return fmt.Sprintf("exit status %d", x.Code)
}

// close ends the instance and frees all it holds. Also for one that was only half made. Called once.
func (in *instance) close() {
	if in.box != nil {
		in.box.Kill()
	}
	if in.guest != nil {
		in.guest.Close()
	}
	if in.endpoint != nil {
		_ = in.endpoint.Close() // nothing was promised to who is gone
		in.serving.Wait()
	}
	if in.release != nil {
		in.release()
	}
}
