// Package deliver reaches any target by its ARN, and is what the relay does with each record of the outbox.
//
//	room ──(its own transaction)──► outbox ──relay──► Move ──(the same transaction)──► the target's own queue
//
// Move runs inside the relay's transaction, which also advances the relay's cursor: a record leaves the outbox in the
// moment in which the target has it, so it is neither lost nor doubled, and a slow target holds up nobody, because its
// own queue takes the wait. Functions are the targets there are today; their queue is dispatch's.
//
// Whether the origin may reach the target is decided here, where the delivery arrives, as AWS does: a service of the
// platform needs the target's resource policy to name it, with the rule or bucket as aws:SourceArn. A delivery that is
// refused, or whose target is gone or cannot take it, is dropped and logged: nobody waits for it, and trying again would
// refuse it again.
package deliver

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/kv"
)

// Queue takes invocations for later; dispatch's.
type Queue interface {
	Put(tx kv.Tx, inv rouse.Invocation) error
	Enqueue(ctx context.Context, inv rouse.Invocation) error
}

var _ Queue = (*dispatch.Dispatcher)(nil)

// Config of a deliverer.
type Config struct {
	Queue     Queue
	Authorize rouse.Authorizer
	Policy    func(function rouse.ARN) (policy string, ok bool) // of a function; ok is false when there is no such function
	Store     kv.Store
	Logger    *slog.Logger
}

// Deliverer is safe for concurrent use.
type Deliverer struct{ cfg Config }

var _ rouse.Deliverer = (*Deliverer)(nil)

// New makes a deliverer.
func New(cfg Config) *Deliverer {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Deliverer{cfg}
}

// Move takes one record of the outbox in the relay's transaction. Its error is the store's: a record that cannot be
// delivered is dropped. It may run twice and touches nothing but tx and memory.
func (d *Deliverer) Move(tx kv.Tx, target string, body []byte) error {
	var del rouse.Delivery
	if err := json.Unmarshal(body, &del); err != nil {
		d.drop(target, "", err)
		return nil
	}
	inv, err := d.invocation(context.Background(), del, target)
	if err != nil {
		d.drop(target, del.ID, err)
		return nil
	}
	switch err := d.cfg.Queue.Put(tx, inv); rouse.KindOf(err) {
	case rouse.TooLarge, rouse.Invalid:
		d.drop(target, del.ID, err)
		return nil
	default:
		return err
	}
}

func (d *Deliverer) drop(target, id string, err error) {
	d.cfg.Logger.Warn("delivery dropped", "target", target, "inv", id, "err", err)
}

// Deliver hands payload to target; nil means that the target has it on disk.
func (d *Deliverer) Deliver(ctx context.Context, from rouse.Origin, target rouse.ARN, payload []byte) error {
	inv, err := d.invocation(ctx, rouse.Delivery{ID: dispatch.NewID(), From: from, Cause: rouse.CauseAsync,
		Accepted: d.cfg.Store.Now(), Payload: payload}, target.String())
	if err != nil {
		return err
	}
	return d.cfg.Queue.Enqueue(ctx, inv)
}

// invocation turns a delivery to a function into an invocation, if its origin may cause one.
func (d *Deliverer) invocation(ctx context.Context, del rouse.Delivery, target string) (rouse.Invocation, error) {
	arn, err := rouse.ParseARN(target)
	if err != nil {
		return rouse.Invocation{}, err
	}
	if _, _, ok := arn.FunctionName(); !ok {
		return rouse.Invocation{}, rouse.Errorf(rouse.Unsupported, "Rouse does not implement deliveries to %s", target)
	}
	policy, ok := d.cfg.Policy(arn)
	if !ok {
		return rouse.Invocation{}, rouse.Errorf(rouse.NotFound, "Function not found: %s", target)
	}
	need := rouse.Need{Action: "lambda:InvokeFunction", Resource: target, Policy: policy}
	if err := d.cfg.Authorize.Authorize(ctx, del.From, []rouse.Need{need}); err != nil {
		return rouse.Invocation{}, err
	}
	del.From.Hops++
	return rouse.Invocation{ID: del.ID, Function: arn, Event: del.Payload, From: del.From, Cause: del.Cause, Received: del.Accepted}, nil
}
