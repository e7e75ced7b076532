//go:build !linux

package http1

import (
	"io"
	"net"
)

// socketOf returns what reads and writes a connection.
func socketOf(c net.Conn) io.ReadWriter { return c }
