//go:build linux

package ns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/sandbox"
)

// clockTick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const clockTick = time.Second / 100

// treeMax bounds the walk over a sandbox's processes.
const treeMax = 4096

// treeStats adds up the processes below the init: where no control group counts. Orphans belong to the init, so the tree
// is complete; what an ended process used is counted by the one that waited for it.
func treeStats(init int) sandbox.Stats {
	var s sandbox.Stats
	page := int64(os.Getpagesize())
	queue := []int{init}
	for i := 0; i < len(queue) && i < treeMax; i++ {
		dir := "/proc/" + strconv.Itoa(queue[i])
		f, err := statFields(dir)
		if err != nil {
			continue
		}
		for _, x := range f[11:15] { // utime stime cutime cstime
			s.CPU += time.Duration(x) * clockTick
		}
		if i > 0 {
			s.Pids += int(f[17])
			s.MemoryBytes += f[21] * page
		}
		tasks, _ := os.ReadDir(dir + "/task") // gone meanwhile
		for _, t := range tasks {
			b, _ := os.ReadFile(dir + "/task/" + t.Name() + "/children")
			for _, child := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(child); err == nil {
					queue = append(queue, pid)
				}
			}
		}
	}
	return s
}

// statFields are the numbers of /proc/<pid>/stat after the command; the state, first of them, reads as 0.
func statFields(dir string) ([]int64, error) {
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, err
	}
	text := string(b)
	words := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(words) < 22 {
		return nil, fmt.Errorf("%s/stat has %d fields", dir, len(words))
	}
	numbers := make([]int64, len(words))
	for i, w := range words {
		numbers[i], _ = strconv.ParseInt(w, 10, 64)
	}
	return numbers, nil
}

// hostPid is the pid on the host of the process behind a pidfd.
func hostPid(fd int) (int, error) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pid:"); ok {
			return strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	return 0, fmt.Errorf("descriptor %d is no pidfd", fd)
}
