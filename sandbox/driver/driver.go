// Package driver picks how this machine makes sandboxes: with namespaces (package ns) where the kernel lets us, with plain
// processes (package process) elsewhere. It is the one place that knows all drivers; who uses sandboxes knows
// sandbox.Driver only.
//
// Open tries what is best first and proves it by making a sandbox; what it then got, and what it had to do without, is in
// the driver's Report. A driver that was asked for by name is that driver or an error, never another one.
package driver

import (
	"context"
	"log/slog"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
)

// Names that Config.Name takes.
const (
	Auto    = ""
	NS      = "ns"
	Process = "process"
)

// Config is how sandboxes are to be made. The zero value is the best that the machine has.
type Config struct {
	Name     string       // Auto, NS or Process
	Dir      string       // for what a driver must keep in files; default /tmp
	Readable []string     // folders that hold all code that will be mounted, such as the cache of unpacked code
	Egress   bool         // prepare for sandboxes that reach the public internet
	Logger   *slog.Logger // default: discard
}

// Open starts a driver. Errors are of Kind Invalid for an unknown name and Unavailable when the machine cannot.
func Open(ctx context.Context, c Config) (sandbox.Driver, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch c.Name {
	case Auto, NS, Process:
	default:
		return nil, rouse.Errorf(rouse.Invalid, "no sandbox driver is called %q: want %s or %s", c.Name, NS, Process)
	}
	if c.Name != Process {
		d, err := openNS(ctx, c)
		if err == nil || ctx.Err() != nil {
			return d, err
		}
		if c.Name == NS {
			return nil, rouse.Errorf(rouse.Unavailable, "sandbox driver %s: %w", NS, err)
		}
		c.Logger.Warn("sandboxes without namespaces", "err", err)
		p, perr := openProcess(ctx, c, err)
		if perr != nil {
			return nil, rouse.Errorf(rouse.Unavailable, "sandbox driver %s: %w", Process, perr)
		}
		return p, nil
	}
	d, err := openProcess(ctx, c, nil)
	if err != nil {
		return nil, rouse.Errorf(rouse.Unavailable, "sandbox driver %s: %w", Process, err)
	}
	return d, nil
}
