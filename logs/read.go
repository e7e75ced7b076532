package logs

import (
	"container/heap"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/logs/filter"
)

// Limits of one page: a search that finds little ends after so much, with a token to go on.
const (
	scanBytesMax = 64 << 20
	scanTimeMax  = 2 * time.Second
	indexPage    = 64
)

// walk goes through the events of a group, or of one stream, in the order of their positions, or against it.
type walk struct {
	l        *Logs
	account  string
	group    uint64
	stream   uint64 // 0: all
	from, to int64  // Unix milliseconds, both inclusive
	after    *position
	back     bool
	keep     func(h *header) bool // nil: every block
	until    time.Time            // forward only: stop then; zero: never
	cut      *position            // set when until came: all events before have been yielded
}

// run calls yield for each event until it returns false. It reads blocks in the order of their first event. Going
// forward, what is earlier than the next block's first event is final. Going back, what is later than the next block's
// first event by more than spanMax is.
func (w *walk) run(v kv.View, yield func(Event) bool) error {
	q := &queue{back: w.back}
	stopped := false
	emit := func(final func(position) bool) {
		for len(q.items) > 0 && !stopped && final(q.items[0].at) {
			stopped = !yield(heap.Pop(q).(Event))
		}
	}
	err := w.blocks(v, func(first int64, seq uint64, value []byte) (bool, error) {
		emit(func(p position) bool {
			if w.back {
				return p.time > first+spanMax.Milliseconds()
			}
			return p.time < first
		})
		if stopped {
			return false, nil
		}
		if !w.until.IsZero() && time.Now().After(w.until) && (w.after == nil || first-1 > w.after.time) {
			w.cut = &position{first - 1, math.MaxUint64, math.MaxUint32}
			stopped = true
			return false, nil
		}
		return true, w.load(q, first, seq, value)
	})
	if err == nil {
		emit(func(position) bool { return true })
	}
	return err
}

// load puts the events of a block that lie in the walk's range into q.
func (w *walk) load(q *queue, first int64, seq uint64, value []byte) error {
	h, payload, err := openHeader(value)
	if err != nil {
		return err
	}
	if w.keep != nil && !w.keep(&h) {
		return nil
	}
	lines, err := openLines(payload, first, h.count)
	if err != nil {
		return err
	}
	for i, ln := range lines {
		p := position{ln.time, seq, uint32(i)}
		if ln.time < w.from || ln.time > w.to {
			continue
		}
		if w.after != nil {
			c := p.compare(*w.after)
			if w.back && c >= 0 || !w.back && c <= 0 {
				continue
			}
		}
		heap.Push(q, Event{Stream: h.name, Time: millis(ln.time), Ingested: millis(h.ingested), Message: ln.message, at: p})
	}
	return nil
}

// blocks calls visit for the blocks that may hold events of the walk, ordered by first event.
func (w *walk) blocks(v kv.View, visit func(first int64, seq uint64, value []byte) (bool, error)) error {
	from, to := w.from, w.to
	if w.after != nil {
		if w.back {
			to = min(to, w.after.time)
		} else {
			from = max(from, w.after.time)
		}
	}
	from = max(from-spanMax.Milliseconds(), 0)
	if to < 0 || from > to {
		return nil
	}
	prefix := []any{w.account, w.l.cfg.Region, "logs", "b", w.group}
	if w.stream != 0 {
		prefix = []any{w.account, w.l.cfg.Region, "logs", "i", w.group, w.stream}
	}
	r := kv.Range{From: tuple.Key(append(slices.Clip(prefix), from)...), To: tuple.Prefix(prefix...).To, Reverse: w.back}
	if to < math.MaxInt64 {
		r.To = tuple.Key(append(slices.Clip(prefix), to+1)...)
	}
	if w.stream != 0 {
		return w.indexed(v, r, visit)
	}
	for pair, err := range v.Scan(r, math.MaxInt) {
		if err != nil {
			return err
		}
		first, seq, err := placeOf(pair.Key)
		if err != nil {
			return err
		}
		if more, err := visit(first, seq, pair.Value); err != nil || !more {
			return err
		}
	}
	return nil
}

