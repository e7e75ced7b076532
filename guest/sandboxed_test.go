package guest_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/guest/guesttest"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// box is a sandbox as the cases need it.
type box struct{ sandbox.Sandbox }

func (b box) Exited() string {
	e := b.Exit()
	if e.Signal != 0 {
		return "signal: " + syscall.Signal(e.Signal).String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// TestInSandboxes runs the whole table in each driver's sandboxes.
func TestInSandboxes(t *testing.T) {
	for _, name := range []string{driver.NS, driver.Process} {
		t.Run(name, func(t *testing.T) {
			d, err := driver.Open(context.Background(), driver.Config{Name: name, Readable: []string{os.TempDir()}})
			if err != nil {
				missing(t, "this machine has no driver %s: %v", name, err)
			}
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Errorf("close the driver: %v", err)
				}
			})
			guesttest.Run(t, guesttest.Config{Interpreters: installed(t), Host: func(t testing.TB, p guesttest.Place) guesttest.Host {
				return newBox(t, d, p)
			}})
		})
	}
}

func newBox(t testing.TB, d sandbox.Driver, p guesttest.Place) guesttest.Host {
	t.Helper()
	spec := sandbox.Spec{Image: []sandbox.Bind{{Source: p.Runtime, Target: sandbox.MountRuntime}}, Limits: sandbox.LambdaLimits(2*1769, 512)}
	for _, b := range p.Interpreter.Binds {
		spec.Image = append(spec.Image, sandbox.Bind(b))
	}
	s, err := d.Create(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Mount(p.Task, sandbox.MountTask); err != nil {
		t.Fatal(err)
	}
	if p.Layers != "" {
		if err := s.Mount(p.Layers, sandbox.MountLayers); err != nil {
			t.Fatal(err)
		}
	}
	return box{s}
}
