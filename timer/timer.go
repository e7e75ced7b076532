// Package timer fires what is due: schedules, retries, timeouts, deletions.
//
// # Keys
//
//	(kind, "due", shard, due, id) → payload    what the owner of a shard walks, in order of time
//	(kind, "id", id)              → due        where the timer of an id stands
//
// A kind is one sort of timer, with one function that fires it. Its timers are spread over Shards shards by id; each
// shard is a duty (package lease) with one owner, who fires its timers.
//
// # What it promises
//
//   - Set and Cancel take part in the caller's transaction: the timer exists exactly if that commits.
//   - A timer fires at least once and never before its time by the store's clock. Firing is one Update: the lease's
//     guard, the deletion of the timer, and what fire writes. So its effect on the store happens exactly once, however
//     often owners change or crash. What fire does outside of its transaction may be repeated.
//   - If fire returns an error nothing happened, and it is tried again after a pause that grows to retryMax; the other
//     timers do not wait for it.
//   - No order among timers.
//
// # How an owner works
//
// It walks the due keys from a cursor and remembers only the next due time; until then, or a hint that something was
// set, it sleeps. The cursor keeps clear of the tombstones of what has fired. It may do so because Set never writes a due
// time before its transaction's Now: no timer can appear more than a transaction's life before now. Once per Poll the
// owner starts at the left edge all the same, in case that a commit was stuck for longer.
//
// A due key without the matching id key is a leftover of a Set that could not read; it is deleted when its time comes.
package timer

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Shards is how many shards each kind has. It is part of the stored layout.
const Shards = 64

// Config says where timers live.
type Config struct {
	Store  kv.Store
	Leases kv.Leases
	TTL    time.Duration // of a shard's lease; 0: 15 s
	Poll   time.Duration // how long an owner relies on hints alone; 0: 10 minutes. A second where hints may be lost
	Logger *slog.Logger  // nil: silent
}

// Timers sets and fires timers. Safe for concurrent use.
type Timers struct{ cfg Config }

// New makes Timers. Nothing fires until Run.
func New(cfg Config) *Timers {
	cfg.TTL = cmp.Or(cfg.TTL, 15*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, 10*time.Minute)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Timers{cfg}
}

// Set makes the timer of id fire at due, or now if that is past, in place of when it would have. Milliseconds count; what
// is finer is rounded up. Key and payload are subject to the limits of kv.
func (t *Timers) Set(tx kv.Tx, kind string, id []byte, due time.Time, payload []byte) {
	if now := tx.Now(); due.Before(now) {
		due = now
	}
	due = time.UnixMilli(due.Add(time.Millisecond - 1).UnixMilli())
	// If the read fails the old due key stays behind. It does no harm, see the package comment, and a transaction that
	// cannot read will most likely not commit.
	if was, ok, err := dueOf(tx, kind, id); err == nil && ok {
		tx.Delete(dueKey(kind, id, was))
	}
	tx.Set(idKey(kind, id), binary.BigEndian.AppendUint64(nil, uint64(due.UnixMilli())))
	tx.Set(dueKey(kind, id, due), payload)
	tx.Wake(topic(kind, shardOf(id)))
}

// Cancel removes the timer of id and reports whether there was one. If it was, it has not fired and will not.
func (t *Timers) Cancel(tx kv.Tx, kind string, id []byte) (was bool, err error) {
	due, was, err := dueOf(tx, kind, id)
	if err != nil || !was {
		return false, err
	}
	tx.Delete(dueKey(kind, id, due))
	tx.Delete(idKey(kind, id))
	return true, nil
}

// dueOf is when the timer of id fires.
func dueOf(tx kv.Tx, kind string, id []byte) (due time.Time, ok bool, err error) {
	v, ok, err := tx.Get(idKey(kind, id))
	if err != nil || !ok || len(v) != 8 {
		return time.Time{}, false, err
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(v))), true, nil
}

func shardOf(id []byte) uint64 {
	h := fnv.New64a()
	h.Write(id)
	return h.Sum64() % Shards
}

func idKey(kind string, id []byte) []byte { return tuple.Key("rouse", "timer", kind, "id", id) }

func dueKey(kind string, id []byte, due time.Time) []byte {
	return tuple.Key("rouse", "timer", kind, "due", shardOf(id), due, id)
}

// dueFrom is where the timers of a shard begin that are due at or after at.
func dueFrom(kind string, shard uint64, at time.Time) []byte {
	return tuple.Key("rouse", "timer", kind, "due", shard, at)
}

// parseDue takes a due key apart.
func parseDue(key []byte) (due time.Time, id []byte, ok bool) {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) != 7 {
		return time.Time{}, nil, false
	}
	due, isTime := parts[5].(time.Time)
	id, isBytes := parts[6].([]byte)
	return due, id, isTime && isBytes
}

// topic is both the duty of a shard and what its owner is woken by.
func topic(kind string, shard uint64) []byte { return tuple.Key("timer", kind, shard) }

// Fire is told of a timer that is due, within the transaction that removes it. It may run twice, as any function given to
// kv.Update; it may set the same timer anew.
type Fire func(tx kv.Tx, id, payload []byte) error

// Run fires the timers of kind until ctx is done, then waits for what is running and returns nil. It returns an error
// only if the store has closed. One Run per kind and process.
func (t *Timers) Run(ctx context.Context, kind string, fire func(tx kv.Tx, id, payload []byte) error) error {
	return run(ctx, t.cfg, kind, fire)
}
