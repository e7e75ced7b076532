package pool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/runtimes"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// place is where a pool under test makes its instances.
type place struct {
	driver string
	spares int
}

var cases = map[string]func(*testing.T, place){
	"AWarmInstanceTakesTheNext":       aWarmInstanceTakesTheNext,
	"ATimeoutEndsTheInstance":         aTimeoutEndsTheInstance,
	"AnExitIsReplaced":                anExitIsReplaced,
	"InitFailures":                    initFailures,
	"CallersShareWhatComesFirst":      callersShareWhatComesFirst,
	"ANewRevisionRetiresTheOld":       aNewRevisionRetiresTheOld,
	"IdleInstancesGo":                 idleInstancesGo,
	"MemoryIsABudget":                 memoryIsABudget,
	"ACallerWhoGoesLeavesTheInstance": aCallerWhoGoesLeavesTheInstance,
	"ClosedPoolsRefuse":               closedPoolsRefuse,
	"WhatIsPublishedIsCompiled":       whatIsPublishedIsCompiled,
}

// TestPool runs every case on plain processes and, as root or where rootless sandboxes work, in namespaces with runtimes
// booted ahead.
func TestPool(t *testing.T) {
	for name, in := range map[string]place{"process": {driver.Process, -1}, "ns": {driver.NS, 1}} {
		t.Run(name, func(t *testing.T) {
			if d, err := driver.Open(t.Context(), driver.Config{Name: in.driver, Dir: t.TempDir()}); err != nil {
				missing(t, "the driver is not to be had: %v", err)
			} else if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			for name, c := range cases {
				t.Run(name, func(t *testing.T) { c(t, in) })
			}
		})
	}
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}

// bed is what a pool under test is made on: real processes.
type bed struct {
	pool  *pool.Pool
	rt    pool.Runtime
	dir   string
	mu    sync.Mutex
	lines []string // guarded by mu
}

type lineWriter struct{ b *bed }

func (w lineWriter) Write(_ time.Time, line []byte) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.b.lines = append(w.b.lines, strings.TrimSpace(string(line)))
}

// newBed makes a pool that runs Python.
func newBed(t testing.TB, in place, change func(*pool.Config)) *bed {
	t.Helper()
	b := &bed{dir: t.TempDir()}
	boot := filepath.Join(b.dir, "runtime")
	if err := guest.Install(boot); err != nil {
		t.Fatal(err)
	}
	reg, err := runtimes.Open(t.Context(), runtimes.Config{Dir: boot, Path: filepath.SplitList(os.Getenv("PATH"))})
	if err != nil {
		t.Fatal(err)
	}
	choice, err := reg.For("python3.13")
	if err != nil {
		missing(t, "needs Python 3: %v", err)
	}
	b.rt = pool.Runtime{Kind: guest.Python, Interpreter: choice.Given.Interpreter, Image: []sandbox.Bind{{Source: boot, Target: sandbox.MountRuntime}}}
	d, err := driver.Open(t.Context(), driver.Config{Name: in.driver, Dir: t.TempDir(), Readable: []string{b.dir}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := pool.Config{Maker: b.maker(in, d)}
	if change != nil {
		change(&cfg)
	}
	b.pool = pool.New(cfg)
	run, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.pool.Run(run) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.pool.Close(end); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("close driver: %v", err)
		}
	})
	return b
}

func (b *bed) maker(in place, d sandbox.Driver) *pool.Maker {
	return &pool.Maker{
		Driver: d, Region: "us-east-1", Spares: in.spares, LateMounts: in.driver == driver.NS, Logger: slog.New(slog.DiscardHandler),
		Runtime: func(*catalog.Version) (pool.Runtime, error) { return b.rt, nil },
		Code: func(_ context.Context, v *catalog.Version) (pool.Code, error) {
			return pool.Code{Task: filepath.Join(b.dir, v.Name), Release: func() {}}, nil
		},
		Credentials: func(context.Context, *catalog.Version) (guest.Credentials, error) {
			return guest.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "token"}, nil
		},
		Lines:    func(*catalog.Version, string) pool.LineWriter { return lineWriter{b} },
		Endpoint: func(ln net.Listener) { _, _ = ln.Accept() },
	}
}

// function writes a handler and describes it.
func (b *bed) function(t testing.TB, name, revision, code string) *catalog.Version {
	t.Helper()
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	arn := rouse.FunctionARN("us-east-1", rouse.DefaultAccount, name, catalog.Latest)
	return &catalog.Version{Account: rouse.DefaultAccount, Name: name, Number: catalog.Latest, ARN: arn, RevisionID: revision, Runtime: "python3.13",
		Handler: "app.handler", TimeoutSeconds: 5, MemoryMB: 128, TmpMB: 512, LogGroup: "/aws/lambda/" + name}
}

