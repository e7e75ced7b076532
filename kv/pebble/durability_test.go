package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/pebble"
)

// syncGate holds back the fsyncs of the write-ahead log while it is shut.
type syncGate struct {
	mu   sync.Mutex
	shut chan struct{} // guarded by mu; nil: open
}

func (g *syncGate) String() string { return "sync gate" }

func (g *syncGate) MaybeError(op errorfs.Op) error {
	if !strings.HasSuffix(op.Path, ".log") || op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
		return nil
	}
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return nil
}

func (g *syncGate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *syncGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

// call runs fn beside the test and tells what it answered, once it has.
func call(fn func() (string, error)) (answer func() string) {
	done := make(chan string, 1)
	go func() {
		s, err := fn()
		if err != nil {
			s = "error: " + err.Error()
		}
		done <- s
	}()
	return func() string {
		synctest.Wait()
		select {
		case s := <-done:
			return s
		default:
			return "waiting"
		}
	}
}

// TestReadersWaitForTheFsync: between a commit and its fsync, whoever touches what it wrote waits, and nobody else does.
func TestReadersWaitForTheFsync(t *testing.T) {
	view := func(s kv.Store, key string) func() (string, error) {
		return func() (got string, err error) {
			err = s.View(context.Background(), func(v kv.View) error {
				b, ok, err := v.Get([]byte(key))
				got = fmt.Sprintf("%s %v", b, ok)
				return err
			})
			return got, err
		}
	}
	scan := func(s kv.Store, from, to string) func() (string, error) {
		return func() (got string, err error) {
			err = s.View(context.Background(), func(v kv.View) error {
				for p, err := range v.Scan(kv.Range{From: []byte(from), To: []byte(to)}, 0) {
					got += fmt.Sprintf("%s=%s ", p.Key, p.Value)
					if err != nil {
						return err
					}
				}
				return nil
			})
			return got, err
		}
	}
	update := func(s kv.Store, fn func(tx kv.Tx) (string, error)) func() (string, error) {
		return func() (got string, err error) {
			err = s.Update(context.Background(), func(tx kv.Tx) (err error) { got, err = fn(tx); return err })
			return got, err
		}
	}
	read := func(tx kv.Tx, key string) (string, error) {
		b, ok, err := tx.Get([]byte(key))
		return fmt.Sprintf("%s %v", b, ok), err
	}
	boom := errors.New("boom")
	claim := func(s kv.Store, from, to string) func() (string, error) {
		return func() (string, error) {
			got, err := s.Claim(context.Background(), kv.Range{From: []byte(from), To: []byte(to)}, 9,
				func(kv.Tx, []kv.Pair) error { return nil })
			return fmt.Sprintf("%q", got), err
		}
	}
	for name, c := range map[string]struct {
		fn          func(s kv.Store) func() (string, error)
		shut, after string
	}{
		"Get of the new":     {func(s kv.Store) func() (string, error) { return view(s, "new") }, "waiting", "v true"},
		"Get of the changed": {func(s kv.Store) func() (string, error) { return view(s, "changed") }, "waiting", "v true"},
		"Get of the deleted": {func(s kv.Store) func() (string, error) { return view(s, "deleted") }, "waiting", " false"},
		"Get of another":     {func(s kv.Store) func() (string, error) { return view(s, "old") }, "o true", ""},
		"Scan over them":     {func(s kv.Store) func() (string, error) { return scan(s, "a", "z") }, "waiting", "changed=v new=v old=o "},
		"Scan over absence":  {func(s kv.Store) func() (string, error) { return scan(s, "deleted", "deleted0") }, "waiting", ""},
		"Scan beside":        {func(s kv.Store) func() (string, error) { return scan(s, "o", "z") }, "old=o ", ""},
		"Update that reads": {func(s kv.Store) func() (string, error) {
			return update(s, func(tx kv.Tx) (string, error) { return read(tx, "new") })
		}, "waiting", "v true"},
		"Update that fails on it": {func(s kv.Store) func() (string, error) {
			return update(s, func(tx kv.Tx) (string, error) {
				_, err := read(tx, "new")
				tx.Set([]byte("x"), nil)
				return "", errors.Join(err, boom)
			})
		}, "waiting", "error: boom"},
		"Update that reads another": {func(s kv.Store) func() (string, error) {
			return update(s, func(tx kv.Tx) (string, error) { return read(tx, "old") })
		}, "o true", ""},
		"Update that writes on":   {func(s kv.Store) func() (string, error) { return update(s, writeOn) }, "waiting", "v"},
		"Claim":                   {func(s kv.Store) func() (string, error) { return claim(s, "n", "o") }, "waiting", `[{"new" "v"}]`},
		"Claim of what was taken": {func(s kv.Store) func() (string, error) { return claim(s, "d", "e") }, "waiting", "[]"},
		"Claim beside":            {func(s kv.Store) func() (string, error) { return claim(s, "x", "z") }, "[]", ""},
		"Read": {func(s kv.Store) func() (string, error) {
			return func() (string, error) {
				got, err := s.Read(context.Background(), []byte("log"), kv.Pos{}, 9)
				return fmt.Sprint(len(got)), err
			}
		}, "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := &syncGate{}
				s := kvtest.NewDisk(gate).Open(t)
				must(t, s.Update(t.Context(), func(tx kv.Tx) error {
					tx.Set([]byte("old"), []byte("o"))
					tx.Set([]byte("changed"), []byte("o"))
					tx.Set([]byte("deleted"), []byte("o"))
					return nil
				}))
				gate.close()
				writer := call(update(s, func(tx kv.Tx) (string, error) {
					tx.Set([]byte("new"), []byte("v"))
					tx.Set([]byte("changed"), []byte("v"))
					tx.Delete([]byte("deleted"))
					tx.Append([]byte("log"), nil)
					return "done", nil
				}))
				if got := writer(); got != "waiting" {
					t.Errorf("writer before the fsync: got %q, want it to wait", got)
				}
				reader := call(c.fn(s))
				if got := reader(); got != c.shut {
					t.Errorf("before the fsync: got %q, want %q", got, c.shut)
				}
				gate.open()
				if got := reader(); c.shut == "waiting" && got != c.after {
					t.Errorf("after the fsync: got %q, want %q", got, c.after)
				}
				if got := writer(); got != "done" {
					t.Errorf("writer after the fsync: got %q, want it done", got)
				}
			})
		})
	}
}

