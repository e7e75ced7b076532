package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// watch looks at what slowly ruins a store on PostgreSQL, and warns once when it begins and tells once when it is over. Whoever
// acts finds the numbers in the line; nothing is repeated while it lasts.
//
//	a transaction that has written and does not end, in any database of the server: Read stops before it
//	a snapshot that is kept open: dead rows stay, and hot keys grow slow
//	dead rows that autovacuum does not get rid of; xids that run out
//	calls that wait for connections
//	sessions of a node that hangs: they may hold locks, and are ended
type watch struct {
	s     *Store
	since map[string]time.Time // when a condition was first seen
	told  map[string]bool      // it was warned of
	xmin  string               // at the last look
	moved time.Time            // when it last grew
}

// When to warn.
const (
	heldAfter    = 15 * time.Second // a log that Read cannot pass
	snapshotOld  = "2 minutes"
	deadRows     = 1_000_000
	xidAge       = 1_500_000_000 // of 2^31; PostgreSQL stops at about 2.1 billion
	waitingAfter = 10 * time.Second
	hungAfter    = "90 seconds" // longer than anything of ours takes
)

func newWatch(s *Store) *watch {
	return &watch{s: s, since: map[string]time.Time{}, told: map[string]bool{}, moved: time.Now()}
}

// note takes in whether a condition holds. It is warned of when it has lasted for a while.
func (w *watch) note(name string, holds bool, after time.Duration, message string, args ...any) {
	if !holds {
		if w.told[name] {
			w.s.log.Info("over: "+message, "schema", w.s.cfg.Schema, "lasted", time.Since(w.since[name]).Round(time.Second))
		}
		delete(w.since, name)
		delete(w.told, name)
		return
	}
	if _, known := w.since[name]; !known {
		w.since[name] = time.Now()
	}
	if lasted := time.Since(w.since[name]); lasted >= after && !w.told[name] {
		w.told[name] = true
		w.s.log.Warn(message, append([]any{"schema", w.s.cfg.Schema, "for", lasted.Round(time.Second)}, args...)...)
	}
}

// look looks at everything once.
func (w *watch) look(ctx context.Context, pg *pgconn.PgConn) error {
	for _, f := range []func(context.Context, *pgconn.PgConn) error{w.horizon, w.snapshots, w.garbage, w.hung} {
		if err := f(ctx, pg); err != nil {
			return err
		}
	}
	for name, p := range map[string]*pool{"readers": w.s.readers, "writers": w.s.writers} {
		n := p.waiting()
		w.note(name, n > 0, waitingAfter, "calls wait for connections", "pool", name, "connections", p.max, "waiting", n)
	}
	return nil
}

// horizon finds the transaction that holds back readers of logs.
func (w *watch) horizon(ctx context.Context, pg *pgconn.PgConn) error {
	row, err := fields(ctx, pg, `select pg_snapshot_xmin(s), pg_snapshot_xmin(s) < pg_snapshot_xmax(s), coalesce((select `+
		`format('pid %s, database %s, user %s, application %s, %s', l.pid, a.datname, a.usename, a.application_name, coalesce(a.state, 'state hidden')) `+
		`from pg_locks l left join pg_stat_activity a using (pid) where l.locktype = 'transactionid' and l.granted `+
		`and l.transactionid::text::bigint = pg_snapshot_xmin(s)::text::numeric % 4294967296 limit 1), 'a prepared transaction') from pg_current_snapshot() s`)
	if err != nil {
		return err
	}
	if row[0] != w.xmin || row[1] != "t" {
		w.xmin, w.moved = row[0], time.Now()
	}
	held := time.Since(w.moved)
	w.note("horizon", held >= heldAfter, 0, "a transaction that has written does not end: readers of logs wait for it", "xid", row[0],
		"held", held.Round(time.Second), "by", row[2])
	return nil
}

// snapshots finds the oldest snapshot that keeps dead rows. Of other users' the server may not tell.
func (w *watch) snapshots(ctx context.Context, pg *pgconn.PgConn) error {
	row, err := fields(ctx, pg, `select format('pid %s, user %s, application %s', pid, usename, application_name), date_trunc('second', now() - xact_start), `+
		`age(backend_xmin) from pg_stat_activity where backend_xmin is not null and xact_start < now() - interval '`+snapshotOld+
		`' and backend_type <> 'autovacuum worker' order by age(backend_xmin) desc limit 1`)
	if err != nil {
		return err
	}
	if row == nil {
		row = make([]string, 3)
	}
	w.note("snapshot", row[0] != "", 0, "an old snapshot keeps dead rows: hot keys grow slow", "held", row[1], "transactions", row[2], "by", row[0])
	return nil
}

// garbage finds tables that vacuum does not keep up with.
func (w *watch) garbage(ctx context.Context, pg *pgconn.PgConn) error {
	row, err := fields(ctx, pg, fmt.Sprintf(`select relname, n_dead_tup, n_live_tup, coalesce(last_autovacuum::text, 'never') from pg_stat_user_tables `+
		`where schemaname = $1 and n_dead_tup > %d and n_dead_tup > n_live_tup order by n_dead_tup desc limit 1`, deadRows), w.s.cfg.Schema)
	if err != nil {
		return err
	}
	there := row != nil
	if !there {
		row = make([]string, 4)
	}
	w.note("garbage", there, 0, "vacuum does not keep up", "table", row[0], "dead", row[1], "live", row[2], "vacuumed", row[3])
	row, err = fields(ctx, pg, `select age(datfrozenxid), age(datfrozenxid) > $1::bigint from pg_database where datname = current_database()`, fmt.Sprint(xidAge))
	if err != nil || row == nil {
		return err
	}
	w.note("xids", row[1] == "t", 0, "the database runs out of transaction ids: vacuum it", "age", row[0], "limit", "2100000000")
	return nil
}

// hung ends sessions of this store's nodes that have not moved for longer than anything takes: their node hangs or is cut off, and
// what they hold others wait for. Backups and restores go by other names.
func (w *watch) hung(ctx context.Context, pg *pgconn.PgConn) error {
	row, err := fields(ctx, pg, `select count(*) filter (where pg_terminate_backend(pid)), min(xact_start) from pg_stat_activity where application_name = $1 `+
		`and datname = current_database() and usename = current_user and xact_start < now() - interval '`+hungAfter+`'`, w.s.application(""))
	if err == nil && row != nil && row[0] != "0" {
		w.s.log.Warn("ended sessions of a node that hangs", "schema", w.s.cfg.Schema, "sessions", row[0], "oldest", row[1])
	}
	return err
}

// fields asks for one row; nil for none.
func fields(ctx context.Context, pg *pgconn.PgConn, sql string, args ...string) ([]string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	r := pg.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, plainly(r.Err)
	}
	if len(r.Rows) == 0 {
		return nil, nil
	}
	out := make([]string, len(r.Rows[0]))
	for i, v := range r.Rows[0] {
		out[i] = string(v)
	}
	return out, nil
}
