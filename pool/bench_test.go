package pool_test

import (
	"context"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// BenchmarkWarmAttempt is one attempt on an idle instance over the Runtime API, its other end in this process: two
// exchanges over a pipe, three lines of log, four wake-ups. The other end's own allocations are in the figure.
func BenchmarkWarmAttempt(b *testing.B) {
	bed := newFakeBed(b, &fakeDriver{}, nil)
	defer bed.close(b, 1e9)
	warm(b, bed.function(b, "f", "1", 128), bed.pool.Attempt)
}

// BenchmarkWarmFramed is the same with Python in a plain process: what a user's handler costs.
func BenchmarkWarmFramed(b *testing.B) {
	bed := newBed(b, place{driver.Process, -1}, nil)
	warm(b, bed.function(b, "f", "1", "def handler(e, c): return 1\n"), bed.pool.Attempt)
}

func warm(b *testing.B, v *catalog.Version, attempt func(context.Context, *catalog.Version, rouse.Invocation, rouse.Sink) (rouse.Result, error)) {
	inv := rouse.Invocation{ID: "8f5e1a7c-0000-4000-8000-000000000001", Function: v.ARN, Event: []byte(`{}`)}
	var out rouse.Buffer
	if _, err := attempt(b.Context(), v, inv, &out); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if _, err := attempt(b.Context(), v, inv, &out); err != nil {
			b.Fatal(err)
		}
	}
}
