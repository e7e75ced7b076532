//go:build linux || darwin

package process_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// TestMain lets a test start this program as a node that is going to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ROUSE_TEST_NODE"); dir != "" {
		node(dir)
		return
	}
	os.Exit(m.Run())
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
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

func TestSandbox(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandbox.Driver { return open(t, process.Config{}) })
}

func TestMountAndPath(t *testing.T) {
	code, lang := t.TempDir(), t.TempDir()
	_ = os.WriteFile(filepath.Join(code, "f"), []byte("code\n"), 0o644)
	_ = os.WriteFile(filepath.Join(lang, "f"), []byte("lang\n"), 0o644)
	later := t.TempDir()
	_ = os.WriteFile(filepath.Join(later, "f"), []byte("later\n"), 0o644)
	d := open(t, process.Config{Readable: []string{later}})
	b := sandboxtest.Create(t, d, sandbox.Spec{Image: []sandbox.Bind{{Source: lang, Target: "/var/runtime"}}})
	if got, want := b.Path("/var/runtime/f"), filepath.Join(lang, "f"); got != want {
		t.Errorf("path of an image's file: got %s, want %s", got, want)
	}
	if err := b.Mount(code, sandbox.MountTask); err != nil {
		t.Fatalf("mount: %v", err)
	}
	p := sandboxtest.Shell(t, b, `cat "$1/f" "$2/f"; read x; cat "$3/f"; echo ok > "$TMPDIR/f"; cat "$TMPDIR/f"`,
		b.Path(sandbox.MountTask), b.Path("/var/runtime"), b.Path(sandbox.MountLayers))
	p.Expect("code")
	p.Expect("lang")
	if err := b.Mount(later, sandbox.MountLayers); err != nil {
		t.Fatalf("mount after exec: %v", err)
	}
	p.Send("")
	p.Expect("later")
	p.Expect("ok")
	p.End()
	b.Kill()
	if _, err := os.Stat(b.Path(sandbox.MountTask)); !os.IsNotExist(err) {
		t.Errorf("the sandbox's folder after Kill: got %v, want that it does not exist", err)
	}
	if _, err := os.Stat(filepath.Join(code, "f")); err != nil {
		t.Errorf("mounted code after Kill: %v", err)
	}
}

func TestKillEndsTheGroup(t *testing.T) {
	d := open(t, process.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{})
	line := sandboxtest.Shell(t, b, "sleep 1000 & echo $!; wait").Line()
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("pid of the child: got %q", line)
	}
	b.Kill()
	sandboxtest.Until(t, "the child's end", func() bool { return sandboxtest.Gone(pid) })
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
	err = b.Exec([]string{"/bin/sh", "-c", "sleep 1000 & echo $!; echo $$; wait"}, nil, "/",
		[]*os.File{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		panic(err)
	}
	fmt.Println(told)
	select {}
}

// told is what the node says when its watchdog knows the sandbox: before, nobody can end that.
const told = "told"

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
	for range 3 {
		line, err := r.ReadString('\n')
		line = strings.TrimSpace(line)
		if line == told {
			continue
		}
		pid, nerr := strconv.Atoi(line)
		if err != nil || nerr != nil {
			t.Fatalf("a pid of the sandbox: got %q, %v", line, err)
		}
		pids = append(pids, pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range pids {
		sandboxtest.Until(t, "a process to end", func() bool { return sandboxtest.Gone(pid) })
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "rouse-sandboxes-*")); len(left) != 1 {
		t.Fatalf("folders of the dead node: got %v, want one", left)
	}
	open(t, process.Config{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, "rouse-sandboxes-*")); len(left) != 1 {
		t.Errorf("folders after the next start: got %v, want that node's alone", left)
	}
}
