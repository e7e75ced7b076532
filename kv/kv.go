// Package kv is an ordered, transactional key-value store. It knows bytes, not functions.
//
// Two drivers, one contract: kv/pebble (one process) and kv/postgres (many). kvtest holds both to every sentence below.
//
// # Isolation
//
// Update is strictly serialisable over POINT reads: every key read (present or absent) and every key written is validated at
// commit. Reads inside one View or one Update come from one snapshot. There is deliberately no Scan inside Update: neither
// engine can protect a range cheaply (PostgreSQL SSI: 770/s and 3 retries/op at 64 clients on DISTINCT keys, because an absent
// key locks its index page; locks + validation: 4.2 k/s, none). A room whose decision depends on a range reads a fence key
// that every writer of that range also reads or writes ("bucket 7 is being deleted").
//
// # Durability
//
// What Update returned nil for is on disk. What View, Read or Claim returns is on disk too: Pebble makes a batch visible before
// its fsync, so the driver keeps a table of unsynced keys and holds a reader that touched one until that fsync ends. Without
// this rule "nothing is delivered before its cause is durable" is false, and so is linearizability across a crash.
// A WAL error is final: the driver closes the store, every call answers ErrClosed, node exits. (Pebble itself calls Fatalf.)
//
// # How the drivers commit
//
//	attempt 1  snapshot -> fn -> lock(reads shared, writes exclusive; hashed, sorted) -> validate -> write -> Appends last
//	attempt 2+ the same, but what the last attempt touched is locked BEFORE the snapshot, first in a local queue, so that a
//	           hot key is fair, costs one connection per node, and never livelocks.
//	           (PostgreSQL, one key, 64 clients: OCC 212/s; lock inside a SERIALIZABLE transaction 28/s; lock first 300-1,060/s.
//	           The local queue may run its closures one after another over an overlay and commit them together; 24 k/s is its upper bound.)
//
//	pebble    locks = striped, fair; the first attempt takes none, but may not write what others have locked. Validation by
//	          hashed versions under one commit lock; ApplyNoSyncWait inside (one hot key: 42 k/s; with the fsync inside
//	          2.2 k/s), SyncWait outside.
//	postgres  BEGIN, one function that locks, checks and writes, COMMIT: one packet, one round trip. Locks are advisory and
//	          hashed to 4,096 stripes, so that a large transaction cannot exhaust the lock table; those of a retry are the
//	          session's, because they come before its snapshot. Version = writer's xid8, of absent keys their stripe's, so
//	          absent -> present -> absent is seen. PostgreSQL >= 14 only: CockroachDB has neither advisory locks nor
//	          LISTEN nor xid8; another engine is another driver.
package kv

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Limits, the same for every driver; beyond them ErrTooLarge, before anything is written.
const (
	KeyMax     = 2 << 10   // bytes. A PostgreSQL index entry ends at 2,704; longer parts are hashed by the room (kv/tuple.Hashed)
	ValueMax   = 512 << 10 // bytes. More belongs in blob
	TxKeysMax  = 10_000    // keys read plus written
	TxBytesMax = 64 << 20
	TxTimeMax  = 5 * time.Second // a View or Update older than this gets ErrTooOld: snapshots pin garbage in both engines
	RangeMax   = 4 << 20         // bytes one Scan page may hold in memory
)

// What a Store's errors are.
var (
	ErrConflict = errors.New("kv: conflict")        // only after the retries: the caller says 'try again' to its client
	ErrUnknown  = errors.New("kv: outcome unknown") // connection lost between COMMIT and its answer; see Update
	ErrTooLarge = errors.New("kv: limit exceeded")
	ErrTooOld   = errors.New("kv: snapshot too old")
	ErrFenced   = errors.New("kv: lease lost")
	ErrClosed   = errors.New("kv: store is closed")
)

