//go:build linux

package ns_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/ns"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// TestMain lets tests start this program as a node of its own.
func TestMain(m *testing.M) {
	if os.Getenv("ROUSE_TEST_NODE") != "" {
		node()
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, c ns.Config) *ns.Driver {
	t.Helper()
	if !c.Rootless {
		needRoot(t)
	}
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
	if os.Geteuid() != 0 {
		missing(t, "needs root: namespaces and control groups")
	}
}

func TestRoot(t *testing.T) {
	needRoot(t)
	sandboxtest.Run(t, func(t *testing.T) sandbox.Driver { return open(t, ns.Config{}) })
}

// TestRootV1 is the same on control groups of the first version alone, where this machine has those.
func TestRootV1(t *testing.T) {
	needRoot(t)
	name := filepath.Join(t.TempDir(), "mountinfo")
	all, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var v1 strings.Builder
	for line := range strings.Lines(string(all)) {
		if !strings.Contains(line, " - cgroup2 ") {
			v1.WriteString(line)
		}
	}
	if !strings.Contains(v1.String(), " - cgroup ") {
		t.Skip("no control groups of the first version here")
	}
	if err := os.WriteFile(name, []byte(v1.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	sandboxtest.Run(t, func(t *testing.T) sandbox.Driver {
		d := open(t, ns.Config{Cgroups: cgroup.Config{MountInfo: name}})
		if !d.Report().Limited() {
			t.Errorf("report: got %+v, want limits", d.Report())
		}
		return d
	})
}

// TestRootless is what an ordinary user has. Root runs it again as nobody.
func TestRootless(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "^TestRootless$")
		return
	}
	sandboxtest.Run(t, func(t *testing.T) sandbox.Driver { return openRootless(t) })
}

// openRootless opens a driver as an ordinary user. Where that is forbidden the test is skipped, except in CI and when
// root started it: root's machine is one where it has to work.
func openRootless(t *testing.T) *ns.Driver {
	t.Helper()
	d, err := ns.Open(t.Context(), ns.Config{})
	if err != nil {
		if os.Getenv("ROUSE_TEST_AS_NOBODY") != "" {
			t.Fatalf("rootless sandboxes do not work here: %v", err)
		}
		missing(t, "rootless sandboxes do not work here: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// asNobody runs tests of this program as a user without any privilege.
func asNobody(t *testing.T, tests string) {
	t.Helper()
	dir := sandboxtest.Files(t, nil)
	program := filepath.Join(dir, "ns.test")
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(tmp, 0o777)
	args := []string{"-test.run", tests}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "HOME="+tmp, "TMPDIR="+tmp, "ROUSE_TEST_AS_NOBODY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if testing.Verbose() || err != nil {
		t.Logf("as nobody:\n%s", out)
	}
	if err != nil {
		t.Fatalf("as nobody: %v", err)
	}
}
