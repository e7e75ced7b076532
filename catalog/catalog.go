// Package catalog knows the functions: their versions, aliases, layers and code, who may call them (resource policies),
// the URLs they answer at, their tags and their limits.
//
// # Two faces
//
// Everything that changes a function is a transaction in kv. Everything that reads one is answered from memory, by the
// shelf: a table from (account, name) to an immutable *function, cut into shards that are replaced whole through atomic
// pointers. An invocation therefore costs one hash and no lock:
//
//	Resolve(arn)      → the *Version that runs now; aliases resolved, weights drawn
//	ResolveURL(id)    → the function URL
//	Policy(arn)       → the resource policy
//
// Each transaction also writes "function X of account A changed" under the next number of a sequence. After its commit
// the node reads on from the last number it has seen and puts the named functions on the shelf again, before the call
// returns: who creates a function can call it. Other nodes are woken by kv and look once a second besides. A node that is
// more than historyMax changes behind reads everything anew. Because reads are snapshots at a known number, the shelf
// never shows half a transaction of one function, and a late reader cannot put an older state over a newer one.
//
// # Keys
//
//	(account, region, "catalog", "fn", name, "head")              the function: $LATEST, tags, names of its parts
//	(account, region, "catalog", "fn", name, "version", number)   a published version, never changed
//	(… "fn", name, "alias" | "policy" | "url" | "event", …)       its other parts, by alias name or qualifier
//	(… "layer", name, "head" | "version", …)                      a layer and its versions
//	(… "next", kind, name)                                        numbers given to what was deleted: never given again
//	("", region, "catalog", "account", account)                   totals: functions, bytes, reserved concurrency
//	("", region, "catalog", "seq" | "change", number)             the sequence of changes
//	("", region, "catalog", "code", sha256)                       an archive: its blob and how many versions hold it
//
// The head names every part, so a function is deleted whole without a scan, and every change of a function reads the
// head, so changes of one function are serial.
//
// # Code
//
// An archive is inspected before anything is kept (package archive), announced in kv, written to blob, and counted by the
// transaction that refers to it. A crash in between leaves an archive that nobody counts; Run deletes it when it has been
// so for Config.Grace. Blob keys carry a random part beside the hash, so that deleting an archive cannot race with
// somebody bringing the same bytes again. CodeDir and LayersDir unpack into Config.CacheDir (package cache).
//
// # States
//
// Without Config.Prepare a function is Active when Create returns. With it, changes go
//
//	Create  Pending ── Prepare ok ──▶ Active            Update  InProgress ── ok ──▶ Successful
//	                └─ Prepare err ─▶ Failed                                └─ err ─▶ Failed, the old one stays
//
// and while an update is in progress, or after it failed, Resolve answers what ran before, as Lambda does.
//
// # Promises
//
// A nil error of a changing method means that the change is durable and visible on this node. kill -9 at any instant
// leaves each function as it was before a call or as it was after. All methods are safe for concurrent use, and answers
// are immutable: callers must not change them. Errors carry Lambda's kinds, codes and texts.
//
// Left to others: running code (pool, dispatch), who may call what (identity), the wire (aws/lambda), where code in
// buckets comes from (Config.Fetch).
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog/archive"
	"github.com/rouse-dev/rouse/catalog/cache"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
)

// Limits of Lambda (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and ours where it says none.
const (
	ZippedMax     = 52428800    // bytes of an archive that comes with the request
	UnzippedMax   = 262144000   // bytes of code and layers of one function
	CodeTotalMax  = 80530636800 // bytes of all archives of an account's versions and layers
	EntriesMax    = 100_000     // files in one archive; ours
	PartsMax      = 4_000       // aliases, policies, URLs, event configurations, versions and archives these hold; ours
	LayersMax     = 5           // of one function
	TagsMax       = 50          // of one function
	PolicyMax     = 20 << 10    // bytes of a resource policy
	EnvMax        = 4 << 10     // bytes of environment as JSON
	UnreservedMin = 100         // of the account's concurrency that cannot be reserved
)

const (
	graceDefault       = time.Hour
	concurrencyDefault = 1000
	followEvery        = time.Second      // how often a node looks for changes that it was not woken for
	sweepEvery         = 10 * time.Minute // how often Run looks for code that nobody refers to
	formatVersion      = 1
)

