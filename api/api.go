// Package api holds HTTP APIs and REST APIs: their routes, integrations, stages and deployments, and the snapshot of them
// that the gateway serves from.
//
// # Ideas
//
// One document per API. An API is edited as a whole, in one transaction over one key: routes, integrations, stages, and
// the list of its deployments. So any two edits of an API are serialised, a check of a reference holds at commit, and
// there is no order in which half an API can be seen. A document is larger than one value may be, so it is kept in chunks.
//
// A deployment is a copy. What a stage serves is the design (routes and integrations) as it was when it was deployed,
// kept as a document of its own that never changes. Stages with AutoDeploy get a new deployment within the same
// transaction as the edit; the one before is dropped when no stage serves it any more.
//
//	edit API ──> document (what is edited) ──deploy──> design (frozen) <──serves── stage ──compile──> Snapshot ──> gateway
//
// One snapshot for the hot path. Published through an atomic pointer, immutable, never more than a look-up away: API by
// id, stage by name, route by package route. Stage variables are put in place, function ARNs parsed, mock answers
// chosen when it is compiled, not when a request comes. APIs that did not change are shared between snapshots.
//
// HTTP APIs (v2 of the AWS API) and REST APIs (v1) differ in what is edited and in how a request is answered; below that
// they are the same. HTTP and REST are the two faces of one room.
//
// # Promises
//
// What an edit returned nil for is durable, and this node serves it at once. Other nodes follow within a second or so: by
// a hint after the commit, and by a poll of the index behind it (Run). A snapshot never goes back: each document carries
// a revision, and an older one is not published over a newer.
//
// All methods are safe for concurrent use. Errors are of the kinds of package rouse with AWS's texts where they are
// known. What AWS has and Rouse has not is refused by name: authorizers, API keys, usage plans, request validators,
// custom domains, VPC links, WebSocket APIs, mapping templates in VTL.
//
// Left to others: answering requests (gateway), the wire (aws/apigateway, aws/apigatewayv2), who may do what (identity).
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
)

// Config is what the room needs.
type Config struct {
	Store  kv.Store
	Region string
	// Endpoint is where clients find an API, shown as ApiEndpoint. Default AWS's https://ID.execute-api.REGION.amazonaws.com.
	Endpoint func(apiID string) string
	// Log gets what an operator should know; nil discards it.
	Log *slog.Logger
}

// APIs is the room; made by Open.
type APIs struct {
	HTTP HTTP // HTTP APIs, v2 of the AWS API
	REST REST // REST APIs, v1
	*core
}

// HTTP is the room's face for HTTP APIs.
type HTTP struct{ *core }

// REST is the room's face for REST APIs.
type REST struct{ *core }

type core struct {
	store    kv.Store
	region   string
	endpoint func(string) string
	log      *slog.Logger

	current atomic.Pointer[Snapshot]

	mu   sync.Mutex        // for publishing; held for lines, never for I/O
	gone map[string]uint64 // revision at which an API was deleted, so that a late publisher does not revive it; guarded by mu
}

// formatNumber is the version of what the room keeps.
const formatNumber = 1

// pollEvery is how often Run looks for changes of other nodes when no hint came.
const pollEvery = time.Second

// Open loads all APIs of the region and publishes the first snapshot.
func Open(ctx context.Context, cfg Config) (*APIs, error) {
	c := &core{store: cfg.Store, region: cfg.Region, endpoint: cfg.Endpoint, log: cfg.Log, gone: map[string]uint64{}}
	if c.endpoint == nil {
		c.endpoint = func(id string) string { return "https://" + id + ".execute-api." + cfg.Region + ".amazonaws.com" }
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.current.Store(newSnapshot(nil))
	if err := format.Check(ctx, cfg.Store, "api", formatNumber); err != nil {
		return nil, err
	}
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	return &APIs{HTTP: HTTP{c}, REST: REST{c}, core: c}, nil
}

// Snapshot is what is served now. Read it once per request.
func (c *core) Snapshot() *Snapshot { return c.current.Load() }

// Region is the region of the node, as in the APIs' ARNs.
func (c *core) Region() string { return c.region }

// Run follows the changes that other nodes make until ctx is done.
func (c *core) Run(ctx context.Context) error {
	hint, stop := c.store.Wake(c.topic())
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hint:
		case <-tick.C:
		}
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("apis are not refreshed", "err", err)
		}
	}
}

// refresh brings the snapshot up to the store: loads what is newer there, drops what is gone.
func (c *core) refresh(ctx context.Context) error {
	snap := c.Snapshot() // before the index: what is made in between is not in the one, and not gone because it is not in the other
	stored, err := c.index(ctx)
	if err != nil {
		return err
	}
	var errs []error // an API in trouble holds up no other
	for id, at := range stored {
		if live := snap.API(id); live != nil && live.revision >= at.Revision {
			continue
		}
		d, err := c.load(ctx, at.Account, id)
		if err == nil && d != nil { // else it was deleted since the index was read
			err = c.publish(ctx, d, nil)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("api %s: %w", id, err))
		}
	}
	for _, live := range snap.All() {
		if _, ok := stored[live.ID]; !ok {
			c.unpublish(live.ID, live.revision)
		}
	}
	return errors.Join(errs...)
}

// publish compiles d and puts it into the snapshot, unless a newer revision is there. designs holds deployments that the
// caller has at hand; others are taken from the present snapshot or loaded.
func (c *core) publish(ctx context.Context, d *document, designs map[string]*design) error {
	live, err := c.compile(ctx, d, designs)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.current.Load()
	if old := snap.API(d.ID); old != nil && old.revision >= d.Revision {
		return nil
	}
	if c.gone[d.ID] >= d.Revision {
		return nil
	}
	c.current.Store(snap.with(live))
	return nil
}

// unpublish takes an API out of the snapshot.
func (c *core) unpublish(id string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.current.Load()
	if live := snap.API(id); live != nil && live.revision > revision {
		return
	}
	if len(c.gone) >= goneMax {
		clear(c.gone) // a publisher that late is put right by the next refresh
	}
	c.gone[id] = revision
	c.current.Store(snap.without(id))
}

const goneMax = 1024
