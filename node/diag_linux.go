package node

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// sockDiagByFamily is the message that asks for sockets of a family.
const sockDiagByFamily = 20

// Sizes and places in the messages of sock_diag(7): struct inet_diag_req_v2 and struct inet_diag_msg, behind a header.
const (
	diagRequest = syscall.SizeofNlMsghdr + 56
	diagAnswer  = syscall.SizeofNlMsghdr + 72
	diagID      = 4 // within the answer: ports, addresses, interface and cookie
	diagUID     = 4 + 48 + 12
	diagInode   = 4 + 48 + 16
)

// askOwner asks the kernel for the one socket with these ends; false when it has none, or cannot be asked.
func askOwner(local, remote netip.AddrPort) (owner, bool) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return owner{}, false
	}
	defer syscall.Close(fd)
	if err := syscall.Sendto(fd, askFor(local, remote), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return owner{}, false
	}
	var b [512]byte
	n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_DONTWAIT) // it was answered within Sendto
	if err != nil {
		return owner{}, false
	}
	return readDiag(b[:n], remote.Port())
}

// askFor is the request for one socket.
func askFor(local, remote netip.AddrPort) []byte {
	family := byte(syscall.AF_INET)
	if local.Addr().Is6() {
		family = syscall.AF_INET6
	}
	ne := binary.NativeEndian
	b := make([]byte, 0, diagRequest)
	b = ne.AppendUint32(b, diagRequest)
	b = ne.AppendUint16(b, sockDiagByFamily)
	b = ne.AppendUint16(b, syscall.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port
	b = append(b, family, syscall.IPPROTO_TCP, 0, 0)
	b = ne.AppendUint32(b, ^uint32(0)) // in any state
	b = binary.BigEndian.AppendUint16(b, local.Port())
	b = binary.BigEndian.AppendUint16(b, remote.Port())
	for _, a := range []netip.Addr{local.Addr(), remote.Addr()} {
		var place [16]byte
		copy(place[:], a.AsSlice())
		b = append(b, place[:]...)
	}
	b = ne.AppendUint32(b, 0)             // of any interface
	return ne.AppendUint64(b, ^uint64(0)) // of any cookie
}

// readDiag reads the answer. Where no connection fits, the kernel names who listens at that address: not what was asked.
func readDiag(b []byte, remotePort uint16) (owner, bool) {
	ne := binary.NativeEndian
	if len(b) < diagAnswer || ne.Uint16(b[4:]) != sockDiagByFamily {
		return owner{}, false
	}
	b = b[syscall.SizeofNlMsghdr:]
	if b[1] == tcpListen || binary.BigEndian.Uint16(b[diagID+2:]) != remotePort {
		return owner{}, false
	}
	if ne.Uint32(b[diagInode:]) == 0 { // closed: root's, whoever opened it
		return owner{gone: true}, true
	}
	return owner{known: true, uid: int(ne.Uint32(b[diagUID:]))}, true
}
