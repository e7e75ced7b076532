package pool

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/sandbox"
)

// spare is a sandbox that waits to become an instance: empty (level L1), or with a generic runtime up in it (level L2).
type spare struct {
	box   sandbox.Sandbox
	guest *guest.Guest // nil at level L1
	lines *relay
}

// end gives a spare up.
func (s *spare) end() {
	s.box.Kill()
	if s.guest != nil {
		s.guest.Close()
	}
}

// relay passes a guest's lines on to the instance that it has become. What a runtime says before that is nobody's.
type relay struct{ to atomic.Pointer[lines] }

func (r *relay) guest(line guest.Line) {
	if l := r.to.Load(); l != nil {
		l.guest(line)
	}
}

// shelf is the spares of one kind.
type shelf struct {
	key  string
	make func(context.Context) (*spare, error)
	list []*spare
	busy int  // being made
	gone bool // forgotten for others: what is still being made for it ends
}

// shelvesMax bounds the kinds of spares that are kept: beyond it those go that were used longest ago.
const shelvesMax = 8

// ready returns a spare for a version: one with its runtime up where that is possible and there, else an empty sandbox,
// which is made if there is none.
func (m *Maker) ready(ctx context.Context, v *catalog.Version, rt Runtime) (*spare, error) {
	for _, sh := range m.shelvesOf(v, rt) {
		if s := m.take(sh); s != nil {
			return s, nil
		}
	}
	return m.empty(ctx, rt)
}

// refill makes in the background what starts of v take.
func (m *Maker) refill(v *catalog.Version, rt Runtime) {
	for _, sh := range m.shelvesOf(v, rt) {
		m.fill(sh)
	}
}

// warm does so ahead of v's first start. A runtime that cannot be had is told at that start.
func (m *Maker) warm(v *catalog.Version) {
	if rt, err := m.Runtime(v); err == nil {
		m.refill(v, rt)
	}
}

// shelvesOf are the shelves on which a spare for v may lie, the best first.
func (m *Maker) shelvesOf(v *catalog.Version, rt Runtime) []*shelf {
	image := imageKey(rt.Image)
	empty := m.shelf("1\x00"+image, func(ctx context.Context) (*spare, error) { return m.empty(ctx, rt) })
	if !m.bootable(v, rt) {
		return []*shelf{empty}
	}
	up := m.shelf(fmt.Sprintf("2\x00%d\x00%s\x00%s", v.MemoryMB, rt.Interpreter.Path, image),
		func(ctx context.Context) (*spare, error) { return m.bootSpare(ctx, v.MemoryMB, rt) })
	return []*shelf{up, empty}
}

// bootable reports whether a generic runtime can become this version: it is one of ours, nothing in the version's
// environment is read when a runtime starts, and code can be shown to a process that already runs.
func (m *Maker) bootable(v *catalog.Version, rt Runtime) bool {
	return m.LateMounts && rt.Kind.Interpreted() && len(guest.BootSettings(v.Environment)) == 0
}

// empty makes a sandbox in which nothing runs.
func (m *Maker) empty(ctx context.Context, rt Runtime) (*spare, error) {
	box, err := m.Driver.Create(ctx, sandbox.Spec{Image: rt.Image, Egress: m.Egress, Limits: limitsOf(128, 512)})
	if err != nil {
		return nil, err
	}
	return &spare{box: box, lines: &relay{}}, nil
}

// bootSpare makes a sandbox and brings a runtime up in it.
func (m *Maker) bootSpare(ctx context.Context, memoryMB int, rt Runtime) (*spare, error) {
	s, err := m.empty(ctx, rt)
	if err != nil {
		return nil, err
	}
	if err = s.box.Limit(limitsOf(memoryMB, 0)); err == nil {
		err = m.boot(ctx, s, memoryMB, nil, rt)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// boot brings a runtime up in a spare.
func (m *Maker) boot(ctx context.Context, s *spare, memoryMB int, settings map[string]string, rt Runtime) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	var err error
	s.guest, err = guest.Boot(ctx, s.box, guest.Config{Kind: rt.Kind, Interpreter: rt.Interpreter, MemoryMB: memoryMB,
		Environment: settings, Log: s.lines.guest, Exited: func() string { return exited(s.box.Exit()) }})
	return err
}

// shelf finds or makes the shelf with this key; it is now the one used last.
func (m *Maker) shelf(key string, make func(context.Context) (*spare, error)) *shelf {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, sh := range m.shelves {
		if sh.key == key {
			m.shelves = append(append(m.shelves[:i:i], m.shelves[i+1:]...), sh)
			return sh
		}
	}
	sh := &shelf{key: key, make: make}
	m.shelves = append(m.shelves, sh)
	if len(m.shelves) > shelvesMax {
		for _, s := range m.shelves[0].list {
			m.filler.Go(s.end)
		}
		m.shelves[0].list, m.shelves[0].gone = nil, true
		m.shelves = m.shelves[1:]
	}
	return sh
}

// take takes a living spare from a shelf, nil when there is none.
func (m *Maker) take(sh *shelf) *spare {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(sh.list); n > 0; n = len(sh.list) {
		s := sh.list[n-1]
		sh.list = sh.list[:n-1]
		if !ended(s.box) {
			return s
		}
		m.filler.Go(s.end)
	}
	return nil
}

// fill brings a shelf back to its number, one spare after the other, in the background.
func (m *Maker) fill(sh *shelf) {
	want := m.Spares
	if want == 0 {
		want = 2
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || sh.gone || sh.busy > 0 || len(sh.list) >= want {
		return
	}
	sh.busy++
	m.filler.Go(func() {
		for m.fillOne(sh, want) {
		}
	})
}

// fillOne makes one spare and reports whether the shelf wants another.
func (m *Maker) fillOne(sh *shelf, want int) bool {
	s, err := sh.make(context.Background())
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		m.Logger.Error("make spare sandbox", "err", err)
	case m.ended || sh.gone || len(sh.list) >= want:
		m.filler.Go(s.end)
	default:
		sh.list = append(sh.list, s)
	}
	if err == nil && !m.ended && !sh.gone && len(sh.list) < want {
		return true
	}
	sh.busy--
	return false
}

// close ends the spares.
func (m *Maker) close() {
	m.mu.Lock()
	m.ended = true
	shelves := m.shelves
	m.shelves = nil
	m.mu.Unlock()
	m.filler.Wait()
	for _, sh := range shelves {
		for _, s := range sh.list {
			s.end()
		}
	}
}

func imageKey(image []sandbox.Bind) string {
	var b strings.Builder
	for _, x := range image {
		b.WriteString(x.Source)
		b.WriteByte(0)
		b.WriteString(x.Target)
		b.WriteByte(0)
	}
	return b.String()
}

func ended(box sandbox.Sandbox) bool {
	select {
	case <-box.Done():
		return true
	default:
		return false
	}
}
