package gateway

import (
	"net"
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	own := []net.Addr{&net.IPNet{IP: net.ParseIP("93.184.216.34"), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("2606:2800:220::1"), Mask: net.CIDRMask(64, 128)}}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.35": true, "2606:2800:220::2": true, "::ffff:8.8.8.8": true,
		"93.184.216.34": false, "::ffff:93.184.216.34": false, "2606:2800:220::1": false, // the machine itself
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"100.64.0.1": false, "192.0.0.170": false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "::ffff:10.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "2002:a00:1::": false,
		"2001:0:a00:1::": false, "::a00:1": false, "fec0::1": false, "ff02::1": false,
	} {
		if got := public(netip.MustParseAddr(address), own); got != want {
			t.Errorf("public(%s): got %t, want %t", address, got, want)
		}
	}
}

func TestLeaves(t *testing.T) {
	for path, want := range map[string]bool{
		"a": false, "a/b": false, "..a/b..": false, "a/...": false, "%2e": false, "a%2Fb": false,
		"..": true, "a/../b": true, "%2e%2e": true, "a/%2E./b": true, "a%2f..%2fb": true, `a%5c..%5cb`: true, "a/.%2e": true,
	} {
		if got := leaves(path); got != want {
			t.Errorf("leaves(%s): got %t, want %t", path, got, want)
		}
	}
}
