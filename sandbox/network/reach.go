//go:build linux

package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

// What links reach whose policy is not everything stands in one map and two sets of the table, and a chain per combination of
// networks that policies allow without a name:
//
//	map reach:      sandbox → go to chain "limited", or to one of those
//	chain netsN:    to NETWORK[, TCP or UDP to PORT]: accept …; go to "limited"
//	chain limited:  (sandbox, address) in set "hosts", (sandbox, address, port of TCP or UDP) in set "ports": accept
//	                else go to "refuse"
//	chain refuse:   answer that it is prohibited
//
// An address gets into the sets when the resolver answers with it, and out of them when the answer has expired. Connections
// that are there by then go on. Until a sandbox's policy is in the map it reaches everything, so the map comes first: before
// the sandbox's own code.
const (
	reachMap   = "reach"
	hostsSet   = "hosts"
	portsSet   = "ports"
	limited    = "limited"
	refuse     = "refuse"
	netsPrefix = "nets"
)

// Limits of what one link has open by name.
const (
	openMax   = 1024             // addresses, counted once for each port
	answerTTL = time.Hour        // longer answers are told to last this long
	openGrace = 10 * time.Second // from an answer's end to its addresses': a connection may be made in the last moment
)

func (n *Network) sets() (t *nftables.Table, reach, hosts, ports *nftables.Set) {
	return setsOf(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: tablePrefix + n.c.Owner})
}

func setsOf(t *nftables.Table) (_ *nftables.Table, reach, hosts, ports *nftables.Set) {
	reach = &nftables.Set{Table: t, Name: reachMap, IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
	hosts = &nftables.Set{Table: t, Name: hostsSet, Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)}
	ports = &nftables.Set{Table: t, Name: portsSet, Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetService)}
	return t, reach, hosts, ports
}

// Registers of four bytes, side by side, as a concatenation wants them. The first is named by its older, longer one.
const (
	reg1 = 1
	reg2 = unix.NFT_REG32_01
	reg3 = unix.NFT_REG32_02
)

// addReach makes the map, the sets and the last chain, and returns what looks a packet's sender up.
func addReach(c *nftables.Conn, t *nftables.Table) ([]expr.Any, error) {
	_, reach, hosts, ports := setsOf(t)
	for _, s := range []*nftables.Set{reach, hosts, ports} {
		if err := c.AddSet(s, nil); err != nil {
			return nil, fmt.Errorf("set nftables rules: %w", err)
		}
	}
	chain := c.AddChain(&nftables.Chain{Name: limited, Table: t})
	source, destination := load(reg1, offSource), load(reg2, offDestination)
	rule := func(parts ...[]expr.Any) { c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: join(parts)}) }
	rule(source, destination, lookup(hosts), verdict(expr.VerdictAccept))
	for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		port := &expr.Payload{DestRegister: reg3, Base: expr.PayloadBaseTransportHeader, Offset: offPort, Len: 2}
		rule(carries(protocol), source, destination, []expr.Any{port}, lookup(ports), verdict(expr.VerdictAccept))
	}
	rule(gotoChain(refuse))
	return append(source, &expr.Lookup{SourceRegister: reg1, IsDestRegSet: true, SetName: reach.Name, SetID: reach.ID}), nil
}

const (
	offPort      = 2  // in headers of TCP and UDP
	icmpFiltered = 13 // communication administratively prohibited
)

// addRefuse makes the chain in which packets end that go where nobody may: with a word, where the kernel has one, or else
// whoever asks waits in vain.
func addRefuse(c *nftables.Conn, t *nftables.Table, reject bool) {
	chain := c.AddChain(&nftables.Chain{Name: refuse, Table: t})
	if reject {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
			&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: icmpFiltered}}})
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: verdict(expr.VerdictDrop)})
}

func gotoChain(name string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: name}}
}

func load(register, offset uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}}
}

func lookup(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg1, SetName: s.Name, SetID: s.ID}}
}

func carries(protocol byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{protocol}}}
}

