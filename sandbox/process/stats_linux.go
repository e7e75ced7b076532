package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
)

// clockTick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const clockTick = time.Second / 100

// groupStats adds up the session of process main.
func groupStats(main int) sandbox.Stats {
	var s sandbox.Stats
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return s
	}
	page := int64(os.Getpagesize())
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		i := strings.LastIndexByte(string(b), ')')
		if err != nil || i < 0 {
			continue
		}
		f := strings.Fields(string(b[i+1:])) // state ppid pgrp session …
		if len(f) < 22 || f[3] != strconv.Itoa(main) {
			continue
		}
		number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
		s.Pids += int(number(17))
		s.CPU += time.Duration(number(11)+number(12)) * clockTick
		s.MemoryBytes += number(21) * page
	}
	return s
}

func peakBytes(use syscall.Rusage) int64 { return use.Maxrss << 10 }
