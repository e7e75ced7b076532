package node

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/bus"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/console"
	"github.com/rouse-dev/rouse/deliver"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/gateway"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/runtimes"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/logs"
	"github.com/rouse-dev/rouse/meter"
	"github.com/rouse-dev/rouse/node/http1"
	"github.com/rouse-dev/rouse/outbox"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/stack"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/timer"
)

// parts are all that a node is made of, in the order in which they are made.
type parts struct {
	store  state
	blobs  *blob.Folder
	kept   *keeper // the blobs, for rooms
	leases *lease.Leases
	timers *timer.Timers
	outbox *outbox.Outbox

	identity *identity.Identity
	catalog  *catalog.Catalog
	apis     *api.APIs
	logs     *logs.Logs
	meter    *meter.Meter
	bus      *bus.Bus
	tables   *table.Tables

	driver   sandbox.Driver
	runtimes *runtimes.Registry
	pool     *pool.Pool
	dispatch *dispatch.Dispatcher
	deliver  *deliver.Deliverer
	stack    *stack.Stacks

	feed     *console.Feed
	door     *aws.Door
	front    http.Handler // of the doors, as DynamoDB's address has one
	gateway  *gateway.Gateway
	endpoint *http1.Server // the platform as seen from inside sandboxes

	account   string // of the node's own application
	mode      string // "dev" or "serve"
	region    string
	announced atomic.Bool // node.json is written: what waits for health finds the node by it as well
	seal      []byte      // seals secrets and signs links
	codeLinks http.Handler

	handler http.Handler
	plain   http.Handler
	metrics http.Handler
	loops   []loop
	closers []func(context.Context) error // called last first
}

// loop is what runs as long as the node does.
type loop struct {
	name string
	run  func(context.Context) error
}

// build makes the parts from the ground up. When one cannot be made, those below it are closed again.
func (n *Node) build(ctx context.Context, env func(string) (string, bool)) (p *parts, err error) {
	p = &parts{feed: &console.Feed{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	for _, step := range []func(context.Context, *parts) error{n.ground, n.rooms} {
		if err := step(ctx, p); err != nil {
			return p, err
		}
	}
	if err := n.workshop(ctx, p, env); err != nil {
		return p, err
	}
	if err := n.assemble(ctx, p); err != nil {
		return p, err
	}
	return p, n.doors(p)
}

// close closes what was made, last first.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	for _, c := range slices.Backward(p.closers) {
		errs = append(errs, c(ctx))
	}
	p.closers = nil
	return errors.Join(errs...)
}

func (p *parts) onClose(f func() error) {
	p.closers = append(p.closers, func(context.Context) error { return f() })
}

func (p *parts) loop(name string, run func(context.Context) error) {
	p.loops = append(p.loops, loop{name, run})
}

func (n *Node) folder(name string) string { return filepath.Join(n.cfg.Data, name) }

// ground opens what state is kept in, and the frame above it.
func (n *Node) ground(ctx context.Context, p *parts) error {
	var err error
	if p.seal, err = sealKey(n.cfg.Data); err != nil {
		return err
	}
	if p.store, err = openState(ctx, n.cfg, n.log); err != nil {
		return err
	}
	p.onClose(p.store.Close)
	if err := checkSeal(ctx, p.store, n.cfg, p.seal); err != nil {
		return err
	}
	if p.blobs, err = blob.OpenFolder(n.folder(blobFolder)); err != nil {
		return err
	}
	p.kept = newKeeper(p.blobs)
	p.leases = lease.New(lease.Config{Store: p.store, Alone: p.store.alone})
	p.onClose(p.leases.Close)
	p.timers = timer.New(timer.Config{Store: p.store, Leases: p.leases, Poll: p.store.pollIdle(), Logger: n.log})
	p.outbox = outbox.New(outbox.Config{Store: p.store, Leases: p.leases, Poll: p.store.pollIdle(), Logger: n.log})
	return nil
}

// rooms opens the rooms.
func (n *Node) rooms(ctx context.Context, p *parts) error {
	var err error
	p.identity, err = identity.Open(ctx, identity.Config{Store: p.store, Region: n.cfg.Region, Account: n.cfg.Account, SealKey: p.seal,
		DevKey: n.cfg.Dev || n.cfg.DevKey, DevKeyAnywhere: n.cfg.DevKey, Logger: n.log})
	if err != nil {
		return err
	}
	key, created, err := p.identity.Bootstrap(ctx)
	if err != nil {
		return err
	}
	if created && !n.cfg.Dev {
		n.first = firstKey{key.ID, key.Secret}
	}
	p.catalog, err = catalog.Open(ctx, catalog.Config{Region: n.cfg.Region, Store: p.store, Blobs: p.kept, CacheDir: n.folder(codeFolder),
		Sealed: runtime.GOOS != "linux", // there a read-only mount or Landlock keeps functions from their code
		Fetch:  p.fetch, Role: p.assumable, Principal: p.exists, Prepare: p.prepare(n.cfg), CheckTags: checkTags,
		Concurrency: n.cfg.Concurrency, Logger: n.log})
	if err != nil {
		return err
	}
	if p.apis, err = api.Open(ctx, api.Config{Store: p.store, Region: n.cfg.Region, Endpoint: n.apiEndpoint, Log: n.log}); err != nil {
		return err
	}
	p.logs, err = logs.Open(ctx, logs.Config{Store: p.store, Region: n.cfg.Region, SizeMax: int64(n.cfg.LogMaxMB) << 20, Logger: n.log})
	if err != nil {
		return err
	}
	if p.meter, err = meter.Open(ctx, meter.Config{Store: p.store, Region: n.cfg.Region, Book: n.cfg.Book, Logger: n.log}); err != nil {
		return err
	}
	if p.bus, err = bus.Open(ctx, bus.Config{Store: p.store, Region: n.cfg.Region, Timers: p.timers, Outbox: p.outbox}); err != nil {
		return err
	}
	p.tables, err = table.Open(ctx, table.Config{Store: p.store, Leases: p.leases, Region: n.cfg.Region, Logger: n.log,
		CacheBytes: cmp.Or(int64(n.cfg.CacheMB)<<20, memoryBytes(os.DirFS("/"))/8)})
	if err != nil {
		return err
	}
	p.loop("headroom", headroom)
	p.loop("identity", p.identity.Run)
	p.loop("catalog", p.catalog.Run)
	p.loop("apis", p.apis.Run)
	p.loop("logs", p.logs.Run)
	p.loop("meter", p.meter.Run)
	p.loop("bus", p.bus.Run)
	p.loop("tables", p.tables.Run)
	return nil
}

