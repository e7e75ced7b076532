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

// ready returns a spare for a version: one with its runtime up where that is possible and there, else an empty sandbox,
// which is made if there is none.
func (m *Maker) ready(ctx context.Context, v *catalog.Version, rt Runtime, ahead guest.Preload) (*spare, error) {
	fn := guest.Function{Environment: v.Environment, Endpoint: "http://inside", Runtime: v.Runtime, LogFormat: v.LogFormat}
	suits := func(s *spare) bool { return s.guest == nil || s.guest.Suits(fn) }
	for _, sh := range m.shelvesOf(v, rt, ahead) {
		if s := m.take(sh, suits); s != nil {
			return s, nil
		}
	}
	return m.empty(ctx, rt, 0)
}

// refill makes in the background what a start of v takes. A function that wants the SDK has no use for more of the others.
func (m *Maker) refill(v *catalog.Version, rt Runtime, ahead guest.Preload) {
	for i, sh := range m.shelvesOf(v, rt, ahead) {
		if i == 0 || sh.cost == costEmpty {
			m.fill(sh)
		}
	}
}

// shelvesOf are the shelves on which a spare for v may lie, the best first.
func (m *Maker) shelvesOf(v *catalog.Version, rt Runtime, ahead guest.Preload) []*shelf {
	image := imageKey(rt.Image)
	var list []*shelf
	if m.bootable(v, rt) {
		list = append(list, m.upShelf(v, rt, image, ahead))
		if ahead != guest.PreloadNothing {
			list = append(list, m.upShelf(v, rt, image, guest.PreloadNothing))
		}
	}
	return append(list, m.shelf("1\x00"+image, costEmpty, func(ctx context.Context) (*spare, error) {
		return m.empty(ctx, rt, refillShare)
	}))
}

func (m *Maker) upShelf(v *catalog.Version, rt Runtime, image string, ahead guest.Preload) *shelf {
	key := fmt.Sprintf("2\x00%d\x00%d\x00%s\x00%s", v.MemoryMB, ahead, rt.Interpreter.Path, image)
	memoryMB := v.MemoryMB
	return m.shelf(key, costOf(ahead), func(ctx context.Context) (*spare, error) { return m.bootSpare(ctx, memoryMB, rt, ahead) })
}

// bootable reports whether a generic runtime can become this version: it is one of ours, nothing in the version's
// environment is read when a runtime starts, and code can be shown to a process that already runs.
func (m *Maker) bootable(v *catalog.Version, rt Runtime) bool {
	return m.LateMounts && rt.Kind.Interpreted() && len(guest.BootSettings(v.Environment)) == 0
}

// empty makes a sandbox in which nothing runs. share is its part of the processors in percent, 0 for all of it, until show
// says otherwise.
func (m *Maker) empty(ctx context.Context, rt Runtime, share int) (*spare, error) {
	limits := limitsOf(128, 512)
	limits.Share = share
	box, err := m.Driver.Create(ctx, sandbox.Spec{Image: rt.Image, Egress: m.Egress, Limits: limits})
	if err != nil {
		return nil, err
	}
	return &spare{box: box, lines: &relay{}}, nil
}

// bootSpare makes a sandbox and brings a runtime up in it, at a low share: whoever runs something goes before.
func (m *Maker) bootSpare(ctx context.Context, memoryMB int, rt Runtime, ahead guest.Preload) (*spare, error) {
	s, err := m.empty(ctx, rt, refillShare)
	if err != nil {
		return nil, err
	}
	if err = s.box.Limit(limitsOf(memoryMB, 0)); err == nil {
		err = m.boot(ctx, s, guest.Config{MemoryMB: memoryMB, Preload: ahead}, rt)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// boot brings a runtime up in a spare. cfg says what is special about it.
func (m *Maker) boot(ctx context.Context, s *spare, cfg guest.Config, rt Runtime) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	cfg.Kind, cfg.Interpreter, cfg.Log = rt.Kind, rt.Interpreter, s.lines.guest
	cfg.Exited = func() string { return exited(s.box.Exit()) }
	var err error
	s.guest, err = guest.Boot(ctx, s.box, cfg)
	return err
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
