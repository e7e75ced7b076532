// Package sandboxtest is the conformance suite of sandbox.Driver: what package sandbox promises, every driver keeps.
//
// Run runs it against a driver that the caller has opened for it; the driver's own tests cover what is particular to it
// (what it isolates, and how well). Payloads are shell scripts, because every machine has a shell where it has anything;
// they find their files by Sandbox.Path, so that a driver without mounts passes as well. The helpers (Start, Program,
// Await) are what the drivers' own tests use too. All of it is for tests; nothing that ships imports this package.
package sandboxtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// Create makes a sandbox that is killed at the end of the test.
func Create(t testing.TB, d sandbox.Driver, spec sandbox.Spec) sandbox.Sandbox {
	t.Helper()
	b, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(b.Kill)
	return b
}

// Program is what runs in a sandbox, and its standard streams.
type Program struct {
	t   testing.TB
	box sandbox.Sandbox
	In  *os.File
	Out *bufio.Reader // standard output and error
}

// Start runs argv, by default in /tmp, with PATH and TMPDIR alone.
func Start(t testing.TB, b sandbox.Sandbox, argv ...string) *Program {
	t.Helper()
	in, toIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromOut, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = toIn.Close(), fromOut.Close() })
	tmp := b.Path("/tmp")
	err = b.Exec(argv, []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR=" + tmp}, tmp, []*os.File{in, out, out})
	_, _ = in.Close(), out.Close()
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return &Program{t, b, toIn, bufio.NewReader(fromOut)}
}

// Shell runs a shell script with arguments.
func Shell(t testing.TB, b sandbox.Sandbox, script string, args ...string) *Program {
	t.Helper()
	return Start(t, b, append([]string{"/bin/sh", "-c", script, "sh"}, args...)...)
}

// Expect reads a line that must be want.
func (p *Program) Expect(want string) {
	p.t.Helper()
	if got := p.Line(); got != want {
		p.t.Fatalf("line from inside: got %q, want %q", got, want)
	}
}

// Line reads a line.
func (p *Program) Line() string {
	p.t.Helper()
	line, err := p.Out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("line from inside: got %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// Send writes a line to its input.
func (p *Program) Send(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.In, line); err != nil {
		p.t.Fatalf("write to the program: %v", err)
	}
}

// End reads all that is left and waits until it ends.
func (p *Program) End() (string, sandbox.Exit) {
	p.t.Helper()
	all, err := io.ReadAll(p.Out)
	if err != nil {
		p.t.Fatal(err)
	}
	Await(p.t, p.box.Done(), "the program's end")
	return string(all), p.box.Exit()
}

// Await waits for c, not forever.
func Await(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30 s for %s", what)
	}
}

// Until polls done, not forever.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if done() {
			return
		}
	}
	t.Fatalf("waited 30 s for %s", what)
}

