package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
)

// moment is a line of the node's feed.
type moment struct {
	At      time.Time `json:"at"`
	Dropped int       `json:"dropped"`
	Request *request  `json:"request"`
	Attempt *attempt  `json:"attempt"`
	Line    *struct{ Function, Stream, Text string }
}

// request is an HTTP request that the gateway answered.
type request struct {
	Method, Path, Function, Error string
	Status                        int
	Took                          time.Duration
	Timing                        timing
}

// attempt is one attempt of an invocation.
type attempt struct {
	ID, Function, Cause, Outcome, Error string
	Attempt                             int
	Timing                              timing
}

// feed reads the node's feed until ctx is done, the node ends or show returns an error. connected is called once, when
// nothing that happens from then on is missed.
func (c *client) feed(ctx context.Context, query string, connected func(), show func(moment) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/_rouse/api/feed"+query, "rouse", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for first := true; ; first = false {
		b, err := lines.ReadBytes('\n')
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // the node has ended
		}
		if err != nil {
			return err
		}
		if first && connected != nil {
			connected()
		}
		if len(b) <= 1 {
			continue // a beat
		}
		var m moment
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("the node's feed is not what was expected: %w", err)
		}
		if err := show(m); err != nil {
			return err
		}
	}
}

// Widths of the column of functions' names.
const (
	nickLeast = 8
	nickMost  = 24
)

// screen prints what happens, a moment at a time and each whole. Safe for concurrent use.
type screen struct {
	style style
	clock string // layout of times

	mu    sync.Mutex
	w     io.Writer // guarded by mu
	width int       // guarded by mu: of the names
}

func (a *app) screen(clock string) *screen {
	return &screen{style: a.style, clock: clock, w: a.Out, width: nickLeast}
}

// room makes room for a function's name.
func (s *screen) room(function string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.width = min(max(s.width, lipgloss.Width(nick(function))), nickMost)
}

// begin is what a moment's line begins with: when, and which function. The caller holds mu.
func (s *screen) begin(at time.Time, function string) string {
	name := nick(function)
	s.width = min(max(s.width, lipgloss.Width(name)), nickMost)
	return s.style.dim(at.Local().Format(s.clock)) + " " + s.style.name(pad(cut(name, s.width), s.width), function) + " "
}

// put prints a moment whole: where the parts of a line do not fit, they go below each other.
func (s *screen) put(begin string, parts ...string) {
	columns, _ := s.style.size()
	indent := strings.Repeat(" ", lipgloss.Width(begin))
	var b bytes.Buffer
	b.WriteString(begin)
	used := len(indent)
	for i, p := range parts {
		switch {
		case p == "":
			continue
		case i > 0 && columns > 0 && used+2+lipgloss.Width(p) > columns:
			b.WriteString("\n" + indent + s.style.wrap(p, len(indent)))
			used = columns
			continue
		case i > 0:
			b.WriteString("  ")
			used += 2
		}
		b.WriteString(p)
		used += lipgloss.Width(p)
	}
	b.WriteByte('\n')
	_, _ = s.w.Write(b.Bytes()) // a screen that is gone is no reason to stop
}

// print prints text as it is.
func (s *screen) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.w, text)
}

// say prints a line of the command's own.
func (s *screen) say(at time.Time, parts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.style.dim(at.Local().Format(s.clock))+" ", parts...)
}

// problem prints an error of several lines below a title.
func (s *screen) problem(at time.Time, title string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := s.style.dim(at.Local().Format(s.clock)) + " "
	indent := lipgloss.Width(begin)
	var b bytes.Buffer
	b.WriteString(begin + title + "\n")
	for _, l := range strings.Split(err.Error(), "\n") {
		b.WriteString(strings.Repeat(" ", indent) + s.style.wrap(printable(l), indent+2) + "\n")
	}
	_, _ = s.w.Write(b.Bytes())
}

// show prints what the feed tells: one line per request, attempt that no request caused, and log line.
func (s *screen) show(m moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Dropped > 0 {
		s.put(s.style.warn(fmt.Sprintf("%d lines came too fast for this terminal; `rouse logs` has them", m.Dropped)))
	}
	switch {
	case m.Request != nil:
		s.request(m.At, *m.Request)
	case m.Attempt != nil:
		s.attempt(m.At, *m.Attempt)
	case m.Line != nil:
		s.line(m.At, m.Line.Function, m.Line.Text)
	}
}

// request prints a request. The caller holds mu.
func (s *screen) request(at time.Time, r request) {
	st := s.style
	why := st.bad(reason(r.Error))
	if r.Function == "" && r.Status == http.StatusNotFound && r.Error == "" {
		why = st.dim("no such route")
	}
	s.put(s.begin(at, r.Function), st.status(r.Status)+" "+st.strong(r.Method)+" "+printable(r.Path), st.dim(short(r.Took)), why,
		st.dim(r.Timing.cold()))
}

// attempt prints an attempt. The caller holds mu.
func (s *screen) attempt(at time.Time, t attempt) {
	st := s.style
	outcome, why := st.good(t.Outcome), ""
	if t.Outcome != "ok" {
		outcome, why = st.bad(t.Outcome), st.bad(reason(t.Error))
	}
	if t.Attempt > 1 {
		outcome += " " + st.warn(fmt.Sprintf("try %d", t.Attempt))
	}
	s.put(s.begin(at, t.Function), outcome+" "+st.strong(t.Cause), st.dim(short(t.Timing.Run)), why, st.dim(t.Timing.cold()))
}

// line prints a log line, which may have several. The caller holds mu.
func (s *screen) line(at time.Time, function, text string) {
	l := tidy(text)
	mark := ""
	switch l.level {
	case "ERROR":
		mark = s.style.bad("ERROR") + " "
	case "WARN":
		mark = s.style.warn("WARN") + " "
	}
	begin := s.begin(at, function) + s.style.dim("│") + " "
	more := strings.Repeat(" ", lipgloss.Width(begin)-2) + s.style.dim("│") + " "
	var b bytes.Buffer
	for i, t := range l.text {
		if i == 0 {
			b.WriteString(begin + mark + t + "\n")
		} else {
			b.WriteString(more + t + "\n")
		}
	}
	_, _ = s.w.Write(b.Bytes())
}
