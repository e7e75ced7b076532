package process

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/filter"
)

// program is what start starts.
type program struct {
	argv     []string
	attr     *syscall.ProcAttr
	files    int
	readable []string // folders and files, for reading and executing
	writable []string // folders, for everything
}

// confinement is what this kernel can put on a child.
type confinement struct {
	landlock int // version of its interface, 0 without
	filter   []unix.SockFilter
}

func newConfinement() (confinement, error) {
	var c confinement
	if v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno == 0 {
		c.landlock = int(v)
	}
	var denied []string
	if c.landlock > 0 && c.landlock < landlockTruncate {
		denied = append(denied, "truncate") // of a path; a file that was opened can be cut off
	}
	code, n, err := filter.Program(false, denied...)
	if err != nil {
		return c, err
	}
	c.filter = make([]unix.SockFilter, n)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&c.filter[0])), len(code)), code)
	return c, nil
}

// Versions of Landlock's interface that govern more than opening files.
const (
	landlockRefer    = 2
	landlockTruncate = 3
	landlockSignals  = 6
)

// signals reports whether a child can signal only what belongs to it.
func (c confinement) signals() bool { return c.landlock >= landlockSignals }

// files reports whether a child can only open what it is shown.
func (c confinement) files() bool { return c.landlock > 0 }

func (c confinement) checks() (files, calls sandbox.Check) {
	files = sandbox.Check{Name: sandbox.CheckFiles, State: sandbox.Partial,
		Detail: "by Landlock: the system's programs and the function's own files can be opened, names be looked up everywhere"}
	if c.landlock == 0 {
		files.State, files.Detail = sandbox.Missing, "a function reads and writes what the node's user can"
		files.Lift = "boot with Landlock (lsm=landlock,…; Linux 5.13 or newer)"
	}
	return files, sandbox.Check{Name: sandbox.CheckSyscalls, State: sandbox.InForce, Detail: "by seccomp, an allow-list; the host's UNIX sockets cannot be connected to"}
}

// start starts p on a thread of its own that first gives up what the child shall not have. Landlock, seccomp and
// no_new_privs belong to a thread and are inherited; the thread ends with its goroutine because it stays locked. The Go
// runtime never makes other threads from a locked one.
func (c confinement) start(p program) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = c.enter(p); err == nil {
			pid, err = syscall.ForkExec(p.argv[0], p.argv, p.attr)
		}
	}()
	<-done
	if err != nil {
		return 0, err
	}
	limit := unix.Rlimit{Cur: uint64(p.files), Max: uint64(p.files)}
	none := unix.Rlimit{}
	err = errors.Join(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil), unix.Prlimit(pid, unix.RLIMIT_CORE, &none, nil))
	if err != nil && !errors.Is(err, unix.ESRCH) {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		return 0, err
	}
	return pid, nil
}

func (c confinement) enter(p program) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if c.landlock > 0 {
		if err := c.enterLandlock(p); err != nil {
			return err
		}
	}
	// Of a root's child: with no_new_privs its execve gets back none of these.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	prog := unix.SockFprog{Len: uint16(len(c.filter)), Filter: &c.filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(c.filter)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// Rights of Landlock by the version that brought them.
const (
	rightsRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsAll1 = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	rightsFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE // what a rule for a file may name
)

// enterLandlock cannot use landlock-lsm/go-landlock: that restricts every thread of the process, the node's included.
func (c confinement) enterLandlock(p program) error {
	all := uint64(rightsAll1)
	if c.landlock >= landlockRefer {
		all |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if c.landlock >= landlockTruncate {
		all |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: all}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if c.signals() {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		size = unsafe.Offsetof(attr.Quiet_access_fs)
	}
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(fd))
	for _, x := range systemReadable() {
		if err := allow(int(fd), x, rightsRead); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, x := range p.readable {
		if err := allow(int(fd), x, rightsRead); err != nil {
			return err
		}
	}
	for _, x := range p.writable {
		if err := allow(int(fd), x, all); err != nil {
			return err
		}
	}
	for _, x := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"} {
		if err := allow(int(fd), x, unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil &&
			!errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

func allow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "landlock_add_rule", Path: path, Err: errno}
	}
	return nil
}

// systemReadable are the host's programs and the files of /etc that they read. /proc tells a confined process about
// itself only: what it shows of others needs the right to trace them.
func systemReadable() []string {
	return []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/proc", "/etc/ssl", "/etc/pki",
		"/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
		"/etc/nsswitch.conf", "/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf",
		"/etc/passwd", "/etc/group", "/etc/localtime", "/etc/mime.types", "/etc/protocols", "/etc/services",
		"/etc/os-release"}
}
