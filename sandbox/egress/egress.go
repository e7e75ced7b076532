// Package egress says what of the public internet a sandbox may reach: all of it, nothing, or what lists name.
//
//	on | off | allow:RULE,RULE…
//	RULE = NAME[:PORT]           api.example.com:443
//	     | *.NAME[:PORT]         every name below it, not itself; .NAME is the same, for tags, which take no asterisk
//	     | *[:PORT]              every name
//	     | ADDRESS[/BITS][:PORT] 93.184.215.0/24:443; IPv4
//
// Rules are parted by commas or spaces; without a port a rule allows all ports and protocols, with one it allows TCP and UDP
// to that port. A policy may have several lists, such as a node's and a function's, and allows what each of them does.
//
// A rule with a name allows the addresses that the platform's resolver has answered for it, while the answer lasts, and that
// the name is asked for at all: names that no rule has are not resolved, because a question is a way out too. A rule with
// addresses allows these, and no name. The two are never mixed: where one list names a host and another has only its address,
// nothing is allowed.
//
// Addresses that are not public (Refused) cannot be allowed by either. A Policy is a value, and safe for concurrent use.
package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RulesMax is how many rules a list may have.
const RulesMax = 64

// Policy is what may be reached. The zero value is nothing.
type Policy struct {
	open  bool   // something
	lists []list // each must allow it; without any everything public is
}

// list is the rules of one source.
type list struct {
	text  string // as it was written, in its one form
	rules []rule
}

// rule allows a name or a prefix.
type rule struct {
	name string       // "api.example.com", ".example.com" for all below, "." for all; "" when it is addresses
	net  netip.Prefix // when name is ""
	port uint16       // 0: all, and all protocols
}

// Everything is the policy "on".
func Everything() Policy { return Policy{open: true} }

// Parse reads a policy.
func Parse(text string) (Policy, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "on", "true", "yes", "1":
		return Everything(), nil
	case "off", "false", "no", "0":
		return Policy{}, nil
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "allow:")
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	if !ok || len(words) == 0 {
		return Policy{}, errors.New("want on, off or allow: with a list, such as allow:api.example.com:443,93.184.215.0/24")
	}
	if len(words) > RulesMax {
		return Policy{}, fmt.Errorf("%d rules: the limit is %d", len(words), RulesMax)
	}
	var l list
	var forms []string
	for _, w := range words {
		r, err := parseRule(w)
		if err != nil {
			return Policy{}, fmt.Errorf("%q: %w", w, err)
		}
		if !slices.Contains(l.rules, r) {
			l.rules, forms = append(l.rules, r), append(forms, r.String())
		}
	}
	l.text = "allow:" + strings.Join(forms, ",")
	return Policy{open: true, lists: []list{l}}, nil
}

