package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

// retryAfter is the wait before the retry that follows attempt n.
func retryAfter(n int) time.Duration { return time.Duration(n) * time.Minute }

// stallAfter is the wait after the n-th try in a row that did not reach the function.
func stallAfter(n int) time.Duration {
	return min(time.Second<<min(n, 10), 5*time.Minute)
}

// crowdedAfter is how soon an entry is looked at again when its function has had its share of the workers n times in a row:
// soon at first, and ever later, since each look is a transaction and a queue may be long.
func crowdedAfter(n int) time.Duration {
	return min(200*time.Millisecond<<min(n, 10), 5*time.Second)
}

// work makes one attempt of a claimed entry and settles it. ctx ends when the node stops; what becomes of the entry is written
// all the same.
func (d *Dispatcher) work(ctx context.Context, e entry) {
	if !d.enter(e.Function) {
		later := e
		later.Due = d.cfg.Store.Now().Add(crowdedAfter(e.Crowds))
		later.Crowds++
		d.settle(ctx, e, &later)
		return
	}
	defer d.leave(e.Function)
	if d.old(e, d.cfg.Store.Now()) {
		if d.tell(ctx, d.policy(e).OnFailure, e, "EventAgeExceeded", rouse.Result{}, nil) {
			d.settle(ctx, e, nil)
		}
		return
	}
	h := d.hold(ctx, e)
	t := d.try(ctx, h)
	e = h.release()
	e.Crowds = 0
	if ctx.Err() != nil && (t.err != nil || t.res.Error != nil) {
		again := e // the node is stopping, and ends what runs: that is no failure of the function and uses up no retry
		again.Due = d.cfg.Store.Now()
		if t.counted {
			again.Attempts--
		}
		d.settle(ctx, e, &again)
		return
	}
	if next, told := d.next(ctx, e, t); told {
		d.settle(ctx, e, next)
	}
}

func (d *Dispatcher) policy(e entry) Policy {
	fn, _ := rouse.ParseARN(e.Function)
	return d.cfg.Policy(fn)
}

// old reports whether an event is older at a moment than its function wants it to be.
func (d *Dispatcher) old(e entry, at time.Time) bool {
	since := e.Accepted
	if since.IsZero() {
		since = e.Received
	}
	return at.Sub(since) > d.policy(e).MaxAge
}

// settle moves the entry to next, or removes it when next is nil, also when ctx has ended.
func (d *Dispatcher) settle(ctx context.Context, e entry, next *entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdFor)
	defer cancel()
	var err error
	if next == nil {
		err = d.finish(ctx, e)
	} else {
		to := *next
		to.Held = false
		_, err = d.move(ctx, e, to)
	}
	if err != nil {
		d.cfg.Logger.Error("async queue: settle", "inv", e.ID, "fn", e.Function, "err", err)
	}
}

// trial is what came of trying an entry.
type trial struct {
	res     rouse.Result
	out     []byte
	err     error
	counted bool // on disk: the function may have been reached
}

// try counts the attempt, on disk, and makes it.
func (d *Dispatcher) try(ctx context.Context, h *holding) (t trial) {
	e := h.entry()
	fn, err := rouse.ParseARN(e.Function)
	if err != nil {
		return trial{err: err}
	}
	v, err := d.cfg.Resolve(fn)
	if err != nil {
		return trial{err: err}
	}
	event, err := d.event(ctx, e)
	if err != nil {
		return trial{err: err}
	}
	if err := h.move(ctx, func(e *entry) { e.Attempts++ }); err != nil {
		return trial{err: err}
	}
	inv := rouse.Invocation{ID: e.ID, Function: fn, Event: event, ClientContext: e.ClientContext, From: e.From,
		Cause: e.Cause, Received: e.Received, Attempt: e.Attempts + 1}
	var out rouse.Buffer
	res, err := d.attempt(ctx, v, inv, &out)
	return trial{res: res, out: out.Bytes(), err: err, counted: true}
}

// next decides what becomes of an entry after an attempt: nil means done. told is tell's answer.
func (d *Dispatcher) next(ctx context.Context, e entry, t trial) (next *entry, told bool) {
	now := d.cfg.Store.Now()
	policy := d.policy(e)
	var failure []byte
	switch {
	case t.err != nil && rouse.KindOf(t.err) == rouse.NotFound:
		d.cfg.Logger.Info("async event dropped: its function is gone", "inv", e.ID, "fn", e.Function)
		return nil, true
	case t.err != nil:
		if t.counted {
			e.Attempts--
		}
		e.Stalls++
		e.Due = now.Add(stallAfter(e.Stalls - 1))
		if rouse.KindOf(t.err) != rouse.Throttled {
			d.cfg.Logger.Error("async attempt did not reach its function", "inv", e.ID, "fn", e.Function, "err", t.err)
		}
	case t.res.Error == nil:
		return nil, d.tell(ctx, policy.OnSuccess, e, "Success", t.res, t.out)
	default:
		failure = t.res.Error.Payload
		if e.Attempts > policy.Retries {
			return nil, d.tell(ctx, policy.OnFailure, e, "RetriesExhausted", t.res, failure)
		}
		e.Stalls = 0
		e.Due = now.Add(retryAfter(e.Attempts))
	}
	if d.old(e, e.Due) {
		return nil, d.tell(ctx, policy.OnFailure, e, "EventAgeExceeded", t.res, failure)
	}
	return &e, true
}

