//go:build linux

package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox"
)

// Group bounds one sandbox.
type Group struct {
	t      *Tree
	id     string
	limits sandbox.Limits
	period int64 // microseconds of CPU accounting now in force, v1 and v2
}

// New makes the groups of one sandbox, bounded.
func (t *Tree) New(id string, limits sandbox.Limits) (*Group, error) {
	g := &Group{t: t, id: id}
	err := g.make()
	if err == nil {
		err = g.Limit(limits)
	}
	if err != nil {
		_ = g.Remove()
		return nil, err
	}
	return g, nil
}

func (g *Group) make() error {
	for _, dir := range g.t.v1 {
		if err := unix.Mkdir(filepath.Join(dir, g.id), 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: filepath.Join(dir, g.id), Err: err}
		}
	}
	if g.t.v2 == "" {
		return nil
	}
	for _, dir := range []string{g.unified(), g.run()} {
		if err := unix.Mkdir(dir, 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: dir, Err: err}
		}
	}
	if g.t.has2("memory") { // one process killed for memory ends all of them, at once
		return write(filepath.Join(g.unified(), "memory.oom.group"), "1")
	}
	return nil
}

func (g *Group) unified() string { return filepath.Join(g.t.v2, g.id) }
func (g *Group) run() string     { return filepath.Join(g.t.v2, g.id, "run") }

func (g *Group) dir(controller string) string {
	if g.t.has2(controller) {
		return g.unified()
	}
	return filepath.Join(g.t.v1[controller], g.id)
}

// Doors are what a process needs to enter a group. The caller closes them.
type Doors struct {
	Join  []*os.File // v1: write "0"
	Clone *os.File   // v2: clone into this folder; nil without v2
	// What freezes: a folder to clone into, or a v1 file to write "0" to; at most one is set.
	RunClone *os.File
	RunJoin  *os.File
}

// Open opens the doors.
func (g *Group) Open() (Doors, error) {
	var d Doors
	var errs []error
	open := func(path string, flags int) *os.File {
		f, err := os.OpenFile(path, flags, 0)
		errs = append(errs, err)
		return f
	}
	for _, name := range controllers {
		dir, ok := g.t.v1[name]
		if !ok {
			continue
		}
		f := open(filepath.Join(dir, g.id, "tasks"), os.O_WRONLY)
		if name == "freezer" {
			d.RunJoin = f
		} else {
			d.Join = append(d.Join, f)
		}
	}
	if g.t.v2 != "" {
		d.Clone = open(g.unified(), os.O_RDONLY|unix.O_DIRECTORY)
		d.RunClone = open(g.run(), os.O_RDONLY|unix.O_DIRECTORY)
	}
	if err := errors.Join(errs...); err != nil {
		d.Close()
		return Doors{}, err
	}
	return d, nil
}

