// Package sandbox says what a sandbox is: an isolated place where code can run, and what a driver that makes them does.
//
// A sandbox begins empty (level L1 in docs/DESIGN.md §6): namespaces, mounts, limits, and an init that waits. It becomes
// an instance by Mount (the function's code), Limit (its size) and Exec (its runtime), and is then never anything else;
// at the end it is killed, never cleaned for another function.
//
//	Create ──► empty ──Exec──► running ──────────► ended
//	            │ Mount, Limit,  │ Mount, Limit,     ▲ Done is closed,
//	            │ Listen         │ Listen, Dial,     │ Exit and Stats stay
//	            │                │ Freeze, Thaw      │
//	            └────────────────┴──Kill─────────────┘
//
// Drivers live in sub-packages: ns (Linux namespaces, as root or rootless) and process (a plain child process with what
// protection the system has). Package driver picks one. A driver's Report tells what is in force and what is not; nothing
// is quietly weaker than it looks.
//
// What every driver promises:
//   - Driver and Sandbox are safe for concurrent use. Two calls of one sandbox may wait for each other.
//   - Nothing of the node is inherited by what runs inside but the files given to Exec.
//   - One tree of processes per sandbox; when its first process ends or Kill is called, all of it ends.
//   - When the node dies, by kill -9 too, its sandboxes die with it; what the kernel does not take back by itself
//     (cgroups, a bridge) the next Open sweeps away.
//
// What a sandbox runs, and what is said to it, is the business of package guest; which one is used when, of package pool.
package sandbox

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// Places where Mount may put something. The driver prepares them in every sandbox.
const (
	MountTask    = "/var/task"    // the function's code
	MountLayers  = "/opt"         // its layers
	MountRuntime = "/var/runtime" // the guest's bootstrap
	MountLang    = "/var/lang"    // an interpreter
)

// MountPoints are all of them.
func MountPoints() []string { return []string{MountTask, MountLayers, MountRuntime, MountLang} }

// Lambda's shape (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const (
	memoryPerCPU = 1769 << 20 // bytes of memory that come with one vCPU
	filesMax     = 1024
	pidsMax      = 1024
)

// Limits bound a sandbox. A zero field is not limited by this driver's means, except where noted.
type Limits struct {
	MemoryBytes int64   // all processes, page cache and /tmp together
	CPUs        float64 // cores' worth of time, fractional
	Share       int     // percent of its fair part of processors that are short, 1 to 100; 0 means 100
	Pids        int     // processes and threads
	Files       int     // open files of one process; 0 means 1024. Taken by Exec
	TmpBytes    int64   // size of /tmp; 0 means 512 MiB
}

// LambdaLimits are the limits of a function with that much memory and /tmp.
func LambdaLimits(memoryMB, tmpMB int) Limits {
	bytes := int64(memoryMB) << 20
	return Limits{
		MemoryBytes: bytes,
		CPUs:        float64(bytes) / memoryPerCPU,
		Pids:        pidsMax,
		Files:       filesMax,
		TmpBytes:    int64(tmpMB) << 20,
	}
}

// Bind shows Source, a file or folder of the host, read-only at Target inside.
type Bind struct {
	Source string // absolute; symbolic links are followed once, when the image is made
	Target string // absolute and clean; not /, /proc, /dev or /tmp or below
}

// Spec is what to create.
type Spec struct {
	Image    []Bind // on top of the host's /usr and the few files of /etc that programs need; at most BindsMax
	Limits   Limits
	Egress   egress.Policy // of the public internet, what to reach; refused as Unsupported when the driver cannot
	Hostname string        // "" means "sandbox"
}

// BindsMax is how many binds an image may have.
const BindsMax = 32

// Driver makes sandboxes. Safe for concurrent use.
type Driver interface {
	// Create makes an empty sandbox, its init waiting. Errors are of Kind Invalid (spec), Unsupported (the driver cannot
	// do what spec asks), Limit (too many sandboxes) or Internal.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	// Report says what is in force.
	Report() Report
	// Close kills what is left and gives back what the driver holds.
	Close() error
}

