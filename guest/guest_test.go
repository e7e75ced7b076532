package guest_test

import (
	"testing"

	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/guesttest"
)

func TestConformance(t *testing.T) {
	guesttest.Run(t, guesttest.Config{Host: guesttest.NewProcess, Interpreters: []guest.Interpreter{
		{Kind: guest.Node, Version: "20.20.2", Path: "/usr/bin/node"},
		{Kind: guest.Python, Version: "3.11.2", Path: "/usr/bin/python3"},
	}})
}
