package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/rouse-dev/rouse/sandbox/cgroup"
)

// holdings is what a living node has of the system, to be looked for when it is dead.
type holdings struct {
	owner     string
	processes map[int]string // by pid, with the start time
	networks  map[string]bool
	links     map[string]string // interface index by name
}

// holdingsOf looks at a living node.
func holdingsOf(t testing.TB, pid int) *holdings {
	t.Helper()
	owner, err := cgroup.Owner(pid)
	if err != nil {
		t.Fatal(err)
	}
	h := &holdings{owner: owner, processes: map[int]string{}, networks: map[string]bool{}, links: map[string]string{}}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range below(pid) {
		if started := startOf(p); started != "" {
			h.processes[p] = started
		}
		if ns, err := os.Readlink("/proc/" + strconv.Itoa(p) + "/ns/net"); err == nil && ns != own {
			h.networks[ns] = true
		}
	}
	for _, bridge := range aliased(owner) {
		h.links[bridge] = indexOf(bridge)
		ports, _ := filepath.Glob("/sys/class/net/" + bridge + "/brif/*")
		for _, p := range ports {
			h.links[filepath.Base(p)] = indexOf(filepath.Base(p))
		}
	}
	return h
}

// some reports whether the living node had something of each kind, so that looking for it later proves anything.
func (h *holdings) some() bool {
	return len(h.processes) > 0 && (os.Geteuid() != 0 || len(h.links) > 0 && len(h.networks) > 0)
}

// gone fails the test when something of a dead node is left.
func (h *holdings) gone(t testing.TB, when string) {
	t.Helper()
	for pid, started := range h.processes {
		if startOf(pid) == started {
			cmd, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			t.Errorf("%s: process %d (%q) of the dead node %s is left", when, pid, cmd, h.owner)
		}
	}
	spaces, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, p := range spaces {
		if ns, err := os.Readlink(p); err == nil && h.networks[ns] {
			t.Errorf("%s: network namespace %s of the dead node is held by %s", when, ns, p)
		}
	}
	for name, index := range h.links {
		if indexOf(name) == index {
			t.Errorf("%s: interface %s of the dead node is left", when, name)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/rouse/", "/sys/fs/cgroup/*/rouse/", "/sys/fs/cgroup/*/*/rouse/"} {
		found, _ := filepath.Glob(pattern + h.owner)
		for _, f := range found {
			t.Errorf("%s: control group %s of the dead node is left", when, f)
		}
	}
	if left := aliased(h.owner); len(left) > 0 {
		t.Errorf("%s: interfaces %v carry the dead node's name", when, left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), h.owner) {
		t.Errorf("%s: a mount carries the dead node's name:\n%s", when, mounts)
	}
	if os.Geteuid() == 0 {
		h.noRules(t, when)
	}
}

func (h *holdings) noRules(t testing.TB, when string) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tables {
		if strings.Contains(x.Name, h.owner) {
			t.Errorf("%s: the firewall's table %s of the dead node is left", when, x.Name)
		}
	}
}

// aliased are the interfaces that carry a node's name.
func aliased(owner string) (names []string) {
	files, _ := filepath.Glob("/sys/class/net/*/ifalias")
	for _, f := range files {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), owner) {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
	}
	return names
}

func indexOf(link string) string {
	b, err := os.ReadFile("/sys/class/net/" + link + "/ifindex")
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(b))
}

// below are the processes that descend from pid.
func below(pid int) (all []int) {
	children := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		children[parent] = append(children[parent], child)
	}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		all = append(all, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return all
}

// startOf is when a process that is not a zombie started, in ticks; "" when there is none.
func startOf(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
