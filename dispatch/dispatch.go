// Package dispatch is the Invoker that everybody holds: the one way into a function.
//
// A synchronous invocation is one attempt. An asynchronous one is an entry in a durable queue, tried until it succeeds,
// its retries are used up or it is too old. Both pass the same steps:
//
//	resolve ─► limits ─► Runner (the pool) ─► meter
//	   │          │
//	   │          └ Throttled: the account's or the function's concurrency is used up
//	   └ NotFound, or Conflict when the function is not in a state to run
//
// # The queue
//
//	Enqueue ──► due(now, id) ──Claim──► due(now+30s, id) ──► attempt ──► gone, or due(later, id)
//	                                      └ moved on every 10 s while the attempt runs
//
// An entry is never out of the queue while it is worked on: claiming moves it to a later due time, and whoever works on it
// keeps moving it. When a node dies, its entries become due again within half a minute, or at the next start where no other
// node works on the store, and another attempt is made: an accepted event runs at least once. Attempts are counted before they
// start. An entry that cannot be read is set aside. Events older than their function wants are not tried; destinations are told
// with the rights of the function's role, and may be told twice by a node that dies between that and settling the entry. Where
// the store does not say whether a destination was told, or an entry moved, neither is taken for granted: the entry stays, or
// is looked for in both places.
//
// A function error is retried after one minute and then after two, twice by default, as on Lambda
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html). Throttles and faults of the
// platform do not use up retries; they back off from one second to five minutes until the event is too old. One function
// may hold a quarter of the workers, so a slow one does not stop the rest; what is beyond that looks again ever later.
//
// Dispatch does not decide who may call: doors have authorised the Origin before they get here.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/meter"
)

// Runner makes one attempt. The pool is one.
type Runner interface {
	Attempt(ctx context.Context, v *catalog.Version, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error)
}

// Policy is what a function asks of its asynchronous invocations.
type Policy struct {
	Retries   int           // after a function error, 0 to 2
	MaxAge    time.Duration // of an event, 1 minute to 6 hours
	OnSuccess string        // ARN that is told of each success; "" nobody
	OnFailure string        // ARN that is told of each event given up; "" nobody
}

// DefaultPolicy is Lambda's.
func DefaultPolicy() Policy { return Policy{Retries: 2, MaxAge: 6 * time.Hour} }

// Config of a dispatcher.
type Config struct {
	Store       kv.Store
	Region      string
	Runner      Runner
	Resolve     func(rouse.ARN) (*catalog.Version, error) // the version to run; aliases are drawn
	Policy      func(rouse.ARN) Policy                    // nil: DefaultPolicy for all
	Reserved    func(account string) int                  // concurrency reserved by the account's functions together
	Record      func(meter.Record)                        // takes each attempt; must not block
	Deliver     rouse.Deliverer                           // for destinations; nil: none
	Concurrency int                                       // attempts at once per account, default 1000
	Workers     int                                       // asynchronous attempts at once on this node, default 256
	Alone       bool                                      // no other node works on Store: what is held at Open, a dead one held
	Logger      *slog.Logger
}

// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	cfg    Config
	limits limits

	mu       sync.Mutex
	working  map[string]int // guarded by mu; asynchronous attempts by function ARN
	detached int            // guarded by mu; attempts whose caller may have gone
	ended    *sync.Cond     // of mu: detached went down
}

var _ rouse.Invoker = (*Dispatcher)(nil)

const (
	room    = "dispatch"
	formatV = 1
)

// Open checks the queue's format and, when it is alone, frees what a dead node held. Asynchronous invocations run while Run does.
func Open(ctx context.Context, cfg Config) (*Dispatcher, error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 1000
	}
	if cfg.Workers == 0 {
		cfg.Workers = 256
	}
	if cfg.Policy == nil {
		cfg.Policy = func(rouse.ARN) Policy { return DefaultPolicy() }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := format.Check(ctx, cfg.Store, room, formatV); err != nil {
		return nil, fmt.Errorf("open dispatch: %w", err)
	}
	d := &Dispatcher{
		cfg:     cfg,
		limits:  limits{perAccount: cfg.Concurrency, reserved: cfg.Reserved, inFlight: map[string]*flight{}},
		working: map[string]int{},
	}
	d.ended = sync.NewCond(&d.mu)
	if cfg.Alone {
		if err := d.reclaim(ctx); err != nil {
			return nil, fmt.Errorf("open dispatch: take over from a dead node: %w", err)
		}
	}
	return d, nil
}

