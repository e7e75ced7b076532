//go:build linux

package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

const (
	queryMax     = 4096            // bytes of a question
	answerMax    = 64 << 10        // bytes of an answer
	queriesMax   = 64              // at once, of one sandbox; more are dropped and asked again
	queryTimeout = 3 * time.Second // of one resolver of the host
	idleTimeout  = 10 * time.Second
	rereadAfter  = 5 * time.Second
)

// resolver asks the host's resolvers on behalf of sandboxes, which cannot reach them: they are private or loopback
// addresses more often than not. Safe for concurrent use.
type resolver struct {
	path string

	mu      sync.Mutex
	read    time.Time        // guarded by mu
	servers []netip.AddrPort // guarded by mu
}

func newResolver(path string) *resolver { return &resolver{path: path} }

// upstream are the host's resolvers now.
func (r *resolver) upstream() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.read) > rereadAfter {
		r.read = time.Now()
		if b, err := os.ReadFile(r.path); err == nil {
			r.servers = parseResolvers(string(b))
		}
	}
	return r.servers
}

// parseResolvers reads the nameservers of a resolv.conf; three at most, as resolvers do.
func parseResolvers(conf string) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(list) == 3 {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a, 53))
		}
	}
	return list
}

// forwarder is the resolver of one sandbox.
type forwarder struct {
	r      *resolver
	guard  guard // nil: everything may be asked for
	udp    net.PacketConn
	tcp    net.Listener
	cancel context.CancelFunc
	slots  chan struct{}
	active sync.WaitGroup
}

// serve answers on two sockets that are bound, what g lets be asked for. The files stay the caller's.
func (r *resolver) serve(udp, tcp *os.File, g guard) (*forwarder, error) {
	pc, err := net.FilePacketConn(udp)
	if err != nil {
		return nil, fmt.Errorf("serve names: %w", err)
	}
	l, err := net.FileListener(tcp)
	if err != nil {
		_ = pc.Close()
		return nil, fmt.Errorf("serve names: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{r: r, guard: g, udp: pc, tcp: l, cancel: cancel, slots: make(chan struct{}, queriesMax)}
	f.active.Go(func() { f.serveUDP(ctx) })
	f.active.Go(func() { f.serveTCP(ctx) })
	return f, nil
}

func (f *forwarder) close() {
	f.cancel()
	_, _ = f.udp.Close(), f.tcp.Close()
	f.active.Wait()
}

func (f *forwarder) serveUDP(ctx context.Context) {
	for {
		query := make([]byte, queryMax)
		n, from, err := f.udp.ReadFrom(query)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // a refusal of an earlier answer
		}
		select {
		case f.slots <- struct{}{}:
		default:
			continue
		}
		f.active.Go(func() {
			defer func() { <-f.slots }()
			if answer := f.answer(ctx, "udp", query[:n]); answer != nil {
				_, _ = f.udp.WriteTo(answer, from)
			}
		})
	}
}

func (f *forwarder) serveTCP(ctx context.Context) {
	for {
		c, err := f.tcp.Accept()
		if err != nil {
			return
		}
		select {
		case f.slots <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		f.active.Go(func() {
			defer func() { <-f.slots }()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			defer c.Close()
			for {
				_ = c.SetDeadline(time.Now().Add(idleTimeout))
				query, err := readFrame(c, queryMax)
				if err != nil {
					return
				}
				answer := f.answer(ctx, "tcp", query)
				if answer == nil || writeFrame(c, answer) != nil {
					return
				}
			}
		})
	}
}

// ask asks the host's resolvers in turn and returns an answer without refused addresses, or nil to a message that is no
// question.
func (r *resolver) ask(ctx context.Context, network string, query []byte) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response {
		return nil
	}
	for _, server := range r.upstream() {
		answer, err := exchange(ctx, network, server, query)
		if err != nil {
			continue
		}
		if out, err := clean(answer); err == nil {
			return out
		}
	}
	return refusal(head, query, dnsmessage.RCodeServerFailure)
}

// refusal is an answer without any.
func refusal(head dnsmessage.Header, query []byte, code dnsmessage.RCode) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, Response: true, OpCode: head.OpCode,
		RecursionDesired: head.RecursionDesired, RecursionAvailable: true, RCode: code}}
	var p dnsmessage.Parser
	if _, err := p.Start(query); err == nil {
		m.Questions, _ = p.AllQuestions() // without them, if they cannot be read
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

func exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		if err := writeFrame(c, query); err != nil {
			return nil, err
		}
		return readFrame(c, answerMax)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	answer := make([]byte, answerMax)
	for { // until the answer to this question comes, from a connected socket
		n, err := c.Read(answer)
		if err != nil {
			return nil, err
		}
		if n >= 2 && answer[0] == query[0] && answer[1] == query[1] {
			return answer[:n], nil
		}
	}
}

