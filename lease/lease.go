// Package lease gives each duty one owner among all nodes: one shard of the outbox, one shard of the timers, one poller.
//
// # Two keys
//
// A duty has an owner key {holder, epoch} and a beat key {expires}:
//
//	free ──Acquire: owner = me, epoch+1; beat = now+ttl──▶ held
//	 ▲                                                      │ every ttl/3: beat = now+ttl
//	 │ released: beat deleted                               │
//	 └──────── or now ≥ beat.expires by the store's clock ◀─┘
//
// The owner key changes only at a take-over. Guard reads it inside the owner's transaction, so that the store validates
// it at commit: an owner that was taken over cannot commit anything any more, however long it slept and whatever its own
// clock says. That is the whole of fencing; the times only decide how soon somebody else may try. Renewing writes the
// beat alone and so never conflicts with the owner's work.
//
// # Alone
//
// A store that belongs to one process (Pebble's folder is locked) needs no beats: whatever is held by another holder was
// left by a process that is gone. With Config.Alone a lease of another holder is taken at once, so that a restart after
// a crash waits for nothing, and nothing is renewed, so that an idle node writes nothing. Epochs still count, and a duty
// still has one owner at a time within the process.
//
// # What it leaves to others
//
// Which duties there are, how they are spread over nodes, and to stop working when Lost is closed: work that goes on is
// fenced, but useless.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Config says whose leases these are.
type Config struct {
	Store  kv.Store
	Holder string // names this process, for people; "" is fine. A random part is added
	Alone  bool   // the store is used by this process only, and by one Leases
}

// TTLMin and TTLMax bound the time to live of a lease.
const (
	TTLMin = 100 * time.Millisecond
	TTLMax = time.Hour
)

// retryMax is the longest wait between two looks at a duty that somebody else holds.
const retryMax = time.Second

// Leases acquires duties for one holder. Safe for concurrent use.
type Leases struct {
	store  kv.Store
	holder string
	alone  bool

	closed chan struct{}

	mu      sync.Mutex
	closing bool           // guarded by mu
	keepers sync.WaitGroup // added to under mu, and not any more once closing
}

var _ kv.Leases = (*Leases)(nil)

// New makes the leases of one process. Close it after all that it was lent to has ended.
func New(cfg Config) *Leases {
	return &Leases{store: cfg.Store, holder: cfg.Holder + "#" + rand.Text(), alone: cfg.Alone, closed: make(chan struct{})}
}

// Close releases all leases and waits until that is done.
func (l *Leases) Close() error {
	l.mu.Lock()
	if !l.closing {
		l.closing = true
		close(l.closed)
	}
	l.mu.Unlock()
	l.keepers.Wait()
	return nil
}

// start begins to keep a lease, and reports whether it did.
func (l *Leases) start(ctx context.Context, held *Lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.keepers.Go(func() { held.keep(ctx) })
	return true
}

// owner and beat are the values of the two keys.
type owner struct {
	Holder string `json:"holder"`
	Epoch  uint64 `json:"epoch"`
	Call   string `json:"call,omitempty"` // of Acquire that took it
}

type beat struct {
	Expires time.Time `json:"expires"`
}

func ownerKey(duty []byte) []byte { return tuple.Key("rouse", "lease", duty, "owner") }
func beatKey(duty []byte) []byte  { return tuple.Key("rouse", "lease", duty, "beat") }

// Acquire waits until duty is free, takes it, and keeps it until ctx is done, which releases it.
func (l *Leases) Acquire(ctx context.Context, duty []byte, ttl time.Duration) (kv.Lease, error) {
	if ttl < TTLMin || ttl > TTLMax {
		return nil, fmt.Errorf("lease: time to live of %v; want %v to %v", ttl, TTLMin, TTLMax)
	}
	hint, stop := l.store.Wake(beatKey(duty))
	defer stop()
	call := rand.Text()
	for {
		held, wait, err := l.try(ctx, duty, ttl, call)
		switch {
		case errors.Is(err, kv.ErrConflict), errors.Is(err, kv.ErrUnknown) && !errors.Is(err, kv.ErrClosed):
			wait = retryMax / 10
		case err != nil:
			return nil, fmt.Errorf("acquire lease: %w", err)
		case held != nil && l.start(ctx, held):
			return held, nil
		case held != nil:
			held.release(ctx)
			return nil, kv.ErrClosed
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.closed:
			return nil, kv.ErrClosed
		case <-hint:
		case <-time.After(min(wait, retryMax)):
		}
	}
}

