// Package pool decides which instance takes an attempt, and when instances start, freeze, stay and go.
//
// One instance runs one invocation at a time. The instances of one version of a function form a set:
//
//	           lend                        give back
//	idle ──────────────► busy ─────────────────────────► idle ──100 ms──► frozen ──keep-alive──► gone
//	  ▲                   │ timed out, exited, garbage            └ thawed when lent
//	  └── start ──────────┴────────────────────────────► gone
//
// A caller that finds nothing idle queues in its set. How many instances are started for a queue is decided by demand: one
// for each caller at first, and none where the queue moves faster than a start would take. Whatever comes first, an
// instance given back or one being started, takes the first in the queue; a start whose turn comes when the queue no longer
// asks for it is dropped. So a burst starts no more instances than it needs, a fast handler is not spread over more
// processes than there are cores to run them, and all finishes in order: starts pass a first-in first-out limiter of a few
// per core, because too many at once make all of them late.
//
// Memory is a budget. A busy instance counts with all its configured memory, an idle one with a quarter, since most of its
// pages are cold. What does not fit evicts the instances idle for longest, of any function; when that would not be enough the
// start waits, lets others pass, and after a while its caller gets Throttled.
//
// Processors are divided by the kernel, fairly between instances that are busy at once; an attempt that has run for a second
// counts for a tenth from then on (yield.go), so that one which computes for long, or for ever, slows few.
//
// Behind the sets lie spares (spare.go): empty sandboxes (level L1), and sandboxes in which the runtime of a memory class is
// up already (level L2). A start takes the best there is, and others are made in its place once it is over. Spares are bounded by
// their number, not by the budget: a few of each of the kinds used last.
//
// A set belongs to one revision of one version. When the function changes, idle instances of older revisions go at once
// and busy ones when they are done. Nothing here is durable: a node that dies takes its instances along.
//
// The pool decides with one mutex held for lines, never over I/O: demand.go says how many starts a queue is worth, start.go
// makes them. Making instances, the talk with their guests and the lines around an attempt are in maker.go, instance.go and
// attempt.go.
package pool

import (
	"container/list"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

// Config of a pool. Parts that a pool needs to make instances stand in Maker.
type Config struct {
	Maker       *Maker
	Current     func(*catalog.Version) bool // whether a version is still the one to run; nil: always
	MemoryBytes int64                       // budget of all instances, default three quarters of the machine
	Starts      int                         // instances started at once, default two per core
	KeepAlive   time.Duration               // how long an idle instance stays, default 10 minutes
	FreezeAfter time.Duration               // idle time before freezing, default 100 ms
	WaitMax     time.Duration               // how long a caller waits for memory, default 10 s
	Logger      *slog.Logger
}

// Pool is safe for concurrent use.
type Pool struct {
	cfg    Config
	starts chan struct{} // one token per start under way
	wg     sync.WaitGroup

	closing chan struct{} // closed by Close: starts end

	mu       sync.Mutex
	sets     map[revision]*set      // guarded by mu
	all      map[*instance]struct{} // guarded by mu; idle and busy
	idle     *list.List             // guarded by mu; *instance, idle for longest first
	starting int                    // guarded by mu; of all sets, retired ones included
	waiting  int                    // guarded by mu; the same of callers
	memory   int64                  // guarded by mu; what instances count for
	freed    chan struct{}          // guarded by mu; closed when memory is given up or an instance becomes idle; nil: nobody waits for that
	closed   bool                   // guarded by mu
}

// EgressTag is the tag of a function that says what it may reach of the public internet, as package sandbox/egress reads it.
const EgressTag = "rouse:egress"

// revision names a set: two revisions of $LATEST are two sets, and so are two policies of egress.
type revision struct {
	arn        rouse.ARN
	id, egress string
}

func revisionOf(v *catalog.Version) revision { return revision{v.ARN, v.RevisionID, v.Tags[EgressTag]} }

// set is the instances of one revision.
type set struct {
	v        *catalog.Version
	idle     []*instance // newest last: the one used last is lent first, so that the others can go
	waiting  []*ticket   // callers in order
	count    int         // instances of this set, starting ones included
	starting int
	retired  bool
	run      time.Duration // how long an attempt takes at best, lately; 0 before the first has ended
	boot     time.Duration // the same of a start
	moved    time.Time     // when the queue last became shorter
	watcher  *time.Timer
	watched  bool // watcher runs
}

// ticket is a caller's place in the queue of its set.
type ticket struct {
	got   chan grant // buffer 1
	since time.Time
}

// grant answers a ticket: an instance, or why there is none.
type grant struct {
	inst  *instance
	start startup
	err   error
}

// New makes a pool. Run must be called for idle instances to go; Close ends all.
func New(cfg Config) *Pool {
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = machineMemory() / 4 * 3
	}
	if cfg.Starts == 0 {
		cfg.Starts = 2 * runtime.NumCPU()
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 10 * time.Minute
	}
	if cfg.FreezeAfter == 0 {
		cfg.FreezeAfter = 100 * time.Millisecond
	}
	if cfg.WaitMax == 0 {
		cfg.WaitMax = 10 * time.Second
	}
	if cfg.Current == nil {
		cfg.Current = func(*catalog.Version) bool { return true }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pool{cfg: cfg, starts: make(chan struct{}, cfg.Starts), closing: make(chan struct{}), sets: map[revision]*set{},
		all: map[*instance]struct{}{}, idle: list.New()}
}

// lend finds an instance for one invocation of v: an idle one, or whichever comes first of one given back and one started.
func (p *Pool) lend(ctx context.Context, v *catalog.Version) (grant, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return grant{}, stopping()
	}
	s := p.set(v)
	if inst := p.popIdle(s); inst != nil {
		p.mu.Unlock()
		return grant{inst: inst}, nil
	}
	t := &ticket{got: make(chan grant, 1), since: time.Now()}
	s.waiting = append(s.waiting, t)
	p.waiting++
	p.scale(s)
	p.watch(s)
	p.mu.Unlock()

	select {
	case g := <-t.got:
		return g, g.err
	case <-ctx.Done():
		p.cancel(s, t)
		return grant{}, ctx.Err()
	}
}

