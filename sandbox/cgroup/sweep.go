//go:build linux

package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sweep ends the processes and removes the groups of owners that are gone, and returns their names.
func (t *Tree) Sweep() (gone []string, err error) {
	var errs []error
	for _, parent := range t.parents {
		owners, err := os.ReadDir(parent)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, o := range owners {
			if o.IsDir() && o.Name() != t.owner && !Alive(o.Name()) {
				gone = append(gone, o.Name())
			}
		}
	}
	slices.Sort(gone)
	gone = slices.Compact(gone)
	for _, owner := range gone {
		errs = append(errs, t.sweep(owner))
	}
	return gone, errors.Join(errs...)
}

// sweep kills in one hierarchy what another one may hold frozen, so that all are thawed and killed before any is removed.
func (t *Tree) sweep(owner string) error {
	var dirs []string
	for _, parent := range t.parents {
		_ = filepath.WalkDir(filepath.Join(parent, owner), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return nil // what cannot be read is reported when it cannot be removed
		})
	}
	for _, dir := range dirs {
		procs, _ := read(filepath.Join(dir, "cgroup.procs"))
		for _, p := range strings.Fields(procs) {
			if pid, _ := strconv.Atoi(p); pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		for _, thaw := range [][2]string{{"freezer.state", "THAWED"}, {"cgroup.freeze", "0"}} {
			_ = write(filepath.Join(dir, thaw[0]), thaw[1]) // only one of them exists
		}
	}
	var errs []error
	for _, dir := range slices.Backward(dirs) { // the deepest first
		errs = append(errs, rmdir(dir))
	}
	return errors.Join(errs...)
}
