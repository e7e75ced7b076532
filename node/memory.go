package node

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// headroomBytes are set aside and never touched. They take no memory, but the collector counts them as in use, and waits
// until as much again has been made as garbage before it looks. What a node keeps is some 15 MiB: without the headroom it was
// collected a hundred times a second under load, and reads of the database came at 0.42 of their limit instead of 0.59.
// Unlike a higher GOGC it adds nothing to that, whatever the size of what is kept (cache tables may be large).
const headroomBytes = 64 << 20

// settleAfter is when the garbage of the start is given back: once what everybody waits for is done.
const settleAfter = time.Second

// headroom keeps the collector away while the node runs.
func headroom(ctx context.Context) error {
	held := make([]byte, headroomBytes)
	settle := time.NewTimer(settleAfter)
	defer settle.Stop()
	select {
	case <-settle.C:
		debug.FreeOSMemory()
		<-ctx.Done()
	case <-ctx.Done():
	}
	runtime.KeepAlive(held)
	return nil
}
