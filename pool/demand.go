package pool

import "time"

// demand is what decides how many starts of one set are worth having.
type demand struct {
	run, boot time.Duration // how long an attempt takes at best, and a start; 0: not known yet
	oldest    time.Duration // how long the first caller in the queue has waited
	still     time.Duration // how long the queue has not moved
	instances int           // that are up
	waiting   int           // callers in the queue
}

// patience bounds how long a caller waits for busy instances before one is started for it whatever the averages say: that
// long behind a queue that stands still, and impatience behind one that moves. Where the processors are what is short, a
// queue moves slowly however many instances there are, and each one more slows it further: with a bound on the wait alone,
// 64 callers of a fast handler on a busy machine brought up one after the other until there were twenty.
const (
	patience   = 50 * time.Millisecond
	impatience = 10 * patience
)

// starts says how many instances should be on their way. Where nothing is up, or nobody knows yet how long an attempt
// takes, one for each caller. Else none, as long as the queue moves faster than a start would take; beyond that, as many
// as bring it there. Attempts are counted with the time they take at best, not on average: on a busy machine all of them
// take longer, and more instances would make that worse.
func (d demand) starts() int {
	if d.instances <= 0 || d.run <= 0 || d.boot <= 0 {
		return d.waiting
	}
	queue := d.run * time.Duration(d.waiting)
	patient := d.oldest < patience || d.oldest < impatience && d.still < patience
	if patient && queue/time.Duration(d.instances) < d.boot {
		return 0
	}
	wanted := int(queue/d.boot) + 1
	return min(d.waiting, max(1, wanted-d.instances))
}

// demand is that of a set now. The caller holds mu.
func (s *set) demand() demand {
	d := demand{run: s.run, boot: s.boot, instances: s.count - s.starting, waiting: len(s.waiting)}
	if d.waiting > 0 {
		d.oldest = time.Since(s.waiting[0].since)
		d.still = min(d.oldest, time.Since(s.moved))
	}
	return d
}

// scale starts what the queue of a set asks for; in a pool that closes it refuses who waits. It is called whenever somebody
// has come to the queue, an instance or a start has ended, and every so often while somebody waits: so whoever waits longer
// than patience, or impatience, has a start on its way. The caller holds mu.
func (p *Pool) scale(s *set) {
	for p.closed && len(s.waiting) > 0 {
		p.answer(s, grant{err: stopping()})
	}
	for n := s.demand().starts(); s.starting < n; {
		p.startOne(s)
	}
}

// watch looks again at the queue of a set every so often as long as somebody waits in it: what scale decided for others need
// not be enough for who is left. The caller holds mu.
func (p *Pool) watch(s *set) {
	if s.watched {
		return
	}
	s.watched = true
	if s.watcher == nil {
		s.watcher = time.AfterFunc(patience, func() { p.rescale(s) })
		return
	}
	s.watcher.Reset(patience)
}

func (p *Pool) rescale(s *set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.watched = false
	p.scale(s)
	if len(s.waiting) > 0 {
		p.watch(s)
	}
}

// lowest follows the smallest of the newest values: down at once, up slowly.
func lowest(before, newest time.Duration) time.Duration {
	if before == 0 || newest < before {
		return max(newest, 1)
	}
	return before + (newest-before)/64
}