// apiEndpoint is where clients find an API: by a host name that resolves to this machine in development.
func (n *Node) apiEndpoint(id string) string { return n.subdomain(id + ".execute-api") }

// subdomain is the URL of a name below the node's own: below localhost, which resolves to this machine, where the node
// has no name.
func (n *Node) subdomain(name string) string {
	scheme, host, _ := strings.Cut(n.url, "://")
	if _, port, err := net.SplitHostPort(host); err == nil && loopback(host) {
		host = net.JoinHostPort("localhost", port)
	}
	return scheme + "://" + name + "." + host
}

// fetch opens code that a deployment names by bucket and key: artifacts uploaded to this node.
func (p *parts) fetch(ctx context.Context, bucket, key, version string) (io.ReadCloser, error) {
	if bucket != console.AssetsBucket || version != "" {
		return nil, rouse.Errorf(rouse.Unsupported, "Rouse does not implement buckets: the code s3://%s/%s cannot be read; "+
			"`rouse deploy` uploads local code", bucket, key)
	}
	r, _, err := p.blobs.Get(ctx, console.AssetKey(key), 0, -1)
	if err != nil {
		return nil, rouse.Errorf(rouse.Invalid, "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.")
	}
	return r, nil
}

// assumable refuses a role that Lambda cannot assume: an instance gets its keys from it. The text is Lambda's.
func (p *parts) assumable(_ context.Context, role string) error {
	if p.identity.Assumable(role, "lambda.amazonaws.com") {
		return nil
	}
	return rouse.Errorf(rouse.Invalid, "The role defined for the function cannot be assumed by Lambda.").WithCode("InvalidParameterValueException")
}

// exists reports whether an ARN is that of a role or user here.
func (p *parts) exists(_ context.Context, principal string) bool {
	arn, err := rouse.ParseARN(principal)
	if err != nil {
		return false
	}
	name := arn.Resource[strings.LastIndexByte(arn.Resource, '/')+1:]
	if r, err := p.identity.Role(arn.Account, name); err == nil && r.ARN() == principal {
		return true
	}
	u, err := p.identity.User(arn.Account, name)
	return err == nil && u.ARN() == principal
}

// prepare refuses, when a function is made or changed, what would only fail when it runs.
func (p *parts) prepare(cfg Config) func(context.Context, *catalog.Version) error {
	return func(ctx context.Context, v *catalog.Version) error {
		kind, err := guest.KindOf(v.Runtime, v.Handler)
		if err != nil {
			return err
		}
		if !kind.Interpreted() && !strings.HasPrefix(v.Runtime, "nodejs") && !strings.HasPrefix(v.Runtime, "python") {
			return nil
		}
		choice, err := p.runtimes.For(v.Runtime)
		if err != nil {
			return err
		}
		dir, release, err := p.catalog.CodeDir(ctx, v)
		if err != nil {
			return err
		}
		defer release()
		if err := p.runtimes.CheckCode(dir, choice); err != nil {
			return err
		}
		p.pool.Warm(v)
		return nil
	}
}

// assemble makes what deploys templates. It acts through the doors, which are made after it.
func (n *Node) assemble(ctx context.Context, p *parts) error {
	var err error
	p.stack, err = stack.Open(ctx, stack.Config{Store: p.store, Region: n.cfg.Region, Caller: lateCaller{p}, Fetch: p.template, Log: n.log})
	if err != nil {
		return err
	}
	p.loop("stacks", p.stack.Run)
	return nil
}

// templateMax is CloudFormation's limit of a template in bytes; artifacts may be 250 times as large.
const templateMax = 1 << 20

// template reads a template that was uploaded as an artifact.
func (p *parts) template(ctx context.Context, url string) ([]byte, error) {
	key, ok := strings.CutPrefix(url, "rouse-asset:")
	if !ok {
		return nil, rouse.Errorf(rouse.Unsupported, "Rouse does not implement buckets: %s cannot be read; give the template itself", url)
	}
	r, _, err := p.blobs.Get(ctx, console.AssetKey(key), 0, -1)
	if err != nil {
		return nil, rouse.Errorf(rouse.Invalid, "no artifact %s", key)
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, templateMax+1)) // what is longer is refused by its reader
}
