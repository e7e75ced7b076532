package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// holding keeps an entry out of sight of others while it is worked on.
type holding struct {
	d    *Dispatcher
	stop context.CancelFunc
	done chan struct{}

	mu sync.Mutex // held over the move: there is one mover and one worker
	e  entry      // guarded by mu
}

// hold starts moving e on; release ends it.
func (d *Dispatcher) hold(ctx context.Context, e entry) *holding {
	ctx, stop := context.WithCancel(ctx)
	h := &holding{d: d, stop: stop, done: make(chan struct{}), e: e}
	go h.run(ctx)
	return h
}

func (h *holding) run(ctx context.Context) {
	defer close(h.done)
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.set(ctx, h.entry()); err != nil && ctx.Err() == nil {
			h.d.cfg.Logger.Error("async queue: hold", "inv", h.e.ID, "err", err)
		}
	}
}

func (h *holding) entry() entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.e
}

// set stores e, held for another while. kv.ErrFenced means that another worker has taken it.
func (h *holding) set(ctx context.Context, e entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Due = h.d.cfg.Store.Now().Add(holdFor)
	held, err := h.d.move(ctx, h.e, e)
	if err != nil {
		return err
	}
	if !held {
		return kv.ErrFenced
	}
	h.e = e
	return nil
}

// release stops moving and returns the entry as it is stored.
func (h *holding) release() entry {
	h.stop()
	<-h.done
	return h.entry()
}
