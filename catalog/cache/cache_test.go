package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rouse-dev/rouse/catalog/cache"
)

// TestMain lets a test start this program as one that fills a folder until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ROUSE_CACHE_TEST_DIR"); dir != "" {
		fillFor(dir)
		return
	}
	os.Exit(m.Run())
}

// fillFor fills half of a folder, and goes on for as long as its standard input is open.
func fillFor(dir string) {
	c, err := cache.Open(cache.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	_, _, _ = c.Take(context.Background(), "k", func(_ context.Context, d string) (int64, error) {
		_ = os.WriteFile(filepath.Join(d, "half"), []byte("half"), 0o444)
		fmt.Println("half")
		return io.Copy(io.Discard, os.Stdin)
	})
}

func open(t *testing.T, dir string, limit int64) *cache.Cache {
	t.Helper()
	c, err := cache.Open(cache.Config{Dir: dir, Max: limit})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return c
}

// filler writes body into a file and seals the folder, as the real one does.
func filler(body string, calls *atomic.Int32) cache.Fill {
	return func(_ context.Context, dir string) (int64, error) {
		if calls != nil {
			calls.Add(1)
		}
		err := os.WriteFile(filepath.Join(dir, "f"), []byte(body), 0o444)
		return int64(len(body)), errors.Join(err, os.Chmod(dir, 0o555))
	}
}

func take(t *testing.T, c *cache.Cache, key, body string) (dir string, release func()) {
	t.Helper()
	dir, release, err := c.Take(t.Context(), key, filler(body, nil))
	if err != nil {
		t.Fatalf("take %s: %v", key, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != body {
		t.Fatalf("take %s: got %q, %v; want %q", key, b, err, body)
	}
	return dir, release
}

func TestOneFills(t *testing.T) {
	c := open(t, scratch(t), 0)
	var calls atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, release, err := c.Take(t.Context(), "k", filler("x", &calls))
			if err != nil {
				t.Errorf("take: %v", err)
				return
			}
			release()
		})
	}
	wg.Wait()
	if got := calls.Load(); got != 1 {
		t.Errorf("filled %d times, want once", got)
	}
}

func TestWaiterOutlivesTheFillersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, scratch(t), 0)
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		go func() {
			_, _, err := c.Take(ctx, "k", func(ctx context.Context, _ string) (int64, error) {
				close(started)
				<-ctx.Done()
				return 0, ctx.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the filler: got %v, want canceled", err)
			}
		}()
		<-started
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, release := take(t, c, "k", "second")
			release()
		}()
		synctest.Wait()
		cancel()
		<-done
	})
}

func TestFailureIsNotKept(t *testing.T) {
	dir := scratch(t)
	c := open(t, dir, 0)
	broken := errors.New("broken")
	if _, _, err := c.Take(t.Context(), "k", func(context.Context, string) (int64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("after a failure: got %v, %v; want an empty folder", left, err)
	}
	_, release := take(t, c, "k", "x")
	release()
	for _, key := range []string{"", "..", "a/b", "A", strings.Repeat("x", 129)} {
		if _, _, err := c.Take(t.Context(), key, filler("x", nil)); err == nil {
			t.Errorf("key %q was taken, want an error", key)
		}
	}
}

func TestEviction(t *testing.T) {
	c := open(t, scratch(t), 20)
	used, releaseUsed := take(t, c, "used", "0123456789")
	old, release := take(t, c, "old", "0123456789")
	release()
	young, release := take(t, c, "young", "0123456789")
	release()
	if exists(old) || !exists(young) || !exists(used) {
		t.Errorf("after the third: old %v, young %v, used %v; want only old gone", exists(old), exists(young), exists(used))
	}
	_, releaseBig := take(t, c, "big", strings.Repeat("x", 100))
	if exists(young) || !exists(used) || c.Size() != 110 {
		t.Errorf("after a big one: young %v, used %v, size %d; want used and big in 110 bytes", exists(young), exists(used), c.Size())
	}
	releaseUsed()
	releaseUsed() // twice is once
	releaseBig()
	if exists(used) || c.Size() != 0 {
		t.Errorf("after all were released: used %v, size %d; want nothing left, big is above the limit", exists(used), c.Size())
	}
}

// scratch is a folder that is gone after t although what is in it is sealed.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(p, 0o700)
			}
			return nil
		})
	})
	return dir
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

func TestOpenKeepsThisBootOnly(t *testing.T) {
	dir := scratch(t)
	c := open(t, dir, 0)
	kept, release := take(t, c, "kept", "x")
	release()
	other, release := take(t, c, "other", "y")
	release()
	boot := filepath.Join(filepath.Dir(other), "boot")
	if err := errors.Join(os.Chmod(boot, 0o600), os.WriteFile(boot, []byte("another boot"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, ".tmp-1", "tree")
	if err := errors.Join(os.MkdirAll(tree, 0o755), os.Chmod(tree, 0o555)); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	d := open(t, dir, 0)
	if exists(other) || exists(filepath.Join(dir, ".tmp-1")) {
		t.Errorf("another boot's folder or a temporary one is left")
	}
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell its boots apart")
	}
	if !exists(kept) {
		t.Fatal("the folder of this boot is gone")
	}
	if _, release, err := d.Take(t.Context(), "kept", filler("x", &calls)); err != nil || calls.Load() != 0 {
		t.Errorf("kept: got %v and %d fillings, want the folder as it was", err, calls.Load())
	} else {
		release()
	}
}

// TestKilledWhileFilling: a process that is killed in the middle leaves nothing that a later one would take for whole.
func TestKilledWhileFilling(t *testing.T) {
	dir := scratch(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROUSE_CACHE_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		n, err := out.Read(b)
		if strings.Contains(string(b[:n]), "half") {
			break
		}
		if err != nil {
			t.Fatalf("the process ended before it was killed: %v", err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) != 1 {
		t.Errorf("left behind: got %v, want one temporary folder", left)
	}
	c := open(t, dir, 0)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("after the next open: got %v, want nothing", left)
	}
	_, release := take(t, c, "k", "whole")
	release()
}
