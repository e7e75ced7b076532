// Package table is the DynamoDB engine: it knows items, keys, indexes and streams, and no wire format.
//
// # One transaction
//
// A write reads the table's head and the item, decides, and writes the item, its index entries, its place among those that
// expire and its stream record in one transaction of the store. So there is never an entry without its item, nor a stream
// record for what did not happen, nor one that appears behind a reader. Two writes of one item follow each other, and
// their records stand in that order. Nothing is answered, and no record read, before it is on disk.
//
// The head is 16 bytes: the table's number and the count of its changes. Whoever changes the table writes it, so a write
// that has read it is validated against the whole table: an index that was added meanwhile, or a table that was dropped,
// cannot be missed. What a head means (schema.Schema) is kept decoded by every node and compared with the head that the
// call's own transaction reads; only when they differ is it read again, and the call begins anew.
//
//	PutItem   GetAll(head, item) ─▶ condition, sizes ─▶ item, entries, due, record ─▶ commit
//	GetItem   GetAll(head, item)                          Query, Scan   head, then a range, in one View
//
// Every read is consistent, of one moment, and of indexes too; ConsistentRead only counts in the capacity.
//
// # Keys
//
// A is an account, R the region, N a table's number. Packages layout and schema make them.
//
//	(A, R, "table", "head", name)            → N, changes
//	(A, R, "table", "description", name)     → schema.Record as JSON
//	(A, R, "table", "data", N) i  hash(partition key)[32]  sort key           → item
//	(A, R, "table", "data", N) x  index[4]  hash(partition)[32]  sort  id[32] → entry: the projected item
//	(A, R, "table", "data", N) s  label       the name of a log: stream records
//	(A, R, "table", "stream", name, label)   → what is known of a stream; it outlives its table by a day
//	(A, R, "table", "token", token)          → a transaction that was done
//	("rouse", R, "table", "number", N)       → A, name
//	("rouse", R, "table", "count", N)        → items and bytes, by index
//	("rouse", R, "table", "due") second[8] N[8] item's key  → nothing: what expires, by time
//	("rouse", R, "table", "work", N, index)  → a back-fill, and how far it has come
//	("rouse", R, "table", "grave", N, index) → what is to be swept
//	("rouse", R, "table", "streams" | "tokens", …)  by account and name, by time: what upkeep walks
//
// The hash begins with the 8 bytes that order DynamoDB's own scans and ends with 24 of SHA-256. Keys at DynamoDB's limits
// take less than 1,400 bytes. A record above the store's limit stands in several pieces that are read as one.
//
// # Indexes on live tables
//
// An index that is added is CREATING: writers keep it from that transaction on. Run walks the items by pages, reads each
// again in small transactions, and adds the entries that are missing; it remembers how far it came, so a crash costs a
// page. Then it is ACTIVE. The same is done for the time to live of a table that has items. A dropped index or table is
// gone at once, and swept by Run.
//
// # Upkeep
//
// Run is for every node. Expired items and old tokens are claimed, so nodes do not get in each other's way; an item is
// read again before it is removed, with its entries, and its record says that the service did it. Back-fills, sweeps and
// the trimming of streams have one owner, by lease.
//
// # Cache tables
//
// A table with CacheBytes is the same over memory of each node (package cache): nothing is written down, what was not used
// for longest is forgotten first. All cache tables of a node are within Config.CacheBytes together: as long as there is
// room each has its own bound; then what was not used for longest in any of them is forgotten. Given up are: durability;
// sharing, because each node has its own; transactions, streams; its items when an index or the time to live changes.
//
// # What it leaves to others
//
// Wire formats and the checks that need no table: required members, lengths, numbers of items. Who may do what. Values,
// their sizes and encodings (item), expressions (expr).
package table

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/stream"
	"github.com/rouse-dev/rouse/table/tally"
)

const formatV = 1

// Config of Tables.
type Config struct {
	Store   kv.Store     // required
	Leases  kv.Leases    // who does the upkeep; nil: this process alone
	Region  string       // required
	Logger  *slog.Logger // nil: silent
	Moments Moments

	// CacheBytes is what the cache tables of this node may hold together; default 256 MiB, at least 1 MiB. It is counted as
	// package cache counts, and the collector may need as much again.
	CacheBytes int64
}

// Limits of Config.CacheBytes.
const (
	cacheBytesUsual = 256 << 20
	cacheBytesMin   = 1 << 20
)

// Moments reports what happens, for meters. Every function may be nil.
type Moments struct {
	Expired    func(items int)                        // removed because their time had come
	Backfilled func(items int)                        // looked at for a new index
	Evicted    func(account, table string, items int) // from a cache table
}

// Tables is all tables of a region. Safe for concurrent use.
type Tables struct {
	cfg     Config
	at      layout.Layout // the keys
	signer  stream.Signer // of iterators
	handles handles
	tally   tally.Book
	caches  caches
}

// Open checks the room's format. Items expire, and indexes are filled, while Run runs.
func Open(ctx context.Context, cfg Config) (*Tables, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if err := format.Check(ctx, cfg.Store, layout.Room, formatV); err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	t := &Tables{cfg: cfg, at: layout.Layout{Region: cfg.Region}}
	t.caches.init(max(cmp.Or(cfg.CacheBytes, cacheBytesUsual), cacheBytesMin))
	if err := t.loadSecret(ctx); err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	return t, nil
}
