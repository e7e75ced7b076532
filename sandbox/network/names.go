//go:build linux

package network

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

// guard is what a sandbox may ask for, and opens what was answered: its Link.
type guard interface {
	policyNow() egress.Policy
	open(addrs []netip.Addr, ports egress.Ports, last time.Duration) error
}

// answer is the answer to a sandbox's question, nil to what is none.
func (f *forwarder) answer(ctx context.Context, network string, query []byte) []byte {
	if f.guard != nil {
		if p := f.guard.policyNow(); !p.All() {
			return f.guarded(ctx, network, query, p)
		}
	}
	return f.r.ask(ctx, network, query)
}

// guarded answers for names that the policy has, and opens their addresses before it tells them. Other names do not exist.
func (f *forwarder) guarded(ctx context.Context, network string, query []byte, p egress.Policy) []byte {
	var parser dnsmessage.Parser
	head, err := parser.Start(query)
	if err != nil || head.Response {
		return nil
	}
	questions, err := parser.AllQuestions()
	if err != nil || len(questions) != 1 || questions[0].Class != dnsmessage.ClassINET {
		return refusal(head, query, dnsmessage.RCodeRefused)
	}
	q := questions[0]
	name := plainName(q.Name)
	ports := p.Name(name)
	switch {
	case ports.Empty():
		return refusal(head, query, dnsmessage.RCodeNameError)
	case q.Type == dnsmessage.TypeAAAA: // IPv6 is off
		return refusal(head, query, dnsmessage.RCodeSuccess)
	}
	// What else the message may carry stays here.
	bare := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, RecursionDesired: head.RecursionDesired}, Questions: questions}
	out, err := bare.Pack()
	if err != nil {
		return refusal(head, query, dnsmessage.RCodeServerFailure)
	}
	var m dnsmessage.Message
	if m.Unpack(f.r.ask(ctx, network, out)) != nil {
		return refusal(head, query, dnsmessage.RCodeServerFailure)
	}
	for i := range m.Answers {
		m.Answers[i].Header.TTL = min(m.Answers[i].Header.TTL, uint32(answerTTL/time.Second))
	}
	if q.Type == dnsmessage.TypeA {
		if addrs, ttl := addressesOf(name, m.Answers); len(addrs) > 0 {
			if f.guard.open(addrs, ports, ttl+openGrace) != nil {
				return refusal(head, query, dnsmessage.RCodeServerFailure)
			}
		}
	}
	b, err := m.Pack()
	if err != nil {
		return refusal(head, query, dnsmessage.RCodeServerFailure)
	}
	return b
}

// aliasesMax is how many aliases lead from a name to its addresses at most.
const aliasesMax = 16

// addressesOf follows the aliases from name, and returns the public IPv4 addresses at their end and how long the shortest of all
// that lasts. What an answer says of other names does not count.
func addressesOf(name string, answers []dnsmessage.Resource) (addrs []netip.Addr, ttl time.Duration) {
	names, seconds := []string{name}, uint32(answerTTL/time.Second)
	for range aliasesMax {
		known := len(names)
		for _, r := range answers {
			c, ok := r.Body.(*dnsmessage.CNAMEResource)
			if ok && slices.Contains(names, plainName(r.Header.Name)) && !slices.Contains(names, plainName(c.CNAME)) {
				names = append(names, plainName(c.CNAME))
				seconds = min(seconds, r.Header.TTL)
			}
		}
		if len(names) == known {
			break
		}
	}
	for _, r := range answers {
		a, ok := r.Body.(*dnsmessage.AResource)
		if !ok || !slices.Contains(names, plainName(r.Header.Name)) || egress.IsRefused(netip.AddrFrom4(a.A)) {
			continue
		}
		addrs = append(addrs, netip.AddrFrom4(a.A))
		seconds = min(seconds, r.Header.TTL)
	}
	return addrs, time.Duration(seconds) * time.Second
}

func plainName(n dnsmessage.Name) string { return strings.ToLower(strings.TrimSuffix(n.String(), ".")) }
