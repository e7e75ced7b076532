package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/timer/cron"
)

// getter is what a rule is read from: a View or a Tx.
type getter interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

func (b *Bus) get(g getter, account, name string) (Rule, bool, error) {
	v, ok, err := g.Get(b.key(account, name))
	if err != nil || !ok {
		return Rule{}, false, err
	}
	var r Rule
	if err := json.Unmarshal(v, &r); err != nil {
		return Rule{}, false, fmt.Errorf("rule %s: %w", name, err)
	}
	return r, true, nil
}

func (b *Bus) put(tx kv.Tx, account string, r Rule) error {
	v, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tx.Set(b.key(account, r.Name), v)
	return nil
}

// Rule reads one rule.
func (b *Bus) Rule(ctx context.Context, account, name string) (Rule, error) {
	var r Rule
	err := b.cfg.Store.View(ctx, func(v kv.View) error {
		var found bool
		var err error
		if r, found, err = b.get(v, account, name); err == nil && !found {
			err = notFound(name)
		}
		return err
	})
	return r, err
}

// Rules lists rules whose names start with prefix, after the name after, at most limit.
func (b *Bus) Rules(ctx context.Context, account, prefix, after string, limit int) ([]Rule, error) {
	all := tuple.Prefix(account, b.cfg.Region, room, "rule")
	if from := max(prefix, after); from != "" {
		all.From = tuple.Key(account, b.cfg.Region, room, "rule", from)
	}
	var out []Rule
	err := b.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		for p, err := range v.Scan(all, RulesMax+1) {
			if err != nil {
				return err
			}
			var r Rule
			if err := json.Unmarshal(p.Value, &r); err != nil {
				return fmt.Errorf("rule %q: %w", p.Key, err)
			}
			if !strings.HasPrefix(r.Name, prefix) && r.Name > prefix {
				return nil
			}
			if r.Name <= after && after != "" || !strings.HasPrefix(r.Name, prefix) {
				continue
			}
			if out = append(out, r); len(out) == limit {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// checkRoom refuses a new rule beyond the account's quota.
func (b *Bus) checkRoom(ctx context.Context, account, name string) error {
	rules, err := b.Rules(ctx, account, "", "", RulesMax)
	if err != nil || len(rules) < RulesMax {
		return err
	}
	for _, r := range rules {
		if r.Name == name {
			return nil
		}
	}
	return rouse.Errorf(rouse.Limit, "The requested resource exceeds the maximum number allowed.")
}

// RulesOf lists the names of the rules that have target among their targets.
func (b *Bus) RulesOf(ctx context.Context, account, target string) ([]string, error) {
	rules, err := b.Rules(ctx, account, "", "", RulesMax)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range rules {
		for _, t := range r.Targets {
			if t.ARN == target {
				names = append(names, r.Name)
				break
			}
		}
	}
	return names, nil
}

// scheduled is the event of a rule on time.
type scheduled struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     struct{} `json:"detail"`
}

// fire is the whole of a rule's turn, in the transaction that consumes its timer.
func (b *Bus) fire(tx kv.Tx, id, _ []byte) error {
	account, name, _ := strings.Cut(string(id), "/")
	r, found, err := b.get(tx, account, name)
	if err != nil || !found || !r.Enabled {
		return err
	}
	expr, err := cron.Parse(r.Schedule)
	if err != nil {
		return fmt.Errorf("rule %s: %w", name, err)
	}
	due := r.Due
	for _, t := range r.Targets {
		if err := b.send(tx, account, r, t, due); err != nil {
			return err
		}
	}
	// The next turn counts from this one's due time, so that a rate keeps its rhythm; turns that have passed are dropped.
	next, ok := expr.Next(due)
	if ok && !next.After(tx.Now()) {
		next, ok = expr.Next(tx.Now())
	}
	r.Due = time.Time{}
	if ok {
		r.Due = next
		b.cfg.Timers.Set(tx, timerKind, id, next, nil)
	}
	return b.put(tx, account, r)
}

func (b *Bus) send(tx kv.Tx, account string, r Rule, t Target, due time.Time) error {
	arn := b.ARN(account, r.Name)
	payload := []byte(t.Input)
	if len(payload) == 0 {
		e := scheduled{Version: "0", ID: turnID(arn, due, ""), DetailType: "Scheduled Event", Source: "aws.events", Account: account,
			Time: due.UTC().Format(time.RFC3339), Region: b.cfg.Region, Resources: []string{arn}}
		var err error
		if payload, err = json.Marshal(e); err != nil {
			return err
		}
	}
	d := rouse.Delivery{ID: turnID(arn, due, t.ID), Cause: rouse.CauseSchedule, Accepted: due, Payload: payload,
		From: rouse.Origin{Principal: rouse.Principal{Account: account, Service: "events.amazonaws.com"}, SourceARN: arn}}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return b.cfg.Outbox.Send(tx, []byte(arn), t.ARN, d.ID, body)
}

// turnID is the same whenever a transaction for one turn of a rule runs again: a UUID made of what it names.
func turnID(arn string, due time.Time, target string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\x00%d\x00%s", arn, due.UnixMilli(), target)
	sum := sha256.Sum256(b.Bytes())
	u := uuid.UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // version 8: made by a rule of its own (RFC 9562)
	return u.String()
}
