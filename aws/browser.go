package aws

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// KeySource is the address that Keys is told for r, whose socket's other end is sourceIP: "" instead of it when a page of
// some web site may be what speaks from there.
//
// A key that is good on loopback only is guarded by nothing but that address, and a developer's browser is on loopback
// for every page that it shows. A page cannot set an Authorization header across sites, but it can sign a query string
// with a key that everybody knows and send that as a plain form. Browsers say so in Sec-Fetch-Site or Origin. And a site
// whose name resolves to 127.0.0.1 is no other site to the browser; it still has to send its name as Host.
func KeySource(r *http.Request, sourceIP string) string {
	if a, err := netip.ParseAddr(sourceIP); err != nil || !a.Unmap().IsLoopback() {
		return sourceIP // only who is on loopback is believed for that
	}
	if fromPage(r) || !LocalHost(r.Host) {
		return ""
	}
	return sourceIP
}

// fromPage reports whether a browser sent r for a page that is not of this very host and port.
func fromPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // our own page; the address line
		return false
	case "":
		origin := r.Header.Get("Origin")
		if origin == "" {
			return false
		}
		u, err := url.Parse(origin)
		return err != nil || u.Host != r.Host
	}
	return true
}

// LocalHost reports whether host, with a port or without, is a name that no site of the internet can have: an address of
// loopback, localhost and what is below it, a name without a dot, Docker's name of its host, and LocalStack's public name
// of 127.0.0.1, below which nobody else has one.
func LocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.Unmap().IsLoopback()
	}
	for _, name := range []string{"localhost", "localhost.localstack.cloud", "host.docker.internal"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return host != "" && !strings.Contains(host, ".")
}
