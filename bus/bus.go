// Package bus is the EventBridge engine. Today it holds what runs on time: rules with a schedule, on the default bus.
//
// A rule says when, its targets say who gets the event. Each enabled rule has one timer. When it fires, one transaction
// reads the rule, appends a delivery per target to the outbox and sets the next timer: a rule never fires twice for one
// due time, never loses a delivery after it fired, and keeps its rhythm across restarts. What was due while the node was
// down fires once when it is back, and the rhythm goes on from there, as a late event is worth more than none and a flood
// of them is worth less.
//
//	PutRule ──► rule, timer(next)            timer fires ──► outbox(target 1), outbox(target 2), timer(next)
//	                                                            └─► relay ─► the target's own queue
//
// Rates count from the moment the rule was made or enabled; cron fields are UTC (https://docs.aws.amazon.com/eventbridge/
// latest/userguide/eb-scheduled-rule-pattern.html). The event has the shape of AWS's "Scheduled Event"; a target's Input
// replaces it. Whether the rule may reach its target is decided where the delivery arrives, by the target's own policy.
//
// Event patterns, custom buses, input transformers, archives and replay are not implemented, and the room has no field
// for them: the door refuses them by name.
package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/timer/cron"
)

// Limits of EventBridge (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html).
const (
	RulesMax   = 300  // per account
	TargetsMax = 5    // per rule
	InputMax   = 8192 // characters of a target's Input
	TagsMax    = 50
)

const (
	room      = "bus"
	formatV   = 1
	timerKind = "rule"
)

// Timers sets what is due later; package timer's.
type Timers interface {
	Set(tx kv.Tx, kind string, id []byte, due time.Time, payload []byte)
	Cancel(tx kv.Tx, kind string, id []byte) (was bool, err error)
	Run(ctx context.Context, kind string, fire func(tx kv.Tx, id, payload []byte) error) error
}

// Outbox takes what must follow a change, in its transaction; package outbox's.
type Outbox interface {
	Send(tx kv.Tx, source []byte, target, cause string, payload []byte) error
}

// Config of a bus.
type Config struct {
	Store  kv.Store
	Region string
	Timers Timers
	Outbox Outbox
}

// Bus is safe for concurrent use.
type Bus struct{ cfg Config }

// Rule is a schedule and its targets.
type Rule struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Schedule    string            `json:"schedule"` // "rate(5 minutes)", "cron(0 12 * * ? *)"
	Enabled     bool              `json:"enabled"`
	RoleARN     string            `json:"role,omitempty"`
	Targets     []Target          `json:"targets,omitempty"` // by ID
	Tags        map[string]string `json:"tags,omitempty"`
	Due         time.Time         `json:"due,omitzero"` // of the timer that is set
}

// Target is who gets a rule's event.
type Target struct {
	ID    string `json:"id"`
	ARN   string `json:"arn"`
	Role  string `json:"role,omitempty"`
	Input string `json:"input,omitempty"` // JSON that replaces the event; "" sends the event
}

// Open checks the room's format. Rules fire while Run does.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := format.Check(ctx, cfg.Store, room, formatV); err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	return &Bus{cfg: cfg}, nil
}

// Run fires rules until ctx is done.
func (b *Bus) Run(ctx context.Context) error { return b.cfg.Timers.Run(ctx, timerKind, b.fire) }

// ARN is the name of a rule on the default bus.
func (b *Bus) ARN(account, name string) string {
	return rouse.ARN{Service: "events", Region: b.cfg.Region, Account: account, Resource: "rule/" + name}.String()
}

func (b *Bus) key(account, name string) []byte {
	return tuple.Key(account, b.cfg.Region, room, "rule", name)
}

// timerID carries account and name: all that fire needs to find the rule.
func timerID(account, name string) []byte { return []byte(account + "/" + name) }

// notFound is EventBridge's text.
func notFound(name string) error {
	return rouse.Errorf(rouse.NotFound, "Rule %s does not exist on EventBus default.", name)
}

// PutRule makes a rule or changes one; targets and, when r.Tags is nil, tags stay. The clock starts anew when the
// schedule changed or the rule was enabled.
func (b *Bus) PutRule(ctx context.Context, account string, r Rule) error {
	if !nameForm.MatchString(r.Name) {
		return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", r.Name)
	}
	expr, err := cron.Parse(r.Schedule)
	if err != nil || expr.Kind() == cron.At { // one-off times are EventBridge Scheduler's
		return rouse.Errorf(rouse.Invalid, "Parameter ScheduleExpression is not valid.")
	}
	if err := b.checkRoom(ctx, account, r.Name); err != nil {
		return err
	}
	return b.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		old, found, err := b.get(tx, account, r.Name)
		if err != nil {
			return err
		}
		next := r
		next.Targets = old.Targets
		if next.Tags == nil {
			next.Tags = old.Tags
		}
		if found && old.Enabled && old.Schedule == r.Schedule {
			next.Due = old.Due
		}
		return b.arm(tx, account, next, expr)
	})
}

