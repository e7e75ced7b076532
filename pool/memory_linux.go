package pool

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// machineMemory is the memory of this machine in bytes; 2 GiB when it cannot be told.
func machineMemory() int64 {
	const unknown = 2 << 30
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return unknown
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kb int64
		if rest, ok := strings.CutPrefix(s.Text(), "MemTotal:"); ok {
			if _, err := fmt.Sscan(rest, &kb); err == nil && kb > 0 {
				return kb << 10
			}
		}
	}
	return unknown
}