// clean removes addresses that sandboxes cannot reach from an answer, and what would tell of them by name: names of such
// addresses, aliases that lead to nothing else, and services on hosts that have no other.
func clean(answer []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		return nil, err
	}
	if !m.Response {
		return nil, errors.New("not an answer")
	}
	inside, reachable := map[string]bool{}, map[string]bool{} // names, by the addresses that they have here
	keep := func(section *[]dnsmessage.Resource, wanted func(dnsmessage.Resource) bool) (removed int) {
		before := len(*section)
		*section = slices.DeleteFunc(*section, func(r dnsmessage.Resource) bool { return !wanted(r) })
		return before - len(*section)
	}
	public := func(r dnsmessage.Resource) bool {
		a, ok := address(r)
		refused := ok && egress.IsRefused(a)
		if name := strings.ToLower(r.Header.Name.String()); refused {
			inside[name] = true
		} else if ok {
			reachable[name] = true
		}
		return !refused
	}
	removed := keep(&m.Answers, public)
	hollow := removed > 0 && len(reachable) == 0 // aliases of what was removed are left
	removed += keep(&m.Additionals, public)
	removed += keep(&m.Answers, func(r dnsmessage.Resource) bool {
		switch b := r.Body.(type) {
		case *dnsmessage.CNAMEResource:
			return !hollow
		case *dnsmessage.PTRResource:
			a, ok := reverse(r.Header.Name.String())
			return !ok || !egress.IsRefused(a)
		case *dnsmessage.SRVResource:
			target := strings.ToLower(b.Target.String())
			return !inside[target] || reachable[target]
		}
		return true
	})
	if removed == 0 {
		return answer, nil
	}
	return m.Pack()
}

// reverse is the address that a name below in-addr.arpa or ip6.arpa stands for.
func reverse(name string) (netip.Addr, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		labels := strings.Split(rest, ".")
		slices.Reverse(labels)
		a, err := netip.ParseAddr(strings.Join(labels, "."))
		return a, err == nil
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa")
	digits := strings.Split(rest, ".")
	slices.Reverse(digits)
	b, err := hex.DecodeString(strings.Join(digits, ""))
	if !ok || err != nil || len(digits) != 32 {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(b)
	return a, ok
}

func address(r dnsmessage.Resource) (netip.Addr, bool) {
	switch b := r.Body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(b.A), true
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(b.AAAA), true
	}
	return netip.Addr{}, false
}

func readFrame(r io.Reader, limit int) ([]byte, error) {
	var n uint16
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return nil, err
	}
	if int(n) > limit {
		return nil, fmt.Errorf("message of %d bytes: the limit is %d", n, limit)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeFrame(w io.Writer, b []byte) error {
	out := bufio.NewWriterSize(w, len(b)+2)
	_ = binary.Write(out, binary.BigEndian, uint16(len(b)))
	_, _ = out.Write(b)
	return out.Flush()
}
