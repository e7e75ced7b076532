package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
)

// failing is a disk on which the n-th change fails, and perhaps all that follow.
type failing struct {
	left  atomic.Int64 // changes until it fails; far below zero: it never does
	stays bool
	kinds map[errorfs.OpKind]bool // nil: all changes
}

func (f *failing) String() string { return "failing disk" }

func (f *failing) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || f.kinds != nil && !f.kinds[op.Kind] {
		return nil
	}
	if n := f.left.Add(-1); n == 0 || f.stays && n < 0 && n > -1<<30 {
		return errorfs.ErrInjected
	}
	return nil
}

// TestDiskFailsOnTheNthChange: whichever change to the files fails, once or from then on: the process lives, every call ends
// with the right error, and what was acknowledged is there when the disk is well again.
func TestDiskFailsOnTheNthChange(t *testing.T) {
	for _, stays := range []bool{false, true} {
		failures := 0
		for n := int64(1); ; n += 1 + n/4 {
			if !failOnce(t, n, stays) {
				break
			}
			failures++
		}
		if failures < 15 {
			t.Errorf("failures tried: got %d, want many more", failures)
		}
	}
}

// failOnce works on a disk that fails on the n-th change and reports whether it got that far.
func failOnce(t *testing.T, n int64, stays bool) (failed bool) {
	t.Helper()
	mem, f := vfs.NewCrashableMem(), &failing{stays: stays}
	f.left.Store(-1 << 40)
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: errorfs.Wrap(mem, f)})
	must(t, err)
	f.left.Store(n)
	var acked [4][]string
	var wg sync.WaitGroup
	for w := range acked {
		wg.Go(func() {
			// Enough to rotate the log and to flush a few times.
			for i := range 150 {
				key := fmt.Sprintf("%d-%04d", w, i)
				err := s.Update(context.Background(), func(tx kv.Tx) error {
					tx.Set([]byte(key), bytes.Repeat([]byte(key), 800))
					tx.Append([]byte("log"), []byte(key))
					return nil
				})
				if err == nil {
					acked[w] = append(acked[w], key)
					continue
				}
				if !errors.Is(err, kv.ErrClosed) {
					t.Errorf("Update on a failing disk (change %d): got %v, want nil or ErrClosed", n, err)
				}
				return
			}
		})
	}
	wg.Wait()
	select {
	case err := <-s.Failed():
		failed = true
		if !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Failed (change %d): got %v, want the disk's error", n, err)
		}
		ctx := context.Background()
		_, cerr := s.Claim(ctx, kv.Range{}, 1, func(kv.Tx, []kv.Pair) error { return nil })
		_, rerr := s.Read(ctx, []byte("log"), kv.Pos{}, 1)
		for call, err := range map[string]error{"View": s.View(ctx, func(kv.View) error { return nil }), "Claim": cerr, "Read": rerr,
			"Update": s.Update(ctx, func(kv.Tx) error { return nil }), "Trim": s.Trim(ctx, []byte("log"), kv.Pos{1})} {
			if !errors.Is(err, kv.ErrClosed) || !errors.Is(err, errorfs.ErrInjected) {
				t.Errorf("%s after the failure (change %d): got %v, want ErrClosed and the disk's error", call, n, err)
			}
		}
		if err := s.Close(); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Close after the failure (change %d): got %v, want the disk's error", n, err)
		}
	default:
		if err := s.Close(); err != nil && !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Close (change %d): got %v, want nil or the disk's error", n, err)
		}
	}
	again, err := pebble.Open(pebble.Config{Dir: "store", FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		t.Fatalf("Open of a healed disk (change %d): got %v, want nil", n, err)
	}
	defer again.Close()
	must(t, again.View(t.Context(), func(v kv.View) error {
		for _, ks := range acked {
			for _, k := range ks {
				if _, ok, err := v.Get([]byte(k)); !ok || err != nil {
					t.Errorf("key %s, acknowledged before change %d failed: got %v, %v, want it there", k, n, ok, err)
				}
			}
		}
		return nil
	}))
	return failed
}

// TestUnknownOutcome: a commit whose fsync fails may or may not be there afterwards, and its caller is told so.
func TestUnknownOutcome(t *testing.T) {
	mem, f := vfs.NewMem(), &failing{stays: true, kinds: map[errorfs.OpKind]bool{errorfs.OpFileSync: true, errorfs.OpFileSyncData: true}}
	f.left.Store(-1 << 40)
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: errorfs.Wrap(mem, f)})
	must(t, err)
	f.left.Store(1)
	err = s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil })
	if !errors.Is(err, kv.ErrUnknown) || !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Update whose fsync failed: got %v, want ErrUnknown and ErrClosed", err)
	}
	err = s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil })
	if errors.Is(err, kv.ErrUnknown) || !errors.Is(err, kv.ErrClosed) {
		t.Errorf("next Update: got %v, want ErrClosed alone", err)
	}
	s.Close()
}

