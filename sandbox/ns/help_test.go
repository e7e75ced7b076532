//go:build linux

package ns_test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

// python is an interpreter that sandboxes see: one below /usr.
func python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "/usr/local/bin/python3"} {
		if out, err := exec.Command(name, "-c", "print(1)").Output(); err == nil && strings.TrimSpace(string(out)) == "1" {
			return name
		}
	}
	missing(t, "no python3 below /usr")
	return ""
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}

// everything is the policy of who reaches the internet, or of who does not.
func everything(reaches bool) egress.Policy {
	if reaches {
		return egress.Everything()
	}
	return egress.Policy{}
}

func nil0(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
