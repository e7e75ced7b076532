//go:build linux

// Package ns makes sandboxes of Linux namespaces, as root or as an ordinary user.
//
// All work inside is done by processes of a generated interpreter (package script) that execute what Go sends them; no
// thread of the node ever changes its namespaces:
//
//	node ──► base           the host's mounts; rootless: the node's user namespace
//	          ├──► image    one per set of binds: a read-only root, pivoted, kept
//	          │      └──► init     per sandbox, first of its pid namespace: joins its cgroups, unshares the rest,
//	          │             │      mounts /proc, /tmp and /run, sheds its privileges, and waits
//	          │             └──► payload   forked by Exec: another user, no privileges, seccomp
//	          └──► (a fork per Mount: opens the code in the host, steps into the sandbox, attaches it)
//
// Each of them holds one end of a socket whose other end is the node's. When the node dies, however, the sockets close,
// base, images and inits read the end of theirs and exit, and the kernel kills everything else in the pid namespaces. The
// init is no part of what Freeze stops, so this holds for frozen sandboxes too.
//
// The init stays as supervisor: it reaps, reports how the payload ended, and lends sockets of its network namespace, by
// which Listen and Dial work. It runs as the host's root with no capability but to change its user (of a rootless node:
// as the node's user with none that counts outside); the payload cannot signal, trace or read it.
//
// As root each sandbox has a uid of its own. Rootless ones share the node's uid, each payload in a user namespace of its
// own, and have no network but loopback; memory and CPU are limited where systemd has delegated a control group. Report
// says which of it is so.
package ns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/cgroup"
	"github.com/rouse-dev/rouse/sandbox/filter"
	"github.com/rouse-dev/rouse/sandbox/network"
	"github.com/rouse-dev/rouse/sandbox/script"
)

// Config is how the driver works. The zero value is what a node uses.
type Config struct {
	Rootless bool         // even as root, for tests; an ordinary user has no choice
	Egress   bool         // prepare the network of sandboxes that reach the public internet
	Max      int          // sandboxes at once; default and limit 16384
	Logger   *slog.Logger // default: discard
	Cgroups  cgroup.Config
	Network  network.Config // Owner, Namespace and Logger are the driver's to fill in
}

const sandboxesMax = 16384

// Driver makes sandboxes of namespaces.
type Driver struct {
	log      *slog.Logger
	max      int
	rootless bool
	base     *helper
	basePid  int
	tree     *cgroup.Tree // nil: no limits
	treeErr  error
	users    *users           // nil: rootless
	net      *network.Network // nil: no egress
	netErr   error
	filter   []byte // struct sock_filter, assembled once
	filterN  int
	number   atomic.Int64
	swept    []string

	mu     sync.Mutex
	images map[string]*image   // guarded by mu
	boxes  map[string]*Sandbox // guarded by mu; those that are built and not yet freed
	count  int                 // guarded by mu; those being built too
	closed bool                // guarded by mu
	freed  sync.WaitGroup      // one per box
}

// image is made once; whoever wants it meanwhile waits.
type image struct {
	once   sync.Once
	helper *helper
	err    error
}

var _ sandbox.Driver = (*Driver)(nil)

