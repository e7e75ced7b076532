//go:build linux || darwin

package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// Sandbox is one sandbox of this driver.
type Sandbox struct {
	d    *Driver
	id   string
	dir  string
	spec sandbox.Spec
	done chan struct{}

	mu      sync.Mutex
	mounts  map[string]string // guarded by mu: mount point → source, links resolved
	limits  sandbox.Limits    // guarded by mu
	timing  sandbox.Timing    // guarded by mu
	allowed []string          // guarded by mu: what Landlock lets the payload read, set by Exec; nil: everything
	started bool              // guarded by mu
	main    int               // guarded by mu: pid and process group, 0 before Exec and after the end
	ended   bool              // guarded by mu: done is closed
	exit    sandbox.Exit      // guarded by mu
	last    sandbox.Stats     // guarded by mu
}

var _ sandbox.Sandbox = (*Sandbox)(nil)

// ID is the sandbox's name on this node.
func (b *Sandbox) ID() string { return b.id }

// Done is closed when the payload has ended.
func (b *Sandbox) Done() <-chan struct{} { return b.done }

// Exit says how it ended.
func (b *Sandbox) Exit() sandbox.Exit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.exit
}

// Timing is how long making it took.
func (b *Sandbox) Timing() sandbox.Timing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.timing
}

// Path is where dst is on the host: an image's file where it lies, all else in the sandbox's folder.
func (b *Sandbox) Path(dst string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.path(dst)
}

// path is Path for who holds mu.
func (b *Sandbox) path(dst string) string {
	if b.mounts[dst] == "" {
		for _, x := range b.spec.Image {
			if rest, ok := strings.CutPrefix(dst, x.Target); ok && (rest == "" || rest[0] == '/') {
				return x.Source + rest
			}
		}
	}
	for _, p := range append([]string{"/tmp"}, sandbox.MountPoints()...) {
		if dst == p || strings.HasPrefix(dst, p+"/") {
			return b.dir + dst
		}
	}
	return dst
}

func (b *Sandbox) errEnded() error {
	return rouse.Errorf(rouse.Unavailable, "sandbox %s has ended", b.id)
}

