package aws

import (
	"net"
	"net/http"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
)

// pick finds the service that r is meant for and sets x.table, on errors too: somebody has to phrase them.
func (x *exchange) pick(claim *sigv4.Claim) error {
	if claim == nil {
		x.table = x.d.guess(x.r)
		return nil
	}
	candidates := x.d.signing[claim.Service]
	if len(candidates) == 0 {
		x.table = x.d.stranger(x.r)
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement the service %.64q", claim.Service)
	}
	x.table = candidates[0]
	for _, t := range candidates {
		if len(candidates) > 1 && t.Serves(x.r) {
			x.table = t
			break
		}
	}
	return nil
}

// guess finds the service of a request without a signature: by target, then by host, by the version in the query string
// and by path. It decides how the error is phrased.
func (d *Door) guess(r *http.Request) *wire.Table {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	label, _, _ := strings.Cut(host, ".")
	version := ""
	if r.URL.RawQuery != "" {
		version = formOf(r).Get("Version")
	}
	for _, by := range []func(*wire.Table) bool{
		func(t *wire.Table) bool { return t.Service.Protocol != wire.RESTJSON && t.Serves(r) },
		func(t *wire.Table) bool { return t.Service.Name == label || t.Service.SigningName == label },
		func(t *wire.Table) bool { return version != "" && t.Service.Version == version },
		func(t *wire.Table) bool { return t.Serves(r) },
	} {
		for _, t := range d.order {
			if by(t) {
				return t
			}
		}
	}
	return d.stranger(r)
}

// stranger is the table that phrases an error for a service which Rouse does not have.
func (d *Door) stranger(r *http.Request) *wire.Table {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return d.strangers[wire.JSON11]
	case isForm(r) || strings.Contains(r.URL.RawQuery, "Action="):
		return d.strangers[wire.Query]
	}
	return d.strangers[wire.RESTJSON]
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}
