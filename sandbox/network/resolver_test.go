//go:build linux

package network

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

func TestParseResolvers(t *testing.T) {
	for conf, want := range map[string]string{
		"":                      "",
		"nameserver 10.0.0.1\n": "10.0.0.1:53",
		"# nameserver 1.1.1.1\nsearch x\n nameserver\t127.0.0.53 # local\noptions edns0": "127.0.0.53:53",
		"nameserver 1.1.1.1\nnameserver ::1\nnameserver x\nnameserver fe80::1%eth0\n" +
			"nameserver 4.4.4.4": "1.1.1.1:53 [::1]:53 [fe80::1%eth0]:53",
		"nameserver\nnameserverx 1.1.1.1": "",
	} {
		var got []string
		for _, a := range parseResolvers(conf) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, want %s", conf, got, want)
		}
	}
}

// message packs an answer about name.
func message(t testing.TB, name string, addrs ...string) []byte {
	t.Helper()
	n := dnsmessage.MustNewName(name)
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	for _, a := range addrs {
		ip := netip.MustParseAddr(a)
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: 60}}
		if ip.Is4() {
			r.Body = &dnsmessage.AResource{A: ip.As4()}
		} else {
			r.Body = &dnsmessage.AAAAResource{AAAA: ip.As16()}
		}
		m.Answers = append(m.Answers, r)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addresses(t testing.TB, b []byte) (list []string) {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.Answers {
		if a, ok := address(r); ok {
			list = append(list, a.String())
		}
	}
	return list
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"8.8.8.8", "2606:4700::1"}, []string{"8.8.8.8", "2606:4700::1"}},
		{[]string{"10.1.2.3", "8.8.8.8", "fd00::1", "169.254.169.254"}, []string{"8.8.8.8"}},
		{[]string{"127.0.0.1"}, nil},
		{nil, nil},
	} {
		out, err := clean(message(t, "a.test.", c.in...))
		if err != nil {
			t.Fatal(err)
		}
		if got := addresses(t, out); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
	if _, err := clean([]byte("garbage")); err == nil {
		t.Error("garbage was taken for an answer")
	}
}

