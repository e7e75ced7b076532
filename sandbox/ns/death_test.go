//go:build linux

package ns_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/nftables"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/ns"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// node is a node that is going to be killed: it has an empty sandbox, a running and a frozen one, and links ready.
func node() {
	d, err := ns.Open(context.Background(), ns.Config{Egress: os.Geteuid() == 0})
	check(err)
	spec := sandbox.Spec{Limits: sandbox.LambdaLimits(128, 16), Egress: everything(os.Geteuid() == 0)}
	_, err = d.Create(context.Background(), spec)
	check(err)
	for _, frozen := range []bool{false, true} {
		b, err := d.Create(context.Background(), spec)
		check(err)
		check(b.Mount("/usr/bin", sandbox.MountTask))
		r, w, err := os.Pipe()
		check(err)
		check(b.Exec([]string{"/bin/sh", "-c", "sleep 1000 & (setsid sleep 1000 &) ; echo up; wait"}, nil, "/", []*os.File{w, w, w}))
		_, err = bufio.NewReader(r).ReadString('\n')
		check(err)
		if frozen {
			check(b.Freeze())
		}
	}
	fmt.Println("ready")
	select {}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// startNode starts this program as a node and returns it with all processes below it.
func startNode(t *testing.T) (cmd *exec.Cmd, below []int) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROUSE_TEST_NODE=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the node: got %q, %v; want ready", line, err)
	}
	return cmd, descendants(cmd.Process.Pid)
}

func descendants(pid int) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			child, _ := strconv.Atoi(f)
			list = append(append(list, child), descendants(child)...)
		}
	}
	return list
}

// TestKilledNodeLeavesNoProcess: all processes end with the node at once, frozen ones too, though nobody tells them. The
// groups, the bridge and the rules go with the next start.
func TestKilledNodeLeavesNoProcess(t *testing.T) {
	needRoot(t)
	cmd, below := startNode(t)
	if len(below) < 9 { // base, image, three inits, two shells with children
		t.Fatalf("processes below the node: got %v, want nine at least", below)
	}
	owner, err := cgroup.Owner(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, owner); len(left) < 3 {
		t.Fatalf("what the living node has: got %v, want groups, a bridge and rules", left)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range below {
		sandboxtest.Until(t, "the end of "+strconv.Itoa(pid), func() bool { return sandboxtest.Gone(pid) })
	}
	open(t, ns.Config{Egress: true})
	if left := leftovers(t, owner); len(left) > 0 {
		t.Errorf("what the dead node left after the next start: got %v, want nothing", left)
	}
}

// TestKilledNodeRootless is the same for an ordinary user, who has nothing that could be left but processes.
func TestKilledNodeRootless(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "^TestKilledNodeRootless$")
		return
	}
	openRootless(t)
	cmd, below := startNode(t)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range below {
		sandboxtest.Until(t, "the end of "+strconv.Itoa(pid), func() bool { return sandboxtest.Gone(pid) })
	}
	if len(below) < 9 {
		t.Errorf("processes below the node: got %v, want nine at least", below)
	}
}

// leftovers are the things that carry the node's name.
func leftovers(t *testing.T, owner string) (list []string) {
	t.Helper()
	list = append(list, groupsOf(owner)...)
	aliases, _ := filepath.Glob("/sys/class/net/*/ifalias")
	for _, a := range aliases {
		if b, _ := os.ReadFile(a); strings.Contains(string(b), owner) {
			list = append(list, a)
		}
	}
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tables {
		if strings.Contains(x.Name, owner) {
			list = append(list, x.Name)
		}
	}
	return list
}

// groupsOf are the control groups of a node, one for each hierarchy. Where they are depends on what was delegated to it: at the
// top, or in the group of a service.
func groupsOf(owner string) (list []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() && d.Name() == owner {
			list = append(list, p)
		}
		return nil
	})
	return list
}

// TestFiftyAtOnce: a burst is only a queue.
func TestFiftyAtOnce(t *testing.T) {
	d := open(t, ns.Config{Egress: true})
	reaches := d.Report().Egress()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			b, err := d.Create(context.Background(), sandbox.Spec{Limits: sandbox.LambdaLimits(128, 16), Egress: everything(reaches && i%2 == 0)})
			if err != nil {
				t.Errorf("create: %v", err)
				return
			}
			defer b.Kill()
			if err := b.Exec([]string{"/bin/sh", "-c", "exit " + strconv.Itoa(i)}, nil, "/", nil); err != nil {
				t.Errorf("exec: %v", err)
				return
			}
			<-b.Done()
			if got := b.Exit(); got.Code != i {
				t.Errorf("exit: got %+v, want code %d", got, i)
			}
		})
	}
	wg.Wait()
}

