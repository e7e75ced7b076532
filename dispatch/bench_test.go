package dispatch_test

import (
	"context"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

type idle struct{ v *catalog.Version }

func (i idle) Attempt(context.Context, *catalog.Version, rouse.Invocation, rouse.Sink) (rouse.Result, error) {
	return rouse.Result{}, nil
}

// BenchmarkInvoke is what dispatch adds to an attempt: limits, and a goroutine that a caller whose time is over can leave.
func BenchmarkInvoke(b *testing.B) {
	i := idle{&catalog.Version{Account: account, Name: "f"}}
	d, err := dispatch.Open(b.Context(), dispatch.Config{Store: kvtest.Memory(b), Region: "us-east-1", Runner: i,
		Resolve: func(rouse.ARN) (*catalog.Version, error) { return i.v, nil }})
	if err != nil {
		b.Fatal(err)
	}
	inv := rouse.Invocation{ID: "i", Function: arn("f"), Event: []byte(`{}`)}
	var out rouse.Buffer
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Invoke(b.Context(), inv, &out); err != nil {
			b.Fatal(err)
		}
	}
}
