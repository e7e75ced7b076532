package aws_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
)

var ann = rouse.Origin{Principal: rouse.Principal{Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/ann"}}

// serve runs a client's request without a network.
func serve(handler http.Handler, r *http.Request) answer {
	in := r.Clone(context.Background())
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, in)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func TestCall(t *testing.T) {
	h := open(t)
	for _, c := range []struct{ service, op, in, want string }{
		{"boxes", "PutBox", `{"name":"b","size":3}`, `{"name":"b","size":3,"owner":"arn:aws:iam::000000000000:user/ann"}`},
		{"boxes", "PutBox", `{"Name":"b","Size":"3"}`, `{"name":"b","size":3,"owner":"arn:aws:iam::000000000000:user/ann"}`},
		{"forms", "GetForm", `{"Name":"f"}`, `{"Name":"f"}`},
		{"forms", "GetForm", `{"Name":7}`, `{"Name":"7"}`},
		{"second", "GetSecond", ``, `{"name":"second"}`},
	} {
		out, reply, err := h.door.Call(t.Context(), ann, c.service, c.op, []byte(c.in), nil)
		if err != nil || reply != nil || string(out) != c.want {
			t.Errorf("%s.%s %s: got %s, %v, %v, want %s", c.service, c.op, c.in, out, reply, err, c.want)
		}
	}
	if ev := h.audited(); len(ev) != 2 || ev[0].RequestID == "" || ev[0].Origin.Principal != ann.Principal {
		t.Errorf("audit: got %+v, want the two PutBox", ev)
	}
}

func TestCallCarriesPayloads(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		op, in string
		body   io.Reader
		want   string
	}{
		{"PutBlob", `{"Name":"n"}`, strings.NewReader("abc"), "abc"},
		{"PutBlob", `{"Name":"n","Data":"YWJj"}`, nil, "abc"},
		{"PutBlob", `{"Name":"n","Data":{"a": 1}}`, nil, `{"a": 1}`},
		{"PutStream", `{"Name":"n"}`, strings.NewReader("abc"), "abc"},
		{"PutStream", `{"Name":"n","Data":"YWJj"}`, nil, "abc"},
		{"PutStream", `{"Name":"break"}`, strings.NewReader("abc"), "some!in the middle"},
		{"PutStream", `{"Name":"panic"}`, strings.NewReader("abc"), "some!wire: stream panicked: in the middle"},
	} {
		out, reply, err := h.door.Call(t.Context(), ann, "rest", c.op, []byte(c.in), c.body)
		if err != nil {
			t.Errorf("%s %s: %v", c.op, c.in, err)
			continue
		}
		b, err := io.ReadAll(reply)
		got := string(b)
		if err != nil {
			got += "!" + err.Error()
		}
		if err := reply.Close(); err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: got %s %q (close: %v), want %q", c.op, c.in, out, got, err, c.want)
		}
	}
	_, _, err := h.door.Call(t.Context(), ann, "rest", "PutBlob", []byte(`{"Name":"n"}`), strings.NewReader(strings.Repeat("x", 65)))
	if rouse.KindOf(err) != rouse.TooLarge {
		t.Errorf("a payload over its limit: got %v, want Kind TooLarge", err)
	}
	out, reply, err := h.door.Call(t.Context(), ann, "rest", "PutStream", []byte(`{"Name":"n"}`), endless{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reply, make([]byte, 10)); err != nil {
		t.Errorf("an endless stream (%s): %v", out, err)
	}
	if err := reply.Close(); err != nil {
		t.Errorf("leaving an endless stream: %v", err)
	}
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestCallErrors(t *testing.T) {
	h := open(t)
	far := ann
	far.Hops = rouse.HopsMax + 1
	for _, c := range []struct {
		from        rouse.Origin
		service, op string
		in          string
		kind        rouse.Kind
		code        string
	}{
		{rouse.Origin{}, "boxes", "PutBox", `{"name":"b"}`, rouse.Denied, "AccessDeniedException"},
		{far, "boxes", "PutBox", `{"name":"b"}`, rouse.Limit, "RecursiveInvocationException"},
		{ann, "boxes", "PutBox", `{"name":"closed"}`, rouse.Denied, "AccessDeniedException"},
		{ann, "nothing", "PutBox", `{}`, rouse.Unsupported, ""},
		{ann, "shared", "PutBlob", `{}`, rouse.Unsupported, ""},
		{ann, "boxes", "PaintBox", `{}`, rouse.Unsupported, "NotImplementedException"},
		{ann, "boxes", "PutBox", `{"name":"b","size":"x"}`, rouse.Invalid, "SerializationException"},
		{ann, "boxes", "PutBox", `{}`, rouse.Invalid, "ValidationException"},
		{ann, "forms", "GetForm", `{}`, rouse.Invalid, "ValidationError"},
		{ann, "boxes", "PutBox", `{"name":"fault"}`, rouse.Internal, "InternalServerError"},
	} {
		_, _, err := h.door.Call(t.Context(), c.from, c.service, c.op, []byte(c.in), nil)
		var e *rouse.Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Code != c.code {
			t.Errorf("%s.%s %s: got %#v, want %v %s", c.service, c.op, c.in, err, c.kind, c.code)
		}
	}
	_, _, err := h.door.Call(t.Context(), ann, "boxes", "PutBox", []byte(`{"name":"b"}`), strings.NewReader("x"))
	if rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("a payload for an operation without one: got %v, want Kind Invalid", err)
	}
	if log := h.logged(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "disk secret broke") {
		t.Errorf("log: got %s, want the one internal error", log)
	}
}
