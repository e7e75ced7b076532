// Package wiretest holds the checks that every service's table passes. A service's own test calls Check with its table;
// it fails for each mistake that would otherwise wait for a client: a Kind without a wire error, tags that do not
// compile, labels that route and struct do not share, operations or routes that are there twice, names that are both
// implemented and not, and refused members that the input has all the same. CheckModel holds the table to AWS's own model
// of the service, as botocore has it: nothing that a client may send is ignored in silence.
//
// Roundtrip sends a request through the table as a client would, without a door: no signature is checked and nobody is
// authorised. It is meant for the tests of codecs and of services' inputs; a service's behaviour is tested through
// package aws.
//
// All are for tests only and safe to use from parallel ones.
package wiretest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// Check fails t for every mistake in the table of s.
func Check(t testing.TB, s wire.Service) {
	t.Helper()
	table, err := wire.Compile(s)
	if err != nil {
		t.Fatalf("table of %s: %v", s.Name, err)
	}
	if err := table.CompileTypes(); err != nil {
		t.Fatalf("types of %s: %v", s.Name, err)
	}
	if s.Title == "" {
		t.Errorf("service %s has no title for people", s.Name)
	}
	for k := range rouse.KindCount {
		if e := s.Errors[k]; e.Code == "" || e.Status < 400 || e.Status > 599 {
			t.Errorf("service %s: kind %q is answered as %+v, want a code and a status from 400 to 599",
				s.Name, rouse.Kind(k), e)
		}
	}
	list, err := s.Compatibility()
	if err != nil {
		t.Fatalf("compatibility of %s: %v", s.Name, err)
	}
	for _, c := range list {
		for _, r := range c.Refused {
			for _, m := range c.Members {
				if r == m {
					t.Errorf("%s.%s: member %s is refused and implemented", s.Name, c.Operation, m)
				}
			}
		}
	}
}

// Roundtrip runs r through the table of s as from, without signature and authorisation, and returns the answer.
func Roundtrip(t testing.TB, s wire.Service, from rouse.Origin, r *http.Request) *http.Response {
	t.Helper()
	table, err := wire.Compile(s)
	if err != nil {
		t.Fatalf("table of %s: %v", s.Name, err)
	}
	w := httptest.NewRecorder()
	if err := run(r.Context(), table, from, r, w); err != nil {
		table.EncodeError(w, table.Fault(err, requestID), requestID)
	}
	return w.Result()
}

const requestID = "00000000-0000-0000-0000-000000000000"

func run(ctx context.Context, table *wire.Table, from rouse.Origin, r *http.Request, w http.ResponseWriter) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	in := wire.Input{HTTP: r, Body: body}
	var m wire.Match
	if table.Service.Protocol == wire.Query {
		text := string(body)
		if r.URL.RawQuery != "" {
			text = strings.TrimPrefix(text+"&"+r.URL.RawQuery, "&")
		}
		if in.Form, err = wire.ParseForm(text); err != nil {
			return err
		}
		m, err = table.RouteForm(in.Form)
	} else {
		m, err = table.Route(r)
	}
	if err != nil {
		return err
	}
	input, err := m.Decode(in)
	if err != nil {
		return err
	}
	if _, err := m.Needs(ctx, from, input); err != nil {
		return err
	}
	out, err := m.Handle(wire.WithRequestID(ctx, requestID), from, input)
	if err != nil {
		return err
	}
	_, err = m.Encode(w, out, requestID)
	return err
}
