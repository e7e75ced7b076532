package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// desk is where Updates wait for their turn that lost a first try, or want keys that others want, too. Those that stand in
// each other's way run one after another on one attempt, each over what the ones before it wrote, and are committed together:
// a hot key costs a node one connection, and an fsync for many.
//
// Locks are those of stripes, granted first come first served; between nodes the server's own queues do the same.
type desk struct {
	heat heat
	run  func(*group)

	mu      sync.Mutex
	waiting []*job             // guarded by mu; first come first
	holders map[int32]*holding // guarded by mu: stripes that running groups hold
}

// holding is who holds a stripe: one group exclusively, or several shared.
type holding struct {
	exclusive *group
	shared    map[*group]bool
}

// job is one Update on its way.
type job struct {
	run  func(*tx) error
	want wants
	keys map[string]bool // to be read with the locks

	invited chan *tx     // its function's turn has come
	ran     chan error   // what the function answered
	result  chan outcome // buffer 1

	said error // what the function answered after it had read what is not committed yet
}

type outcome struct {
	verdict verdict
	err     error
}

func newJob() *job {
	return &job{want: wants{}, keys: map[string]bool{}, invited: make(chan *tx), ran: make(chan error), result: make(chan outcome, 1)}
}

// learn adds what a try has touched to what the next one locks and reads at once.
func (j *job) learn(t *tx) {
	for s, exclusive := range t.touched() {
		j.want.add(s, exclusive)
	}
	for k, read := range t.keys {
		if read {
			j.keys[k] = true
		}
	}
}

// unknownAfter is how long a caller whose context is done waits to hear what became of its commit.
const unknownAfter = 5 * time.Second

// queued is one more try, with locks before the snapshot. The function runs in the caller's goroutine, when its turn comes.
func (s *Store) queued(ctx context.Context, j *job) (verdict, error) {
	s.desk.enter(j)
	done := ctx.Done()
	var unknown <-chan time.Time
	for visited := false; ; {
		select {
		case t := <-j.invited:
			s.desk.visit(j, t)
			visited, done = true, ctx.Done()
		case o := <-j.result:
			return o.verdict, o.err
		case <-done:
			done = nil
			if visited {
				unknown = time.After(unknownAfter)
			} else if s.desk.leave(j) {
				return ended, ctx.Err()
			}
		case <-unknown:
			return ended, fmt.Errorf("%w: %w", kv.ErrUnknown, ctx.Err())
		}
	}
}

// visit runs the job's function. Whoever invited hears of the end even if the function panics.
func (d *desk) visit(j *job, t *tx) {
	answer := errors.New("the function did not return")
	defer func() { j.ran <- answer }()
	answer = t.end(j.run(t))
}

func (d *desk) enter(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, j)
	if !d.free(j.want) {
		return // nobody else can go on because of it
	}
	d.grant()
}

// leave takes a job out of the queue, and reports whether it still stood there.
func (d *desk) leave(j *job) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, j)
	if i < 0 {
		return false
	}
	d.waiting = slices.Delete(d.waiting, i, i+1)
	d.grant()
	return true
}

// release ends a group's hold; jobs of it that never had their turn stand first in the queue.
func (d *desk) release(g *group, rest []*job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range g.want {
		h := d.holders[s]
		if h.exclusive == g {
			h.exclusive = nil
		}
		delete(h.shared, g)
		if h.exclusive == nil && len(h.shared) == 0 {
			delete(d.holders, s)
		}
	}
	d.waiting = append(slices.Clone(rest), d.waiting...)
	d.grant()
}

// grant starts all groups that can start. The caller holds mu.
func (d *desk) grant() {
	var started []*group
	ahead := wants{} // of those who go on waiting
	left := d.waiting[:0]
	for _, j := range d.waiting {
		switch g := d.place(j, started); {
		case ahead.conflict(j.want):
			fallthrough
		case g == nil && !d.free(j.want):
			left = append(left, j)
			for s, exclusive := range j.want {
				ahead.add(s, exclusive)
			}
		case g == nil:
			g = &group{want: wants{}}
			started = append(started, g)
			fallthrough
		default:
			g.jobs = append(g.jobs, j)
			d.hold(g, j.want)
		}
	}
	clear(d.waiting[len(left):])
	d.waiting = left
	for _, g := range started {
		d.run(g)
	}
}

// place is the group, started a moment ago, that a job can join: the only one in its way. The caller holds mu.
func (d *desk) place(j *job, started []*group) *group {
	var in *group
	for s, exclusive := range j.want {
		h := d.holders[s]
		if h == nil {
			continue
		}
		for _, g := range h.against(exclusive) {
			if in != nil && in != g {
				return nil
			}
			in = g
		}
	}
	if in == nil || !slices.Contains(started, in) || len(in.jobs) >= groupJobs {
		return nil
	}
	return in
}

// against is who stands in the way of one more holder.
func (h *holding) against(exclusive bool) []*group {
	if h.exclusive != nil {
		return []*group{h.exclusive}
	}
	if !exclusive {
		return nil
	}
	all := make([]*group, 0, len(h.shared))
	for g := range h.shared {
		all = append(all, g)
	}
	return all
}

// free reports whether nobody stands in the way. The caller holds mu.
func (d *desk) free(w wants) bool {
	for s, exclusive := range w {
		if h := d.holders[s]; h != nil && len(h.against(exclusive)) > 0 {
			return false
		}
	}
	return true
}

// hold notes what a group holds. The caller holds mu and knows that nobody else stands in the way.
func (d *desk) hold(g *group, w wants) {
	for s, exclusive := range w {
		g.want.add(s, exclusive)
		h := d.holders[s]
		if h == nil {
			h = &holding{shared: map[*group]bool{}}
			d.holders[s] = h
		}
		if g.want[s] {
			h.exclusive = g
			delete(h.shared, g)
		} else {
			h.shared[g] = true
		}
	}
}

func (w wants) conflict(o wants) bool {
	for s, exclusive := range o {
		if was, ok := w[s]; ok && (was || exclusive) {
			return true
		}
	}
	return false
}
