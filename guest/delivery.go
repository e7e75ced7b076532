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
	done    chan *rouse.FunctionError

	mu       sync.Mutex
	answered bool // guarded by mu: somebody has begun to answer
}

func newDelivery(c *Call, a *answer) *delivery {
	return &delivery{call: c, a: a, steps: make(chan func()), stepped: make(chan struct{}), gone: make(chan struct{}),
		done: make(chan *rouse.FunctionError, 1)}
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
func (d *delivery) finish(fe *rouse.FunctionError) { d.done <- fe }

// wait runs the steps until the invocation has ended. dead is closed when the guest's process has ended; drained then
// reports whether none of what it said is left unread. ok is false when there was no answer.
func (d *delivery) wait(ctx context.Context, dead <-chan struct{}, drained func() bool) (fe *rouse.FunctionError, ok bool) {
	defer close(d.gone)
	var tick <-chan time.Time
	var last time.Time
	for {
		select {
		case f := <-d.steps:
			f()
			d.stepped <- struct{}{}
		case fe := <-d.done:
			return fe, true
		case <-ctx.Done():
			return nil, false
		case <-dead:
			dead, last = nil, time.Now().Add(lastWords)
			t := time.NewTicker(time.Millisecond)
			defer t.Stop()
			tick = t.C
		case <-tick:
			if drained() || time.Now().After(last) {
				select {
				case fe := <-d.done:
					return fe, true
				default:
					return nil, false
				}
			}
		}
	}
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
