package postgres_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets the model test of kvtest run fewer times than on a store in memory: here each crash costs new connections.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		flag.Set("rapid.checks", "25")
	}
	os.Exit(m.Run())
}