// Config of a Catalog.
type Config struct {
	Region   string     // required
	Store    kv.Store   // required
	Blobs    blob.Store // required
	CacheDir string     // required: where code is unpacked; private to this process
	// Sealed makes the folders of unpacked code unwritable to their owner as well: for drivers that show a function the
	// folder itself and not a read-only mount of it. Nobody but root can delete such folders without a chmod.
	Sealed bool

	// Fetch opens the object of a bucket, for code that comes by S3Bucket and S3Key. Its errors reach the client. nil:
	// such code is refused.
	Fetch func(ctx context.Context, bucket, key, version string) (io.ReadCloser, error)
	// Prepare is called in the background after a function was created or changed, and makes it fail by an error, whose
	// text is shown as the reason. It may be called twice for one change. nil: functions are active at once.
	Prepare func(ctx context.Context, v *Version) error
	// Role says whether Lambda can assume a role; its errors reach the client. nil: roles are not looked at.
	Role func(ctx context.Context, arn string) error
	// Principal says whether a role or user that a permission is given to exists. It is asked for those of the function's
	// own account only: others may live elsewhere. nil: all do.
	Principal func(ctx context.Context, arn string) bool

	// CheckTags refuses tags that mean something to others of the node and say it wrong. nil: they are all just tags.
	CheckTags func(tags map[string]string) error

	Architecture string        // of this machine, "x86_64" or "arm64"; "" means the one of this program
	Concurrency  int           // executions at once of one account; 0 means 1000
	Grace        time.Duration // how long code stays that nothing refers to; 0 means an hour
	Logger       *slog.Logger  // nil: nothing is logged
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Region == "":
		return errors.New("catalog: Config.Region is required")
	case c.Store == nil:
		return errors.New("catalog: Config.Store is required")
	case c.Blobs == nil:
		return errors.New("catalog: Config.Blobs is required")
	case c.CacheDir == "":
		return errors.New("catalog: Config.CacheDir is required")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Architecture == "" {
		c.Architecture = "x86_64"
		if runtime.GOARCH == "arm64" {
			c.Architecture = "arm64"
		}
	}
	if c.Concurrency == 0 {
		c.Concurrency = concurrencyDefault
	}
	if c.Grace == 0 {
		c.Grace = graceDefault
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Catalog holds the functions of a region. Make one with Open.
type Catalog struct {
	cfg    Config
	store  kv.Store
	blobs  blob.Store
	code   *cache.Cache
	limits archive.Limits

	functions shelf[name, *function]
	layers    shelf[name, *layer]
	urls      shelf[string, *URL] // by id
	accounts  shelf[string, totals]

	turn chan struct{} // one slot: whoever holds it reads on in the sequence of changes
	seen uint64        // the last change on the shelf; guarded by turn

	mu      sync.Mutex
	waiting map[name]bool // functions to prepare, true while it is being done; guarded by mu
	kick    chan struct{} // wakes Run after waiting got an entry; buffer 1
}

// Open reads all functions and is ready to answer when it returns. Run must be called for changes of other nodes, for
// Prepare, and for sweeping.
func Open(ctx context.Context, cfg Config) (*Catalog, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := format.Check(ctx, cfg.Store, "catalog", formatVersion); err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	code, err := cache.Open(cache.Config{Dir: cfg.CacheDir})
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	c := &Catalog{
		cfg: cfg, store: cfg.Store, blobs: cfg.Blobs, code: code,
		limits:    archive.Limits{Unzipped: UnzippedMax, Entries: EntriesMax},
		functions: newShelf[name, *function](), layers: newShelf[name, *layer](),
		urls: newShelf[string, *URL](), accounts: newShelf[string, totals](),
		turn: make(chan struct{}, 1), waiting: map[name]bool{}, kick: make(chan struct{}, 1),
	}
	if err := c.follow(ctx, 0); err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	return c, nil
}

// Run keeps the shelf true to what other nodes change, prepares functions and sweeps code, until ctx is done.
func (c *Catalog) Run(ctx context.Context) error {
	hint, stop := c.store.Wake(c.topic())
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	if c.cfg.Prepare != nil {
		wg.Go(func() { c.prepareLoop(ctx) })
	}
	wg.Go(func() { c.sweepLoop(ctx) })
	poll := time.NewTicker(followEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hint:
		case <-poll.C:
		}
		if err := c.follow(ctx, 0); err != nil && ctx.Err() == nil {
			if errors.Is(err, kv.ErrClosed) {
				return err
			}
			c.cfg.Logger.Error("the catalog cannot read changes", "err", err)
		}
	}
}

func (c *Catalog) sweepLoop(ctx context.Context) {
	t := time.NewTicker(min(sweepEvery, c.cfg.Grace))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
				c.cfg.Logger.Error("the catalog cannot sweep code", "err", err)
			}
		}
	}
}

// spool opens a nameless temporary file beside the code cache.
func (c *Catalog) spool() (*os.File, error) {
	f, err := os.CreateTemp(c.cfg.CacheDir, ".tmp-spool-")
	if err != nil {
		return nil, fmt.Errorf("spool code: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool code: %w", err), f.Close())
	}
	return f, nil
}

// arn names a function of this region.
func (c *Catalog) arn(n name, qualifier string) rouse.ARN {
	return rouse.FunctionARN(c.cfg.Region, n.account, n.name, qualifier)
}
