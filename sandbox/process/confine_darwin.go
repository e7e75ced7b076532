package process

import (
	"strconv"
	"syscall"

	"github.com/rouse-dev/rouse/sandbox"
)

// program is what start starts.
type program struct {
	argv     []string
	attr     *syscall.ProcAttr
	files    int
	readable []string
	writable []string
}

// confinement is empty: macOS offers a program without entitlements nothing to put on a child.
type confinement struct{}

func newConfinement() (confinement, error) { return confinement{}, nil }

func (confinement) files() bool { return false }

func (confinement) signals() bool { return false }

func (confinement) checks() (files, calls sandbox.Check) {
	const lift = "run Rouse on Linux"
	return sandbox.Check{Name: sandbox.CheckFiles, State: sandbox.Missing, Lift: lift,
			Detail: "a function reads and writes what the node's user can"},
		sandbox.Check{Name: sandbox.CheckSyscalls, State: sandbox.Missing, Lift: lift, Detail: "macOS has none"}
}

// start starts p through a shell that sets the limit of open files, which no other way can set for a child alone.
func (confinement) start(p program) (int, error) {
	argv := append([]string{"sh", "-c", "ulimit -n " + strconv.Itoa(p.files) + "; exec \"$@\"", "sh"}, p.argv...)
	if err := syscall.Access(p.argv[0], 1); err != nil { // as execve would say; the shell only says 126 or 127
		return 0, err
	}
	return syscall.ForkExec("/bin/sh", argv, p.attr)
}
