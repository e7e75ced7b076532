package dispatch

import (
	"context"
	"encoding/json"
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

// crowded is how soon an entry is looked at again when its function already has its share of the workers.
const crowded = 200 * time.Millisecond

// work makes one attempt of a claimed entry and settles it.
func (d *Dispatcher) work(ctx context.Context, e entry) {
	if !d.enter(e.Function) {
		later := e
		later.Due = d.cfg.Store.Now().Add(crowded)
		d.settle(ctx, e, &later)
		return
	}
	defer d.leave(e.Function)
	h := d.hold(ctx, e)
	res, out, err := d.try(ctx, h)
	e = h.release()
	if ctx.Err() != nil && (err != nil || res.Error != nil) {
		again := e // the node is stopping, and ends what runs: that is no failure of the function and uses up no retry
		again.Attempts, again.Due = max(0, e.Attempts-1), d.cfg.Store.Now()
		d.settle(context.WithoutCancel(ctx), e, &again)
		return
	}
	next := d.next(ctx, e, res, out, err)
	d.settle(context.WithoutCancel(ctx), e, next)
}

// settle moves the entry to next, or removes it when next is nil.
func (d *Dispatcher) settle(ctx context.Context, e entry, next *entry) {
	ctx, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	var err error
	if next == nil {
		err = d.finish(ctx, e)
	} else {
		_, err = d.move(ctx, e, *next)
	}
	if err != nil {
		d.cfg.Logger.Error("async queue: settle", "inv", e.ID, "fn", e.Function, "err", err)
	}
}

// try counts the attempt, on disk, and makes it.
func (d *Dispatcher) try(ctx context.Context, h *holding) (rouse.Result, []byte, error) {
	e := h.entry()
	fn, err := rouse.ParseARN(e.Function)
	if err != nil {
		return rouse.Result{}, nil, err
	}
	v, err := d.cfg.Resolve(fn)
	if err != nil {
		return rouse.Result{}, nil, err
	}
	event, err := d.event(ctx, e)
	if err != nil {
		return rouse.Result{}, nil, err
	}
	e.Attempts++
	if err := h.set(ctx, e); err != nil {
		return rouse.Result{}, nil, err
	}
	inv := rouse.Invocation{ID: e.ID, Function: fn, Event: event, ClientContext: e.ClientContext, From: e.From,
		Cause: e.Cause, Received: e.Received, Attempt: e.Attempts}
	var out rouse.Buffer
	res, err := d.attempt(ctx, v, inv, &out)
	return res, out.Bytes(), err
}

// next decides what becomes of an entry after an attempt: nil means done.
func (d *Dispatcher) next(ctx context.Context, e entry, res rouse.Result, out []byte, err error) *entry {
	now := d.cfg.Store.Now()
	fn, _ := rouse.ParseARN(e.Function)
	policy := d.cfg.Policy(fn)
	switch {
	case err != nil && rouse.KindOf(err) == rouse.NotFound:
		d.cfg.Logger.Info("async event dropped: its function is gone", "inv", e.ID, "fn", e.Function)
		return nil
	case err != nil:
		e.Attempts = max(0, e.Attempts-1)
		e.Stalls++
		e.Due = now.Add(stallAfter(e.Stalls - 1))
		if rouse.KindOf(err) != rouse.Throttled {
			d.cfg.Logger.Error("async attempt did not reach its function", "inv", e.ID, "fn", e.Function, "err", err)
		}
	case res.Error == nil:
		d.tell(ctx, policy.OnSuccess, e, "Success", res, out)
		return nil
	default:
		if e.Attempts > policy.Retries {
			d.tell(ctx, policy.OnFailure, e, "RetriesExhausted", res, res.Error.Payload)
			return nil
		}
		e.Stalls = 0
		e.Due = now.Add(retryAfter(e.Attempts))
	}
	if e.Due.Sub(e.Received) > policy.MaxAge {
		d.tell(ctx, policy.OnFailure, e, "EventAgeExceeded", res, nil)
		return nil
	}
	return &e
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

// tell hands the outcome to a destination. A destination that cannot take it is logged: the event itself is settled.
func (d *Dispatcher) tell(ctx context.Context, target string, e entry, condition string, res rouse.Result, out []byte) {
	if target == "" || d.cfg.Deliver == nil {
		return
	}
	arn, err := rouse.ParseARN(target)
	if err != nil {
		d.cfg.Logger.Error("async destination", "fn", e.Function, "target", target, "err", err)
		return
	}
	event, err := d.event(ctx, e)
	if err == nil {
		m := destination{Version: "1.0", Timestamp: d.cfg.Store.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			RequestContext: map[string]any{"requestId": e.ID, "functionArn": qualified(e.Function, res.Version), "condition": condition,
				"approximateInvokeCount": e.Attempts},
			RequestPayload: orNull(event), ResponsePayload: out}
		if res.Version != "" {
			m.ResponseContext = map[string]any{"statusCode": 200, "executedVersion": res.Version}
			if res.Error != nil {
				m.ResponseContext["functionError"] = "Unhandled"
			}
		}
		var b []byte
		if b, err = json.Marshal(m); err == nil {
			from := e.From
			from.Hops++
			err = d.cfg.Deliver.Deliver(ctx, from, arn, b)
		}
	}
	if err != nil {
		d.cfg.Logger.Error("async destination", "inv", e.ID, "fn", e.Function, "target", target, "err", err)
	}
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

func orNull(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
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
