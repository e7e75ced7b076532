// Package table is the DynamoDB engine: it knows items, keys, indexes and streams, and no wire format.
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
	if err := t.loadSecret(ctx); err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	return t, nil
}
