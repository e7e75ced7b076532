//go:build linux

package ns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// loopback is the only address on which node and payload meet.
var loopback = [4]byte{127, 0, 0, 1}

// socket makes a socket inside. It belongs to the sandbox's network namespace wherever it is used.
func (b *Sandbox) socket(kind int) (int, error) {
	m, err := b.ask(nil, func(s *script.Script) {
		fd := s.Call("socket", unix.SYS_SOCKET, unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0).Var()
		s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(tagReply)}, []script.Var{fd})
		s.Call("close", unix.SYS_CLOSE, fd)
	})
	if err != nil {
		return -1, err
	}
	if len(m.files) != 1 {
		m.close()
		return -1, errors.New("the init sent no socket")
	}
	unix.CloseOnExec(m.files[0])
	return m.files[0], nil
}

// backlog of listeners; the payload is one function.
const backlog = 128

// Listen accepts connections from inside.
func (b *Sandbox) Listen(port int) (net.Listener, string, error) {
	if port < 0 || port > 65535 {
		return nil, "", rouse.Errorf(rouse.Invalid, "listen on port %d", port)
	}
	fd, err := b.socket(unix.SOCK_STREAM)
	if err != nil {
		return nil, "", fmt.Errorf("listen in sandbox %s: %w", b.id, err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, "", os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: loopback}); err != nil {
		return nil, "", fmt.Errorf("listen on port %d of sandbox %s: %w", port, b.id, err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, "", os.NewSyscallError("listen", err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, "", err
	}
	return l, l.Addr().String(), nil
}

// Dial connects to a port inside.
func (b *Sandbox) Dial(ctx context.Context, port int) (net.Conn, error) {
	if port < 1 || port > 65535 {
		return nil, rouse.Errorf(rouse.Invalid, "dial port %d", port)
	}
	fd, err := b.socket(unix.SOCK_STREAM)
	if err != nil {
		return nil, fmt.Errorf("dial in sandbox %s: %w", b.id, err)
	}
	f := os.NewFile(uintptr(fd), "127.0.0.1:"+strconv.Itoa(port))
	defer f.Close()
	if err := connect(ctx, f, port); err != nil {
		return nil, fmt.Errorf("dial port %d of sandbox %s: %w", port, b.id, err)
	}
	return net.FileConn(f)
}

// connect connects f, which is non-blocking, and waits with Go's poller.
func connect(ctx context.Context, f *os.File, port int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.Connect(int(fd), &unix.SockaddrInet4{Port: port, Addr: loopback})
	}); err != nil {
		return err
	}
	if !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	if d, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(d); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(longAgo()) })
	defer stop()
	var result int
	waited := raw.Write(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(p, 0); n == 0 && err == nil {
			return false
		}
		result, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		return true
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waited != nil:
		return waited
	case err != nil && !errors.Is(err, unix.EINPROGRESS):
		return err
	case result != 0:
		return unix.Errno(result)
	}
	return nil
}
