package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
)

// Limits of the feed.
const (
	feedQueue      = 1024 // moments waiting for one reader; more are dropped and counted
	feedReadersMax = 64
	feedPause      = 2 * time.Millisecond // between two writes to a reader: what comes meanwhile goes out as one
	feedWriteBytes = 64 << 10             // of one write, about
	feedBeat       = 15 * time.Second     // an empty line this often tells the client that the node lives
)

// Moment is something that happened, as the feed tells it. One of the parts is set.
type Moment struct {
	At      time.Time      `json:"at"`
	Account string         `json:"-"`
	Request *RequestMoment `json:"request,omitempty"`
	Attempt *AttemptMoment `json:"attempt,omitempty"`
	Line    *LineMoment    `json:"line,omitempty"`
	Dropped int            `json:"dropped,omitempty"` // moments that this reader missed before this one
}

// RequestMoment is an HTTP request that the gateway answered.
type RequestMoment struct {
	Method   string        `json:"method"`
	Path     string        `json:"path"`
	Status   int           `json:"status"`
	Took     time.Duration `json:"took"` // ns
	Function string        `json:"function,omitempty"`
	Bytes    int64         `json:"bytes"`
	Timing   rouse.Timing  `json:"timing"`
	Error    string        `json:"error,omitempty"` // why it was refused or failed, for the developer
}

// AttemptMoment is one attempt of an invocation.
type AttemptMoment struct {
	ID       string       `json:"id"`
	Function string       `json:"function"`
	Cause    rouse.Cause  `json:"cause"`
	Attempt  int          `json:"attempt"`
	Outcome  string       `json:"outcome"`
	Error    string       `json:"error,omitempty"` // its type
	Timing   rouse.Timing `json:"timing"`
}

// LineMoment is a line of a function's log.
type LineMoment struct {
	Function string `json:"function"` // or the log group's name when it is not a function's own
	Stream   string `json:"stream"`
	Text     string `json:"text"`
}

// Feed broadcasts moments. The zero value is ready; safe for concurrent use.
type Feed struct {
	mu      sync.Mutex
	readers map[*reader]struct{} // guarded by mu
}

type reader struct {
	account string
	in      *FeedInput
	queue   chan Moment
	dropped int       // guarded by the feed's mu
	second  time.Time // guarded by the feed's mu; when the second began in which told were told
	told    int       // guarded by the feed's mu
}

// Watched reports whether anybody reads: who has work to do for a moment asks first.
func (f *Feed) Watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) > 0
}

// Tell hands m to every reader of its account who wants it. It never blocks.
func (f *Feed) Tell(m Moment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		if r.account != m.Account || !r.in.wants(m) {
			continue
		}
		if !r.inPace(m.At) {
			r.dropped++
			continue
		}
		own := m
		own.Dropped = r.dropped
		select {
		case r.queue <- own:
			r.dropped = 0
		default:
			r.dropped++
		}
	}
}

// inPace counts a moment, and reports whether the reader wants to be told so many of this second. The caller holds the
// feed's mu.
func (r *reader) inPace(now time.Time) bool {
	if r.in.Pace == 0 {
		return true
	}
	if now.Sub(r.second) >= time.Second {
		r.second, r.told = now, 0
	}
	r.told++
	return r.told <= r.in.Pace
}

func (f *Feed) join(account string, in *FeedInput) (*reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.readers) >= feedReadersMax {
		return nil, rouse.Errorf(rouse.Limit, "the feed has %d readers; no more are allowed", feedReadersMax)
	}
	if f.readers == nil {
		f.readers = map[*reader]struct{}{}
	}
	r := &reader{account: account, in: in, queue: make(chan Moment, feedQueue)}
	f.readers[r] = struct{}{}
	return r, nil
}

func (f *Feed) leave(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

// next takes the next moment if one waits and there is room for it.
func (r *reader) next(room int) (Moment, bool) {
	if room <= 0 {
		return Moment{}, false
	}
	select {
	case m := <-r.queue:
		return m, true
	default:
		return Moment{}, false
	}
}

// FeedInput chooses what the feed tells.
type FeedInput struct {
	Function string `wire:"function,query" max:"140"` // of one function only
	Lines    bool   `wire:"lines,query"`              // log lines only
	Brief    bool   `wire:"brief,query"`              // without what a request tells: its attempt, and the platform's own lines
	Pace     int    `wire:"pace,query" min:"1"`       // moments per second at most; more are dropped and counted. Default all
}

func (in *FeedInput) wants(m Moment) bool {
	var function string
	switch {
	case m.Line != nil:
		if in.Brief && ofPlatform(m.Line.Text) {
			return false
		}
		function = m.Line.Function
	case in.Lines:
		return false
	case m.Attempt != nil:
		if in.Brief && (m.Attempt.Cause == rouse.CauseHTTP || m.Attempt.Cause == rouse.CauseURL) {
			return false
		}
		function = m.Attempt.Function
	case m.Request != nil:
		function = m.Request.Function
	}
	return in.Function == "" || in.Function == function
}

// ofPlatform reports whether the platform wrote a log line.
func ofPlatform(text string) bool {
	for _, p := range [...]string{"START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT "} {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

func (d *Door) feed(ctx context.Context, from rouse.Origin, in *FeedInput) (*StreamOutput, error) {
	return &StreamOutput{Type: "application/x-ndjson", Body: func(w io.Writer) error {
		r, err := d.cfg.Feed.join(from.Principal.Account, in)
		if err != nil {
			return err
		}
		defer d.cfg.Feed.leave(r)
		beat := time.NewTicker(feedBeat)
		defer beat.Stop()
		var lines bytes.Buffer
		enc := json.NewEncoder(&lines)
		if _, err := w.Write([]byte("\n")); err != nil { // the client learns at once that it is connected
			return nil
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-beat.C:
				if _, err := w.Write([]byte("\n")); err != nil {
					return nil
				}
			case m := <-r.queue:
				lines.Reset()
				for more := true; more; {
					if err := enc.Encode(m); err != nil {
						return err
					}
					m, more = r.next(feedWriteBytes - lines.Len())
				}
				if _, err := w.Write(lines.Bytes()); err != nil {
					return nil
				}
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(feedPause):
				}
			}
		}
	}}, nil
}
