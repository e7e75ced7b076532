package guest

import (
	"context"
	"encoding/base64"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
)

// delivery is one invocation on its way through the Runtime API. Whoever reads the answer off a connection does not
// touch the sink: it hands each step to the goroutine of Invoke, so that nothing is written after that has returned.
type delivery struct {
	call *Call
	a    *answer

	steps   chan func()
	stepped chan struct{}
	gone    chan struct{} // closed when Invoke has returned
	done    chan ending

	mu       sync.Mutex
	answered bool // guarded by mu: somebody has begun to answer
}

// ending is how the program ended an invocation.
type ending struct {
	fe    *rouse.FunctionError
	state State
}

func newDelivery(c *Call, a *answer) *delivery {
	return &delivery{call: c, a: a, steps: make(chan func()), stepped: make(chan struct{}), gone: make(chan struct{}),
		done: make(chan ending, 1)}
}

// claim makes the caller the one who answers; false when somebody did or does.
func (d *delivery) claim() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	won := !d.answered
	d.answered = true
	return won
}

// do runs f in Invoke's goroutine and waits for it; it does nothing when Invoke has returned.
func (d *delivery) do(f func()) {
	select {
	case d.steps <- f:
		<-d.stepped
	case <-d.gone:
	}
}

// finish ends the invocation.
func (d *delivery) finish(fe *rouse.FunctionError, state State) { d.done <- ending{fe, state} }

// wait runs the steps until the invocation has ended. dead is closed when the guest's process has ended; drained then
// reports whether none of what it said is left unread. ok is false when there was no answer.
func (d *delivery) wait(ctx context.Context, dead <-chan struct{}, drained func() bool) (e ending, ok bool) {
	defer close(d.gone)
	var tick <-chan time.Time
	var died time.Time
	for {
		select {
		case f := <-d.steps:
			f()
			d.stepped <- struct{}{}
		case e := <-d.done:
			return e, true
		case <-ctx.Done():
			return ending{}, false
		case <-dead:
			dead, died = nil, time.Now()
			t := time.NewTicker(time.Millisecond)
			defer t.Stop()
			tick = t.C
		case <-tick:
			if heardOut(died, drained) {
				select {
				case e := <-d.done:
					return e, true
				default:
					return ending{}, false
				}
			}
		}
	}
}

// heardOut reports whether a program that died then has nothing more to say: its connections are read to their end, and
// there was time to accept the one that it may have made last.
func heardOut(died time.Time, drained func() bool) bool {
	since := time.Since(died)
	return since > lastWords || since > acceptGrace && drained()
}

// trailerError reads the error that ends a streamed answer, nil for none.
func (q *request) trailerError() *rouse.FunctionError {
	if q.errorType == "" && q.errorBody == "" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(q.errorBody)
	if err != nil {
		b = nil
	}
	return functionError(b, q.errorType)
}