// Gone reports whether process pid is dead: absent, or a zombie that its parent has yet to see.
func Gone(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

// Files makes a folder with files that everybody may read.
func Files(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p := dir; p != "/tmp" && p != "/"; p = filepath.Dir(p) {
		_ = os.Chmod(p, 0o755)
	}
	for name, content := range files {
		name = filepath.Join(dir, name)
		_ = os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Run runs the suite. open is called once for each test and closes the driver at its end.
func Run(t *testing.T, open func(t *testing.T) sandbox.Driver) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, d sandbox.Driver)
	}{
		{"exit", testExit}, {"files", testFiles}, {"environment", testEnvironment}, {"mount", testMount},
		{"image", testImage}, {"listen", testListen}, {"freeze", testFreeze}, {"kill", testKill},
		{"refusals", testRefusals}, {"limit", testLimit}, {"concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func testExit(t *testing.T, d sandbox.Driver) {
	for _, c := range []struct {
		script string
		want   sandbox.Exit
	}{
		{"exit 0", sandbox.Exit{}},
		{"exit 5", sandbox.Exit{Code: 5}},
		{"kill -TERM $$; sleep 100", sandbox.Exit{Code: -1, Signal: 15}},
		{"sleep 1000 & exit 3", sandbox.Exit{Code: 3}}, // the rest ends with the first
	} {
		b := Create(t, d, sandbox.Spec{})
		p := Shell(t, b, c.script)
		if _, got := p.End(); got != c.want {
			t.Errorf("exit of %q: got %+v, want %+v", c.script, got, c.want)
		}
		if s, err := b.Stats(); err != nil {
			t.Errorf("stats after the end: got %+v, %v", s, err)
		}
	}
	b := Create(t, d, sandbox.Spec{})
	if got := b.Exit(); got != (sandbox.Exit{}) {
		t.Errorf("exit before the end: got %+v, want the zero one", got)
	}
}

func testFiles(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stray, err := os.Open("/") // close-on-exec as all of Go's: must not appear inside
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	err = b.Exec([]string{"/bin/sh", "-c", "echo three >&3; for i in 0 1 2 3 4 5 6 7 8 9; do " +
		"if (: <&$i) 2>/dev/null; then echo open $i >&3; fi; done"}, nil, "", []*os.File{nil0(t), w, w, w})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	all, _ := io.ReadAll(r)
	if got, want := string(all), "three\nopen 0\nopen 1\nopen 2\nopen 3\n"; got != want {
		t.Errorf("descriptors inside: got %q, want %q", got, want)
	}
}

func nil0(t *testing.T) *os.File {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func testEnvironment(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{})
	p := Start(t, b, "/usr/bin/env")
	out, _ := p.End()
	if want := "PATH=/usr/bin:/bin:/usr/sbin:/sbin\nTMPDIR=" + b.Path("/tmp") + "\n"; out != want {
		t.Errorf("environment: got %q, want %q", out, want)
	}
}

func testMount(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{})
	task := Files(t, map[string]string{"f": "code\n", "sub/g": "deep\n"})
	layer := Files(t, map[string]string{"f": "layer\n"})
	for dst, src := range map[string]string{sandbox.MountTask: task, sandbox.MountLayers: layer} {
		if err := b.Mount(src, dst); err != nil {
			t.Fatalf("mount: %v", err)
		}
	}
	p := Shell(t, b, `cat "$1/f" "$1/sub/g" "$2/f"; (echo x > "$1/x") 2>/dev/null || echo read-only`,
		b.Path(sandbox.MountTask), b.Path(sandbox.MountLayers))
	for _, want := range []string{"code", "deep", "layer"} {
		p.Expect(want)
	}
	p.End()
	if b.Timing().Mount <= 0 || b.Timing().Create <= 0 || b.Timing().Exec <= 0 {
		t.Errorf("timing: got %+v, want create, mount and exec", b.Timing())
	}
	b.Kill()
	if got, err := os.ReadFile(filepath.Join(task, "f")); err != nil || string(got) != "code\n" {
		t.Errorf("mounted code after Kill: got %q, %v", got, err)
	}
}

func testImage(t *testing.T, d sandbox.Driver) {
	lang := Files(t, map[string]string{"bin/tool": "tool\n"})
	file := filepath.Join(Files(t, map[string]string{"one": "single\n"}), "one")
	b := Create(t, d, sandbox.Spec{Image: []sandbox.Bind{
		{Source: lang, Target: "/var/lang"}, {Source: file, Target: "/opt/deep/er/file"}}})
	p := Shell(t, b, `cat "$1" "$2"`, b.Path("/var/lang/bin/tool"), b.Path("/opt/deep/er/file"))
	p.Expect("tool")
	p.Expect("single")
}

func testListen(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{})
	l, addr, err := b.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "127.0.0.1" {
		t.Fatalf("address: got %q, want 127.0.0.1 and a port", addr)
	}
	n, _ := strconv.Atoi(port)
	c, err := b.Dial(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" {
		t.Errorf("read: got %q, %v; want hello", got, err)
	}
	_ = c.Close()
	_ = l.Close()
	if c, err := b.Dial(t.Context(), n); err == nil {
		_ = c.Close()
		t.Error("dial of a closed listener: got a connection, want an error")
	}
}

func testFreeze(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{})
	p := Shell(t, b, "echo up; while read x; do echo $x; done")
	p.Expect("up")
	for range 2 { // idempotent
		if err := b.Freeze(); err != nil {
			t.Fatalf("freeze: %v", err)
		}
	}
	p.Send("ping")
	before, err := b.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if before.Pids < 1 {
		t.Errorf("stats: got %+v, want one process at least", before)
	}
	for range 2 {
		if err := b.Thaw(); err != nil {
			t.Fatalf("thaw: %v", err)
		}
	}
	p.Expect("ping")
	if err := b.Freeze(); err != nil {
		t.Fatal(err)
	}
	b.Kill() // as it is
	if got := b.Exit(); got.Signal != 9 || got.Code != -1 {
		t.Errorf("exit of a frozen sandbox that was killed: got %+v, want signal 9", got)
	}
}

func testKill(t *testing.T, d sandbox.Driver) {
	empty := Create(t, d, sandbox.Spec{})
	empty.Kill()
	Await(t, empty.Done(), "the end of an empty sandbox")
	b := Create(t, d, sandbox.Spec{})
	p := Shell(t, b, `trap "" TERM INT HUP; sleep 1000 & (trap "" TERM; sleep 1000) & echo up; wait`)
	p.Expect("up")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(b.Kill)
	}
	wg.Wait()
	select {
	case <-b.Done():
	default:
		t.Error("Done is open after Kill")
	}
	if _, err := io.ReadAll(p.Out); err != nil { // ends only when nobody holds the other end
		t.Errorf("output after Kill: %v", err)
	}
	b.Kill()
}

