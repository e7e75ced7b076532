package postgres_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
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
	var now *mortal
	tabletest.RunCrashes(t, func(t testing.TB) (kv.Store, func() kv.Store) {
		now = &mortal{Store: server.Open(t, cfg)}
		return now, func() kv.Store {
			now.dead.Store(true)
			server.Kill()
			server.Run()
			now = &mortal{Store: server.Open(t, cfg)}
			return now
		}
	}, 6)
}

// mortal is a store that plays a process: from the moment when its server is killed its failures are those of a closed store.
// Really it goes on with the server's next life, and whatever was cut off in the middle, such as a View, says so.
type mortal struct {
	kv.Store
	dead atomic.Bool
}

func (m *mortal) end(err error) error {
	if err != nil && m.dead.Load() {
		return errors.Join(kv.ErrClosed, err)
	}
	return err
}

func (m *mortal) View(ctx context.Context, fn func(kv.View) error) error {
	return m.end(m.Store.View(ctx, fn))
}

func (m *mortal) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return m.end(m.Store.Update(ctx, fn))
}

func (m *mortal) Read(ctx context.Context, log []byte, from kv.Pos, limit int) ([]kv.Record, error) {
	recs, err := m.Store.Read(ctx, log, from, limit)
	return recs, m.end(err)
}
