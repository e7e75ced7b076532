package guesttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// Config is what Run runs over.
type Config struct {
	// Host makes a host and sees to its end with t.Cleanup.
	Host func(t testing.TB, p Place) Host

	// Interpreters are the installed languages to run the cases in; a language without one is skipped.
	Interpreters []guest.Interpreter

	// Runtime is the folder that guest.Install wrote to, "" to write a new one.
	Runtime string
}

// Run holds the whole table against every kind of guest. Its cases are parallel: they are done when t is.
func Run(t *testing.T, cfg Config) {
	if cfg.Runtime == "" {
		cfg.Runtime = t.TempDir()
		open(t, cfg.Runtime)
		if err := guest.Install(cfg.Runtime); err != nil {
			t.Fatalf("Install: %v", err)
		}
	}
	s := &suite{cfg: cfg, dir: t.TempDir()}
	for _, c := range slices.Concat(cases, initCases, failureCases, logCases, languageCases, sdkCases, streamCases, webCases) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, l := range languages {
				if c.source(l) == "" {
					continue
				}
				t.Run(l.name, func(t *testing.T) { s.run(t, c, l) })
			}
		})
	}
}

// open lets other users in: a sandbox runs its guest as one, and Go makes temporary folders private.
func open(t testing.TB, dir string) {
	t.Helper()
	for d := dir; strings.HasPrefix(d, os.TempDir()) && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

type language struct {
	name    string
	kind    guest.Kind
	runtime string
	file    string
	handler string
}

var languages = []language{
	{"node", guest.Node, "nodejs20.x", "index.js", "index.handler"},
	{"node-esm", guest.Node, "nodejs20.x", "index.mjs", "index.handler"},
	{"python", guest.Python, "python3.11", "index.py", "index.handler"},
	{"provided", guest.Provided, "provided.al2023", "", "handler"},
}

type suite struct {
	cfg Config

	dir    string // for what all cases share
	once   sync.Once
	binary string // of testdata/functions
	err    error
}

// function builds the program of the Runtime API's cases, once.
func (s *suite) function(t testing.TB) string {
	s.once.Do(func() {
		s.binary = filepath.Join(s.dir, "bootstrap")
		cmd := exec.Command("go", "build", "-o", s.binary, "github.com/rouse-dev/rouse/guest/guesttest/testdata/functions")
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.binary
}

func (s *suite) run(t *testing.T, c testCase, l language) {
	g := s.boot(t, c, l)
	fn := function(c, l)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := g.Load(ctx, fn)
	if c.init != nil {
		var ie *guest.InitError
		if !asInit(err, &ie) {
			t.Fatalf("Load: got %v, want an InitError", err)
		}
		c.init.check(t, ie.Function, l)
		if want, ok := c.init.logs[l.base()]; ok {
			g.checkLines(t, want, "")
		}
		return
	}
	if err != nil {
		t.Fatalf("Load: %v\nlog:\n%s", err, g.text())
	}
	for i, call := range c.calls {
		g.call(t, i, call, l)
	}
}

func asInit(err error, to **guest.InitError) bool {
	return errors.As(err, to)
}

// base is the language without its variant.
func (l language) base() string { return strings.TrimSuffix(l.name, "-esm") }

// function is what every case's function is called.
func function(c testCase, l language) guest.Function {
	fn := guest.Function{
		Name: "shop", Version: "$LATEST", ARN: "arn:aws:lambda:us-east-1:000000000000:function:shop",
		Handler: l.handler, Runtime: l.runtime, MemoryMB: 128, Timeout: 3 * time.Second,
		Account: "000000000000", Region: "us-east-1", LogGroup: "/aws/lambda/shop", LogStream: "2024/01/01/[$LATEST]0",
		Endpoint:    "http://127.0.0.1:4566",
		Environment: merged(map[string]string{"COLOUR": "blue"}, c.env),
		Credentials: guest.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", SessionToken: "token"},
		LogFormat:   c.format,
	}
	if l.kind == guest.Provided {
		fn.Handler = c.provided
	} else if h := c.handler[l.base()]; h != "" {
		fn.Handler = h
	}
	return fn
}

// running is a guest and what it logged.
type running struct {
	*guest.Guest
	host Host

	mu    sync.Mutex
	lines []guest.Line // guarded by mu
}

func (r *running) log(l guest.Line) {
	l.Bytes = []byte(string(l.Bytes))
	r.mu.Lock()
	r.lines = append(r.lines, l)
	r.mu.Unlock()
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, l := range r.lines {
		fmt.Fprintf(&b, "%s %s %s\n", l.RequestID, l.Level, l.Bytes)
	}
	return b.String()
}

// boot writes the case's files and starts its guest.
func (s *suite) boot(t *testing.T, c testCase, l language) *running {
	t.Helper()
	kind, err := guest.KindOf(l.runtime, function(c, l).Handler)
	if err != nil {
		t.Fatalf("KindOf: %v", err)
	}
	cfg := guest.Config{Kind: kind, MemoryMB: 128}
	if l.kind.Interpreted() {
		cfg.Interpreter = s.interpreter(t, l.kind)
		if major, _, _ := strings.Cut(cfg.Interpreter.Version, "."); l.kind == guest.Node && c.since > 0 && atoi(major) < c.since {
			t.Skipf("needs Node.js %d, this is %s", c.since, cfg.Interpreter.Version)
		}
	}
	task := t.TempDir()
	open(t, task)
	for name, text := range c.files {
		write(t, filepath.Join(task, name), text, 0o644)
	}
	if l.kind == guest.Provided {
		if err := os.Link(s.function(t), filepath.Join(task, "bootstrap")); err != nil {
			t.Fatal(err)
		}
	} else if f := c.file[l.base()]; f != "" {
		write(t, filepath.Join(task, f), c.source(l), 0o644)
	} else {
		write(t, filepath.Join(task, l.file), c.source(l), 0o644)
	}
	place := Place{Task: task, Runtime: s.cfg.Runtime, Interpreter: cfg.Interpreter}
	if len(c.layers) > 0 {
		place.Layers = t.TempDir()
		open(t, place.Layers)
		for name, text := range c.layers {
			write(t, filepath.Join(place.Layers, name), text, 0o644)
		}
	}
	r := &running{host: s.cfg.Host(t, place)}
	cfg.Log, cfg.Exited = r.log, r.host.Exited
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	g, err := guest.Boot(ctx, r.host, cfg)
	if err != nil {
		t.Fatalf("Boot: %v\nlog:\n%s", err, r.text())
	}
	t.Cleanup(func() {
		r.host.Kill()
		g.Close()
	})
	r.Guest = g
	return r
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // 0 for what is none
	return n
}

func write(t testing.TB, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) interpreter(t testing.TB, k guest.Kind) guest.Interpreter {
	for _, i := range s.cfg.Interpreters {
		if i.Kind == k {
			return i
		}
	}
	t.Skipf("no %s is installed", k)
	return guest.Interpreter{}
}

// recorder is a Sink that keeps what it gets.
type recorder struct {
	rouse.Buffer
	headed bool
}

func (r *recorder) Head(h rouse.Head) error {
	r.headed = true
	return r.Buffer.Head(h)
}

// call makes one call and holds it against what is wanted.
func (r *running) call(t *testing.T, i int, c call, l language) {
	t.Helper()
	id := fmt.Sprintf("8f5d1c9e-0000-4000-8000-%012d", i)
	r.mu.Lock()
	r.lines = nil
	r.mu.Unlock()
	event := c.event
	if event == "" {
		event = "{}"
	}
	out := &recorder{Buffer: rouse.Buffer{Max: rouse.StreamMax}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if c.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	reply, err := r.Invoke(ctx, guest.Call{ID: id, Event: []byte(event), Deadline: time.Now().Add(3 * time.Second),
		ARN: "arn:aws:lambda:us-east-1:000000000000:function:shop:live", Trace: c.trace,
		ClientContext: []byte(c.clientContext), Stream: !c.buffered}, out)
	if c.timeout > 0 {
		if err == nil || reply.State != guest.Broken {
			t.Errorf("call %d: got %v, %v, want the context's error and a broken guest", i, reply.State, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("call %d: %v\nlog:\n%s", i, err, r.text())
	}
	if reply.State != c.state && !c.dies {
		t.Errorf("call %d: got state %v, want %v", i, reply.State, c.state)
	}
	if c.fails != nil {
		c.fails.check(t, reply.Error, l)
	} else if reply.Error != nil {
		t.Errorf("call %d: got error %s, want none\nlog:\n%s", i, reply.Error.Payload, r.text())
	}
	c.checkBody(t, i, out)
	if c.head != nil && (!out.headed || !reflect.DeepEqual(out.Meta, *c.head)) {
		t.Errorf("call %d: got head %+v, want %+v", i, out.Meta, *c.head)
	}
	if want, ok := c.logs[l.base()]; ok {
		r.checkLines(t, want, id)
	}
}

func (c call) checkBody(t *testing.T, i int, out *recorder) {
	t.Helper()
	got := out.String()
	if c.raw {
		if got != c.want {
			t.Errorf("call %d: got %d bytes %.200q, want %d %.200q", i, len(got), got, len(c.want), c.want)
		}
		return
	}
	if !sameJSON(got, c.want) {
		t.Errorf("call %d: got %d bytes %.400s, want %.400s", i, len(got), got, c.want)
	}
}

func sameJSON(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// check holds an error against what the table says.
func (f *failure) check(t *testing.T, fe *rouse.FunctionError, l language) {
	t.Helper()
	if fe == nil {
		t.Errorf("got success, want the error %s", f.typ[l.base()])
		return
	}
	if want := f.typ[l.base()]; fe.Type != want {
		t.Errorf("got error type %q (%s), want %q", fe.Type, fe.Payload, want)
	}
	if want := f.message[l.base()]; !matches(want, fe.Message) {
		t.Errorf("got error message %q, want %q", fe.Message, want)
	}
	var p map[string]any
	if err := json.Unmarshal(fe.Payload, &p); err != nil || p["errorType"] != fe.Type {
		t.Errorf("got payload %s, want JSON with errorType %s", fe.Payload, fe.Type)
	}
	for _, key := range f.keys[l.base()] {
		if _, ok := p[key]; !ok {
			t.Errorf("got payload %s, want a member %s", fe.Payload, key)
		}
	}
}

var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// matches compares texts; want may contain "…" for anything.
func matches(want, got string) bool {
	parts := strings.Split(want, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:` + strings.Join(parts, ".*") + `)$`).MatchString(got)
}

// checkLines compares what was logged: times become TIME, the request's id ID.
func (r *running) checkLines(t *testing.T, want []string, id string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []string
	for _, l := range r.lines {
		s := stamp.ReplaceAllString(string(l.Bytes), "TIME")
		if id != "" {
			s = strings.ReplaceAll(s, id, "ID")
		}
		if l.RequestID != id {
			t.Errorf("line %q belongs to %q, want %q", s, l.RequestID, id)
		}
		if time.Since(l.Time).Abs() > time.Minute {
			t.Errorf("line %q is of %v, want about now", s, l.Time)
		}
		got = append(got, s)
	}
	if len(got) != len(want) {
		t.Errorf("got %d lines %.2000q, want %d %.2000q", len(got), got, len(want), want)
		return
	}
	for i := range want {
		if !matches(want[i], got[i]) {
			t.Errorf("line %d: got %.2000q, want %.2000q", i, got[i], want[i])
		}
	}
}