// Close closes the doors.
func (d *Doors) Close() {
	for _, f := range append(d.Join, d.Clone, d.RunClone, d.RunJoin) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// CPU accounting periods: a short one lets small functions run often and briefly, a long one costs less.
const (
	periodShort = 20_000
	periodLong  = 100_000
	quotaMin    = 1_000 // the kernel's least
)

// Limit sets what is not zero in l and has changed.
func (g *Group) Limit(l sandbox.Limits) error {
	if n := l.MemoryBytes; n > 0 && n != g.limits.MemoryBytes {
		if err := g.limitMemory(n); err != nil {
			return err
		}
		g.limits.MemoryBytes = n
	}
	if n := l.CPUs; n > 0 && n != g.limits.CPUs {
		if err := g.limitCPU(n); err != nil {
			return err
		}
		g.limits.CPUs = n
		g.limits.Share = 0
	}
	if n := l.Share; n != g.limits.Share && g.limits.CPUs > 0 {
		if err := g.shareCPU(g.limits.CPUs * float64(cmp.Or(n, 100)) / 100); err != nil {
			return err
		}
		g.limits.Share = n
	}
	if n := l.Pids; n > 0 && n != g.limits.Pids {
		if has, _ := g.t.Has("pids"); has {
			if err := write(filepath.Join(g.dir("pids"), "pids.max"), strconv.Itoa(n+1)); err != nil { // and the init
				return err
			}
		}
		g.limits.Pids = n
	}
	return nil
}

func (g *Group) limitMemory(n int64) error {
	has, _ := g.t.Has("memory")
	if !has {
		return nil
	}
	dir, v := g.dir("memory"), strconv.FormatInt(n, 10)
	if g.t.has2("memory") {
		err := write(filepath.Join(dir, "memory.swap.max"), "0")
		if err != nil && !errors.Is(err, unix.ENOENT) { // absent: a kernel without swap
			return err
		}
		return write(filepath.Join(dir, "memory.max"), v)
	}
	// Memory with swap may never be below memory: raise the one first, lower the other first. Where swap is not counted
	// its file is absent, and swappiness 0 keeps all but the worst case out of swap.
	both := filepath.Join(dir, "memory.memsw.limit_in_bytes")
	if g.limits.MemoryBytes == 0 {
		if err := write(filepath.Join(dir, "memory.swappiness"), "0"); err != nil {
			return err
		}
	}
	if n > g.limits.MemoryBytes && g.limits.MemoryBytes > 0 {
		if err := write(both, v); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	if err := write(filepath.Join(dir, "memory.limit_in_bytes"), v); err != nil {
		return err
	}
	if n < g.limits.MemoryBytes || g.limits.MemoryBytes == 0 {
		if err := write(both, v); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

func (g *Group) limitCPU(cpus float64) error {
	if has, _ := g.t.Has("cpu"); !has {
		return nil
	}
	period := int64(periodLong)
	if cpus < 1 {
		period = periodShort
	}
	quota := max(quotaMin, int64(cpus*float64(period)))
	dir := g.dir("cpu")
	if g.t.has2("cpu") {
		if err := write(filepath.Join(dir, "cpu.max"), fmt.Sprintf("%d %d", quota, period)); err != nil {
			return err
		}
		return g.shareCPU(cpus)
	}
	if g.period != period {
		if err := write(filepath.Join(dir, "cpu.cfs_period_us"), strconv.FormatInt(period, 10)); err != nil {
			return err
		}
		g.period = period
	}
	if err := write(filepath.Join(dir, "cpu.cfs_quota_us"), strconv.FormatInt(quota, 10)); err != nil {
		return err
	}
	return g.shareCPU(cpus)
}

// shareCPU sets what the group counts for beside others where there are not enough processors for all.
func (g *Group) shareCPU(cpus float64) error {
	switch has, _ := g.t.Has("cpu"); {
	case !has:
		return nil
	case g.t.has2("cpu"):
		return write(filepath.Join(g.dir("cpu"), "cpu.weight"), strconv.Itoa(min(10000, max(1, int(cpus*100)))))
	}
	return write(filepath.Join(g.dir("cpu"), "cpu.shares"), strconv.Itoa(max(2, int(cpus*1024))))
}

// Freeze stops the payload's processes. It returns when they stand still, or after freezeWait with an error.
func (g *Group) Freeze() error { return g.freezer("FROZEN", "1") }

// Thaw lets them go on.
func (g *Group) Thaw() error { return g.freezer("THAWED", "0") }

// Release lets processes that have been killed come to their end: frozen ones of the v1 freezer do not die before they are
// thawed, and many that share a small part of a processor take seconds to die of it. It does not wait.
func (g *Group) Release() {
	if dir := g.t.v1["freezer"]; dir != "" && g.t.v2 == "" {
		_ = write(filepath.Join(dir, g.id, "freezer.state"), "THAWED") // gone with the last of them, as what follows
	}
	switch has, _ := g.t.Has("cpu"); {
	case !has:
	case g.t.has2("cpu"):
		_ = write(filepath.Join(g.dir("cpu"), "cpu.max"), "max")
	default:
		_ = write(filepath.Join(g.dir("cpu"), "cpu.cfs_quota_us"), "-1")
	}
}

const freezeWait = 500 * time.Millisecond

func (g *Group) freezer(v1, v2 string) error {
	if g.t.v2 != "" {
		if err := write(filepath.Join(g.run(), "cgroup.freeze"), v2); err != nil {
			return err
		}
		want, _ := strconv.ParseInt(v2, 10, 64)
		return g.await(func() (bool, error) {
			n, err := field(filepath.Join(g.run(), "cgroup.events"), "frozen")
			return n == want, err
		})
	}
	if g.t.v1["freezer"] == "" {
		return errors.New("no freezer: " + g.t.reasons["freezer"])
	}
	state := filepath.Join(g.dir("freezer"), "freezer.state")
	return g.await(func() (bool, error) {
		if err := write(state, v1); err != nil { // again: a fork in the middle of it leaves v1 at FREEZING
			return false, err
		}
		s, err := read(state)
		return s == v1, err
	})
}

func (g *Group) await(done func() (bool, error)) error {
	for wait := 20 * time.Microsecond; ; wait *= 2 {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if wait > freezeWait {
			return errors.New("processes did not come to rest")
		}
		time.Sleep(wait)
	}
}

// Stats reads what the group uses. What no controller counts stays zero.
func (g *Group) Stats() (sandbox.Stats, error) {
	var s sandbox.Stats
	var errs []error
	number := func(n int64, err error) int64 {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		return n
	}
	mem, v2 := g.dir("memory"), g.t.has2("memory")
	switch has, _ := g.t.Has("memory"); {
	case !has:
	case v2:
		s.MemoryBytes = number(readInt(filepath.Join(mem, "memory.current")))
		s.MemoryPeakBytes = max(s.MemoryBytes, number(readInt(filepath.Join(mem, "memory.peak")))) // since Linux 5.19
		s.OOMKilled = number(field(filepath.Join(mem, "memory.events"), "oom_kill")) > 0
	default:
		s.MemoryBytes = number(readInt(filepath.Join(mem, "memory.usage_in_bytes")))
		s.MemoryPeakBytes = number(readInt(filepath.Join(mem, "memory.max_usage_in_bytes")))
		s.OOMKilled = g.oomKilled()
	}
	switch {
	case g.t.v2 != "":
		s.CPU = time.Duration(number(field(filepath.Join(g.unified(), "cpu.stat"), "usage_usec"))) * time.Microsecond
	case g.t.v1["cpuacct"] != "":
		s.CPU = time.Duration(number(readInt(filepath.Join(g.dir("cpuacct"), "cpuacct.usage"))))
	}
	if has, _ := g.t.Has("pids"); has {
		s.Pids = max(0, int(number(readInt(filepath.Join(g.dir("pids"), "pids.current"))))-1) // without the init
	}
	return s, errors.Join(errs...)
}

func (g *Group) oomKilled() bool {
	n, err := field(filepath.Join(g.dir("memory"), "memory.oom_control"), "oom_kill")
	return err == nil && n > 0
}

// WatchOOM calls killed, once, when the kernel has killed a process of the group for memory; the v1 kernel kills one
// and leaves the rest. The returned function ends the watch and must be called before Remove. Under v2 the kernel kills
// the whole group by itself and there is nothing to watch.
func (g *Group) WatchOOM(killed func()) (stop func(), err error) {
	if g.t.v1["memory"] == "" {
		return func() {}, nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	event := os.NewFile(uintptr(fd), "memory event")
	control, err := os.Open(filepath.Join(g.dir("memory"), "memory.oom_control"))
	if err == nil {
		err = write(filepath.Join(g.dir("memory"), "cgroup.event_control"), fmt.Sprintf("%d %d", fd, control.Fd()))
		_ = control.Close()
	}
	if err != nil {
		_ = event.Close()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var b [8]byte
			if _, err := event.Read(b[:]); err != nil {
				return
			}
			// The event tells that the limit was met; the kill follows it.
			for range 100 {
				if g.oomKilled() {
					killed()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
	}()
	return func() { _ = event.Close(); <-ended }, nil
}

// Remove removes the groups. Their processes must be dead; the kernel may need a moment to notice.
func (g *Group) Remove() error {
	var errs []error
	if g.t.v2 != "" {
		errs = append(errs, rmdir(g.run()), rmdir(g.unified()))
	}
	for _, dir := range g.t.v1 {
		errs = append(errs, rmdir(filepath.Join(dir, g.id)))
	}
	return errors.Join(errs...)
}

// removeWait is how long a group may stay busy after its last process has ended.
const removeWait = 2 * time.Second

func rmdir(dir string) error {
	for wait := 100 * time.Microsecond; ; wait *= 2 {
		err := unix.Rmdir(dir)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY || wait > removeWait {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(wait)
	}
}
