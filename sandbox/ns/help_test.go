//go:build linux

package ns_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// socketpair is a connection and the file at its other end.
func socketpair(t *testing.T) (net.Conn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine := os.NewFile(uintptr(fds[0]), "mine")
	defer mine.Close()
	c, err := net.FileConn(mine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, os.NewFile(uintptr(fds[1]), "theirs")
}

// python is an interpreter that sandboxes see: the system's, below /usr.
func python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "/usr/local/bin/python3"} {
		if out, err := exec.Command(name, "-c", "print(1)").Output(); err == nil && strings.TrimSpace(string(out)) == "1" {
			return name
		}
	}
	t.Skip("needs a python3 below /usr")
	return ""
}
