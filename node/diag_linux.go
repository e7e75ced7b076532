package node

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes and places in the messages of sock_diag(7): struct inet_diag_req_v2 and struct inet_diag_msg, behind a header.
const (
	diagRequest = unix.SizeofNlMsghdr + 56
	diagAnswer  = unix.SizeofNlMsghdr + 72
	diagID      = 4 // within the answer: ports, addresses, interface and cookie
	diagUID     = 4 + 48 + 12
	diagInode   = 4 + 48 + 16
)

// askOwner asks the kernel for the one socket with these ends; false when it has none, or cannot be asked.
func askOwner(local, remote netip.AddrPort) (owner, bool) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return owner{}, false
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, askFor(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return owner{}, false
	}
	var b [512]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT) // it was answered within Sendto
	if err != nil {
		return owner{}, false
	}
	return readDiag(b[:n], remote.Port())
}

// askFor is the request for one socket.
func askFor(local, remote netip.AddrPort) []byte {
	family := byte(unix.AF_INET)
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	ne := binary.NativeEndian
	b := make([]byte, 0, diagRequest)
	b = ne.AppendUint32(b, diagRequest)
	b = ne.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
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
	if len(b) < diagAnswer || ne.Uint16(b[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return owner{}, false
	}
	b = b[unix.SizeofNlMsghdr:]
	if b[1] == tcpListen || binary.BigEndian.Uint16(b[diagID+2:]) != remotePort {
		return owner{}, false
	}
	if ne.Uint32(b[diagInode:]) == 0 { // closed: root's, whoever opened it
		return owner{gone: true}, true
	}
	return owner{known: true, uid: int(ne.Uint32(b[diagUID:]))}, true
}
