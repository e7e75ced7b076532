//go:build linux

package ns

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// rootTree is what every image has besides its binds.
type rootTree struct {
	links [][2]string // link, target
	files [][2]string // path, content
	binds []sandbox.Bind
}

// userland is the host's programs and the few files of /etc that they read, with Lambda's defaults where the host's own
// would tell about the host.
func userland() rootTree {
	t := rootTree{
		files: [][2]string{
			{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
			{"/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
			{"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"},
			{"/etc/os-release", "NAME=\"Rouse sandbox\"\nID=rouse\n"},
		},
		links: [][2]string{
			{"/etc/passwd", "/run/passwd"}, {"/etc/group", "/run/group"}, {"/etc/mtab", "/proc/self/mounts"},
		},
	}
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"} {
		if to, err := os.Readlink(dir); err == nil {
			t.links = append(t.links, [2]string{dir, to})
		} else if isDir(dir) {
			t.binds = append(t.binds, sandbox.Bind{Source: dir, Target: dir})
		}
	}
	for _, file := range []string{"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache",
		"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/mime.types", "/etc/protocols", "/etc/services"} {
		if _, err := os.Stat(file); err == nil {
			t.binds = append(t.binds, sandbox.Bind{Source: file, Target: file})
		}
	}
	return t
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}

// deviceLinks are the symbolic links of /dev.
var deviceLinks = [...][2]string{{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"shm", "/tmp"}}

// devices are /dev of a sandbox: name, major, minor.
var devices = [...]struct {
	name         string
	major, minor uint32
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

// The image is built on this folder, which every host has; the host's own is opened before it is covered, and only in
// the builder's mount namespace.
const buildAt = "/usr"

const (
	attrShared = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	treeFlags  = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE
)

// newImage makes the mount namespace of an image and returns the helper that lives in it.
func (d *Driver) newImage(ctx context.Context, binds []sandbox.Bind) (*helper, error) {
	tree := userland()
	for _, b := range binds {
		source, err := filepath.EvalSymlinks(b.Source)
		if err != nil {
			return nil, rouse.Errorf(rouse.Invalid, "bind at %s: %w", b.Target, err)
		}
		tree.binds = append(tree.binds, sandbox.Bind{Source: source, Target: b.Target})
	}
	c, s, err := d.base.fork(0, -1, nil, func(s *script.Script) {
		s.Call("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWNS)
		s.Call("make mounts private", unix.SYS_MOUNT, "none", "/", 0, unix.MS_REC|unix.MS_PRIVATE, 0)
		buildImage(s, tree, d.rootless)
		s.Reply(unix.SYS_WRITE, []byte("ready"))
		s.Receive()
	})
	if err != nil {
		return nil, err
	}
	if _, err := receive(ctx, c, s); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("build the image: %w", gone(err))
	}
	return &helper{conn: c}, nil
}

func buildImage(s *script.Script, tree rootTree, rootless bool) {
	attr := s.Words(attrShared, 0, 0, 0)
	roots := make([]script.Var, len(tree.binds))
	for i, b := range tree.binds {
		roots[i] = s.Call("open "+b.Source, unix.SYS_OPEN_TREE, unix.AT_FDCWD, b.Source, treeFlags).Var()
		s.Call("restrict "+b.Source, unix.SYS_MOUNT_SETATTR, roots[i], "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr, 32)
	}
	nodes := openDevices(s, rootless)
	s.Call("mount the root", unix.SYS_MOUNT, "rouse", buildAt, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=755")
	s.Call("enter the root", unix.SYS_CHDIR, buildAt)
	folders := newFolders(s)
	for _, dir := range append([]string{"/proc", "/dev", "/tmp", "/run", "/etc", emptyDir, "/.host"}, sandbox.MountPoints()...) {
		folders.make(dir)
	}
	for _, l := range tree.links {
		folders.make(path.Dir(l[0]))
		s.Call("link "+l[0], unix.SYS_SYMLINKAT, l[1], unix.AT_FDCWD, "."+l[0])
	}
	makeDevices(s, nodes, rootless)
	for _, f := range tree.files {
		folders.make(path.Dir(f[0]))
		writeFile(s, "."+f[0], f[1])
	}
	for i, b := range tree.binds {
		folders.target(b)
		s.Call("bind "+b.Target, unix.SYS_MOVE_MOUNT, roots[i], "", unix.AT_FDCWD, "."+b.Target, unix.MOVE_MOUNT_F_EMPTY_PATH)
		s.Call("close", unix.SYS_CLOSE, roots[i])
	}
	s.Call("change the root", unix.SYS_PIVOT_ROOT, ".", "./.host")
	s.Call("enter the root", unix.SYS_CHDIR, "/")
	s.Call("leave the host", unix.SYS_UMOUNT2, "/.host", unix.MNT_DETACH)
	s.Call("remove /.host", unix.SYS_UNLINKAT, unix.AT_FDCWD, "/.host", unix.AT_REMOVEDIR)
	s.Call("make the root read-only", unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", 0,
		s.Words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0), 32)
}

// openDevices opens the host's nodes, and its /proc, where we may not make our own.
func openDevices(s *script.Script, rootless bool) []script.Var {
	if !rootless {
		return nil
	}
	var nodes []script.Var
	for _, d := range devices {
		nodes = append(nodes, s.Call("open /dev/"+d.name, unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/dev/"+d.name, treeFlags).Var())
	}
	return append(nodes, s.Call("open /proc", unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/proc", treeFlags).Var())
}

func makeDevices(s *script.Script, nodes []script.Var, rootless bool) {
	s.Call("mount /dev", unix.SYS_MOUNT, "rouse", "./dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "size=64k,mode=755")
	for i, d := range devices {
		name := "./dev/" + d.name
		if !rootless {
			s.Call("make "+name, unix.SYS_MKNODAT, unix.AT_FDCWD, name, unix.S_IFCHR|0o666, unix.Mkdev(d.major, d.minor))
			s.Call("open "+name+" to all", unix.SYS_FCHMODAT, unix.AT_FDCWD, name, 0o666)
			continue
		}
		writeFile(s, name, "")
		s.Call("bind "+name, unix.SYS_MOVE_MOUNT, nodes[i], "", unix.AT_FDCWD, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
		s.Call("close", unix.SYS_CLOSE, nodes[i])
	}
	for _, l := range deviceLinks {
		s.Call("link /dev/"+l[0], unix.SYS_SYMLINKAT, l[1], unix.AT_FDCWD, "./dev/"+l[0])
	}
	s.Call("make /dev read-only", unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "./dev", 0,
		s.Words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0), 32)
	if rootless {
		// The kernel lets a user namespace mount a /proc only where it already sees one whole. It is covered by the
		// sandbox's own.
		host := nodes[len(devices)]
		s.Call("bind /proc", unix.SYS_MOVE_MOUNT, host, "", unix.AT_FDCWD, "./proc", unix.MOVE_MOUNT_F_EMPTY_PATH)
		s.Call("close", unix.SYS_CLOSE, host)
	}
}

func writeFile(s *script.Script, name, content string) {
	fd := s.Call("create "+name, unix.SYS_OPENAT, unix.AT_FDCWD, name,
		unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0o644).Var()
	if content != "" {
		s.Call("write "+name, unix.SYS_WRITE, fd, []byte(content), len(content))
	}
	s.Call("close "+name, unix.SYS_CLOSE, fd)
}

// folders makes each folder once, parents first.
type folders struct {
	s    *script.Script
	done map[string]bool
}

func newFolders(s *script.Script) *folders { return &folders{s, map[string]bool{"/": true}} }

// make makes dir. One that is there, from the host, is as good: what needs it will say so if it is not.
func (f *folders) make(dir string) {
	if f.done[dir] {
		return
	}
	f.make(path.Dir(dir))
	f.done[dir] = true
	f.s.Call("make "+dir, unix.SYS_MKDIRAT, unix.AT_FDCWD, "."+dir, 0o755).Ignore()
}

func (f *folders) target(b sandbox.Bind) {
	if isDir(b.Source) {
		f.make(b.Target)
		return
	}
	f.make(path.Dir(b.Target))
	fd := f.s.Call("make "+b.Target, unix.SYS_OPENAT, unix.AT_FDCWD, "."+b.Target,
		unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644).Ignore().Var()
	f.s.Call("close", unix.SYS_CLOSE, fd).Ignore()
}

// imageKey tells images apart.
func imageKey(binds []sandbox.Bind) string {
	var b strings.Builder
	for _, x := range binds {
		fmt.Fprintf(&b, "%q %q\n", x.Source, x.Target)
	}
	return b.String()
}
