//go:build linux

package ns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/script"
)

const (
	tmpDefault = 512 << 20
	inodesMin  = 16 << 10 // files of /tmp, however small it is
)

// Create makes an empty sandbox.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if !spec.Egress.None() && d.net == nil {
		return nil, rouse.Errorf(rouse.Unsupported, "sandboxes of this node have no public egress: %w", d.netErr)
	}
	b, err := d.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (d *Driver) create(ctx context.Context, spec sandbox.Spec) (*Sandbox, error) {
	start := time.Now()
	img, took, err := d.imageFor(ctx, spec.Image)
	if err != nil {
		return nil, err
	}
	b := &Sandbox{d: d, id: "s" + strconv.FormatInt(d.number.Add(1), 10), limits: spec.Limits, egress: spec.Egress,
		done: make(chan struct{}), over: make(chan struct{}), replies: make(chan message, 1)}
	b.timing.Image = took
	if b.limits.TmpBytes == 0 {
		b.limits.TmpBytes = tmpDefault
	}
	if b.limits.Files == 0 {
		b.limits.Files = filesDefault
	}
	if err := d.admit(); err != nil {
		return nil, err
	}
	if err := d.build(ctx, b, img.helper, spec); err != nil {
		b.free()
		if errors.Is(err, syscall.EPIPE) { // somebody has killed the image's helper: the next one gets another
			d.forget(spec.Image, img)
		}
		return nil, fmt.Errorf("create a sandbox: %w", err)
	}
	b.timing.Create = time.Since(start)
	return b, d.show(b)
}

const filesDefault = 1024

// admit counts one more sandbox; free takes it back.
func (d *Driver) admit() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed()
	}
	if d.count >= d.max {
		return rouse.Errorf(rouse.Limit, "this node has %d sandboxes, its limit", d.max)
	}
	d.count++
	d.freed.Add(1)
	return nil
}

// show makes a built sandbox known to Close, and begins to watch it.
func (d *Driver) show(b *Sandbox) error {
	d.mu.Lock()
	closed := d.closed
	d.boxes[b.id] = b
	d.mu.Unlock()
	go b.watch()
	if closed { // meanwhile: Close does not know it, and waits for it
		b.end()
		return errClosed()
	}
	return nil
}

// build makes b's groups and its init. On an error the caller frees what b holds by then.
func (d *Driver) build(ctx context.Context, b *Sandbox, img *helper, spec sandbox.Spec) error {
	lap := time.Now()
	if d.users != nil {
		uid, err := d.users.take()
		if err != nil {
			return err
		}
		b.uid = uid
	}
	var doors cgroup.Doors
	if d.tree != nil {
		var err error
		if b.group, err = d.tree.New(b.id, b.limits); err != nil {
			return err
		}
		if doors, err = b.group.Open(); err != nil {
			return err
		}
		defer doors.Close()
		if b.stopOOM, err = b.group.WatchOOM(b.oom); err != nil {
			return err
		}
	}
	b.timing.Limits = time.Since(lap)
	lap = time.Now()
	f := newFiles(doors)
	if !spec.Egress.None() {
		var err error
		if b.link, err = d.net.Take(ctx); err != nil {
			return err
		}
		if !spec.Egress.All() {
			if err := b.link.Restrict(spec.Egress); err != nil {
				return err
			}
		}
		f.list = append(f.list, int(b.link.File().Fd()))
		f.net = len(f.list)
		b.timing.Network = time.Since(lap)
		lap = time.Now()
	}
	c, s, err := img.fork(unix.CLONE_NEWPID, f.clone, f.list, func(s *script.Script) { b.initScript(s, spec, f) })
	if err != nil {
		return err
	}
	b.conn = c
	m, err := receive(ctx, c, s)
	if err != nil {
		return gone(err)
	}
	if len(m.body) == 8 {
		return fmt.Errorf("fork: %w", syscall.Errno(-m.word(0)))
	}
	if len(m.files) != 1 || m.word(0) != tagReply {
		m.close()
		return errors.New("the sandbox's init answered something else")
	}
	b.control, b.signals, b.door = int(m.word(1)), int(m.word(2)), int(m.word(3))
	b.doorClone = doors.RunClone != nil
	if !b.doorClone && doors.RunJoin == nil {
		b.door = -1
	}
	if b.pid, err = hostPid(m.files[0]); err != nil {
		m.close()
		return err
	}
	b.init = os.NewFile(uintptr(m.files[0]), "init") // a pidfd, opened non-blocking: Go's poller waits on it
	b.timing.Init = time.Since(lap)
	if b.link != nil {
		if err := b.link.Start(); err != nil {
			return err
		}
	}
	return c.SetReadDeadline(time.Time{})
}

// files are what an init gets with its first script; the indexes count from its control socket, which is 0.
type files struct {
	list  []int
	join  []int // to write "0" to
	clone int   // to be born in, or -1
	door  int   // kept for the payload, or -1
	net   int   // to enter, or -1
}

func newFiles(doors cgroup.Doors) files {
	f := files{clone: -1, door: -1, net: -1}
	add := func(x *os.File) int {
		f.list = append(f.list, int(x.Fd()))
		return len(f.list)
	}
	for _, x := range doors.Join {
		f.join = append(f.join, add(x))
	}
	if doors.Clone != nil {
		f.clone = add(doors.Clone)
	}
	switch {
	case doors.RunClone != nil:
		f.door = add(doors.RunClone)
	case doors.RunJoin != nil:
		f.door = add(doors.RunJoin)
	}
	return f
}

// Messages that an init sends begin with a word.
const (
	tagReply = 1 // … what the reply is made of
	tagExit  = 2 // wait status, then a struct rusage
)

