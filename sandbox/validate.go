package sandbox

import (
	"path"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
)

// memoryMin is what a process tree needs to begin at all.
const memoryMin = 4 << 20

func (b Bind) validate() error {
	if !path.IsAbs(b.Source) || !path.IsAbs(b.Target) || path.Clean(b.Target) != b.Target {
		return rouse.Errorf(rouse.Invalid, "bind %q at %q: both want to be absolute, the target clean", b.Source, b.Target)
	}
	for _, kept := range []string{"/proc", "/dev", "/tmp", "/run", "/sys"} {
		if b.Target == "/" || b.Target == kept || strings.HasPrefix(b.Target, kept+"/") {
			return rouse.Errorf(rouse.Invalid, "bind at %q: that place belongs to the sandbox", b.Target)
		}
	}
	return nil
}

func (l Limits) validate() error {
	switch {
	case l.MemoryBytes < 0 || l.CPUs < 0 || l.Pids < 0 || l.Files < 0 || l.TmpBytes < 0:
		return rouse.Errorf(rouse.Invalid, "limits below zero: %+v", l)
	case l.Share < 0 || l.Share > 100:
		return rouse.Errorf(rouse.Invalid, "share of %d percent: want 1 to 100", l.Share)
	case l.MemoryBytes > 0 && l.MemoryBytes < memoryMin:
		return rouse.Errorf(rouse.Invalid, "memory limit of %d bytes: the least is %d", l.MemoryBytes, memoryMin)
	}
	return nil
}

// Merge is l with the fields of change that are not zero.
func (l Limits) Merge(change Limits) (Limits, error) {
	if err := change.validate(); err != nil {
		return l, err
	}
	if change.MemoryBytes > 0 {
		l.MemoryBytes = change.MemoryBytes
	}
	if change.CPUs > 0 {
		l.CPUs = change.CPUs
	}
	if change.Share > 0 {
		l.Share = change.Share
	}
	if change.Pids > 0 {
		l.Pids = change.Pids
	}
	if change.Files > 0 {
		l.Files = change.Files
	}
	if change.TmpBytes > 0 {
		l.TmpBytes = change.TmpBytes
	}
	return l, nil
}

// CheckMount tells whether Mount may put src at dst.
func CheckMount(src, dst string) error {
	if !path.IsAbs(src) {
		return rouse.Errorf(rouse.Invalid, "mount of %q: want an absolute path", src)
	}
	if !slices.Contains(MountPoints(), dst) {
		return rouse.Errorf(rouse.Invalid, "mount at %q: want one of %s", dst, strings.Join(MountPoints(), ", "))
	}
	return nil
}

// FilesMax is how many files Exec can hand over.
const FilesMax = 60

// CheckExec tells whether Exec can start that.
func CheckExec(argv, env []string, dir string, files int) error {
	switch {
	case len(argv) == 0 || !path.IsAbs(argv[0]):
		return rouse.Errorf(rouse.Invalid, "exec of %q: want a program by absolute path", argv)
	case dir != "" && !path.IsAbs(dir):
		return rouse.Errorf(rouse.Invalid, "exec in %q: want an absolute path", dir)
	case files > FilesMax:
		return rouse.Errorf(rouse.Invalid, "exec with %d files: the limit is %d", files, FilesMax)
	}
	for _, list := range [][]string{argv, env} {
		for _, v := range list {
			if strings.IndexByte(v, 0) >= 0 {
				return rouse.Errorf(rouse.Invalid, "exec of %s: an argument or variable holds a zero byte", argv[0])
			}
		}
	}
	return nil
}
