package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// attemptsMax is how often an Update is tried. From the second attempt on one fails only over keys that it had not
// touched before, so this many say that a transaction follows pointers which others move.
const attemptsMax = 64

// Update runs fn and commits.
func (s *Store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	j := newJob()
	j.run = func(t *tx) error { return fn(t) }
	verdict, err := s.alone(ctx, j)
	for n := 1; verdict == again && n < attemptsMax; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		verdict, err = s.queued(ctx, j)
	}
	if verdict == again {
		return kv.ErrConflict
	}
	return s.told(ctx, err)
}

// told is the error that a caller gets: its context's, if that is why the call ended.
func (s *Store) told(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, kv.ErrUnknown) {
		return err
	}
	if errors.Is(err, errLost) || errors.Is(err, errGivenUp) || errors.Is(err, errConnect) || code(err) == codeCanceled {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("kv: store away: %w", err)
	}
	if code(err) != "" {
		return fmt.Errorf("kv: %w", plainly(err))
	}
	return err
}

// verdict says how a try ended.
type verdict int

const (
	ended verdict = iota // with the answer of the call
	again                // nothing happened: the next try may do better
)

// alone is the first try: no locks before the commit, in the caller's own goroutine.
func (s *Store) alone(ctx context.Context, j *job) (verdict, error) {
	a := newAttempt(s.reader(ctx, s.writers), s.Now)
	a.hot = s.desk.heat.hot
	defer a.close()
	t := a.begin()
	err := t.end(j.run(t))
	j.learn(t)
	if errors.Is(err, errHot) || errors.Is(a.fail, errLost) && ctx.Err() == nil { // nothing happened
		return again, nil
	}
	if err != nil {
		return ended, err
	}
	a.take(t)
	if !t.writesAnything() {
		a.close()
		s.wakes.tell(t.topics)
		return ended, nil
	}
	culprit, err := s.commit(ctx, a)
	if errors.Is(err, errOvertaken) {
		s.desk.heat.add(culprit, t.touched())
		return again, nil
	}
	if errors.Is(err, errGivenUp) && ctx.Err() == nil || s.passing(err) {
		return again, nil
	}
	if err == nil {
		s.wakes.tell(a.topics)
	}
	return ended, err
}

// commit commits an attempt and, if its answer is lost, finds out. Until the server's answer is there ctx only makes it stop
// waiting for locks: what became of the commit is known, or asked for, in any case.
func (s *Store) commit(ctx context.Context, a *attempt) (culprit []byte, err error) {
	for a.c == nil { // it has not read anything
		c, stop, err := a.borrow()
		if err == nil {
			a.c, a.stop = c, stop
		} else if !a.again(err) {
			return nil, err
		}
	}
	a.stop()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.stop = a.c.patient(ctx, s.cancel)
	culprit, err = a.commit()
	c := a.c
	seq := c.seq + 1
	if err != nil && errors.Is(err, errLost) {
		a.close()
		err = s.resolve(ctx, c.slot, seq, err)
	} else {
		a.close()
	}
	return culprit, err
}

// resolve finds out what became of a commit whose answer was lost. nil: it is there. errGivenUp: it is not, and will not be.
func (s *Store) resolve(ctx context.Context, slot, seq int64, cause error) error {
	s.log.Debug("answer to a commit lost", "err", cause)
	wait := retryFirst
	for {
		outcome, err := s.ask(ctx, slot, seq)
		switch {
		case err == nil && outcome == 1:
			return nil
		case err == nil && outcome == 0:
			return fmt.Errorf("%w: %w", errGivenUp, cause)
		case err == nil:
			return fmt.Errorf("%w: its token is gone: %w", kv.ErrUnknown, cause)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w: %w", kv.ErrUnknown, ctx.Err(), cause)
		case <-s.gate.Closing():
			return fmt.Errorf("%w: %w: %w", kv.ErrUnknown, kv.ErrClosed, cause)
		case <-time.After(wait):
			wait = min(wait*2, retryMost)
		}
	}
}

// ask asks for the outcome of a commit.
func (s *Store) ask(ctx context.Context, slot, seq int64) (outcome int32, err error) {
	err = s.briefly(ctx, "resolve", []([]byte){int8b(slot), int8b(seq)}, func(v [][]byte) error {
		outcome = int32(uint32(number(v[0])))
		return nil
	})
	return outcome, err
}

// briefly runs one statement READ COMMITTED in a transaction of its own.
func (s *Store) briefly(ctx context.Context, name string, params [][]byte, each func([][]byte) error) error {
	c, err := s.writers.borrow(ctx)
	if err != nil {
		return err
	}
	defer s.writers.giveBack(c)
	defer c.watch(ctx, time.Now().Add(commitMax))()
	c.unwaited = false
	c.sync()
	c.send("begin")
	c.send(name, params...)
	c.send("commit")
	c.sync()
	err = c.flush()
	for _, f := range []func([][]byte) error{nil, each, nil} {
		if err == nil {
			err = c.result(f)
		}
	}
	if err == nil && c.unwaited {
		err = lost(errNoStandby)
	}
	if err != nil {
		c.dead = true
	}
	return err
}
