//go:build linux

package ns_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/ns"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// payload builds the program that tries to escape, in a folder to be mounted as code. The environment variable is for
// runs as a user who cannot build.
func payload(t *testing.T) string {
	t.Helper()
	dir := sandboxtest.Files(t, map[string]string{"f": "code\n"})
	if err := os.Symlink("/etc/shadow", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "escape")
	if built := os.Getenv("ROUSE_TEST_PAYLOAD"); built != "" {
		b, err := os.ReadFile(built)
		if err == nil {
			err = os.WriteFile(name, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		baits(t, dir, name)
		return dir
	}
	build := exec.Command("go", "build", "-o", name, "./testdata/escape")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the payload: %v\n%s", err, out)
	}
	baits(t, dir, name)
	return dir
}

// baits puts into the code what would help it if it counted: a program that is its owner's whoever runs it, and, where the
// test may make them, devices that everybody may open.
func baits(t *testing.T, dir, program string) {
	t.Helper()
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "setuid"), b, 0o755)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "setuid"), 0o755|os.ModeSetuid|os.ModeSetgid)
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	for name, minor := range map[string]uint32{"mem": 1, "kmsg": 11} {
		device := filepath.Join(dir, name)
		if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(device, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// run starts the payload in b.
func run(t *testing.T, b sandbox.Sandbox, code string, args ...string) *sandboxtest.Program {
	t.Helper()
	if err := b.Mount(code, sandbox.MountTask); err != nil {
		t.Fatal(err)
	}
	return sandboxtest.Start(t, b, append([]string{sandbox.MountTask + "/escape"}, args...)...)
}

func TestEscapes(t *testing.T) {
	d := open(t, ns.Config{})
	testEscapes(t, d, payload(t))
}

func TestEscapesRootless(t *testing.T) {
	if os.Geteuid() == 0 {
		code := payload(t)
		t.Setenv("ROUSE_TEST_PAYLOAD", filepath.Join(code, "escape"))
		asNobody(t, "^TestEscapesRootless$")
		return
	}
	d := openRootless(t)
	testEscapes(t, d, payload(t))
}

// testEscapes wants every attempt to fail.
func testEscapes(t *testing.T, d *ns.Driver, code string) {
	other := sandboxtest.Create(t, d, sandbox.Spec{})
	sandboxtest.Shell(t, other, "echo s3cret > /tmp/secret-of-another; chmod 777 /tmp/secret*; echo up; read x").Expect("up")
	_, otherPort := listen(t, other)
	key := 0x726f0000 | os.Getpid()&0xffff // what the host shares with whoever knows the number
	shm, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.SysvShmCtl(shm, unix.IPC_RMID, nil) // goes with the machine at the latest
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.LambdaLimits(512, 64)})
	if err := b.Mount(code, sandbox.MountTask); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	abstract, err := net.Listen("unix", "@rouse-escape-"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, platform := listen(t, b)
	env := []string{"HOST_PORT=" + port, "OTHER_PORT=" + otherPort, "PLATFORM_PORT=" + platform, "HOST_SHM=" + strconv.Itoa(key)}
	if err := b.Exec([]string{"/var/task/escape"}, env, "/tmp", []*os.File{nil0(t), w, w}); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	lines := strings.Split(strings.TrimSpace(readAll(t, r)), "\n")
	if len(lines) < 175 {
		t.Errorf("attempts: got %d, want all of them:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		name, result, ok := strings.Cut(line, "\t")
		if !ok || result == "done" {
			t.Errorf("%s: got %q, want an error", name, result)
		}
		if testing.Verbose() {
			t.Logf("%-40s %s", name, result)
		}
	}
	sandboxtest.Await(t, b.Done(), "the payload's end")
	if got := b.Exit(); got != (sandbox.Exit{}) {
		t.Errorf("the payload's own end: got %+v, want success", got)
	}
}

// listen has the platform listen in a sandbox, and tells the port.
func listen(t *testing.T, b sandbox.Sandbox) (l net.Listener, port string) {
	t.Helper()
	l, addr, err := b.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err = net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return l, port
}

func TestFilesLimitHolds(t *testing.T) {
	d := open(t, ns.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{Files: 200}})
	line := run(t, b, payload(t), "fds").Line()
	n, rest, _ := strings.Cut(line, " ")
	if k, _ := strconv.Atoi(n); k < 150 || k > 200 || !strings.Contains(rest, "too many open files") {
		t.Errorf("files opened: got %q, want nearly 200, then too many", line)
	}
}

func TestTmpLimitHolds(t *testing.T) {
	d := open(t, ns.Config{})
	code := payload(t)
	for _, c := range []struct{ created, changed, want int64 }{{16, 0, 16}, {16, 48, 48}} {
		b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{TmpBytes: c.created << 20}})
		if c.changed > 0 {
			if err := b.Limit(sandbox.Limits{TmpBytes: c.changed << 20}); err != nil {
				t.Fatal(err)
			}
		}
		line := run(t, b, code, "tmp").Line()
		if got, want := line, strconv.FormatInt(c.want, 10)+" write /tmp/flood: no space left on device"; got != want {
			t.Errorf("a flood of /tmp: got %q, want %q", got, want)
		}
	}
}