// arm sets or cancels the rule's timer and stores the rule.
func (b *Bus) arm(tx kv.Tx, account string, r Rule, expr cron.Expr) error {
	id := timerID(account, r.Name)
	if !r.Enabled {
		r.Due = time.Time{}
	} else if r.Due.IsZero() {
		if due, ok := expr.Next(tx.Now()); ok {
			r.Due = due
			b.cfg.Timers.Set(tx, timerKind, id, due, nil)
		}
	}
	if r.Due.IsZero() { // disabled, or nothing is ever due again: no timer of before may fire
		if _, err := b.cfg.Timers.Cancel(tx, timerKind, id); err != nil {
			return err
		}
	}
	return b.put(tx, account, r)
}

// SetEnabled enables or disables a rule.
func (b *Bus) SetEnabled(ctx context.Context, account, name string, on bool) error {
	return b.change(ctx, account, name, func(tx kv.Tx, r Rule) error {
		expr, err := cron.Parse(r.Schedule)
		if err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
		r.Enabled = on
		return b.arm(tx, account, r, expr)
	})
}

// DeleteRule removes a rule without targets; a rule that is not there is no error, as on AWS.
func (b *Bus) DeleteRule(ctx context.Context, account, name string) error {
	return b.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		r, found, err := b.get(tx, account, name)
		if err != nil || !found {
			return err
		}
		if len(r.Targets) > 0 {
			return rouse.Errorf(rouse.Invalid, "Rule can't be deleted since it has targets.")
		}
		if _, err := b.cfg.Timers.Cancel(tx, timerKind, timerID(account, name)); err != nil {
			return err
		}
		tx.Delete(b.key(account, name))
		return nil
	})
}

// PutTargets adds targets to a rule or replaces those with the same IDs.
func (b *Bus) PutTargets(ctx context.Context, account, name string, targets []Target) error {
	for _, t := range targets {
		if err := checkTarget(t); err != nil {
			return err
		}
	}
	return b.change(ctx, account, name, func(tx kv.Tx, r Rule) error {
		byID := map[string]Target{}
		for _, t := range append(r.Targets, targets...) {
			byID[t.ID] = t
		}
		if len(byID) > TargetsMax {
			return rouse.Errorf(rouse.Limit, "The requested resource exceeds the maximum number allowed.")
		}
		r.Targets = make([]Target, 0, len(byID))
		for _, t := range byID {
			r.Targets = append(r.Targets, t)
		}
		sort.Slice(r.Targets, func(i, j int) bool { return r.Targets[i].ID < r.Targets[j].ID })
		return b.put(tx, account, r)
	})
}

// checkTarget refuses what could never be delivered. Today deliveries from a rule reach functions.
func checkTarget(t Target) error {
	arn, err := rouse.ParseARN(t.ARN)
	if err != nil {
		return rouse.Errorf(rouse.Invalid, "Parameter %s is not valid. Reason: Provided Arn is not in correct format.", t.ARN)
	}
	if _, _, ok := arn.FunctionName(); !ok {
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement rules that target %s; a function can be targeted", t.ARN)
	}
	if t.Input != "" && !json.Valid([]byte(t.Input)) {
		return rouse.Errorf(rouse.Invalid, "JSON syntax error in input for target %s", t.ID)
	}
	if len(t.Input) > InputMax {
		return rouse.Errorf(rouse.Invalid, "Input for target %s is too long: %d characters, at most %d are allowed", t.ID, len(t.Input), InputMax)
	}
	return nil
}

// RemoveTargets removes targets by ID; an unknown one is an error.
func (b *Bus) RemoveTargets(ctx context.Context, account, name string, ids []string) error {
	return b.change(ctx, account, name, func(tx kv.Tx, r Rule) error {
		for _, id := range ids {
			kept := r.Targets[:0:0]
			for _, t := range r.Targets {
				if t.ID != id {
					kept = append(kept, t)
				}
			}
			if len(kept) == len(r.Targets) {
				return rouse.Errorf(rouse.NotFound, "Rule %s does not have target(s) %s.", name, id)
			}
			r.Targets = kept
		}
		return b.put(tx, account, r)
	})
}

// Tag adds tags and removes keys.
func (b *Bus) Tag(ctx context.Context, account, name string, add map[string]string, remove []string) error {
	return b.change(ctx, account, name, func(tx kv.Tx, r Rule) error {
		tags := map[string]string{}
		for k, v := range r.Tags {
			tags[k] = v
		}
		for k, v := range add {
			tags[k] = v
		}
		for _, k := range remove {
			delete(tags, k)
		}
		if len(tags) > TagsMax {
			return rouse.Errorf(rouse.Limit, "The requested resource exceeds the maximum number allowed.")
		}
		r.Tags = tags
		return b.put(tx, account, r)
	})
}

func (b *Bus) change(ctx context.Context, account, name string, f func(kv.Tx, Rule) error) error {
	return b.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		r, found, err := b.get(tx, account, name)
		if err != nil {
			return err
		}
		if !found {
			return notFound(name)
		}
		return f(tx, r)
	})
}

var nameForm = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)
