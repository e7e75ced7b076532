package node_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestAStoppedNodeLeavesNothingRunning: a process may start and stop many.
func TestAStoppedNodeLeavesNothingRunning(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	n := openAs(t, true, settings(t.TempDir()), nil)
	stop(t, n)
	goleak.VerifyNone(t, ignore)
}
