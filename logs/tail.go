package logs

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/logs/filter"
)

// Tailing says what to follow.
type Tailing struct {
	Account      string
	Groups       []string // empty: all of the account
	StreamPrefix string
	Pattern      string
}

// tailBuffer is how many batches wait for a follower before it misses some.
const tailBuffer = 256

// hub knows the followers of this node.
type hub struct {
	mu   sync.Mutex
	subs map[*subscriber]struct{} // guarded by mu
}

type subscriber struct {
	tailing Tailing
	filter  *filter.Filter
	batches chan []Event
	missed  int // guarded by hub.mu
}

// Tail follows events from now on, in the order in which they reach the disk of this node, until ctx ends. The
// subscription holds from the moment that Tail returns. A follower who is too slow gets an Event with Dropped set.
func (l *Logs) Tail(ctx context.Context, t Tailing) (iter.Seq[Event], error) {
	f, err := filter.Parse(t.Pattern)
	if err != nil {
		return nil, invalid("Invalid filter pattern: %s", err)
	}
	s := &subscriber{tailing: t, filter: f, batches: make(chan []Event, tailBuffer)}
	l.hub.mu.Lock()
	l.hub.subs[s] = struct{}{}
	l.hub.mu.Unlock()
	leave := func() {
		l.hub.mu.Lock()
		delete(l.hub.subs, s)
		l.hub.mu.Unlock()
	}
	context.AfterFunc(ctx, leave)
	return func(yield func(Event) bool) {
		defer leave()
		for {
			select {
			case <-ctx.Done():
				return
			case events := <-s.batches:
				for _, e := range events {
					if !yield(e) {
						return
					}
				}
			}
		}
	}, nil
}

// publish hands a stored chunk to followers. It waits for none.
func (h *hub) publish(c *chunk, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if !s.wants(c) {
			continue
		}
		events := s.events(c, at)
		if len(events) == 0 {
			continue
		}
		if s.missed > 0 {
			events = append([]Event{{Group: c.group, Stream: c.stream, Time: at, Dropped: s.missed}}, events...)
		}
		select {
		case s.batches <- events:
			s.missed = 0
		default:
			if s.missed > 0 {
				events = events[1:]
			}
			s.missed += len(events)
		}
	}
}

func (s *subscriber) wants(c *chunk) bool {
	if c.account != s.tailing.Account || !strings.HasPrefix(c.stream, s.tailing.StreamPrefix) {
		return false
	}
	for _, g := range s.tailing.Groups {
		if g == c.group {
			return true
		}
	}
	return len(s.tailing.Groups) == 0
}

func (s *subscriber) events(c *chunk, at time.Time) []Event {
	var out []Event
	for _, b := range c.blocks {
		for i, ln := range b.lines {
			if s.filter.Match(ln.message) {
				out = append(out, Event{Group: c.group, Stream: c.stream, Time: millis(ln.time), Ingested: at,
					Message: ln.message, at: position{ln.time, b.seq, uint32(i)}})
			}
		}
	}
	return out
}