func (b *bed) attempt(t *testing.T, v *catalog.Version, event string) (string, rouse.Result) {
	t.Helper()
	var out rouse.Buffer
	inv := rouse.Invocation{ID: "8f5e1a7c-0000-4000-8000-000000000001", Function: v.ARN, Event: []byte(event), Received: time.Now(), Tail: true}
	res, err := b.pool.Attempt(t.Context(), v, inv, &out)
	if err != nil {
		t.Fatalf("attempt: %v", err)
	}
	return out.String(), res
}

const echo = `
import os
n = 0
def handler(event, context):
    global n
    n += 1
    print("run", n)
    return {"event": event, "n": n, "pid": os.getpid(), "trace": os.environ.get("_X_AMZN_TRACE_ID")}
`

func aWarmInstanceTakesTheNext(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", echo)
	first, res := b.attempt(t, v, `{"a":1}`)
	if res.Error != nil || res.Timing.Start != rouse.StartCold || res.Timing.Init == 0 || res.Timing.Runtime == 0 {
		t.Fatalf("first: %s %+v, want a cold start that is broken down", first, res)
	}
	if tail := string(res.Tail); !strings.Contains(tail, "START RequestId: 8f5e") || !strings.Contains(tail, "run 1") ||
		!strings.Contains(tail, "Init Duration:") || !strings.Contains(tail, "Memory Size: 128 MB") {
		t.Errorf("tail %q, want START, the line and REPORT with Init Duration", tail)
	}
	second, res := b.attempt(t, v, `{"a":2}`)
	if res.Timing.Start != rouse.StartWarm || !strings.Contains(second, `"n": 2`) && !strings.Contains(second, `"n":2`) {
		t.Errorf("second: %s %v, want the same instance, warm", second, res.Timing.Start)
	}
	if !strings.Contains(second, "Lineage=") || !strings.Contains(second, "Root=1-") {
		t.Errorf("trace in %s, want a root and a lineage", second)
	}
	if strings.Contains(string(res.Tail), "Init Duration") {
		t.Errorf("a warm REPORT has an Init Duration: %q", res.Tail)
	}
	if c := b.pool.Counts(); c.Idle != 1 || c.Busy != 0 {
		t.Errorf("counts %+v, want one idle", c)
	}
}

func aTimeoutEndsTheInstance(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", "import time\ndef handler(e, c):\n    time.sleep(60 if e else 0)\n    return 1\n")
	v.TimeoutSeconds = 1
	_, res := b.attempt(t, v, `true`)
	if res.Error == nil || res.Error.Type != "Sandbox.Timedout" || !strings.HasSuffix(res.Error.Message, "Task timed out after 1.00 seconds") {
		t.Fatalf("got %+v, want a timeout after 1.00 seconds", res.Error)
	}
	if !strings.Contains(string(res.Tail), "Task timed out after 1.00 seconds") || !strings.Contains(string(res.Tail), "Status: timeout") {
		t.Errorf("tail %q, want the timeout and its status", res.Tail)
	}
	if out, res := b.attempt(t, v, `false`); out != "1" || res.Timing.Start != rouse.StartCold {
		t.Errorf("after it: %s %v, want a new instance", out, res.Timing.Start)
	}
}

func anExitIsReplaced(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", "import os\ndef handler(e, c):\n    if e: os._exit(7)\n    return 1\n")
	_, res := b.attempt(t, v, `true`)
	if res.Error == nil || res.Error.Type != "Runtime.ExitError" || !strings.Contains(res.Error.Message, "Runtime exited with error: exit status 7") {
		t.Fatalf("got %+v, want Runtime.ExitError with exit status 7", res.Error)
	}
	if out, _ := b.attempt(t, v, `false`); out != "1" {
		t.Errorf("after it: %s, want 1", out)
	}
}

func initFailures(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", "import nothing_like_it\n")
	_, res := b.attempt(t, v, `{}`)
	if res.Error == nil || res.Error.Type != "Runtime.ImportModuleError" || !strings.Contains(res.Error.Message, "nothing_like_it") {
		t.Errorf("got %+v, want Runtime.ImportModuleError that names the module", res.Error)
	}
	if !strings.Contains(string(res.Tail), "REPORT RequestId") {
		t.Errorf("tail %q, want a REPORT", res.Tail)
	}
	if c := b.pool.Counts(); c.Idle+c.Busy+c.Starting != 0 || c.MemoryBytes != 0 {
		t.Errorf("counts %+v, want nothing left", c)
	}
}