var namePattern = regexp.MustCompile(`^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

func parseRule(w string) (rule, error) {
	if strings.ContainsAny(w, "[]") || strings.Count(w, ":") > 1 {
		return rule{}, errors.New("IPv6 is off in sandboxes; want a name or an IPv4 address, and at most one port")
	}
	var r rule
	host, port, has := strings.Cut(strings.ToLower(w), ":")
	if has {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return rule{}, errors.New("want a port from 1 to 65535")
		}
		r.port = uint16(n)
	}
	if net, err := parseNet(host); err == nil {
		if !net.Addr().Is4() {
			return rule{}, errors.New("IPv6 is off in sandboxes")
		}
		if net.Masked() != net {
			return rule{}, fmt.Errorf("the network of that address is %s", net.Masked())
		}
		for _, p := range Refused() {
			if p.Bits() <= net.Bits() && p.Contains(net.Addr()) {
				return rule{}, fmt.Errorf("addresses of %s are private, reserved or the host's; functions never reach them", p)
			}
		}
		r.net = net
		return r, nil
	}
	host = strings.TrimSuffix(host, ".")
	below, wild := strings.CutPrefix(host, "*.")
	if !wild {
		below, wild = strings.CutPrefix(host, ".")
	}
	switch {
	case host == "*":
		r.name = "."
	case len(below) > 253 || !namePattern.MatchString(below) || !wild && !strings.Contains(below, "."):
		return rule{}, errors.New("want a full name, *.NAME, or an address with or without /BITS")
	case wild:
		r.name = "." + below
	default:
		r.name = host
	}
	return r, nil
}

func parseNet(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// String is the rule as it is written.
func (r rule) String() string {
	s := r.name
	switch {
	case s == "":
		s = r.net.String()
		if r.net.IsSingleIP() {
			s = r.net.Addr().String()
		}
	case s == ".":
		s = "*"
	case s[0] == '.':
		s = "*" + s
	}
	if r.port != 0 {
		s += ":" + strconv.Itoa(int(r.port))
	}
	return s
}

func (r rule) names(name string) bool {
	if strings.HasPrefix(r.name, ".") {
		return r.name == "." || strings.HasSuffix(name, r.name)
	}
	return r.name != "" && r.name == name
}

// String is the policy as it is written; the lists of several sources with "and" between them.
func (p Policy) String() string {
	switch {
	case !p.open:
		return "off"
	case len(p.lists) == 0:
		return "on"
	}
	texts := make([]string, len(p.lists))
	for i, l := range p.lists {
		texts[i] = l.text
	}
	return strings.Join(texts, " and ")
}

// All reports whether all of the public internet is allowed.
func (p Policy) All() bool { return p.open && len(p.lists) == 0 }

// None reports whether nothing is.
func (p Policy) None() bool { return !p.open }

// And allows what both do.
func (p Policy) And(q Policy) Policy {
	if !p.open || !q.open {
		return Policy{}
	}
	return Policy{open: true, lists: slices.Concat(p.lists, q.lists)}
}

// Ports are what is allowed of an address: all, with every protocol, or these, with TCP and UDP.
type Ports struct {
	All  bool
	List []uint16 // ascending
}

// both is what is in p and in q.
func (p Ports) both(q Ports) Ports {
	if p.All {
		return q
	}
	if q.All {
		return p
	}
	return Ports{List: slices.DeleteFunc(slices.Clone(p.List), func(n uint16) bool { return !slices.Contains(q.List, n) })}
}

func (p *Ports) add(port uint16) {
	if port == 0 {
		p.All = true
	} else if i, found := slices.BinarySearch(p.List, port); !found {
		p.List = slices.Insert(p.List, i, port)
	}
}

// Empty reports whether nothing is allowed.
func (p Ports) Empty() bool { return !p.All && len(p.List) == 0 }

// Name says what is allowed of the addresses of a name, which is in lower case and without a dot at its end. When it is empty
// the name must not be asked for.
func (p Policy) Name(name string) Ports {
	if !p.open {
		return Ports{}
	}
	allowed := Ports{All: true}
	for _, l := range p.lists {
		var own Ports
		for _, r := range l.rules {
			if r.names(name) {
				own.add(r.port)
			}
		}
		allowed = allowed.both(own)
	}
	return allowed
}

// Net is a network that is allowed without a name.
type Net struct {
	Prefix netip.Prefix
	Port   uint16 // 0: all, and all protocols
}

// Nets are the networks that all lists allow, nil when all of the internet is.
func (p Policy) Nets() []Net {
	var nets []Net
	for i, l := range p.lists {
		var next []Net
		for _, r := range l.rules {
			if r.name != "" {
				continue
			}
			if i == 0 {
				next = append(next, Net{r.net, r.port})
				continue
			}
			for _, n := range nets {
				if both, ok := n.both(Net{r.net, r.port}); ok && !slices.Contains(next, both) {
					next = append(next, both)
				}
			}
		}
		nets = next
	}
	return nets
}

// both is what is in n and in m: one of two overlapping networks holds the other.
func (n Net) both(m Net) (Net, bool) {
	if !n.Prefix.Overlaps(m.Prefix) || n.Port != 0 && m.Port != 0 && n.Port != m.Port {
		return Net{}, false
	}
	if m.Prefix.Bits() > n.Prefix.Bits() {
		n.Prefix = m.Prefix
	}
	n.Port = max(n.Port, m.Port)
	return n, true
}

// Refused are the addresses that are not the public internet
// (https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry).
func Refused() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"fc00::/7", "fe80::/10", "ff00::/8"} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

// IsRefused reports whether a sandbox cannot reach a.
func IsRefused(a netip.Addr) bool {
	for _, p := range Refused() {
		if p.Contains(a) || a.Is4In6() && p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
