// Command escape tries to get out of the sandbox that it runs in, in every way it knows, and prints a line for each:
// the attempt's name, a tab, and the error or "done".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "fds":
		fds()
		return
	case len(os.Args) > 1 && os.Args[1] == "tmp":
		flood()
		return
	case len(os.Args) > 1 && os.Args[1] == "files":
		files()
		return
	case len(os.Args) > 1 && os.Args[1] == "who":
		fmt.Println(who())
		return
	case len(os.Args) > 1 && os.Args[1] == "memory":
		memory()
		return
	case len(os.Args) > 1 && os.Args[1] == "memory of a child":
		child()
		return
	case len(os.Args) > 1 && os.Args[1] == "spin":
		for {
		}
	}
	for _, a := range attempts() {
		result := "done"
		if err := a.try(); err != nil {
			result = err.Error()
		}
		fmt.Printf("%s\t%s\n", a.name, result)
	}
}

type attempt struct {
	name string
	try  func() error
}

func call(nr uintptr, args ...uintptr) func() error {
	var a [6]uintptr
	copy(a[:], args)
	return func() error {
		_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno != 0 {
			return errno
		}
		return nil
	}
}

func str(s string) uintptr { return uintptr(unsafe.Pointer(&append([]byte(s), 0)[0])) }

func attempts() []attempt {
	list := []attempt{}
	add := func(name string, try func() error) { list = append(list, attempt{name, try}) }
	add("find an inherited descriptor", inherited) // before others open some
	for _, p := range []string{"/etc/shadow", "/etc/ssh", "/root", "/home", "/work", "/boot", "/sys", "/var/lib", "/var/run",
		"/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/fuse", "/dev/net/tun", "/.host", "/proc/kmsg"} {
		add("read "+p, func() error { f, err := os.Open(p); close(f); return err })
	}
	for _, p := range []string{"cmdline", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "timer_list"} {
		add("read of the machine in /proc/"+p, func() error {
			b, err := os.ReadFile("/proc/" + p)
			if err == nil && len(b) == 0 {
				return errors.New("empty")
			}
			return err
		})
	}
	for _, p := range []string{"acpi", "asound", "driver", "fs", "scsi"} {
		add("list the machine's /proc/"+p, func() error {
			list, err := os.ReadDir("/proc/" + p)
			if err == nil && len(list) == 0 {
				return errors.New("empty")
			}
			return err
		})
	}
	for _, p := range []string{"/x", "/usr/x", "/etc/x", "/dev/x", "/run/x", "/mnt/x", "/proc/fs/x", "/var/task/x", "/opt/x", "/var/runtime/x",
		"/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
		"/proc/sys/vm/drop_caches", "/proc/sys/kernel/ns_last_pid", "/proc/1/oom_score_adj"} {
		add("write "+p, func() error { return os.WriteFile(p, []byte("1"), 0o644) })
	}
	for _, p := range []string{"environ", "mem", "maps", "root/etc", "cwd", "fd", "ns/net", "ns/mnt"} {
		add("see /proc/1/"+p, func() error { f, err := os.Open("/proc/1/" + p); close(f); return err })
	}
	add("see the init's descriptors", func() error { _, err := os.Readlink("/proc/1/fd/3"); return err })
	add("find other sandboxes' files", findSecrets)
	add("follow a link in the code out", func() error { _, err := os.ReadFile("/var/task/out"); return err })
	add("climb out of the code", func() error { _, err := os.ReadFile("/var/task/../../../../etc/shadow"); return err })
	add("rename in the code", func() error { return os.Rename("/var/task/f", "/var/task/g") })
	add("link a file of the code", func() error { return os.Link("/var/task/f", "/tmp/f") })
	add("replace the code", func() error { return os.Remove("/var/task") })
	processes(add)
	kernel(add)
	sockets(add)
	gains(add)
	listeners(add)
	return list
}

func close(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}

// findSecrets looks where another sandbox's /tmp could show.
func findSecrets() error {
	for _, pattern := range []string{"/tmp/secret-*", "/proc/*/root/tmp/secret-*", "/dev/shm/secret-*", "/run/secret-*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return nil
		}
	}
	return os.ErrNotExist
}

func processes(add func(string, func() error)) {
	add("kill the init", func() error {
		if err := syscall.Kill(1, 9); err != nil {
			return err
		}
		return errors.New("ignored") // it lives, or else we would not
	})
	add("signal the host's processes", func() error {
		for pid := 100; pid < 40000; pid++ {
			if syscall.Kill(pid, 0) != syscall.ESRCH && pid != os.Getpid() {
				return nil
			}
		}
		return syscall.ESRCH
	})
	add("ptrace attach", call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1))
	add("ptrace traceme", call(unix.SYS_PTRACE, unix.PTRACE_TRACEME))
	add("process_vm_readv", call(unix.SYS_PROCESS_VM_READV, 1))
	add("pidfd_getfd", func() error {
		fd, err := unix.PidfdOpen(1, 0)
		if err == nil {
			_, err = unix.PidfdGetfd(fd, 3, 0)
		}
		return err
	})
	add("kcmp", call(unix.SYS_KCMP, 1, 1))
	add("setuid 0", func() error { return call(unix.SYS_SETRESUID, 0, 0, 0)() })
	add("setgid 0", func() error { return call(unix.SYS_SETRESGID, 0, 0, 0)() })
	add("setgroups", call(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(new([4]uint32)))))
	add("capset", func() error {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		d := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return unix.Capset(&h, &d[0])
	})
	add("raise the limit of open files", func() error {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
	})
	add("setuid programs", func() error {
		var st unix.Statfs_t
		for _, p := range []string{"/usr", "/tmp", "/var/task"} {
			if err := unix.Statfs(p, &st); err != nil || st.Flags&unix.ST_NOSUID == 0 {
				return nil
			}
		}
		return syscall.EPERM
	})
	add("device files", func() error {
		if err := unix.Mknod("/tmp/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))); err != nil {
			return err
		}
		f, err := os.Open("/tmp/disk")
		close(f)
		return err
	})
}

