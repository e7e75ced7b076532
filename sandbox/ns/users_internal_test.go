//go:build linux

package ns

import (
	"net"
	"path/filepath"
	"testing"
)

// TestBlocksOfUsers: nodes that share the folder have blocks of their own, one that ends leaves its block, and what anybody
// can do to abstract sockets is nothing to them.
func TestBlocksOfUsers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rouse")
	if l, err := net.Listen("unix", "@rouse-users-0"); err == nil {
		defer l.Close()
	}
	claim := func() *users {
		t.Helper()
		u, err := claimUsers(dir)
		if err != nil {
			t.Fatalf("claim: %v", err)
		}
		return u
	}
	a, b := claim(), claim()
	defer b.close()
	if a.first != usersBase || b.first != usersBase+usersBlock {
		t.Errorf("first users of two nodes: got %d and %d, want %d and %d", a.first, b.first, usersBase, usersBase+usersBlock)
	}
	if d, err := claimUsers("/proc/rouse"); err != nil { // where nobody makes folders
		t.Errorf("claim without a folder: got %v, want a block", err)
	} else {
		d.close()
	}
	a.close()
	c := claim()
	defer c.close()
	if c.first != usersBase {
		t.Errorf("first user of a node after another's end: got %d, want %d", c.first, usersBase)
	}
}