// try takes the duty if it is free, else says for how long it is not.
func (l *Leases) try(ctx context.Context, duty []byte, ttl time.Duration, call string) (held *Lease, wait time.Duration, err error) {
	err = l.store.Update(ctx, func(tx kv.Tx) error {
		held, wait = nil, 0
		var o owner
		var b beat
		was, err := read(tx, ownerKey(duty), &o)
		if err != nil {
			return err
		}
		beats, err := read(tx, beatKey(duty), &b)
		if err != nil {
			return err
		}
		now := tx.Now()
		left := l.alone && o.Holder != l.holder // by a process that is gone
		left = left || o.Call == call           // by an earlier try, of which nobody knew that it took the duty
		if was && beats && !left && now.Before(b.Expires) {
			wait = b.Expires.Sub(now)
			return nil
		}
		held = &Lease{leases: l, duty: duty, ttl: ttl, epoch: o.Epoch + 1, expires: now.Add(ttl), lost: make(chan struct{})}
		if l.alone {
			held.expires = forever
		}
		return errors.Join(write(tx, ownerKey(duty), owner{l.holder, held.epoch, call}), write(tx, beatKey(duty), beat{held.expires}))
	})
	return held, wait, err
}

// forever is when a lease expires that nobody else can take.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Lease is a duty held. Safe for concurrent use.
type Lease struct {
	leases *Leases
	duty   []byte
	ttl    time.Duration
	epoch  uint64
	lost   chan struct{}

	expires time.Time // the keeper's alone, once it runs
}

// Epoch counts the owners of the duty; this one's is higher than all before.
func (l *Lease) Epoch() uint64 { return l.epoch }

// Lost is closed when the duty is not held any more: taken over, not renewed in time, or released.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Guard returns kv.ErrFenced if the duty has another owner by now. It must be called in every transaction of the duty.
func (l *Lease) Guard(tx kv.Tx) error {
	var o owner
	if _, err := read(tx, ownerKey(l.duty), &o); err != nil {
		return err
	}
	if o.Epoch != l.epoch || o.Holder != l.leases.holder {
		return kv.ErrFenced
	}
	return nil
}

// keep renews the lease until it is lost, or ctx is done and it is released.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.lost)
	var next <-chan time.Time
	if !l.leases.alone {
		t := time.NewTicker(l.ttl / 3)
		defer t.Stop()
		next = t.C
	}
	for {
		select {
		case <-next:
			if !l.renew(ctx) {
				return
			}
			continue
		case <-ctx.Done():
		case <-l.leases.closed:
		}
		l.release(ctx)
		return
	}
}

// renew moves the beat on and reports whether the duty is still held. An error of the store is no loss before the time.
func (l *Lease) renew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.ttl/3)
	defer cancel()
	var expires time.Time
	err := l.leases.store.Update(ctx, func(tx kv.Tx) error {
		if err := l.Guard(tx); err != nil {
			return err
		}
		expires = tx.Now().Add(l.ttl)
		return write(tx, beatKey(l.duty), beat{expires})
	})
	switch {
	case err == nil:
		l.expires = expires
		return true
	case errors.Is(err, kv.ErrFenced), errors.Is(err, kv.ErrClosed):
		return false
	}
	return l.leases.store.Now().Before(l.expires)
}

// release lets others have the duty at once. If it does not succeed they wait for the beat.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/3)
	defer cancel()
	_ = l.leases.store.Update(ctx, func(tx kv.Tx) error {
		if err := l.Guard(tx); err != nil {
			return err
		}
		tx.Delete(beatKey(l.duty))
		tx.Wake(beatKey(l.duty))
		return nil
	})
}

func read(tx kv.Tx, key []byte, v any) (ok bool, err error) {
	b, ok, err := tx.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("lease: read %q: %w", key, err)
	}
	return true, nil
}

func write(tx kv.Tx, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tx.Set(key, b)
	return nil
}