// indexed is blocks by the index of one stream, a page of it at a time.
func (w *walk) indexed(v kv.View, r kv.Range, visit func(first int64, seq uint64, value []byte) (bool, error)) error {
	type place struct {
		first int64
		seq   uint64
	}
	for {
		var places []place
		var keys [][]byte
		for pair, err := range v.Scan(r, indexPage) {
			if err != nil {
				return err
			}
			first, seq, err := placeOf(pair.Key)
			if err != nil {
				return err
			}
			places = append(places, place{first, seq})
			keys = append(keys, w.l.blockKey(w.account, w.group, first, seq))
			if r.Reverse {
				r.To = pair.Key
			} else {
				r.From = tuple.After(pair.Key)
			}
		}
		if len(keys) == 0 {
			return nil
		}
		values, err := v.GetAll(keys)
		if err != nil {
			return err
		}
		for i, value := range values {
			if value == nil {
				continue
			}
			if more, err := visit(places[i].first, places[i].seq, value); err != nil || !more {
				return err
			}
		}
		if len(keys) < indexPage {
			return nil
		}
	}
}

// placeOf reads the last two parts of a block's or an index entry's key.
func placeOf(key []byte) (first int64, seq uint64, err error) {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) < 2 {
		return 0, 0, errBlock
	}
	first, ok1 := parts[len(parts)-2].(int64)
	seq, ok2 := parts[len(parts)-1].(uint64)
	if !ok1 || !ok2 {
		return 0, 0, errBlock
	}
	return first, seq, nil
}

// queue is a heap of events.
type queue struct {
	items []Event
	back  bool
}

func (q *queue) Len() int { return len(q.items) }
func (q *queue) Less(i, j int) bool {
	c := q.items[i].at.compare(q.items[j].at)
	return c < 0 != q.back
}
func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *queue) Push(x any)    { q.items = append(q.items, x.(Event)) }
func (q *queue) Pop() any {
	n := len(q.items) - 1
	e := q.items[n]
	q.items[n] = Event{}
	q.items = q.items[:n]
	return e
}

// kept is the earliest time that readers of a group may see.
func (l *Logs) kept(g *groupRecord, c *counters) int64 {
	from := c.Trimmed
	if g.Retention > 0 {
		from = max(from, l.now().Add(-days(g.Retention)).UnixMilli())
	}
	return from
}

// page collects events up to the limits of one answer.
type page struct {
	events []Event
	limit  int
	bytes  int
}

// add reports whether e fitted.
func (p *page) add(e Event) bool {
	size := len(e.Message) + EventCost
	if len(p.events) >= p.limit || len(p.events) > 0 && p.bytes+size > PageBytesMax {
		return false
	}
	p.events = append(p.events, e)
	p.bytes += size
	return true
}

// Query asks for a page of one stream.
type Query struct {
	Account, Group, Stream string
	Start, End             *time.Time // End is exclusive
	Limit                  int        // 0: PageMax
	FromHead               bool       // without a token: the oldest page instead of the newest
	Token                  string     // of an earlier answer: Forward or Backward
}

// Page is a page of one stream, oldest event first. At the end of the stream Forward is the token that was given.
type Page struct {
	Events            []Event
	Forward, Backward string
}

// Events reads a page of one stream.
func (l *Logs) Events(ctx context.Context, q Query) (Page, error) {
	w := walk{l: l, account: q.Account, from: 0, to: math.MaxInt64 - 1}
	if q.Start != nil {
		w.from = q.Start.UnixMilli()
	}
	if q.End != nil {
		w.to = q.End.UnixMilli() - 1
	}
	if err := w.readToken(q); err != nil {
		return Page{}, err
	}
	p := page{limit: q.Limit}
	if p.limit <= 0 || p.limit > PageMax {
		p.limit = PageMax
	}
	err := l.cfg.Store.View(ctx, func(v kv.View) error {
		p.events, p.bytes = nil, 0
		g, s, err := l.stream(v, q.Account, q.Group, q.Stream)
		if err != nil {
			return err
		}
		var c counters
		if _, err := get(v, l.countersKey(q.Account, g.ID), &c); err != nil {
			return err
		}
		at := w
		at.group, at.stream, at.from = g.ID, s.ID, max(w.from, l.kept(&g, &c))
		return at.run(v, p.add)
	})
	if err != nil {
		return Page{}, failed(err)
	}
	if w.back {
		slices.Reverse(p.events)
	}
	return newPage(p.events, q, w.after), nil
}

