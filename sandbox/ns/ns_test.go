//go:build linux

package ns_test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/ns"
)

func open(t testing.TB, c ns.Config) *ns.Driver {
	t.Helper()
	needRoot(t)
	d, err := ns.Open(t.Context(), c)
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

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI runs these tests as root, and this is not")
	}
	t.Skip("needs root: namespaces and control groups")
}

func create(t testing.TB, d *ns.Driver, spec sandbox.Spec) sandbox.Sandbox {
	t.Helper()
	b, err := d.Create(context.Background(), spec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(b.Kill)
	return b
}

// shell runs a shell script in b and returns what it printed and how it ended.
func shell(t testing.TB, b sandbox.Sandbox, command string) (string, sandbox.Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = b.Exec([]string{"/bin/sh", "-c", command}, []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}, "/tmp",
		[]*os.File{nil2(t), w, w})
	_ = w.Close()
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	await(t, b.Done(), "the shell's end")
	return string(out), b.Exit()
}

func nil2(t testing.TB) *os.File {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func await(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited 20 s for %s", what)
	}
}

func TestExec(t *testing.T) {
	d := open(t, ns.Config{})
	b := create(t, d, sandbox.Spec{Limits: sandbox.LambdaLimits(256, 64)})
	out, exit := shell(t, b, "id; ps aux; cat /proc/self/status | grep -E 'Cap|NoNew|Secc|Uid'; ls -l / /dev /etc /run; cat /proc/mounts /proc/self/cgroup; hostname; ls -l /proc/self/fd; touch /x; exit 3")
	if exit.Code != 3 {
		t.Errorf("exit: got %+v, want code 3", exit)
	}
	t.Log(strings.TrimSpace(out))
	t.Logf("%+v", b.Timing())
}
