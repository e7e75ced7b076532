//go:build linux

package ns

import (
	"fmt"
	"net"
	"sync"

	"github.com/rouse-dev/rouse"
)

// The uids of sandboxes lie above what Linux distributions, subuid ranges and systemd use (which end at 0x6fffffff, see
// systemd's UIDS-GIDS), in blocks, one for each node on the machine.
const (
	usersBase   = 0x70000000
	usersBlock  = 1 << 16
	usersBlocks = 4096
)

// users lends uids. Safe for concurrent use.
type users struct {
	claim net.Listener
	first int

	mu   sync.Mutex
	next int          // guarded by mu
	used map[int]bool // guarded by mu
}

// claimUsers takes a block for this process: who can listen on the block's abstract socket has it, until it dies.
func claimUsers() (*users, error) {
	for i := range usersBlocks {
		l, err := net.Listen("unix", fmt.Sprintf("@rouse-users-%d", i))
		if err == nil {
			return &users{claim: l, first: usersBase + i*usersBlock, used: map[int]bool{}}, nil
		}
	}
	return nil, rouse.Errorf(rouse.Limit, "all %d blocks of sandbox users are taken by other nodes of this machine", usersBlocks)
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
