package timer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

const (
	batchMax  = 256              // timers fired per walk
	parallel  = 8                // of them at a time; each waits for an fsync, which they share
	slack     = 2 * kv.TxTimeMax // how long before now a commit may still put a due time
	retryMin  = time.Second
	retryMax  = time.Minute
	acquireIn = time.Second // pause after an error of the store
)

// run runs all shards of a kind.
func run(ctx context.Context, cfg Config, kind string, fire Fire) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for n := range uint64(Shards) {
		all.Go(func() {
			s := &shard{cfg: cfg, kind: kind, n: n, fire: fire}
			if err := s.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); errors.Is(err, kv.ErrClosed) {
		return fmt.Errorf("timer %s: %w", kind, err)
	}
	return nil
}

// shard is one shard of one kind, and what its owner knows of it.
type shard struct {
	cfg  Config
	kind string
	n    uint64
	fire Fire

	lease  kv.Lease
	cursor []byte            // nothing is due before it, but for what is in failed
	swept  time.Time         // when a walk last began at the left edge
	failed map[string]*retry // due keys whose firing failed
}

type retry struct {
	at    time.Time
	pause time.Duration
}

// run owns the shard again and again. Its error is the end of the store.
func (s *shard) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.own(ctx)
		switch {
		case errors.Is(err, kv.ErrClosed):
			return err
		case err == nil, ctx.Err() != nil:
			continue
		}
		if !errors.Is(err, kv.ErrFenced) {
			s.cfg.Logger.Error("timer shard stopped", "kind", s.kind, "shard", s.n, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(acquireIn):
		}
	}
	return nil
}

// own acquires the shard and works until the lease is lost, ctx is done or the store fails.
func (s *shard) own(ctx context.Context) error {
	ctx, release := context.WithCancel(ctx)
	defer release()
	lease, err := s.cfg.Leases.Acquire(ctx, topic(s.kind, s.n), s.cfg.TTL)
	if err != nil {
		return err
	}
	defer func() { release(); <-lease.Lost() }()
	s.lease, s.failed, s.cursor, s.swept = lease, map[string]*retry{}, nil, time.Time{}
	hint, stop := s.cfg.Store.Wake(topic(s.kind, s.n))
	defer stop()
	for {
		wait, err := s.pass(ctx)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-lease.Lost():
			return nil
		case <-hint:
		case <-time.After(wait):
		}
	}
}

// pass fires what is due and says how long there is nothing to do.
func (s *shard) pass(ctx context.Context) (wait time.Duration, err error) {
	now := s.cfg.Store.Now()
	from := s.cursor
	if now.Sub(s.swept) >= s.cfg.Poll {
		from, s.swept = s.all().From, now
	}
	next := s.swept.Add(s.cfg.Poll)
	for more := true; more; {
		var keys [][]byte
		var first time.Time
		if keys, first, more, err = s.due(ctx, from, now); err != nil {
			return 0, err
		}
		if !first.IsZero() && first.Before(next) {
			next = first
		}
		if len(keys) > 0 {
			from = tuple.After(keys[len(keys)-1])
		}
		if err := s.fireAll(ctx, keys, now); err != nil {
			return 0, err
		}
	}
	s.cursor = dueFrom(s.kind, s.n, now.Add(-slack))
	if at, err := s.retryFailed(ctx, now); err != nil {
		return 0, err
	} else if at.Before(next) && !at.IsZero() {
		next = at
	}
	return max(0, next.Sub(s.cfg.Store.Now())), nil
}

// all is the range of the shard's due keys.
func (s *shard) all() kv.Range { return tuple.Prefix("rouse", "timer", s.kind, "due", s.n) }

// due walks from from: the keys that are due at now, at most batchMax, whether there may be more of them, and if not when
// the next is due, zero for none.
func (s *shard) due(ctx context.Context, from []byte, now time.Time) (keys [][]byte, next time.Time, more bool, err error) {
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		r := kv.Range{From: from, To: s.all().To}
		for p, err := range v.Scan(r, batchMax+1) {
			if err != nil {
				return err
			}
			due, _, ok := parseDue(p.Key)
			if !ok {
				return fmt.Errorf("timer: bad key %q", p.Key)
			}
			if due.After(now) {
				next = due
				return nil
			}
			if len(keys) == batchMax {
				more = true
				return nil
			}
			keys = append(keys, p.Key)
		}
		return nil
	})
	return keys, next, more, err
}

// fireAll fires keys side by side. Its error ends the ownership; timers that failed are noted in failed.
func (s *shard) fireAll(ctx context.Context, keys [][]byte, now time.Time) error {
	errs := make([]error, len(keys))
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, k := range keys {
		if s.failed[string(k)] != nil {
			continue // it has its own time
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = s.fireOne(ctx, k)
		})
	}
	all.Wait()
	for i, err := range errs {
		if err := s.note(ctx, keys[i], err, now); err != nil {
			return err
		}
	}
	return nil
}

// note keeps what has to be tried again, and passes on the errors that concern the whole shard.
func (s *shard) note(ctx context.Context, key []byte, err error, now time.Time) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || errors.Is(err, kv.ErrFenced) || errors.Is(err, kv.ErrClosed) {
		return err
	}
	r := s.failed[string(key)]
	if r == nil {
		r = &retry{}
		s.failed[string(key)] = r
	}
	r.pause = min(max(2*r.pause, retryMin), retryMax)
	r.at = now.Add(r.pause)
	s.cfg.Logger.Error("timer failed", "kind", s.kind, "shard", s.n, slog.String("key", fmt.Sprintf("%q", key)),
		"pause", r.pause, "err", err)
	return nil
}

// retryFailed fires what failed before and has waited long enough, and says when the next has, zero for none.
func (s *shard) retryFailed(ctx context.Context, now time.Time) (next time.Time, err error) {
	for k, r := range s.failed {
		if !r.at.After(now) {
			err := s.fireOne(ctx, []byte(k))
			if err == nil {
				delete(s.failed, k)
				continue
			}
			if err := s.note(ctx, []byte(k), err, now); err != nil {
				return time.Time{}, err
			}
		}
		if next.IsZero() || r.at.Before(next) {
			next = r.at
		}
	}
	return next, nil
}

// fireOne fires the timer behind a due key in one transaction. A key that is gone, or not the current one of its id, is
// done.
func (s *shard) fireOne(ctx context.Context, key []byte) error {
	due, id, _ := parseDue(key)
	return s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if err := s.lease.Guard(tx); err != nil {
			return err
		}
		payload, ok, err := tx.Get(key)
		if err != nil || !ok {
			return err
		}
		tx.Delete(key)
		at, ok, err := dueOf(tx, s.kind, id)
		if err != nil || !ok || !at.Equal(due) {
			return err
		}
		tx.Delete(idKey(s.kind, id))
		return s.fire(tx, id, payload)
	})
}
