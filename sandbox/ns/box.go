//go:build linux

package ns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/egress"
	"github.com/rouse-dev/rouse/sandbox/network"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// Sandbox is one sandbox of this driver.
type Sandbox struct {
	d         *Driver
	id        string
	uid       int // on the host; 0: rootless
	group     *cgroup.Group
	stopOOM   func()
	link      *network.Link // nil: loopback only
	conn      *net.UnixConn // to the init
	init      *os.File      // its pidfd
	pid       int           // its pid on the host
	control   int           // descriptors of the init
	signals   int
	door      int // what the payload enters to be frozen, -1: nothing
	doorClone bool

	done    chan struct{} // closed when the payload, or the init before it, has ended
	over    chan struct{} // closed when nothing is left
	replies chan message

	call sync.Mutex // one script at a time

	mu     sync.Mutex
	limits sandbox.Limits // guarded by mu
	egress egress.Policy  // guarded by call
	timing sandbox.Timing // guarded by mu once create has returned
	exec   bool           // guarded by mu: Exec was called
	main   int            // guarded by call: the payload's pid inside, 0 before
	oomed  bool           // guarded by mu
	exit   sandbox.Exit   // guarded by mu
	last   sandbox.Stats  // guarded by mu: read before the groups went
	ended  bool           // guarded by mu: done is closed
}

var _ sandbox.Sandbox = (*Sandbox)(nil)

// ID is the sandbox's name on this node.
func (b *Sandbox) ID() string { return b.id }

// Path is dst: there are mounts here.
func (b *Sandbox) Path(dst string) string { return dst }

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

func errEnded(id string) error { return rouse.Errorf(rouse.Unavailable, "sandbox %s has ended", id) }

// Mount shows src at dst.
func (b *Sandbox) Mount(src, dst string) error {
	if err := sandbox.CheckMount(src, dst); err != nil {
		return err
	}
	start := time.Now()
	err := b.inside(func(s *script.Script) func() {
		tree := s.Call("open "+src, unix.SYS_OPEN_TREE, unix.AT_FDCWD, src, treeFlags).Var()
		attr := s.Words(attrShared, 0, 0, 0)
		s.Call("restrict "+src, unix.SYS_MOUNT_SETATTR, tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr, 32)
		return func() {
			s.Call("mount at "+dst, unix.SYS_MOVE_MOUNT, tree, "", unix.AT_FDCWD, dst, unix.MOVE_MOUNT_F_EMPTY_PATH)
		}
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", dst, err)
	}
	b.mu.Lock()
	b.timing.Mount += time.Since(start)
	b.mu.Unlock()
	return nil
}

// inside runs, in a fork of the base, what first prepares in the host's mounts, then what that returned in the sandbox's.
func (b *Sandbox) inside(first func(s *script.Script) func()) error {
	fd, release, err := b.pidfd()
	if err != nil {
		return err
	}
	defer release()
	err = b.d.base.run(context.Background(), []int{fd}, func(s *script.Script) {
		then := first(s)
		s.Call("enter the sandbox", unix.SYS_SETNS, script.Received(1), unix.CLONE_NEWNS)
		then()
	})
	if err != nil && (b.isEnded() || errors.Is(err, unix.ESRCH)) {
		return errEnded(b.id)
	}
	return err
}

// pidfd lends the init's pidfd; it stays open until release.
func (b *Sandbox) pidfd() (fd int, release func(), err error) {
	raw, err := b.init.SyscallConn()
	if err == nil {
		err = raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) })
	}
	if err != nil {
		return -1, nil, errEnded(b.id)
	}
	return fd, func() { _ = unix.Close(fd) }, nil
}

// Limit changes limits.
func (b *Sandbox) Limit(change sandbox.Limits) error {
	b.call.Lock()
	defer b.call.Unlock()
	b.mu.Lock()
	old, ended := b.limits, b.ended
	b.mu.Unlock()
	if ended {
		return errEnded(b.id)
	}
	l, err := old.Merge(change)
	if err != nil {
		return err
	}
	if l.TmpBytes != old.TmpBytes {
		err := b.inside(func(s *script.Script) func() {
			return func() {
				s.Call("resize /tmp", unix.SYS_MOUNT, 0, "/tmp", 0, unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV,
					tmpOptions(l.TmpBytes))
			}
		})
		if err != nil {
			return fmt.Errorf("limit sandbox %s: %w", b.id, err)
		}
	}
	if b.group != nil {
		if err := b.group.Limit(l); err != nil {
			return fmt.Errorf("limit sandbox %s: %w", b.id, err)
		}
	}
	b.mu.Lock()
	b.limits = l
	b.mu.Unlock()
	return nil
}

// Reach narrows what the sandbox reaches.
func (b *Sandbox) Reach(p egress.Policy) error {
	b.call.Lock()
	defer b.call.Unlock()
	if b.isEnded() {
		return errEnded(b.id)
	}
	if b.link == nil || p.All() { // nothing to narrow, or nothing that would
		return nil
	}
	b.egress = b.egress.And(p)
	if err := b.link.Restrict(b.egress); err != nil {
		return fmt.Errorf("egress of sandbox %s: %w", b.id, err)
	}
	return nil
}

// Freeze stops the payload.
func (b *Sandbox) Freeze() error { return b.freeze(true) }

// Thaw lets it go on.
func (b *Sandbox) Thaw() error { return b.freeze(false) }

