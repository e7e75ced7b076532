package node

import (
	"context"
	"io/fs"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
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

// memoryBytes is the memory that this node may use: the machine's, or less where a control group that it is in says so; 2 GiB
// when it cannot be told. root is the file system.
func memoryBytes(root fs.FS) int64 {
	const unknown = 2 << 30
	least := int64(0)
	say := func(n int64) {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	number := func(text string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return 0 // "max"
		}
		return n
	}
	text, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			say(number(strings.TrimSuffix(strings.TrimSpace(kb), " kB")) << 10)
		}
	}
	text, _ = fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		mount, file := "sys/fs/cgroup", "memory.max"
		switch controllers {
		case "":
		case "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Clean("/" + group); ; dir = path.Dir(dir) { // in a container the group may be of another root
			limit, _ := fs.ReadFile(root, path.Join(mount, dir, file))
			say(number(string(limit)))
			if dir == "/" {
				break
			}
		}
	}
	if least == 0 {
		return unknown
	}
	return least
}
