package pool

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse"
)

// startOne starts an instance in the background. It outlives the caller it is for: when that one goes, the instance serves
// the next. The caller holds mu.
func (p *Pool) startOne(s *set) {
	s.count++
	s.starting++
	p.starting++
	p.wg.Go(func() { p.start(s) })
}

// start makes one instance for whoever waits first. Its turn comes in order; by then it may not be needed.
func (p *Pool) start(s *set) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.wg.Go(func() {
		select {
		case <-p.closing:
			cancel()
		case <-ctx.Done():
		}
	})
	p.cfg.Maker.expect(s.v)
	g := grant{}
	reserved, err := p.turn(ctx, s)
	if g.err = err; reserved {
		g.inst, g.start, g.err = p.cfg.Maker.make(ctx, s.v)
		<-p.starts
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.starting--
	p.starting--
	switch {
	case g.inst != nil:
		s.boot = lowest(s.boot, g.start.total())
		g.inst.set = s
		p.all[g.inst] = struct{}{}
		p.offer(s, g)
	default:
		s.count--
		if reserved {
			p.memory -= chargeOf(s.v)
			p.signal()
		}
		p.failed(s, g)
	}
	p.scale(s)
}

// failed tells the first who waits why there is no instance, or the log when nobody does. The caller holds mu.
func (p *Pool) failed(s *set, g grant) {
	switch {
	case g.err == nil || p.closed: // it was not needed, or scale will say it
	case len(s.waiting) > 0:
		p.answer(s, g)
	default:
		p.cfg.Logger.Warn("start that nobody waited for", "fn", s.v.ARN.String(), "err", g.err)
	}
}

// answer tells the first who waits. The caller holds mu.
func (p *Pool) answer(s *set, g grant) {
	t := s.waiting[0]
	s.waiting = s.waiting[1:]
	s.moved = time.Now()
	p.waiting--
	t.got <- g
}

// turn waits until a start may go on: it has a token of the limiter, which the caller gives back, and its memory. false
// without an error: it is not needed any more. A start that waits for memory lets others pass.
func (p *Pool) turn(ctx context.Context, s *set) (reserved bool, err error) {
	for {
		select {
		case p.starts <- struct{}{}:
		case <-ctx.Done():
			return false, stopping()
		}
		r := p.reserve(s)
		if r.fits {
			return true, nil
		}
		<-p.starts
		if !r.needed || r.late {
			return false, r.err()
		}
		deadline := time.NewTimer(time.Until(r.until))
		select {
		case <-r.freed:
		case <-deadline.C:
		case <-ctx.Done():
		}
		deadline.Stop()
	}
}

// reservation is the outcome of asking for memory.
type reservation struct {
	fits, needed, late bool
	freed              <-chan struct{} // closed when it is worth asking again
	until              time.Time       // when the first who waits is refused
}

func (r reservation) err() error {
	if !r.late {
		return nil
	}
	return rouse.Errorf(rouse.Throttled, "Rate Exceeded.").WithCode("ConcurrentInvocationLimitExceeded")
}

// reserve takes an instance's memory out of the budget if the queue of s still asks for as many starts as are on their way.
// What has been idle for longest is evicted, unless all of it would not be enough.
func (p *Pool) reserve(s *set) reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.starting > s.demand().starts() {
		return reservation{}
	}
	charge, busy := chargeOf(s.v), p.memory
	for e := p.idle.Front(); e != nil; e = e.Next() {
		busy -= e.Value.(*instance).charge() / idleShare
	}
	// What is larger than the budget runs alone.
	if busy+charge <= p.cfg.MemoryBytes || busy == 0 {
		for p.memory+charge > p.cfg.MemoryBytes && p.idle.Len() > 0 {
			p.discardIdle(p.idle.Front().Value.(*instance))
		}
		p.memory += charge
		return reservation{fits: true, needed: true}
	}
	until := s.waiting[0].since.Add(p.cfg.WaitMax)
	return reservation{needed: true, late: !time.Now().Before(until), freed: p.wait(), until: until}
}
