//go:build linux

// Package cgroup bounds sandboxes: memory, CPU time, number of processes, and freezing.
//
// Controllers are found one by one, so that v1, v2 and the hybrid of both are the same case: a controller is either
// mounted by itself (v1) or listed in the unified hierarchy (v2). Whatever the mix, when a cgroup2 is mounted a sandbox
// also has a group there: it freezes processes so that SIGKILL still ends them, which the v1 freezer cannot.
//
//	<controller>/rouse/<owner>/<id>          v1, one per controller: tasks join by writing 0
//	<unified>/rouse/<owner>/<id>             v2: limits; the init is cloned into it
//	<unified>/rouse/<owner>/<id>/run         v2: what is frozen; the payload is cloned into it, the init stays outside
//
// Nobody's pid is ever written to cgroup.procs on the way of a sandbox: that takes a lock of the whole system (15 ms at
// p90). <owner> is the node's pid, start time and pid namespace; Sweep removes the groups of owners that are gone, with what lives in
// them.
//
// A Tree is safe for concurrent use; a Group's methods are serialised by its owner.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// base is the folder below which all nodes of the machine keep their groups.
const base = "rouse"

// controllers that Rouse uses, in the order in which groups are made and joined.
var controllers = [...]string{"memory", "cpu", "pids", "cpuacct", "freezer"}

// Tree is where this node's groups live.
type Tree struct {
	owner   string
	v1      map[string]string // controller → <mount>/rouse/<owner>
	v2      string            // <unified>/rouse/<owner>, "" without
	v2has   []string          // controllers in force there
	parents []string          // every <mount>/rouse, for Sweep
	reasons map[string]string // controller → why it is not there
}

// Config says where to look. The zero value is the running system.
type Config struct {
	MountInfo string // default /proc/self/mountinfo
	Self      string // default /proc/self/cgroup
	Owner     string // default Owner(os.Getpid())
}

// Open finds the controllers and makes the node's own groups. It fails when there is no controller at all; Has tells
// about each.
func Open(c Config) (*Tree, error) {
	if c.MountInfo == "" {
		c.MountInfo = "/proc/self/mountinfo"
	}
	if c.Self == "" {
		c.Self = "/proc/self/cgroup"
	}
	if c.Owner == "" {
		owner, err := Owner(os.Getpid())
		if err != nil {
			return nil, err
		}
		c.Owner = owner
	}
	v1, v2, err := mounts(c.MountInfo)
	if err != nil {
		return nil, err
	}
	t := &Tree{owner: c.Owner, v1: map[string]string{}, reasons: map[string]string{}}
	if v2 != "" {
		t.openUnified(v2, c.Self)
	}
	for _, name := range controllers {
		if t.has2(name) || (name == "cpuacct" || name == "freezer") && t.v2 != "" {
			continue // the unified group counts time and freezes without a controller
		}
		mount, ok := v1[name]
		if !ok {
			t.miss(name, "no "+name+" controller is mounted")
			continue
		}
		dir := filepath.Join(mount, base, c.Owner)
		if err := makeOwn(dir); err != nil {
			t.miss(name, err.Error())
			continue
		}
		t.v1[name] = dir
		t.parents = append(t.parents, filepath.Dir(dir))
	}
	if len(t.v1) == 0 && len(t.v2has) == 0 {
		_ = t.Close()
		why := slices.Sorted(maps.Values(t.reasons))
		return nil, fmt.Errorf("no control group can be made: %s", strings.Join(slices.Compact(why), "; "))
	}
	return t, nil
}

// makeOwn makes a node's folder and the one of all nodes, in a hierarchy that must be there. Another node that ends may
// remove the latter in between.
func makeOwn(dir string) (err error) {
	for range 3 {
		if err = os.Mkdir(filepath.Dir(dir), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err = os.Mkdir(dir, 0o755); err == nil || errors.Is(err, os.ErrExist) {
			return nil
		}
	}
	return err
}

func (t *Tree) miss(name, why string) {
	if _, known := t.reasons[name]; !known {
		t.reasons[name] = why
	}
}

// Has reports whether name ("memory", "cpu", "pids", "freezer") is in force, and how or why not.
func (t *Tree) Has(name string) (ok bool, how string) {
	switch {
	case t.has2(name) || name == "freezer" && t.v2 != "":
		return true, "cgroup v2"
	case t.v1[name] != "":
		return true, "cgroup v1"
	}
	return false, t.reasons[name]
}

func (t *Tree) has2(name string) bool { return slices.Contains(t.v2has, name) }

// Close removes the node's own groups. Groups of sandboxes must be gone.
func (t *Tree) Close() error {
	var errs []error
	for _, dir := range t.v1 {
		errs = append(errs, rmdir(dir))
	}
	if t.v2 != "" {
		errs = append(errs, rmdir(t.v2))
	}
	for _, dir := range t.parents {
		_ = unix.Rmdir(dir) // of all nodes: stays while another has one
	}
	return errors.Join(errs...)
}

// mounts reads where the hierarchies are.
func mounts(path string) (v1 map[string]string, v2 string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	v1 = map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		head, tail, ok := strings.Cut(lines.Text(), " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if !ok || len(h) < 5 || len(t) < 3 {
			continue
		}
		switch t[0] {
		case "cgroup2":
			if v2 == "" {
				v2 = h[4]
			}
		case "cgroup":
			for _, option := range strings.Split(t[2], ",") {
				if slices.Contains(controllers[:], option) && v1[option] == "" {
					v1[option] = h[4]
				}
			}
		}
	}
	return v1, v2, lines.Err()
}

// Owner names the process pid of our pid namespace such that no other process ever has the same name.
func Owner(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	i := strings.LastIndexByte(string(b), ')') // the command may hold anything
	if i < 0 {
		return "", fmt.Errorf("stat of process %d: no command", pid)
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return "", fmt.Errorf("stat of process %d: %d fields", pid, len(f))
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(pid) + "-" + f[19] + "-" + strings.Trim(space, "pid:[]"), nil
}

// Alive reports whether the process that Owner named is still there. One of another pid namespace, such as another
// container's, cannot be seen from here and counts as alive; so does what is no owner's name.
func Alive(owner string) bool {
	part := strings.Split(owner, "-")
	pid, err := strconv.Atoi(part[0])
	if len(part) != 3 || err != nil {
		return true
	}
	if self, err := os.Readlink("/proc/self/ns/pid"); err != nil || strings.Trim(self, "pid:[]") != part[2] {
		return true
	}
	now, err := Owner(pid)
	return err == nil && now == owner
}

func write(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	_, err = unix.Write(fd, []byte(value))
	_ = unix.Close(fd)
	if err != nil {
		return &os.PathError{Op: "write " + value + " to", Path: path, Err: err}
	}
	return nil
}

// read reads a file of the kernel's: in one call, and without Go's poller, which Stats would feel.
func read(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var all []byte
	b := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return strings.TrimSpace(string(all)), nil
		}
		all = append(all, b[:n]...)
	}
}

func readInt(path string) (int64, error) {
	s, err := read(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(s, 10, 64)
}

// field reads "name value" from a flat file.
func field(path, name string) (int64, error) {
	s, err := read(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return strconv.ParseInt(rest, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: no %s", path, name)
}
