package driver

import (
	"context"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
)

// openProcess starts the process driver; why is what was wrong with the better one.
func openProcess(ctx context.Context, c Config, why error) (sandbox.Driver, error) {
	d, err := process.Open(ctx, process.Config{Dir: c.Dir, Readable: c.Readable, Logger: c.Logger, Why: why})
	if err != nil {
		return nil, err
	}
	return d, nil
}
