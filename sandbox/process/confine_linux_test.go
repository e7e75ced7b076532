package process_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// TestConfined: what Landlock and seccomp keep from the payload, and not from the node.
func TestConfined(t *testing.T) {
	d := open(t, process.Config{})
	signals := "denied"
	for _, c := range d.Report().Checks {
		if c.Name == sandbox.CheckFiles && c.State == sandbox.Missing {
			missing(t, "this kernel has no Landlock: %s", c.Lift)
		}
		if c.Name == sandbox.CheckProcess && strings.Contains(c.Detail, "can signal") {
			signals = "done" // a kernel before 6.12, and the report says so
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
	for _, c := range []struct{ name, script, want string }{
		{"read a file of the host", "cat " + secret, "denied"},
		{"write beside it", "echo x > " + secret + "2", "denied"},
		{"list a folder of the host", "ls /root /home", "denied"},
		{"cut off a file of the host", "/usr/bin/python3 -c 'import os; os.truncate(\"" + secret + "\", 0)'", "denied"},
		{"read another sandbox's tmp", "cat " + other.Path("/tmp") + "/f", "denied"},
		{"read the node's environment", "cat /proc/" + "$PPID/environ", "denied"},
		{"signal the node", "kill -0 $PPID", signals},
		{"make a namespace", "unshare -U true", "denied"},
		{"mount", "mount -t tmpfs x " + "$TMPDIR", "denied"},
	} {
		b := sandboxtest.Create(t, d, sandbox.Spec{})
		p := sandboxtest.Shell(t, b, "if ("+c.script+") >/dev/null 2>&1; then echo done; else echo denied; fi")
		if got := p.Line(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "s3cret" {
		t.Errorf("the node itself reads %q, %v in %s, want it as it was", b, err, secret)
	}
}

// TestNoSocketOfTheHost: a daemon that listens on a path is as far away as its files. Pairs still work: runtimes use them.
func TestNoSocketOfTheHost(t *testing.T) {
	const python = "/usr/bin/python3" // the system's: another one may lie where the payload cannot read
	if _, err := os.Stat(python); err != nil {
		missing(t, "no python3 to connect with: %v", err)
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b := sandboxtest.Create(t, open(t, process.Config{}), sandbox.Spec{})
	p := sandboxtest.Shell(t, b, `"$1" -c '
import socket, sys
a, b = socket.socketpair()
a.send(b"pair"); print(b.recv(9).decode())
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print("connected")
except PermissionError:
    print("denied")
' "$2"`, python, path)
	p.Expect("pair")
	p.Expect("denied")
	p.End()
}

func TestMountAfterExecOutsideOfReadable(t *testing.T) {
	d := open(t, process.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{})
	sandboxtest.Shell(t, b, "read x")
	if err := b.Mount(t.TempDir(), sandbox.MountTask); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("mount of what the payload may not read: got %v, want kind unsupported", err)
	}
}