// netRule accepts what goes to a network.
func netRule(x egress.Net) [][]expr.Any {
	to := within(offDestination, x.Prefix, expr.CmpOpEq)
	if x.Port == 0 {
		return [][]expr.Any{join([][]expr.Any{to, verdict(expr.VerdictAccept)})}
	}
	port := []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: offPort, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binary.BigEndian.AppendUint16(nil, x.Port)},
	}
	return [][]expr.Any{join([][]expr.Any{to, carries(unix.IPPROTO_TCP), port, verdict(expr.VerdictAccept)}),
		join([][]expr.Any{to, carries(unix.IPPROTO_UDP), port, verdict(expr.VerdictAccept)})}
}

// destination is what a name has opened: an address, with all of it or one port.
type destination struct {
	addr netip.Addr
	port uint16 // 0: all
}

// reach is what one link may reach.
type reach struct {
	// table is held over changes of the kernel's table, which must come in the order in which they were decided.
	table sync.Mutex

	mu     sync.Mutex
	policy egress.Policy // guarded by mu

	listed bool                      // guarded by table: it stands in the map
	nets   string                    // guarded by table: its chain of networks, "" for none
	until  map[destination]time.Time // guarded by table: when what is in the sets goes
	timer  *time.Timer               // guarded by table
	closed bool                      // guarded by table
}

// netsChain is a chain that several links may share.
type netsChain struct {
	name  string
	users int
}

// Restrict gives the link a policy in place of the one it had; at first it is everything. It must be called while nothing in the
// sandbox could use what it had. After an error the link is good for nothing but to be closed.
func (l *Link) Restrict(p egress.Policy) error {
	l.reach.mu.Lock()
	l.reach.policy = p
	l.reach.mu.Unlock()
	l.reach.table.Lock()
	defer l.reach.table.Unlock()
	return l.list(p)
}

// list brings the table to policy p. The caller holds table.
func (l *Link) list(p egress.Policy) error {
	l.n.chainsMu.Lock() // before the transaction that makes a chain is through nobody else may use it
	defer l.n.chainsMu.Unlock()
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t, reach, hosts, ports := l.n.sets()
	r := &l.reach
	var errs []error
	if r.listed {
		errs = append(errs, c.SetDeleteElements(reach, []nftables.SetElement{{Key: l.key()}}))
	}
	errs = append(errs, l.forget(c, hosts, ports, func(destination, time.Time) bool { return true }))
	nets, chain, to := "", (*netsChain)(nil), limited
	if list := p.Nets(); len(list) > 0 {
		nets = fmt.Sprint(list)
		if chain = l.n.chains[nets]; chain == nil {
			chain = l.n.makeNets(c, t, list)
		}
		to = chain.name
	}
	if !p.All() {
		errs = append(errs, c.SetAddElements(reach, []nftables.SetElement{{Key: l.key(),
			VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: to}}}))
	}
	old := l.n.chains[r.nets]
	if old != nil && old != chain && old.users == 1 {
		c.DelChain(&nftables.Chain{Name: old.name, Table: t})
	}
	if err := errors.Join(append(errs, c.Flush())...); err != nil {
		return fmt.Errorf("set what a sandbox reaches: %w", err)
	}
	if old != nil {
		if old.users--; old.users == 0 {
			delete(l.n.chains, r.nets)
		}
	}
	if chain != nil {
		l.n.chains[nets] = chain
		chain.users++
	}
	r.listed, r.nets = !p.All(), nets
	clear(r.until)
	return nil
}

// makeNets makes a chain of networks. The caller holds chainsMu.
func (n *Network) makeNets(c *nftables.Conn, t *nftables.Table, list []egress.Net) *netsChain {
	n.chainSerial++
	x := &netsChain{name: netsPrefix + strconv.Itoa(n.chainSerial)}
	chain := c.AddChain(&nftables.Chain{Name: x.name, Table: t})
	for _, net := range list {
		for _, exprs := range netRule(net) {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: exprs})
		}
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: gotoChain(limited)})
	return x
}

// key is the link in the map.
func (l *Link) key() []byte { return l.Addr().AsSlice() }

