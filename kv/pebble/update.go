package pebble

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rouse-dev/rouse/kv"
)

// attemptsMax is how often an Update is tried. From the second attempt on one fails only over keys that it had not
// touched before, so this many say that a transaction follows pointers which others move.
const attemptsMax = 64

// errAgain is what fn answers that found its snapshot overtaken: nothing is lost, and a fresh one may do.
var errAgain = errors.New("kv: snapshot overtaken")

// Update runs fn and commits.
func (s *Store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.update(ctx, func(t *tx) error { return fn(t) })
}

func (s *Store) update(ctx context.Context, fn func(*tx) error) error {
	h := &holding{stripes: &s.stripes, want: map[uint64]bool{}, held: map[uint64]bool{}}
	for lost := 0; lost < attemptsMax; {
		v, err := s.attempt(ctx, h, fn)
		switch v {
		case ended:
			return err
		case conflicted:
			lost++
		case overtaken:
			runtime.Gosched()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return kv.ErrConflict
}

// verdict says how an attempt ended.
type verdict int

const (
	ended      verdict = iota // with the answer of the call
	conflicted                // it lost against another commit
	overtaken                 // it answered errAgain
)

// attempt runs fn once over a snapshot and commits.
func (s *Store) attempt(ctx context.Context, h *holding, fn func(*tx) error) (verdict, error) {
	defer h.release()
	if len(h.want) > 0 {
		if err := h.lockWanted(ctx, s.dead); err != nil {
			return ended, err
		}
		// A commit that found the stripes open a moment ago is over when it lets go of the commit lock.
		s.mu.Lock()
		s.mu.Unlock() //nolint:staticcheck // to have had it is the point
	}
	t := s.begin()
	defer t.close()
	err := fn(t)
	if err == nil {
		err = t.err
	}
	if err == nil {
		err = t.check()
	}
	if errors.Is(err, errAgain) {
		return overtaken, nil
	}
	if err != nil || !t.writesAnything() {
		t.close()
		h.release()
		return ended, s.answer(ctx, t, err)
	}
	c, err := s.commit(t, h)
	if err != nil {
		return ended, err
	}
	if c == nil {
		h.learn(t.touched())
		return conflicted, nil
	}
	t.close()
	h.release()
	return ended, s.finish(c, t)
}

// answer ends an attempt that has nothing to commit. Its error, or a value that fn has put somewhere, may follow from
// what it read, so that has to be on disk.
func (s *Store) answer(ctx context.Context, t *tx, err error) error {
	if werr := s.durable.wait(ctx, t.need); werr != nil {
		return werr
	}
	if err == nil {
		s.wakes.hint(t.topics)
	}
	return err
}

// committed is a commit between its application and its fsync.
type committed struct {
	number uint64
	batch  *pebble.Batch
}

// commit validates t and applies its writes; nil without an error means that it is not valid any more.
func (s *Store) commit(t *tx, h *holding) (*committed, error) {
	b := s.db.NewBatch()
	for _, w := range t.writes {
		if err := addWrite(b, w); err != nil {
			return nil, errors.Join(s.mend(err), b.Close())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if err := t.check(); err != nil { // again: the wait for the lock may have been long
		return nil, errors.Join(err, b.Close())
	}
	if !t.valid(h) {
		return nil, b.Close()
	}
	n := s.started.Load() + 1
	for i, r := range t.logs {
		if err := b.Set(logKey(r.log, s.position(n, uint64(i))), r.value, nil); err != nil {
			return nil, errors.Join(s.mend(err), b.Close())
		}
	}
	if err := s.apply(n, b, t.writes); err != nil {
		return nil, err
	}
	return &committed{n, b}, nil
}

// apply makes the batch of commit n visible. The caller holds mu. After an error the outcome is unknown.
func (s *Store) apply(n uint64, b *pebble.Batch, writes []write) error {
	if err := s.reserve(n, b); err != nil {
		return errors.Join(s.mend(err), b.Close())
	}
	s.started.Store(n)
	for _, w := range writes {
		s.stripes.wrote(w.hash, n)
	}
	s.durable.begin(n, writes)
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		s.fail(err)
		return s.unknown()
	}
	s.marks.lower(writes)
	s.published.Store(n)
	return nil
}

// reserveCommits is how many commit numbers a restart may skip.
const reserveCommits = 1 << 16

// reserve adds to b what a restart must not fall below: numbers that this process may have used and times that it may
// have told. The caller holds mu. Written with the first commit that needs it, it is durable as soon as that commit is.
func (s *Store) reserve(n uint64, b *pebble.Batch) error {
	now := s.clock.now()
	if n <= s.reservedTo && !now.After(s.reservedUntil) {
		return nil
	}
	if n > s.reservedTo {
		s.reservedTo = n + reserveCommits
	}
	s.reservedUntil = now.Add(reserveAhead)
	return b.Set(keyReserved, reserved(s.reservedTo, s.reservedUntil), nil)
}

// finish waits for the fsync of c, whatever became of the caller's context: only then is the outcome known.
func (s *Store) finish(c *committed, t *tx) error {
	s.outdate()
	err := c.batch.SyncWait()
	if err != nil {
		s.fail(err)
	}
	if s.broken() != nil {
		return s.unknown()
	}
	s.durable.settle(c.number)
	s.wakes.hint(t.topics)
	return s.mend(c.batch.Close())
}

// unknown is the answer of a call whose commit the failing disk may or may not have kept.
func (s *Store) unknown() error { return fmt.Errorf("%w: %w", kv.ErrUnknown, s.broken()) }

func addWrite(b *pebble.Batch, w write) error {
	if w.delete {
		return b.Delete(userKey([]byte(w.key)), nil)
	}
	d := b.SetDeferred(1+len(w.key), len(w.value))
	d.Key[0] = kindKey
	copy(d.Key[1:], w.key)
	copy(d.Value, w.value)
	return d.Finish()
}