const capabilities = 64 // more than there are; the kernel refuses those it does not know

// initScript makes the namespaces from inside, sheds what is not needed again, and waits.
func (b *Sandbox) initScript(s *script.Script, spec sandbox.Spec, f files) {
	for _, i := range f.join {
		s.Call("join a cgroup", unix.SYS_WRITE, script.Received(i), "0", 1)
		s.Call("close", unix.SYS_CLOSE, script.Received(i))
	}
	if f.clone >= 0 {
		s.Call("close", unix.SYS_CLOSE, script.Received(f.clone))
	}
	s.Call("setsid", unix.SYS_SETSID)
	spaces := unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	if f.net >= 0 {
		s.Call("enter the network", unix.SYS_SETNS, script.Received(f.net), unix.CLONE_NEWNET)
		s.Call("close", unix.SYS_CLOSE, script.Received(f.net))
		s.Call("unshare", unix.SYS_UNSHARE, spaces)
	} else {
		s.Call("unshare", unix.SYS_UNSHARE, spaces|unix.CLONE_NEWNET)
		raiseLoopback(s)
	}
	name := spec.Hostname
	if name == "" {
		name = "sandbox"
	}
	s.Call("sethostname", unix.SYS_SETHOSTNAME, name, len(name))
	const sealed = unix.MS_NOSUID | unix.MS_NODEV
	s.Call("mount /proc", unix.SYS_MOUNT, "proc", "/proc", "proc", sealed|unix.MS_NOEXEC,
		"hidepid=2") // what one may not trace one does not see: the init
	maskProc(s)
	s.Call("mount /tmp", unix.SYS_MOUNT, "tmp", "/tmp", "tmpfs", sealed, tmpOptions(b.limits.TmpBytes))
	s.Call("mount /run", unix.SYS_MOUNT, "run", "/run", "tmpfs", sealed|unix.MS_NOEXEC, "size=64k,mode=755")
	uid := b.uid
	if b.d.rootless {
		uid = lambdaUID
	}
	writeFile(s, "/run/passwd", fmt.Sprintf("sbx_user1051:x:%d:%d::/tmp:/bin/sh\nroot:x:0:0::/root:/usr/sbin/nologin\n", uid, uid))
	writeFile(s, "/run/group", fmt.Sprintf("sbx_user1051:x:%d:\nroot:x:0:\n", uid))
	s.Call("make /run read-only", unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/run", 0,
		s.Words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0), 32)
	b.shed(s)
	var fds [2]script.Var
	fds[0] = s.Call("pidfd_open", unix.SYS_PIDFD_OPEN, 1, unix.PIDFD_NONBLOCK).Var()
	s.Call("block SIGCHLD", unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, s.Words(1<<(int(unix.SIGCHLD)-1)), 0, 8)
	fds[1] = s.Call("signalfd", unix.SYS_SIGNALFD4, -1, s.Words(1<<(int(unix.SIGCHLD)-1)), 8,
		unix.SFD_CLOEXEC|unix.SFD_NONBLOCK).Var()
	// Descriptors are numbers of the init; the node must know them to build later scripts.
	door := fds[1]
	if f.door >= 0 {
		door = script.Received(f.door)
	}
	s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(tagReply), script.Control(), fds[1], door}, fds[:1])
	s.Call("close", unix.SYS_CLOSE, fds[0])
	s.Receive()
}

// What /proc tells of the machine and no function needs, as container engines hide it. Not every kernel has all of them.
var (
	maskedFiles = [...]string{"cmdline", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "timer_list"}
	maskedDirs  = [...]string{"acpi", "asound", "driver", "fs", "scsi"}
)

// emptyDir is a folder of the image that stays empty.
const emptyDir = "/mnt"

// maskProc covers these with nothing, before there is a payload to see them.
func maskProc(s *script.Script) {
	for _, name := range maskedFiles {
		s.Call("mask "+name, unix.SYS_MOUNT, "/dev/null", "/proc/"+name, 0, unix.MS_BIND, 0).Ignore()
	}
	for _, name := range maskedDirs {
		s.Call("mask "+name, unix.SYS_MOUNT, emptyDir, "/proc/"+name, 0, unix.MS_BIND, 0).Ignore()
	}
}

// shed drops every capability but those to change the user, and makes the process invisible to tracers.
func (b *Sandbox) shed(s *script.Script) {
	s.Call("default SIGCHLD", unix.SYS_RT_SIGACTION, int(unix.SIGCHLD), make([]byte, 32), 0, 8)
	for c := range capabilities {
		s.Call("drop a capability", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0).Ignore()
	}
	keep := uint32(1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID)
	if b.d.rootless { // whoever maps the root of a user namespace into another one needs this there
		keep = 1 << unix.CAP_SETFCAP
	}
	setCapabilities(s, keep)
	s.Call("not dumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

func setCapabilities(s *script.Script, low uint32) {
	// version 3, pid 0; {effective, permitted, inheritable} twice
	s.Call("capset", unix.SYS_CAPSET, s.Words(unix.LINUX_CAPABILITY_VERSION_3), s.Words(uint64(low)|uint64(low)<<32, 0, 0))
}

func tmpOptions(size int64) string {
	return fmt.Sprintf("size=%d,nr_inodes=%d,mode=1777", size, max(inodesMin, size>>12))
}

func raiseLoopback(s *script.Script) {
	ifreq := make([]byte, 40)
	copy(ifreq, "lo")
	ifreq[16] = unix.IFF_UP
	fd := s.Call("socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0).Var()
	s.Call("raise lo", unix.SYS_IOCTL, fd, unix.SIOCSIFFLAGS, ifreq)
	s.Call("close", unix.SYS_CLOSE, fd)
}
