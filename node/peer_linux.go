package node

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ownerOf finds the client's socket in this network namespace: by asking the kernel for this one (15 µs), or, where it has no
// module for that, in the tables of all (milliseconds on a large machine).
func ownerOf(c net.Conn) owner {
	if v, ok := c.(*visitor); ok {
		c = v.Conn
	}
	server, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return owner{}
	}
	client, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return owner{}
	}
	server, client = plainly(server), plainly(client)
	o, ok := askOwner(client, server)
	if !ok {
		if _, works := askOwner(server, client); !works { // it would have known our end
			o, ok = readOwner(client, server)
		}
	}
	if !ok {
		// It is elsewhere, or has just been reset. The latter must not pass for the former: what was sent before is still in
		// our buffer.
		o.gone = !established(c)
	}
	return o
}

// readOwner looks into both tables: a client that speaks IPv4 may have an IPv6 socket, with mapped addresses.
func readOwner(local, remote netip.AddrPort) (owner, bool) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		o, ok := findOwner(f, local, remote)
		_ = f.Close()
		if ok {
			return o, true
		}
	}
	return owner{}, false
}

// findOwner looks for a row of a table of sockets, such as
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	 0: 0100007F:8124 0100007F:11D6 01 00000000:00000000 00:00000000 00000000  1000        0 31337 …
//
// Sockets that were closed have inode 0 and root as their user, whoever opened them.
func findOwner(table io.Reader, local, remote netip.AddrPort) (owner, bool) {
	lines := bufio.NewScanner(table)
	port := ":" + strings.ToUpper(hex.EncodeToString(binary.BigEndian.AppendUint16(nil, local.Port()))) + " "
	for lines.Scan() {
		if !strings.Contains(lines.Text(), port) {
			continue
		}
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		if l, ok := readAddress(f[1]); !ok || l != local {
			continue
		}
		if r, ok := readAddress(f[2]); !ok || r != remote {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil || f[9] == "0" {
			return owner{gone: true}, true
		}
		return owner{known: true, uid: uid}, true
	}
	return owner{}, false
}

// readAddress reads an address as the kernel prints it: words of 32 bits in the machine's own order, and the port.
func readAddress(s string) (netip.AddrPort, bool) {
	address, port, ok := strings.Cut(s, ":")
	words, err := hex.DecodeString(address)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	a, ok := netip.AddrFromSlice(words)
	return plainly(netip.AddrPortFrom(a, uint16(n))), ok
}

// plainly is an address without its zone, and of IPv4 if it is a mapped one.
func plainly(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// tcpEstablished and tcpListen are states of a socket, as the kernel numbers them.
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// established reports whether neither end of a connection has closed.
func established(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO) // its first four bytes
		open = err == nil && binary.NativeEndian.AppendUint32(nil, uint32(info))[0] == tcpEstablished
	})
	return err == nil && open
}
