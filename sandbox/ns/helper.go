//go:build linux

package ns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/script"
)

// answerWait bounds how long a script may take. Nothing in one waits for anything but the kernel.
const answerWait = 10 * time.Second

// helper is a process of the interpreter that forks when told. There is one in the host's mount namespace (of rootless
// nodes: in a user namespace of their own) and below it one for each image, in that image's. A helper never changes
// itself: what may fail is done by a fork of it that reports on a socket of its own, so that requests of many goroutines
// simply queue up in its socket.
type helper struct {
	conn *net.UnixConn
}

// pair makes a socket for one process of the interpreter: ours for Go's poller, theirs to be sent.
func pair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "control")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "control")
	c, err := net.FileConn(f)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}

// startHelper starts the interpreter and has it run s, which must reply and then receive.
func startHelper(s *script.Script, sys *syscall.SysProcAttr) (*helper, int, error) {
	program, err := unix.MemfdCreate("rouse-init", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all of them may be executed
		program, err = unix.MemfdCreate("rouse-init", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, 0, os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(program)
	elf := script.ELF()
	if n, err := unix.Write(program, elf); n != len(elf) {
		return nil, 0, fmt.Errorf("write the init: %d of %d bytes: %w", n, len(elf), err)
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, 0, err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = ours.Close()
		return nil, 0, err
	}
	defer null.Close()
	// The files are named by number alone, so that nothing of the node's is inherited.
	n := null.Fd()
	pid, err := syscall.ForkExec(fmt.Sprintf("/proc/self/fd/%d", program), []string{"rouse-init"},
		&syscall.ProcAttr{Dir: "/", Files: []uintptr{n, n, n, theirs.Fd()}, Sys: sys})
	if err != nil {
		_ = ours.Close()
		return nil, 0, fmt.Errorf("start the init: %w", err)
	}
	_ = theirs.Close()
	h := &helper{conn: ours}
	if err = send(ours, s, nil); err == nil {
		_, err = receive(context.Background(), ours, s)
	}
	if err != nil {
		_ = ours.Close()
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		return nil, 0, fmt.Errorf("start the init: %w", err)
	}
	return h, pid, nil
}

// message is what came from a process of the interpreter.
type message struct {
	body  []byte
	files []int
}

func (m message) word(i int) int64 {
	if len(m.body) < 8*i+8 {
		return -1
	}
	var v int64
	for j := 7; j >= 0; j-- {
		v = v<<8 | int64(m.body[8*i+j])
	}
	return v
}

func (m message) close() {
	for _, fd := range m.files {
		_ = unix.Close(fd)
	}
}

// send sends s with files beside it.
func send(c *net.UnixConn, s *script.Script, files []int) error {
	b, err := s.Bytes()
	if err != nil {
		return err
	}
	if len(files) > script.FilesMax {
		return fmt.Errorf("%d files in one message: the limit is %d", len(files), script.FilesMax)
	}
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	_, _, err = c.WriteMsgUnix(b, oob, nil)
	return err
}

// receive waits for one message. A report of failure of s becomes the error.
func receive(ctx context.Context, c *net.UnixConn, s *script.Script) (message, error) {
	deadline := time.Now().Add(answerWait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return message{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(longAgo()) })
	defer stop()
	m, err := read(c)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return message{}, err
	}
	if s != nil {
		if failure, ok := s.Failure(m.body); ok {
			m.close()
			return message{}, failure
		}
	}
	return m, nil
}

// read reads one message, io.EOF when the process is gone.
func read(c *net.UnixConn) (message, error) {
	body, oob := make([]byte, 256), make([]byte, 64)
	n, on, _, _, err := c.ReadMsgUnix(body, oob)
	if err != nil {
		if errors.Is(err, syscall.ECONNRESET) {
			err = io.EOF
		}
		return message{}, err
	}
	if n == 0 {
		return message{}, io.EOF
	}
	m := message{body: body[:n]}
	if on > 0 {
		list, err := unix.ParseSocketControlMessage(oob[:on])
		if err != nil {
			return message{}, err
		}
		for i := range list {
			fds, err := unix.ParseUnixRights(&list[i])
			if err == nil {
				m.files = append(m.files, fds...)
			}
		}
	}
	return m, nil
}

// fork has a fork of the helper run body, with files: its first one is the fork's control socket, which fork supplies.
// It returns our end. flags are of clone; into, when not negative, is the index of the file that is the unified cgroup
// to be born in.
func (h *helper) fork(flags uint64, into int, files []int, body func(s *script.Script)) (*net.UnixConn, *script.Script, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	s := &script.Script{}
	child := s.NewLabel()
	failed := s.NewLabel()
	done := s.NewLabel()
	pid := clone(s, flags, into).Ignore().Var()
	s.IfEqual(pid, 0, child)
	s.IfLess(pid, 0, failed)
	s.Bind(done)
	for i := range 1 + len(files) {
		s.Call("close", unix.SYS_CLOSE, script.Received(i))
	}
	s.Receive()
	s.Bind(failed)
	cell := s.Data(make([]byte, 8))
	s.Store(pid, cell)
	s.Call("report", unix.SYS_WRITE, script.Received(0), cell, 8).Ignore()
	s.Jump(done)
	s.Bind(child)
	s.Call("close", unix.SYS_CLOSE, script.Control())
	s.SetControl(script.Received(0))
	body(s)
	if err := send(h.conn, s, append([]int{int(theirs.Fd())}, files...)); err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("ask the helper: %w", err)
	}
	return ours, s, nil
}

// run has a fork of the helper run body, which must not reply, and waits until it is done.
func (h *helper) run(ctx context.Context, files []int, body func(s *script.Script)) error {
	c, s, err := h.fork(0, -1, files, func(s *script.Script) {
		body(s)
		s.Reply(unix.SYS_WRITE, []byte("done"))
		s.Call("exit", unix.SYS_EXIT_GROUP, 0)
	})
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := receive(ctx, c, s)
	if err != nil {
		return gone(err)
	}
	if len(m.body) == 8 {
		return fmt.Errorf("fork: %w", syscall.Errno(-m.word(0)))
	}
	return nil
}

// gone names the silent death of a process of ours.
func gone(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the sandbox's init ended before it answered")
	}
	return err
}

// clone appends a fork. With a cgroup it is clone3, whose arguments lie in memory.
func clone(s *script.Script, flags uint64, into int) script.Step {
	if into < 0 {
		return s.Call("clone", unix.SYS_CLONE, flags|uint64(unix.SIGCHLD), 0, 0, 0, 0)
	}
	args := s.Words(flags|unix.CLONE_INTO_CGROUP, 0, 0, 0, int(unix.SIGCHLD), 0, 0, 0, 0, 0, 0)
	s.Store(script.Received(into), args.Add(8*10))
	return s.Call("clone into cgroup", unix.SYS_CLONE3, args, 11*8)
}

func (h *helper) close() { _ = h.conn.Close() }

// longAgo, as a deadline, ends a wait at once.
func longAgo() time.Time { return time.Unix(1, 0) }