// Mount links src.
func (b *Sandbox) Mount(src, dst string) error {
	if err := sandbox.CheckMount(src, dst); err != nil {
		return err
	}
	start := time.Now()
	source, err := filepath.EvalSymlinks(src)
	if err != nil {
		return fmt.Errorf("mount %s: %w", dst, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return b.errEnded()
	}
	if b.allowed != nil && !below(source, b.allowed) {
		return rouse.Errorf(rouse.Unsupported, "mount %s: %s is not readable for what already runs in sandbox %s", dst, src, b.id)
	}
	place := b.dir + dst
	if err := os.Remove(place); err != nil {
		return fmt.Errorf("mount %s: %w", dst, err)
	}
	if err := os.Symlink(source, place); err != nil {
		return fmt.Errorf("mount %s: %w", dst, err)
	}
	b.mounts[dst] = source
	b.timing.Mount += time.Since(start)
	return nil
}

func below(p string, roots []string) bool {
	for _, r := range roots {
		if p == r || strings.HasPrefix(p, strings.TrimSuffix(r, "/")+"/") {
			return true
		}
	}
	return false
}

// Exec starts the payload.
func (b *Sandbox) Exec(argv, env []string, dir string, files []*os.File) error {
	if err := sandbox.CheckExec(argv, env, dir, len(files)); err != nil {
		return err
	}
	start := time.Now()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: dir, Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	for i := range max(3, len(files)) {
		f := null
		if i < len(files) {
			f = files[i]
		}
		attr.Files = append(attr.Files, f.Fd())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return b.errEnded()
	case b.started:
		return rouse.Errorf(rouse.Conflict, "sandbox %s already runs something", b.id)
	}
	b.started = true
	p := program{argv: argv, attr: attr, files: b.limits.Files, readable: b.readable(), writable: []string{b.dir + "/tmp"}}
	if p.files == 0 {
		p.files = filesDefault
	}
	pid, err := b.d.guard.start(p)
	if err != nil {
		b.finish(sandbox.Exit{Code: -1})
		return rouse.Errorf(rouse.Invalid, "start %s: %w", argv[0], err)
	}
	if b.d.guard.files() {
		b.allowed = p.readable
	}
	b.main = pid
	b.timing.Exec = time.Since(start)
	if err := b.d.watcher.tell("+", pid); err != nil {
		b.d.log.Error("the sandboxes' watchdog is gone", "err", err)
	}
	go b.wait(pid)
	return nil
}

const filesDefault = 1024

// readable is what the payload may open. The caller holds mu.
func (b *Sandbox) readable() []string {
	list := append([]string{b.dir}, b.d.c.Readable...)
	for _, x := range b.spec.Image {
		list = append(list, x.Source)
	}
	for _, source := range b.mounts {
		list = append(list, source)
	}
	return list
}

// wait waits for the payload's end and ends what it has started.
func (b *Sandbox) wait(pid int) {
	var ws syscall.WaitStatus
	var use syscall.Rusage
	for {
		_, err := syscall.Wait4(pid, &ws, 0, &use)
		if err != syscall.EINTR {
			break
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	if err := b.d.watcher.tell("-", pid); err != nil {
		b.d.log.Error("the sandboxes' watchdog is gone", "err", err)
	}
	exit := sandbox.Exit{Code: ws.ExitStatus()}
	if ws.Signaled() {
		exit = sandbox.Exit{Code: -1, Signal: int(ws.Signal())}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last.CPU = max(b.last.CPU, time.Duration(use.Utime.Nano()+use.Stime.Nano()))
	b.last.MemoryPeakBytes = max(b.last.MemoryPeakBytes, peakBytes(use))
	b.last.MemoryBytes, b.last.Pids = 0, 0
	b.main = 0
	b.finish(exit)
}

// finish notes the end. The caller holds mu.
func (b *Sandbox) finish(exit sandbox.Exit) {
	if b.ended {
		return
	}
	b.ended = true
	b.exit = exit
	close(b.done)
}

// Listen listens on the host's loopback. The port is the system's choice: sandboxes share it.
func (b *Sandbox) Listen(port int) (net.Listener, string, error) {
	if port < 0 || port > 65535 {
		return nil, "", rouse.Errorf(rouse.Invalid, "listen on port %d", port)
	}
	select {
	case <-b.done:
		return nil, "", b.errEnded()
	default:
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("listen in sandbox %s: %w", b.id, err)
	}
	return l, l.Addr().String(), nil
}

// Dial connects to the host's loopback.
func (b *Sandbox) Dial(ctx context.Context, port int) (net.Conn, error) {
	if port < 1 || port > 65535 {
		return nil, rouse.Errorf(rouse.Invalid, "dial port %d", port)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, fmt.Errorf("dial port %d of sandbox %s: %w", port, b.id, err)
	}
	return c, nil
}

// Limit notes the limits; only Files is enforced, by Exec.
func (b *Sandbox) Limit(change sandbox.Limits) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return b.errEnded()
	}
	l, err := b.limits.Merge(change)
	b.limits = l
	return err
}

// Reach takes a policy that allows everything: the network is the host's.
func (b *Sandbox) Reach(p egress.Policy) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return b.errEnded()
	case !p.All():
		return errNetwork()
	}
	return nil
}

func errNetwork() error {
	return rouse.Errorf(rouse.Unsupported, "this machine's isolation (process) cannot keep functions from the network")
}

// Freeze stops the process group.
func (b *Sandbox) Freeze() error { return b.signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (b *Sandbox) Thaw() error { return b.signal(syscall.SIGCONT) }

func (b *Sandbox) signal(sig syscall.Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return b.errEnded()
	}
	if b.main == 0 {
		return nil
	}
	if err := syscall.Kill(-b.main, sig); err != nil {
		return fmt.Errorf("signal sandbox %s: %w", b.id, err)
	}
	return nil
}

// Stats adds up what the process group uses, as far as this system tells.
func (b *Sandbox) Stats() (sandbox.Stats, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.main != 0 {
		s := groupStats(b.main)
		s.MemoryPeakBytes = max(s.MemoryBytes, b.last.MemoryPeakBytes)
		b.last = s
	}
	return b.last, nil
}

// killWait bounds Kill.
const killWait = 10 * time.Second

// Kill ends the process group and removes the folder.
func (b *Sandbox) Kill() {
	b.mu.Lock()
	if b.main != 0 {
		_ = syscall.Kill(-b.main, syscall.SIGKILL)
	} else {
		b.finish(sandbox.Exit{Code: -1, Signal: int(syscall.SIGKILL)})
	}
	b.mu.Unlock()
	timeout := time.NewTimer(killWait)
	defer timeout.Stop()
	select {
	case <-b.done:
	case <-timeout.C:
		b.d.log.Error("a sandbox does not die", "sandbox", b.id)
		return
	}
	if err := os.RemoveAll(b.dir); err != nil {
		b.d.log.Warn("a sandbox's folder could not be removed", "sandbox", b.id, "err", err)
	}
	b.d.mu.Lock()
	delete(b.d.boxes, b.id)
	b.d.mu.Unlock()
}
