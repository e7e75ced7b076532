package node

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/rouse-dev/rouse"
)

// peer is the other end of a client's connection: which user of this machine holds it. That is looked up once, when a key
// asks for it that everybody knows.
type peer struct{ user func() owner }

// owner is what the system says of who holds the other end of a loopback connection.
type owner struct {
	known bool // false: it is not of this network namespace, or this system does not say
	gone  bool // it was closed: nobody waits for an answer, and whose it was is not known any more
	uid   int
}

type peerKey struct{}

// withPeer is the ConnContext of the listeners.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, &peer{sync.OnceValue(func() owner { return ownerOf(c) })})
}

// users are those who may use the development key: the node's own, root, and who became root for it by sudo.
type users []int

func usersOf(env func(string) (string, bool)) users {
	u := users{0, os.Geteuid()}
	if s, _ := env("SUDO_UID"); os.Geteuid() == 0 {
		if uid, err := strconv.Atoi(s); err == nil {
			u = append(u, uid)
		}
	}
	return u
}

// permits refuses the development key to other users of this machine. One that is not known is let in: behind loopback of
// another network namespace stand port forwards of container engines and of WSL, and what users they have means nothing here.
func (u users) permits(ctx context.Context) error {
	p, _ := ctx.Value(peerKey{}).(*peer)
	if p == nil {
		return nil
	}
	o := p.user()
	if !o.known && !o.gone {
		return nil
	}
	for _, uid := range u {
		if !o.gone && o.uid == uid {
			return nil
		}
	}
	return rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is invalid. "+
		"(The development key is for the user who started this node; start it with --dev-key to accept the key from every user.)")
}
