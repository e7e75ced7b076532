//go:build linux

package ns

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/network"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// openNetwork prepares public egress, where it was asked for and is possible. Report says why not.
func (d *Driver) openNetwork(ctx context.Context, c Config) {
	switch {
	case !c.Egress:
		d.netErr = errors.New("it is turned off")
		return
	case d.rootless:
		d.netErr = errors.New("only root can join networks")
		return
	}
	n := c.Network
	n.Namespace, n.Logger = d.networkNamespace, d.log
	if n.Owner == "" {
		n.Owner, d.netErr = cgroup.Owner(os.Getpid())
	}
	if d.netErr == nil {
		d.net, d.netErr = network.Open(ctx, n)
	}
	if d.netErr != nil {
		d.log.Warn("sandboxes have no public egress", "err", d.netErr)
	}
}

// networkNamespace has a fork of the base make a network namespace; it lives by the files that come back.
func (d *Driver) networkNamespace(ctx context.Context) (ns, udp, tcp, control *os.File, err error) {
	c, s, err := d.base.fork(0, -1, nil, func(s *script.Script) {
		s.Call("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWNET)
		raiseLoopback(s)
		// Interfaces made from now on have no IPv6; a kernel without it has no such file.
		fd := s.Call("open", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6",
			unix.O_WRONLY|unix.O_CLOEXEC, 0).Ignore().Var()
		s.Call("disable IPv6", unix.SYS_WRITE, fd, "1", 1).Ignore()
		files := []script.Var{s.Call("open the namespace", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/ns/net",
			unix.O_RDONLY|unix.O_CLOEXEC, 0).Var()}
		for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			files = append(files, s.Call("socket", unix.SYS_SOCKET, unix.AF_INET,
				kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0).Var())
		}
		s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(tagReply)}, files)
		s.Call("exit", unix.SYS_EXIT_GROUP, 0)
	})
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer c.Close()
	m, err := receive(ctx, c, s)
	if err != nil {
		return nil, nil, nil, nil, gone(err)
	}
	if len(m.files) != 4 {
		m.close()
		return nil, nil, nil, nil, errors.New("the helper sent no network namespace")
	}
	var f [4]*os.File
	for i, fd := range m.files {
		f[i] = os.NewFile(uintptr(fd), "network")
	}
	return f[0], f[1], f[2], f[3], nil
}
