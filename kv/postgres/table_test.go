package postgres_test

import (
	"os"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
	"github.com/rouse-dev/rouse/table/tabletest"
)

// TestTables: the whole suite of the database's engine, on this driver.
func TestTables(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, tabletest.Open(opener(start(t))))
}

// TestTablesAcrossCrashes: with the server killed in between.
func TestTablesAcrossCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
	cfg := postgres.Config{Schema: pgtest.Schema()}
	tabletest.RunCrashes(t, func(t testing.TB) (kv.Store, func() kv.Store) {
		return server.Open(t, cfg), func() kv.Store {
			server.Kill()
			server.Run()
			return server.Open(t, cfg)
		}
	}, 6)
}