// Invoke makes one attempt and returns when the body of its result has ended. When ctx ends first it returns the cause of
// that: the attempt goes on to its own end, as on Lambda, still reading inv.Event but writing no more to out.
func (d *Dispatcher) Invoke(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	if len(inv.Event) > rouse.EventMax {
		return rouse.Result{}, rouse.Errorf(rouse.TooLarge, "%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)",
			len(inv.Event), rouse.EventMax)
	}
	if err := checkHops(inv); err != nil {
		return rouse.Result{}, err
	}
	v, err := d.cfg.Resolve(inv.Function)
	if err != nil {
		return rouse.Result{}, err
	}
	if ctx.Done() == nil {
		return d.attempt(ctx, v, inv, out)
	}
	return d.detach(ctx, v, inv, out)
}

// checkHops breaks loops of functions that cause each other.
func checkHops(inv rouse.Invocation) error {
	if inv.From.Hops <= rouse.HopsMax {
		return nil
	}
	return rouse.Errorf(rouse.Invalid, "Recursive invocation detected. The invocation of %s is the %dth in a chain; Rouse stops chains after %d.",
		inv.Function, inv.From.Hops, rouse.HopsMax).WithCode("RecursiveInvocationException")
}

// attempt is one try, metered and limited: the same for synchronous and asynchronous invocations.
func (d *Dispatcher) attempt(ctx context.Context, v *catalog.Version, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	if inv.Attempt == 0 {
		inv.Attempt = 1
	}
	if err := runnable(v); err != nil {
		return rouse.Result{}, err
	}
	release, err := d.limits.take(v)
	if err != nil {
		d.record(v, inv, rouse.Result{}, err)
		return rouse.Result{}, err
	}
	defer release()
	res, err := d.cfg.Runner.Attempt(ctx, v, inv, out)
	if err == nil || ctx.Err() == nil { // who left before there was an instance is no fault of anybody's
		d.record(v, inv, res, err)
	}
	return res, err
}

// runnable refuses a function that is not in a state to run, in Lambda's words.
func runnable(v *catalog.Version) error {
	if v.State != catalog.Pending && v.State != catalog.Failed {
		return nil
	}
	return rouse.Errorf(rouse.Conflict, "The operation cannot be performed at this time. The function is currently in the following state: %s", v.State)
}

func (d *Dispatcher) record(v *catalog.Version, inv rouse.Invocation, res rouse.Result, err error) {
	if d.cfg.Record == nil {
		return
	}
	r := meter.Record{ID: inv.ID, At: time.Now(), Account: v.Account, Function: v.Name, Version: v.Number, Cause: inv.Cause,
		Attempt: inv.Attempt, Outcome: meter.OK, Timing: res.Timing, EventBytes: len(inv.Event)}
	switch {
	case rouse.KindOf(err) == rouse.Throttled && err != nil:
		r.Outcome = meter.Throttled
	case err != nil:
		r.Outcome = meter.Broken
	case res.Error != nil && res.Error.Type == TimedOut:
		r.Outcome, r.ErrorType = meter.TimedOut, res.Error.Type
	case res.Error != nil:
		r.Outcome, r.ErrorType = meter.Failed, res.Error.Type
	}
	d.cfg.Record(r)
}

// TimedOut is the error type of an attempt that ran out of its function's time.
const TimedOut = "Sandbox.Timedout"

// Run works on the queue until ctx is done and every attempt has ended, those of callers who went included.
func (d *Dispatcher) Run(ctx context.Context) error {
	hint, stop := d.cfg.Store.Wake(wakeTopic)
	defer stop()
	slots := make(chan struct{}, d.cfg.Workers)
	var workers sync.WaitGroup
	defer d.waitDetached()
	defer workers.Wait()
	for {
		n, err := d.claimInto(ctx, slots, &workers)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kv.ErrClosed):
			return err
		case err != nil:
			d.cfg.Logger.Error("async queue: claim", "err", err)
		}
		if n > 0 {
			continue
		}
		wait, sooner := pollEvery, (<-chan struct{})(nil) // a store that fails does not work again for a hint
		if err == nil {
			wait, sooner = d.untilDue(ctx), hint
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sooner:
		case <-time.After(wait):
		}
	}
}

// claimInto takes as many due entries as there are free workers, waiting for at least one worker, and sets them to work.
func (d *Dispatcher) claimInto(ctx context.Context, slots chan struct{}, workers *sync.WaitGroup) (int, error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return 0, nil
	}
	free := 1
	for free < claimMax {
		select {
		case slots <- struct{}{}:
			free++
			continue
		default:
		}
		break
	}
	entries, err := d.claim(ctx, free)
	for range free - len(entries) {
		<-slots
	}
	for _, e := range entries {
		workers.Go(func() {
			defer func() { <-slots }()
			d.work(ctx, e)
		})
	}
	return len(entries), err
}
