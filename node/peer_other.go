//go:build !linux

package node

import "net"

// ownerOf knows nobody: this system does not tell an ordinary user whose a socket is.
func ownerOf(net.Conn) owner { return owner{} }
