package postgres_test

import (
	"os"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

func start(t testing.TB) *pgtest.Server { return pgtest.Start(t, pgtest.Config{Getenv: os.Getenv}) }

// opener opens stores in schemas of their own. A crash here is that of the node: its connections stay behind, another comes.
func opener(server *pgtest.Server) kvtest.Open {
	return func(t testing.TB) (kv.Store, func() kv.Store) {
		cfg := postgres.Config{Schema: pgtest.Schema()}
		return server.Open(t, cfg), func() kv.Store { return server.Open(t, cfg) }
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	kvtest.Run(t, opener(start(t)))
}
