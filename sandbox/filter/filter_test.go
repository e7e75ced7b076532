//go:build linux

package filter_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/filter"
)

const (
	allow  = unix.SECCOMP_RET_ALLOW
	denied = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	kill   = unix.SECCOMP_RET_KILL_PROCESS
)

// load turns the filter into a machine that decides. The machine reads its words big-endian, as from a network.
func load(t testing.TB, unixSockets bool) func(arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	code, n, err := filter.Program(unixSockets)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]bpf.RawInstruction, n)
	if err := binary.Read(bytes.NewReader(code), binary.LittleEndian, raw); err != nil {
		t.Fatal(err)
	}
	if n > 4096 {
		t.Fatalf("the filter has %d instructions, more than the kernel takes", n)
	}
	list, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter holds an unknown instruction")
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatal(err)
	}
	return func(arch, number uint32, args ...uint64) uint32 {
		b := make([]byte, 64)
		binary.BigEndian.PutUint32(b, number)
		binary.BigEndian.PutUint32(b[4:], arch)
		for i, a := range args {
			binary.BigEndian.PutUint32(b[16+8*i:], uint32(a))
			binary.BigEndian.PutUint32(b[20+8*i:], uint32(a>>32))
		}
		got, err := vm.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(got)
	}
}

func native(t testing.TB) *arch.Info {
	t.Helper()
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestProgram(t *testing.T) {
	decide, info := load(t, true), native(t)
	for _, c := range []struct {
		name string
		args []uint64
		want uint32
	}{
		{"read", nil, allow}, {"openat", nil, allow}, {"execve", nil, allow}, {"futex", nil, allow}, {"exit_group", nil, allow},
		{"epoll_pwait", nil, allow}, {"prlimit64", nil, allow}, {"rseq", nil, allow}, {"getrandom", nil, allow},
		{"memfd_create", nil, allow}, {"landlock_restrict_self", nil, allow}, {"statx", nil, allow},
		{"clone3", nil, absent},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, allow},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND}, allow},
		{"clone", []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, denied},
		{"clone", []uint64{unix.CLONE_NEWNET}, denied}, {"clone", []uint64{unix.CLONE_NEWCGROUP}, denied},
		{"unshare", nil, denied}, {"setns", nil, denied}, {"mount", nil, denied}, {"ptrace", nil, denied},
		{"io_uring_setup", nil, denied}, {"userfaultfd", nil, denied}, {"keyctl", nil, denied}, {"bpf", nil, denied},
		{"sync", nil, denied}, {"syncfs", nil, denied}, {"fsync", nil, allow}, {"fdatasync", nil, allow},
		{"chroot", nil, denied}, {"process_vm_writev", nil, denied}, {"open_by_handle_at", nil, denied},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"socket", []uint64{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK}, allow},
		{"socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow},
		{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}, allow},
		{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, denied},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC}, denied},
		{"socket", []uint64{unix.AF_PACKET, unix.SOCK_DGRAM}, denied}, {"socket", []uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, denied},
		{"socket", []uint64{1<<32 | unix.AF_INET, unix.SOCK_STREAM}, denied},
		{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, allow}, {"socketpair", []uint64{unix.AF_INET}, denied},
		{"personality", []uint64{0}, allow}, {"personality", []uint64{0xffffffff}, allow}, {"personality", []uint64{0x40000}, denied},
	} {
		if got := decide(uint32(info.ID), uint32(info.SyscallNames[c.name]), c.args...); got != c.want {
			t.Errorf("%s%#x: got %#x, want %#x", c.name, c.args, got, c.want)
		}
	}
	if got := decide(uint32(arch.I386.ID), 20); got != kill {
		t.Errorf("a call of another architecture: got %#x, want that it kills", got)
	}
	if got := decide(uint32(info.ID), 5000); got != denied {
		t.Errorf("a call that no kernel has: got %#x, want %#x", got, denied)
	}
}

// TestWithoutUnixSockets: what is left are pairs, and of them those that stay connected to each other.
func TestWithoutUnixSockets(t *testing.T) {
	decide, info := load(t, false), native(t)
	for _, c := range []struct {
		name string
		args []uint64
		want uint32
	}{
		{"socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, denied}, {"socket", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, denied},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, allow}, {"socket", []uint64{unix.AF_INET6, unix.SOCK_DGRAM}, allow},
		{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allow},
		{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET | unix.SOCK_NONBLOCK}, allow},
		{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC}, denied},
		{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_RAW}, denied},
		{"socketpair", []uint64{unix.AF_INET, unix.SOCK_STREAM}, denied},
		{"read", nil, allow}, {"connect", nil, allow}, {"clone3", nil, absent}, {"unshare", nil, denied},
	} {
		if got := decide(uint32(info.ID), uint32(info.SyscallNames[c.name]), c.args...); got != c.want {
			t.Errorf("%s%#x: got %#x, want %#x", c.name, c.args, got, c.want)
		}
	}
}

// TestNoArgumentIsTakenForANumber: for all families and flags, whatever calls have these numbers.
func TestNoArgumentIsTakenForANumber(t *testing.T) {
	decide, info := load(t, true), native(t)
	number := func(name string) uint32 { return uint32(info.SyscallNames[name]) }
	for v := range uint64(1024) {
		switch v {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
		default:
			if got := decide(uint32(info.ID), number("socket"), v, unix.SOCK_STREAM); got != denied {
				t.Errorf("socket of family %d: got %#x, want %#x", v, got, denied)
			}
		}
		if got := decide(uint32(info.ID), number("clone"), unix.CLONE_NEWUSER|v&0xff); got != denied {
			t.Errorf("clone of a user namespace with %d: got %#x, want %#x", v, got, denied)
		}
	}
}

// TestEveryCallIsDecided: nothing but the list is allowed.
func TestEveryCallIsDecided(t *testing.T) {
	decide, info := load(t, true), native(t)
	allowed := 0
	for number := range info.SyscallNumbers {
		switch got := decide(uint32(info.ID), uint32(number)); got {
		case allow:
			allowed++
		case denied, absent:
		default:
			t.Errorf("call %d: got %#x", number, got)
		}
	}
	if allowed < 200 || allowed > 310 {
		t.Errorf("calls allowed: got %d of %d, want 200 to 310", allowed, len(info.SyscallNumbers))
	}
}

func BenchmarkProgram(b *testing.B) {
	for b.Loop() {
		if _, _, err := filter.Program(true); err != nil {
			b.Fatal(err)
		}
	}
}
