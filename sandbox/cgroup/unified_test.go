//go:build linux

package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/sandbox"
)

// fakeTree is a unified hierarchy in ordinary files: what is written can be read back, on machines that have only v1.
func fakeTree(t *testing.T, files map[string]string) (*Tree, func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "g", "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "g", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := &Tree{owner: "1-1", v1: map[string]string{}, v2: dir, v2has: []string{"memory", "cpu", "pids"},
		reasons: map[string]string{}}
	return tree, func(name string) string {
		t.Helper()
		got, err := read(filepath.Join(dir, "g", name))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
}

func TestUnifiedLimits(t *testing.T) {
	tree, value := fakeTree(t, map[string]string{"memory.max": "", "memory.swap.max": "", "cpu.max": "", "cpu.weight": "",
		"pids.max": ""})
	g := &Group{t: tree, id: "g"}
	for _, c := range []struct {
		limits sandbox.Limits
		want   map[string]string
	}{
		{sandbox.LambdaLimits(1769, 512), map[string]string{"memory.max": "1854930944", "memory.swap.max": "0",
			"cpu.max": "100000 100000", "cpu.weight": "100", "pids.max": "1025"}},
		{sandbox.Limits{CPUs: 0.0723}, map[string]string{"cpu.max": "1446 20000", "cpu.weight": "7"}},
		{sandbox.Limits{CPUs: 0.0001}, map[string]string{"cpu.max": "1000 20000", "cpu.weight": "1"}},
		{sandbox.Limits{CPUs: 6}, map[string]string{"cpu.max": "600000 100000", "cpu.weight": "600"}},
		{sandbox.Limits{Share: 10}, map[string]string{"cpu.max": "600000 100000", "cpu.weight": "60"}},
		{sandbox.Limits{CPUs: 1, Share: 10}, map[string]string{"cpu.max": "100000 100000", "cpu.weight": "10"}},
		{sandbox.Limits{CPUs: 6, Share: 100}, map[string]string{"cpu.max": "600000 100000", "cpu.weight": "600"}},
		{sandbox.Limits{MemoryBytes: 128 << 20}, map[string]string{"memory.max": "134217728"}},
		{sandbox.Limits{Pids: 7}, map[string]string{"pids.max": "8", "memory.max": "134217728"}},
	} {
		if err := g.Limit(c.limits); err != nil {
			t.Fatalf("limit to %+v: %v", c.limits, err)
		}
		for name, want := range c.want {
			// A write to an ordinary file leaves the tail of what was longer.
			if got := value(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s after %+v: got %q, want %q", name, c.limits, got, want)
			}
		}
	}
	if err := os.Remove(filepath.Join(tree.v2, "g", "memory.swap.max")); err != nil {
		t.Fatal(err)
	}
	if err := g.Limit(sandbox.Limits{MemoryBytes: 64 << 20}); err != nil {
		t.Errorf("limit without swap accounting: %v", err)
	}
}

func TestUnifiedStats(t *testing.T) {
	tree, _ := fakeTree(t, map[string]string{"memory.current": "1000\n", "memory.peak": "5000\n",
		"memory.events": "low 0\noom 2\noom_kill 1\n", "cpu.stat": "usage_usec 1500\nuser_usec 1000\n", "pids.current": "4\n"})
	s, err := (&Group{t: tree, id: "g"}).Stats()
	want := sandbox.Stats{MemoryBytes: 1000, MemoryPeakBytes: 5000, CPU: 1_500_000, Pids: 3, OOMKilled: true}
	if err != nil || s != want {
		t.Errorf("stats: got %+v, %v; want %+v", s, err, want)
	}
	if err := os.Remove(filepath.Join(tree.v2, "g", "memory.peak")); err != nil { // before Linux 5.19
		t.Fatal(err)
	}
	if s, err := (&Group{t: tree, id: "g"}).Stats(); err != nil || s.MemoryPeakBytes != 1000 {
		t.Errorf("stats without a peak: got %+v, %v; want the current use", s, err)
	}
}

func TestEnable(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "cgroup.subtree_control")
	if err := os.WriteFile(control, []byte("cpu pids"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"cpu": "cpu pids", "memory": "+memory"} {
		if err := enable(dir, name, false); err != nil {
			t.Fatal(err)
		}
		if got, _ := read(control); !strings.HasPrefix(got, want) {
			t.Errorf("subtree_control after enabling %s: got %q, want %q", name, got, want)
		}
		if err := os.WriteFile(control, []byte("cpu pids"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnifiedHome(t *testing.T) {
	mount := t.TempDir()
	for _, d := range []string{"ours", "theirs/scope", "ours/" + leaf} {
		if err := os.MkdirAll(filepath.Join(mount, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self := filepath.Join(t.TempDir(), "cgroup")
	for _, c := range []struct {
		name, self, typ, home string
		moves, fails          bool
	}{
		{"the machine's root", "0::/\n", "", mount, false, false},
		{"a container's root", "0::/\n", "domain\n", mount, true, false},
		{"not delegated, as root", "12:memory:/x\n0::/theirs/scope\n", "", mount, false, os.Geteuid() != 0},
		{"none", "12:memory:/x\n", "", "", false, true},
	} {
		typ := filepath.Join(mount, "cgroup.type")
		_ = os.Remove(typ)
		if c.typ != "" {
			if err := os.WriteFile(typ, []byte(c.typ), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(self, []byte(c.self), 0o644); err != nil {
			t.Fatal(err)
		}
		home, moves, err := unifiedHome(mount, self)
		if (err != nil) != c.fails {
			t.Errorf("%s: got %v, want an error: %v", c.name, err, c.fails)
		}
		if err == nil && (home != c.home || moves != c.moves) {
			t.Errorf("%s: got %s, %v; want %s, %v", c.name, home, moves, c.home, c.moves)
		}
	}
}

// TestAlone: what an ordinary user's group has to be to be taken for a node's own.
func TestAlone(t *testing.T) {
	self := strconv.Itoa(os.Getpid()) + "\n"
	child := exec.Command("/bin/sh", "-c", "read x")
	in, err := child.StdinPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = child.Wait() })
	for _, c := range []struct {
		name, procs, leaf string
		want              bool
	}{
		{"this process", self, "", true},
		{"this process, in the leaf since its last start", "", self, true},
		{"and what it started", self + strconv.Itoa(child.Process.Pid) + "\n", "", true},
		{"a shell as well", self + "1\n", "", false},
		{"another node", self, "1\n", false},
	} {
		dir := t.TempDir()
		for name, body := range map[string]string{"cgroup.procs": c.procs, "cgroup.subtree_control": "", leaf + "/cgroup.procs": c.leaf} {
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(body), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got := alone(dir); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if alone(filepath.Join(t.TempDir(), "nothing")) {
		t.Error("a group that is not there: got true, want false")
	}
}
