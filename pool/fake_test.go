package pool_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// fakeDriver makes sandboxes in this process: what they run is a goroutine that speaks Lambda's Runtime API over
// pipes. So a pool can be led into any trouble, cheaply.
type fakeDriver struct {
	create func() error // nil: no trouble
	freeze func() error
	thaw   func() error

	boxes atomic.Int64 // alive
	made  atomic.Int64
}

func (d *fakeDriver) Report() sandbox.Report { return sandbox.Report{Driver: "fake"} }
func (d *fakeDriver) Close() error           { return nil }

func (d *fakeDriver) Create(context.Context, sandbox.Spec) (sandbox.Sandbox, error) {
	if d.create != nil {
		if err := d.create(); err != nil {
			return nil, err
		}
	}
	d.boxes.Add(1)
	d.made.Add(1)
	return &fakeBox{d: d, done: make(chan struct{})}, nil
}

// fakeBox is one sandbox; its payload ends when it is killed.
type fakeBox struct {
	d    *fakeDriver
	done chan struct{}
	end  sync.Once
	kill sync.Once

	mu        sync.Mutex
	task      string          // guarded by mu
	listeners []*pipeListener // guarded by mu
}

func (b *fakeBox) ID() string                    { return "fake" }
func (b *fakeBox) Path(dst string) string        { return dst }
func (b *fakeBox) Limit(sandbox.Limits) error    { return nil }
func (b *fakeBox) Reach(egress.Policy) error     { return nil }
func (b *fakeBox) Timing() sandbox.Timing        { return sandbox.Timing{} }
func (b *fakeBox) Done() <-chan struct{}         { return b.done }
func (b *fakeBox) Exit() sandbox.Exit            { return sandbox.Exit{} }
func (b *fakeBox) exit()                         { b.end.Do(func() { close(b.done) }) }
func (b *fakeBox) Kill()                         { b.exit(); b.kill.Do(func() { b.d.boxes.Add(-1) }) }
func (b *fakeBox) Stats() (sandbox.Stats, error) { return sandbox.Stats{MemoryPeakBytes: 1 << 20}, nil }

func (b *fakeBox) Dial(context.Context, int) (net.Conn, error) {
	return nil, errors.New("nobody listens")
}

func (b *fakeBox) Freeze() error {
	if b.d.freeze != nil {
		return b.d.freeze()
	}
	return nil
}

func (b *fakeBox) Thaw() error {
	if b.d.thaw != nil {
		return b.d.thaw()
	}
	return nil
}

func (b *fakeBox) Mount(src, dst string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if dst == sandbox.MountTask {
		b.task = src
	}
	return nil
}

func (b *fakeBox) Listen(int) (net.Listener, string, error) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners = append(b.listeners, l)
	return l, "inside", nil
}

// Exec starts the payload: the Runtime API is the last listener that was opened.
func (b *fakeBox) Exec(_, _ []string, _ string, _ []*os.File) error {
	b.mu.Lock()
	api, task := b.listeners[len(b.listeners)-1], b.task
	b.mu.Unlock()
	go b.payload(api, filepath.Base(task))
	return nil
}

// pipeListener hands out pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) dial() net.Conn {
	inside, outside := net.Pipe()
	select {
	case l.conns <- outside:
		return inside
	case <-l.closed:
		return nil
	}
}

// order is the event of a fake function: what to do with it.
type order struct {
	Milliseconds int  `json:"ms"`
	Exit         bool `json:"exit"`
	ExitAfter    bool `json:"exitAfter"` // when idle
	Stream       int  `json:"stream"`    // answer with so many MiB, streamed
}

// body is the rest of a fake function's answer.
func (o order) body() string {
	if o.Stream == 0 {
		return "Content-Length: 1\r\n\r\n1"
	}
	return "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("100000\r\n"+strings.Repeat("x", 1<<20)+"\r\n", o.Stream) + "0\r\n\r\n"
}

