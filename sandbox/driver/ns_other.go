//go:build !linux

package driver

import (
	"context"
	"errors"

	"github.com/rouse-dev/rouse/sandbox"
)

func openNS(context.Context, Config) (sandbox.Driver, error) {
	return nil, errors.New("namespaces are Linux's")
}
