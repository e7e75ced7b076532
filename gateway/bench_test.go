package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/gateway"
)

func quick(target string) api.HTTPAPIInput {
	return api.HTTPAPIInput{Name: ptr("quick"), Target: &target}
}

// discard is a response that nobody reads.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// A request costs the gateway: a few ids, one event of about 1 KB appended into a pooled buffer, one pass over the
// answer, and the response's header map, whose entries are the allocations that remain. No map, no tree, no copy of a body.
func benchmark(b *testing.B, target string) {
	fx := newFixture(b)
	answer := []byte(`{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"id\":\"1\",\"name\":\"Rex\"}"}`)
	g := gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: allow{}, URLs: fx.url, Invoker: invoke(
		func(_ context.Context, _ rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
			_, err := out.Write(answer)
			return rouse.Result{}, err
		})})
	for name, id := range fx.ids {
		if target == name {
			target = "http://" + id + ".execute-api.localhost:4566"
		}
	}
	paths := map[bool]string{true: "/dev/pets/17?a=1&b=two", false: "/prod/pets/17?a=1&b=two"}
	r := httptest.NewRequest("GET", target+paths[target == "http://"+fx.ids["rest"]+".execute-api.localhost:4566"], nil)
	for k, v := range map[string]string{"Accept": "*/*", "User-Agent": "curl/8.5.0", "Accept-Encoding": "gzip, deflate, br",
		"Accept-Language": "en-GB,en;q=0.9", "Cookie": "session=abcdefgh; theme=dark"} {
		r.Header.Set(k, v)
	}
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		g.ServeHTTP(w, r)
	}
}

type allow struct{}

func (allow) Authorize(context.Context, rouse.Origin, []rouse.Need) error { return nil }

func BenchmarkHTTPAPI(b *testing.B) { benchmark(b, "http") }

func BenchmarkRESTAPI(b *testing.B) { benchmark(b, "rest") }

func BenchmarkURL(b *testing.B) { benchmark(b, "http://plainurl.lambda-url.localhost") }
