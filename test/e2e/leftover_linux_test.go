package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/rouse-dev/rouse/sandbox/cgroup"
)

// holdings is what a living node has of the system, to be looked for when it is dead.
type holdings struct {
	owner     string
	processes map[int]string // by pid, with the start time
	networks  map[string]bool
	links     map[string]string // interface index by name
	looked    int64             // when the youngest of the processes started
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
			ticks, _ := strconv.ParseInt(started, 10, 64)
			h.looked = max(h.looked, ticks)
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

// gone fails the test when something of a dead node is left. The kernel takes networks apart behind its processes, in a
// moment of its own.
func (h *holdings) gone(t testing.TB, when string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(5 * time.Second)
	for {
		left := h.left(t)
		if len(left) == 0 {
			return
		}
		select {
		case <-late:
			for _, l := range left {
				t.Errorf("%s: %s of the dead node %s is left", when, l, h.owner)
			}
			return
		case <-tick.C:
		}
	}
}

// left are the things that are still there.
func (h *holdings) left(t testing.TB) (list []string) {
	t.Helper()
	for pid, started := range h.processes {
		if startOf(pid) == started {
			cmd, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			list = append(list, fmt.Sprintf("process %d (%q)", pid, cmd))
		}
	}
	spaces, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, p := range spaces {
		pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
		started, _ := strconv.ParseInt(startOf(pid), 10, 64)
		if ns, err := os.Readlink(p); err == nil && h.networks[ns] && started <= h.looked { // numbers are used again
			list = append(list, "network namespace "+ns+" (held by "+p+")")
		}
	}
	for name, index := range h.links {
		if indexOf(name) == index {
			list = append(list, "interface "+name)
		}
	}
	for _, name := range aliased(h.owner) {
		list = append(list, "the name of interface "+name)
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, _ error) error { // at the top, or below a service's
		if d != nil && d.IsDir() && d.Name() == h.owner {
			list = append(list, "control group "+p)
		}
		return nil
	})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), h.owner) {
		list = append(list, "a mount")
	}
	if os.Geteuid() == 0 {
		list = append(list, h.rules(t)...)
	}
	return list
}

// rules are the tables of the firewall that carry the node's name.
func (h *holdings) rules(t testing.TB) (list []string) {
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
			list = append(list, "firewall table "+x.Name)
		}
	}
	return list
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