func (b *Sandbox) freeze(on bool) error {
	if b.group != nil && b.door >= 0 {
		b.call.Lock()
		defer b.call.Unlock()
		if b.isEnded() {
			return errEnded(b.id)
		}
		if on {
			return b.group.Freeze()
		}
		return b.group.Thaw()
	}
	// Without a freezer the init stops all others of its pid namespace, itself excepted.
	sig := unix.SIGCONT
	if on {
		sig = unix.SIGSTOP
	}
	_, err := b.ask(nil, func(s *script.Script) {
		s.Call("signal all", unix.SYS_KILL, -1, int(sig)).Ignore() // there may be nobody yet
		s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(tagReply)}, nil)
	})
	return err
}

// Stats reads what the sandbox uses.
func (b *Sandbox) Stats() (sandbox.Stats, error) {
	b.call.Lock()
	defer b.call.Unlock()
	return b.stats()
}

// stats is Stats for who holds call.
func (b *Sandbox) stats() (sandbox.Stats, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return b.last, nil
	}
	if b.group == nil {
		s := treeStats(b.pid)
		s.MemoryPeakBytes = max(s.MemoryBytes, b.last.MemoryPeakBytes)
		s.CPU = max(s.CPU, b.last.CPU)
		b.last = s
		return s, nil
	}
	s, err := b.group.Stats()
	if err != nil {
		return b.last, fmt.Errorf("stats of sandbox %s: %w", b.id, err)
	}
	s.MemoryPeakBytes = max(s.MemoryPeakBytes, b.last.MemoryPeakBytes)
	s.OOMKilled = s.OOMKilled || b.oomed
	b.last = s
	return s, nil
}

func (b *Sandbox) isEnded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// ask has the init run body, which replies once, and returns the reply.
func (b *Sandbox) ask(files []int, body func(s *script.Script)) (message, error) {
	b.call.Lock()
	defer b.call.Unlock()
	s := &script.Script{}
	body(s)
	b.wait(s, nil)
	return b.exchange(s, files)
}

// exchange sends s and waits for its reply. The caller holds call.
func (b *Sandbox) exchange(s *script.Script, files []int) (message, error) {
	if b.isEnded() {
		return message{}, errEnded(b.id)
	}
	if err := send(b.conn, s, files); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
			return message{}, errEnded(b.id)
		}
		return message{}, fmt.Errorf("ask the init of sandbox %s: %w", b.id, err)
	}
	timeout := time.NewTimer(answerWait)
	defer timeout.Stop()
	var m message
	select {
	case m = <-b.replies:
	case <-b.done:
		select { // an answer that came just before the end
		case m = <-b.replies:
		default:
			return message{}, errEnded(b.id)
		}
	case <-timeout.C:
		b.end() // its next answers would be taken for others
		return message{}, rouse.Errorf(rouse.Internal, "the init of sandbox %s does not answer", b.id)
	}
	if failure, ok := s.Failure(m.body); ok {
		return message{}, failure
	}
	return m, nil
}

// oom is told that the kernel has killed a process for memory: the rest goes too.
func (b *Sandbox) oom() {
	b.mu.Lock()
	b.oomed = true
	b.mu.Unlock()
	b.end()
}

// end begins the end: it kills the init, and with it every process of the sandbox.
func (b *Sandbox) end() {
	raw, err := b.init.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	}
	if b.group != nil {
		b.group.Release()
	}
}

// killWait bounds Kill. Longer than that a process only resists in the kernel's own waits, such as a dead disk's.
const killWait = 10 * time.Second

// Kill ends everything and waits until nothing is left.
func (b *Sandbox) Kill() {
	b.end()
	timeout := time.NewTimer(killWait)
	defer timeout.Stop()
	select {
	case <-b.over:
	case <-timeout.C:
		b.d.log.Error("a sandbox does not die", "sandbox", b.id)
	}
}

// watch reads what the init sends, and when it is gone takes everything back.
func (b *Sandbox) watch() {
	reported := false
	for {
		m, err := read(b.conn)
		if err != nil {
			break
		}
		if m.word(0) == tagExit && len(m.body) > 24 {
			b.report(syscall.WaitStatus(m.word(1)))
			reported = true
			continue
		}
		select {
		case b.replies <- m:
		case <-b.done:
			m.close()
		}
	}
	if !reported {
		b.report(syscall.WaitStatus(unix.SIGKILL))
	}
	b.reap()
	b.free()
}

// report notes how the payload ended.
func (b *Sandbox) report(ws syscall.WaitStatus) {
	// The last reading, while the groups are there. Nobody sees them go: free comes later.
	_, _ = b.stats()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	b.exit = sandbox.Exit{Code: ws.ExitStatus()}
	if ws.Signaled() {
		b.exit = sandbox.Exit{Code: -1, Signal: int(ws.Signal())}
	}
	b.exit.OOM = b.last.OOMKilled
	close(b.done)
}

// reap waits until the init is dead, and with it all others.
func (b *Sandbox) reap() {
	raw, err := b.init.SyscallConn()
	if err != nil {
		return
	}
	b.end()
	_ = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// free gives back what b holds. Called once, when no process is left.
func (b *Sandbox) free() {
	if b.conn != nil {
		_ = b.conn.Close()
	}
	if b.init != nil {
		_ = b.init.Close()
	}
	if b.stopOOM != nil {
		b.stopOOM()
	}
	if b.link != nil {
		b.link.Close()
	}
	if b.group != nil {
		if err := b.group.Remove(); err != nil {
			b.d.log.Warn("a sandbox's groups could not be removed", "sandbox", b.id, "err", err)
		}
	}
	if b.uid != 0 {
		b.d.users.give(b.uid)
	}
	b.d.mu.Lock()
	delete(b.d.boxes, b.id)
	b.d.count--
	b.d.mu.Unlock()
	close(b.over)
	b.d.freed.Done()
}
