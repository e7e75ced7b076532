package aws_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

// A page that the developer looks at knows the loopback key as everybody does, and its browser is on loopback.
func TestPagesAreNotOnLoopback(t *testing.T) {
	h := open(t)
	presigned := func(key, host string, head ...string) *http.Request {
		r := h.ask("GET", "/?Action=GetForm&Version=2020-01-01&Name=p", "", head...)
		if host != "" {
			r.Host = host
			r.URL.Host = host
		}
		s := signer("forms")
		s.AccessKeyID = key
		u := s.Presign(r, sigv4.EmptyHash, h.now, time.Minute)
		out := h.ask("GET", u.RequestURI(), "", head...)
		out.Host, out.URL.Host = r.Host, r.URL.Host
		return out
	}
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.door.Serve(w, r, aws.Arrival{SourceIP: "127.0.0.1"})
	})
	for _, c := range []struct {
		name, host string
		head       []string
		want       int
	}{
		{"a tool", "", nil, 200},
		{"the address line", "", []string{"Sec-Fetch-Site", "none"}, 200},
		{"a tool that calls it localhost", "localhost:4566", nil, 200},
		{"a tool that calls it by a service", "forms.localhost:4566", nil, 200},
		{"a tool that calls it by IPv6", "[::1]:4566", nil, 200},
		{"a tool of a container", "host.docker.internal:4566", nil, 200},
		{"a page of another site", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a page of another port", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a page of an old browser", "", []string{"Origin", "https://evil.example"}, 403},
		{"a page in a frame", "", []string{"Origin", "null"}, 403},
		{"a site that resolves to loopback", "evil.example:4566", nil, 403},
		{"a site with a name like ours", "localhost.evil.example:4566", nil, 403},
		{"a site with another name like ours", "evillocalhost.example", nil, 403},
		{"an address that is not loopback", "10.0.0.1:4566", nil, 403},
	} {
		r := presigned("AKIL", c.host, c.head...)
		if got := serve(local, r); got.status != c.want {
			t.Errorf("%s with the loopback key: got %d %s, want %d", c.name, got.status, got.body, c.want)
		}
		// A key that is a secret may come from anywhere: who has it needs no browser.
		if got := serve(local, presigned("AKIA", c.host, c.head...)); got.status != 200 {
			t.Errorf("%s with a key of its own: got %d %s, want 200", c.name, got.status, got.body)
		}
	}
}

func TestKeySourceOfOthersIsTheirs(t *testing.T) {
	r, err := http.NewRequest("GET", "http://evil.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{"", "10.1.2.3", "not an address"} {
		if got := aws.KeySource(r, ip); got != ip {
			t.Errorf("KeySource of %q: got %q, want it as it is", ip, got)
		}
	}
}
