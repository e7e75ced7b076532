//go:build !linux

package pool

// machineMemory is what a pool may count on where the system is not asked: 8 GiB.
func machineMemory() int64 { return 8 << 30 }
