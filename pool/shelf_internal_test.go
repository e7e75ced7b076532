package pool

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
)

func quietMaker(spares int) *Maker {
	return &Maker{Spares: spares, Logger: slog.New(slog.DiscardHandler)}
}

func noSpare(context.Context) (*spare, error) { return nil, errors.New("none is made here") }

// TestSparesFollowDemand: a shelf wants as many as were asked for at about the same time, and less when that is long ago.
func TestSparesFollowDemand(t *testing.T) {
	m := quietMaker(0)
	sh := m.shelf("a", costRuntime, noSpare)
	now := time.Unix(1000, 0)
	want := func(when string, n int) {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		if got := m.wants(sh); got != n {
			t.Errorf("%s: wants %d, want %d", when, got, n)
		}
	}
	want("at first", sparesLeast)
	for range 10 { // one after the other
		now = now.Add(2 * together)
		m.ask(sh, now)
	}
	want("after ten one after the other", sparesLeast)
	now = now.Add(2 * together)
	for range 40 {
		m.ask(sh, now)
	}
	want("after a burst of 40", 40)
	m.settle(now.Add(calm / 2))
	want("soon after", 40)
	for _, n := range []int{21, 11, 6, 4, 3, 2, 2} {
		now = now.Add(calm)
		m.settle(now)
		want("after more calm", n)
	}
	for range 10 * sparesMost {
		m.ask(sh, now)
	}
	want("after more than there may be", sparesMost)
	if m.Spares = -1; m.wants(sh) != 0 {
		t.Errorf("told to have none: wants %d", m.wants(sh))
	}
}

// TestSparesHaveABudget: beyond the least of each kind, all together take no more memory than they may.
func TestSparesHaveABudget(t *testing.T) {
	m := quietMaker(1)
	m.SpareBytes = 10 * costRuntime
	a, b := m.shelf("a", costRuntime, noSpare), m.shelf("b", costWithSDK, noSpare)
	a.more, b.more = 100, 100
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.room(a) {
		a.list = append(a.list, &spare{})
	}
	if len(a.list) != 10 {
		t.Errorf("got room for %d, want 10", len(a.list))
	}
	for m.room(b) {
		b.list = append(b.list, &spare{})
	}
	if len(b.list) != 1 {
		t.Errorf("another kind: got room for %d, want its least of 1", len(b.list))
	}
}

// TestQueueIsBounded: versions beyond it are met at their first start.
func TestQueueIsBounded(t *testing.T) {
	m := quietMaker(-1)
	begun, hold := make(chan struct{}), make(chan struct{})
	m.Runtime = func(*catalog.Version) (Runtime, error) {
		select {
		case begun <- struct{}{}:
		default:
		}
		<-hold
		return Runtime{}, errors.New("none")
	}
	m.warm(&catalog.Version{})
	<-begun
	for range 2 * aheadMax {
		m.warm(&catalog.Version{})
	}
	m.mu.Lock()
	n := len(m.queue)
	m.mu.Unlock()
	if n != aheadMax {
		t.Errorf("got a queue of %d, want %d", n, aheadMax)
	}
	close(hold)
	m.close()
}

// TestCompiledIsKept: what was written is read again, what is damaged is not used and goes, and the oldest go first.
func TestCompiledIsKept(t *testing.T) {
	m := quietMaker(-1)
	m.Compiled, m.LateMounts = filepath.Join(t.TempDir(), "compiled"), true
	v := &catalog.Version{CodeSHA256: "x", CodeSize: compileLeast, Handler: "index.handler"}
	rt := Runtime{Kind: guest.Node, Interpreter: guest.Interpreter{Version: "20.0.0"}}
	if c := m.compiled(v, rt); c != nil {
		t.Fatalf("got %v before anything was made", c)
	}
	made, err := guest.DecodeCode([]byte("\x1c\x00\x00\x00[{\"path\":\"a.js\",\"bytes\":3 }]abc"))
	if err != nil {
		t.Fatal(err)
	}
	key := compiledKey(v, rt)
	if err := m.writeCompiled(key, made); err != nil {
		t.Fatal(err)
	}
	if c := m.compiled(v, rt); c == nil || string(c.Encode()) != string(made.Encode()) {
		t.Errorf("got %v, want what was written", c)
	}
	other := rt
	other.Interpreter.Version = "20.0.1"
	if c := m.compiled(v, other); c != nil {
		t.Errorf("another runtime: got %v, want nothing", c)
	}
	changed := *v
	changed.CodeSHA256 = "y"
	if c := m.compiled(&changed, rt); c != nil {
		t.Errorf("other files: got %v, want nothing", c)
	}
	file := filepath.Join(m.Compiled, key)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1]++
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	m.codes = nil
	if c := m.compiled(v, rt); c != nil {
		t.Errorf("damaged: got %v, want nothing", c)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("damaged: got %v, want the file gone", err)
	}
}

// TestCompiledFolderIsBounded: beyond what may be kept, what was written first goes.
func TestCompiledFolderIsBounded(t *testing.T) {
	m := quietMaker(-1)
	m.Compiled = t.TempDir()
	for i, name := range []string{"old", "older", "new"} {
		file := filepath.Join(m.Compiled, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, compiledMax/2); err != nil { // of holes
			t.Fatal(err)
		}
		at := time.Unix([]int64{2000, 1000, 3000}[i], 0)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.trimCompiled(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(m.Compiled, "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "new" || filepath.Base(left[1]) != "old" {
		t.Errorf("left: got %v, %v, want new and old", left, err)
	}
}
