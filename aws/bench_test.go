package aws_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

// replay answers the same signed request again and again, without a network.
func replay(b *testing.B, service, method, target, body string, head ...string) {
	b.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	door, err := aws.New(aws.Config{Services: services(), Keys: keyring{}, Authorize: gate{}, Region: "eu-test-1",
		Now: func() time.Time { return now }, Audit: func(aws.AuditEvent) {}})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	signer(service).Sign(r, sigv4.HashPayload([]byte(body)), now)
	r.ContentLength = int64(len(body))
	src := bytes.NewReader([]byte(body))
	r.Body = io.NopCloser(src)
	w := &sink{head: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		src.Reset([]byte(body))
		clear(w.head)
		door.ServeHTTP(w, r)
	}
	if w.status != 200 {
		b.Fatalf("got %d, want 200", w.status)
	}
}

type sink struct {
	head   http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.head }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// Verifying is some 5 µs (see sigv4); decoding, validating and encoding two small objects should stay below 2 µs.
func BenchmarkJSON(b *testing.B) {
	replay(b, "boxes", "POST", "/", `{"name":"b","size":3}`, "X-Amz-Target", "Boxes_1.GetBox")
}

func BenchmarkAudited(b *testing.B) {
	replay(b, "boxes", "POST", "/", `{"name":"b","size":3}`, "X-Amz-Target", "Boxes_1.PutBox")
}

func BenchmarkQuery(b *testing.B) {
	replay(b, "forms", "POST", "/", "Action=GetForm&Version=2020-01-01&Name=x", "Content-Type", "application/x-www-form-urlencoded")
}

// The shape of Invoke: a label and a payload that passes through.
func BenchmarkPayload(b *testing.B) {
	replay(b, "shared", "PUT", "/blobs/b", `{"key":"value"}`, "Content-Type", "application/json")
}

func BenchmarkCall(b *testing.B) {
	door, err := aws.New(aws.Config{Services: services(), Keys: keyring{}, Authorize: gate{}})
	if err != nil {
		b.Fatal(err)
	}
	in := []byte(`{"name":"b","size":3}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := door.Call(context.Background(), ann, "boxes", "GetBox", in, nil); err != nil {
			b.Fatal(err)
		}
	}
}
