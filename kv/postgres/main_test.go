package postgres_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets model tests run fewer times than on a store in memory, because here each crash costs new connections, and more
// tests at once than there are processors: they wait for the server's disk.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		flag.Set("rapid.checks", "10")
	}
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set("test.parallel", "4")
	}
	os.Exit(m.Run())
}
