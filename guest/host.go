package guest

import (
	"context"
	"net"
	"os"
)

// Host is the place that a guest lives in: a sandbox, or a plain process in tests.
type Host interface {
	// Exec starts argv with exactly env, in dir; files become its descriptors 0, 1, 2, … and stay the caller's to close.
	Exec(argv, env []string, dir string, files []*os.File) error

	// Listen opens a TCP listener that only the guest can reach, on port if that is possible and not 0, and returns the
	// address that the guest has to dial.
	Listen(port int) (net.Listener, string, error)

	// Dial connects to a port on which the guest listens.
	Dial(ctx context.Context, port int) (net.Conn, error)

	// Done is closed when the guest's main process has ended.
	Done() <-chan struct{}

	// Path is where a mount target such as /var/task is seen from inside.
	Path(target string) string
}

// Mount targets, as Lambda has them.
const (
	taskRoot    = "/var/task"
	layerRoot   = "/opt"
	runtimeRoot = "/var/runtime"
	langRoot    = "/var/lang"
)