// payload is the program inside. How it initialises is in the function's name: "slow…" takes 30 ms, "hung…" for ever,
// "broken…" exits.
func (b *fakeBox) payload(api *pipeListener, function string) {
	defer b.exit()
	switch {
	case strings.HasPrefix(function, "broken"):
		return
	case strings.HasPrefix(function, "hung"):
		<-b.done
		return
	case strings.HasPrefix(function, "slow"):
		if !b.pause(30) {
			return
		}
	}
	conn := api.dial()
	if conn == nil {
		return
	}
	defer conn.Close()
	go func() { <-b.done; conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		if _, err := io.WriteString(conn, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		event, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		var o order
		_ = json.Unmarshal(event, &o)
		if !b.pause(o.Milliseconds) || o.Exit {
			return
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if _, err := io.WriteString(conn, "POST /2018-06-01/runtime/invocation/"+id+"/response HTTP/1.1\r\nHost: x\r\n"+o.body()); err != nil {
			return
		}
		if resp, err = http.ReadResponse(r, nil); err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if o.ExitAfter {
			return
		}
	}
}

func (b *fakeBox) pause(ms int) bool {
	if ms == 0 {
		return true
	}
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-b.done:
		return false
	}
}

// fakeBed is a pool on a fake driver.
type fakeBed struct {
	driver *fakeDriver
	pool   *pool.Pool
	dir    string
	codes  atomic.Int64 // unpacked and not released

	mu    sync.Mutex
	lines []string // guarded by mu
}

func (b *fakeBed) Write(_ time.Time, line []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, strings.TrimSuffix(string(line), "\n"))
}

func (b *fakeBed) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

// newFakeBed makes a pool. Its Close is the test's.
func newFakeBed(t testing.TB, d *fakeDriver, change func(*pool.Config)) *fakeBed {
	t.Helper()
	b := &fakeBed{driver: d, dir: t.TempDir()}
	cfg := pool.Config{MemoryBytes: 1 << 30, Maker: &pool.Maker{
		Driver: d, Region: "us-east-1", Spares: -1, Logger: slog.New(slog.DiscardHandler),
		Runtime: func(*catalog.Version) (pool.Runtime, error) { return pool.Runtime{Kind: guest.Provided}, nil },
		Code: func(_ context.Context, v *catalog.Version) (pool.Code, error) {
			b.codes.Add(1)
			return pool.Code{Task: filepath.Join(b.dir, v.Name), Release: func() { b.codes.Add(-1) }}, nil
		},
		Credentials: func(context.Context, *catalog.Version) (guest.Credentials, error) { return guest.Credentials{}, nil },
		Lines:       func(*catalog.Version, string) pool.LineWriter { return b },
		Endpoint:    func(ln net.Listener) { _, _ = ln.Accept() },
	}}
	if change != nil {
		change(&cfg)
	}
	b.pool = pool.New(cfg)
	return b
}

// function describes a function whose payload is the fake one.
func (b *fakeBed) function(t testing.TB, name, revision string, memoryMB int) *catalog.Version {
	t.Helper()
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return &catalog.Version{Account: rouse.DefaultAccount, Name: name, Number: catalog.Latest, RevisionID: revision,
		ARN:     rouse.FunctionARN("us-east-1", rouse.DefaultAccount, name, catalog.Latest),
		Runtime: "provided.al2023", Handler: "bootstrap", TimeoutSeconds: 5, MemoryMB: memoryMB, TmpMB: 512}
}

// invoke makes an attempt with an order.
func (b *fakeBed) invoke(ctx context.Context, v *catalog.Version, o order) (rouse.Result, error) {
	event, _ := json.Marshal(o)
	return b.pool.Attempt(ctx, v, rouse.Invocation{ID: "8f5e1a7c-0000-4000-8000-000000000001", Function: v.ARN, Event: event,
		Received: time.Now(), Tail: true}, &rouse.Buffer{})
}

// close ends the pool and holds the books against what is left.
func (b *fakeBed) close(t testing.TB, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = b.pool.Close(ctx) // the patience may end first: Close ends all the same
	if c := b.pool.Counts(); c != (pool.Counts{}) {
		t.Errorf("after Close %+v is counted, want nothing", c)
	}
	if n := b.driver.boxes.Load(); n != 0 {
		t.Errorf("after Close %d sandboxes are left, want none", n)
	}
	if n := b.codes.Load(); n != 0 {
		t.Errorf("after Close %d folders of code are held, want none", n)
	}
}

// until waits for what must become true soon.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}
