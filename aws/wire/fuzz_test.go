package wire_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Every answer to hostile input is one of these; anything else is a fault of ours.
func answersWell(t *testing.T, got answer) {
	t.Helper()
	switch got.status {
	case 200, 201, 204, 400, 404, 413, 501:
	default:
		t.Errorf("answer: got %d %s", got.status, got.body)
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"Name":"n","Count":1,"Ratio":1e3,"Tags":{"a":"b"},"Parts":[{"Name":"x","Parts":[{"Name":"y"}]}]}`,
		`{"When":1700000000.123,"date":"2024-02-03T04:05:06.5Z","Blob":"AAH/","Raw":[1,{"a":null}],"Any":"x"}`,
		`{"Name":"\u00e9\ud83d\ude00\ud800\"\\"}`, `{"Old":{"a":1}}`, `{"Tracing":{"Mode":"Active"}}`, `{"Network":{"Subnets":["a"]}}`,
		`{"Any":1e999}`, `{"When":-62135596801}`, `[[[[`, `{"a":`, `{"Big":18446744073709551616}`, "{\"Name\":\"\xff\"}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		got := sendJSON(t, "PutThing", doc)
		answersWell(t, got)
		if !json.Valid([]byte(got.body)) {
			t.Errorf("%q is answered with %q, which is not JSON", doc, got.body)
		}
		if got.status != 200 {
			return
		}
		if doc != "" && !json.Valid([]byte(doc)) && len(strings.TrimSpace(doc)) > 0 {
			t.Errorf("%q is accepted and is not JSON", doc)
		}
		if again := sendJSON(t, "PutThing", got.body); again.status != 200 || again.body != got.body {
			t.Errorf("an answer does not survive the way back:\n first %s\nsecond %d %s", got.body, again.status, again.body)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"", "Name=a%26b&Count=1&On=true&Sizes.member.1=1&Tags.entry.1.key=k&Tags.entry.1.value=v", "Flat.1=x&Flag.1.K=a&Flag.1.V=b",
		"Part.Name=p&Parts.member.1.Parts.member.2.Name=r", "Network.Subnets.member.1=a", "Tracing.Mode=Active", "Old.x=1", "...=.",
		"Sizes.member.99999999999999999999=1", "Sizes.member.-1=1", "When=2024-02-03T04:05:06Z&date=1", "Tags.entry.1=x", "%=%zz",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got := sendQuery(t, "PutThing", form)
		answersWell(t, got)
		var doc struct {
			Inner string `xml:",innerxml"`
		}
		if err := xml.Unmarshal([]byte(got.body), &doc); err != nil {
			t.Errorf("%q is answered with %q, which is not XML: %v", form, got.body, err)
		}
	})
}

func FuzzREST(f *testing.F) {
	f.Add("/things/a/at/b/c", "limit=3&keys=a&keys=b&x=y", "Event", "a, b", `{"Title":"t"}`)
	f.Add("/things/%41%2F/at/%zz", "limit=x;%", "\x00", ",,", `[`)
	f.Add("/blobs/b", "", "", "", "\x00\xff")
	f.Add("/structs/b", "mode=import&dryRun=true", "", "", `{"Name":"n"}`)
	f.Fuzz(func(t *testing.T, path, query, mode, tags, body string) {
		for _, method := range []string{"PUT", "POST", "GET"} {
			r := httptest.NewRequest(method, "/", strings.NewReader(body))
			p, err := url.PathUnescape(path)
			if err != nil {
				return
			}
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/"+p, "/"+path, query
			r.Header.Set("X-Mode", mode)
			r.Header.Set("X-Tags", tags)
			r.Header.Set("X-Meta-A", mode)
			answersWell(t, roundtrip(t, restService(), r))
		}
	})
}
