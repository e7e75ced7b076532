package node

import (
	"testing"
	"testing/fstest"
)

// TestMemoryBytes: the least of what machine and control groups allow.
func TestMemoryBytes(t *testing.T) {
	const machine = "MemTotal:        8388608 kB\nMemFree:         123 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing to read", nil, 2 << 30},
		{"a machine", map[string]string{"proc/meminfo": machine}, 8 << 30},
		{"v2, no limit", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 8 << 30},
		{"v2, a limit above", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1073741824\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n"}, 1 << 30},
		{"v2, in a container", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/../a\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		{"v1", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/x\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "536870912\n"}, 512 << 20},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryBytes(root); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
