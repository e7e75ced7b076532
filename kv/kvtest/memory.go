package kvtest

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
)

// Memory opens a store that lives in memory and is closed with the test. Called inside a testing/synctest bubble, it
// belongs to the bubble: its clock is the bubble's, and it has stopped by the time the bubble ends.
func Memory(t testing.TB) kv.Store {
	t.Helper()
	return open(t, vfs.NewMem())
}

// Disk is a file system in memory that can lose power.
type Disk struct {
	mem *vfs.MemFS
	fs  vfs.FS
}

// NewDisk makes an empty disk. With an injector, each operation asks it first: it may wait, or answer with an error.
func NewDisk(inject ...errorfs.Injector) *Disk { return newDisk(vfs.NewCrashableMem(), inject) }

func newDisk(mem *vfs.MemFS, inject []errorfs.Injector) *Disk {
	d := &Disk{mem: mem, fs: mem}
	for _, i := range inject {
		d.fs = errorfs.Wrap(d.fs, i)
	}
	return d
}

// SlowDisk makes an empty disk whose fsyncs take mean on average, so that much happens between a write and its fsync.
func SlowDisk(mean time.Duration) *Disk {
	return NewDisk(errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			time.Sleep(time.Duration(rand.ExpFloat64() * float64(mean)))
		}
		return nil
	}))
}

// FS is the disk's file system.
func (d *Disk) FS() vfs.FS { return d.fs }

// Open opens the store on the disk and closes it with the test. One at a time.
func (d *Disk) Open(t testing.TB) kv.Store {
	t.Helper()
	return open(t, d.fs)
}

// Crash is the disk as a loss of power at this moment would leave it: all that was synced, and each block of the rest by
// chance. d itself goes on as if nothing had happened, so whatever runs on it plays the process that did not survive.
func (d *Disk) Crash(rng *rand.Rand) *Disk {
	percent := []int{0, 0, 30, 100}[rng.IntN(4)]
	return newDisk(d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}), nil)
}

// open opens a store on fs and closes it with the test, unless the test does.
func open(t testing.TB, fs vfs.FS) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}