// FuzzClean: no answer of any resolver brings an address that is refused, or a panic.
func FuzzClean(f *testing.F) {
	f.Add(message(f, "a.test.", "10.0.0.1", "8.8.8.8"))
	f.Add(message(f, "b.test.", "::1"))
	f.Add([]byte{0, 7, 0x80, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := clean(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil {
			t.Fatalf("a cleaned answer cannot be read: %v", err)
		}
		for _, r := range append(m.Answers, m.Additionals...) {
			if a, ok := address(r); ok && egress.IsRefused(a) {
				t.Errorf("a cleaned answer holds %s", a)
			}
		}
	})
}

// server starts a resolver on the loopback that answers with reply, and returns one that asks it.
func server(t *testing.T, reply func(query []byte) []byte) *resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		for {
			b := make([]byte, 4096)
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			if out := reply(b[:n]); out != nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	addr, err := netip.ParseAddrPort(pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &resolver{read: time.Now().Add(time.Hour), servers: []netip.AddrPort{addr}}
}

func query(t *testing.T) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("a.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAsk(t *testing.T) {
	good := server(t, func([]byte) []byte { return message(t, "a.test.", "8.8.8.8", "10.0.0.1") })
	if got := addresses(t, good.ask(t.Context(), "udp", query(t))); !slices.Equal(got, []string{"8.8.8.8"}) {
		t.Errorf("answer: got %v, want 8.8.8.8", got)
	}
	for name, r := range map[string]*resolver{
		"garbage":    server(t, func(q []byte) []byte { return append(q[:2:2], "garbage"...) }),
		"a question": server(t, func(q []byte) []byte { return q }),
		"no servers": {read: time.Now().Add(time.Hour)},
	} {
		var p dnsmessage.Parser
		head, err := p.Start(r.ask(t.Context(), "udp", query(t)))
		if err != nil || head.RCode != dnsmessage.RCodeServerFailure || head.ID != 7 || !head.Response {
			t.Errorf("%s: got %+v, %v; want the failure of the server", name, head, err)
		}
	}
	for name, q := range map[string][]byte{"nothing": nil, "garbage": []byte("x"), "an answer": message(t, "a.test.")} {
		if got := good.ask(t.Context(), "udp", q); got != nil {
			t.Errorf("asked %s: got %q, want no answer", name, got)
		}
	}
	silent := server(t, func([]byte) []byte { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := silent.ask(ctx, "udp", query(t)); got == nil {
		t.Error("a silent server and a caller who is gone: got nothing, want the failure at once")
	}
}

// TestServe is the way of a query over the sockets that sandboxes have, by UDP and TCP.
func TestServe(t *testing.T) {
	r := server(t, func([]byte) []byte { return message(t, "a.test.", "8.8.8.8") })
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, _ := pc.(*net.UDPConn).File()
	tcp, _ := l.(*net.TCPListener).File()
	_, _ = pc.Close(), l.Close()
	f, err := r.serve(udp, tcp, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = udp.Close(), tcp.Close()
	c, err := net.Dial("udp4", f.udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(query(t)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := addresses(t, b[:n]); !slices.Equal(got, []string{"8.8.8.8"}) {
		t.Errorf("by UDP: got %v, want 8.8.8.8", got)
	}
	s, err := net.Dial("tcp4", f.tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := writeFrame(s, query(t)); err != nil {
		t.Fatal(err)
	}
	// The test's server speaks UDP alone, so what comes by TCP is the failure, well formed.
	answer, err := readFrame(s, answerMax)
	var p dnsmessage.Parser
	head, perr := p.Start(answer)
	if err != nil || perr != nil || head.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("by TCP: got %+v, %v, %v; want the failure of the server", head, err, perr)
	}
	f.close()
	if _, err := s.Read(b); err == nil {
		t.Error("a connection after close: got data, want its end")
	}
}

func TestReadFrameRefusesLong(t *testing.T) {
	if _, err := readFrame(strings.NewReader("\xff\xff"), queryMax); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a query of 65535 bytes: got %v, want the limit", err)
	}
}

func TestUpstreamFollowsTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "resolv.conf")
	r := newResolver(name)
	if got := r.upstream(); len(got) != 0 {
		t.Errorf("without a file: got %v", got)
	}
	if err := os.WriteFile(name, []byte("nameserver 9.9.9.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.read = time.Time{} // as after a while
	if got := r.upstream(); len(got) != 1 || got[0].Addr().String() != "9.9.9.9" {
		t.Errorf("with one: got %v, want 9.9.9.9", got)
	}
}

// TestNamesOfTheInside: what was removed is not told by name either.
func TestNamesOfTheInside(t *testing.T) {
	name := dnsmessage.MustNewName
	head := func(n string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name(n), Class: dnsmessage.ClassINET, TTL: 60}
	}
	a := func(n, ip string) dnsmessage.Resource {
		return dnsmessage.Resource{Header: head(n), Body: &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()}}
	}
	cname := dnsmessage.Resource{Header: head("www.example.org."), Body: &dnsmessage.CNAMEResource{CNAME: name("db7.internal.")}}
	ptr := func(n string) dnsmessage.Resource {
		return dnsmessage.Resource{Header: head(n), Body: &dnsmessage.PTRResource{PTR: name("db7.internal.")}}
	}
	srv := dnsmessage.Resource{Header: head("_ldap._tcp.example.org."), Body: &dnsmessage.SRVResource{Port: 389, Target: name("DB7.internal.")}}
	type list = []dnsmessage.Resource
	for _, c := range []struct {
		name                string
		answers, additional list
		want                int // resources left
	}{
		{"an alias of a private address", list{cname, a("db7.internal.", "10.0.0.7")}, nil, 0},
		{"an alias of both", list{cname, a("db7.internal.", "10.0.0.7"), a("db7.internal.", "8.8.8.8")}, nil, 2},
		{"an alias of a public address", list{cname, a("db7.internal.", "8.8.8.8")}, nil, 2},
		{"an alias alone", list{cname}, nil, 1},
		{"the name of a private address", list{ptr("7.0.0.10.in-addr.arpa.")}, nil, 0},
		{"the name of a private address, spelled otherwise", list{ptr("7.0.0.10.IN-ADDR.ARPA.")}, nil, 0},
		{"the name of a public address", list{ptr("8.8.8.8.in-addr.arpa.")}, nil, 1},
		{"the name of a link-local address", list{ptr("1." + strings.Repeat("0.", 28) + "8.e.f.ip6.arpa.")}, nil, 0},
		{"a name of no address", list{ptr("x.in-addr.arpa."), ptr("1.ip6.arpa.")}, nil, 2},
		{"a service on a private address", list{srv}, list{a("db7.internal.", "10.0.0.7")}, 0},
		{"a service on both", list{srv}, list{a("db7.internal.", "10.0.0.7"), a("db7.internal.", "8.8.8.8")}, 2},
		{"a service on a public address", list{srv}, list{a("db7.internal.", "8.8.8.8")}, 2},
	} {
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true}, Answers: c.answers, Additionals: c.additional}
		b, err := m.Pack()
		if err == nil {
			b, err = clean(b)
		}
		if err == nil {
			err = m.Unpack(b)
		}
		if got := len(m.Answers) + len(m.Additionals); err != nil || got != c.want {
			t.Errorf("%s: got %d resources, %v, want %d", c.name, got, err, c.want)
		}
	}
}
