//go:build linux

package cgroup_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root: control groups")
	}
}

// variants are the system's mounts as they are, and with the unified hierarchy or everything else hidden.
func variants(t *testing.T) map[string]cgroup.Config {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]cgroup.Config{"as it is": {}}
	var v1 strings.Builder
	unified := false
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " - cgroup2 ") {
			unified = true
			continue
		}
		v1.WriteString(line)
	}
	if unified && strings.Contains(v1.String(), " - cgroup ") {
		name := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(name, []byte(v1.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		list["v1 alone"] = cgroup.Config{MountInfo: name}
	}
	return list
}

func open(t *testing.T, c cgroup.Config) *cgroup.Tree {
	t.Helper()
	tree, err := cgroup.Open(c)
	if err != nil {
		missing(t, "no control groups here: %v", err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return tree
}

// inside starts a program in g: by the doors of v1 and, through a shell that joins them, of v2.
func inside(t *testing.T, g *cgroup.Group, program string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	doors, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer doors.Close()
	cmd := exec.Command("/bin/sh", "-c", "read go; "+program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Thaw(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for _, f := range doors.Join {
		_, err = f.WriteString(strconv.Itoa(cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
	}
	if doors.RunJoin != nil {
		_, err = doors.RunJoin.WriteString(strconv.Itoa(cmd.Process.Pid))
	} else if doors.RunClone != nil {
		err = os.WriteFile(filepath.Join(doors.RunClone.Name(), "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func TestGroup(t *testing.T) {
	needRoot(t)
	for name, c := range variants(t) {
		t.Run(name, func(t *testing.T) {
			tree := open(t, c)
			g, err := tree.New("g", sandbox.Limits{MemoryBytes: 64 << 20, CPUs: 0.5, Pids: 20})
			if err != nil {
				t.Fatal(err)
			}
			cmd, out := inside(t, g, "echo up; while :; do :; done")
			if line, err := out.ReadString('\n'); line != "up\n" {
				t.Fatalf("the program: got %q, %v", line, err)
			}
			var s sandbox.Stats
			sandboxtest.Until(t, "some CPU time", func() bool {
				if s, err = g.Stats(); err != nil {
					t.Fatal(err)
				}
				return s.CPU > 20*time.Millisecond
			})
			if s.MemoryPeakBytes <= 0 || s.OOMKilled {
				t.Errorf("stats: got %+v, want some memory and no lack of it", s)
			}
			for _, l := range []sandbox.Limits{{MemoryBytes: 128 << 20}, {MemoryBytes: 32 << 20}, {CPUs: 2}, {CPUs: 0.001},
				{Pids: 10}, {}} {
				if err := g.Limit(l); err != nil {
					t.Errorf("limit to %+v: %v", l, err)
				}
			}
			if err := g.Freeze(); err != nil {
				t.Fatalf("freeze: %v", err)
			}
			before, _ := g.Stats()
			if after, _ := g.Stats(); after.CPU > before.CPU+time.Millisecond {
				t.Errorf("frozen: got %v more of CPU", after.CPU-before.CPU)
			}
			if err := g.Thaw(); err != nil {
				t.Fatalf("thaw: %v", err)
			}
			sandboxtest.Until(t, "it to go on", func() bool { s, _ := g.Stats(); return s.CPU > before.CPU+5*time.Millisecond })
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if err := g.Remove(); err != nil {
				t.Errorf("remove: %v", err)
			}
		})
	}
}

// TestSweep: groups of an owner that never lived are removed with what is in them, those of the living stay.
func TestSweep(t *testing.T) {
	needRoot(t)
	for name, c := range variants(t) {
		t.Run(name, func(t *testing.T) {
			tree := open(t, c)
			dead := c
			me, err := cgroup.Owner(os.Getpid())
			if err != nil {
				t.Fatal(err)
			}
			part := strings.Split(me, "-")
			part[1] = "1" // this process did not start then
			dead.Owner = strings.Join(part, "-")
			old := open(t, dead)
			g, err := old.New("g", sandbox.Limits{MemoryBytes: 64 << 20})
			if err != nil {
				t.Fatal(err)
			}
			cmd, out := inside(t, g, "echo up; while :; do :; done")
			_, _ = out.ReadString('\n')
			if err := g.Freeze(); err != nil {
				t.Fatal(err)
			}
			mine, err := tree.New("mine", sandbox.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); _ = cmd.Wait() }()
			gone, err := tree.Sweep()
			if err != nil || len(gone) == 0 || !slices.Contains(gone, dead.Owner) {
				t.Errorf("sweep: got %v, %v; want %s", gone, err, dead.Owner)
			}
			sandboxtest.Await(t, ended, "the end of what was in a dead node's group")
			if left, _ := filepath.Glob("/sys/fs/cgroup/*/rouse/" + dead.Owner); len(left) > 0 {
				t.Errorf("left after the sweep: %v", left)
			}
			if err := mine.Remove(); err != nil {
				t.Errorf("remove of our own group after the sweep: %v", err)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	me, err := cgroup.Owner(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	space := me[strings.LastIndexByte(me, '-'):]
	for owner, want := range map[string]bool{me: true, "1-1" + space: false, strconv.Itoa(os.Getpid()) + "-1" + space: false,
		"999999999-5" + space: false, "999999999-5-1": true, "": true, "x": true, "1-1": true, "x-y-z": true} {
		if got := cgroup.Alive(owner); got != want {
			t.Errorf("alive %q: got %v, want %v", owner, got, want)
		}
	}
}

func TestOpenWithoutControllers(t *testing.T) {
	dir := t.TempDir()
	mounts, self := filepath.Join(dir, "mountinfo"), filepath.Join(dir, "cgroup")
	if err := os.WriteFile(mounts, []byte("22 1 8:1 / / rw - ext4 /dev/sda rw\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, []byte("0::/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cgroup.Open(cgroup.Config{MountInfo: mounts, Self: self}); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("open without controllers: got %v, want an error that names them", err)
	}
}

// FuzzMounts: whatever the kernel lists, Open answers.
func FuzzMounts(f *testing.F) {
	f.Add("29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/a\n")
	f.Add("30 25 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n", "4:memory:/\n")
	f.Add(" - cgroup\n - \n", "")
	f.Fuzz(func(t *testing.T, mountinfo, self string) {
		dir := t.TempDir()
		// Only what cannot exist, so that nothing of the system is touched.
		mountinfo = strings.ReplaceAll(mountinfo, "/", "/nowhere-at-all-")
		m, s := filepath.Join(dir, "m"), filepath.Join(dir, "s")
		if err := errors.Join(os.WriteFile(m, []byte(mountinfo), 0o644), os.WriteFile(s, []byte(self), 0o644)); err != nil {
			t.Fatal(err)
		}
		if tree, err := cgroup.Open(cgroup.Config{MountInfo: m, Self: s, Owner: "1-1"}); err == nil {
			_ = tree.Close()
			t.Errorf("open of mounts that do not exist: got a tree")
		}
	})
}