func stopping() error { return rouse.Errorf(rouse.Unavailable, "the node is stopping") }

// set finds or makes the set of v. One that is current retires those of other revisions; a caller who found v just before
// it was replaced does not. The caller holds mu.
func (p *Pool) set(v *catalog.Version) *set {
	r := revisionOf(v)
	if s := p.sets[r]; s != nil {
		return s
	}
	if p.cfg.Current(v) {
		for other, s := range p.sets {
			if other.arn == r.arn {
				p.retire(other, s)
			}
		}
	}
	s := &set{v: v}
	p.sets[r] = s
	return s
}

// retire ends a set: idle instances now, busy ones when they come back. The caller holds mu.
func (p *Pool) retire(r revision, s *set) {
	s.retired = true
	delete(p.sets, r)
	for len(s.idle) > 0 {
		p.discardIdle(s.idle[0])
	}
}

// popIdle takes the newest idle instance that is alive. The caller holds mu.
func (p *Pool) popIdle(s *set) *instance {
	for n := len(s.idle); n > 0; n = len(s.idle) {
		inst := s.idle[n-1]
		p.unlist(inst)
		if inst.alive() {
			return inst
		}
		p.forget(inst)
	}
	return nil
}

// unlist takes an instance out of the idle lists; it counts as busy from now on. The caller holds mu.
func (p *Pool) unlist(inst *instance) {
	s := inst.set
	for i := len(s.idle) - 1; i >= 0; i-- {
		if s.idle[i] == inst {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			break
		}
	}
	p.idle.Remove(inst.place)
	inst.place = nil
	inst.thawLater()
	p.memory += inst.charge() - inst.charge()/idleShare
}

// discardIdle ends an idle instance. The caller holds mu.
func (p *Pool) discardIdle(inst *instance) {
	p.unlist(inst)
	p.forget(inst)
}

// forget takes an instance that is not idle out of the books and ends it in the background. The caller holds mu.
func (p *Pool) forget(inst *instance) {
	inst.set.count--
	p.memory -= inst.charge()
	delete(p.all, inst)
	p.signal()
	p.wg.Go(inst.close)
	p.scale(inst.set) // those who waited for it
}