func callersShareWhatComesFirst(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", echo)
	b.attempt(t, v, `{}`)
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]int{}
	for range 40 {
		wg.Go(func() {
			var out rouse.Buffer
			res, err := b.pool.Attempt(context.Background(), v, rouse.Invocation{ID: "i", Function: v.ARN, Event: []byte(`{}`)}, &out)
			if err != nil || res.Error != nil {
				t.Errorf("attempt: %+v, %v", res.Error, err)
				return
			}
			var got struct{ PID int }
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[fmt.Sprint(got.PID)]++
		})
	}
	wg.Wait()
	if len(pids) >= 40 {
		t.Errorf("%d instances for 40 short attempts, want callers to take what is given back", len(pids))
	}
	for b.pool.Counts().Starting > 0 { // starts that nobody waits for any more
		runtime.Gosched()
	}
	if c := b.pool.Counts(); c.Busy != 0 || c.MemoryBytes != int64(c.Idle)*128<<20/4 {
		t.Errorf("counts %+v, want idle ones only, each a quarter of 128 MB", c)
	}
}

func aNewRevisionRetiresTheOld(t *testing.T, in place) {
	b := newBed(t, in, nil)
	b.attempt(t, b.function(t, "f", "1", "def handler(e, c): return 'old'\n"), `{}`)
	if out, _ := b.attempt(t, b.function(t, "f", "2", "def handler(e, c): return 'new'\n"), `{}`); out != `"new"` {
		t.Errorf("got %s, want \"new\"", out)
	}
	if c := b.pool.Counts(); c.Idle != 1 {
		t.Errorf("%d idle, want only the new one", c.Idle)
	}
}

func idleInstancesGo(t *testing.T, in place) {
	b := newBed(t, in, func(c *pool.Config) { c.KeepAlive = 200 * time.Millisecond })
	b.attempt(t, b.function(t, "f", "1", echo), `{}`)
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for b.pool.Counts().Idle > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("an idle instance outlived its keep-alive")
		}
	}
}

func memoryIsABudget(t *testing.T, in place) {
	b := newBed(t, in, func(c *pool.Config) { c.MemoryBytes, c.WaitMax = 150<<20, 200*time.Millisecond })
	one := b.function(t, "one", "1", echo)
	two := b.function(t, "two", "1", "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 1\n")
	b.attempt(t, one, `{}`)
	b.attempt(t, two, `0`) // evicts one, idle for longest
	if c := b.pool.Counts(); c.Idle != 1 {
		t.Fatalf("%d idle, want the second only", c.Idle)
	}
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		_, _ = b.pool.Attempt(context.Background(), two, rouse.Invocation{ID: "i", Function: two.ARN, Event: []byte(`2`)}, &rouse.Buffer{})
	}()
	b.waitBusy(t)
	_, err := b.pool.Attempt(t.Context(), one, rouse.Invocation{ID: "j", Function: one.ARN, Event: []byte(`{}`)}, &rouse.Buffer{})
	if rouse.KindOf(err) != rouse.Throttled || err == nil {
		t.Errorf("beside a busy instance that takes all: %v, want throttled", err)
	}
	<-busy
}

func (b *bed) waitBusy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.pool.Counts().Busy == 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("nothing became busy")
		}
	}
}

func aCallerWhoGoesLeavesTheInstance(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", "import time\ntime.sleep(0.3)\ndef handler(e, c): return 1\n")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := b.pool.Attempt(ctx, v, rouse.Invocation{ID: "i", Function: v.ARN}, &rouse.Buffer{})
		gone <- err
	}()
	for b.pool.Counts().Starting == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("a cancelled attempt answered nil")
	}
	if out, _ := b.attempt(t, v, `{}`); out != "1" {
		t.Errorf("the next caller got %s, want 1", out)
	}
}

func closedPoolsRefuse(t *testing.T, in place) {
	b := newBed(t, in, nil)
	v := b.function(t, "f", "1", echo)
	b.attempt(t, v, `{}`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.pool.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Attempt(t.Context(), v, rouse.Invocation{ID: "i"}, &rouse.Buffer{}); rouse.KindOf(err) != rouse.Unavailable {
		t.Errorf("attempt on a closed pool: %v, want unavailable", err)
	}
}
