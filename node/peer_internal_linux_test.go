package node

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

const sockets = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0 100 0 0 10 0
   1: 0100007F:11D6 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0 20 4 30 10 -1
   2: 0100007F:9C40 0100007F:11D6 01 00000000:00000000 00:00000000 00000000  1001        0 102 1 0 20 4 30 10 -1
   3: 0100007F:9C41 0100007F:11D6 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   4: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF00000100007F:11D6 01 00000000:00000000 00:00000000 00000000  1002 0 103 1
   5: 00000000000000000000000001000000:9C43 00000000000000000000000001000000:11D6 01 00000000:00000000 00:00000000 00000000  1003 0 104 1
   6: 0100007F:9C44 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1004        0 105 1
   7: 0100007F:9C45 0100007F:11D6 01
   8: nonsense:9C46 0100007F:11D6 01 00000000:00000000 00:00000000 00000000  1004        0 105 1
`

func TestFindOwner(t *testing.T) {
	const v4, v6 = "127.0.0.1:4566", "[::1]:4566"
	for _, c := range []struct {
		name, client, server string
		want                 owner
		ok                   bool
	}{
		{"a client", "127.0.0.1:40000", v4, owner{known: true, uid: 1001}, true},
		{"one that has hung up", "127.0.0.1:40001", v4, owner{gone: true}, true},
		{"an IPv6 socket that speaks IPv4", "127.0.0.1:40002", v4, owner{known: true, uid: 1002}, true},
		{"IPv6", "[::1]:40003", v6, owner{known: true, uid: 1003}, true},
		{"the same port to another server", "127.0.0.1:40004", v4, owner{}, false},
		{"half a row", "127.0.0.1:40005", v4, owner{}, false},
		{"a row without an address", "127.0.0.1:40006", v4, owner{}, false},
		{"nobody", "127.0.0.1:40007", v4, owner{}, false},
		{"the same port of another address", "127.0.0.2:40000", v4, owner{}, false},
	} {
		got, ok := findOwner(strings.NewReader(sockets), netip.MustParseAddrPort(c.client), netip.MustParseAddrPort(c.server))
		if got != c.want || ok != c.ok {
			t.Errorf("owner of %s: got %+v, %v, want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// FuzzFindOwner: whatever the kernel prints, it is read without a panic, and only a whole row names a user.
func FuzzFindOwner(f *testing.F) {
	for line := range strings.Lines(sockets) {
		f.Add(line)
	}
	f.Add("x: 0100007F:9C40 0100007F:11D6 01 0 0 0 -5 0 1")
	f.Add("x: 01:9C40 0100007F:11D6 01 0 0 0 99999999999999999999 0 1")
	client, server := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:4566")
	f.Fuzz(func(t *testing.T, table string) {
		if o, ok := findOwner(strings.NewReader(table), client, server); ok != (o.known || o.gone) || o.known && o.gone {
			t.Errorf("owner in %q: got %+v, %v", table, o, ok)
		}
	})
}

// connected is both ends of a connection over loopback.
func connected(t testing.TB, client, server string) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client == "" {
		client = ln.Addr().String()
	} else {
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		client = net.JoinHostPort(client, port)
	}
	if far, err = net.Dial("tcp", client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if near, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, far
}

// loopback6 reports whether this machine has the loopback address of IPv6: containers often have none.
func loopback6() bool {
	ln, err := net.Listen("tcp", "[::1]:0")
	return err == nil && ln.Close() == nil
}

// TestHungUp: who sends and closes at once is nobody, however it closes: the tables say root of what was closed, and
// nothing of what was reset.
func TestHungUp(t *testing.T) {
	for name, hangUp := range map[string]func(*net.TCPConn){
		"closes": func(c *net.TCPConn) { c.Close() },
		"resets": func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
	} {
		near, far := connected(t, "", "127.0.0.1:0")
		hangUp(far.(*net.TCPConn))
		tick := time.NewTicker(time.Millisecond)
		for late := time.After(10 * time.Second); established(near); {
			select {
			case <-late:
				t.Fatalf("a client that %s: its end did not come", name)
			case <-tick.C:
			}
		}
		tick.Stop()
		if got := ownerOf(near); !got.gone || got.known {
			t.Errorf("owner of a client that %s: got %+v, want it gone", name, got)
		}
	}
	near, far := connected(t, "", "127.0.0.1:0")
	_ = far.(*net.TCPConn).CloseWrite() // said all, and waits for the answer
	if got := ownerOf(near); !got.known {
		t.Errorf("owner of a client that sends no more: got %+v, want it known", got)
	}
}

// TestBothWaysAgree: what the kernel says of a socket and what its tables say is the same.
func TestBothWaysAgree(t *testing.T) {
	want := owner{known: true, uid: os.Geteuid()}
	for _, c := range []struct{ client, server string }{{"", "127.0.0.1:0"}, {"", "[::1]:0"}, {"127.0.0.1", "[::]:0"}} {
		if c.server == "[::1]:0" && !loopback6() {
			continue
		}
		near, far := connected(t, c.client, c.server)
		local, remote := plainly(netip.MustParseAddrPort(far.LocalAddr().String())), plainly(netip.MustParseAddrPort(far.RemoteAddr().String()))
		if o, ok := readOwner(local, remote); !ok || o != want {
			t.Errorf("owner in the tables of %s: got %+v, %v, want %+v", c.server, o, ok, want)
		}
		if _, works := askOwner(remote, local); !works {
			t.Log("this kernel cannot be asked for a socket")
		} else if o, ok := askOwner(local, remote); !ok || o != want {
			t.Errorf("owner that the kernel tells at %s: got %+v, %v, want %+v", c.server, o, ok, want)
		}
		if o := ownerOf(near); o != want {
			t.Errorf("owner at %s: got %+v, want %+v", c.server, o, want)
		}
		if o, ok := askOwner(remote, netip.AddrPortFrom(local.Addr(), 1)); ok { // only a listener fits
			t.Errorf("owner of a connection that is not: got %+v", o)
		}
	}
}

// FuzzReadDiag: whatever comes as an answer is read without a panic.
func FuzzReadDiag(f *testing.F) {
	f.Add(make([]byte, diagAnswer))
	f.Add(askFor(netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, ok := readDiag(b, 0); ok != (o.known || o.gone) {
			t.Errorf("owner in %x: got %+v, %v", b, o, ok)
		}
	})
}

// BenchmarkOwner is what the development key costs per connection: a socket, a question and its answer.
func BenchmarkOwner(b *testing.B) {
	near, _ := connected(b, "", "127.0.0.1:0")
	b.ReportAllocs()
	for b.Loop() {
		if o := ownerOf(near); !o.known {
			b.Fatalf("owner: got %+v, want it known", o)
		}
	}
}