// Open starts the driver and proves that it works by making one sandbox. An error says why it cannot on this machine.
func Open(ctx context.Context, c Config) (*Driver, error) {
	d := &Driver{log: c.Logger, max: c.Max, rootless: c.Rootless || os.Geteuid() != 0,
		images: map[string]*image{}, boxes: map[string]*Sandbox{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.max <= 0 || d.max > sandboxesMax {
		d.max = sandboxesMax
	}
	var err error
	if d.filter, d.filterN, err = filter.Program(true); err != nil {
		return nil, fmt.Errorf("assemble the system call filter: %w", err)
	}
	if d.tree, d.treeErr = cgroup.Open(c.Cgroups); d.treeErr == nil {
		gone, err := d.tree.Sweep()
		if err != nil {
			d.log.Warn("groups of a node that died could not be removed", "err", err)
		}
		d.swept = gone
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.openNetwork(ctx, c)
	return d, nil
}

func (d *Driver) start(ctx context.Context) error {
	sys := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if d.rootless {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	} else {
		users, err := claimUsers(usersDir)
		if err != nil {
			return err
		}
		d.users = users
	}
	s := &script.Script{}
	s.Call("close what the node inherited", unix.SYS_CLOSE_RANGE, 4, uint64(1<<32-1), 0)
	s.Call("follow the host's mounts", unix.SYS_MOUNT, "none", "/", 0, unix.MS_REC|unix.MS_SLAVE, 0)
	s.Call("umask", unix.SYS_UMASK, 0o022)
	s.Call("setsid", unix.SYS_SETSID).Ignore()
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTERM} {
		s.Call("default signal", unix.SYS_RT_SIGACTION, int(sig), make([]byte, 32), 0, 8) // whatever nohup has set
	}
	// Ended forks need no waiting for: the kernel reaps the children of who ignores SIGCHLD.
	s.Call("ignore SIGCHLD", unix.SYS_RT_SIGACTION, int(unix.SIGCHLD), s.Words(1, 0, 0, 0), 0, 8)
	s.Reply(unix.SYS_WRITE, []byte("ready"))
	s.Receive()
	var err error
	if d.base, d.basePid, err = startHelper(s, sys); err != nil {
		return fmt.Errorf("make the first namespaces: %w", err)
	}
	return d.prove(ctx)
}

// prove makes and runs one sandbox. Without limits it would still be one, so when they are what fails it goes on
// without; Report tells.
func (d *Driver) prove(ctx context.Context) error {
	spec := sandbox.Spec{Limits: sandbox.LambdaLimits(128, 16)}
	err := d.tryOne(ctx, spec)
	if err != nil && d.tree != nil {
		_ = d.tree.Close()
		d.tree, d.treeErr = nil, err
		err = d.tryOne(ctx, spec)
	}
	if err != nil {
		return fmt.Errorf("make a first sandbox: %w", err)
	}
	return nil
}

func (d *Driver) tryOne(ctx context.Context, spec sandbox.Spec) error {
	b, err := d.create(ctx, spec)
	if err != nil {
		return err
	}
	defer b.Kill()
	if err := b.Exec([]string{"/bin/sh", "-c", "exit 7"}, nil, "/tmp", nil); err != nil {
		return err
	}
	timeout := time.NewTimer(answerWait)
	defer timeout.Stop()
	select {
	case <-b.Done():
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errors.New("the first program did not end")
	}
	if got := b.Exit(); got.Code != 7 {
		return fmt.Errorf("the first program ended with %+v, not with status 7", got)
	}
	return nil
}

// imageFor returns the image of binds, making it if it is the first time.
func (d *Driver) imageFor(ctx context.Context, binds []sandbox.Bind) (*image, time.Duration, error) {
	key := imageKey(binds)
	d.mu.Lock()
	i := d.images[key]
	if i == nil && !d.closed {
		if len(d.images) >= imagesMax {
			d.mu.Unlock()
			return nil, 0, rouse.Errorf(rouse.Limit, "this node has %d sandbox images, its limit", imagesMax)
		}
		i = &image{}
		d.images[key] = i
	}
	d.mu.Unlock()
	if i == nil {
		return nil, 0, errClosed()
	}
	var took time.Duration
	i.once.Do(func() {
		start := time.Now()
		i.helper, i.err = d.newImage(ctx, binds)
		took = time.Since(start)
	})
	if i.err != nil { // the next one tries again
		d.forget(binds, i)
	}
	return i, took, i.err
}

// forget gives up an image that does not work.
func (d *Driver) forget(binds []sandbox.Bind, i *image) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key := imageKey(binds); d.images[key] == i {
		delete(d.images, key)
		if i.helper != nil {
			i.helper.close()
		}
	}
}

const imagesMax = 256

func errClosed() error { return rouse.Errorf(rouse.Unavailable, "the sandbox driver is closed") }

// Close kills all sandboxes and gives everything back.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	var boxes []*Sandbox
	for _, b := range d.boxes {
		boxes = append(boxes, b)
	}
	images := d.images
	d.images = map[string]*image{}
	d.mu.Unlock()
	for _, b := range boxes {
		b.end()
	}
	d.freed.Wait()
	for _, i := range images {
		if i.helper != nil {
			i.helper.close()
		}
	}
	var netErr error
	if d.net != nil {
		netErr = d.net.Close()
	}
	if d.base != nil {
		d.base.close()
		_, _ = syscall.Wait4(d.basePid, nil, 0, nil)
	}
	if d.users != nil {
		d.users.close()
	}
	if d.tree != nil {
		return errors.Join(netErr, d.tree.Close())
	}
	return netErr
}