// readToken sets where and in which direction to walk.
func (w *walk) readToken(q Query) error {
	if q.Token == "" {
		w.back = !q.FromHead
		return nil
	}
	parts := strings.Split(q.Token, "/")
	bad := len(parts) != 3 || parts[0] != "f" && parts[0] != "b" || parts[2] != "s"
	var at position
	if !bad {
		var ok bool
		at, ok = parsePosition(parts[1])
		bad = !ok
	}
	if bad {
		return invalid("The specified nextToken is invalid.")
	}
	w.back, w.after = parts[0] == "b", &at
	return nil
}

func newPage(events []Event, q Query, after *position) Page {
	for i := range events {
		events[i].Group = q.Group
	}
	var first, last position // of an empty stream: what comes is behind
	switch {
	case len(events) > 0:
		first, last = events[0].at, events[len(events)-1].at
	case after != nil:
		first, last = *after, *after
	}
	return Page{Events: events, Forward: "f/" + last.String() + "/s", Backward: "b/" + first.String() + "/s"}
}

// Search asks for events of a group that match a pattern.
type Search struct {
	Account, Group string
	Streams        []string // empty: all
	StreamPrefix   string
	Start, End     *time.Time // End is inclusive
	Pattern        string
	Limit          int // 0: PageMax
	Token          string
}

// Found is a page of a search, oldest event first, over all streams. Token is "" when the search is complete; a page may
// be empty and have one.
type Found struct {
	Events []Event
	Token  string
}

// Search reads a page of the events of a group that match.
func (l *Logs) Search(ctx context.Context, q Search) (Found, error) {
	f, err := filter.Parse(q.Pattern)
	if err != nil {
		return Found{}, invalid("Invalid filter pattern: %s", err)
	}
	w := walk{l: l, account: q.Account, to: math.MaxInt64 - 1, keep: q.keeps()}
	if q.Start != nil {
		w.from = q.Start.UnixMilli()
	}
	if q.End != nil {
		w.to = q.End.UnixMilli()
	}
	if q.Token != "" {
		at, ok := parsePosition(q.Token)
		if !ok {
			return Found{}, invalid("The specified nextToken is invalid.")
		}
		w.after = &at
	}
	limit := q.Limit
	if limit <= 0 || limit > PageMax {
		limit = PageMax
	}
	var out Found
	err = l.cfg.Store.View(ctx, func(v kv.View) error {
		out = Found{}
		g, c, err := l.group(v, q.Account, q.Group)
		if err != nil {
			return err
		}
		at := w
		at.group, at.from = g.ID, max(w.from, l.kept(&g, &c))
		p := page{limit: limit}
		at.until = time.Now().Add(scanTimeMax)
		scanned := 0
		var last position
		err = at.run(v, func(e Event) bool {
			if scanned > scanBytesMax || f.Match(e.Message) && !p.add(e) {
				out.Token = last.String()
				return false
			}
			scanned += len(e.Message) + EventCost
			last = e.at
			return true
		})
		if at.cut != nil {
			out.Token = at.cut.String()
		}
		out.Events = p.events
		return err
	})
	if err != nil {
		return Found{}, failed(err)
	}
	for i := range out.Events {
		out.Events[i].Group = q.Group
	}
	return out, nil
}

// keeps tells the blocks of the wanted streams by their headers, without opening them.
func (q *Search) keeps() func(*header) bool {
	if len(q.Streams) == 0 && q.StreamPrefix == "" {
		return nil
	}
	return func(h *header) bool {
		if len(q.Streams) > 0 {
			return slices.Contains(q.Streams, h.name)
		}
		return strings.HasPrefix(h.name, q.StreamPrefix)
	}
}
