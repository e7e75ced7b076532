//go:build linux

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

// doorman has a policy and notes what is opened.
type doorman struct {
	policy egress.Policy
	full   bool
	opened []string
}

func (d *doorman) policyNow() egress.Policy { return d.policy }

func (d *doorman) open(addrs []netip.Addr, ports egress.Ports, last time.Duration) error {
	if d.full {
		return errOpenMax
	}
	d.opened = append(d.opened, fmt.Sprint(addrs, " ", ports, " ", last))
	return nil
}

// question asks for a name, with an option that is no part of the question.
func question(t *testing.T, name string, typ dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 77, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
		Additionals: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: 1232},
			Body: &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 65001, Data: []byte("s3cret")}}}}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func record(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}, Body: body}
}

func a4(s string) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: [4]byte(net.ParseIP(s).To4())}
}

func aliasOf(to string) dnsmessage.ResourceBody {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}
}

// TestGuardedNames: what a restricted sandbox may ask for, what it is told, and what that opens.
func TestGuardedNames(t *testing.T) {
	zone := map[string][]dnsmessage.Resource{
		"api.example.":   {record("api.example.", 60, a4("93.184.215.14"))},
		"long.example.":  {record("long.example.", 86400, a4("93.184.215.14"))},
		"alias.example.": {record("alias.example.", 300, aliasOf("Edge.cdn.test.")), record("edge.CDN.test.", 20, a4("93.184.215.15"))},
		"late.example.":  {record("edge.cdn.test.", 20, a4("93.184.215.15")), record("late.example.", 300, aliasOf("edge.cdn.test."))},
		"liar.example.":  {record("liar.example.", 60, a4("93.184.215.16")), record("bank.test.", 60, a4("93.184.215.17"))},
		"inner.example.": {record("inner.example.", 60, a4("10.0.0.1")), record("inner.example.", 60, a4("169.254.169.254"))},
		"loop.example.":  {record("loop.example.", 60, aliasOf("loop.example."))},
	}
	asked := make(chan string, 8) // there is one question at a time
	r := server(t, func(query []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(query) != nil || strings.Contains(string(query), "s3cret") || len(m.Additionals) > 0 {
			asked <- "what is no question"
			return nil
		}
		name := m.Questions[0].Name.String()
		asked <- name
		m.Response, m.Answers = true, zone[name]
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return b
	})
	for _, c := range []struct {
		name   string
		typ    dnsmessage.Type
		code   dnsmessage.RCode
		told   int
		opened string // "" for nothing
		asks   bool
	}{
		{"api.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1, "[93.184.215.14] {false [443]} 1m10s", true},
		{"long.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1, "[93.184.215.14] {false [443]} 1h0m10s", true},
		{"alias.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 2, "[93.184.215.15] {false [443]} 30s", true},
		{"late.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 2, "[93.184.215.15] {false [443]} 30s", true},
		{"liar.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 2, "[93.184.215.16] {false [443]} 1m10s", true},
		{"inner.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 0, "", true},
		{"loop.example.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1, "", true},
		{"api.example.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 0, "", false},
		{"bank.test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0, "", false},
		{"s3cret.bank.test.", dnsmessage.TypeTXT, dnsmessage.RCodeNameError, 0, "", false},
	} {
		p, err := egress.Parse("allow:*.example:443")
		if err != nil {
			t.Fatal(err)
		}
		d := &doorman{policy: p}
		f := &forwarder{r: r, guard: d}
		var m dnsmessage.Message
		if err := m.Unpack(f.answer(context.Background(), "udp", question(t, c.name, c.typ))); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if m.RCode != c.code || m.ID != 77 || len(m.Answers) != c.told {
			t.Errorf("%s %s: got %s with %d records, want %s with %d", c.name, c.typ, m.RCode, len(m.Answers), c.code, c.told)
		}
		for _, x := range m.Answers {
			if x.Header.TTL > 3600 {
				t.Errorf("%s: got a record for %d s, want an hour at most", c.name, x.Header.TTL)
			}
		}
		if got := strings.Join(d.opened, "; "); got != c.opened {
			t.Errorf("%s %s: got %q opened, want %q", c.name, c.typ, got, c.opened)
		}
		got := ""
		select {
		case got = <-asked:
		default: // it is asked before it is answered
		}
		if asks := got != ""; asks != c.asks || asks && got != c.name {
			t.Errorf("%s %s: got %q asked of the host's resolver, want that %v", c.name, c.typ, got, c.asks)
		}
	}
}

// TestGuardedTrouble: what cannot be opened is not told, and what is no question is not passed on.
func TestGuardedTrouble(t *testing.T) {
	r := server(t, func(query []byte) []byte {
		var m dnsmessage.Message
		_ = m.Unpack(query)
		m.Response, m.Answers = true, []dnsmessage.Resource{record(m.Questions[0].Name.String(), 60, a4("93.184.215.14"))}
		b, _ := m.Pack()
		return b
	})
	p, err := egress.Parse("allow:*")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{r: r, guard: &doorman{policy: p, full: true}}
	code := func(query []byte) (m dnsmessage.Message) {
		t.Helper()
		if err := m.Unpack(f.answer(context.Background(), "udp", query)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := code(question(t, "api.example.", dnsmessage.TypeA)); m.RCode != dnsmessage.RCodeServerFailure || len(m.Answers) > 0 {
		t.Errorf("an address that cannot be opened: got %s with %v, want a failure without it", m.RCode, m.Answers)
	}
	two := dnsmessage.Message{Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("a.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
		{Name: dnsmessage.MustNewName("b.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := two.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if m := code(b); m.RCode != dnsmessage.RCodeRefused {
		t.Errorf("two questions: got %s, want them refused", m.RCode)
	}
	two.Questions = two.Questions[:1]
	two.Questions[0].Class = dnsmessage.ClassCHAOS
	if b, err = two.Pack(); err != nil {
		t.Fatal(err)
	}
	if m := code(b); m.RCode != dnsmessage.RCodeRefused {
		t.Errorf("a question of another class: got %s, want it refused", m.RCode)
	}
	for _, no := range [][]byte{nil, []byte("x"), {0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if got := f.answer(context.Background(), "udp", no); got != nil {
			t.Errorf("%x, which is no question: got %x, want nothing", no, got)
		}
	}
	if !errors.Is(f.guard.open(nil, egress.Ports{}, 0), errOpenMax) {
		t.Error("the doorman: want it full")
	}
}