// TestNoLeaks: two hundred sandboxes, of every kind of life, leave what was there before.
func TestNoLeaks(t *testing.T) {
	needRoot(t)
	outside := holdings(t)
	d, err := ns.Open(t.Context(), ns.Config{Egress: true, Max: 8})
	if err != nil {
		t.Fatal(err)
	}
	reaches := d.Report().Egress()
	code := t.TempDir()
	live := func(i int) {
		b, err := d.Create(context.Background(), sandbox.Spec{Limits: sandbox.LambdaLimits(128, 16), Egress: everything(reaches && i%10 == 3)})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Kill()
		if i%2 == 0 {
			return
		}
		if err := b.Mount(code, sandbox.MountTask); err != nil {
			t.Fatal(err)
		}
		l, _, err := b.Listen(0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		argv := []string{"/bin/sleep", "1000"}
		if i%5 == 0 {
			argv = []string{"/bin/nothing"}
		}
		_ = b.Exec(argv, nil, "/", nil)
		if i%7 == 0 {
			_ = b.Freeze()
		}
	}
	for i := range 20 { // whatever is made once
		live(i)
	}
	inside := holdings(t)
	inside.interfaces = 2 + 4 + 1 // the bridge, the links ready, one being made; dying ones do not count
	for i := range 200 {
		live(i)
	}
	sandboxtest.Until(t, "what 200 sandboxes held to be given back", func() bool { return holdings(t).within(inside) })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	sandboxtest.Until(t, "what the driver held to be given back", func() bool { return holdings(t).within(outside) })
}

// holding is what could leak.
type holding struct{ files, processes, mounts, groups, interfaces int }

func holdings(t *testing.T) (h holding) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		// Go's poller and its wake-up come with the first use.
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); !strings.HasPrefix(to, "anon_inode:[event") {
			h.files++
		}
	}
	h.processes = len(descendants(os.Getpid()))
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	h.mounts = strings.Count(string(mounts), "\n")
	owner, err := cgroup.Owner(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range groupsOf(owner) {
		groups, _ := os.ReadDir(own)
		for _, g := range groups {
			if g.IsDir() {
				h.groups++
			}
		}
	}
	aliases, _ := filepath.Glob("/sys/class/net/*/ifalias")
	for _, a := range aliases { // our bridge and its ports; other nodes of the machine have theirs
		if b, _ := os.ReadFile(a); strings.Contains(string(b), owner) {
			ports, _ := filepath.Glob(filepath.Dir(a) + "/brif/*")
			h.interfaces += 1 + len(ports)
		}
	}
	return h
}

// within reports whether h is no more than other.
func (h holding) within(other holding) bool {
	return h.files <= other.files && h.processes <= other.processes && h.mounts <= other.mounts && h.groups <= other.groups &&
		h.interfaces <= other.interfaces
}

func TestMaxIsKept(t *testing.T) {
	d := open(t, ns.Config{Max: 2})
	a := sandboxtest.Create(t, d, sandbox.Spec{})
	sandboxtest.Create(t, d, sandbox.Spec{})
	if _, err := d.Create(t.Context(), sandbox.Spec{}); err == nil || !strings.Contains(err.Error(), "2 sandboxes") {
		t.Errorf("a third sandbox of two: got %v, want the limit", err)
	}
	a.Kill()
	sandboxtest.Create(t, d, sandbox.Spec{})
}

func TestCloseKills(t *testing.T) {
	needRoot(t)
	d, err := ns.Open(t.Context(), ns.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Create(context.Background(), sandbox.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Exec([]string{"/bin/sleep", "1000"}, nil, "/", nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	sandboxtest.Await(t, b.Done(), "the end of a closed driver's sandbox")
	if got := b.Exit(); got.Signal != int(syscall.SIGKILL) {
		t.Errorf("exit: got %+v, want that it was killed", got)
	}
	if _, err := d.Create(context.Background(), sandbox.Spec{}); err == nil {
		t.Error("create of a closed driver: got a sandbox, want an error")
	}
}

// TestImageHelperIsReplaced: when somebody kills the process that an image lives by, its sandboxes live on, one create
// fails, and the next one makes the image again.
func TestImageHelperIsReplaced(t *testing.T) {
	d := open(t, ns.Config{})
	b := sandboxtest.Create(t, d, sandbox.Spec{})
	p := sandboxtest.Shell(t, b, "read x; echo alive")
	var helper int
	for _, pid := range descendants(os.Getpid()) { // the only one of ours whose parent is the base, a child of this process
		if parent(t, parent(t, pid)) == os.Getpid() {
			helper = pid
		}
	}
	if helper == 0 {
		t.Fatal("no image helper was found")
	}
	_ = syscall.Kill(helper, syscall.SIGKILL)
	sandboxtest.Until(t, "the helper's end", func() bool { return sandboxtest.Gone(helper) })
	if _, err := d.Create(t.Context(), sandbox.Spec{}); err == nil {
		t.Error("create without a helper: got a sandbox, want an error")
	}
	sandboxtest.Create(t, d, sandbox.Spec{})
	p.Send("")
	p.Expect("alive")
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	n, _ := strconv.Atoi(f[1])
	return n
}
