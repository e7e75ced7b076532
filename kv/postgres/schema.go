package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Format is the number of the schema's layout that this package writes. A higher one is refused.
const Format = 1

// serverMin is the oldest server that has all that is needed: xid8, pg_snapshot, idle sessions that end.
const serverMin = 140000

//go:embed schema.sql
var schemaSQL string

// quote makes an identifier of SQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// in puts the schema's name into a text of SQL.
func (s *Store) in(sql string) string { return strings.ReplaceAll(sql, "{s}", quote(s.cfg.Schema)) }

// prepare makes the schema if there is none, and checks it if there is one. Of several nodes that start at once one makes it.
func (s *Store) prepare(ctx context.Context) error {
	pg, err := pgconn.ConnectConfig(ctx, s.plain)
	if err != nil {
		return plainly(err)
	}
	defer pg.Close(context.WithoutCancel(ctx))
	version, err := one(ctx, pg, `show server_version_num`)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(version); err != nil || n < serverMin {
		return fmt.Errorf("the server is PostgreSQL %s; Rouse needs 14 or newer", pg.ParameterStatus("server_version"))
	}
	if standby, err := one(ctx, pg, `select pg_is_in_recovery()`); err != nil || standby == "t" {
		return errors.Join(err, errors.New("the server is a standby: it takes no writes; add target_session_attrs=read-write to the URL "+
			"when it names several"))
	}
	if err := s.durable(ctx, pg); err != nil {
		return err
	}
	// The lock ends with the connection.
	if _, err := one(ctx, pg, `select pg_advisory_lock(hashtext('rouse schema'), hashtext($1))`, s.cfg.Schema); err != nil {
		return err
	}
	there, err := one(ctx, pg, `select to_regclass($1) is not null`, quote(s.cfg.Schema)+".meta")
	if err != nil {
		return err
	}
	if there != "t" {
		if err := s.create(ctx, pg); err != nil {
			return err
		}
	}
	return s.check(ctx, pg)
}

// durable sees to it that what is acknowledged is on disk, as far as a client can.
func (s *Store) durable(ctx context.Context, pg *pgconn.PgConn) error {
	row, err := fields(ctx, pg, `select current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')`)
	if err != nil {
		return err
	}
	if row[0] == "off" { // other values are the operator's choice of what a commit waits for
		s.pooled.RuntimeParams["synchronous_commit"] = "on"
	}
	if row[1] != "on" || row[2] != "on" {
		s.log.Warn("the server does not sync its disk: a crash may lose what was acknowledged, or the whole store", "fsync", row[1], "full_page_writes", row[2])
	}
	return nil
}

// create makes the schema and all in it, or nothing.
func (s *Store) create(ctx context.Context, pg *pgconn.PgConn) error {
	class := rand.Int32N(1<<30) * 2 // whatever else uses advisory locks here is told apart by chance
	there, err := one(ctx, pg, `select exists (select from pg_namespace where nspname = $1)`, s.cfg.Schema)
	if err != nil {
		return err
	}
	make := "create schema {s};\n"
	if there == "t" {
		make = "" // by an operator who does not let Rouse create schemas
	}
	sql := make + schemaSQL + fmt.Sprintf(`
insert into {s}.meta (format, class, epoch, system, timeline, clock, server) select %d, %d, 1, (select system_identifier from pg_control_system()),
  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), clock_timestamp(), clock_timestamp();`, Format, class)
	// One message of several statements is one transaction.
	if _, err := pg.Exec(ctx, s.in(sql)).ReadAll(); err != nil {
		return fmt.Errorf("make schema %s: %w", s.cfg.Schema, plainly(err))
	}
	return nil
}

// check refuses what a newer Rouse has written, and takes in what was copied here by means of PostgreSQL: with the rows came
// the xids of another cluster, which say nothing here.
func (s *Store) check(ctx context.Context, pg *pgconn.PgConn) error {
	format, err := one(ctx, pg, s.in(`select format from {s}.meta`))
	if err != nil {
		return fmt.Errorf("read schema %s: %w", s.cfg.Schema, err)
	}
	if n, err := strconv.Atoi(format); err != nil || n > Format {
		return fmt.Errorf("schema %s has format %s, written by a newer Rouse; this one knows %d", s.cfg.Schema, format, Format)
	}
	foreign, err := one(ctx, pg, s.in(`select m.system <> c.system_identifier::text from {s}.meta m, pg_control_system() c`))
	if err != nil || foreign != "t" {
		return err
	}
	s.log.Warn("store came from another server: versions and positions begin anew", "schema", s.cfg.Schema)
	_, err = pg.Exec(ctx, s.in(`update {s}.kv set x = '0'; update {s}.gone set x = '0'; delete from {s}.token; delete from {s}.mark;
update {s}.meta m set system = c.system_identifier::text, epoch = epoch + 1 from pg_control_system() c`)).ReadAll()
	if err != nil {
		return fmt.Errorf("take in schema %s: %w", s.cfg.Schema, plainly(err))
	}
	return nil
}

// one asks for one value; "" for none.
func one(ctx context.Context, pg *pgconn.PgConn, sql string, args ...string) (string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	r := pg.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if r.Err != nil {
		return "", plainly(r.Err)
	}
	if len(r.Rows) == 0 || len(r.Rows[0]) == 0 {
		return "", nil
	}
	return string(r.Rows[0][0]), nil
}
