package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// failingBlobs fails a Put before or after it was done: what a process that dies at that point leaves behind.
type failingBlobs struct {
	blob.Store
	before, after error
}

func (f *failingBlobs) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	if f.before != nil {
		return blob.Info{}, f.before
	}
	info, err := f.Store.Put(ctx, key, r)
	return info, errors.Join(err, f.after)
}

// TestDiesBetweenBlobAndReference: the archive is there, the function is not, and the sweeper takes it after the grace.
func TestDiesBetweenBlobAndReference(t *testing.T) {
	died := errors.New("died")
	for name, fail := range map[string]failingBlobs{"before the blob": {before: died}, "after the blob": {after: died}} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, kvtest.Memory(t))
			cfg.Grace = time.Nanosecond
			good := cfg.Blobs
			fail.Store = good
			cfg.Blobs = &fail
			c := reopen(t, cfg)
			if _, err := c.Create(t.Context(), ref("f"), newFunction(t, "x")); !errors.Is(err, died) {
				t.Fatalf("create: got %v, want %v", err, died)
			}
			cfg.Blobs = good
			c = reopen(t, cfg)
			if _, err := c.Version(ref("f")); rouse.KindOf(err) != rouse.NotFound {
				t.Errorf("the function: got %v, want not found", err)
			}
			want := 1
			if fail.before != nil {
				want = 0
			}
			if n, err := c.Sweep(t.Context()); err != nil || n != want {
				t.Errorf("sweep: got %d, %v; want %d", n, err, want)
			}
			create(t, c, "f")
			if n, err := c.Sweep(t.Context()); err != nil || n != 0 {
				t.Errorf("sweep with a function: got %d, %v; want 0", n, err)
			}
			checkCode(t, c, "f")
		})
	}
}

// checkCode unpacks the function's code.
func checkCode(t *testing.T, c *catalog.Catalog, fn string) {
	t.Helper()
	v, err := c.Resolve(rouse.FunctionARN(region, account, fn, ""))
	if err != nil {
		t.Errorf("resolve %s: %v", fn, err)
		return
	}
	_, release, err := c.CodeDir(t.Context(), v)
	if err != nil {
		t.Errorf("code of %s: %v", fn, err)
		return
	}
	release()
}

// TestKill cuts the power of the store's disk again and again while functions come and go, and looks for each that was
// acknowledged, whole.
func TestKill(t *testing.T) {
	disk := kvtest.NewDisk()
	cfg := config(t, nil)
	for round := range 4 {
		store := disk.Open(t)
		cfg.Store, cfg.CacheDir = store, t.TempDir()
		c := reopen(t, cfg)
		var mu sync.Mutex
		alive := map[string]bool{} // by acknowledged calls; guarded by mu
		limbo := map[string]bool{} // calls under way; guarded by mu
		for _, v := range list(c) {
			alive[v.Name] = true
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					fn := fmt.Sprintf("r%dw%dn%d", round, w, i)
					mu.Lock()
					limbo[fn] = true
					mu.Unlock()
					_, err := c.Create(context.Background(), ref(fn), newFunction(t, fmt.Sprint(rand.N(20))))
					if err == nil && i%3 == 0 {
						err = c.Delete(context.Background(), ref(fn))
					} else if err == nil {
						mu.Lock()
						alive[fn] = true
						mu.Unlock()
					}
					if err != nil {
						t.Errorf("%s: %v", fn, err)
						return
					}
					mu.Lock()
					delete(limbo, fn)
					mu.Unlock()
				}
			})
		}
		waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(alive) >= 12*(round+1) })
		mu.Lock() // what is acknowledged before this line must survive what happens after it
		want := map[string]bool{}
		for fn := range alive {
			want[fn] = true
		}
		mu.Unlock()
		crashed := disk.Crash(rand.New(rand.NewPCG(uint64(round), 1)))
		close(stop)
		wg.Wait()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		disk = crashed
		checkSurvivors(t, cfg, disk, want)
	}
}

func checkSurvivors(t *testing.T, cfg catalog.Config, disk *kvtest.Disk, want map[string]bool) {
	t.Helper()
	store := disk.Open(t)
	defer store.Close()
	cfg.Store, cfg.CacheDir = store, t.TempDir()
	c := reopen(t, cfg)
	if _, err := c.Sweep(t.Context()); err != nil {
		t.Errorf("sweep: %v", err)
	}
	for fn := range want {
		checkCode(t, c, fn)
	}
	var size int64
	for _, v := range list(c) {
		size += v.CodeSize
		checkCode(t, c, v.Name)
	}
	if a := c.Account(account); a.CodeBytes != size || a.Functions != int64(len(list(c))) {
		t.Errorf("totals after the crash: got %+v, want %d functions of %d bytes", a, len(list(c)), size)
	}
}

func list(c *catalog.Catalog) []*catalog.Version {
	vs, _ := c.Functions(account, "", 1<<20, false)
	return vs
}

// waitFor polls until ok, at most ten seconds.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nothing after 10 s")
		}
	}
}
