package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// group is jobs that share an attempt.
type group struct {
	jobs []*job
	want wants
}

// Bounds of a group: beyond them the next one begins.
const (
	groupJobs  = 256
	groupKeys  = kv.TxKeysMax / 4
	groupBytes = 4 << 20
	groupTime  = 100 * time.Millisecond // of its functions together
)

// tell answers the jobs.
func tell(jobs []*job, v verdict, err error) {
	for _, j := range jobs {
		j.result <- outcome{v, err}
	}
}

// serve runs a group: locks, functions in turn, commit. No caller's context bounds it, for it is the work of several; the
// times of a session do.
func (s *Store) serve(g *group) {
	ctx := context.Background()
	a := newAttempt(s.reader(ctx, s.writers), s.Now)
	var rest []*job
	defer func() { s.desk.release(g, rest) }()
	defer a.close()
	if err := s.lock(a, g); err != nil {
		v := ended
		if s.passing(err) {
			v = again
		}
		tell(g.jobs, v, err)
		return
	}
	var mine []*job
	if mine, rest = s.visits(a, g.jobs); len(mine) == 0 {
		a.unlock()
		return
	}
	culprit, err := s.commit(ctx, a)
	switch {
	case errors.Is(err, errOvertaken) || errors.Is(err, errGivenUp) || s.passing(err):
		s.desk.heat.add(culprit, g.want)
		tell(mine, again, nil)
	case err != nil:
		tell(mine, ended, err)
	default:
		s.wakes.tell(a.topics)
		for _, j := range mine {
			tell([]*job{j}, ended, j.said)
		}
	}
	if len(g.jobs) > 1 {
		s.desk.heat.keep(g.want)
	}
}

// lock brings a group's attempt to where its functions can run.
func (s *Store) lock(a *attempt, g *group) error {
	known := map[string]bool{}
	var keys [][]byte
	for _, j := range g.jobs {
		for k := range j.keys {
			if !known[k] && len(keys) < kv.TxKeysMax {
				known[k] = true
				keys = append(keys, []byte(k))
			}
		}
	}
	for {
		err := a.lock(g.want, keys)
		if err == nil {
			return nil
		}
		if a.c != nil {
			a.c.dead = true
			a.close()
			a.over = false
		}
		if !a.again(err) {
			return err
		}
	}
}

// visits lets the jobs' functions run, one after another. mine are those whose end is that of the commit; rest those that
// had no turn.
func (s *Store) visits(a *attempt, jobs []*job) (mine, rest []*job) {
	began := time.Now()
	for i, j := range jobs {
		if i > 0 && (time.Since(began) > groupTime || len(a.order)+len(a.read)+len(a.logs) > groupKeys || a.size > groupBytes) {
			return mine, jobs[i:]
		}
		t := a.begin()
		j.invited <- t
		err := <-j.ran
		j.learn(t)
		switch {
		case a.fail != nil && errors.Is(a.fail, errLost):
			tell(mine, again, nil) // nothing happened
			tell([]*job{j}, again, nil)
			return nil, jobs[i+1:]
		case t.dirty || err == nil && t.writesAnything():
			j.said = err
			if err == nil {
				a.take(t)
			}
			mine = append(mine, j)
		default:
			if err == nil {
				s.wakes.tell(t.topics)
			}
			tell([]*job{j}, ended, err)
		}
	}
	return mine, nil
}

// heat remembers which stripes were fought over a moment ago: whoever wants one goes to the desk at once.
type heat struct {
	until [stripeCount]atomic.Int64 // unix nanoseconds
}

// heatTime is how long a stripe is hot after it was last fought over.
const heatTime = 100 * time.Millisecond

func (h *heat) hot(stripe int32) bool {
	until := h.until[stripe].Load()
	return until != 0 && time.Now().UnixNano() < until
}

// add notes that culprit, if known, was changed by another while a try was under way that would have changed it as well.
func (h *heat) add(culprit []byte, touched wants) {
	if culprit == nil {
		return
	}
	if s := stripe(culprit); touched[s] {
		h.until[s].Store(time.Now().Add(heatTime).UnixNano())
	}
}

// keep keeps hot what is hot.
func (h *heat) keep(w wants) {
	for s, exclusive := range w {
		if exclusive && h.hot(s) {
			h.until[s].Store(time.Now().Add(heatTime).UnixNano())
		}
	}
}
