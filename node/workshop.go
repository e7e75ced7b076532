package node

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/console"
	"github.com/rouse-dev/rouse/deliver"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/runtimes"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/logs"
	"github.com/rouse-dev/rouse/meter"
	"github.com/rouse-dev/rouse/node/http1"
	"github.com/rouse-dev/rouse/outbox"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// workshop makes what runs functions.
func (n *Node) workshop(ctx context.Context, p *parts, env func(string) (string, bool)) error {
	var err error
	if p.runtimes, err = n.openRuntimes(ctx, env); err != nil {
		return err
	}
	if p.driver, err = n.openDriver(ctx); err != nil {
		return err
	}
	p.onClose(p.driver.Close)
	report := p.driver.Report()
	if !n.cfg.Dev && !n.cfg.AllowWeak && !report.Limited() {
		return fmt.Errorf("the isolation in force (%s) does not limit memory, CPU and processes of functions, and this is a production node; "+
			"`rouse doctor` says what would lift it, --allow-weak-isolation serves all the same", report.Driver)
	}
	p.endpoint = &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.inside(w, r) }),
		IdlePatience: 5 * time.Minute, Logger: n.log}
	p.onClose(p.endpoint.Close)
	maker, err := n.maker(p, report)
	if err != nil {
		return err
	}
	p.pool = pool.New(pool.Config{Maker: maker, Current: p.current, MemoryBytes: int64(n.cfg.MemoryMB) << 20,
		KeepAlive: n.cfg.KeepAlive, Logger: n.log})
	p.closers = append(p.closers, n.settle, p.closePool)
	p.dispatch, err = dispatch.Open(ctx, dispatch.Config{Store: p.store, Region: n.cfg.Region, Runner: p.pool, Resolve: p.catalog.Resolve,
		Policy: p.asyncPolicy, Reserved: p.reserved(n.cfg.Concurrency), Record: p.record, Deliver: rouse.Deliverer(late{p}),
		Concurrency: n.cfg.Concurrency, Alone: p.store.alone, Logger: n.log})
	if err != nil {
		return err
	}
	p.deliver = deliver.New(deliver.Config{Queue: p.dispatch, Authorize: p.identity, Policy: p.policy, Store: p.store, Logger: n.log})
	p.loop("pool", p.pool.Run)
	p.loop("dispatch", p.dispatch.Run)
	p.loop("outbox", func(ctx context.Context) error {
		return p.outbox.Run(ctx, func(tx kv.Tx, r outbox.Record) error { return p.deliver.Move(tx, r.Target, r.Payload) })
	})
	return nil
}

// late is the deliverer, which is made after the dispatcher that tells it of results.
type late struct{ p *parts }

func (l late) Deliver(ctx context.Context, from rouse.Origin, target rouse.ARN, payload []byte) error {
	return l.p.deliver.Deliver(ctx, from, target, payload)
}