func kernel(add func(string, func() error)) {
	for name, flag := range map[string]uintptr{"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET,
		"pid": unix.CLONE_NEWPID, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP} {
		add("unshare "+name, call(unix.SYS_UNSHARE, flag))
		add("clone "+name, func() error {
			pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flag|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			if errno != 0 {
				return errno
			}
			if pid == 0 {
				for {
					syscall.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
				}
			}
			return nil
		})
	}
	add("clone3", call(unix.SYS_CLONE3, uintptr(unsafe.Pointer(new([11]uint64))), 88))
	add("setns", func() error {
		fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return unix.Setns(fd, 0)
	})
	add("mount", func() error { return unix.Mount("x", "/tmp", "tmpfs", 0, "") })
	add("remount", func() error { return unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, "") })
	add("umount", func() error { return unix.Unmount("/proc", unix.MNT_DETACH) })
	add("chroot", func() error { return unix.Chroot("/tmp") })
	add("pivot_root", func() error { return unix.PivotRoot("/tmp", "/tmp") })
	for name, nr := range map[string]uintptr{"open_tree": unix.SYS_OPEN_TREE, "move_mount": unix.SYS_MOVE_MOUNT,
		"fsopen": unix.SYS_FSOPEN, "mount_setattr": unix.SYS_MOUNT_SETATTR, "io_uring_setup": unix.SYS_IO_URING_SETUP,
		"userfaultfd": unix.SYS_USERFAULTFD, "keyctl": unix.SYS_KEYCTL, "add_key": unix.SYS_ADD_KEY,
		"request_key": unix.SYS_REQUEST_KEY, "bpf": unix.SYS_BPF, "perf_event_open": unix.SYS_PERF_EVENT_OPEN,
		"open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT,
		"reboot": unix.SYS_REBOOT, "swapon": unix.SYS_SWAPON, "init_module": unix.SYS_INIT_MODULE,
		"finit_module": unix.SYS_FINIT_MODULE, "kexec_load": unix.SYS_KEXEC_LOAD, "settimeofday": unix.SYS_SETTIMEOFDAY,
		"clock_settime": unix.SYS_CLOCK_SETTIME, "sethostname": unix.SYS_SETHOSTNAME, "acct": unix.SYS_ACCT,
		"quotactl": unix.SYS_QUOTACTL, "syslog": unix.SYS_SYSLOG, "fanotify_init": unix.SYS_FANOTIFY_INIT,
		"syncfs": unix.SYS_SYNCFS, "sync": unix.SYS_SYNC, "lookup by a new number": 9999} {
		add(name, call(nr, 0, 0, 0, 0, 0, 0))
	}
	add("personality", call(unix.SYS_PERSONALITY, 0x0040000))
	foreign(add)
}

func sockets(add func(string, func() error)) {
	for _, s := range []struct {
		name                   string
		family, kind, protocol uintptr
	}{
		{"packet socket", unix.AF_PACKET, unix.SOCK_RAW, 0x300}, {"packet socket, cooked", unix.AF_PACKET, unix.SOCK_DGRAM, 0x300},
		{"raw socket", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP}, {"raw IPv6 socket", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_TCP},
		{"raw socket with flags", unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP},
		{"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0}, {"kernel crypto", unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		{"bluetooth", unix.AF_BLUETOOTH, unix.SOCK_RAW, 1}, {"can", unix.AF_CAN, unix.SOCK_RAW, 1}, {"xdp", unix.AF_XDP, unix.SOCK_RAW, 0},
		{"netfilter", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, {"audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
		{"uevents", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT}, {"generic netlink", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC},
		{"a family beyond 32 bits", 1<<32 | unix.AF_INET, unix.SOCK_STREAM, 0},
	} {
		add(s.name, call(unix.SYS_SOCKET, s.family, s.kind, s.protocol))
	}
	for family := uintptr(17); family < 46; family++ { // any call's number among them must not help
		if family != unix.AF_NETLINK && family != unix.AF_UNIX {
			add(fmt.Sprintf("family %d", family), call(unix.SYS_SOCKET, family, unix.SOCK_DGRAM, 0))
		}
	}
	add("raise an interface", func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		r, _ := unix.NewIfreq("lo")
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
	add("the host's abstract sockets", func() error { c, err := net.Dial("unix", "@rouse-escape-"+port()); closeConn(c); return err })
	add("the host's loopback", func() error { c, err := net.Dial("tcp", "127.0.0.1:"+port()); closeConn(c); return err })
}

func closeConn(c net.Conn) {
	if c != nil {
		_ = c.Close()
	}
}

func port() string {
	if p := os.Getenv("HOST_PORT"); p != "" {
		return p
	}
	return "1"
}

// fds opens files until it may not.
func fds() {
	n := 0
	for {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			fmt.Println(n, err)
			return
		}
		n++
	}
}

// flood fills /tmp.
func flood() {
	block := bytes.Repeat([]byte("x"), 1<<20)
	f, err := os.Create("/tmp/flood")
	n := 0
	for err == nil && n < 1<<10 {
		if _, err = f.Write(block); err == nil {
			n++
		}
	}
	fmt.Println(n, err)
}

// memory takes all there is.
func memory() {
	var all [][]byte
	for {
		all = append(all, bytes.Repeat([]byte("x"), 4<<20))
	}
}

// child has a child take all there is, and lives on.
func child() {
	err := exec.Command("/proc/self/exe", "memory").Run()
	fmt.Println("child:", err)
	select {}
}
