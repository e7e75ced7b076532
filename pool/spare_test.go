package pool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
)

// TestSparesOfAForgottenKind: a spare that is being made while its kind is forgotten, because many others are in use, is
// ended with it.
func TestSparesOfAForgottenKind(t *testing.T) {
	hold := make(chan struct{})
	d := &fakeDriver{create: func() error { <-hold; return nil }}
	b := newFakeBed(t, d, func(c *pool.Config) {
		c.Maker.Spares = 1
		c.Maker.Runtime = func(v *catalog.Version) (pool.Runtime, error) {
			return pool.Runtime{Kind: guest.Provided, Image: []sandbox.Bind{{Source: "/" + v.Name, Target: "/image"}}}, nil
		}
	})
	const kinds, kept = 40, 16
	for i := range kinds {
		b.pool.Warm(b.function(t, fmt.Sprint("f", i), "1", 128))
	}
	close(hold)
	until(t, "every kind had its spare made", func() bool { return d.made.Load() >= kept })
	until(t, "only those of kinds in use are kept", func() bool { return d.boxes.Load() <= kept })
	b.close(t, time.Second)
}
