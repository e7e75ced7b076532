//go:build linux

package ns_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// python is an interpreter that sandboxes see: one below /usr.
func python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "/usr/local/bin/python3"} {
		if out, err := exec.Command(name, "-c", "print(1)").Output(); err == nil && strings.TrimSpace(string(out)) == "1" {
			return name
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI needs a python3 below /usr")
	}
	t.Skip("needs a python3 below /usr")
	return ""
}