// TestTmpFilesLimitHolds: empty files take no room of /tmp, and memory of the kernel.
func TestTmpFilesLimitHolds(t *testing.T) {
	d := open(t, ns.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{TmpBytes: 16 << 20}})
	line := run(t, b, payload(t), "files").Line()
	n, rest, _ := strings.Cut(line, " ")
	if k, _ := strconv.Atoi(n); k < 1000 || k > 16<<10 || !strings.Contains(rest, "no space left on device") {
		t.Errorf("empty files made: got %q, want at most %d, then no space", line, 16<<10)
	}
}

func TestMemoryLimitKillsThatSandboxOnly(t *testing.T) {
	d := open(t, ns.Config{})
	needLimits(t, d)
	code := payload(t)
	bystander := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.LambdaLimits(128, 16)})
	p := sandboxtest.Shell(t, bystander, "read x; echo alive")
	for _, mode := range []string{"memory", "memory of a child"} {
		b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{MemoryBytes: 64 << 20, CPUs: 1, Pids: 100}})
		run(t, b, code, mode)
		sandboxtest.Await(t, b.Done(), "the end for memory")
		if got := b.Exit(); !got.OOM || got.Code == 0 {
			t.Errorf("exit of %q: got %+v, want that of a lack of memory", mode, got)
		}
		s, err := b.Stats()
		if err != nil || !s.OOMKilled || s.MemoryPeakBytes < 48<<20 || s.MemoryPeakBytes > 65<<20 {
			t.Errorf("stats of %q: got %+v, %v; want a peak of nearly 64 MiB", mode, s, err)
		}
	}
	p.Send("")
	p.Expect("alive")
}

func needLimits(t *testing.T, d *ns.Driver) {
	t.Helper()
	if !d.Report().Limited() {
		missing(t, "no control groups here: %+v", d.Report().Checks)
	}
}

func TestForkBombIsContained(t *testing.T) {
	d := open(t, ns.Config{})
	needLimits(t, d)
	b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{Pids: 64, MemoryBytes: 256 << 20, CPUs: 0.3}})
	p := sandboxtest.Shell(t, b, "bomb() { bomb | bomb & }; echo up; bomb; sleep 1000")
	p.Expect("up")
	sandboxtest.Until(t, "the bomb to go off", func() bool { s, _ := b.Stats(); return s.Pids > 40 })
	start := time.Now()
	other := sandboxtest.Create(t, d, sandbox.Spec{})
	sandboxtest.Shell(t, other, "echo fine").Expect("fine")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("another sandbox beside the bomb: got %v, want it at once", took)
	}
	if s, err := b.Stats(); err != nil || s.Pids > 64 {
		t.Errorf("stats: got %+v, %v; want 64 processes at most", s, err)
	}
	start = time.Now()
	b.Kill()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("kill of the bomb: took %v", took)
	}
}

// TestForkBombRootless: RLIMIT_NPROC counts each sandbox by itself.
func TestForkBombRootless(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "^TestForkBombRootless$")
		return
	}
	d := openRootless(t)
	var boxes []sandbox.Sandbox
	for range 2 {
		b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{Pids: 30}})
		sandboxtest.Shell(t, b, "(for i in $(seq 100); do sleep 1000 & done); read x") // the loop ends when it cannot fork
		boxes = append(boxes, b)
	}
	for _, b := range boxes {
		sandboxtest.Until(t, "the limit to be met", func() bool { s, _ := b.Stats(); return s.Pids >= 28 })
		if s, _ := b.Stats(); s.Pids > 30 {
			t.Errorf("processes: got %d, want 30 at most", s.Pids)
		}
	}
}

func TestCPULimitHolds(t *testing.T) {
	d := open(t, ns.Config{})
	needLimits(t, d)
	b := sandboxtest.Create(t, d, sandbox.Spec{Limits: sandbox.Limits{CPUs: 0.2}})
	start := time.Now()
	run(t, b, payload(t), "spin")
	var s sandbox.Stats
	sandboxtest.Until(t, "some CPU time to be used", func() bool { s, _ = b.Stats(); return s.CPU > 100*time.Millisecond })
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("%v of CPU at 0.2 of a processor: got after %v, want 500 ms", s.CPU, took)
	}
}

// TestUsersDiffer: two sandboxes at once never share a user, so that what counts by user does not add up.
func TestUsersDiffer(t *testing.T) {
	d := open(t, ns.Config{})
	seen := map[string]bool{}
	for range 5 {
		b := sandboxtest.Create(t, d, sandbox.Spec{})
		p := sandboxtest.Shell(t, b, "id -u; whoami; hostname; read x")
		uid := p.Line()
		if n, _ := strconv.Atoi(uid); n < 0x70000000 || seen[uid] {
			t.Errorf("uid: got %s, want one of its own above %d", uid, 0x70000000)
		}
		seen[uid] = true
		p.Expect("sbx_user1051")
		p.Expect("sandbox")
	}
}
