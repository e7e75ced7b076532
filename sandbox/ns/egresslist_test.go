//go:build linux

package ns_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/egress"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

func policy(t *testing.T, text string) egress.Policy {
	t.Helper()
	p, err := egress.Parse(text)
	must(t, err)
	return p
}

// reaches has a sandbox try targets one after the other, and wants those that begin with a plus to be reached.
func reaches(t *testing.T, b sandbox.Sandbox, targets ...string) {
	t.Helper()
	args := []string{python(t), "-c", strings.Replace(probe, "ThreadPoolExecutor(40)", "ThreadPoolExecutor(1)", 1), "2"}
	for _, x := range targets {
		args = append(args, x[1:])
	}
	p := sandboxtest.Start(t, b, args...)
	for _, x := range targets {
		got, want := p.Line(), x[1:]+" refused"
		if x[0] == '+' {
			want = x[1:] + " reached seen "
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", x, got, want)
		}
	}
}

// TestEgressLists: what is on the list is reached, by name at the addresses that the platform's resolver gave, and nothing
// else, whatever names resolve to.
func TestEgressLists(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	host, err := net.Listen("tcp4", "0.0.0.0:0") // a service of the host, on all of its addresses
	must(t, err)
	defer host.Close()
	_, port, _ := net.SplitHostPort(host.Addr().String())
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:public.test:8080,*.below.test,"+internetThird+":8080")})
	targets := []string{
		"-" + internetHost + ":8080", // nobody has asked for its name yet
		"+public.test:8080",
		"-public.test:8081",
		"+" + internetHost + ":8080", // now it is open
		"-" + internetHost + ":8081",
		"-" + internetSecond + ":8081",
		"+x.below.test:8081",
		"+X.Below.TEST:8080",
		"-below.test:8080", // not below itself
		"-both.test:8080",  // resolves, and is not on the list
		"-inner.test:8080",
		"-inner.below.test:8080", // on the list, and resolves to the inside
		"+both.below.test:8080",  // the other of its addresses
		"+alias.below.test:8080",
		"+" + internetThird + ":8080", // by its address
		"-" + internetThird + ":8081",
		"-" + internetGate + ":" + port,
		"-127.0.0.1:" + port,
	}
	for _, h := range hidden {
		targets = append(targets, "-"+h+":8080")
	}
	reaches(t, b, targets...)

	liar := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:*.below.test:8080")})
	reaches(t, liar, "+liar.below.test:8080", "-"+internetHost+":8080", "-"+internetSecond+":8081", "-"+internetThird+":8080")

	web := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:*:8080")}) // a port of everything, by name
	reaches(t, web, "-"+internetHost+":8080", "+public.test:8080", "-public.test:8081", "-inner.test:8080", "+both.test:8080")

	all := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	reaches(t, all, "+"+internetHost+":8081", "+"+internetThird+":8080", "-"+hidden[0]+":8080")
}

// TestEgressOfOneSandbox: what a function may is what the node and its own policy both allow.
func TestEgressOfOneSandbox(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	for _, c := range []struct {
		node, function string
		targets        []string
	}{
		{"on", "off", []string{"-" + internetHost + ":8080", "-public.test:8080"}},
		{"on", "on", []string{"+" + internetHost + ":8080", "+public.test:8081"}},
		{"on", "allow:public.test", []string{"-" + internetThird + ":8080", "+public.test:8080", "+public.test:8081", "-x.below.test:8080"}},
		{"allow:*:8080", "allow:public.test", []string{"+public.test:8080", "-public.test:8081", "-x.below.test:8080"}},
		{"allow:public.test", "on", []string{"+public.test:8080", "-x.below.test:8080"}},
		{"allow:public.test", "allow:x.below.test", []string{"-public.test:8080", "-x.below.test:8080"}},
		{"allow:11.22.0.0/16:8080", "allow:" + internetThird, []string{"+" + internetThird + ":8080", "-" + internetThird + ":8081",
			"-" + internetHost + ":8080", "-public.test:8080"}},
		{"allow:11.22.0.0/16:8080", "off", []string{"-" + internetThird + ":8080"}},
	} {
		b := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, c.node)})
		must(t, b.Reach(policy(t, c.function)))
		reaches(t, b, c.targets...)
		b.Kill()
	}
	closed := sandboxtest.Create(t, d, sandbox.Spec{})
	must(t, closed.Reach(policy(t, "allow:public.test")))
	reaches(t, closed, "-public.test:8080", "-"+internetHost+":8080")
	if left := reachable(t); left != 0 {
		t.Errorf("what is left in the kernel's table of sandboxes that are gone: got %d elements and chains, want none", left)
	}
}

