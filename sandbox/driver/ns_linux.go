package driver

import (
	"context"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/ns"
)

func openNS(ctx context.Context, c Config) (sandbox.Driver, error) {
	d, err := ns.Open(ctx, ns.Config{Egress: c.Egress, Logger: c.Logger})
	if err != nil {
		return nil, err // not a nil *ns.Driver in an interface
	}
	return d, nil
}
