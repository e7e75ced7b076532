package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

type watch struct{ s *Store }

func (w *watch) look(ctx context.Context, pg *pgconn.PgConn) error { return nil }
