package driver_test

import (
	"runtime"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

func open(t *testing.T, name string) sandbox.Driver {
	t.Helper()
	d, err := driver.Open(t.Context(), driver.Config{Name: name, Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("open %q: %v", name, err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// TestAuto: whatever this machine and user have, there is a driver, it works, and it tells all about itself.
func TestAuto(t *testing.T) {
	for _, name := range []string{driver.Auto, driver.Process} {
		d := open(t, name)
		r := d.Report()
		if r.Driver == "" || name != driver.Auto && r.Driver != name {
			t.Errorf("driver %q: got %q", name, r.Driver)
		}
		seen := map[string]bool{}
		for _, c := range r.Checks {
			if c.State == "" || c.Detail == "" || seen[c.Name] {
				t.Errorf("check: got %+v, want a state and a detail, once", c)
			}
			seen[c.Name] = true
		}
		for _, want := range []string{sandbox.CheckFiles, sandbox.CheckProcess, sandbox.CheckUser, sandbox.CheckNetwork,
			sandbox.CheckEgress, sandbox.CheckSyscalls, sandbox.CheckMemory, sandbox.CheckCPU, sandbox.CheckPids, sandbox.CheckTmp,
			sandbox.CheckFreeze, sandbox.CheckDeath} {
			if !seen[want] {
				t.Errorf("driver %s says nothing about its %s", r.Driver, want)
			}
		}
		b := sandboxtest.Create(t, d, sandbox.Spec{})
		sandboxtest.Shell(t, b, "echo hello").Expect("hello")
	}
}

func TestNames(t *testing.T) {
	if _, err := driver.Open(t.Context(), driver.Config{Name: "docker"}); rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("an unknown driver: got %v, want kind invalid", err)
	}
	if runtime.GOOS == "linux" {
		return
	}
	if _, err := driver.Open(t.Context(), driver.Config{Name: driver.NS}); rouse.KindOf(err) != rouse.Unavailable {
		t.Errorf("namespaces without Linux: got %v, want kind unavailable", err)
	}
}
