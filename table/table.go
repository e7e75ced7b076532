// Package table is the DynamoDB engine: it knows items, keys, indexes and streams, and no wire format.
package table

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// Config of Tables.
type Config struct {
	Store   kv.Store  // required
	Leases  kv.Leases // who does the upkeep; nil: this process alone
	Region  string    // required
	Logger  *slog.Logger
	Moments Moments
}

// Moments reports what happens, for meters. Every function may be nil.
type Moments struct {
	Expired    func(items int)                        // removed because their time had come
	Backfilled func(items int)                        // looked at for a new index
	Evicted    func(account, table string, items int) // from a cache table
}

// Tables is all tables of a region. Safe for concurrent use.
type Tables struct {
	cfg     Config
	schemas schemas
	counts  countBook
	caches  caches
}

// Open checks the room's format.
func Open(ctx context.Context, cfg Config) (*Tables, error) { return &Tables{cfg: cfg}, nil }

// Run does the upkeep until ctx is done.
func (t *Tables) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

var errSoon = errors.New("soon")

func (t *Tables) readCacheTag(*Definition) error { return nil }
func (s *schema) cached() bool                   { return false }
func (s *schema) skipHead() int                  { return 0 }

type caches struct{}

func (c *caches) drop(uint64)                                                         {}
func checkTags(map[string]string) error                                               { return nil }
func (t *Tables) setWork(tx kv.Tx, account string, d *descriptor, index uint32) error { return nil }
func (t *Tables) setStream(tx kv.Tx, account string, d *descriptor, view StreamView, now time.Time) error {
	return nil
}
func checkStreamChange(d *descriptor, view StreamView) error { return nil }
func (e *effect) expire(t *Tables, tx kv.Tx, now time.Time)  {}
func (e *effect) record(tx kv.Tx, now time.Time, service bool) error {
	return nil
}

// Tag adds tags to a table or replaces those with the same keys.
func (t *Tables) Tag(ctx context.Context, account, name string, tags map[string]string) error {
	return errSoon
}

// Untag removes tags; keys that are not there are no error.
func (t *Tables) Untag(ctx context.Context, account, name string, keys []string) error {
	return errSoon
}

// Tags are the tags of a table.
func (t *Tables) Tags(ctx context.Context, account, name string) (map[string]string, error) {
	return nil, errSoon
}

// SetTTL turns the time to live on or off.
func (t *Tables) SetTTL(ctx context.Context, account, name, attribute string, on bool) error {
	return errSoon
}

// TTL is a table's time to live.
func (t *Tables) TTL(ctx context.Context, account, name string) (TTL, error) { return TTL{}, errSoon }

// BatchGet reads up to 100 items of any tables.
func (t *Tables) BatchGet(ctx context.Context, account string, rs []BatchGetRequest, measure bool) ([]BatchGetResult, error) {
	return nil, errSoon
}

// BatchWrite puts and deletes up to 25 items of any tables.
func (t *Tables) BatchWrite(ctx context.Context, account string, ws []WriteRequest) (BatchWriteResult, error) {
	return BatchWriteResult{}, errSoon
}

// TransactGet reads up to 100 items at one moment.
func (t *Tables) TransactGet(ctx context.Context, account string, rs []GetRequest) (TransactResult, error) {
	return TransactResult{}, errSoon
}

// TransactWrite changes up to 100 items at one moment, or none.
func (t *Tables) TransactWrite(ctx context.Context, account string, r TransactRequest) (TransactResult, error) {
	return TransactResult{}, errSoon
}

// Streams lists the streams of a table, or with table "" of the account, after an ARN.
func (t *Tables) Streams(ctx context.Context, account, table, after string, limit int) (list []StreamSummary, last string, err error) {
	return nil, "", errSoon
}

// Stream describes a stream.
func (t *Tables) Stream(ctx context.Context, account, arn string) (*StreamDescription, error) {
	return nil, errSoon
}

// Iterator makes an iterator over a shard.
func (t *Tables) Iterator(ctx context.Context, account string, r IteratorRequest) (string, error) {
	return "", errSoon
}

// IteratorStream is the ARN of the stream that an iterator reads.
func (t *Tables) IteratorStream(iterator string) (arn string, err error) { return "", errSoon }

// Records reads a page of a shard.
func (t *Tables) Records(ctx context.Context, account, iterator string, limit int) (Records, error) {
	return Records{}, errSoon
}

// WatchStream returns a channel that gets a hint some time after a stream got records.
func (t *Tables) WatchStream(arn string) (hint <-chan struct{}, stop func()) {
	return t.cfg.Store.Wake([]byte(arn))
}
