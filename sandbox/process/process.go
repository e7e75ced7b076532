//go:build linux || darwin

// Package process makes sandboxes that are plain child processes: for macOS, and for Linux where namespaces are forbidden.
//
// A sandbox is a folder of its own and a process group of its own. The folder stands for the mounts: Mount puts a
// symbolic link into it, and Path tells the guest where things are. The processes share the host's network, users and
// process list; nothing bounds their memory or time. On Linux the first of them is started from a thread that has put
// on Landlock (only the system's programs, the image, the mounts and the own folder can be opened; from Linux 6.12 on no
// signals to the outside), no_new_privs and seccomp (which keeps the host's UNIX sockets away, as Landlock does not), and is thrown
// away; the node itself stays as it is. Report says all this loudly, and `serve` does not run on it unless told.
//
//	<Dir>/rouse-sandboxes-XXXX/lock     held by the node: a folder whose lock is free belongs to the dead, Open removes it
//	<Dir>/rouse-sandboxes-XXXX/s1/tmp   the sandbox's /tmp
//	<Dir>/rouse-sandboxes-XXXX/s1/var/task → code
//
// One watchdog, a shell that reads a pipe from the node, knows all process groups; when the node dies, kill -9 included,
// the pipe ends and the watchdog kills them. A process that leaves its group and its parents is not found again, nor one that
// the node had started and not yet told of.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
)

// Config is how the driver works. The zero value is usable.
type Config struct {
	Dir      string       // where the sandboxes' folders go; default /tmp
	Readable []string     // folders below which every Mount after Exec lies, such as the node's cache of code
	Max      int          // sandboxes at once; default and limit 4096
	Why      error        // what keeps this machine from a better driver, for Report
	Logger   *slog.Logger // default: discard
}

const (
	sandboxesMax = 4096
	dirPrefix    = "rouse-sandboxes-"
	lockName     = "lock"
)

// Driver makes sandboxes of processes.
type Driver struct {
	c       Config
	log     *slog.Logger
	dir     string
	lock    *os.File
	guard   confinement
	watcher *watchdog
	number  atomic.Int64

	mu     sync.Mutex
	boxes  map[string]*Sandbox // guarded by mu
	closed bool                // guarded by mu
}

var _ sandbox.Driver = (*Driver)(nil)

