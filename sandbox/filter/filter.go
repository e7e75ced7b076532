//go:build linux

// Package filter is the list of system calls that code in a sandbox may make, as a seccomp program.
//
// It is an allow-list: what Linux adds tomorrow is denied today. Denied calls answer EPERM, so that programs which probe
// for a feature fall back; clone3 answers ENOSYS because its flags lie in memory that a filter cannot see, and C
// libraries then use clone. Filters for arguments (no new namespaces, no address families but the ordinary ones) are
// written here instruction by instruction, in front of what elastic/go-seccomp-bpf assembles: that library, at v1.6.0,
// goes on comparing an argument as if it were the call's number once a condition has failed, which lets a caller choose
// what is allowed.
//
// Program is a pure function of the architecture, safe for concurrent use.
package filter

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Program is the filter for this machine as the kernel takes it, and its number of instructions. Without unixSockets no
// UNIX socket can be connected to by its path: for sandboxes that see the host's files, where such a socket may be a
// container engine's or a key agent's, and Landlock does not govern it. Connected pairs, which runtimes use between their
// own processes, stay. What is denied by name is refused like what is not on the list.
func Program(unixSockets bool, denied ...string) (code []byte, length int, err error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, name := range strings.Fields(allowed) {
		if _, known := info.SyscallNames[name]; known && !slices.Contains(denied, name) { // arm64 lacks the oldest ones
			names = append(names, name)
		}
	}
	policy := seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls:      []seccomp.SyscallGroup{{Names: names, Action: seccomp.ActionAllow}},
	}
	tail, err := policy.Assemble()
	if err != nil {
		return nil, 0, err
	}
	raw, err := bpf.Assemble(append(conditions(info, unixSockets), tail...))
	if err != nil {
		return nil, 0, err
	}
	var b bytes.Buffer
	for _, i := range raw {
		_ = binary.Write(&b, binary.LittleEndian, i) // a struct sock_filter
	}
	return b.Bytes(), len(raw), nil
}

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

const (
	retAllow  = unix.SECCOMP_RET_ALLOW
	retDenied = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	retAbsent = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	retKill   = unix.SECCOMP_RET_KILL_PROCESS
)

// newNamespaces are the flags of clone that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// conditions decide the calls whose arguments matter, finally, and let all others pass to what follows.
func conditions(info *arch.Info, unixSockets bool) []bpf.Instruction {
	load := func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} }
	ret := func(v uint32) bpf.Instruction { return bpf.RetConstant{Val: v} }
	equal := func(v uint32, skip uint8) bpf.Instruction { // skips when it is not v
		return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: skip}
	}
	prog := []bpf.Instruction{
		load(offArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		ret(retKill), // another instruction set's calls have other numbers
	}
	add := func(name string, body ...bpf.Instruction) {
		number, known := info.SyscallNames[name]
		if !known {
			return
		}
		prog = append(prog, load(offNumber), equal(uint32(number), uint8(len(body))))
		prog = append(prog, body...)
	}
	low, high := func(arg uint32) uint32 { return offArgs + 8*arg }, func(arg uint32) uint32 { return offArgs + 8*arg + 4 }
	// The kernel takes these arguments as 32-bit numbers; a set upper half is nobody's honest call.
	oneOf := func(arg uint32, values ...uint32) []bpf.Instruction {
		body := []bpf.Instruction{load(high(arg)), equal(0, uint8(1+2*len(values))), load(low(arg))}
		for _, v := range values {
			body = append(body, equal(v, 1), ret(retAllow))
		}
		return append(body, ret(retDenied))
	}
	add("clone3", ret(retAbsent))
	add("clone", load(low(0)), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: newNamespaces, SkipFalse: 1}, ret(retDenied),
		ret(retAllow))
	families := []uint32{unix.AF_INET, unix.AF_INET6}
	pair := oneOf(0, unix.AF_UNIX)
	if unixSockets {
		families = append(families, unix.AF_UNIX)
	} else {
		// One of a pair of datagram sockets, which raw ones are too, could still be connected elsewhere.
		stream := []bpf.Instruction{load(low(1)), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_SEQPACKET, SkipTrue: 1}, ret(retDenied)}
		pair = append(stream, pair...)
	}
	add("socketpair", pair...)
	// A netlink socket of its own namespace's routes is how programs list their interfaces.
	netlink := []bpf.Instruction{load(low(0)), equal(unix.AF_NETLINK, 4), load(low(2)),
		equal(unix.NETLINK_ROUTE, 1), ret(retAllow), ret(retDenied)}
	// Raw and packet sockets need a capability that nobody inside has; the type is checked all the same.
	kind := []bpf.Instruction{load(low(1)), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, equal(unix.SOCK_RAW, 1),
		ret(retDenied)}
	family := oneOf(0, families...)
	add("socket", append(append(append([]bpf.Instruction{}, netlink...), kind...), family...)...)
	add("personality", oneOf(0, 0, 0xffffffff)...)
	return prog
}
