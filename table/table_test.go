package table_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/table/tabletest"
)

func TestEngine(t *testing.T) {
	tabletest.Run(t, func(t testing.TB) (kv.Store, func() kv.Store) {
		disk := kvtest.NewDisk()
		rng := rand.New(rand.NewPCG(1, 2))
		return disk.Open(t), func() kv.Store {
			disk = disk.Crash(rng)
			return disk.Open(t)
		}
	})
}
