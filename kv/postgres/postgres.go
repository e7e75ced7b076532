// Package postgres is the kv.Store of many nodes: a schema of a PostgreSQL server, version 14 or newer.
//
// # What it makes of PostgreSQL
//
// Keys and values are rows of one table. MVCC gives snapshots, the server's log gives durability (nobody sees a commit before
// it is on disk, and on the standbys that the server waits for), xid8 gives versions: each row says who wrote it last. The
// rest of the contract in package kv is made of advisory locks:
//
//   - Serialisable transactions. A key hashes to one of 4,096 stripes. A commit locks the stripes of what was read (shared) and
//     of what is written (exclusive), in order, then compares the versions of what was read, then writes. Of a key that was
//     absent the stripe remembers who last deleted one of its keys, so absent, present, absent is seen.
//   - Fairness. The first try locks nothing before its commit. Later ones lock first and take their snapshot afterwards, and
//     stand in a queue of this process before they ask the server: of those that want one key, as many as are there run one
//     after another over each other's writes and commit as one transaction (desk, group). A key that was fought over a moment
//     ago sends everybody there at once.
//   - Logs. A record's position is (epoch, xid, index). Locks come before the xid, so that per key the order of positions is
//     that of commits; Read stops at the oldest transaction that is still under way. The epoch grows where xids may begin
//     anew: at a restore, a copy, a fail-over.
//   - Claims hold keys by try-locks of a second class, for as long as an attempt lasts, and remember where a range begins.
//
// # A transaction
//
//	read   [key, snapshot]────▶ fn ──▶ [Sync, BEGIN, finish(locks, versions, writes), COMMIT, Sync]   two round trips
//	retry  [lock, Sync, snapshot, keys] ──▶ fn, fn, fn … ──▶ [Sync, BEGIN, finish, COMMIT, unlock]    two, for many
//
// finish is a function of the schema: what needs the answer of the statement before it is decided there. Snapshots are
// implicit transactions of REPEATABLE READ that end with a Sync, which travels with whatever is sent next: a View of one key
// is one packet out and one back. Locks of retries belong to the session, because they have to be there before the snapshot;
// a session that ends in any other way than by a commit's answer is closed, and the server lets go of its locks.
//
// # When the connection is lost
//
// A first read is repeated. An attempt that had not sent its commit is tried again. A commit whose answer did not come is
// asked for: each one moves its connection's row in the table token by one, so whoever finds the row moved knows that it
// happened, and whoever moves it aside knows that it never will. Update answers kv.ErrUnknown only if the server stays away
// longer than the caller's context. A server that does not come back within Config.Patience is an error of the call; the
// store goes on trying for the next one, and logs once that the server went away and once that it is back.
//
// What was acknowledged survives a fail-over if the server waits for its standby (synchronous_standby_names). The driver turns
// synchronous_commit on where it is off, and warns where fsync is.
//
// # What it leaves to others
//
// Meaning of keys and values, retries beyond kv.ErrConflict, high availability of the server, and blobs: several nodes that
// share a store have to share those, too.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/gate"
)

// Config says where the store lives.
type Config struct {
	URL      string        // postgres://user:password@host:port/database?…, as libpq reads it (sslmode, target_session_attrs, several hosts)
	Schema   string        // default "rouse"; made if absent. Stores of one database have one each
	Readers  int           // connections for View, Read and Snapshot at most; default 16
	Writers  int           // connections for Update, Claim and Trim at most; default 24
	Patience time.Duration // how long a call waits for a server that is away; default 10 s
	Watch    time.Duration // how often the server is looked at for what an operator should know; default 10 s
	Logger   *slog.Logger  // nil: silent
}

const (
	readersDefault  = 16
	writersDefault  = 24
	connectionsMax  = 1000
	patienceDefault = 10 * time.Second
	watchDefault    = 10 * time.Second
	schemaDefault   = "rouse"
	schemaMax       = 63 // bytes of a name in PostgreSQL
)

// Store is a kv.Store. Safe for concurrent use.
type Store struct {
	cfg    Config
	plain  *pgconn.Config // for connections of their own
	pooled *pgconn.Config
	log    *slog.Logger
	class  int32  // of the store's advisory locks
	node   string // tells this process's notifications from others'

	readers, writers *pool
	desk             desk
	wakes            wakes
	marks            marks
	clock            clock
	health           health
	gate             *gate.Gate
	noRoom           sync.Once // the server's table of locks was full

	stop context.CancelFunc
	work sync.WaitGroup
}

var _ kv.Store = (*Store)(nil)