// Store is safe for concurrent use.
type Store interface {
	// View runs fn on one snapshot. fn may be slow up to TxTimeMax; a longer walk calls View again with where it stopped.
	View(ctx context.Context, fn func(View) error) error

	// Update runs fn, perhaps several times, and commits. fn does no I/O, starts nothing, and writes only through tx.
	// nil: durable. Any error but ErrUnknown: nothing happened. The driver resolves a lost COMMIT itself by the attempt's
	// token (a row of the connection on PostgreSQL) and returns ErrUnknown only if the store stays away beyond ctx.
	Update(ctx context.Context, fn func(Tx) error) error

	// Claim takes up to limit of the first keys of r that no concurrent Claim holds, deletes them, and runs fn in the same
	// transaction to say what becomes of them (usually: the same message under its new visible time). fn as in Update; it does
	// not run when there is nothing to claim. Two Claims never get the same key. Roughly in order: no promise between concurrent claimers. No lock outlives the call.
	// Cost is in live keys, not dead ones: the driver remembers below which key r is empty (Pebble: 20,000 tombstones at the
	// left edge turn 46 k scans/s into 154) and a commit that inserts below lowers it.
	Claim(ctx context.Context, r Range, limit int, fn func(Tx, []Pair) error) ([]Pair, error)

	// Read yields records of log after position from, oldest first, at most limit and about RangeMax bytes, and never one that
	// a later Read could precede: tailing by the last position misses nothing and repeats nothing. Empty: nothing yet.
	Read(ctx context.Context, log []byte, from Pos, limit int) ([]Record, error)

	// Trim deletes records of log up to and including to. The oldest kept position is remembered for 'trimmed' answers.
	Trim(ctx context.Context, log []byte, to Pos) error

	// Wake returns a channel (buffer 1) that gets a hint some time after a commit that called Tx.Wake(topic), on any node.
	// Hints are merged and may be lost: whoever waits also polls, once a second at most. stop must be called once.
	Wake(topic []byte) (hint <-chan struct{}, stop func())

	// Now is the store's clock (PostgreSQL: the server's, sampled, error under 50 ms; Pebble: this process's). It never
	// goes back, across restarts either. Due times, visibility and leases of every node are compared with this and no other.
	Now() time.Time

	// Snapshot writes a consistent copy for backup and for `rouse store copy`, without TxTimeMax. The first byte of a yielded
	// key says what follows: 'k' a key of the store; 'l' a record: length of the log's name (uvarint), name, position;
	// 't' the name of a log, whose value begins with the position up to which it was trimmed.
	Snapshot(ctx context.Context, yield func(Pair) error) error

	// Close waits for running calls.
	Close() error
}

// View reads one snapshot. Not safe for concurrent use. Returned slices are the caller's.
type View interface {
	Get(key []byte) (value []byte, ok bool, err error)
	// GetAll answers in the order of keys, nil where absent; one round trip (PostgreSQL: 250 k keys/s by 64, 24 k one by one).
	GetAll(keys [][]byte) (values [][]byte, err error)
	// Scan yields at most limit pairs in key order, read ahead by pages of RangeMax; limit < 1: all of r. Stop by break; the
	// error is the last.
	Scan(r Range, limit int) iter.Seq2[Pair, error]
}

// Tx is the view and the writes of one attempt. Reads see its own writes. Not safe for concurrent use.
type Tx interface {
	Get(key []byte) (value []byte, ok bool, err error)
	GetAll(keys [][]byte) (values [][]byte, err error)
	Set(key, value []byte)
	Delete(key []byte)

	// Append adds a record to log at a position that the driver picks at commit, in commit order: if two transactions wrote
	// one key, their records stand in the order of those writes. Positions of one log ascend; they are not consecutive.
	// No counter row (one: 970 commits/s, none: 3,500).
	//   pebble: (0, commit number, index), drawn under the commit lock. Read stops at the last fsynced commit.
	//   postgres: (epoch, xid8, index). Locks come before the xid, so per-key order is commit order; Read stops at
	//   pg_snapshot_xmin. (A reader of bigserial ids missed 4,160 of 22,797; this one none.) Epoch grows at each restore or
	//   copy. An idle transaction that has written, in any database of that server, holds Read back: node watches and warns.
	Append(log, value []byte)

	// Wake asks for a hint to topic after commit. Sent outside the transaction, merged per node, at most every 5 ms: NOTIFY
	// within transactions takes a global lock at commit (4,237 -> 1,467 commits/s).
	Wake(topic []byte)

	// Now is constant within one attempt.
	Now() time.Time
}

// Range is [From, To) in byte order; a nil To is the end of all keys. Reverse starts below To.
type Range struct {
	From, To []byte
	Reverse  bool
}

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Pos is a place in a log; the zero Pos is before all. Compare as bytes: order preserving, fixed width.
type Pos [20]byte

// Record is one Append.
type Record struct {
	Pos   Pos
	Value []byte
}

// ---- lease, timer and outbox are written once, above Store. The two interfaces stand here because timer and outbox take
// leases and may not import their neighbour.

// Lease names one owner of a duty. Two keys: owner {holder, epoch} changes only at take-over; beat {expires} every third of ttl.
// Not renewed in time by Store.Now: anyone may take it, with epoch+1.
type Lease interface {
	// Guard reads the owner key in tx and returns ErrFenced if the epoch moved. Being read, it is validated at commit: a
	// stale owner cannot commit, whatever its clock says. That is the whole of fencing.
	Guard(tx Tx) error
	Epoch() uint64
	Lost() <-chan struct{}
}

// Leases acquires duties and keeps them while ctx lives. A duty is one shard of one kind of work, never 'the relay'.
type Leases interface {
	Acquire(ctx context.Context, duty []byte, ttl time.Duration) (Lease, error)
}
