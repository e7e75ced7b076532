package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// holding keeps an entry out of sight of others while it is worked on.
type holding struct {
	d    *Dispatcher
	id   string
	stop context.CancelFunc
	done chan struct{}

	mu sync.Mutex // held over the move: there is one mover and one worker
	e  entry      // guarded by mu
}

// hold starts moving e on; release ends it.
func (d *Dispatcher) hold(ctx context.Context, e entry) *holding {
	ctx, stop := context.WithCancel(ctx)
	h := &holding{d: d, id: e.ID, stop: stop, done: make(chan struct{}), e: e}
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
		if err := h.move(ctx, func(*entry) {}); err != nil {
			h.d.cfg.Logger.Error("async queue: hold", "inv", h.id, "err", err)
		}
	}
}

func (h *holding) entry() entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.e
}

// move stores the entry as change leaves it, held for another while. kv.ErrFenced means that another worker has taken it. A
// move is not cut off when its context ends. Where nobody knows all the same whether it was made, the entry is looked for in
// both places from then on: else it would not be found again, and run again though it has succeeded.
func (h *holding) move(ctx context.Context, change func(*entry)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdFor)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.e
	change(&e)
	e.Due, e.doubts = h.d.cfg.Store.Now().Add(holdFor), nil
	held, err := h.d.move(ctx, h.e, e)
	if errors.Is(err, kv.ErrUnknown) {
		h.e.doubts = append(slices.Clip(h.e.doubts), e.Due)
	}
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
