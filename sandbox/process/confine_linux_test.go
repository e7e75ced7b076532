package process_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// TestConfined: what Landlock and seccomp keep from the payload, and not from the node.
func TestConfined(t *testing.T) {
	d := open(t, process.Config{})
	for _, c := range d.Report().Checks {
		if c.Name == sandbox.CheckFiles && c.State == sandbox.Missing {
			t.Skip("this kernel has no Landlock: " + c.Lift)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := sandboxtest.Create(t, d, sandbox.Spec{})
	if err := os.WriteFile(other.Path("/tmp")+"/f", []byte("s3cret"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, script string }{
		{"read a file of the host", "cat " + secret},
		{"write beside it", "echo x > " + secret + "2"},
		{"list a folder of the host", "ls /root /home"},
		{"read another sandbox's tmp", "cat " + other.Path("/tmp") + "/f"},
		{"read the node's environment", "cat /proc/" + "$PPID/environ"},
		{"signal the node", "kill -0 $PPID"},
		{"make a namespace", "unshare -U true"},
		{"mount", "mount -t tmpfs x " + "$TMPDIR"},
	} {
		b := sandboxtest.Create(t, d, sandbox.Spec{})
		p := sandboxtest.Shell(t, b, "if ("+c.script+") >/dev/null 2>&1; then echo done; else echo denied; fi")
		if got := p.Line(); got != "denied" {
			t.Errorf("%s: got %q, want denied", c.name, got)
		}
	}
	if _, err := os.ReadFile(secret); err != nil {
		t.Errorf("the node itself cannot read %s any more: %v", secret, err)
	}
}

func TestMountAfterExecOutsideOfReadable(t *testing.T) {
	d := open(t, process.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{})
	sandboxtest.Shell(t, b, "read x")
	if err := b.Mount(t.TempDir(), sandbox.MountTask); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("mount of what the payload may not read: got %v, want kind unsupported", err)
	}
}