// destination is the record that a destination gets
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
type destination struct {
	Version         string          `json:"version"`
	Timestamp       string          `json:"timestamp"`
	RequestContext  map[string]any  `json:"requestContext"`
	RequestPayload  json.RawMessage `json:"requestPayload"`
	ResponseContext map[string]any  `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage `json:"responsePayload,omitempty"`
}

// tell hands the outcome to a destination, also when ctx has ended. A destination that refuses it, or is gone, is logged, and
// the event settled. false: the store did not say that the destination has it. Then the event must not be settled, or it might
// be lost to both: it becomes due again, and is told of by the attempt that follows.
func (d *Dispatcher) tell(ctx context.Context, target string, e entry, condition string, res rouse.Result, out []byte) bool {
	if target == "" || d.cfg.Deliver == nil {
		return true
	}
	arn, err := rouse.ParseARN(target)
	if err != nil {
		d.cfg.Logger.Error("async destination", "fn", e.Function, "target", target, "err", err)
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdFor)
	defer cancel()
	event, err := d.event(ctx, e)
	if err == nil {
		m := destination{Version: "1.0", Timestamp: d.cfg.Store.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			RequestContext: map[string]any{"requestId": e.ID, "functionArn": qualified(e.Function, res.Version), "condition": condition,
				"approximateInvokeCount": e.Attempts},
			RequestPayload: asJSON(event)}
		if out != nil {
			m.ResponsePayload = asJSON(out)
		}
		if res.Version != "" {
			m.ResponseContext = map[string]any{"statusCode": 200, "executedVersion": res.Version}
			if res.Error != nil {
				m.ResponseContext["functionError"] = "Unhandled"
			}
		}
		var b []byte
		if b, err = json.Marshal(m); err == nil {
			err = d.cfg.Deliver.Deliver(ctx, d.asRole(e), arn, b)
		}
	}
	if err != nil {
		d.cfg.Logger.Error("async destination", "inv", e.ID, "fn", e.Function, "target", target, "err", err)
	}
	return !errors.Is(err, errStore)
}

func qualified(fn, version string) string {
	a, err := rouse.ParseARN(fn)
	if err != nil {
		return fn
	}
	name, q, ok := a.FunctionName()
	if !ok || q != "" {
		return fn
	}
	if version == "" {
		version = catalog.Latest
	}
	return rouse.FunctionARN(a.Region, a.Account, name, version).String()
}

// asRole is a session of the function's role: as on AWS it is the role that must be allowed to reach a destination, not who
// caused the event.
func (d *Dispatcher) asRole(e entry) rouse.Origin {
	fn, _ := rouse.ParseARN(e.Function)
	v, err := d.cfg.Resolve(fn)
	if err != nil {
		return rouse.Origin{} // the function is gone, and its rights with it
	}
	role, err := rouse.ParseARN(v.Role)
	if err != nil {
		return rouse.Origin{}
	}
	name := role.Resource[strings.LastIndexByte(role.Resource, '/')+1:]
	session := rouse.ARN{Service: "sts", Account: role.Account, Resource: "assumed-role/" + name + "/" + v.Name}
	return rouse.Origin{Principal: rouse.Principal{Account: role.Account, ARN: session.String()}, RoleARN: v.Role,
		SourceARN: e.Function, Hops: e.From.Hops, Trace: e.From.Trace}
}

// asJSON is b, as a JSON string where it is no JSON: a program of one's own may answer anything.
func asJSON(b []byte) json.RawMessage {
	switch {
	case len(b) == 0:
		return json.RawMessage("null")
	case !json.Valid(b):
		b, _ = json.Marshal(string(b)) // strings cannot fail
	}
	return b
}

// enter gives a function one more worker if it has less than its share.
func (d *Dispatcher) enter(fn string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.working[fn] >= max(1, d.cfg.Workers/4) {
		return false
	}
	d.working[fn]++
	return true
}

func (d *Dispatcher) leave(fn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.working[fn]--; d.working[fn] == 0 {
		delete(d.working, fn)
	}
}
