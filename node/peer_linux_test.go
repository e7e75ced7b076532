package node_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/aws/sigv4"
)

// TestOtherUsers: the development key is for the user who started the node, not for whoever has an account on the machine.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "making a socket of another user needs root")
	}
	const bob = 65534
	ask := func(url string, uid int, network string) answer {
		c := &client{url: url, key: sigv4.Signer{AccessKeyID: "test", SecretAccessKey: "test", Region: "us-east-1"}}
		c.agent.Transport = &http.Transport{DisableKeepAlives: true, DialContext: dialAs(uid, network)}
		return c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...)
	}
	for listen, networks := range map[string][]string{"127.0.0.1:0": {"tcp4", "tcp6"}, "[::1]:0": {"tcp6"}} {
		if ln, err := net.Listen("tcp", listen); err != nil {
			continue // no IPv6 here
		} else if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		n := openAs(t, true, settings(t.TempDir(), "listen", listen), nil)
		for _, network := range networks {
			if a := ask(n.URL(), os.Geteuid(), network); a.Status != 200 {
				t.Errorf("test/test of the node's own user at %s by %s: got %s, want 200", listen, network, a)
			}
			if a := ask(n.URL(), bob, network); a.Status != 403 || !strings.Contains(a.Body, "--dev-key") {
				t.Errorf("test/test of another user at %s by %s: got %s, want 403 and a hint", listen, network, a)
			}
		}
	}
	n := openAs(t, true, settings(t.TempDir(), "dev-key", "on"), nil)
	if a := ask(n.URL(), bob, "tcp4"); a.Status != 200 {
		t.Errorf("test/test of another user with --dev-key: got %s, want 200", a)
	}
}

// dialAs connects with a socket that belongs to a user, of IPv4 or of IPv6.
func dialAs(uid int, network string) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
		if network == "tcp4" {
			family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
		}
		fd, err := socketOf(uid, family)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		if err := unix.Connect(fd, sa); err != nil {
			return nil, err
		}
		return net.FileConn(f)
	}
}

// socketOf makes a socket on a thread that is that user for files, and so for sockets, alone.
func socketOf(uid, family int) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(uid); err != nil {
		return -1, err
	}
	defer unix.Setfsuid(os.Geteuid()) // it was that before
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}