func writeOn(tx kv.Tx) (string, error) {
	b, _, err := tx.Get([]byte("new"))
	tx.Set([]byte("newer"), b)
	return string(b), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want nil", err)
	}
}

// TestHotKeySharesFsyncs: writers of one key do not wait for each other's fsync; one fsync serves all.
func TestHotKeySharesFsyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &syncGate{}
		s := kvtest.NewDisk(gate).Open(t)
		gate.close()
		var answers []func() string
		for range 50 {
			answers = append(answers, call(func() (string, error) {
				return "done", s.Update(context.Background(), func(tx kv.Tx) error {
					b, _, err := tx.Get([]byte("hot"))
					tx.Set([]byte("hot"), append(b, 'x'))
					return err
				})
			}))
		}
		synctest.Wait()
		gate.open()
		for _, answer := range answers {
			if got := answer(); got != "done" {
				t.Fatalf("writer after the one fsync: got %q, want it done", got)
			}
		}
		must(t, s.View(t.Context(), func(v kv.View) error {
			if b, _, err := v.Get([]byte("hot")); err != nil || len(b) != 50 {
				t.Errorf("hot key: got %d writes, %v, want 50", len(b), err)
			}
			return nil
		}))
	})
}

// TestWaitEndsWithTheContext: a reader may leave; a writer stays until it knows.
func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &syncGate{}
		s := kvtest.NewDisk(gate).Open(t)
		gate.close()
		ctx, cancel := context.WithCancel(t.Context())
		writer := call(func() (string, error) {
			return "done", s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("k"), nil); return nil })
		})
		synctest.Wait()
		reader := call(func() (string, error) {
			return "", s.View(ctx, func(v kv.View) error { _, _, err := v.Get([]byte("k")); return err })
		})
		synctest.Wait()
		cancel()
		if got, want := reader(), "error: context canceled"; got != want {
			t.Errorf("reader whose context ended: got %q, want %q", got, want)
		}
		if got := writer(); got != "waiting" {
			t.Errorf("writer whose context ended: got %q, want it to wait for the outcome", got)
		}
		gate.open()
		if got := writer(); got != "done" {
			t.Errorf("writer after the fsync: got %q, want it done", got)
		}
	})
}

// TestWhatARestartShowsIsDurable: a process dies and leaves unsynced data in the page cache; the next one shows it; then the
// power fails.
func TestWhatARestartShowsIsDurable(t *testing.T) {
	for seed := range uint64(20) {
		mem := vfs.NewCrashableMem()
		rng := rand.New(rand.NewPCG(seed, 3))
		dead, err := pebble.Open(pebble.Config{Dir: "store", FS: mem})
		must(t, err)
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := range 20 {
					dead.Update(context.Background(), func(tx kv.Tx) error {
						tx.Set(fmt.Appendf(nil, "%d-%d", w, i), make([]byte, 100))
						return nil
					})
				}
			})
		}
		cache := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}) // nothing lost: only the process died
		wg.Wait()
		must(t, dead.Close())
		shown := keys(t, cache)
		left := keys(t, cache.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}))
		if len(left) < len(shown) {
			t.Errorf("seed %d: got %d keys after the power failed, want the %d that had been shown", seed, len(left), len(shown))
		}
	}
}

// keys opens the store on fs, lists its keys and leaves it open: a process that is still running when the power fails.
func keys(t *testing.T, fs vfs.FS) (all []string) {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	must(t, s.View(t.Context(), func(v kv.View) error {
		for p, err := range v.Scan(kv.Range{}, 0) {
			if err != nil {
				return err
			}
			all = append(all, string(p.Key))
		}
		return nil
	}))
	return all
}
