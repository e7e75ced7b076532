//go:build linux

package ns_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/egress"
	"github.com/rouse-dev/rouse/sandbox/network"
	"github.com/rouse-dev/rouse/sandbox/ns"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// The test's own internet: a namespace behind a veth, with a public-looking address and some that must not be reached.
const (
	internetHost = "11.22.33.44"
	internetGate = "11.22.33.1"
)

// More hosts of it.
const (
	internetSecond = "11.22.33.45"
	internetThird  = "11.22.33.46"
)

var hidden = []string{"10.9.9.9", "169.254.169.254", "100.64.1.1", "192.168.77.7", "172.16.5.5", "198.18.0.5"}

// internet makes it and serves HTTP on ports 8080 and 8081 of all its addresses and names on port 53.
func internet(t *testing.T) {
	t.Helper()
	inside := make(chan func())
	t.Cleanup(func() { close(inside) })
	space := make(chan int)
	go func() { // a thread that lives in the namespace and ends with the test
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			space <- -1
			return
		}
		fd, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			fd = -1
		}
		space <- fd
		for f := range inside {
			f()
		}
	}()
	fd := <-space
	if fd < 0 {
		t.Fatal("no network namespace for the test's internet")
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	la := netlink.NewLinkAttrs()
	la.Name = fmt.Sprintf("rt%d", os.Getpid()%100000)
	veth := &netlink.Veth{LinkAttrs: la, PeerName: "inet0", PeerNamespace: netlink.NsFd(fd)}
	must(t, netlink.LinkAdd(veth))
	t.Cleanup(func() { _ = netlink.LinkDel(veth) })
	must(t, netlink.AddrAdd(veth, address(t, internetGate+"/24")))
	must(t, netlink.LinkSetUp(veth))
	done := make(chan error)
	var l, second net.Listener
	var pc net.PacketConn
	inside <- func() {
		done <- func() error {
			eth, err := netlink.LinkByName("inet0")
			if err != nil {
				return err
			}
			for _, a := range append([]string{internetHost + "/24", internetSecond + "/32", internetThird + "/32"}, slash32(hidden)...) {
				if err := netlink.AddrAdd(eth, address(t, a)); err != nil {
					return err
				}
			}
			if err := netlink.LinkSetUp(eth); err != nil {
				return err
			}
			if l, err = net.Listen("tcp4", "0.0.0.0:8080"); err != nil {
				return err
			}
			if second, err = net.Listen("tcp4", "0.0.0.0:8081"); err != nil {
				return err
			}
			pc, err = net.ListenPacket("udp4", internetHost+":53")
			return err
		}()
	}
	must(t, <-done)
	for _, h := range hidden {
		_, dst, _ := net.ParseCIDR(h + "/32")
		must(t, netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(internetHost), LinkIndex: veth.Index}))
	}
	for _, l := range []net.Listener{l, second} {
		go func() {
			_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "seen "+r.RemoteAddr) }))
		}()
	}
	go serveNames(pc)
	t.Cleanup(func() { _, _, _ = l.Close(), second.Close(), pc.Close() })
}

func slash32(list []string) (out []string) {
	for _, a := range list {
		out = append(out, a+"/32")
	}
	return out
}

func address(t *testing.T, s string) *netlink.Addr {
	a, err := netlink.ParseAddr(s)
	must(t, err)
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serveNames answers that public.test is on the internet, inner.test not, and both.test both; and what others below say.
func serveNames(pc net.PacketConn) {
	for {
		b := make([]byte, 512)
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.RecursionAvailable = true, true
		m.Additionals = nil
		asked := strings.ToLower(m.Questions[0].Name.String())
		answers := map[string][]string{"public.test.": {internetHost}, "inner.test.": {"10.9.9.9"},
			"both.test.": {"10.9.9.9", internetHost}, "x.below.test.": {internetSecond}, "below.test.": {internetSecond},
			"inner.below.test.": {"10.9.9.9", "169.254.169.254"}, "both.below.test.": {"10.9.9.9", internetSecond}}[asked]
		other := func(owner string, body dnsmessage.ResourceBody) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{
				Name: dnsmessage.MustNewName(owner), Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
		}
		a := func(s string) dnsmessage.ResourceBody { return &dnsmessage.AResource{A: [4]byte(net.ParseIP(s).To4())} }
		if n := 0; strings.HasPrefix(asked, "many") {
			_, _ = fmt.Sscanf(asked, "many%d.", &n)
			for i := range 200 {
				other(asked, a(fmt.Sprintf("11.%d.0.%d", 100+n, i)))
			}
		}
		switch asked {
		case "alias.below.test.": // leads to a name that is on no list
			other(asked, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("Target.Elsewhere.test.")})
			other("target.elsewhere.test.", a(internetSecond))
		case "liar.below.test.": // speaks of others besides
			other(asked, a(internetSecond))
			other("public.test.", a(internetHost))
		}
		for _, a := range answers {
			if m.Questions[0].Type == dnsmessage.TypeA {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(a).To4())}})
			}
		}
		if out, err := m.Pack(); err == nil {
			_, _ = pc.WriteTo(out, from)
		}
	}
}

