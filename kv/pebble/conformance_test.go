package pebble_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// opener opens stores on disks that disk makes.
func opener(disk func() *kvtest.Disk) kvtest.Open {
	return func(t testing.TB) (kv.Store, func() kv.Store) {
		d, rng := disk(), rand.New(rand.NewPCG(1, 2))
		return d.Open(t), func() kv.Store { d = d.Crash(rng); return d.Open(t) }
	}
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, opener(func() *kvtest.Disk { return kvtest.NewDisk() }))
}

// TestConformanceOnSlowDisk: much happens between a write and its fsync.
func TestConformanceOnSlowDisk(t *testing.T) {
	kvtest.RunConcurrent(t, opener(func() *kvtest.Disk { return kvtest.SlowDisk(100 * time.Microsecond) }))
}
