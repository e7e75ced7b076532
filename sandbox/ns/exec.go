//go:build linux

package ns

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// parkAt is where the forked payload keeps descriptors until they get the numbers they shall have.
const parkAt = 128

// Exec starts the payload. When it cannot, the sandbox is over.
func (b *Sandbox) Exec(argv, env []string, dir string, files []*os.File) error {
	if err := sandbox.CheckExec(argv, env, dir, len(files)); err != nil {
		return err
	}
	b.mu.Lock()
	again, limits := b.exec, b.limits
	b.exec = true
	b.mu.Unlock()
	if again {
		return rouse.Errorf(rouse.Conflict, "sandbox %s already runs something", b.id)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	start := time.Now()
	b.call.Lock()
	defer b.call.Unlock()
	s := &script.Script{}
	b.execScript(s, program{argv, env, dir, len(files), limits})
	m, err := b.exchange(s, fds)
	if err != nil {
		b.end()
		return execError(argv[0], err)
	}
	b.main = int(m.word(1))
	b.mu.Lock()
	b.timing.Exec = time.Since(start)
	b.mu.Unlock()
	return nil
}

// execError gives the failures that a function's author can mend their kind.
func execError(name string, err error) error {
	var failure *script.CallError
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Errno {
	case syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.ENOTDIR, syscall.ELOOP, syscall.E2BIG, syscall.EISDIR,
		syscall.EINVAL, syscall.ENAMETOOLONG:
		return rouse.Errorf(rouse.Invalid, "start %s: %w", name, failure)
	}
	return fmt.Errorf("start %s: %w", name, failure)
}

type program struct {
	argv, env []string
	dir       string
	files     int
	limits    sandbox.Limits
}

// execScript forks the payload, replies when its program is loaded, and goes on to supervise it. The fork is of the
// kind that holds the parent until the child has executed or ended, so that a report of failure comes before the reply.
func (b *Sandbox) execScript(s *script.Script, p program) {
	child := s.NewLabel()
	var pid script.Var
	if b.doorClone {
		args := s.Words(unix.CLONE_VFORK|unix.CLONE_INTO_CGROUP, 0, 0, 0, int(unix.SIGCHLD), 0, 0, 0, 0, 0, b.door)
		pid = s.Call("clone into cgroup", unix.SYS_CLONE3, args, 11*8).Var()
	} else {
		pid = s.Call("clone", unix.SYS_CLONE, unix.CLONE_VFORK|uint64(unix.SIGCHLD), 0, 0, 0, 0).Var()
	}
	s.IfEqual(pid, 0, child)
	for i := range p.files {
		s.Call("close", unix.SYS_CLOSE, script.Received(i))
	}
	s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(tagReply), pid}, nil)
	b.wait(s, &pid)
	s.Bind(child)
	s.SetControl(s.Call("keep a way to report", unix.SYS_FCNTL, script.Control(), unix.F_DUPFD_CLOEXEC, parkAt).Var())
	if b.door >= 0 && !b.doorClone {
		s.Call("join the freezer", unix.SYS_WRITE, b.door, "0", 1)
	}
	placeFiles(s, p.files)
	s.Call("setsid", unix.SYS_SETSID)
	s.Call("unblock signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, s.Words(0), 0, 8)
	b.confine(s, p.limits)
	if p.dir != "" {
		s.Call("enter "+p.dir, unix.SYS_CHDIR, p.dir)
	}
	s.Call("execute "+p.argv[0], unix.SYS_EXECVE, p.argv[0], s.Strings(p.argv), s.Strings(p.env))
}

