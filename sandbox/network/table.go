//go:build linux

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

const tablePrefix = "rouse-"

// makeTable puts the rules in place, in one transaction:
//
//	chain forward: iif BRIDGE   established: accept
//	                            from outside SUBNET, or back out of BRIDGE: drop
//	                            to what is refused: go to chain "refuse"
//	                            from an address with connectionsMax connections: drop
//	                            from an address in the map "reach": go to the chain that it says (reach.go)
//	                            else accept
//	               oif BRIDGE   established or related: accept, else drop
//	chain input:   iif BRIDGE   drop
//	chain out:     from SUBNET, not back out of BRIDGE: masquerade
func (n *Network) makeTable() error {
	var err error
	for _, f := range []features{{true, true}, {connlimit: true}, {reject: true}, {}} {
		if err = n.setTable(f); !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
			if err == nil && !f.connlimit {
				n.log.Warn("nothing keeps one sandbox from using up the host's table of connections: this kernel has no nft_connlimit")
			}
			break
		}
	}
	return err
}

// features are what not every kernel has: counting connections; refusing packets with a word, not silently.
type features struct{ connlimit, reject bool }

// connectionsMax is how many connections the host tracks for one sandbox, answered or not: twice the files that it may
// open, for those that are ending. The table is the whole host's (262,144 entries by default), an entry of a packet that
// nobody answers stays for 30 s, and when the table is full nobody on the host can connect to anything.
const connectionsMax = 2048

// limitConnections drops the first packet of one connection too many. Those that are there go on.
func (n *Network) limitConnections(c *nftables.Conn, t *nftables.Table) ([]expr.Any, error) {
	seen := &nftables.Set{Table: t, Name: "connections", KeyType: nftables.TypeIPAddr, Dynamic: true, Size: 1 << (32 - subnetBits)}
	if err := c.AddSet(seen, nil); err != nil {
		return nil, fmt.Errorf("set nftables rules: %w", err)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offSource, Len: 4},
		&expr.Dynset{SrcRegKey: 1, SetName: seen.Name, SetID: seen.ID, Operation: uint32(unix.NFT_DYNSET_OP_ADD),
			Exprs: []expr.Any{&expr.Connlimit{Count: connectionsMax, Flags: expr.NFT_CONNLIMIT_F_INV}}},
	}, nil
}

func (n *Network) setTable(f features) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: tablePrefix + n.c.Owner})
	chain := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Name: name, Table: t, Type: kind, Hooknum: hook, Priority: prio})
	}
	forward := chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	input := chain("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	out := chain("out", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	rule := func(chain *nftables.Chain, parts ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: join(parts)})
	}
	addRefuse(c, t, f.reject)
	br := n.bridge.Name
	from, to := iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, br), iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, br)
	rule(forward, from, tracked(expr.CtStateBitESTABLISHED), verdict(expr.VerdictAccept))
	rule(forward, from, to, verdict(expr.VerdictDrop))
	rule(forward, from, within(offSource, n.subnet, expr.CmpOpNeq), verdict(expr.VerdictDrop))
	for _, p := range egress.Refused() {
		if p.Addr().Is4() {
			rule(forward, from, within(offDestination, p, expr.CmpOpEq), gotoChain(refuse))
		}
	}
	if f.connlimit {
		tooMany, err := n.limitConnections(c, t)
		if err != nil {
			return err
		}
		rule(forward, from, tooMany, verdict(expr.VerdictDrop))
	}
	some, err := addReach(c, t)
	if err != nil {
		return err
	}
	rule(forward, from, some)
	rule(forward, from, verdict(expr.VerdictAccept))
	rule(forward, to, tracked(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
	rule(forward, to, verdict(expr.VerdictDrop))
	rule(input, from, verdict(expr.VerdictDrop))
	rule(out, within(offSource, n.subnet, expr.CmpOpEq), iface(expr.MetaKeyOIFNAME, expr.CmpOpNeq, br), []expr.Any{&expr.Masq{}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("set nftables rules: %w", err)
	}
	return nil
}

// keepOthersUnrouted drops from forwarding what is no node's of this machine.
func (n *Network) keepOthersUnrouted() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: tablePrefix + n.c.Owner}
	c.AddRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Name: "forward", Table: t}, Exprs: join([][]expr.Any{
		ifacePrefix(expr.MetaKeyIIFNAME, bridgePrefix), ifacePrefix(expr.MetaKeyOIFNAME, bridgePrefix), verdict(expr.VerdictDrop)})})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("set nftables rules: %w", err)
	}
	return nil
}

// Blocked names the chain of somebody else, Docker's usually, that drops what is forwarded unless it knows it; "" when there
// is none. Accepting in our table does not help against it, and it is not ours to change.
func Blocked() string {
	c, err := nftables.New()
	if err != nil {
		return ""
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return ""
	}
	for _, ch := range chains {
		if ch.Hooknum != nil && *ch.Hooknum == *nftables.ChainHookForward && ch.Policy != nil &&
			*ch.Policy == nftables.ChainPolicyDrop && !strings.HasPrefix(ch.Table.Name, tablePrefix) {
			return ch.Table.Name + " " + ch.Name
		}
	}
	return ""
}

func removeTable(owner string) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: tablePrefix + owner})
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove nftables rules: %w", err)
	}
	return nil
}

func sweepTables() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("list nftables: %w", err)
	}
	var errs []error
	for _, t := range tables {
		if owner, ours := strings.CutPrefix(t.Name, tablePrefix); ours && !cgroup.Alive(owner) {
			errs = append(errs, removeTable(owner))
		}
	}
	return errors.Join(errs...)
}

func join(parts [][]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func iface(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: b}}
}

// ifacePrefix matches interfaces whose names begin otherwise.
func ifacePrefix(key expr.MetaKey, prefix string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte(prefix)}}
}

// Offsets in an IPv4 header.
const (
	offSource      = 12
	offDestination = 16
)

func within(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	mask := make([]byte, 4)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func tracked(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }
