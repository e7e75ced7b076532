package wire_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-dev/rouse/aws/wire/wiretest"
)

func TestRESTRoundTrip(t *testing.T) {
	got := send(t, restService(), "PUT", "/things/arn%3Aa%2Fb/at/x/y%2Fz?limit=5&keys=a&keys=b&other=1&X-Amz-Date=0",
		`{"Title":"t","item":[{"Name":"n"}]}`,
		"X-Mode", "Event", "X-Since", "Sat, 03 Feb 2024 04:05:06 GMT", "X-Tags", "a, b", "X-Meta-One", "1", "X-Meta-Two", "2")
	expect(t, got, 201, `{"Title":"t","item":[{"Name":"n"}]}`)
	want := map[string]string{
		"X-Mode": "Event", "X-Since": "Sat, 03 Feb 2024 04:05:06 GMT", "X-Tags": "a,b", "X-Meta-One": "1", "X-Meta-Two": "2",
		"Content-Type": "application/json", "Content-Length": "35", "X-Amzn-Requestid": "00000000-0000-0000-0000-000000000000",
	}
	for k, v := range want {
		if h := got.head.Get(k); h != v {
			t.Errorf("header %s: got %q, want %q", k, h, v)
		}
	}
}

func TestRESTPayloads(t *testing.T) {
	s := restService()
	got := send(t, s, "POST", "/blobs/b", "\x00\x01", "Content-Type", "x/y")
	expect(t, got, 200, "\x00\x01")
	if ct := got.head.Get("Content-Type"); ct != "x/y" {
		t.Errorf("content type: got %q, want x/y", ct)
	}
	if ct := send(t, s, "POST", "/blobs/b", "x").head.Get("Content-Type"); ct != "application/octet-stream" {
		t.Errorf("content type: got %q, want application/octet-stream", ct)
	}
	expect(t, send(t, s, "POST", "/structs/b", `{"Name":"n"}`), 200, `{"Name":"n"}`)
	expect(t, send(t, s, "POST", "/structs/b", ``), 200, ``)
	expect(t, send(t, s, "POST", "/structs/b", `{"Name":"123456789"}`), 400, `{"Type":"User","message":"1 validation error `+
		`detected: Value '123456789' at 'part.name' failed to satisfy constraint: Member must have length less than or equal to 8"}`)
	expect(t, send(t, s, "POST", "/streams/b", "abc"), 200, "abc")
	expect(t, send(t, s, "GET", "/push", ""), 200, "one two three")
	expect(t, send(t, s, "DELETE", "/plain", ""), 204, "")
}

