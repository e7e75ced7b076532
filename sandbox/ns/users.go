//go:build linux

package ns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/rouse-dev/rouse"
)

// The uids of sandboxes lie above what Linux distributions, subuid ranges and systemd use (which end at 0x6fffffff, see
// systemd's UIDS-GIDS), in blocks, one for each node on the machine.
const (
	usersBase   = 0x70000000
	usersBlock  = 1 << 16
	usersBlocks = 4096
	usersDir    = "/run/rouse" // root's alone, and of the machine: nodes in several network namespaces share it
)

// users lends uids. Safe for concurrent use.
type users struct {
	claim io.Closer
	first int

	mu   sync.Mutex
	next int          // guarded by mu
	used map[int]bool // guarded by mu
}

// claimUsers takes a block for this process: who holds the lock of the block's file in dir has it, until it dies. Where
// root may not write there, as in a service that sees its system read-only, who listens on the block's abstract socket
// has it, which is known within this network namespace only.
func claimUsers(dir string) (*users, error) {
	claim := func(i int) (io.Closer, error) { return lockFile(filepath.Join(dir, fmt.Sprintf("users-%d", i))) }
	if err := os.MkdirAll(dir, 0o700); err != nil || syscall.Access(dir, 2) != nil {
		claim = func(i int) (io.Closer, error) { return net.Listen("unix", fmt.Sprintf("@rouse-users-%d", i)) }
	}
	for i := range usersBlocks {
		c, err := claim(i)
		if err == nil {
			return &users{claim: c, first: usersBase + i*usersBlock, used: map[int]bool{}}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("claim sandbox users: %w", err)
		}
	}
	return nil, rouse.Errorf(rouse.Limit, "all %d blocks of sandbox users are taken by other nodes of this machine", usersBlocks)
}

// lockFile makes a file and locks it; the error is EWOULDBLOCK when another process has.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

// take lends the uid that has rested longest.
func (u *users) take() (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for range usersBlock {
		id := u.first + u.next
		u.next = (u.next + 1) % usersBlock
		if !u.used[id] {
			u.used[id] = true
			return id, nil
		}
	}
	return 0, rouse.Errorf(rouse.Limit, "all %d sandbox users are in use", usersBlock)
}

func (u *users) give(id int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.used, id)
}

func (u *users) close() { _ = u.claim.Close() }
