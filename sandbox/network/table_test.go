//go:build linux

package network_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/network"
)

// TestBlocked looks at a firewall like Docker's, in a network namespace of the test's own.
func TestBlocked(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test needs root, and CI has to run it")
		}
		t.Skip("needs root: a network namespace")
	}
	type result struct {
		before, after string
		err           error
	}
	results := make(chan result)
	go func() { // on a thread that ends with it
		runtime.LockOSThread()
		var r result
		defer func() { results <- r }()
		if r.err = unix.Unshare(unix.CLONE_NEWNET); r.err != nil {
			return
		}
		c, err := nftables.New()
		if r.err = err; err != nil {
			return
		}
		t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "filter"})
		drop, accept := nftables.ChainPolicyDrop, nftables.ChainPolicyAccept
		c.AddChain(&nftables.Chain{Name: "INPUT", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
			Priority: nftables.ChainPriorityFilter, Policy: &drop})
		c.AddChain(&nftables.Chain{Name: "OTHER", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityFilter, Policy: &accept})
		if r.err = c.Flush(); r.err != nil {
			return
		}
		r.before = network.Blocked()
		c.AddChain(&nftables.Chain{Name: "FORWARD", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityFilter, Policy: &drop})
		r.err = c.Flush()
		r.after = network.Blocked()
	}()
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.before != "" || r.after != "filter FORWARD" {
		t.Errorf("blocked: got %q, then %q; want nothing, then filter FORWARD", r.before, r.after)
	}
}
