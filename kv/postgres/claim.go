package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// claimMax is how many keys one Claim takes at most: each is a lock in the server's table.
const claimMax = 256

// claim is one call of Claim. What it held it tries to get again in the next attempt.
type claim struct {
	r     kv.Range
	limit int
	held  [][]byte
	j     *job
	pairs []kv.Pair
}

// Claim takes the first keys of r.
func (s *Store) Claim(ctx context.Context, r kv.Range, limit int, fn func(kv.Tx, []kv.Pair) error) ([]kv.Pair, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	if limit < 1 || r.To != nil && bytes.Compare(r.From, r.To) >= 0 {
		return nil, nil
	}
	k := &claim{r: r, limit: min(limit, claimMax), j: newJob()}
	for range attemptsMax {
		v, err := s.claimOnce(ctx, k, fn)
		if v == ended {
			if err != nil {
				return nil, s.told(ctx, err)
			}
			return k.pairs, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return nil, kv.ErrConflict
}

// claimOnce is one attempt: held keys, function, commit. Two Claims never hold one key: holding is a lock of the server's, kept by
// the session until the attempt ends.
func (s *Store) claimOnce(ctx context.Context, k *claim, fn func(kv.Tx, []kv.Pair) error) (verdict, error) {
	a := newAttempt(s.reader(ctx, s.writers), s.Now)
	defer a.close()
	for {
		err := a.claim(k)
		if err == nil {
			break
		}
		if a.c != nil {
			a.c.dead = true
			a.close()
			a.over = false
		}
		if s.passing(err) {
			return again, nil
		}
		if !a.again(err) {
			return ended, err
		}
	}
	if len(k.pairs) == 0 {
		a.unlock()
		return ended, nil
	}
	if !k.r.Reverse {
		s.marks.note(k.r.From, k.pairs[0].Key)
	}
	defer a.unlock() // if fn panics or fails
	t := a.begin()
	for _, p := range k.pairs {
		t.touch(p.Key, true)
		t.Delete(p.Key)
	}
	err := t.end(fn(t, clonePairs(k.pairs)))
	k.j.learn(t)
	if errors.Is(a.fail, errLost) && ctx.Err() == nil { // nothing happened
		return again, nil
	}
	if err != nil {
		return ended, err
	}
	a.take(t)
	_, err = s.commit(ctx, a)
	if errors.Is(err, errOvertaken) || errors.Is(err, errGivenUp) && ctx.Err() == nil || s.passing(err) {
		return again, nil
	}
	if err == nil {
		s.wakes.tell(a.topics)
	}
	return ended, err
}

func clonePairs(ps []kv.Pair) []kv.Pair {
	out := make([]kv.Pair, len(ps))
	for i, p := range ps {
		out[i] = kv.Pair{Key: bytes.Clone(p.Key), Value: append([]byte{}, p.Value...)}
	}
	return out
}

// claim takes a session, locks what an earlier attempt has touched, holds keys of the range, then takes the snapshot and reads
// them: one round trip.
func (a *attempt) claim(k *claim) error {
	c, stop, err := a.borrow()
	if err != nil {
		return err
	}
	a.c, a.stop, a.began, a.held = c, stop, time.Now(), k.j.want
	c.sync()
	c.locked = true
	c.net.SetDeadline(time.Now().Add(lockMax))
	if len(a.held) > 0 {
		c.send("lock", int4(c.class), int4s(a.held.codes()))
		c.sync()
	}
	to := k.r.To
	if to == nil {
		to = top()
	}
	c.send("begin")
	c.send("claim", int4(c.class), bytesOf(k.r.From), to, boolean(k.r.Reverse), int4(int32(k.limit)), array(oidBytea, k.held))
	c.send("commit")
	c.sync()
	c.send("claimed")
	err = c.flush()
	before := 3 // begin, claim, commit
	if len(a.held) > 0 {
		before++
	}
	for ; before > 0 && err == nil; before-- {
		err = c.result(nil)
	}
	k.pairs, k.held = nil, nil
	if err == nil {
		err = c.result(func(v [][]byte) error { k.add(a, v); return nil })
	}
	if err != nil {
		c.dead = true
		return err
	}
	a.began = time.Now()
	slices.SortFunc(k.pairs, func(x, y kv.Pair) int { return bytes.Compare(x.Key, y.Key) })
	if k.r.Reverse {
		slices.Reverse(k.pairs)
	}
	return nil
}

// add takes one key that is held.
func (k *claim) add(a *attempt, v [][]byte) {
	key := bytes.Clone(v[0])
	r := row{true, number(v[1]), append([]byte{}, v[2]...)}
	k.held = append(k.held, bytesOf(key))
	k.pairs = append(k.pairs, kv.Pair{Key: bytesOf(key), Value: r.value})
	a.base[string(key)], a.read[string(key)] = r, true
}
