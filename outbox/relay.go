package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

const (
	batchMax  = 64                     // records read, and moved in one transaction if all goes well
	pauseMin  = 100 * time.Millisecond // between the tries of one record; doubled each time
	acquireIn = time.Second            // pause after an error of the store
	trimAfter = 1000                   // records moved since the last trim
	trimIdle  = 10 * time.Second       // or this long after the last of them
)

// run runs all shards.
func run(ctx context.Context, cfg Config, move func(kv.Tx, Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for n := range uint64(Shards) {
		all.Go(func() {
			r := &relay{cfg: cfg, shard: n, move: move}
			if err := r.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); errors.Is(err, kv.ErrClosed) {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// relay empties one shard.
type relay struct {
	cfg   Config
	shard uint64
	move  func(kv.Tx, Record) error

	lease    kv.Lease
	main     queue
	parked   queue
	parkedAt time.Time // when parked records are tried again; zero: there are none
}

// queue is one log of a shard, as its owner sees it.
type queue struct {
	name    string
	log     []byte
	cursor  kv.Pos // all up to here has been moved
	trimmed kv.Pos
	moved   int       // since the last trim
	last    time.Time // when the last one was
}

// run owns the shard again and again. Its error is the end of the store.
func (r *relay) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.own(ctx)
		switch {
		case errors.Is(err, kv.ErrClosed):
			return err
		case err == nil, ctx.Err() != nil:
			continue
		}
		if !errors.Is(err, kv.ErrFenced) {
			r.cfg.Logger.Error("outbox shard stopped", "shard", r.shard, "err", err)
		}
		pause(ctx, acquireIn)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// own acquires the shard and works until the lease is lost, ctx is done or the store fails.
func (r *relay) own(ctx context.Context) error {
	ctx, release := context.WithCancel(ctx)
	defer release()
	lease, err := r.cfg.Leases.Acquire(ctx, logOf(r.shard, mainLog), r.cfg.TTL)
	if err != nil {
		return err
	}
	defer func() { release(); <-lease.Lost() }()
	r.lease = lease
	if err := r.load(ctx); err != nil {
		return err
	}
	hint, stop := r.cfg.Store.Wake(logOf(r.shard, mainLog))
	defer stop()
	for {
		wait, err := r.pass(ctx)
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

// load reads where the owner before has stopped.
func (r *relay) load(ctx context.Context) error {
	r.main = queue{name: mainLog, log: logOf(r.shard, mainLog)}
	r.parked = queue{name: parkedLog, log: logOf(r.shard, parkedLog)}
	r.parkedAt = r.cfg.Store.Now()
	return r.cfg.Store.View(ctx, func(v kv.View) error {
		for _, q := range []*queue{&r.main, &r.parked} {
			b, _, err := v.Get(cursorOf(r.shard, q.name))
			if err != nil {
				return err
			}
			copy(q.cursor[:], b)
			q.trimmed = q.cursor
		}
		return nil
	})
}

// pass moves what there is and says how long there is nothing to do.
func (r *relay) pass(ctx context.Context) (wait time.Duration, err error) {
	for more := true; more; {
		if more, err = r.drain(ctx); err != nil {
			return 0, err
		}
	}
	if err := r.retryParked(ctx); err != nil {
		return 0, err
	}
	now := r.cfg.Store.Now()
	if err := r.trim(ctx, now); err != nil {
		return 0, err
	}
	wait = r.cfg.Poll
	if r.main.moved+r.parked.moved > 0 {
		wait = min(wait, trimIdle)
	}
	if !r.parkedAt.IsZero() {
		wait = min(wait, max(0, r.parkedAt.Sub(now)))
	}
	return wait, nil
}

// drain moves one batch and reports whether there may be more.
func (r *relay) drain(ctx context.Context) (more bool, err error) {
	entries, err := r.read(ctx, &r.main)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	if err := r.advance(ctx, &r.main, entries, r.move); err == nil {
		return true, r.trim(ctx, time.Time{})
	} else if r.fatal(ctx, err) {
		return false, err
	}
	for _, e := range entries {
		if err := r.moveOne(ctx, e); err != nil {
			return false, err
		}
	}
	return true, nil
}

// errMoved is the answer of a transaction that found the cursor elsewhere than its owner left it: one whose outcome nobody
// knew has been carried out after all.
var errMoved = errors.New("outbox: the cursor has moved")

// fatal reports whether err concerns the whole shard and not a record: then it is taken anew, from where the store says.
func (r *relay) fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, kv.ErrFenced) || errors.Is(err, kv.ErrClosed) ||
		errors.Is(err, kv.ErrUnknown) || errors.Is(err, errMoved)
}

func (r *relay) read(ctx context.Context, q *queue) ([]entry, error) {
	records, err := r.cfg.Store.Read(ctx, q.log, q.cursor, batchMax)
	if err != nil {
		return nil, err
	}
	entries, err := assemble(r.shard, records)
	if err != nil {
		return nil, fmt.Errorf("%w after position %x of %s", err, q.cursor, q.name)
	}
	return entries, nil
}

// advance moves entries of q and its cursor behind them, in one transaction.
func (r *relay) advance(ctx context.Context, q *queue, entries []entry, move func(kv.Tx, Record) error) error {
	to := entries[len(entries)-1].end
	err := r.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if err := r.lease.Guard(tx); err != nil {
			return err
		}
		var at kv.Pos
		b, _, err := tx.Get(cursorOf(r.shard, q.name))
		if err != nil {
			return err
		}
		if copy(at[:], b); at != q.cursor {
			return errMoved
		}
		for _, e := range entries {
			if err := move(tx, e.Record); err != nil {
				return err
			}
		}
		tx.Set(cursorOf(r.shard, q.name), to[:])
		return nil
	})
	if err != nil {
		return err
	}
	q.cursor, q.moved, q.last = to, q.moved+len(entries), r.cfg.Store.Now()
	return nil
}

// moveOne moves one record of the main log, or parks it.
func (r *relay) moveOne(ctx context.Context, e entry) error {
	wait := pauseMin
	for try := 1; ; try++ {
		err := r.advance(ctx, &r.main, []entry{e}, r.move)
		if err == nil || r.fatal(ctx, err) {
			return err
		}
		if try == Tries {
			r.cfg.Logger.Error("outbox record parked", "shard", r.shard, "id", e.ID, "target", e.Target, "err", err)
			r.parkedAt = r.cfg.Store.Now().Add(ParkedEvery)
			return r.advance(ctx, &r.main, []entry{e}, r.park)
		}
		pause(ctx, wait)
		wait *= 2
	}
}

// park appends the record to the end of the parked log.
func (r *relay) park(tx kv.Tx, rec Record) error {
	h := header{Source: rec.Source, Target: rec.Target, Cause: rec.Cause, ID: rec.ID}
	return appendRecord(tx, logOf(r.shard, parkedLog), h, rec.Payload)
}

// retryParked tries each parked record once, when their time has come. What fails goes to the end again.
func (r *relay) retryParked(ctx context.Context) error {
	if r.parkedAt.IsZero() || r.cfg.Store.Now().Before(r.parkedAt) {
		return nil
	}
	seen := map[string]bool{}
	for {
		entries, err := r.read(ctx, &r.parked)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if seen[e.ID] { // once round
				r.parkedAt = r.cfg.Store.Now().Add(ParkedEvery)
				return nil
			}
			seen[e.ID] = true
			err := r.advance(ctx, &r.parked, []entry{e}, r.move)
			if err == nil {
				continue
			}
			if r.fatal(ctx, err) {
				return err
			}
			if err := r.advance(ctx, &r.parked, []entry{e}, r.park); err != nil {
				return err
			}
		}
		if len(entries) == 0 {
			r.parkedAt = time.Time{}
			return nil
		}
	}
}

// trim deletes what has been moved: of a log that was idle for a while at now, or has gathered enough. Each trim costs a
// commit, so there are few.
func (r *relay) trim(ctx context.Context, now time.Time) error {
	for _, q := range []*queue{&r.main, &r.parked} {
		idle := !now.IsZero() && now.Sub(q.last) >= trimIdle
		if q.moved == 0 || q.moved < trimAfter && !idle || bytes.Equal(q.trimmed[:], q.cursor[:]) {
			continue
		}
		if err := r.cfg.Store.Trim(ctx, q.log, q.cursor); err != nil {
			return err
		}
		q.moved, q.trimmed = 0, q.cursor
	}
	return nil
}
