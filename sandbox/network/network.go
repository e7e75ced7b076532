//go:build linux

// Package network gives sandboxes the public internet and nothing else.
//
//	sandbox  eth0 ══ veth ══ isolated port of a bridge ── forward ── masquerade ── the host's way out
//	         127.0.0.1:53 ── the node's resolver
//
// The bridge has a subnet that nothing on the host routes. What comes in by it may only leave by another interface, to
// an address that is public: an nftables table of our own drops what is meant for the host itself, for other sandboxes,
// for private, link-local (169.254.169.254 among it), shared, multicast and reserved addresses, and all of IPv6. Ports of
// the bridge are isolated from each other besides. Answers of the resolver that point into those ranges lose them, so
// that nobody is sent to where they cannot go.
//
// Links (a network namespace with its eth0 configured) are made ahead, because making one takes milliseconds, and are
// lent once. A veth goes with its namespace, which the kernel takes down when its last user has gone: nobody deletes
// either, and the death of the node leaves neither. The bridge and the table do outlive a node that is killed; they carry
// the node's name, and Open removes those of the dead.
//
// Only root has this. A Network is safe for concurrent use.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
)

// Namespace makes a network namespace with its loopback up and IPv6 off. The files are the namespace and, made in it,
// one UDP and one TCP socket and one more UDP socket to configure it by.
type Namespace func(ctx context.Context) (ns, udp, tcp, control *os.File, err error)

// Config is what a Network needs.
type Config struct {
	Owner     string       // the node, as cgroup.Owner names it
	Namespace Namespace    // required
	Ready     int          // links kept ready; default 4
	Logger    *slog.Logger // default: discard
	Resolvers string       // the host's resolv.conf; default /etc/resolv.conf
}

const readyDefault = 4

// Network is the bridge of one node.
type Network struct {
	c       Config
	log     *slog.Logger
	subnet  netip.Prefix
	gateway netip.Addr
	bridge  *netlink.Bridge
	forward bool // we turned forwarding on
	dns     *resolver

	ready chan made
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	next   int          // guarded by mu: the host part to try next
	used   map[int]bool // guarded by mu
	serial int          // guarded by mu: names of veths are never used twice

	chainsMu    sync.Mutex            // held over transactions that change chains; taken with a link's table held
	chains      map[string]*netsChain // guarded by chainsMu
	chainSerial int                   // guarded by chainsMu
}

type made struct {
	link *Link
	err  error
}

// Open sweeps what dead nodes left, makes the bridge and the table, and begins to make links.
func Open(ctx context.Context, c Config) (*Network, error) {
	if c.Ready <= 0 {
		c.Ready = readyDefault
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Resolvers == "" {
		c.Resolvers = "/etc/resolv.conf"
	}
	n := &Network{c: c, log: c.Logger, used: map[int]bool{}, chains: map[string]*netsChain{}, ready: make(chan made, c.Ready), done: make(chan struct{}),
		dns: newResolver(c.Resolvers)}
	var err error
	if n.forward, err = sweep(); err != nil {
		n.log.Warn("a dead node's network could not be removed", "err", err)
	}
	if n.subnet, err = freeSubnet(); err != nil {
		return nil, err
	}
	n.gateway = n.subnet.Addr().Next()
	if err = n.makeBridge(); err == nil {
		err = n.makeTable()
	}
	if err == nil {
		err = n.enableForwarding()
	}
	if err == nil { // one that works proves the rest
		var l *Link
		if l, err = n.make(ctx); err == nil {
			n.ready <- made{link: l}
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.remove())
	}
	fill, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	go n.fill(fill)
	return n, nil
}

// Subnet is where the sandboxes' addresses are.
func (n *Network) Subnet() netip.Prefix { return n.subnet }

// Bridge is the interface's name.
func (n *Network) Bridge() string { return n.bridge.Name }

// A bridge's alias says whose it is, and whether its node turned forwarding on.
const (
	bridgePrefix = "rouse"
	alias        = "rouse "
	aliasForward = " forward"
)

func (n *Network) makeBridge() error {
	for i := range 100 {
		la := netlink.NewLinkAttrs()
		la.Name = fmt.Sprintf("%s%d", bridgePrefix, i)
		br := &netlink.Bridge{LinkAttrs: la}
		err := netlink.LinkAdd(br)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return fmt.Errorf("make a bridge: %w", err)
		}
		n.bridge = br
		break
	}
	if n.bridge == nil {
		return rouse.Errorf(rouse.Limit, "the bridges rouse0 to rouse99 are all taken")
	}
	if err := netlink.LinkSetAlias(n.bridge, alias+n.c.Owner); err != nil {
		return fmt.Errorf("name the bridge: %w", err)
	}
	if err := sysctl("net/ipv6/conf/"+n.bridge.Name+"/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ip := &net.IPNet{IP: n.gateway.AsSlice(), Mask: net.CIDRMask(n.subnet.Bits(), 32)}
	if err := netlink.AddrAdd(n.bridge, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("address the bridge: %w", err)
	}
	if err := netlink.LinkSetUp(n.bridge); err != nil {
		return fmt.Errorf("raise the bridge: %w", err)
	}
	return nil
}

func sysctl(name, value string) error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }

