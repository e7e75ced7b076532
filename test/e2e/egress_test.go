package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestEgressOfFunctions: a function's tag says what it reaches, who deploys sets it, and the function itself does not, however
// much of Lambda its role may use.
func TestEgressOfFunctions(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := launch(t, "--egress", "allow:*:443,93.184.215.0/24")
	role := r.role(t, "broad", "lambda:*", "sts:GetCallerIdentity")
	r.make(t, fn{Name: "shut", File: "probe.js", Role: role, More: m{"Tags": m{"rouse:egress": "off"}}})
	const outside, arn = "93.184.215.14", "arn:aws:lambda:us-east-1:000000000000:function:shut"
	var got map[string]string
	r.probe(t, "shut", m{"try": "dial", "to": [][2]string{{outside, "443"}, {"public.example", "443"}}}, &got)
	// Refused by the node, or by a host that has no way out at all.
	if c := got[outside+":443"]; c != "EHOSTUNREACH" && c != "ENETUNREACH" || got["public.example:443"] != "ENOTFOUND" {
		t.Errorf("a function without egress: got %v, want its host unreachable and its name unknown", got)
	}
	var caller struct {
		Status int
		Body   string
	}
	if r.probe(t, "shut", m{"try": "caller"}, &caller); caller.Status != 200 {
		t.Errorf("the platform from a function without egress: got %+v, want 200", caller)
	}
	tags := "/2017-03-31/tags/" + arn
	widen, err := json.Marshal(m{"Tags": m{"rouse:egress": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	call := m{"try": "call", "service": "lambda", "method": "POST", "path": tags, "body": string(widen), "headers": m{"content-type": "application/json"}}
	if r.probe(t, "shut", call, &caller); caller.Status != 403 || !strings.Contains(caller.Body, "rouse:SetEgress") {
		t.Errorf("a function that opens itself: got %+v, want 403 for rouse:SetEgress", caller)
	}
	call["method"], call["path"], call["body"] = "DELETE", tags+"?tagKeys=rouse:egress", ""
	if r.probe(t, "shut", call, &caller); caller.Status != 403 || !strings.Contains(caller.Body, "rouse:SetEgress") {
		t.Errorf("a function that removes its tag: got %+v, want 403 for rouse:SetEgress", caller)
	}
	r.stays(t, "shut", 0)

	r.call(t, "lambda", "TagResource", m{"Resource": arn, "Tags": m{"rouse:egress": "allow:known.example"}}, nil)
	until(t, "another policy has another instance", func() bool {
		var n int
		r.probe(t, "shut", m{"try": "count"}, &n)
		return n == 1
	})
	r.probe(t, "shut", m{"try": "dial", "to": [][2]string{{outside, "443"}, {"public.example", "443"}}}, &got)
	if c := got[outside+":443"]; c != "EHOSTUNREACH" && c != "ENETUNREACH" || got["public.example:443"] != "ENOTFOUND" {
		t.Errorf("what is not on the list: got %v, want its host unreachable and its name unknown", got)
	}
	for _, bad := range []string{"perhaps", "allow:10.0.0.1", "allow:localhost"} {
		a := r.ask(t, "lambda", "TagResource", m{"Resource": arn, "Tags": m{"rouse:egress": bad}})
		if a.Status != 400 || !strings.Contains(a.Body, "The tag rouse:egress is not valid") {
			t.Errorf("the tag %q: got %s, want 400", bad, a)
		}
	}
}
