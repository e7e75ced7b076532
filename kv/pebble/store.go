// Package pebble is the kv.Store of one process: an embedded Pebble in a folder.
//
// # What it adds to Pebble
//
// Pebble gives atomic batches, snapshots and a write-ahead log. The contract in package kv asks for more:
//
//   - Serialisable transactions. Every key hashes to one of 65,536 versions: the number of the last commit that wrote to
//     it. A transaction reads from a snapshot of known number S and is valid if no version that it read is above S when
//     it commits. Sharing one costs a retry, never a wrong answer.
//   - Fairness. The first attempt holds no locks. A later one locks the stripes (hashed locks) of what the one before has
//     touched, in order and first come first served, *before* it takes its snapshot, and nobody else writes to a locked
//     stripe: so it cannot lose on what it already knew.
//   - Nothing seen before it is durable. Pebble shows a batch before its fsync. Commits between the two stand in a short
//     table (durability); whoever reads what one of them wrote waits for that fsync.
//   - Logs with positions drawn at commit, claims that do not walk over tombstones, a clock that never goes back.
//
// # A commit
//
//	fn ran over a snapshot ──▶ commit lock ──────────────────────────────────────────────────▶ fsync ──▶ wake
//	         ▲                 valid? draw number n, enter it as unsynced, store the versions,   │
//	         │                 Pebble applies (visible now), lower claim marks, publish n        └─▶ synced = n
//	         └── lock first ◀── stale, or somebody else's stripe
//
// Numbers are drawn and applied under one lock, so commits ≤ the published number are visible to every later snapshot,
// and the fsync of one commit covers all before it. The fsync itself is waited for outside of all locks: writers of one
// hot key share it.
//
// # When the disk fails
//
// A failed write, fsync, create or rename is final, because nobody knows what it left behind. disk (the file system that
// Pebble is given) records the failure *before* Pebble hears of the call and tells Pebble that it went well; every later
// write is dropped in the same way. So Pebble neither exits nor panics, nothing is acknowledged any more, every call
// answers kv.ErrClosed (those whose commit was under way: kv.ErrUnknown as well), and Failed tells the node to end.
//
// # What it leaves to others
//
// Meaning of keys and values, retries beyond kv.ErrConflict, and the decision to end the process.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/gate"
)

// Format is the number of the folder's layout that this package writes. A higher one is refused.
const Format = 1

// Config says where the store lives.
type Config struct {
	Dir    string           // the folder, made if absent; required
	FS     vfs.FS           // nil: the disk
	Logger *slog.Logger     // nil: silent
	Clock  func() time.Time // the process's clock, for tests of Now; nil: time.Now
	Cache  int64            // bytes of block cache, taken as it fills; 0: 32 MiB
}

const (
	cacheDefault = 32 << 20
	memtableSize = 16 << 20 // grows to this from 256 KiB, so an idle store holds little
)

// Store is a kv.Store. Safe for concurrent use.
type Store struct {
	db     *pebble.DB
	disk   *disk
	folder *folder
	log    *slog.Logger
	epoch  uint32 // of positions of new records

	clock   clock
	stripes stripes
	durable durability
	marks   marks
	claims  claims
	wakes   wakes
	gate    *gate.Gate

	failOnce sync.Once
	failure  error         // why the store failed; set before dead is closed
	dead     chan struct{} // closed when the store failed
	failed   chan error    // buffer 1: the failure, for whoever ends the process

	// Commits: started is raised before a commit's batch is applied, published after; both only under mu.
	started, published atomic.Uint64
	latest             atomic.Pointer[shot] // of after the published commit; nil until somebody has read since

	mu            sync.Mutex // the commit lock
	reservedTo    uint64     // guarded by mu: the highest commit number that a restart will skip
	reservedUntil time.Time  // guarded by mu: the time at which a restart's clock begins at the earliest
}

var _ kv.Store = (*Store)(nil)

// Open opens the store in cfg.Dir. A folder that another process (or another Store) has open is refused.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("kv: open store: no folder given")
	}
	fs := cfg.FS
	if fs == nil {
		fs = vfs.Default
		abs, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("kv: open store: %w", err)
		}
		cfg.Dir = abs
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Cache <= 0 {
		cfg.Cache = cacheDefault
	}
	folder, err := lockFolder(fs, cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{folder: folder, log: cfg.Logger, dead: make(chan struct{}), failed: make(chan error, 1)}
	s.disk = &disk{FS: fs, fail: s.fail}
	s.stripes.init()
	s.wakes.init()
	s.gate = gate.New()
	s.claims.init()
	if err := s.start(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("kv: open store in %s: %w", cfg.Dir, err), folder.unlock())
	}
	return s, nil
}

