//go:build linux || darwin

package process_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
)

// TestMain lets a test start this program as a node that is going to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ROUSE_TEST_NODE"); dir != "" {
		node(dir)
		return
	}
	os.Exit(m.Run())
}

func open(t *testing.T, c process.Config) *process.Driver {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	d, err := process.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func create(t *testing.T, d *process.Driver, spec sandbox.Spec) sandbox.Sandbox {
	t.Helper()
	b, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(b.Kill)
	return b
}

// start runs a shell script whose standard streams are the returned connection.
func start(t *testing.T, b sandbox.Sandbox, script string, args ...string) (*os.File, *bufio.Reader) {
	t.Helper()
	in, toIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromOut, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"/bin/sh", "-c", script, "sh"}, args...)
	err = b.Exec(argv, []string{"PATH=/usr/bin:/bin", "TMPDIR=" + b.Path("/tmp")}, b.Path("/tmp"), []*os.File{in, out, out})
	_, _ = in.Close(), out.Close()
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	t.Cleanup(func() { _, _ = toIn.Close(), fromOut.Close() })
	return toIn, bufio.NewReader(fromOut)
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("line from inside: got %q, %v; want %q", got, err, want)
	}
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited 20 s for %s", what)
	}
}

func TestMountAndPath(t *testing.T) {
	code, lang := t.TempDir(), t.TempDir()
	_ = os.WriteFile(filepath.Join(code, "f"), []byte("code\n"), 0o644)
	_ = os.WriteFile(filepath.Join(lang, "f"), []byte("lang\n"), 0o644)
	later := t.TempDir()
	_ = os.WriteFile(filepath.Join(later, "f"), []byte("later\n"), 0o644)
	d := open(t, process.Config{Readable: []string{later}})
	b := create(t, d, sandbox.Spec{Image: []sandbox.Bind{{Source: lang, Target: "/var/runtime"}}})
	if got, want := b.Path("/var/runtime/f"), filepath.Join(lang, "f"); got != want {
		t.Errorf("path of an image's file: got %s, want %s", got, want)
	}
	if err := b.Mount(code, sandbox.MountTask); err != nil {
		t.Fatalf("mount: %v", err)
	}
	in, out := start(t, b, `cat "$1/f" "$2/f"; read x; cat "$3/f"; umask; echo ok > "$TMPDIR/f"; cat "$TMPDIR/f"`,
		b.Path(sandbox.MountTask), b.Path("/var/runtime"), b.Path(sandbox.MountLayers))
	expect(t, out, "code")
	expect(t, out, "lang")
	if err := b.Mount(later, sandbox.MountLayers); err != nil {
		t.Fatalf("mount after exec: %v", err)
	}
	fmt.Fprintln(in)
	expect(t, out, "later")
	_, _ = out.ReadString('\n')
	expect(t, out, "ok")
	await(t, b.Done(), "the shell's end")
	b.Kill()
	if _, err := os.Stat(b.Path(sandbox.MountTask)); !os.IsNotExist(err) {
		t.Errorf("the sandbox's folder after Kill: got %v, want that it does not exist", err)
	}
	if _, err := os.Stat(filepath.Join(code, "f")); err != nil {
		t.Errorf("mounted code after Kill: %v", err)
	}
}

func TestExit(t *testing.T) {
	d := open(t, process.Config{})
	for _, c := range []struct {
		script string
		want   sandbox.Exit
	}{
		{"exit 0", sandbox.Exit{}},
		{"exit 5", sandbox.Exit{Code: 5}},
		{"kill -TERM $$", sandbox.Exit{Code: -1, Signal: 15}},
	} {
		b := create(t, d, sandbox.Spec{})
		start(t, b, c.script)
		await(t, b.Done(), c.script)
		if got := b.Exit(); got != c.want {
			t.Errorf("exit of %q: got %+v, want %+v", c.script, got, c.want)
		}
	}
	b := create(t, d, sandbox.Spec{})
	if err := b.Exec([]string{"/bin/nothing"}, nil, "", nil); rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("exec of nothing: got %v, want kind invalid", err)
	}
	await(t, b.Done(), "the end after a failed exec")
}

func TestListenAndDial(t *testing.T) {
	d := open(t, process.Config{})
	b := create(t, d, sandbox.Spec{})
	l, addr, err := b.Listen(9001)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if addr != l.Addr().String() {
		t.Errorf("address: got %s, want %s, the true one", addr, l.Addr())
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	c, err := b.Dial(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" {
		t.Errorf("read: got %q, %v; want hello", got, err)
	}
}

func TestFreezeAndStats(t *testing.T) {
	d := open(t, process.Config{})
	b := create(t, d, sandbox.Spec{})
	in, out := start(t, b, "echo up; while read x; do echo $x; done")
	expect(t, out, "up")
	if err := b.Freeze(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "ping")
	if s, err := b.Stats(); err != nil || s.Pids != 1 {
		t.Errorf("stats: got %+v, %v; want one process", s, err)
	}
	if err := b.Thaw(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, "ping")
	if err := b.Freeze(); err != nil {
		t.Fatal(err)
	}
	b.Kill()
	if got := b.Exit(); got.Signal != 9 {
		t.Errorf("exit of a frozen sandbox that was killed: got %+v, want signal 9", got)
	}
}

func TestFilesLimit(t *testing.T) {
	d := open(t, process.Config{})
	b := create(t, d, sandbox.Spec{Limits: sandbox.Limits{Files: 77}})
	in, out := start(t, b, "read x; ulimit -n")
	fmt.Fprintln(in)
	expect(t, out, "77")
}

func TestKillEndsTheGroup(t *testing.T) {
	d := open(t, process.Config{})
	b := create(t, d, sandbox.Spec{})
	_, out := start(t, b, "sleep 1000 & echo $!; wait")
	line, _ := out.ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("pid of the child: got %q", line)
	}
	b.Kill()
	gone(t, pid)
}

// gone waits until process pid is dead: gone, or a zombie whose new parent has not looked yet.
func gone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(b), ") Z ") {
			return
		}
		<-tick.C
	}
	t.Fatalf("process %d is still there", pid)
}

// node is the node that dies.
func node(dir string) {
	d, err := process.Open(context.Background(), process.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	b, err := d.Create(context.Background(), sandbox.Spec{})
	if err != nil {
		panic(err)
	}
	if err := b.Exec([]string{"/bin/sh", "-c", "sleep 1000 & echo $!; echo $$; wait"}, nil, "/", []*os.File{os.Stdin, os.Stdout, os.Stderr}); err != nil {
		panic(err)
	}
	select {}
}

func TestDeathWithTheNode(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROUSE_TEST_NODE="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	var pids []int
	for range 2 {
		line, err := r.ReadString('\n')
		pid, nerr := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || nerr != nil {
			t.Fatalf("a pid of the sandbox: got %q, %v", line, err)
		}
		pids = append(pids, pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range pids {
		gone(t, pid)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "rouse-sandboxes-*")); len(left) != 1 {
		t.Fatalf("folders of the dead node: got %v, want one", left)
	}
	open(t, process.Config{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, "rouse-sandboxes-*")); len(left) != 1 {
		t.Errorf("folders after the next start: got %v, want that node's alone", left)
	}
}
