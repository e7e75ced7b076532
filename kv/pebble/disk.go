package pebble

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system that Pebble is given. The first failed change is reported to fail and hidden from Pebble; from
// then on it drops all changes and says that they went well. See the package comment for the reason.
//
// Removals may fail: they leave garbage, which the next start sweeps. Reads pass through with their errors.
type disk struct {
	vfs.FS
	fail func(error)
	dead atomic.Bool
}

// broke takes note of how a change ended, and reports whether it failed.
func (d *disk) broke(err error) bool {
	if err == nil {
		return false
	}
	d.fail(err)
	d.dead.Store(true)
	return true
}

// change runs a change that has no result.
func (d *disk) change(op func() error) error {
	if d.dead.Load() {
		return nil
	}
	d.broke(op())
	return nil
}

// file runs a change that ends in an open file.
func (d *disk) file(name string, op func() (vfs.File, error)) (vfs.File, error) {
	if d.dead.Load() {
		return sink{name: d.FS.PathBase(name)}, nil
	}
	f, err := op()
	if d.broke(err) {
		return sink{name: d.FS.PathBase(name)}, nil
	}
	return diskFile{File: f, disk: d}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.OpenDir(name) })
}

func (d *disk) Link(from, to string) error {
	return d.change(func() error { return d.FS.Link(from, to) })
}

func (d *disk) Rename(from, to string) error {
	return d.change(func() error { return d.FS.Rename(from, to) })
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.change(func() error { return d.FS.MkdirAll(dir, perm) })
}

func (d *disk) Remove(name string) error {
	if d.dead.Load() {
		return nil
	}
	return d.FS.Remove(name)
}

func (d *disk) RemoveAll(name string) error {
	if d.dead.Load() {
		return nil
	}
	return d.FS.RemoveAll(name)
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is a file, or a folder, that was opened for changes.
type diskFile struct {
	vfs.File
	disk *disk
}

func (f diskFile) Write(p []byte) (int, error) {
	return len(p), f.disk.change(func() error { _, err := f.File.Write(p); return err })
}

func (f diskFile) WriteAt(p []byte, off int64) (int, error) {
	return len(p), f.disk.change(func() error { _, err := f.File.WriteAt(p, off); return err })
}

func (f diskFile) Sync() error     { return f.disk.change(f.File.Sync) }
func (f diskFile) SyncData() error { return f.disk.change(f.File.SyncData) }

func (f diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.disk.change(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

func (f diskFile) Preallocate(offset, length int64) error {
	if f.disk.dead.Load() {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

func (f diskFile) Close() error {
	err := f.File.Close()
	if !f.disk.dead.Load() {
		f.disk.broke(err)
	}
	return nil
}

// sink stands in for a file that a dead disk could not open. Nothing was written, so there is nothing to read.
type sink struct{ name string }

var errSink = errors.New("kv: the disk has failed")

func (sink) Close() error                           { return nil }
func (sink) Read([]byte) (int, error)               { return 0, errSink }
func (sink) ReadAt([]byte, int64) (int, error)      { return 0, errSink }
func (sink) Write(p []byte) (int, error)            { return len(p), nil }
func (sink) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (sink) Preallocate(_, _ int64) error           { return nil }
func (s sink) Stat() (vfs.FileInfo, error)          { return sinkInfo(s), nil }
func (sink) Sync() error                            { return nil }
func (sink) SyncData() error                        { return nil }
func (sink) SyncTo(int64) (full bool, err error)    { return true, nil }
func (sink) Prefetch(_, _ int64) error              { return nil }
func (sink) Fd() uintptr                            { return vfs.InvalidFd }

type sinkInfo sink

func (i sinkInfo) Name() string         { return i.name }
func (sinkInfo) Size() int64            { return 0 }
func (sinkInfo) Mode() os.FileMode      { return 0o600 }
func (sinkInfo) ModTime() time.Time     { return time.Time{} }
func (sinkInfo) IsDir() bool            { return false }
func (sinkInfo) Sys() any               { return nil }
func (sinkInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