func testRefusals(t *testing.T, d sandbox.Driver) {
	long := strings.Repeat("x", 100)
	for name, spec := range map[string]sandbox.Spec{
		"a relative bind":   {Image: []sandbox.Bind{{Source: "x", Target: "/y"}}},
		"a bind over /proc": {Image: []sandbox.Bind{{Source: "/usr", Target: "/proc/x"}}},
		"an unclean target": {Image: []sandbox.Bind{{Source: "/usr", Target: "/y/../etc"}}},
		"too many binds":    {Image: make([]sandbox.Bind, sandbox.BindsMax+1)},
		"a long host name":  {Hostname: long},
		"too little memory": {Limits: sandbox.Limits{MemoryBytes: 1}},
		"a negative limit":  {Limits: sandbox.Limits{Pids: -1}},
	} {
		if _, err := d.Create(t.Context(), spec); rouse.KindOf(err) != rouse.Invalid {
			t.Errorf("create with %s: got %v, want kind invalid", name, err)
		}
	}
	b := Create(t, d, sandbox.Spec{})
	for name, call := range map[string]func() error{
		"mount at /etc":      func() error { return b.Mount("/usr", "/etc") },
		"mount of x":         func() error { return b.Mount("x", sandbox.MountTask) },
		"exec of nothing":    func() error { return b.Exec(nil, nil, "", nil) },
		"exec of a name":     func() error { return b.Exec([]string{"sh"}, nil, "", nil) },
		"exec with a zero":   func() error { return b.Exec([]string{"/bin/sh", "a\x00b"}, nil, "", nil) },
		"exec in a name":     func() error { return b.Exec([]string{"/bin/sh"}, nil, "tmp", nil) },
		"exec of many files": func() error { return b.Exec([]string{"/bin/sh"}, nil, "", make([]*os.File, sandbox.FilesMax+1)) },
		"listen on -1":       func() error { _, _, err := b.Listen(-1); return err },
		"dial of 0":          func() error { _, err := b.Dial(t.Context(), 0); return err },
		"a negative limit":   func() error { return b.Limit(sandbox.Limits{Files: -1}) },
	} {
		if err := call(); rouse.KindOf(err) != rouse.Invalid {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
	}
	if err := b.Mount("/nowhere/at/all", sandbox.MountTask); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("mount of nothing: got %v, want that there is no such file", err)
	}
	if err := b.Exec([]string{"/bin/nothing"}, nil, "", nil); rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("exec of nothing: got %v, want kind invalid", err)
	}
	Await(t, b.Done(), "the end after a failed exec")
	for name, call := range map[string]func() error{
		"mount":  func() error { return b.Mount("/usr", sandbox.MountTask) },
		"listen": func() error { _, _, err := b.Listen(0); return err },
		"limit":  func() error { return b.Limit(sandbox.Limits{Pids: 3}) },
		"reach":  func() error { return b.Reach(egress.Everything()) },
		"freeze": b.Freeze,
		"thaw":   b.Thaw,
	} {
		if err := call(); rouse.KindOf(err) != rouse.Unavailable {
			t.Errorf("%s after the end: got %v, want kind unavailable", name, err)
		}
	}
	again := Create(t, d, sandbox.Spec{})
	Shell(t, again, "read x")
	if err := again.Exec([]string{"/bin/sh"}, nil, "", nil); rouse.KindOf(err) != rouse.Conflict {
		t.Errorf("a second exec: got %v, want kind conflict", err)
	}
}

func testLimit(t *testing.T, d sandbox.Driver) {
	b := Create(t, d, sandbox.Spec{Limits: sandbox.LambdaLimits(256, 64)})
	if err := b.Limit(sandbox.Limits{Files: 77, MemoryBytes: 128 << 20, CPUs: 0.5, Pids: 100}); err != nil {
		t.Fatalf("limit: %v", err)
	}
	p := Shell(t, b, "read x; ulimit -n")
	if err := b.Limit(sandbox.LambdaLimits(1024, 64)); err != nil {
		t.Fatalf("limit after exec: %v", err)
	}
	p.Send("")
	p.Expect("77")
}

func testConcurrent(t *testing.T, d sandbox.Driver) {
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			b, err := d.Create(t.Context(), sandbox.Spec{})
			if err != nil {
				t.Errorf("create: %v", err)
				return
			}
			defer b.Kill()
			if i%4 == 0 {
				return // killed as it is
			}
			p := Shell(t, b, "read x; exit $x")
			l, _, err := b.Listen(0)
			if err != nil {
				t.Errorf("listen: %v", err)
				return
			}
			_ = l.Close()
			p.Send(strconv.Itoa(i))
			if _, got := p.End(); got.Code != i {
				t.Errorf("exit: got %+v, want code %d", got, i)
			}
		})
	}
	wg.Wait()
}