// Sandbox is one isolated place. Its methods answer rouse.Unavailable after it has ended.
type Sandbox interface {
	// ID is unique on this node while the node lives.
	ID() string
	// Mount shows src, a folder of the host, read-only at dst, one of MountPoints. Before or after Exec.
	Mount(src, dst string) error
	// Path is where the code inside sees dst, a mount point or /tmp: dst itself where the driver has mounts.
	Path(dst string) string
	// Exec starts argv in dir with exactly env; files become its descriptors 0, 1, 2, 3 … and stay the caller's.
	// Missing ones of the first three are /dev/null. nil means that it runs; it can be called once.
	Exec(argv, env []string, dir string, files []*os.File) error
	// Listen accepts connections that the code inside makes to the returned address. port may be 0.
	Listen(port int) (net.Listener, string, error)
	// Dial connects to port of the sandbox's loopback.
	Dial(ctx context.Context, port int) (net.Conn, error)
	// Limit changes the limits. Fields that are zero stay as they are.
	Limit(Limits) error
	// Reach narrows what is reached to what both Spec.Egress and p allow. It is called before code runs that may not reach the
	// rest; after an error the sandbox must be killed. Unsupported: the driver cannot keep processes from the network.
	Reach(p egress.Policy) error
	// Freeze stops all processes of the code where they are; Thaw lets them go on. Both are idempotent.
	Freeze() error
	Thaw() error
	// Stats reads what is used. After the end it is the last reading.
	Stats() (Stats, error)
	// Timing is how long making it took.
	Timing() Timing
	// Done is closed when the first process has ended.
	Done() <-chan struct{}
	// Exit says how; the zero Exit before Done.
	Exit() Exit
	// Kill ends all of it and waits, a bounded time, until nothing is left. Idempotent; needed after Done too.
	Kill()
}

// Stats is what a sandbox uses.
type Stats struct {
	MemoryBytes     int64
	MemoryPeakBytes int64
	CPU             time.Duration // user and system
	Pids            int
	OOMKilled       bool // the kernel killed one of its processes for memory
}

// Exit is how a sandbox ended.
type Exit struct {
	Code   int  // exit status of the first process; -1 when a signal ended it
	Signal int  // that ended it, or 0
	OOM    bool // the memory limit was the reason
}

// Timing breaks the making of a sandbox down. Zero phases did not happen.
type Timing struct {
	Image   time.Duration // making the image, the first time only
	Limits  time.Duration // cgroups
	Network time.Duration // taking a network with egress
	Init    time.Duration // namespaces, mounts and privileges, until init waits
	Create  time.Duration // all of Create
	Mount   time.Duration // all Mounts so far
	Exec    time.Duration // until the program was loaded
}

// Report is what isolation is in force, for people.
type Report struct {
	Driver string // "ns", "ns rootless", "process"
	Checks []Check
}

// Check is one protection.
type Check struct {
	Name   string // "memory limit"
	State  State
	Detail string // how it is done, or why not
	Lift   string // what the operator can do about it; "" when nothing or not needed
}

// State says whether a protection holds.
type State string

// The states.
const (
	InForce State = "in force"
	Partial State = "partial"
	Missing State = "missing"
)

// Limited reports whether memory, CPU and processes of each sandbox are all bounded: what `serve` asks for.
func (r Report) Limited() bool {
	for _, c := range r.Checks {
		if (c.Name == CheckMemory || c.Name == CheckCPU || c.Name == CheckPids) && c.State != InForce {
			return false
		}
	}
	return len(r.Checks) > 0
}

// Egress reports whether Spec.Egress is possible.
func (r Report) Egress() bool {
	for _, c := range r.Checks {
		if c.Name == CheckEgress {
			return c.State != Missing
		}
	}
	return false
}

// Names of the checks, the same in every driver.
const (
	CheckFiles    = "file isolation"
	CheckProcess  = "process isolation"
	CheckUser     = "user per sandbox"
	CheckNetwork  = "network isolation"
	CheckEgress   = "public egress"
	CheckSyscalls = "system call filter"
	CheckMemory   = "memory limit"
	CheckCPU      = "cpu limit"
	CheckPids     = "process limit"
	CheckTmp      = "tmp limit"
	CheckFreeze   = "freezing"
	CheckDeath    = "death with the node"
)

// Validate checks spec as every driver understands it.
func (s Spec) Validate() error {
	if len(s.Image) > BindsMax {
		return rouse.Errorf(rouse.Invalid, "image of %d binds: the limit is %d", len(s.Image), BindsMax)
	}
	for _, b := range s.Image {
		if err := b.validate(); err != nil {
			return err
		}
	}
	if len(s.Hostname) > 64 {
		return rouse.Errorf(rouse.Invalid, "host name of %d characters: the limit is 64", len(s.Hostname))
	}
	return s.Limits.validate()
}
