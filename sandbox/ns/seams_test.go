//go:build linux

package ns_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/ns"
)

// pipes starts command with a socket as its standard input and output.
func pipes(t *testing.T, b sandbox.Sandbox, argv ...string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, f := socketpair(t)
	err := b.Exec(argv, []string{"PATH=/usr/bin:/bin"}, "/", []*os.File{f, f, f})
	_ = f.Close()
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return c, bufio.NewReader(c)
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("line from inside: got %q, %v; want %q", got, err, want)
	}
}

func TestMountBeforeAndAfterExec(t *testing.T) {
	d := open(t, ns.Config{})
	b := create(t, d, sandbox.Spec{})
	task, layer := t.TempDir(), t.TempDir()
	_ = os.WriteFile(filepath.Join(task, "f"), []byte("code\n"), 0o644)
	_ = os.WriteFile(filepath.Join(layer, "f"), []byte("layer\n"), 0o644)
	if err := b.Mount(task, sandbox.MountTask); err != nil {
		t.Fatalf("mount before exec: %v", err)
	}
	c, r := pipes(t, b, "/bin/sh", "-c", "cat /var/task/f; read x; cat /opt/f; touch /var/task/x 2>&1 | grep -o Read-only; read x")
	expect(t, r, "code")
	if err := b.Mount(layer, sandbox.MountLayers); err != nil {
		t.Fatalf("mount after exec: %v", err)
	}
	fmt.Fprintln(c)
	expect(t, r, "layer")
	expect(t, r, "Read-only")
	if err := b.Mount(task, "/etc"); rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("mount at /etc: got %v, want kind invalid", err)
	}
	if err := b.Mount("/nowhere/at/all", sandbox.MountTask); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("mount of nothing: got %v, want an error that names it", err)
	}
}

func TestListenAndDial(t *testing.T) {
	d := open(t, ns.Config{})
	b := create(t, d, sandbox.Spec{})
	l, addr, err := b.Listen(9001)
	if err != nil {
		t.Fatalf("listen before exec: %v", err)
	}
	defer l.Close()
	if addr != "127.0.0.1:9001" {
		t.Errorf("address: got %s, want 127.0.0.1:9001", addr)
	}
	const program = `
import socket
s = socket.create_connection(("127.0.0.1", 9001)); s.sendall(b"hello\n")
l = socket.create_server(("127.0.0.1", 8000)); print("up", flush=True)
c, _ = l.accept(); c.sendall(b"from inside\n"); c.close(); input()`
	c, r := pipes(t, b, python(t), "-c", program)
	in, err := l.Accept()
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	expect(t, bufio.NewReader(in), "hello")
	_ = in.Close()
	expect(t, r, "up")
	out, err := b.Dial(t.Context(), 8000)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	expect(t, bufio.NewReader(out), "from inside")
	_ = out.Close()
	if _, err := b.Dial(t.Context(), 8001); err == nil {
		t.Error("dial of a port where nobody listens: got a connection, want an error")
	}
	l2, addr2, err := b.Listen(0)
	if err != nil {
		t.Fatalf("listen after exec: %v", err)
	}
	_ = l2.Close()
	if !strings.HasPrefix(addr2, "127.0.0.1:") {
		t.Errorf("address: got %s, want one of 127.0.0.1", addr2)
	}
	fmt.Fprintln(c)
	await(t, b.Done(), "the program's end")
	if got := b.Exit(); got != (sandbox.Exit{}) {
		t.Errorf("exit: got %+v, want success", got)
	}
	if _, _, err := b.Listen(1); rouse.KindOf(err) != rouse.Unavailable {
		t.Errorf("listen after the end: got %v, want kind unavailable", err)
	}
}

func TestExecFailures(t *testing.T) {
	d := open(t, ns.Config{})
	b := create(t, d, sandbox.Spec{})
	err := b.Exec([]string{"/bin/nothing"}, nil, "", nil)
	if rouse.KindOf(err) != rouse.Invalid || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("exec of nothing: got %v, want kind invalid and the reason", err)
	}
	await(t, b.Done(), "the end after a failed exec")
	if err := b.Exec([]string{"/bin/sh"}, nil, "", nil); rouse.KindOf(err) != rouse.Conflict {
		t.Errorf("second exec: got %v, want kind conflict", err)
	}
}

func TestFreeze(t *testing.T) {
	d := open(t, ns.Config{})
	b := create(t, d, sandbox.Spec{})
	c, r := pipes(t, b, "/bin/sh", "-c", "echo up; while read x; do echo $x; done")
	expect(t, r, "up")
	for range 3 {
		if err := b.Freeze(); err != nil {
			t.Fatalf("freeze: %v", err)
		}
		before, err := b.Stats()
		if err != nil {
			t.Fatalf("stats: %v", err)
		}
		fmt.Fprintln(c, "ping")
		if after, _ := b.Stats(); after.CPU > before.CPU+2e6 {
			t.Errorf("a frozen sandbox used %v of CPU", after.CPU-before.CPU)
		}
		if err := b.Thaw(); err != nil {
			t.Fatalf("thaw: %v", err)
		}
		expect(t, r, "ping")
	}
	if err := b.Freeze(); err != nil {
		t.Fatalf("freeze: %v", err)
	}
	b.Kill() // frozen as it is
	await(t, b.Done(), "the end of a frozen sandbox")
	if got := b.Exit(); got.Signal != 9 {
		t.Errorf("exit: got %+v, want signal 9", got)
	}
}