func openEgress(t *testing.T) *ns.Driver {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	must(t, os.WriteFile(conf, []byte("nameserver "+internetHost+"\n"), 0o644))
	return open(t, ns.Config{Egress: true, Network: network.Config{Resolvers: conf}})
}

const probe = `
import concurrent.futures, socket, sys
def attempt(target):
    host, port = target.rsplit(":", 1)
    try:
        s = socket.create_connection((host, int(port)), timeout=float(sys.argv[1]))
        s.sendall(b"GET / HTTP/1.0\r\n\r\n"); data = b""
        while True:
            d = s.recv(4096)
            if not d: break
            data += d
        return target + " reached " + data.decode().split("\r\n\r\n")[-1]
    except Exception as e:
        return target + " refused"
with concurrent.futures.ThreadPoolExecutor(40) as pool:
    for line in pool.map(attempt, sys.argv[2:]): print(line, flush=True)
`

func TestEgress(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	host, err := net.Listen("tcp4", "0.0.0.0:0") // a service of the host, on all of its addresses
	must(t, err)
	defer host.Close()
	_, port, _ := net.SplitHostPort(host.Addr().String())
	for _, h := range hidden { // or else not reaching them would prove nothing
		c, err := net.DialTimeout("tcp4", h+":8080", 5*time.Second)
		if err != nil {
			t.Fatalf("the host itself cannot reach %s: %v", h, err)
		}
		_ = c.Close()
	}

	neighbour := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	theirs := sandboxtest.Start(t, neighbour, python(t), "-c", `
import socket
l = socket.create_server(("0.0.0.0", 7777))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("11.22.33.44", 9)); print(s.getsockname()[0], flush=True)
l.accept(); print("somebody came", flush=True)`)
	neighbourAddr := theirs.Line()

	var refused []string
	for _, h := range hidden {
		refused = append(refused, h+":8080")
	}
	refused = append(refused, neighbourAddr+":7777", internetGate+":"+port, "127.0.0.1:"+port, "inner.test:8080")
	for _, a := range hostAddresses(t) {
		refused = append(refused, net.JoinHostPort(a, port))
	}
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	args := append([]string{python(t), "-c", probe, "2", internetHost + ":8080", "public.test:8080", "both.test:8080"}, refused...)
	p := sandboxtest.Start(t, b, args...)
	for _, want := range []string{internetHost, "public.test", "both.test"} {
		if got := p.Line(); !strings.HasPrefix(got, want+":8080 reached seen "+internetGate+":") {
			t.Errorf("the internet: got %q, want %s reached, as the host", got, want)
		}
	}
	for _, target := range refused {
		if got := p.Line(); got != target+" refused" {
			t.Errorf("what is not the internet: got %q, want %s refused", got, target)
		}
	}
	if b.Timing().Network <= 0 {
		t.Errorf("timing: got %+v, want that of the network", b.Timing())
	}

	closed := sandboxtest.Create(t, d, sandbox.Spec{})
	q := sandboxtest.Start(t, closed, python(t), "-c", probe, "2", internetHost+":8080", "public.test:8080")
	for range 2 {
		if got := q.Line(); !strings.HasSuffix(got, "refused") {
			t.Errorf("without egress: got %q, want refused", got)
		}
	}
	if report := d.Report(); !report.Egress() {
		t.Errorf("report: got %+v, want egress", report)
	}
}

// TestConnectionsAreLimited: one sandbox cannot use up the host's table of connections.
func TestConnectionsAreLimited(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	p := sandboxtest.Start(t, b, python(t), "-c", `
import socket, time
tcp = socket.create_connection(("11.22.33.44", 8080), timeout=5)
print(tcp.getsockname()[0], flush=True)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(10000, 14000):
    try: udp.sendto(b"x", ("11.22.33.44", port))
    except OSError: pass # that nobody listens there
tcp.sendall(b"GET / HTTP/1.0\r\n\r\n"); print(tcp.recv(12).decode(), flush=True)
try: socket.create_connection(("11.22.33.44", 8080), timeout=1); print("one more", flush=True)
except OSError: print("no more", flush=True)
time.sleep(60)`)
	addr := net.ParseIP(p.Line())
	if got := p.Line(); got != "HTTP/1.0 200" {
		t.Errorf("a connection from before: got %q, want that it goes on", got)
	}
	if got := p.Line(); got != "no more" {
		t.Errorf("a connection beyond the limit: got %q, want none", got)
	}
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.FAMILY_V4)
	must(t, err)
	count := 0
	for _, f := range flows {
		if f.Forward.SrcIP.Equal(addr) {
			count++
		}
	}
	if count < 1000 || count > 2100 {
		t.Errorf("connections of a sandbox that tried 4000: got %d, want some 2048", count)
	}
	other := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	q := sandboxtest.Start(t, other, python(t), "-c", probe, "5", internetHost+":8080")
	if got := q.Line(); !strings.Contains(got, " reached ") {
		t.Errorf("another sandbox: got %q, want the internet reached", got)
	}
}

