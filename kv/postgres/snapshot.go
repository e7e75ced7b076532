package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
)

// Snapshot yields all keys, records and trimmed positions as of one moment, over a connection of its own. While it runs the
// server keeps what has changed since (see the warnings of watch).
func (s *Store) Snapshot(ctx context.Context, yield func(kv.Pair) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	cfg, err := s.settings("backup", longParams)
	if err != nil {
		return err
	}
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return s.told(ctx, plainly(err))
	}
	defer pg.Close(context.WithoutCancel(ctx))
	if _, err := pg.Exec(ctx, `begin isolation level repeatable read read only`).ReadAll(); err != nil {
		return s.told(ctx, err)
	}
	for _, part := range []struct {
		sql   string
		entry func(v [][]byte) kv.Entry
	}{
		{`select k, v from {s}.kv order by k`, func(v [][]byte) kv.Entry {
			return kv.Entry{Kind: kv.EntryKey, Name: v[0], Value: append([]byte{}, v[1]...)}
		}},
		{`select e, x, i, v, l from {s}.log order by l, e, x, i`, func(v [][]byte) kv.Entry {
			return kv.Entry{Kind: kv.EntryLog, Name: v[4], Pos: position(v), Value: append([]byte{}, v[3]...)}
		}},
		{`select e, x, i, l from {s}.trim order by l`, func(v [][]byte) kv.Entry {
			return kv.Entry{Kind: kv.EntryTrim, Name: v[3], Pos: position(v)}
		}},
	} {
		if err := stream(ctx, pg, s.in(part.sql), func(v [][]byte) error { return yield(part.entry(v).Pair()) }); err != nil {
			return s.told(ctx, err)
		}
	}
	return nil
}

// longParams are those of connections that work for as long as it takes.
var longParams = map[string]string{"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "enable_sort": "off", "jit": "off",
	"max_parallel_workers_per_gather": "0"}

// stream hands on rows as they come.
func stream(ctx context.Context, pg *pgconn.PgConn, sql string, each func(v [][]byte) error) error {
	rows := pg.ExecParams(ctx, sql, nil, nil, nil, binaryFormat)
	for rows.NextRow() {
		err := each(rows.Values())
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(err, pg.Close(ctx)) // the rest is not of interest
		}
	}
	_, err := rows.Close()
	return plainly(err)
}
