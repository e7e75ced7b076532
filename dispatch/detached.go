package dispatch

import (
	"context"
	"errors"
	"sync"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

// detach makes an attempt whose caller may go before it has ended.
func (d *Dispatcher) detach(ctx context.Context, v *catalog.Version, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	type outcome struct {
		res rouse.Result
		err error
	}
	done := make(chan outcome, 1)
	s := &leavable{out: out}
	d.mu.Lock()
	d.detached++
	d.mu.Unlock()
	go func() { // waitDetached waits for it
		defer d.rejoin()
		res, err := d.attempt(ctx, v, inv, s)
		done <- outcome{res, err}
	}()
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
		s.leave()
		return rouse.Result{}, context.Cause(ctx)
	}
}

func (d *Dispatcher) rejoin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detached--
	d.ended.Broadcast()
}

func (d *Dispatcher) waitDetached() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.detached > 0 {
		d.ended.Wait()
	}
}

// leavable is a Sink whose owner can go: nothing reaches it after leave has returned.
type leavable struct {
	mu   sync.Mutex // held over a write: leave waits for one under way
	out  rouse.Sink // guarded by mu
	gone bool       // guarded by mu
}

var errGone = errors.New("dispatch: the caller has gone")

// Head passes the head on.
func (l *leavable) Head(h rouse.Head) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return errGone
	}
	return l.out.Head(h)
}

// Write passes a part of the body on.
func (l *leavable) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return 0, errGone
	}
	return l.out.Write(p)
}

func (l *leavable) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
}