const forwarding = "net/ipv4/ip_forward"

// enableForwarding lets the host route. When it did not before, the table keeps everything but ours from being routed.
func (n *Network) enableForwarding() error {
	b, err := os.ReadFile("/proc/sys/" + forwarding)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(b)) != "0" && !n.forward {
		return nil
	}
	n.forward = true
	if err := netlink.LinkSetAlias(n.bridge, alias+n.c.Owner+aliasForward); err != nil {
		return fmt.Errorf("name the bridge: %w", err)
	}
	if err := n.keepOthersUnrouted(); err != nil {
		return err
	}
	return sysctl(forwarding, "1")
}

// Link is one network for one sandbox.
type Link struct {
	n    *Network
	host int
	ns   *os.File
	udp  *os.File
	tcp  *os.File
	dns  *forwarder

	reach  reach
	closed sync.Once
}

// File is the network namespace, to be entered. It is the Link's.
func (l *Link) File() *os.File { return l.ns }

// Addr is the sandbox's address.
func (l *Link) Addr() netip.Addr { return l.n.addr(l.host) }

// Start serves names, and lets go of the namespace, which from now on lives by its processes. Call it when the sandbox
// has entered.
func (l *Link) Start() error {
	_ = l.ns.Close()
	f, err := l.n.dns.serve(l.udp, l.tcp, l)
	l.dns = f
	return err
}

// Close gives the link back. Idempotent.
func (l *Link) Close() {
	l.closed.Do(func() {
		if l.dns != nil {
			l.dns.close()
		}
		_, _, _ = l.ns.Close(), l.udp.Close(), l.tcp.Close() // closed before, by Start, or now
		if err := l.closeReach(); err != nil {               // whoever had the address next would reach what this one did
			l.n.log.Error("what a sandbox reached could not be closed; its address is not used again", "address", l.Addr(), "err", err)
			return
		}
		l.n.mu.Lock()
		delete(l.n.used, l.host)
		l.n.mu.Unlock()
	})
}

// Take lends a link.
func (n *Network) Take(ctx context.Context) (*Link, error) {
	select {
	case m := <-n.ready:
		return m.link, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.done:
		return nil, rouse.Errorf(rouse.Unavailable, "the sandboxes' network is closed")
	}
}

// fill keeps links ready until ctx is done.
func (n *Network) fill(ctx context.Context) {
	defer close(n.done)
	for ctx.Err() == nil {
		l, err := n.make(ctx)
		select {
		case n.ready <- made{l, err}:
		case <-ctx.Done():
			if l != nil {
				l.Close()
			}
		}
	}
}

// Close removes the bridge and the table. Sandboxes must have ended.
func (n *Network) Close() error {
	n.stop()
	<-n.done
	for len(n.ready) > 0 {
		if m := <-n.ready; m.link != nil {
			m.link.Close()
		}
	}
	return n.remove()
}

func (n *Network) remove() error {
	errs := []error{removeTable(n.c.Owner)}
	if n.bridge != nil {
		errs = append(errs, netlink.LinkDel(n.bridge))
	}
	if n.forward {
		if others, err := bridges(); err == nil && len(others) == 0 {
			errs = append(errs, sysctl(forwarding, "0"))
		}
	}
	return errors.Join(errs...)
}

// listTries is how often a list is asked for that was interrupted. On a host where interfaces come and go all the time,
// every second one is.
const listTries = 50

// whole asks for a list until the kernel could give it in one piece: interfaces that come or go meanwhile interrupt it, and
// then some of it may be missing.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range listTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// bridges are those of all nodes of the machine.
func bridges() ([]netlink.Link, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var list []netlink.Link
	for _, l := range links {
		if l.Type() == "bridge" && strings.HasPrefix(l.Attrs().Alias, alias) {
			list = append(list, l)
		}
	}
	return list, nil
}

// sweep removes the bridges and tables of nodes that are gone. forward says that one of them had turned forwarding on.
func sweep() (forward bool, err error) {
	list, err := bridges()
	if err != nil {
		return false, err
	}
	var errs []error
	for _, l := range list {
		owner := strings.TrimPrefix(l.Attrs().Alias, alias)
		owner, did := strings.CutSuffix(owner, aliasForward)
		if !cgroup.Alive(owner) {
			forward = forward || did
			errs = append(errs, netlink.LinkDel(l))
		}
	}
	return forward, errors.Join(append(errs, sweepTables())...)
}
