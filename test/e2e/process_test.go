package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
)

// Limits of patience.
const (
	readyMax = 30 * time.Second
	stopMax  = 15 * time.Second
	waitMax  = 60 * time.Second
	saidMax  = 32 << 10 // bytes of a program's output that are kept
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // one per core is little for tests that mostly wait
		if err := f.Value.Set(strconv.Itoa(max(4, runtime.NumCPU()))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if binary = os.Getenv("ROUSE_BIN"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rouse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) // a leftover in the temporary folder harms nobody
	binary = filepath.Join(dir, "rouse")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/rouse-dev/rouse/cmd/rouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build rouse: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// soak is how much longer loops are when asked.
func soak(quick, long int) int {
	if os.Getenv("ROUSE_SOAK") != "" {
		return long
	}
	return quick
}

// seeded is a source of random moments that can be had again.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("ROUSE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("repeat with ROUSE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// between is a random duration.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// rouse is a node that is started, killed and started again on the same folder and address.
type rouse struct {
	*client
	dir     string // its working folder; data is below
	args    []string
	metrics string // where its metrics are
	// prefix is put before the command: a shell that sets limits.
	prefix []string

	cmd   *exec.Cmd
	ended chan error // buffer 1
	out   *tail
}

// newRouse prepares a node without starting it. The key test/test works.
func newRouse(t testing.TB, args ...string) *rouse {
	t.Helper()
	address := freeAddress(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removable(t, dir) })
	r := &rouse{client: newClient(address), dir: dir, metrics: freeAddress(t)}
	r.args = append([]string{"serve", "--listen", address, "--metrics", r.metrics, "--data", filepath.Join(dir, "data"), "--dev-key=on"},
		args...)
	if os.Geteuid() != 0 {
		r.args = append(r.args, "--allow-weak-isolation=on")
	}
	return r
}

// removable lets an ordinary user remove unpacked code, whose folders nobody may write to.
func removable(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// developed are the same arguments for a node of development.
func developed(args []string) []string {
	out := []string{"dev", "--plain", "off"}
	for _, a := range args[1:] {
		if a != "--dev-key=on" && a != "--allow-weak-isolation=on" {
			out = append(out, a)
		}
	}
	return out
}

// launch starts a node that is stopped with the test.
func launch(t testing.TB, args ...string) *rouse {
	t.Helper()
	r := newRouse(t, args...)
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	return r
}

// measures reports whether the metrics have a line.
func (r *rouse) measures(t testing.TB, line string) bool {
	t.Helper()
	resp, err := r.agent.Get("http://" + r.metrics)
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	return strings.Contains("\n"+string(b), "\n"+line+"\n")
}

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// start starts the process and waits until it is ready.
func (r *rouse) start(t testing.TB) {
	t.Helper()
	r.begin(t)
	if err := r.awaitReady(); err != nil {
		t.Fatalf("%v; it said:\n%s", err, r.out)
	}
}

// begin starts the process.
func (r *rouse) begin(t testing.TB) {
	t.Helper()
	r.out = &tail{}
	words := append(append(append([]string{}, r.prefix...), binary), r.args...)
	r.cmd = exec.Command(words[0], words[1:]...)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = r.dir, r.out, r.out
	r.cmd.Env = environ()
	r.cmd.WaitDelay = time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start rouse: %v", err)
	}
	ended := make(chan error, 1)
	cmd := r.cmd
	go func() { ended <- cmd.Wait() }()
	r.ended = ended
}

// environ is what of this process's environment processes get: where programs are, and how npm's registry is reached.
func environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToLower(kv), "=")
		if strings.HasPrefix(name, "ssl_cert_") || strings.HasSuffix(name, "_proxy") {
			env = append(env, kv)
		}
	}
	return env
}

// awaitReady waits until health is 200.
func (r *rouse) awaitReady() error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(readyMax)
	for {
		resp, err := r.agent.Get(r.url + "/_rouse/health")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-r.ended:
			r.ended <- err
			return fmt.Errorf("rouse ended before it was ready: %w", err)
		case <-late:
			return fmt.Errorf("rouse is not ready after %s", readyMax)
		case <-tick.C:
		}
	}
}

// kill ends the process as a power cut would.
func (r *rouse) kill(t testing.TB) {
	t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v", err)
	}
	<-r.ended
	r.ended = nil
	r.agent.CloseIdleConnections()
}

// stop ends the process as an operator would and holds it to ending well.
func (r *rouse) stop(t testing.TB) {
	t.Helper()
	if r.ended == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("rouse ended with %v, want a clean exit", err)
		}
	case <-time.After(stopMax):
		t.Errorf("rouse did not end within %s of SIGTERM", stopMax)
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
	r.ended = nil
	if t.Failed() {
		t.Logf("the last that rouse said:\n%s", r.out)
	}
}

// leavesNothing looks for what the dead node had, now that the next one is ready.
func (r *rouse) leavesNothing(t *testing.T, dead *holdings, when string) {
	t.Helper()
	failed := t.Failed()
	if dead.gone(t, when); t.Failed() && !failed {
		t.Logf("the next node said:\n%s", r.out)
	}
}

// command runs a command of the program against this node.
func (r *rouse) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = r.dir
	cmd.Env = append(environ(), "ROUSE_ENDPOINT="+r.url, "ROUSE_ACCESS_KEY_ID=test", "ROUSE_SECRET_ACCESS_KEY=test")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// needRoot skips tests of what only root's sandboxes have.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must run this as root")
	}
	t.Skip("needs root: limits and networks of sandboxes")
}

// tail keeps the last of what is written to it, without the lines of those who made changes.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if n := o.buf.Len() - saidMax; n > 0 {
		o.buf.Next(n)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for line := range strings.Lines(o.buf.String()) {
		if !strings.Contains(line, " msg=audit ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// until asks again and again until the answer is yes.
func until(t testing.TB, what string, ask func() bool) {
	t.Helper()
	within(t, waitMax, what, ask)
}

func within(t testing.TB, limit time.Duration, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !ask() {
		select {
		case <-late:
			t.Fatalf("%s: not within %s", what, limit)
		case <-tick.C:
		}
	}
}

// wait lets time pass that belongs to the test: until a random moment.
func wait(d time.Duration) { <-time.After(d) }

// newClient signs with test/test.
func newClient(address string) *client {
	return &client{url: "http://" + address, agent: &http.Client{Timeout: waitMax, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		key: sigv4.Signer{AccessKeyID: "test", SecretAccessKey: "test", Region: "us-east-1"}}
}