// closePool lets running attempts end until ctx is done.
func (p *parts) closePool(ctx context.Context) error {
	if err := p.pool.Close(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (n *Node) openRuntimes(ctx context.Context, env func(string) (string, bool)) (*runtimes.Registry, error) {
	dir := n.folder(runtimeFolder)
	if err := guest.Install(dir); err != nil {
		return nil, fmt.Errorf("install bootstraps: %w", err)
	}
	path, _ := env("PATH")
	home, _ := env("HOME")
	return runtimes.Open(ctx, runtimes.Config{Dir: dir, Path: filepath.SplitList(path), Home: home, Registry: npmRegistry(env, home)})
}

// npmRegistry is where npm itself would look: its variable, the user's .npmrc, "" for the public one.
func npmRegistry(env func(string) (string, bool), home string) string {
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		if v, _ := env(name); v != "" {
			return v
		}
	}
	files := []string{filepath.Join(home, ".npmrc"), "/usr/etc/npmrc", "/etc/npmrc", "/usr/local/etc/npmrc"}
	if f, ok := env("NPM_CONFIG_USERCONFIG"); ok {
		files = append([]string{f}, files...)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == "registry" {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}

func (n *Node) openDriver(ctx context.Context) (sandbox.Driver, error) {
	name := n.cfg.Isolation
	if name == "auto" {
		name = driver.Auto
	}
	dir := n.folder(sandboxFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// No folder of code is readable for all: what a driver shows a function is its own, mounted before its processes start.
	return driver.Open(ctx, driver.Config{Name: name, Dir: dir, Egress: !n.cfg.Egress.None(), Logger: n.log})
}

// maker is what the pool makes instances of.
func (n *Node) maker(p *parts, report sandbox.Report) (*pool.Maker, error) {
	most, reach, err := n.reach(report)
	if err != nil {
		return nil, err
	}
	return &pool.Maker{
		Driver: p.driver, Region: n.cfg.Region, Egress: most, Reach: reach, Logger: n.log,
		Compiled:   n.folder(compileFolder),
		SpareBytes: int64(n.cfg.SparesMB) << 20,
		LateMounts: report.Driver != driver.Process,
		Runtime:    func(v *catalog.Version) (pool.Runtime, error) { return p.runtimeOf(v, n.folder(runtimeFolder)) },
		Code:       p.code,
		Credentials: func(ctx context.Context, v *catalog.Version) (guest.Credentials, error) {
			c, err := p.identity.Session(ctx, v.Account, v.Role, v.Name, cmp.Or(n.cfg.keysLast, pool.CredentialsTTL))
			return guest.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
				Expires: c.Expires}, err
		},
		Lines: func(v *catalog.Version, stream string) pool.LineWriter {
			return &told{Writer: p.logs.Writer(v.Account, v.LogGroup, stream), feed: p.feed, account: v.Account, function: v.Name, stream: stream}
		},
		Endpoint: func(ln net.Listener) {
			// Ends with the listener.
			_ = p.endpoint.Serve(&bounded{Listener: ln, rooms: []*room{{max: endpointConns}, n.sandboxes},
				pace: pace{burst: endpointBurst, every: endpointEvery}})
		},
	}, nil
}

// runtimeOf chooses what a version runs on.
func (p *parts) runtimeOf(v *catalog.Version, bootstraps string) (pool.Runtime, error) {
	kind, err := guest.KindOf(v.Runtime, v.Handler)
	if err != nil {
		return pool.Runtime{}, err
	}
	rt := pool.Runtime{Kind: kind, Image: []sandbox.Bind{{Source: bootstraps, Target: sandbox.MountRuntime}}}
	if strings.HasPrefix(v.Runtime, "provided") {
		return rt, nil
	}
	choice, err := p.runtimes.For(v.Runtime)
	if err != nil {
		return pool.Runtime{}, err
	}
	rt.Interpreter, rt.SDK = choice.Given.Interpreter, choice.Given.SDK != ""
	for _, b := range rt.Interpreter.Binds {
		rt.Image = append(rt.Image, sandbox.Bind{Source: b.Source, Target: b.Target})
	}
	return rt, nil
}

// code unpacks what a version shows, or finds it unpacked.
func (p *parts) code(ctx context.Context, v *catalog.Version) (pool.Code, error) {
	task, release, err := p.catalog.CodeDir(ctx, v)
	if err != nil {
		return pool.Code{}, err
	}
	c := pool.Code{Task: task, Release: release}
	if len(v.Layers) == 0 {
		return c, nil
	}
	layers, releaseLayers, err := p.catalog.LayersDir(ctx, v)
	if err != nil {
		release()
		return pool.Code{}, err
	}
	c.Layers, c.Release = layers, func() { release(); releaseLayers() }
	return c, nil
}

// current reports whether a version is still what its name means.
func (p *parts) current(v *catalog.Version) bool {
	now, err := p.catalog.Resolve(v.ARN)
	return err == nil && now.RevisionID == v.RevisionID && now.Tags[pool.EgressTag] == v.Tags[pool.EgressTag]
}

// policy is a function's own policy, and whether there is such a function.
func (p *parts) policy(fn rouse.ARN) (string, bool) {
	if _, err := p.catalog.Resolve(fn); rouse.KindOf(err) == rouse.NotFound && err != nil {
		return "", false
	}
	return p.catalog.Policy(fn), true
}

// asyncPolicy is what a function asks of its asynchronous invocations.
func (p *parts) asyncPolicy(fn rouse.ARN) dispatch.Policy {
	policy := dispatch.DefaultPolicy()
	ref, err := p.catalog.ParseRef(fn.Account, fn.String(), "")
	if err != nil {
		return policy
	}
	c, err := p.catalog.EventConfig(ref)
	if err != nil {
		return policy // the function has none
	}
	if c.Retries != nil {
		policy.Retries = *c.Retries
	}
	if c.AgeSeconds != nil {
		policy.MaxAge = time.Duration(*c.AgeSeconds) * time.Second
	}
	policy.OnSuccess, policy.OnFailure = c.OnSuccess, c.OnFailure
	return policy
}

// reserved says how much of an account's concurrency its functions have reserved.
func (p *parts) reserved(concurrency int) func(string) int {
	if concurrency == 0 {
		concurrency = 1000
	}
	return func(account string) int { return concurrency - p.catalog.Account(account).UnreservedConcurrency }
}

// record takes each attempt: into the books, and to whoever watches.
func (p *parts) record(r meter.Record) {
	p.meter.Record(r)
	if !p.feed.Watched() {
		return
	}
	p.feed.Tell(console.Moment{At: r.At, Account: r.Account, Attempt: &console.AttemptMoment{ID: r.ID, Function: r.Function, Cause: r.Cause,
		Attempt: r.Attempt, Outcome: string(r.Outcome), Error: r.ErrorType, Timing: r.Timing}})
}

// told is a log stream whose lines are also told to whoever watches.
type told struct {
	*logs.Writer
	feed                      *console.Feed
	account, function, stream string
}

// Write takes one line.
func (t *told) Write(at time.Time, line []byte) {
	t.Writer.Write(at, line)
	if t.feed.Watched() {
		t.feed.Tell(console.Moment{At: at, Account: t.account, Line: &console.LineMoment{Function: t.function, Stream: t.stream,
			Text: strings.TrimRight(string(line), "\n")}})
	}
}