// reachable counts what this process's table has for restricted sandboxes.
func reachable(t *testing.T) (n int) {
	t.Helper()
	owner, err := cgroup.Owner(os.Getpid())
	must(t, err)
	c, err := nftables.New()
	must(t, err)
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "rouse-" + owner}
	sets, err := c.GetSets(table)
	must(t, err)
	for _, s := range sets {
		if s.Name == "connections" {
			continue
		}
		elements, err := c.GetSetElements(s)
		must(t, err)
		n += len(elements)
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	must(t, err)
	for _, x := range chains {
		if x.Table.Name == table.Name && strings.HasPrefix(x.Name, "nets") {
			n++
		}
	}
	return n
}

// TestEgressExpires: an address is open for as long as the answer that named it, and a moment; connections stay.
func TestEgressExpires(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:public.test:8080")})
	p := sandboxtest.Start(t, b, python(t), "-c", `
import socket, time
address = socket.gethostbyname("public.test"), 8080
kept = socket.create_connection(address, timeout=5)
for i in range(200):
    began = time.time()
    try: socket.create_connection(address, timeout=2).close()
    except OSError: break
    time.sleep(0.1)
print("closed" if i > 50 and i < 199 else i, flush=True)
print("at once" if time.time() - began < 1 else "in time", flush=True)
kept.sendall(b"GET / HTTP/1.0\r\n\r\n"); print(kept.recv(12).decode(), flush=True)
socket.create_connection(("public.test", 8080), timeout=5).close(); print("open again", flush=True)`)
	p.Expect("closed")
	p.Expect("at once") // refused, not dropped
	p.Expect("HTTP/1.0 200")
	p.Expect("open again")
}

// TestEgressByNameIsLimited: names with more addresses than a sandbox may have open are not answered, and those before stay.
func TestEgressByNameIsLimited(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:*.below.test")})
	p := sandboxtest.Start(t, b, python(t), "-c", `
import socket
def ask(name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    s.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01", ("127.0.0.1", 53))
    a = s.recv(65535); return a[3] & 15, a[6] * 256 + a[7]
print(ask("x.below.test"), *[ask("many%d.below.test" % n) for n in range(7)], flush=True)
socket.create_connection(("11.22.33.45", 8080), timeout=5); print("reached", flush=True)`)
	p.Expect("(0, 1) (0, 200) (0, 200) (0, 200) (0, 200) (0, 200) (2, 0) (2, 0)") // 1024 addresses
	p.Expect("reached")
}

// TestEgressCannotBeSpoofed: a sandbox cannot speak with the address of another that may more, nor ask another resolver.
func TestEgressCannotBeSpoofed(t *testing.T) {
	needRoot(t)
	internet(t)
	d := openEgress(t)
	open := sandboxtest.Create(t, d, sandbox.Spec{Egress: egress.Everything()})
	theirs := sandboxtest.Start(t, open, python(t), "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("11.22.33.44", 9)); print(s.getsockname()[0], flush=True); input()`)
	address := theirs.Line()
	b := sandboxtest.Create(t, d, sandbox.Spec{Egress: policy(t, "allow:x.below.test")})
	p := sandboxtest.Start(t, b, python(t), "-c", `
import socket, sys
def attempt(f):
    try: print("done", f(), flush=True)
    except Exception as e: print("refused", flush=True)
def bound(*options):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM); s.settimeout(2)
    for o in options: s.setsockopt(socket.SOL_IP, o, 1)
    s.bind((sys.argv[1], 0)); s.connect(("11.22.33.44", 8080)); return 1
def ask():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
    s.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06public\x04test\x00\x00\x01\x00\x01", ("11.22.33.44", 53))
    return s.recv(512)
attempt(lambda: bound()); attempt(lambda: bound(15)); attempt(lambda: bound(19)); attempt(ask)`, address)
	for _, how := range []string{"bind", "IP_FREEBIND", "IP_TRANSPARENT", "another resolver"} {
		if got := p.Line(); got != "refused" {
			t.Errorf("%s: got %q, want it refused", how, got)
		}
	}
}

// TestReachRootless: without a network there is nothing to narrow.
func TestReachRootless(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "^TestReachRootless$")
		return
	}
	d := openRootless(t)
	if _, err := d.Create(t.Context(), sandbox.Spec{Egress: policy(t, "allow:public.test")}); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("a list without a network: got %v, want kind unsupported", err)
	}
	b := sandboxtest.Create(t, d, sandbox.Spec{})
	if err := b.Reach(policy(t, "off")); err != nil {
		t.Errorf("narrow nothing: got %v", err)
	}
}
