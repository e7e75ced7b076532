package pebble

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pidFile names the process that has the folder open, for the message to a second one. The lock itself is Pebble's.
const pidFile = "PID"

// folder is the locked folder of a store.
type folder struct {
	fs   vfs.FS
	dir  string
	lock *pebble.Lock
}

func lockFolder(fs vfs.FS, dir string) (*folder, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, fmt.Errorf("kv: make folder of the store: %w", err)
	}
	f := &folder{fs: fs, dir: dir}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		if pid := f.readPID(); pid != "" {
			return nil, fmt.Errorf("kv: the store in %s is in use by another process (pid %s): %w", dir, pid, err)
		}
		return nil, fmt.Errorf("kv: the store in %s cannot be locked; another process may be using it: %w", dir, err)
	}
	f.lock = lock
	return f, nil
}

// makeDir makes dir and what is missing above it, durably.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *folder) readPID() string {
	file, err := f.fs.Open(f.fs.PathJoin(f.dir, pidFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, 32))
	pid := strings.TrimSpace(string(b))
	if _, bad := strconv.ParseUint(pid, 10, 32); err != nil || bad != nil {
		return ""
	}
	return pid
}

func (f *folder) writePID(pid int) error {
	file, err := f.fs.Create(f.fs.PathJoin(f.dir, pidFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("kv: write pid file: %w", err)
	}
	_, err = fmt.Fprintln(file, pid)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("kv: write pid file: %w", err)
	}
	return nil
}

func (f *folder) unlock() error {
	f.fs.Remove(f.fs.PathJoin(f.dir, pidFile)) // a stale one does no harm
	return f.lock.Close()
}
