package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
)

// Kinds of pairs in a Snapshot; see kv.Store.
const (
	kindKey  = 'k'
	kindLog  = 'l'
	kindTrim = 't'
)

// Snapshot yields all keys, records and trimmed positions as of one moment, over a connection of its own. While it runs the
// server keeps what has changed since (see the warnings of watch).
func (s *Store) Snapshot(ctx context.Context, yield func(kv.Pair) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
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
		sql  string
		pair func(v [][]byte) kv.Pair
	}{
		{`select k, v from {s}.kv order by k`, func(v [][]byte) kv.Pair {
			return kv.Pair{Key: append([]byte{kindKey}, v[0]...), Value: append([]byte{}, v[1]...)}
		}},
		{`select e, x, i, v, l from {s}.log order by l, e, x, i`, func(v [][]byte) kv.Pair {
			pos := position(v)
			return kv.Pair{Key: append(logPrefix(v[4]), pos[:]...), Value: append([]byte{}, v[3]...)}
		}},
		{`select e, x, i, l from {s}.trim order by l`, func(v [][]byte) kv.Pair {
			pos := position(v)
			return kv.Pair{Key: append([]byte{kindTrim}, v[3]...), Value: pos[:]}
		}},
	} {
		if err := stream(ctx, pg, s.in(part.sql), func(v [][]byte) error { return yield(part.pair(v)) }); err != nil {
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

func logPrefix(log []byte) []byte {
	return append(binary.AppendUvarint([]byte{kindLog}, uint64(len(log))), log...)
}

// entry is one pair of a Snapshot, taken apart.
type entry struct {
	kind  byte
	name  []byte // key, or name of a log
	pos   kv.Pos // of a record, or up to where the log was trimmed
	value []byte
}

// take takes a pair of a Snapshot apart.
func take(p kv.Pair) (e entry, err error) {
	if len(p.Key) == 0 {
		return e, errors.New("a pair without a kind")
	}
	e.kind, e.name, e.value = p.Key[0], p.Key[1:], p.Value
	switch e.kind {
	case kindKey:
	case kindLog:
		n, w := binary.Uvarint(e.name)
		if w <= 0 || n > uint64(len(e.name)-w) || uint64(len(e.name)-w)-n != uint64(len(e.pos)) {
			return e, errors.New("a record whose key is none")
		}
		e.pos = kv.Pos(e.name[w+int(n):])
		e.name = e.name[w : w+int(n)]
	case kindTrim:
		if len(p.Value) < len(e.pos) {
			return e, errors.New("a trimmed log without a position")
		}
		e.pos = kv.Pos(p.Value[:len(e.pos)])
	default:
		return e, fmt.Errorf("a pair of unknown kind %q", e.kind)
	}
	if len(e.name) > kv.KeyMax || len(e.value) > kv.ValueMax {
		return e, kv.ErrTooLarge
	}
	return e, nil
}