func hostAddresses(t *testing.T) (list []string) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			list = append(list, n.IP.String())
		}
	}
	return list
}

// TestNetworkLeavesNothing: links go with their sandboxes, the bridge and the rules with the driver. Other nodes of this
// machine come and go meanwhile; what counts are our own.
func TestNetworkLeavesNothing(t *testing.T) {
	needRoot(t)
	alone := len(bridges(t, "rouse ")) == 0
	forwarding, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	d, err := ns.Open(t.Context(), ns.Config{Egress: true, Network: network.Config{Ready: 2}})
	must(t, err)
	owner, err := cgroup.Owner(os.Getpid())
	must(t, err)
	own := bridges(t, owner)
	if len(own) != 1 {
		t.Fatalf("bridges of this driver: got %v, want one", own)
	}
	seen := map[string]int{}
	look := func() {
		ports, _ := filepath.Glob("/sys/class/net/" + own[0] + "/brif/*")
		for _, p := range append(ports, own[0]) {
			if i, err := net.InterfaceByName(filepath.Base(p)); err == nil {
				seen[i.Name] = i.Index
			}
		}
	}
	for range 10 {
		b, err := d.Create(context.Background(), sandbox.Spec{Egress: egress.Everything()})
		must(t, err)
		look()
		b.Kill()
	}
	if len(seen) < 3 {
		t.Errorf("interfaces of this driver: got %v, want its bridge and veths", seen)
	}
	must(t, d.Close())
	sandboxtest.Until(t, "the veths to go", func() bool {
		for name, index := range seen {
			if i, err := net.InterfaceByName(name); err == nil && i.Index == index {
				return false
			}
		}
		return true
	})
	after, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if alone && len(bridges(t, "rouse ")) == 0 && string(after) != string(forwarding) {
		t.Errorf("ip_forward: got %q, want %q as before", after, forwarding)
	}
}

// bridges are the interfaces whose alias has that text.
func bridges(t *testing.T, text string) (names []string) {
	t.Helper()
	files, err := filepath.Glob("/sys/class/net/*/ifalias")
	must(t, err)
	for _, f := range files {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), text) {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
	}
	return names
}

func TestEgressRefusedWithoutNetwork(t *testing.T) {
	d := open(t, ns.Config{})
	if _, err := d.Create(t.Context(), sandbox.Spec{Egress: egress.Everything()}); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("egress that was turned off: got %v, want kind unsupported", err)
	}
}

// TestNetworkOfABusyHost: interfaces that come and go interrupt the kernel's lists, which is no reason to find nothing:
// what a dead node left is removed all the same.
func TestNetworkOfABusyHost(t *testing.T) {
	needRoot(t)
	for i := range 40 { // so many that no list fits into one message
		addVeth(t, fmt.Sprintf("many%d", i))
	}
	ended, churned := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(churned)
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
			}
			v := veth(fmt.Sprintf("busy%d", i%8))
			_ = netlink.LinkAdd(v) // what it does to the lists counts
			_ = netlink.LinkDel(v)
		}
	}()
	defer func() { close(ended); <-churned }()
	for range 8 {
		la := netlink.NewLinkAttrs()
		la.Name = "deadnode"
		left := &netlink.Bridge{LinkAttrs: la}
		must(t, netlink.LinkAdd(left))
		defer netlink.LinkDel(left) // it is gone when all went well
		must(t, netlink.LinkSetAlias(left, "rouse 4194303-1-"+pidNamespace(t)))
		d, err := ns.Open(t.Context(), ns.Config{Egress: true})
		must(t, err)
		if r := d.Report(); !r.Egress() {
			t.Errorf("egress on a busy host: got %v, want it in force", r)
		}
		must(t, d.Close())
		if _, err := net.InterfaceByName(la.Name); err == nil {
			t.Fatal("the bridge of a dead node is there after the next start, want it gone")
		}
	}
}

func veth(name string) *netlink.Veth {
	la := netlink.NewLinkAttrs()
	la.Name = name
	return &netlink.Veth{LinkAttrs: la, PeerName: name + "p"}
}

func addVeth(t *testing.T, name string) {
	t.Helper()
	v := veth(name)
	must(t, netlink.LinkAdd(v))
	t.Cleanup(func() { must(t, netlink.LinkDel(v)) })
}

func pidNamespace(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink("/proc/self/ns/pid")
	must(t, err)
	return strings.Trim(s, "pid:[]")
}