// element is d in one of the sets.
func (l *Link) element(d destination) nftables.SetElement {
	key := append(l.key(), d.addr.AsSlice()...)
	if d.port != 0 {
		key = append(binary.BigEndian.AppendUint16(key, d.port), 0, 0)
	}
	return nftables.SetElement{Key: key}
}

// forget takes out of the sets what matches. The caller holds table, and deletes from until when the transaction is through.
func (l *Link) forget(c *nftables.Conn, hosts, ports *nftables.Set, match func(destination, time.Time) bool) error {
	var fromHosts, fromPorts []nftables.SetElement
	for d, until := range l.reach.until {
		switch {
		case !match(d, until):
		case d.port == 0:
			fromHosts = append(fromHosts, l.element(d))
		default:
			fromPorts = append(fromPorts, l.element(d))
		}
	}
	return errors.Join(c.SetDeleteElements(hosts, fromHosts), c.SetDeleteElements(ports, fromPorts))
}

// policyNow is what the resolver goes by.
func (l *Link) policyNow() egress.Policy {
	l.reach.mu.Lock()
	defer l.reach.mu.Unlock()
	return l.reach.policy
}

var errOpenMax = errors.New("too many addresses are open")

// open lets the link reach ports of addrs for a time, counted from now.
func (l *Link) open(addrs []netip.Addr, ports egress.Ports, last time.Duration) error {
	list := ports.List
	if ports.All {
		list = []uint16{0}
	}
	until := time.Now().Add(last)
	r := &l.reach
	r.table.Lock()
	defer r.table.Unlock()
	if r.closed {
		return errors.New("the link is closed")
	}
	var toHosts, toPorts []nftables.SetElement
	var fresh []destination
	for _, a := range addrs {
		for _, p := range list {
			d := destination{a.Unmap(), p}
			if _, there := r.until[d]; there || slices.Contains(fresh, d) {
				continue
			}
			fresh = append(fresh, d)
			if p == 0 {
				toHosts = append(toHosts, l.element(d))
			} else {
				toPorts = append(toPorts, l.element(d))
			}
		}
	}
	if len(r.until)+len(fresh) > openMax {
		return errOpenMax
	}
	if len(fresh) > 0 {
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		_, _, hosts, sets := l.n.sets()
		if err := errors.Join(c.SetAddElements(hosts, toHosts), c.SetAddElements(sets, toPorts), c.Flush()); err != nil {
			return fmt.Errorf("open addresses: %w", err)
		}
	}
	for _, a := range addrs {
		for _, p := range list {
			d := destination{a.Unmap(), p}
			if r.until[d].Before(until) {
				r.until[d] = until
			}
		}
	}
	l.plan()
	return nil
}

// plan sets the timer to the next expiry. The caller holds table.
func (l *Link) plan() {
	var next time.Time
	for _, at := range l.reach.until {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	switch r := &l.reach; {
	case next.IsZero():
	case r.timer == nil:
		r.timer = time.AfterFunc(time.Until(next), l.expire)
	default:
		r.timer.Reset(time.Until(next))
	}
}

// expireAgain is when what could not be closed is tried again.
const expireAgain = time.Second

// expire closes what has lasted long enough.
func (l *Link) expire() {
	r := &l.reach
	r.table.Lock()
	defer r.table.Unlock()
	if r.closed {
		return
	}
	now := time.Now()
	over := func(_ destination, until time.Time) bool { return !until.After(now) }
	c, err := nftables.New()
	if err == nil {
		_, _, hosts, ports := l.n.sets()
		err = errors.Join(l.forget(c, hosts, ports, over), c.Flush())
	}
	if err != nil {
		l.n.log.Error("addresses that a sandbox may no longer reach could not be closed; it is tried again", "err", err)
		r.timer.Reset(expireAgain)
		return
	}
	for d, until := range r.until {
		if over(d, until) {
			delete(r.until, d)
		}
	}
	l.plan()
}

// closeReach takes the link out of the table. An error means that its address must not be used again.
func (l *Link) closeReach() error {
	r := &l.reach
	r.table.Lock()
	defer r.table.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	if !r.listed && len(r.until) == 0 {
		return nil
	}
	return l.list(egress.Everything())
}
