package pool

import "time"

// demand is what decides how many starts of one set are worth having.
type demand struct {
	run, boot time.Duration // how long an attempt takes at best, and a start; 0: not known yet
	oldest    time.Duration // how long the first caller in the queue has waited
	instances int           // that are up
	waiting   int           // callers in the queue
}

// patience bounds how long a caller waits for a busy instance before one is started for it whatever the averages say.
const patience = 50 * time.Millisecond

// starts says how many instances should be on their way. Where nothing is up, or nobody knows yet how long an attempt
// takes, one for each caller. Else none, as long as the queue moves faster than a start would take; beyond that, as many
// as bring it there. Attempts are counted with the time they take at best, not on average: on a busy machine all of them
// take longer, and more instances would make that worse.
func (d demand) starts() int {
	if d.instances <= 0 || d.run <= 0 || d.boot <= 0 {
		return d.waiting
	}
	queue := d.run * time.Duration(d.waiting)
	if d.oldest < patience && queue/time.Duration(d.instances) < d.boot {
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
	}
	return d
}

// scale starts what the queue of a set asks for; in a pool that closes it refuses who waits. It is called whenever somebody
// has come to the queue, has waited for long, or an instance or a start has ended: so whoever waits longer than patience has
// a start on its way. The caller holds mu.
func (p *Pool) scale(s *set) {
	for p.closed && len(s.waiting) > 0 {
		p.answer(s, grant{err: stopping()})
	}
	for n := s.demand().starts(); s.starting < n; {
		p.startOne(s)
	}
}

// rescale looks again at a queue in which somebody has waited for long.
func (p *Pool) rescale(s *set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scale(s)
}

// lowest follows the smallest of the newest values: down at once, up slowly.
func lowest(before, newest time.Duration) time.Duration {
	if before == 0 || newest < before {
		return max(newest, 1)
	}
	return before + (newest-before)/64
}
