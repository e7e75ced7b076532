//go:build linux

package ns

import (
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/network"
)

// Report says what is in force.
func (d *Driver) Report() sandbox.Report {
	r := sandbox.Report{Driver: "ns"}
	user := sandbox.Check{Name: sandbox.CheckUser, State: sandbox.InForce, Detail: "a uid of the host for each sandbox"}
	if d.rootless {
		r.Driver = "ns rootless"
		user = sandbox.Check{Name: sandbox.CheckUser, State: sandbox.Missing, Lift: liftRoot,
			Detail: "all functions run as the node's user, each in a user namespace without capabilities"}
	}
	r.Checks = []sandbox.Check{
		{Name: sandbox.CheckFiles, State: sandbox.InForce, Detail: "mount namespace: the host's /usr read-only, no other files of it"},
		{Name: sandbox.CheckProcess, State: sandbox.InForce, Detail: "pid, ipc, uts and cgroup namespaces"},
		user,
		{Name: sandbox.CheckNetwork, State: sandbox.InForce, Detail: "network namespace"},
		d.checkEgress(),
		{Name: sandbox.CheckSyscalls, State: sandbox.InForce, Detail: "seccomp, an allow-list; no capabilities, no new privileges"},
		d.checkLimit(sandbox.CheckMemory, "memory", "a function can use all of the machine's memory"),
		d.checkLimit(sandbox.CheckCPU, "cpu", "a function can use all processors"),
		d.checkPids(),
		{Name: sandbox.CheckTmp, State: sandbox.InForce, Detail: "a tmpfs of that size"},
		d.checkFreeze(),
		{Name: sandbox.CheckDeath, State: sandbox.InForce, Detail: d.deathDetail()},
	}
	return r
}

const (
	liftRoot     = "run Rouse as root"
	liftDelegate = "run Rouse as root, or delegate a control group to its user: " +
		"systemd-run --user --scope -p Delegate=yes rouse …"
	liftBoot = "boot with the control group's memory, cpu and pids controllers"
)

func (d *Driver) checkEgress() sandbox.Check {
	if d.net != nil {
		c := sandbox.Check{Name: sandbox.CheckEgress, State: sandbox.InForce, Detail: fmt.Sprintf(
			"veth to bridge %s (%s), nftables; private, link-local and the host's own addresses are refused, and IPv6",
			d.net.Bridge(), d.net.Subnet())}
		if chain := network.Blocked(); chain != "" {
			c.State = sandbox.Partial
			c.Detail += "; but the host's firewall (" + chain + ") drops forwarded packets by default"
			c.Lift = fmt.Sprintf("iptables -I FORWARD -i %s -j ACCEPT; iptables -I FORWARD -o %[1]s -j ACCEPT", d.net.Bridge())
		}
		return c
	}
	c := sandbox.Check{Name: sandbox.CheckEgress, State: sandbox.Missing,
		Detail: "functions reach the platform only: " + d.netErr.Error()}
	switch {
	case d.rootless:
		c.Lift = liftRoot
	case strings.Contains(d.netErr.Error(), "turned off"):
	default:
		c.Lift = "load the kernel's nf_tables, bridge and veth modules"
	}
	return c
}

func (d *Driver) liftLimits() string {
	if d.rootless {
		return liftDelegate
	}
	return liftBoot
}

func (d *Driver) checkLimit(name, controller, without string) sandbox.Check {
	c := sandbox.Check{Name: name, State: sandbox.Missing, Detail: without, Lift: d.liftLimits()}
	if d.tree == nil {
		c.Detail += ": " + d.treeErr.Error()
		return c
	}
	has, how := d.tree.Has(controller)
	if !has {
		c.Detail += ": " + how
		return c
	}
	return sandbox.Check{Name: name, State: sandbox.InForce, Detail: how}
}

func (d *Driver) checkPids() sandbox.Check {
	c := d.checkLimit(sandbox.CheckPids, "pids", "a function can start processes without end")
	if c.State == sandbox.Missing && d.rootless {
		return sandbox.Check{Name: c.Name, State: sandbox.InForce, Detail: "RLIMIT_NPROC, counted in the sandbox's user namespace"}
	}
	return c
}

func (d *Driver) checkFreeze() sandbox.Check {
	c := d.checkLimit(sandbox.CheckFreeze, "freezer", "")
	if c.State == sandbox.Missing {
		return sandbox.Check{Name: c.Name, State: sandbox.Partial, Lift: d.liftLimits(),
			Detail: "by SIGSTOP from the sandbox's init, which a function's parent process can notice"}
	}
	return c
}

func (d *Driver) deathDetail() string {
	detail := "each sandbox's init ends when its socket closes, and with it the pid namespace"
	if len(d.swept) > 0 {
		detail += fmt.Sprintf("; groups of %d dead nodes were removed at the start", len(d.swept))
	}
	return detail
}
