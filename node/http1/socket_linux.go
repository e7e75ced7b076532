package http1

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket reads and writes a connection by system calls that the scheduler is not told of. They do not block, but take the
// kernel longer than the 20 µs after which it takes the processor away from a goroutine in a system call: each time another
// thread is woken, and this one waits for its turn. Only TCP's: reading from a Unix socket also closes the descriptors that
// came beside the bytes, and what that takes is the sender's to choose.
type socket struct {
	raw   syscall.RawConn
	read  func(fd uintptr) bool
	write func(fd uintptr) bool

	in, out       []byte // of the call under way
	inN, outN     int
	inErr, outErr syscall.Errno
}

// socketOf returns nil for what is not TCP.
func socketOf(c net.Conn) io.ReadWriter {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.read = func(fd uintptr) bool {
		s.inN, s.inErr = call(syscall.SYS_READ, fd, s.in)
		return s.inErr != syscall.EAGAIN
	}
	s.write = func(fd uintptr) bool {
		s.outN, s.outErr = call(syscall.SYS_WRITE, fd, s.out)
		return s.outErr != syscall.EAGAIN
	}
	return s
}

func call(trap, fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if err == 0 {
			return int(n), 0
		}
		if err != syscall.EINTR {
			return 0, err
		}
	}
}

// Read reads into p, which is not empty.
func (s *socket) Read(p []byte) (int, error) {
	s.in = p
	err := s.raw.Read(s.read)
	s.in = nil
	switch {
	case err != nil:
		return 0, err
	case s.inErr != 0:
		return 0, os.NewSyscallError("read", s.inErr)
	case s.inN == 0:
		return 0, io.EOF
	}
	return s.inN, nil
}

// Write writes all of p.
func (s *socket) Write(p []byte) (n int, err error) {
	for n < len(p) {
		s.out = p[n:]
		err := s.raw.Write(s.write)
		s.out = nil
		if err == nil && s.outErr != 0 {
			err = os.NewSyscallError("write", s.outErr)
		}
		if err != nil {
			return n, err
		}
		n += s.outN
	}
	return n, nil
}