// start opens the files.
func (s *Store) start(cfg Config) (err error) {
	if s.db, err = openFiles(cfg.Dir, s.options(cfg)); err == nil {
		if err = s.recover(cfg); err == nil {
			err = s.folder.writePID(os.Getpid())
		}
	}
	if s.broken() != nil { // what Pebble made of a failed disk is of no interest
		err = s.failure
	}
	if err != nil && s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// openFiles is pebble.Open, which panics where it finds no way on.
func openFiles(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("pebble: %v", r)
		}
	}()
	return pebble.Open(dir, o)
}

func (s *Store) options(cfg Config) *pebble.Options {
	o := &pebble.Options{
		FS:                 s.disk,
		Lock:               s.folder.lock,
		CacheSize:          cfg.Cache,
		MemTableSize:       memtableSize,
		FormatMajorVersion: pebble.FormatValueSeparation,
		Logger:             logger{s},
		EventListener: &pebble.EventListener{
			BackgroundError: s.fail,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { s.fail(fmt.Errorf("corrupt file %s: %w", i.Path, i.Details)) },
		},
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Pebble's default scheduler wakes ten times a second for ever, to notice when more compactions are allowed. One at
	// a time is always the answer here, so the end of a compaction is the only moment to start the next.
	o.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	o.Experimental.FileCacheShards = 1
	return o
}

// recover reads what the last process left about itself, and checks the format.
func (s *Store) recover(cfg Config) error {
	v, ok, err := s.meta(keyFormat)
	if err != nil {
		return err
	}
	if !ok {
		if err := s.db.Set(keyFormat, number(Format), pebble.Sync); err != nil {
			return err
		}
	} else if got := parseNumber(v); got > Format {
		return fmt.Errorf("the store has format %d, written by a newer Rouse; this one knows %d", got, Format)
	}
	if v, _, err = s.meta(keyEpoch); err != nil {
		return err
	}
	s.epoch = uint32(parseNumber(v))
	v, _, err = s.meta(keyReserved)
	if err != nil {
		return err
	}
	s.reservedTo, s.reservedUntil = parseReserved(v)
	s.started.Store(s.reservedTo)
	s.published.Store(s.reservedTo)
	s.durable.init(s.reservedTo, s.dead)
	s.clock.init(cfg.Clock, s.reservedUntil)
	return nil
}

func (s *Store) meta(key []byte) (value []byte, ok bool, err error) {
	v, c, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	return append([]byte{}, v...), true, nil
}

// Failed gets one error when the store has failed for good: the process should end. It is never closed.
func (s *Store) Failed() <-chan error { return s.failed }

// fail makes the store useless. Safe for concurrent use; only the first call counts.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.failure = fmt.Errorf("kv: store failed: %w", err)
		close(s.dead)
		s.failed <- s.failure
	})
}

// broken is ErrClosed with the reason when the store has failed, else nil.
func (s *Store) broken() error {
	select {
	case <-s.dead:
		return fmt.Errorf("%w: %w", kv.ErrClosed, s.failure)
	default:
		return nil
	}
}

// enter admits a call; leave must follow it if it answers nil.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.broken(); err != nil {
		return err
	}
	return s.gate.Enter()
}

// mend makes an error of Pebble ErrClosed when the store has failed meanwhile.
func (s *Store) mend(err error) error {
	if err == nil {
		return nil
	}
	if b := s.broken(); b != nil {
		return b
	}
	return fmt.Errorf("kv: %w", err)
}

// Now is the store's clock.
func (s *Store) Now() time.Time { return s.clock.now() }

// Close waits for running calls, then closes the files. A second call answers kv.ErrClosed.
func (s *Store) Close() error {
	if err := s.gate.Close(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.broken() == nil { // so that the clock does not go back even if nothing was written since
		s.reservedUntil = s.clock.now()
		err = s.db.Set(keyReserved, reserved(s.reservedTo, s.reservedUntil), pebble.Sync)
	}
	s.keep(nil)
	err = errors.Join(err, s.db.Close(), s.folder.unlock())
	if b := s.broken(); b != nil {
		return b
	}
	return err
}

// logger hands Pebble's words on. Fatalf is for broken invariants only: disk keeps failures of files from getting there.
type logger struct{ s *Store }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.s.log.Error("pebble", "err", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) { l.s.fail(fmt.Errorf(format, args...)) }
