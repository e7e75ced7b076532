package kvtest

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
)

// Memory opens a store that lives in memory and is closed with the test. Called inside a testing/synctest bubble, it
// belongs to the bubble: its clock is the bubble's, and it has stopped by the time the bubble ends.
func Memory(t testing.TB) kv.Store {
	t.Helper()
	return open(t, vfs.NewMem())
}

// open opens a store on fs and closes it with the test, unless the test does.
func open(t testing.TB, fs vfs.FS) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: fs})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}
