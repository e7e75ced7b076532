package egress_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/sandbox/egress"
)

func parse(t *testing.T, text string) egress.Policy {
	t.Helper()
	p, err := egress.Parse(text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return p
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"on": "on", "ON": "on", "true": "on", "1": "on", "off": "off", "false": "off", " no ": "off",
		"allow:api.example.com":                                    "allow:api.example.com",
		"allow:API.Example.com.:443, *.example.org 93.184.215.14":  "allow:api.example.com:443,*.example.org,93.184.215.14",
		"allow:.example.org:443 93.184.0.0/16:8080":                "allow:*.example.org:443,93.184.0.0/16:8080",
		"allow:*:443,*:443,0.0.0.0/0:53":                           "allow:*:443,0.0.0.0/0:53",
		"allow:_dmarc.example.org\n\txn--bcher-kva.example:65535,": "allow:_dmarc.example.org,xn--bcher-kva.example:65535",
	} {
		p := parse(t, text)
		if got := p.String(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if again := parse(t, want); again.String() != want {
			t.Errorf("%q: got %s, want it again", want, again)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"": "want on, off or allow:", "maybe": "want on, off or allow:", "allow:": "want on, off or allow:",
		"api.example.com":                            "want on, off or allow:",
		"allow:localhost":                            "want a full name",
		"allow:a..b":                                 "want a full name",
		"allow:-a.example.com":                       "want a full name",
		"allow:a.*.example.com":                      "want a full name",
		"allow:*.*.example.com":                      "want a full name",
		"allow:exa mple.com/x":                       "want a full name",
		"allow:http://example.com":                   "port",
		"allow:example.com:0":                        "port",
		"allow:example.com:65536":                    "port",
		"allow:example.com:https":                    "port",
		"allow:10.0.0.1":                             "10.0.0.0/8 are private",
		"allow:10.2.0.0/16:5432":                     "10.0.0.0/8 are private",
		"allow:169.254.169.254:80":                   "never reach",
		"allow:127.0.0.1:4566":                       "never reach",
		"allow:[2001:4860::1]:443":                   "IPv6",
		"allow:2001:4860::/32":                       "IPv6",
		"allow:93.184.215.14/24":                     "93.184.215.0/24",
		"allow:300.1.2.3":                            "want a full name",
		"allow:" + many(65):                          "65 rules",
		"allow:" + strings.Repeat("a.", 200) + "com": "want a full name",
	} {
		if p, err := egress.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v; want an error with %q", text, p, err, want)
		} else if !p.None() {
			t.Errorf("%q: got %s beside the error, want nothing allowed", text, p)
		}
	}
	parse(t, "allow:"+many(64))
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d.example.com,", i)
	}
	return b.String()
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ policies, name, want string }{
		{"on", "a.example", "all"},
		{"off", "a.example", "none"},
		{"allow:a.example", "a.example", "all"},
		{"allow:a.example", "b.a.example", "none"},
		{"allow:a.example", "xa.example", "none"},
		{"allow:*.a.example", "a.example", "none"},
		{"allow:*.a.example", "c.b.a.example", "all"},
		{"allow:*.a.example", "xa.example", "none"},
		{"allow:a.example:443,a.example:80,a.example:443", "a.example", "[80 443]"},
		{"allow:a.example:443,*.example", "a.example", "all"},
		{"allow:*:443", "anything.test", "[443]"},
		{"allow:1.2.3.4", "1.2.3.4", "none"},
		{"allow:*:443|allow:a.example", "a.example", "[443]"},
		{"allow:*:443|allow:a.example:80", "a.example", "none"},
		{"allow:a.example:443,a.example:80|allow:*.example:80", "a.example", "[80]"},
		{"allow:a.example|allow:b.example", "a.example", "none"},
		{"allow:0.0.0.0/0|allow:a.example", "a.example", "none"},
		{"on|allow:a.example", "a.example", "all"},
		{"off|allow:a.example", "a.example", "none"},
	} {
		if got := text(policy(t, c.policies).Name(c.name)); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.policies, c.name, got, c.want)
		}
	}
}