// signal wakes those who wait for memory. The caller holds mu.
func (p *Pool) signal() {
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// wait returns what signal closes. The caller holds mu.
func (p *Pool) wait() <-chan struct{} {
	if p.freed == nil {
		p.freed = make(chan struct{})
	}
	return p.freed
}

// giveBack returns an instance after an attempt of some length. A broken one goes, and what its attempt took says nothing of
// how long others take.
func (p *Pool) giveBack(inst *instance, ran time.Duration, healthy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := inst.set
	if !healthy || !inst.alive() {
		p.forget(inst)
		return
	}
	s.run = lowest(s.run, ran)
	p.offer(s, grant{inst: inst})
}

// offer gives an instance to the first who waits, or makes it idle. The caller holds mu.
func (p *Pool) offer(s *set, g grant) {
	if len(s.waiting) > 0 {
		p.answer(s, g)
		return
	}
	if s.retired || p.closed {
		p.forget(g.inst)
		return
	}
	s.idle = append(s.idle, g.inst)
	g.inst.place = p.idle.PushBack(g.inst)
	g.inst.idleSince = time.Now()
	p.memory -= g.inst.charge() - g.inst.charge()/idleShare
	g.inst.freezeAfter(p.cfg.FreezeAfter)
	p.signal()
}

// cancel leaves the queue; what was granted meanwhile goes to the next.
func (p *Pool) cancel(s *set, t *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range s.waiting {
		if w == t {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			p.waiting--
			return
		}
	}
	switch g := <-t.got; {
	case g.inst == nil: // an error, which whoever comes next will meet
	case g.inst.alive():
		p.offer(s, g)
	default:
		p.forget(g.inst)
	}
}

// idleShare is the part of its memory that an idle instance counts with: one quarter.
const idleShare = 4

// Run lets idle instances go when their time is over or their version is, until ctx is done.
func (p *Pool) Run(ctx context.Context) error {
	tick := time.NewTicker(min(p.cfg.KeepAlive/4, 2*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			p.reap(now)
			p.cfg.Maker.settle(now)
		}
	}
}

// reap ends what is idle for too long, dead, about to be left with old keys, or of a version that is no longer current.
func (p *Pool) reap(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, s := range p.sets {
		if !p.cfg.Current(s.v) {
			p.retire(r, s)
		} else if s.count == 0 && len(s.waiting) == 0 {
			delete(p.sets, r)
		}
	}
	for e := p.idle.Front(); e != nil; {
		inst := e.Value.(*instance)
		e = e.Next()
		if now.Sub(inst.idleSince) > p.cfg.KeepAlive || !inst.alive() || inst.keepsKeys && inst.expiring() {
			p.discardIdle(inst)
		}
	}
}

// Close refuses who waits for an instance, ends every idle instance and every start, lets busy instances finish until ctx is
// done, ends the rest and waits for all to be gone. Attempts that begin later are refused.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	for r, s := range p.sets {
		p.retire(r, s)
		p.scale(s)
	}
	p.mu.Unlock()
	err := p.drain(ctx)
	p.mu.Lock()
	for inst := range p.all {
		p.wg.Go(inst.box.Kill) // its attempt sees it end, and gives it back
	}
	p.mu.Unlock()
	_ = p.drain(context.WithoutCancel(ctx))
	p.wg.Wait()
	p.cfg.Maker.close()
	return err
}

// drain waits until no instance is left or ctx is done.
func (p *Pool) drain(ctx context.Context) error {
	for {
		p.mu.Lock()
		n, freed := len(p.all), p.wait()
		p.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Warm makes what a first start of v needs ahead of it, in the background.
func (p *Pool) Warm(v *catalog.Version) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.cfg.Maker.warm(v)
	}
}

// Counts is how many instances there are.
type Counts struct {
	Idle, Busy, Starting int
	Waiting              int   // callers who wait for one
	MemoryBytes          int64 // what they count for in the budget
}

// Counts says how many instances there are now.
func (p *Pool) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{Idle: p.idle.Len(), Busy: len(p.all) - p.idle.Len(), Starting: p.starting, Waiting: p.waiting, MemoryBytes: p.memory}
}
