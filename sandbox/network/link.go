//go:build linux

package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// addr is the address with that host part.
func (n *Network) addr(host int) netip.Addr {
	base := n.subnet.Addr().As4()
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(base[:])+uint32(host))
	return netip.AddrFrom4(b)
}

// hosts are the host parts that sandboxes may have: not the network, the gateway or the broadcast address.
func (n *Network) hosts() int { return 1<<(32-n.subnet.Bits()) - 3 }

func (n *Network) takeHost() (host int, name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range n.hosts() {
		host = 2 + n.next
		n.next = (n.next + 1) % n.hosts()
		if !n.used[host] {
			n.used[host] = true
			n.serial++
			return host, "rs" + strconv.FormatInt(int64(n.bridge.Index), 36) + "x" + strconv.FormatInt(int64(n.serial), 36), nil
		}
	}
	return 0, "", rouse.Errorf(rouse.Limit, "all %d addresses of sandboxes are in use", n.hosts())
}

// make makes a link.
func (n *Network) make(ctx context.Context) (*Link, error) {
	host, name, err := n.takeHost()
	if err != nil {
		return nil, err
	}
	l := &Link{n: n, host: host, reach: reach{policy: egress.Everything(), until: map[destination]time.Time{}}}
	var control *os.File
	if l.ns, l.udp, l.tcp, control, err = n.c.Namespace(ctx); err != nil {
		n.mu.Lock()
		delete(n.used, host)
		n.mu.Unlock()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	defer control.Close()
	if err = n.connect(l, name); err == nil {
		err = configure(int(control.Fd()), l.Addr(), n.gateway, n.subnet.Bits())
	}
	if err == nil {
		err = bindResolver(l)
	}
	if err != nil {
		l.Close() // and with the namespace the veth
		return nil, fmt.Errorf("make a network link: %w", err)
	}
	return l, nil
}

// connect plugs the namespace into the bridge.
func (n *Network) connect(l *Link, name string) error {
	la := netlink.NewLinkAttrs()
	la.Name = name
	la.MasterIndex = n.bridge.Index
	v := &netlink.Veth{LinkAttrs: la, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(l.ns.Fd()))}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	if err := netlink.LinkSetIsolated(v, true); err != nil {
		return fmt.Errorf("isolate the port: %w", err)
	}
	if err := sysctl("net/ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return netlink.LinkSetUp(v)
}

// configure sets up eth0 by a socket of its namespace: an ioctl acts where its socket was made, so that nobody needs to
// go there.
func configure(socket int, addr, gateway netip.Addr, bits int) error {
	set := func(request uint, value netip.Addr) error {
		r, err := unix.NewIfreq("eth0")
		if err == nil {
			err = r.SetInet4Addr(value.AsSlice())
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, request, r)
		}
		return err
	}
	mask := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-bits))))
	if err := errors.Join(set(unix.SIOCSIFADDR, addr), set(unix.SIOCSIFNETMASK, mask)); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	up, err := unix.NewIfreq("eth0")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("raise eth0: %w", err)
	}
	route := rtentry{dst: inet4(netip.IPv4Unspecified()), gateway: inet4(gateway), genmask: inet4(netip.IPv4Unspecified()),
		flags: unix.RTF_UP | unix.RTF_GATEWAY}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCADDRT, uintptr(unsafe.Pointer(&route)))
	if errno != 0 {
		return fmt.Errorf("default route: %w", errno)
	}
	return nil
}

// rtentry is struct rtentry of net/route.h on 64-bit machines.
type rtentry struct {
	_                     uint64
	dst, gateway, genmask unix.RawSockaddrInet4
	flags                 uint16
	_                     [6]byte
	_                     [7]uint64
}

func inet4(a netip.Addr) unix.RawSockaddrInet4 {
	return unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.As4()}
}

// bindResolver puts the two sockets at the address that resolv.conf inside names.
func bindResolver(l *Link) error {
	for _, f := range []*os.File{l.udp, l.tcp} {
		if err := unix.Bind(int(f.Fd()), &unix.SockaddrInet4{Port: 53, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return fmt.Errorf("bind the resolver: %w", err)
		}
	}
	if err := unix.Listen(int(l.tcp.Fd()), 16); err != nil {
		return fmt.Errorf("listen for the resolver: %w", err)
	}
	return nil
}

// subnetBits leaves room for 16,381 sandboxes.
const subnetBits = 18

// freeSubnet finds a private subnet that no route or address of the host touches.
func freeSubnet() (netip.Prefix, error) {
	taken, err := routed()
	if err != nil {
		return netip.Prefix{}, err
	}
	for second := 213; second < 213+43; second++ {
		for third := 0; third < 256; third += 1 << (24 - subnetBits) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), byte(third), 0}), subnetBits)
			free := true
			for _, t := range taken {
				free = free && !t.Overlaps(p)
			}
			if free {
				return p, nil
			}
		}
	}
	return netip.Prefix{}, rouse.Errorf(rouse.Unavailable,
		"the host routes all of 10.213.0.0 to 10.255.255.255: no subnet is left for sandboxes")
}

// routed are the networks that the host knows, in all of its routing tables, default routes aside.
func routed() ([]netip.Prefix, error) {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var list []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		if ok && ones > 0 {
			list = append(list, netip.PrefixFrom(addr, ones))
		}
	}
	return list, nil
}