// policy is what all of several allow, parted by bars.
func policy(t *testing.T, texts string) egress.Policy {
	t.Helper()
	p := egress.Everything()
	for s := range strings.SplitSeq(texts, "|") {
		p = p.And(parse(t, s))
	}
	return p
}

func text(p egress.Ports) string {
	switch {
	case p.All:
		return "all"
	case p.Empty():
		return "none"
	}
	return fmt.Sprint(p.List)
}

func TestNets(t *testing.T) {
	for policies, want := range map[string]string{
		"on": "[]", "off": "[]", "allow:a.example": "[]",
		"allow:1.2.0.0/16,5.6.7.8:80":                         "[1.2.0.0/16 5.6.7.8/32:80]",
		"allow:1.2.0.0/16|allow:1.2.3.0/24:443":               "[1.2.3.0/24:443]",
		"allow:1.2.3.4:443|allow:1.2.0.0/16":                  "[1.2.3.4/32:443]",
		"allow:1.2.3.4:443|allow:1.2.0.0/16:80":               "[]",
		"allow:1.2.0.0/16|allow:a.example":                    "[]",
		"allow:1.2.0.0/16|allow:1.3.0.0/16":                   "[]",
		"allow:0.0.0.0/0:80,0.0.0.0/0:443|allow:1.2.3.4":      "[1.2.3.4/32:80 1.2.3.4/32:443]",
		"allow:1.2.0.0/16|allow:1.0.0.0/8,1.2.0.0/16|on":      "[1.2.0.0/16]",
		"off|allow:1.2.3.4":                                   "[]",
		"allow:1.0.0.0/8|allow:1.2.0.0/16|allow:1.2.3.0/24:9": "[1.2.3.0/24:9]",
	} {
		var got []string
		for _, n := range policy(t, policies).Nets() {
			s := n.Prefix.String()
			if n.Port != 0 {
				s += fmt.Sprint(":", n.Port)
			}
			got = append(got, s)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", policies, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for policies, want := range map[string]string{"on": "true false", "off": "false true", "allow:a.example": "false false",
		"on|on": "true false", "on|off": "false true", "allow:a.example|off": "false true"} {
		p := policy(t, policies)
		if got := fmt.Sprint(p.All(), p.None()); got != want {
			t.Errorf("%s: got all and none %s, want %s", policies, got, want)
		}
	}
	if p := policy(t, "allow:a.example:1|allow:1.2.3.4"); p.String() != "allow:a.example:1 and allow:1.2.3.4" {
		t.Errorf("two lists: got %s", p)
	}
	if !(egress.Policy{}).None() {
		t.Error("the zero policy: got something, want nothing")
	}
}

func TestIsRefused(t *testing.T) {
	for a, want := range map[string]bool{"8.8.8.8": false, "11.22.33.44": false, "10.0.0.1": true, "127.0.0.1": true,
		"169.254.169.254": true, "172.16.0.1": true, "172.32.0.1": false, "100.100.100.200": true, "::1": true,
		"::ffff:10.0.0.1": true, "::ffff:8.8.8.8": true, "fd00:ec2::254": true, "2606:4700::1": false} {
		if got := egress.IsRefused(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: got %v, want %v", a, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"on", "off", "allow:*:443", "allow:.a.example:1 1.2.3.0/24", "allow:[::1]:1", "allow:a.example,,b.example."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := egress.Parse(s)
		if err != nil {
			return
		}
		again, err := egress.Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q: got %s, %v from %s", s, again, err, p)
		}
		for _, n := range p.Nets() {
			if egress.IsRefused(n.Prefix.Addr()) && n.Prefix.Bits() > 7 {
				t.Errorf("%q: got %s allowed", s, n.Prefix)
			}
		}
	})
}
