//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leaf is where the node puts itself when its own group becomes a parent: a group of v2 with controllers for its
// children must not hold processes.
const leaf = "rouse-node"

// openUnified makes the node's group below the cgroup2 mount. Where: in our own group if it was delegated to us (systemd:
// Delegate=yes, or a container's) or holds nobody else, else, as root, at the top beside the system's slices, as container engines do.
func (t *Tree) openUnified(mount, self string) {
	home, moves, err := unifiedHome(mount, self)
	if err != nil {
		t.missAll(err)
		return
	}
	b, err := read(filepath.Join(home, "cgroup.controllers"))
	if err != nil {
		t.missAll(err)
		return
	}
	var want []string
	for _, name := range []string{"memory", "cpu", "pids"} {
		if slices.Contains(strings.Fields(b), name) {
			want = append(want, name)
		}
	}
	dir := filepath.Join(home, base, t.owner)
	if err := makeOwn(dir); err != nil {
		t.missAll(err)
		return
	}
	t.v2 = dir
	t.parents = append(t.parents, filepath.Dir(dir))
	for _, name := range want {
		if err := enable(home, name, moves); err != nil {
			t.miss(name, err.Error())
			continue
		}
		if err := errors.Join(enable(filepath.Dir(dir), name, false), enable(dir, name, false)); err != nil {
			t.miss(name, err.Error())
			continue
		}
		t.v2has = append(t.v2has, name)
	}
}

func (t *Tree) missAll(err error) {
	for _, name := range controllers {
		t.miss(name, err.Error())
	}
}

// unifiedHome is the group below which we may make ours; moves says that it may be one that holds us.
func unifiedHome(mount, self string) (home string, moves bool, err error) {
	b, err := os.ReadFile(self)
	if err != nil {
		return "", false, err
	}
	own := ""
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = filepath.Join(mount, strings.TrimSuffix(rest, "/"+leaf))
		}
	}
	if own == "" {
		return "", false, fmt.Errorf("%s names no unified group", self)
	}
	switch {
	case own == filepath.Clean(mount):
		_, err := os.Stat(filepath.Join(own, "cgroup.type")) // only the machine's true root has none
		return own, err == nil, nil
	case delegated(own):
		return own, true, nil
	case os.Geteuid() == 0:
		return mount, false, nil
	case alone(own):
		return own, true, nil
	}
	return "", false, fmt.Errorf("group %s is not delegated to this user (systemd: Delegate=yes)", own)
}

func delegated(dir string) bool {
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		var b [8]byte
		if n, err := unix.Getxattr(dir, name, b[:]); err == nil && n == 1 && b[0] == '1' {
			return unix.Access(dir, unix.W_OK) == nil
		}
	}
	return false
}

// alone reports whether dir is this user's and holds nobody but this process and what it started. A user's systemd (that of Debian 12, 252) does not mark
// what it delegates; `systemd-run --user --scope -p Delegate=yes rouse …` makes such a group, and a terminal's has a shell in it.
func alone(dir string) bool {
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, name), &st); err != nil || int(st.Uid) != os.Geteuid() {
			return false
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, leaf)} {
		procs, err := read(filepath.Join(d, "cgroup.procs"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false
		}
		for _, pid := range strings.Fields(procs) {
			if n, _ := strconv.Atoi(pid); !ours(n) {
				return false
			}
		}
	}
	return true
}

// ours reports whether a process is this one or descends from it.
func ours(pid int) bool {
	for ; pid > 1; pid = parent(pid) {
		if pid == os.Getpid() {
			return true
		}
	}
	return false
}

// parent is the parent of a process, 0 when that is gone.
func parent(pid int) int {
	stat, err := read(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	rest := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // the name before may hold anything
	if len(rest) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(rest[1])
	return n
}

// enable gives the children of dir a controller. When dir holds processes and moves is set, they go to a leaf first.
func enable(dir, name string, moves bool) error {
	path := filepath.Join(dir, "cgroup.subtree_control")
	if have, err := read(path); err == nil && slices.Contains(strings.Fields(have), name) {
		return nil
	}
	err := write(path, "+"+name)
	if !errors.Is(err, unix.EBUSY) || !moves {
		return err
	}
	sub := filepath.Join(dir, leaf)
	if err := os.MkdirAll(sub, 0o755); err != nil {
		return err
	}
	procs, err := read(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(procs) {
		if n, _ := strconv.Atoi(pid); n == 0 {
			return fmt.Errorf("%s holds processes of another pid namespace", dir)
		}
		if err := write(filepath.Join(sub, "cgroup.procs"), pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return write(path, "+"+name)
}
