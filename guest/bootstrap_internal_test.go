package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// here is a host whose sandbox is at the root.
type here struct{ Host }

func (here) Path(p string) string { return p }

// TestBootstrapStaysInside: a link that leads out of the code says nothing about the host.
func TestBootstrapStaysInside(t *testing.T) {
	outside, task, layers := filepath.Join(t.TempDir(), "tool"), t.TempDir(), t.TempDir()
	for _, err := range []error{os.WriteFile(outside, nil, 0o755), os.Mkdir(filepath.Join(layers, "bin"), 0o755),
		os.WriteFile(filepath.Join(layers, "bin/real"), nil, 0o755), os.Symlink("bin/real", filepath.Join(layers, "bootstrap"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(task, "bootstrap")
	up, err := filepath.Rel(task, outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{outside, up, "/nowhere"} {
		_ = os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if p, fe := findBootstrap(here{}, &Function{TaskPath: task}); fe == nil || !strings.Contains(fe.Message, "Couldn't find valid bootstrap") {
			t.Errorf("bootstrap that links to %s: got %q, %v, want none found", to, p, fe)
		}
		if p, fe := findBootstrap(here{}, &Function{TaskPath: task, LayerPath: layers}); fe != nil || p != "/opt/bootstrap" {
			t.Errorf("and one in a layer that links within it: got %q, %v, want /opt/bootstrap", p, fe)
		}
	}
}