// Open connects to the server, makes the schema if it is not there, and starts what runs beside the calls until Close.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := configure(cfg)
	if err != nil {
		return nil, fmt.Errorf("kv: open store: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("kv: open store at %s: %w", Redact(cfg.URL), err)
	}
	return s, nil
}

// configure makes a store that is not connected yet.
func configure(cfg Config) (*Store, error) {
	if cfg.Schema == "" {
		cfg.Schema = schemaDefault
	}
	if cfg.Readers == 0 {
		cfg.Readers = readersDefault
	}
	if cfg.Writers == 0 {
		cfg.Writers = writersDefault
	}
	if cfg.Patience == 0 {
		cfg.Patience = patienceDefault
	}
	if cfg.Watch <= 0 {
		cfg.Watch = watchDefault
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(cfg.Schema) > schemaMax:
		return nil, fmt.Errorf("the name of the schema has %d bytes, at most %d are allowed", len(cfg.Schema), schemaMax)
	case cfg.Readers < 1 || cfg.Readers > connectionsMax || cfg.Writers < 2 || cfg.Writers > connectionsMax:
		return nil, fmt.Errorf("%d readers and %d writers; want at least 1 and 2, at most %d each", cfg.Readers, cfg.Writers, connectionsMax)
	case cfg.Patience < 0:
		return nil, errors.New("a negative patience")
	}
	s := &Store{cfg: cfg, log: cfg.Logger, node: newNode()}
	var err error
	if s.plain, err = s.settings("aside", nil); err != nil {
		return nil, err
	}
	if s.pooled, err = s.settings("", sessionParams); err != nil {
		return nil, err
	}
	s.readers = &pool{max: cfg.Readers, connect: s.connect}
	s.writers = &pool{max: cfg.Writers, connect: s.connect}
	s.desk.holders = map[int32]*holding{}
	s.desk.run = func(g *group) { s.work.Go(func() { s.serve(g) }) }
	s.wakes.init()
	s.marks.init()
	s.gate = gate.New()
	s.health.init(s)
	return s, nil
}

// sessionParams are how the server runs the pool's sessions. Every statement here is a walk along one index, so the planner
// needs no choice: a wrong one, made before there are statistics, would read whole tables.
var sessionParams = map[string]string{
	"default_transaction_isolation": "repeatable read",
	"plan_cache_mode":               "force_generic_plan",
	"enable_seqscan":                "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	"enable_sort": "off", "jit": "off", "max_parallel_workers_per_gather": "0",
	"statement_timeout":                   "70s", // longer than any wait of ours
	"idle_in_transaction_session_timeout": "30s",
	"tcp_keepalives_idle":                 "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	"rouse.claimed": "{}", "rouse.snapshot": "1:1:",
}

// settings reads the URL. Errors do not repeat it: it may hold a password.
func (s *Store) settings(role string, params map[string]string) (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig(s.cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of the store cannot be used: %s; want postgres://user@host:5432/database", reason(err))
	}
	c.RuntimeParams["application_name"] = s.application(role)
	for k, v := range params {
		c.RuntimeParams[k] = v
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectMax
	}
	return c, nil
}

// application is how this store's connections are called in pg_stat_activity. What they are for stays readable, and told apart,
// whatever the schema's name is.
func (s *Store) application(role string) string {
	name := "rouse " + s.cfg.Schema[:min(len(s.cfg.Schema), schemaMax-len("rouse  restore"))]
	if role != "" {
		name += " " + role
	}
	return name
}

// reason is the inner part of an error that would repeat the URL.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	var u *url.Error
	var p *pgconn.ParseConfigError
	if errors.As(err, &u) || errors.As(err, &p) {
		return "it is not well formed"
	}
	return err.Error()
}

// start makes the schema, checks the server, and starts the loops.
func (s *Store) start(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	c, err := s.writers.borrow(ctx)
	if err != nil {
		return err
	}
	s.class = c.class
	s.writers.giveBack(c)
	aside, err := s.sideline(ctx)
	if err != nil {
		s.writers.close()
		return err
	}
	ear, err := s.ear(ctx)
	if err != nil {
		s.writers.close()
		return errors.Join(err, aside.Close(ctx))
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.work.Go(func() { s.listen(life, ear) })
	s.work.Go(func() { s.beside(life, aside) })
	return nil
}

// Now is the store's clock.
func (s *Store) Now() time.Time { return s.clock.now() }

// enter admits a call; leave must follow it if it answers nil.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.gate.Enter()
}

// Close waits for running calls, then ends the connections. A second call answers kv.ErrClosed.
func (s *Store) Close() error {
	if err := s.gate.Close(); err != nil {
		return err
	}
	s.stop()
	s.work.Wait()
	s.readers.close()
	s.writers.close()
	return nil
}
