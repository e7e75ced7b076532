package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// judge is a Prepare that waits for the test's verdict.
type judge chan error

func (j judge) prepare(ctx context.Context, _ *catalog.Version) error {
	select {
	case err := <-j:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestPrepare(t *testing.T) {
	j := make(judge)
	c := open(t, func(cfg *catalog.Config) { cfg.Prepare = j.prepare })
	run(t, c)
	r := ref("f")
	fn := rouse.FunctionARN(region, account, "f", "")
	state := func() string {
		v, err := c.Version(r)
		if err != nil {
			t.Fatal(err)
		}
		return v.State + " " + v.LastUpdateStatus
	}
	v := create(t, c, "f")
	if v.State != catalog.Pending || v.StateReason != "The function is being created." || v.StateReasonCode != "Creating" {
		t.Errorf("created: got %s %q %s, want Pending", v.State, v.StateReason, v.StateReasonCode)
	}
	_, err := c.UpdateConfig(t.Context(), r, catalog.Settings{MemoryMB: ptr(256)}, "")
	wantErr(t, err, rouse.Conflict, "ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Pending")
	j <- nil
	waitFor(t, func() bool { return state() == "Active Successful" })

	// An update is in progress: what ran goes on.
	v, err = c.UpdateCode(t.Context(), r, catalog.CodeChange{Code: newFunction(t, "new").Code, Publish: true})
	if err != nil || v.Number != "1" || v.State != catalog.Pending {
		t.Fatalf("update: got %+v, %v; want version 1, Pending", v, err)
	}
	if got, err := c.Resolve(fn); err != nil || got.CodeSHA256 == v.CodeSHA256 {
		t.Errorf("running during the update: got the new code (%v), want the old", err)
	}
	_, err = c.Publish(t.Context(), r, nil, "", "")
	wantErr(t, err, rouse.Conflict, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress for resource: "+fn.String())
	j <- nil
	waitFor(t, func() bool { return state() == "Active Successful" })
	if got, err := c.Resolve(fn); err != nil || got.CodeSHA256 != v.CodeSHA256 {
		t.Errorf("running after the update: got the old code (%v), want the new", err)
	}
	if got, err := c.Version(catalog.Ref{Account: account, Name: "f", Qualifier: "1"}); err != nil || got.State != catalog.Active {
		t.Errorf("published with the update: got %+v, %v; want Active", got, err)
	}

	// An update fails: it is taken back.
	bytes := c.Account(account).CodeBytes
	if _, err = c.UpdateCode(t.Context(), r, catalog.CodeChange{Code: newFunction(t, "broken, and much longer than the others were").Code}); err != nil {
		t.Fatal(err)
	}
	j <- errors.New("module built for another ABI: x.node")
	waitFor(t, func() bool { return state() == "Active Failed" })
	got, err := c.Version(r)
	if err != nil || got.UpdateReason != "module built for another ABI: x.node" || got.CodeSHA256 != v.CodeSHA256 {
		t.Errorf("after a failed update: got %+v, %v; want the reason and the code before", got, err)
	}
	if a := c.Account(account); a.CodeBytes != bytes {
		t.Errorf("bytes after a failed update: got %d, want %d", a.CodeBytes, bytes)
	}

	// A creation fails, and an update can mend it.
	create(t, c, "g")
	j <- errors.New("no")
	r = ref("g")
	waitFor(t, func() bool { return state() == "Failed Failed" })
	if _, err := c.UpdateCode(t.Context(), r, catalog.CodeChange{Code: newFunction(t, "mended").Code}); err != nil {
		t.Fatal(err)
	}
	j <- nil
	waitFor(t, func() bool { return state() == "Active Successful" })
}

// TestChangesInARow: a change that follows the moment the one before is settled is prepared too, and not only when a node
// looks for what was left.
func TestChangesInARow(t *testing.T) {
	c := open(t, func(cfg *catalog.Config) { cfg.Prepare = func(context.Context, *catalog.Version) error { return nil } })
	run(t, c)
	var all sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprintf("f%d", i)
		create(t, c, name)
		all.Go(func() {
			for n := range 300 {
				late := time.Now().Add(5 * time.Second)
				for {
					_, err := c.UpdateConfig(t.Context(), ref(name), catalog.Settings{Description: ptr(fmt.Sprint(n))}, "")
					if err == nil {
						break
					}
					if rouse.KindOf(err) != rouse.Conflict || time.Now().After(late) {
						t.Errorf("change %d of %s: got %v for 5 s, want it taken", n, name, err)
						return
					}
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
}

// TestPrepareAfterRestart: what was pending when the process died is prepared by the next.
func TestPrepareAfterRestart(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	cfg.Prepare = func(context.Context, *catalog.Version) error { return nil }
	create(t, reopen(t, cfg), "f") // nobody runs it
	c := reopen(t, cfg)
	run(t, c)
	waitFor(t, func() bool { v, err := c.Version(ref("f")); return err == nil && v.State == catalog.Active })
}

// TestTakeOver: a node prepares what another one made and left.
func TestTakeOver(t *testing.T) {
	blobs, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	cfg := catalog.Config{Region: region, Blobs: blobs, CacheDir: t.TempDir(), Architecture: "x86_64",
		Prepare: func(context.Context, *catalog.Version) error { return nil }}
	synctest.Test(t, func(t *testing.T) {
		cfg.Store = kvtest.Memory(t)
		dead := reopen(t, cfg)
		create(t, dead, "first")
		alive := reopen(t, cfg)
		run(t, alive)
		synctest.Wait()
		create(t, dead, "f")
		time.Sleep(2 * time.Minute) // the bubble's: longer than a change may stay unprepared
		synctest.Wait()
		if v, err := alive.Version(ref("f")); err != nil || v.State != catalog.Active {
			t.Errorf("got %+v, %v; want an active function", v, err)
		}
	})
}

// TestFollow: what one node changes, another sees, and a node that is far behind catches up.
func TestFollow(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	a := reopen(t, cfg)
	cfg.CacheDir = t.TempDir()
	b := reopen(t, cfg)
	create(t, a, "before")
	run(t, b)
	waitFor(t, func() bool { return len(list(b)) == 1 })
	u, err := a.CreateURL(t.Context(), ref("before"), catalog.URLChange{AuthType: catalog.AuthNone})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { _, err := b.ResolveURL(u.ID); return err == nil })
	if err := a.Delete(t.Context(), ref("before")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { _, err := b.ResolveURL(u.ID); return err != nil && len(list(b)) == 0 })
}

// deaf is a store whose hints are all lost.
type deaf struct{ kv.Store }

func (deaf) Wake([]byte) (<-chan struct{}, func()) { return nil, func() {} }

// TestFollowWithoutHints: a lost hint makes a change late, and not unseen.
func TestFollowWithoutHints(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	a := reopen(t, cfg)
	cfg.CacheDir, cfg.Store = t.TempDir(), deaf{cfg.Store}
	b := reopen(t, cfg)
	run(t, b)
	create(t, a, "f")
	waitFor(t, func() bool { return len(list(b)) == 1 })
}

// turned is a store that another one takes the place of.
type turned struct {
	kv.Store
	now atomic.Pointer[kv.Store]
}

func (s *turned) View(ctx context.Context, fn func(kv.View) error) error {
	return (*s.now.Load()).View(ctx, fn)
}

// TestFollowBack: where the store has lost changes that were seen already, what they made is not shown any more.
func TestFollowBack(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	create(t, reopen(t, cfg), "kept")
	other := config(t, kvtest.Memory(t))
	longer := reopen(t, other)
	create(t, longer, "lost")
	create(t, longer, "lost-too")
	before, after := other.Store, cfg.Store
	store := &turned{Store: before}
	store.now.Store(&before)
	other.Store, other.CacheDir = store, t.TempDir()
	b := reopen(t, other)
	run(t, b)
	if got := len(list(b)); got != 2 {
		t.Fatalf("before: got %d functions, want 2", got)
	}
	store.now.Store(&after)
	waitFor(t, func() bool { l := list(b); return len(l) == 1 && l[0].Name == "kept" })
}

func TestFollowFarBehind(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	a := reopen(t, cfg)
	create(t, a, "gone")
	cfg.CacheDir = t.TempDir()
	b := reopen(t, cfg) // not running: it sees only its own changes, and what it reads with them
	create(t, a, "f")
	for i := range 1100 {
		if err := a.Tag(t.Context(), ref("f"), map[string]string{"n": fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Delete(t.Context(), ref("gone")); err != nil {
		t.Fatal(err)
	}
	create(t, b, "own")
	var names []string
	for _, v := range list(b) {
		names = append(names, v.Name+v.Tags["n"])
	}
	if got, want := strings.Join(names, " "), "f1099 own"; got != want {
		t.Errorf("functions: got %s, want %s", got, want)
	}
}

// TestManyFunctions reads back more functions than one page of records holds, some with more parts than a page.
func TestManyFunctions(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	c := reopen(t, cfg)
	in := newFunction(t, "x")
	for i := range 120 {
		if _, err := c.Create(t.Context(), ref(fmt.Sprintf("f%03d", i)), in); err != nil {
			t.Fatal(err)
		}
	}
	r := ref("f050")
	if _, err := c.Publish(t.Context(), r, nil, "", ""); err != nil {
		t.Fatal(err)
	}
	for i := range 700 {
		if _, err := c.CreateAlias(t.Context(), r, fmt.Sprintf("a%03d", i), catalog.AliasChange{Version: ptr("1")}); err != nil {
			t.Fatal(err)
		}
	}
	d := reopen(t, cfg)
	if got := len(list(d)); got != 120 {
		t.Errorf("functions: got %d, want 120", got)
	}
	if as, next, err := d.Aliases(r, "", "", 1000); err != nil || len(as) != 700 || next != "" {
		t.Errorf("aliases: got %d, %q, %v; want 700", len(as), next, err)
	}
	vs, next := d.Functions(account, "f117", 1, false)
	if len(vs) != 1 || vs[0].Name != "f118" || next != "f118" {
		t.Errorf("page: got %v, next %q; want f118", vs, next)
	}
	if err := d.Delete(t.Context(), r); err != nil {
		t.Errorf("deleting a function of 700 aliases: %v", err)
	}
}

// The shelf is read by every invocation: some 50 ns and no allocation are expected for a name, and some kilobytes for a
// function in memory.
func BenchmarkResolve(b *testing.B) {
	c := open(b)
	if _, err := c.Create(b.Context(), ref("f"), newFunction(b, "x")); err != nil {
		b.Fatal(err)
	}
	fn := rouse.FunctionARN(region, account, "f", "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Resolve(fn); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory opens a catalog of 10,000 functions; B/function is what each costs while it is there.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	cfg := config(b, kvtest.Memory(b))
	c := reopen(b, cfg)
	in := newFunction(b, "x")
	in.Environment = map[string]string{"TABLE_NAME": "products", "LOG_LEVEL": "info", "STAGE": "production"}
	in.Tags = map[string]string{"team": "shop", "stack": "storefront"}
	for i := range n {
		if _, err := c.Create(b.Context(), ref(fmt.Sprintf("shop-function-%05d", i)), in); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d := reopen(b, cfg)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/function")
		runtime.KeepAlive(d)
	}
}

// BenchmarkCreate is one function more beside the ones before: three transactions and a blob, each synced.
func BenchmarkCreate(b *testing.B) {
	c := open(b)
	in := newFunction(b, "x")
	for i := 0; b.Loop(); i++ {
		if _, err := c.Create(b.Context(), ref(fmt.Sprintf("f%07d", i)), in); err != nil {
			b.Fatal(err)
		}
	}
}