func TestRESTRoutes(t *testing.T) {
	s := restService()
	for _, c := range []struct {
		method, url string
		status      int
		want        string
	}{
		{"GET", "/plain", 200, "{}"},
		{"GET", "/plain/", 200, "{}"},
		{"GET", "/plain?mode=other", 200, "{}"},
		{"GET", "/plain?mode=import", 404, "no \\u003cthing\\u003e here"},
		{"POST", "/plain", 501, "Rouse does not implement POST /plain of REST Things"},
		{"POST", "/things/x/paint", 501, "Rouse does not implement PaintThing of REST Things"},
		{"PUT", "/things//at/x", 501, "Rouse does not implement PUT /things//at/x of REST Things"},
		{"PUT", "/things/./at/x", 501, "Rouse does not implement PUT /things/./at/x of REST Things"},
		{"PUT", "/things/../at/x", 501, "Rouse does not implement PUT /things/../at/x of REST Things"},
		{"PUT", "/things/x/at/a/../b", 501, "Rouse does not implement PUT /things/x/at/a/../b of REST Things"},
		{"PUT", "/things/x/at/a//b", 501, "Rouse does not implement PUT /things/x/at/a//b of REST Things"},
		{"PUT", "/things/x/at", 501, "Rouse does not implement PUT /things/x/at of REST Things"},
		{"PUT", "/things/%41/at/x", 400, "1 validation error detected: Value 'A' at 'name' failed to satisfy constraint: " +
			"Member must satisfy regular expression pattern: [a-z:/.]+"},
		{"PUT", "/things/a/at/x?limit=51", 400, "1 validation error detected: Value '51' at 'limit' failed to satisfy constraint: " +
			"Member must have value less than or equal to 50"},
		{"PUT", "/things/a/at/x?limit=many", 400, `Limit: \"many\" can not be converted to an Integer`},
		{"PUT", "/things/a/at/x?old=1", 501, "Rouse does not implement old things (Old of PutThing)"},
		{"PUT", "/things/a/at/x?dryRun=true", 501, "Rouse does not implement dryRun of PutThing"},
		{"PUT", "/things/a/at/x?dryRun=false", 201, "{}"},
	} {
		got := send(t, s, c.method, c.url, "")
		want := c.want
		if c.status >= 400 {
			want = `{"Type":"User","message":"` + c.want + `"}`
		}
		if got.status != c.status || got.body != want {
			t.Errorf("%s %s:\n got %d %s\nwant %d %s", c.method, c.url, got.status, got.body, c.status, want)
		}
	}
	got := send(t, s, "PUT", "/things/a/at/x", `{"KeyArn":"k"}`, "X-Mode", "Sync")
	expect(t, got, 501, `{"Type":"User","message":"Rouse does not implement KeyArn of PutThing"}`)
	if h := got.head.Get("X-Amzn-ErrorType"); h != "NotImplementedException" {
		t.Errorf("error type: got %q, want NotImplementedException", h)
	}
	got = send(t, s, "PUT", "/things/a/at/x", ``, "X-Secret", "1")
	expect(t, got, 501, `{"Type":"User","message":"Rouse does not implement X-Secret of PutThing"}`)
	got = send(t, s, "PUT", "/things/a/at/x", ``, "X-Mode", "No")
	if !strings.Contains(got.body, "'mode' failed to satisfy constraint: Member must satisfy enum value set: [Event, Sync]") {
		t.Errorf("a header's constraint: got %s", got.body)
	}
}

func TestCompatibility(t *testing.T) {
	list, err := jsonService().Compatibility()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range list {
		lines = append(lines, c.Operation+"|"+string(c.Support)+"|"+c.How+"|"+strings.Join(c.Refused, ","))
	}
	want := []string{
		"DropThing|differs|drops slowly|",
		"FailThing|works||",
		"FaultThing|works||",
		"PaintThing|not implemented||",
		"PutThing|works||KeyArn,Network.Subnets,Old,Parts.Old,Tracing.Mode other than PassThrough",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("compatibility (-want +got):\n%s", d)
	}
	for _, c := range list {
		if c.Operation == "FailThing" && len(c.Members) != 0 || c.Operation == "DropThing" && len(c.Members) < 10 {
			t.Errorf("%s: members %v", c.Operation, c.Members)
		}
	}
}

func TestIgnoredMembersAreFound(t *testing.T) {
	model := `{"operations":{"PutThing":{"input":{"shape":"In"}},"DropThing":{"input":{"shape":"In"}},"PaintThing":{},"New":{}},
		"shapes":{
			"In":{"members":{"Name":{"shape":"S"},"KeyArn":{"shape":"S"},"Network":{"shape":"Net"},"Tracing":{"shape":"Tr"},
				"Old":{"shape":"Part"},"Parts":{"shape":"Parts"},"Any":{"shape":"Tr"},"ByName":{"shape":"Map"},"Fresh":{"shape":"S"}}},
			"Net":{"members":{"Subnets":{"shape":"L"},"Gate":{"shape":"S"}}}, "Tr":{"members":{"Mode":{"shape":"S"}}},
			"Parts":{"member":{"shape":"Part"}}, "Map":{"value":{"shape":"Part"}},
			"Part":{"members":{"Name":{"shape":"S"},"Part":{"shape":"Parts","locationName":"Parts"},"Old":{"shape":"S"},"Weight":{"shape":"S"}}},
			"S":{}, "L":{"member":{"shape":"S"}}}}`
	s := jsonService()
	s.Operations = s.Operations[:1]
	got, err := wiretest.Ignored(s, []byte(model))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"DropThing", "New", "PutThing.ByName.Old", "PutThing.ByName.Weight", "PutThing.Fresh", "PutThing.Network.Gate",
		"PutThing.Parts.Weight"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ignored (-want +got):\n%s", d)
	}
}