// TestOpenOnFailingDisk: Open answers with the error, and the folder is free afterwards.
func TestOpenOnFailingDisk(t *testing.T) {
	for n := int64(1); n < 60; n++ {
		mem, f := vfs.NewMem(), &failing{}
		f.left.Store(n)
		s, err := pebble.Open(pebble.Config{Dir: "store", FS: errorfs.Wrap(mem, f)})
		if err == nil {
			s.Close()
		}
		again, err := pebble.Open(pebble.Config{Dir: "store", FS: mem})
		if err != nil {
			t.Errorf("Open after a failed one (change %d): got %v, want nil", n, err)
			continue
		}
		must(t, again.Close())
	}
}

func TestOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s, err := pebble.Open(pebble.Config{Dir: dir})
	must(t, err)
	_, err = pebble.Open(pebble.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("second Open: got %v, want an error with the folder, %s, and the process, %d", err, dir, os.Getpid())
	}
	must(t, s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil })) // unharmed
	must(t, s.Close())
	s, err = pebble.Open(pebble.Config{Dir: dir})
	must(t, err)
	must(t, s.Close())
	if _, err := pebble.Open(pebble.Config{}); err == nil {
		t.Error("Open without a folder: got nil, want an error")
	}
}

// raw opens the files with Pebble itself.
func raw(t *testing.T, fs vfs.FS, fn func(db *crdb.DB) error) {
	t.Helper()
	db, err := crdb.Open("store", &crdb.Options{FS: fs, FormatMajorVersion: crdb.FormatValueSeparation, Logger: silent{}})
	must(t, err)
	must(t, fn(db))
	must(t, db.Close())
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func TestFormat(t *testing.T) {
	fs := vfs.NewMem()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
	must(t, err)
	must(t, s.Close())
	raw(t, fs, func(db *crdb.DB) error {
		return db.Set([]byte("mf"), []byte{0, 0, 0, 0, 0, 0, 0, pebble.Format + 1}, crdb.Sync)
	})
	for range 2 { // and the folder is not left locked
		if _, err := pebble.Open(pebble.Config{Dir: "store", FS: fs}); err == nil || !strings.Contains(err.Error(), "newer Rouse") {
			t.Errorf("Open of a newer store: got %v, want it refused", err)
		}
	}
}

// TestCorruptTable: damaged files give an error, never wrong data, and end the store.
func TestCorruptTable(t *testing.T) {
	fs := vfs.NewMem()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
	must(t, err)
	must(t, s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range 1000 {
			tx.Set(fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{byte(i)}, 100))
		}
		return nil
	}))
	must(t, s.Close())
	raw(t, fs, func(db *crdb.DB) error { return db.Flush() })
	names, err := fs.List("store")
	must(t, err)
	for _, n := range names {
		if strings.HasSuffix(n, ".sst") {
			b, err := fs.UnsafeGetFileDataBuffer("store/" + n)
			must(t, err)
			for i := 100; i < len(b)/2; i += 50 {
				b[i] ^= 0xff
			}
		}
	}
	s, err = pebble.Open(pebble.Config{Dir: "store", FS: fs})
	if err != nil {
		return // seen at once: as good
	}
	defer s.Close()
	bad := 0
	for i := range 1000 {
		err := s.View(t.Context(), func(v kv.View) error {
			b, ok, err := v.Get(fmt.Appendf(nil, "%04d", i))
			if err == nil && (!ok || !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 100))) {
				t.Errorf("key %d of a damaged file: got %x, %v, want the value or an error", i, b, ok)
			}
			return err
		})
		if err != nil {
			bad++
		}
	}
	if bad == 0 {
		t.Error("reads of damaged files: got no error, want some")
	}
}

// TestClockAcrossRestarts: the process's clock is set back, while it runs and while it does not.
func TestClockAcrossRestarts(t *testing.T) {
	mem := vfs.NewCrashableMem()
	wall := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return wall }
	open := func(fs vfs.FS) *pebble.Store {
		s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs, Clock: clock})
		must(t, err)
		return s
	}
	commit := func(s *pebble.Store) {
		must(t, s.Update(t.Context(), func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil }))
	}
	s := open(mem)
	first := s.Now()
	if !first.Equal(wall) {
		t.Errorf("Now: got %v, want the process's clock, %v", first, wall)
	}
	wall = wall.Add(-time.Hour)
	if got := s.Now(); got.Before(first) {
		t.Errorf("Now after the clock was set back: got %v, want at least %v", got, first)
	}
	before := s.Now()
	wall = wall.Add(10 * time.Second)
	if d := s.Now().Sub(before); d < 8*time.Second || d > 10*time.Second {
		t.Errorf("Now, 10 s later and ahead of the wall: got %v on, want a little less than 10 s", d)
	}
	commit(s)
	told := s.Now()
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	wall = wall.Add(-24 * time.Hour)
	s = open(crashed)
	if got := s.Now(); got.Before(told) {
		t.Errorf("Now after a crash and a day back: got %v, want at least %v", got, told)
	}
	wall = wall.Add(30 * time.Second) // without a commit
	told = s.Now()
	must(t, s.Close())
	s = open(crashed)
	if got := s.Now(); got.Before(told) {
		t.Errorf("Now after a Close without a commit: got %v, want at least %v", got, told)
	}
	wall = wall.Add(20 * 24 * time.Hour)
	if got := s.Now(); !got.Equal(wall) {
		t.Errorf("Now, weeks later: got %v, want that of the wall, %v", got, wall)
	}
	must(t, s.Close())
}