// Open sweeps what dead nodes have left and starts the driver.
func Open(_ context.Context, c Config) (*Driver, error) {
	if c.Dir == "" {
		c.Dir = "/tmp"
	}
	if c.Max <= 0 || c.Max > sandboxesMax {
		c.Max = sandboxesMax
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	sweep(c.Dir, c.Logger)
	dir, err := os.MkdirTemp(c.Dir, dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("make the sandboxes' folder: %w", err)
	}
	d := &Driver{c: c, log: c.Logger, dir: dir, boxes: map[string]*Sandbox{}}
	if d.dir, err = filepath.EvalSymlinks(dir); err == nil {
		d.lock, err = lockFile(filepath.Join(d.dir, lockName))
	}
	if err == nil {
		d.guard, err = newConfinement()
	}
	if err == nil {
		d.watcher, err = startWatchdog()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return d, nil
}

func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

// sweep removes the folders of nodes that are gone. Their processes ended with them, by their watchdog.
func sweep(dir string, log *slog.Logger) {
	old, _ := filepath.Glob(filepath.Join(dir, dirPrefix+"*")) // the pattern is well-formed
	for _, o := range old {
		name := filepath.Join(o, lockName)
		if _, err := os.Stat(name); err != nil {
			continue // just being made, or another user's
		}
		f, err := lockFile(name)
		if err != nil {
			continue
		}
		if err := os.RemoveAll(o); err != nil {
			log.Warn("a dead node's sandboxes could not be removed", "dir", o, "err", err)
		}
		_ = f.Close()
	}
}

// Create makes a folder.
func (d *Driver) Create(_ context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	start := time.Now()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if !spec.Egress.All() && !spec.Egress.None() { // without any it has the host's network too, and the report says so
		return nil, errNetwork()
	}
	b := &Sandbox{d: d, id: "s" + strconv.FormatInt(d.number.Add(1), 10), spec: spec, limits: spec.Limits,
		done: make(chan struct{}), mounts: map[string]string{}}
	b.dir = filepath.Join(d.dir, b.id)
	for _, p := range append([]string{"/tmp"}, sandbox.MountPoints()...) {
		if err := os.MkdirAll(b.dir+p, 0o700); err != nil {
			_ = os.RemoveAll(b.dir)
			return nil, fmt.Errorf("create a sandbox: %w", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.boxes) >= d.c.Max {
		_ = os.RemoveAll(b.dir)
		if d.closed {
			return nil, rouse.Errorf(rouse.Unavailable, "the sandbox driver is closed")
		}
		return nil, rouse.Errorf(rouse.Limit, "this node has %d sandboxes, its limit", d.c.Max)
	}
	d.boxes[b.id] = b
	b.timing.Create = time.Since(start)
	return b, nil
}

// Close kills all sandboxes and removes their folders.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	var boxes []*Sandbox
	for _, b := range d.boxes {
		boxes = append(boxes, b)
	}
	d.mu.Unlock()
	for _, b := range boxes {
		b.Kill()
	}
	err := d.watcher.close()
	return errors.Join(err, os.RemoveAll(d.dir), d.lock.Close())
}

// Report says what is in force.
func (d *Driver) Report() sandbox.Report {
	lift := "run Rouse on Linux as root, or as a user who may make user namespaces"
	if d.c.Why != nil {
		lift += " (here: " + d.c.Why.Error() + ")"
	}
	missing := func(name, detail string) sandbox.Check {
		return sandbox.Check{Name: name, State: sandbox.Missing, Detail: detail, Lift: lift}
	}
	files, calls := d.guard.checks()
	processes := "functions see the host's processes"
	if !d.guard.signals() {
		processes += ", and can signal those of the node's user, the node included"
	}
	return sandbox.Report{Driver: "process", Checks: []sandbox.Check{
		files,
		missing(sandbox.CheckProcess, processes),
		missing(sandbox.CheckUser, "functions run as the node's own user"),
		missing(sandbox.CheckNetwork, "functions use the host's network, its private and loopback addresses included"),
		{Name: sandbox.CheckEgress, State: sandbox.InForce, Detail: "by the host's network; it can be neither turned off nor limited"},
		calls,
		missing(sandbox.CheckMemory, "a function can use all of the machine's memory"),
		missing(sandbox.CheckCPU, "a function can use all processors"),
		missing(sandbox.CheckPids, "a function can start processes without end"),
		missing(sandbox.CheckTmp, "a function can fill the disk that holds "+d.c.Dir),
		{Name: sandbox.CheckFreeze, State: sandbox.InForce, Detail: "by SIGSTOP to the process group"},
		{Name: sandbox.CheckDeath, State: sandbox.Partial, Lift: lift,
			Detail: "a watchdog kills the process groups; a process that left its group survives"},
	}}
}

// watchScript keeps the list of process groups that it reads about, and kills them when there is nothing more to read.
const watchScript = `while read -r op group; do
case $op in
+) list="$list $group" ;;
-) rest=; for g in $list; do [ "$g" = "$group" ] || rest="$rest $g"; done; list=$rest ;;
esac
done
for g in $list; do kill -s KILL -- "-$g"; done 2>/dev/null`

type watchdog struct {
	pid int

	mu   sync.Mutex
	pipe io.WriteCloser // guarded by mu
}

func startWatchdog() (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// In a session of its own: Ctrl-C is for the node, which then ends its sandboxes in good order.
	pid, err := syscall.ForkExec("/bin/sh", []string{"rouse-watchdog", "-c", watchScript}, &syscall.ProcAttr{
		Dir: "/", Files: []uintptr{r.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{pid: pid, pipe: w}, nil
}

func (w *watchdog) tell(op string, group int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := bufio.NewWriter(w.pipe)
	fmt.Fprintf(b, "%s %d\n", op, group)
	return b.Flush()
}

func (w *watchdog) close() error {
	w.mu.Lock()
	err := w.pipe.Close()
	w.mu.Unlock()
	_, _ = syscall.Wait4(w.pid, nil, 0, nil)
	return err
}
