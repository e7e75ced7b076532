package pool

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
)

// What is done for a version before anybody calls it: its code is unpacked, it is read off the code whether it will load the
// AWS SDK, spares of its kind are made, and then its files are compiled. One after the other, in the background: nobody waits
// for it.

const (
	aheadMax       = 8192        // jobs in the queue; a version beyond it is met at its first start
	againMax       = 64          // the same, for a version that has started without
	likesMax       = 4096        // versions whose like is remembered
	prepareTimeout = time.Minute // of one job
)

// job is something to do for a version.
type job struct {
	v       *catalog.Version
	compile bool // else all that goes before
}

// like is what was read off a version's code.
type like struct{ code, handler string }

// warm does in the background what v's first start would have to.
func (m *Maker) warm(v *catalog.Version) { m.enqueue(job{v: v}, aheadMax) }

// enqueue puts a job into the queue if that is shorter than most.
func (m *Maker) enqueue(j job, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || len(m.queue) >= most {
		return
	}
	m.queue = append(m.queue, j)
	if len(m.queue) > 1 {
		return // work goes on until it is empty
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	m.filler.Go(func() {
		defer cancel()
		m.work(ctx)
	})
}

// work serves the queue until it is empty. A job is in it until it is done.
func (m *Maker) work(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 && !m.ended {
		j := m.queue[0]
		m.mu.Unlock()
		m.prepare(ctx, j)
		m.mu.Lock()
		m.queue = m.queue[1:]
	}
}

// prepare does one job. What cannot be had is told at the version's first start.
func (m *Maker) prepare(ctx context.Context, j job) {
	rt, err := m.Runtime(j.v)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	code, err := m.Code(ctx, j.v)
	if err != nil {
		return
	}
	defer code.Release()
	if j.compile {
		m.compile(ctx, j.v, rt, code.Task)
		return
	}
	m.refill(j.v, rt, m.preload(j.v, rt, code.Task))
	if m.compilable(j.v, rt) {
		m.enqueue(job{j.v, true}, aheadMax)
	}
}

// preload is what of the SDK a version's instance should have loaded. task is the folder of its code, "" to look at what is
// known only.
func (m *Maker) preload(v *catalog.Version, rt Runtime, task string) guest.Preload {
	if !rt.SDK {
		return guest.PreloadNothing
	}
	l := like{v.CodeSHA256, v.Handler}
	m.mu.Lock()
	p, known := m.likes[l]
	m.mu.Unlock()
	if known || task == "" {
		return p
	}
	p = guest.Wants(rt.Kind, task, v.Handler)
	if v.CodeSHA256 == "" {
		return p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.likes == nil || len(m.likes) >= likesMax {
		m.likes = map[like]guest.Preload{}
	}
	m.likes[l] = p
	return p
}

// expect notes that a start of v has been asked for.
func (m *Maker) expect(v *catalog.Version) {
	if rt, err := m.Runtime(v); err == nil {
		m.ask(m.shelvesOf(v, rt, m.preload(v, rt, ""))[0], time.Now())
	}
}