// placeFiles gives the received files their numbers, /dev/null the missing of the first three, and closes all others.
func placeFiles(s *script.Script, n int) {
	parked := make([]script.Var, max(3, n))
	for i := range parked {
		if i < n {
			parked[i] = s.Call("park a file", unix.SYS_FCNTL, script.Received(i), unix.F_DUPFD_CLOEXEC, parkAt).Var()
			continue
		}
		null := s.Call("open /dev/null", unix.SYS_OPENAT, unix.AT_FDCWD, "/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0).Var()
		parked[i] = s.Call("park /dev/null", unix.SYS_FCNTL, null, unix.F_DUPFD_CLOEXEC, parkAt).Var()
	}
	for i, v := range parked {
		s.Call("place a file", unix.SYS_DUP3, v, i, 0)
	}
	s.Call("close the rest", unix.SYS_CLOSE_RANGE, len(parked), parkAt-1, 0)
}

// confine makes the payload what it may be. The order matters: each step needs what the next one takes.
func (b *Sandbox) confine(s *script.Script, l sandbox.Limits) {
	limit := func(name string, which int, n int) {
		s.Call("limit "+name, unix.SYS_PRLIMIT64, 0, which, s.Words(n, n), 0)
	}
	limit("open files", unix.RLIMIT_NOFILE, l.Files)
	limit("core dumps", unix.RLIMIT_CORE, 0)
	if b.d.rootless {
		b.ownUser(s)
		if l.Pids > 0 {
			limit("processes", unix.RLIMIT_NPROC, l.Pids) // in a user namespace they are counted apart
		}
	} else {
		s.Call("setgroups", unix.SYS_SETGROUPS, 0, 0)
		s.Call("setresgid", unix.SYS_SETRESGID, b.uid, b.uid, b.uid)
		s.Call("setresuid", unix.SYS_SETRESUID, b.uid, b.uid, b.uid)
	}
	setCapabilities(s, 0)
	s.Call("no new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	s.Call("seccomp", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, s.Words(b.d.filterN, s.Data(b.d.filter)))
}

// ownUser puts a rootless payload into a user namespace of its own, as Lambda's user: it is not root there, owns nothing
// of what the mounts belong to, and its processes are counted by themselves.
func (b *Sandbox) ownUser(s *script.Script) {
	s.Call("unshare the user", unix.SYS_UNSHARE, unix.CLONE_NEWUSER)
	s.Call("dumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0, 0, 0) // or else the files below are not ours; execve follows
	for _, f := range [][2]string{{"setgroups", "deny"}, {"uid_map", fmt.Sprintf("%d 0 1", lambdaUID)},
		{"gid_map", fmt.Sprintf("%d 0 1", lambdaUID)}} {
		fd := s.Call("open "+f[0], unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/"+f[0], unix.O_WRONLY|unix.O_CLOEXEC, 0).Var()
		s.Call("write "+f[0], unix.SYS_WRITE, fd, f[1], len(f[1]))
		s.Call("close", unix.SYS_CLOSE, fd)
	}
}

// lambdaUID is the user of rootless payloads as they see it.
const lambdaUID = 993

// wait appends what the init does when it has nothing to do: before Exec, receive; after it, reap its children, report
// when the payload has ended, and take scripts. main is the payload's pid in the script that made it.
func (b *Sandbox) wait(s *script.Script, main *script.Var) {
	var pid any = b.main
	if main != nil {
		pid = *main
	} else if b.main == 0 {
		s.Receive()
		return
	}
	reap, idle, end, ready := s.NewLabel(), s.NewLabel(), s.NewLabel(), s.NewLabel()
	exit := s.Words(tagExit, 0, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
	const exitSize = 8*2 + 144
	const pollIn = int64(unix.POLLIN) << 32
	set := s.Words(int64(b.control)|pollIn, int64(b.signals)|pollIn)
	buffer := s.Data(make([]byte, 128))

	s.Bind(reap)
	dead := s.Call("wait4", unix.SYS_WAIT4, -1, exit.Add(8), unix.WNOHANG, exit.Add(16)).Ignore().Var()
	s.IfEqual(dead, pid, end)
	s.IfEqual(dead, 0, idle)
	s.IfLess(dead, 0, idle)
	s.Jump(reap)

	s.Bind(idle)
	s.Call("ppoll", unix.SYS_PPOLL, set, 2, 0, 0, 0).Ignore()
	s.Call("read signals", unix.SYS_READ, b.signals, buffer, 128).Ignore()
	n := s.Call("peek", unix.SYS_RECVFROM, b.control, buffer, 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0).Ignore().Var()
	s.IfLess(n, 0, reap)
	s.IfLess(n, 1, ready) // the node is gone
	s.Receive()

	s.Bind(end)
	s.Call("report the end", unix.SYS_WRITE, b.control, exit, exitSize)
	s.Bind(ready)
	s.Call("exit", unix.SYS_EXIT_GROUP, 0)
}
