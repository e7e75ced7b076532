package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondProcess: a folder belongs to one process, and the second one is told so.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	r := launch(t)
	data := filepath.Join(r.dir, "data")
	for _, mode := range [][]string{{"serve", "--allow-weak-isolation=on"}, {"dev", "--plain", "off"}} {
		args := slices.Concat(mode, []string{"--listen", "127.0.0.1:0", "--data", data})
		out, err := r.command(t.Context(), args...)
		for _, want := range []string{"a node is already running on " + data, fmt.Sprintf("process %d", r.cmd.Process.Pid), r.url, "--data"} {
			if err == nil || !strings.Contains(out, want) {
				t.Errorf("rouse %s: got %v and %q, want it refused with %q", mode[0], err, out, want)
			}
		}
	}
	out, err := r.command(t.Context(), "reset", "--yes", "--data", data)
	if err == nil || !strings.Contains(out, "running") {
		t.Errorf("rouse reset of a running node's folder: got %v and %q, want it refused", err, out)
	}
}

// TestTakenPort: the error names the address and the way out, and leaves no folder locked.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	r := launch(t)
	address := strings.TrimPrefix(r.url, "http://")
	out, err := r.command(t.Context(), "serve", "--allow-weak-isolation=on", "--listen", address, "--data", filepath.Join(r.dir, "other"))
	if code(err) != 1 || !strings.Contains(out, "listen on "+address) || !strings.Contains(out, "in use") || !strings.Contains(out, "--listen") {
		t.Errorf("serve on a taken port: got %v and %q, want exit 1, the address and --listen", err, out)
	}
}

func code(err error) int {
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return e.ExitCode()
	}
	return -1
}

// TestRootKeyIsPrintedOnce: at the first start of production, and never again.
func TestRootKeyIsPrintedOnce(t *testing.T) {
	t.Parallel()
	r := launch(t)
	const marker = "AWS_SECRET_ACCESS_KEY="
	until(t, "a first start prints the root key", func() bool { return strings.Contains(r.out.String(), marker) })
	r.kill(t)
	r.start(t)
	until(t, "a second start is ready", func() bool { return strings.Contains(r.out.String(), "Ready.") })
	if strings.Contains(r.out.String(), marker) {
		t.Errorf("a second start said %q, want no key", r.out)
	}
}

// TestInterrupt: Ctrl-C ends a node within two seconds, even while functions run, and what it cut off runs again.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	r := newRouse(t)
	r.args = developed(r.args)
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	r.make(t, fn{Name: "slow", File: "probe.js", Timeout: 120})
	for range 2 {
		a := r.send(t, "lambda", "POST", "/2015-03-31/functions/slow/invocations", `{"try":"sleep","ms":60000}`, "X-Amz-Invocation-Type", "Event")
		if a.Status != 202 {
			t.Fatalf("invoke as an event: got %s, want 202", a)
		}
	}
	busy := func() bool {
		return r.measures(t, "rouse_instances_busy 2")
	}
	until(t, "both run", busy)
	held := holdingsOf(t, r.cmd.Process.Pid)
	began := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("rouse ended with %v after Ctrl-C, want a clean exit; it said:\n%s", err, r.out)
		}
	case <-time.After(stopMax):
		t.Fatalf("rouse did not end within %s of Ctrl-C; it said:\n%s", stopMax, r.out)
	}
	if took := time.Since(began); took > 2*time.Second+slack {
		t.Errorf("Ctrl-C with functions running took %s, want at most 2 s", took)
	}
	r.ended = nil
	r.leavesNothing(t, held, "after Ctrl-C")
	r.agent.CloseIdleConnections()
	r.start(t)
	until(t, "what was cut off runs again", busy)
}

// slack is what a busy machine adds to a limit.
const slack = time.Second

// TestStoreFails: a disk that takes no more ends the node with the reason, and what was acknowledged is there when the
// disk is well again.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	r := newRouse(t)
	r.prefix = []string{"/bin/sh", "-c", `ulimit -f 2048; exec "$0" "$@"`} // blocks of 512 bytes: a file ends at 1 MiB
	r.start(t)
	r.call(t, "logs", "CreateLogGroup", m{"logGroupName": "/own"}, nil)
	last := -1
	for i := 0; ; i++ {
		a, err := r.try("rouse", "POST", "/_rouse/api/call/logs/CreateLogStream",
			fmt.Sprintf(`{"logGroupName":"/own","logStreamName":"s%06d-%s"}`, i, strings.Repeat("x", 480)))
		if err != nil || a.Status != 200 {
			break
		}
		if last = i; i > 20_000 {
			t.Fatal("the store took more than the limit lets it")
		}
	}
	select {
	case err := <-r.ended:
		if code(err) != 1 || !strings.Contains(r.out.String(), "store") {
			t.Errorf("a node whose store fails ended with %v and said\n%s\nwant exit 1 and the store named", err, r.out)
		}
	case <-time.After(stopMax):
		t.Errorf("a node whose store failed is there after %s; it said:\n%s", stopMax, r.out)
		r.kill(t)
	}
	if last < 100 {
		t.Fatalf("only %d writes were acknowledged before the disk was full", last)
	}
	r.ended, r.prefix = nil, nil
	r.agent.CloseIdleConnections()
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	for i := 0; i <= last; i += max(1, last/50) {
		r.hasStream(t, i)
	}
	r.hasStream(t, last)
}

func (r *rouse) hasStream(t *testing.T, i int) {
	t.Helper()
	prefix := fmt.Sprintf("s%06d-", i)
	a := r.ask(t, "logs", "DescribeLogStreams", m{"logGroupName": "/own", "logStreamNamePrefix": prefix})
	if !strings.Contains(a.Body, prefix) {
		t.Errorf("stream %d, acknowledged before the store failed: got %.200s, want it there", i, a)
	}
}

// TestRefusesTheDevelopmentKey: production knows no key but its own.
func TestRefusesTheDevelopmentKey(t *testing.T) {
	t.Parallel()
	r := newRouse(t)
	var args []string
	for _, a := range r.args {
		if a != "--dev-key=on" {
			args = append(args, a)
		}
	}
	r.args = args
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	for _, key := range [][2]string{{"test", "test"}, {"AKIAIOSFODNN7EXAMPLE", "x"}} {
		r.key.AccessKeyID, r.key.SecretAccessKey = key[0], key[1]
		if a := r.send(t, "lambda", "GET", "/2015-03-31/functions", ""); a.Status != 403 || !strings.Contains(a.Body, "security token") {
			t.Errorf("%s at a production node: got %s, want 403", key[0], a)
		}
	}
	if st, err := os.Stat(filepath.Join(r.dir, "data")); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the data folder: got %v, %v; want nobody else to read it", st.Mode(), err)
	}
}

// TestKilledWhileStarting: a start that is cut off at any moment leaves a folder that the next one takes.
func TestKilledWhileStarting(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	r := newRouse(t)
	began := time.Now()
	r.start(t)
	whole := time.Since(began)
	r.kill(t)
	for range soak(10, 100) {
		if random.IntN(3) == 0 { // now and then the very first start
			if err := os.RemoveAll(filepath.Join(r.dir, "data")); err != nil {
				t.Fatal(err)
			}
		}
		r.begin(t)
		wait(between(random, 0, whole))
		r.kill(t)
	}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	r.make(t, fn{Name: "f", File: "probe.js"})
	r.stays(t, "f", 0)
}
