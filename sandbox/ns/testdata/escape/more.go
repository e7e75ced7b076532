package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errKept is the outcome of an attempt that was allowed and brought nothing.
var errKept = errors.New("nothing gained")

// gains is what no call refuses and must be without effect.
func gains(add func(string, func() error)) {
	add("run a setuid file of the code", func() error {
		out, err := exec.Command("/var/task/setuid", "who").Output()
		if err != nil {
			return err
		}
		if got := strings.TrimSpace(string(out)); got != who() {
			return nil
		}
		return errKept
	})
	add("gain privileges by execve", func() error {
		if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v != 1 {
			return err
		}
		return errKept
	})
	for _, name := range []string{"kmsg", "mem"} {
		add("open a device file of the code, "+name, func() error {
			f, err := os.Open("/var/task/" + name)
			close(f)
			return err
		})
	}
	add("see kernel addresses", func() error {
		b, err := os.ReadFile("/proc/kallsyms")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if address, _, _ := strings.Cut(line, " "); strings.Trim(address, "0") != "" {
				return nil
			}
		}
		return errKept
	})
	add("see where the host keeps the control group", func() error {
		b, err := os.ReadFile("/proc/self/cgroup")
		if err == nil && !bytes.Contains(b, []byte("rouse")) {
			return errKept
		}
		return err
	})
	add("find the host's System V memory", func() error {
		_, err := unix.SysvShmGet(number("HOST_SHM"), 0, 0)
		return err
	})
	add("put characters into a terminal", func() error {
		f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err == nil {
			c := byte('x')
			_, _, errno := syscall.Syscall(unix.SYS_IOCTL, f.Fd(), unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
			close(f)
			err = errno
		}
		return err
	})
	add("take priority", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -10) })
	add("run in real time", func() error {
		param := int32(10)
		return call(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, uintptr(unsafe.Pointer(&param)))()
	})
	add("take priority of disks", call(unix.SYS_IOPRIO_SET, 1, 0, 1<<13))
	add("turn the clock by adjtimex", func() error { _, err := unix.Adjtimex(&unix.Timex{Modes: 0x0100}); return err })
	add("a clock of its own", call(unix.SYS_UNSHARE, unix.CLONE_NEWTIME))
}

// who is the process's user in all of its forms, and its capabilities.
func who() string {
	b, _ := os.ReadFile("/proc/self/status")
	var parts []string
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"Uid:", "Gid:", "CapEff:", "CapPrm:", "CapBnd:"} {
			if strings.HasPrefix(line, name) {
				parts = append(parts, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return strings.Join(parts, ", ")
}

// inherited looks for open files that are neither the standard streams nor the Go runtime's own.
func inherited() error {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range list {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		own := len(e.Name()) == 1 && e.Name() <= "2"
		if err == nil && !own && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "/proc/") {
			return nil
		}
	}
	return errKept
}

// listeners tries to stand where the platform does, or to reach it in another sandbox.
func listeners(add func(string, func() error)) {
	taken := func(network, address string, options ...int) func() error {
		return func() error {
			c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) {
					for _, o := range options {
						_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o, 1)
					}
				})
			}}
			l, err := c.Listen(context.Background(), network, address)
			if err == nil {
				_ = l.Close()
			}
			return err
		}
	}
	platform := fmt.Sprint(number("PLATFORM_PORT"))
	add("listen where the platform does", taken("tcp4", "127.0.0.1:"+platform, unix.SO_REUSEADDR, unix.SO_REUSEPORT))
	add("listen beside the platform, on all addresses", taken("tcp4", "0.0.0.0:"+platform, unix.SO_REUSEADDR, unix.SO_REUSEPORT))
	add("listen beside the platform, on all of IPv6", taken("tcp", "[::]:"+platform, unix.SO_REUSEADDR, unix.SO_REUSEPORT))
	add("listen where names are asked for", taken("tcp4", "127.0.0.1:53"))
	add("reach the platform's listener of another sandbox", func() error {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", number("OTHER_PORT")))
		closeConn(c)
		return err
	})
	add("speak for another address by IP_TRANSPARENT", func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	})
	add("speak for another address by IP_FREEBIND", func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{10, 213, 0, 99}})
		}
		if err == nil {
			err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		}
		return err
	})
	add("take the loopback down by netlink", netlinkDown)
}

// netlinkDown asks the kernel, by the netlink socket that a sandbox may have, for what only the root of the network may.
func netlinkDown() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m := struct {
		h unix.NlMsghdr
		i unix.IfInfomsg
	}{unix.NlMsghdr{Len: 32, Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK},
		unix.IfInfomsg{Index: 1, Change: unix.IFF_UP}}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&m)), 32)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 512)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil || n < 20 {
		return fmt.Errorf("%d bytes: %w", n, err)
	}
	if code := *(*int32)(unsafe.Pointer(&answer[16])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// number reads a number from the environment.
func number(name string) int {
	n := 0
	_, _ = fmt.Sscan(os.Getenv(name), &n)
	return n
}

// files makes empty files in /tmp until it may not.
func files() {
	for n := 0; ; n++ {
		f, err := os.Create(fmt.Sprint("/tmp/", n))
		if err != nil {
			fmt.Println(n, err)
			return
		}
		close(f)
	}
}
