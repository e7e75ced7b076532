package stack

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/stack/template"
)

// run is one operation being carried out. The goroutine that runs it owns st, records and all fields; steps get copies
// of what they need and answer through a channel.
type run struct {
	s       *Stacks
	st      *stackRecord
	c       *compiled // nil for a delete
	records map[string]*resourceRecord
	from    rouse.Origin // as whom resources are made
}

// client calls operations as the principal of a run.
type client struct {
	caller rouse.Caller
	from   rouse.Origin
}

func (c client) Call(ctx context.Context, service, operation string, in, out any) error {
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	output, reply, err := c.caller.Call(ctx, c.from, service, operation, input, nil)
	if reply != nil {
		// Nothing that is called here answers with a payload that matters.
		_, _ = io.Copy(io.Discard, io.LimitReader(reply, 1<<20))
		reply.Close()
	}
	if err != nil || out == nil || len(output) == 0 {
		return err
	}
	return json.Unmarshal(output, out)
}

// Resume puts every stack whose operation did not end into the queue, and forgets deleted stacks after 90 days. Run
// calls it.
func (s *Stacks) Resume(ctx context.Context) error {
	accounts, err := s.accounts(ctx)
	if err != nil {
		return err
	}
	now := s.cfg.Store.Now()
	for _, account := range accounts {
		list, err := s.all(ctx, account)
		if err != nil {
			return err
		}
		for _, st := range list {
			switch {
			case st.Op != nil && inProgress(st.Status):
				s.enqueue(work{account, st.ID})
			case st.Status == DeleteComplete && now.Sub(st.Deleted) > keptDeleted:
				if err := s.forget(ctx, st); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// operate carries the unfinished operation of a stack out, from the phase that it is in.
func (s *Stacks) operate(ctx context.Context, w work) error {
	r := &run{s: s}
	err := s.cfg.Store.View(ctx, func(v kv.View) (err error) {
		r.st, err = s.load(v, w.account, w.id)
		return err
	})
	switch {
	case err != nil && rouse.KindOf(err) == rouse.NotFound:
		return nil // one that was not made after all
	case err != nil || r.st.Op == nil || !inProgress(r.st.Status):
		return err
	}
	if r.records, err = s.resources(ctx, r.st); err != nil {
		return err
	}
	r.from, err = r.principal(ctx)
	if err != nil {
		return r.refuse(ctx, err)
	}
	for r.st.Op != nil {
		before := r.st.Op.Phase
		var err error
		switch before {
		case phaseApply:
			err = r.apply(ctx)
		case phaseUndo:
			err = r.undo(ctx)
		case phaseCleanup, phaseTidy:
			err = r.tidy(ctx)
		case phaseDelete:
			err = r.delete(ctx)
		}
		if err != nil {
			return err
		}
		if r.st.Op != nil && r.st.Op.Phase == before {
			panic("stack: an operation stayed in phase " + string(before))
		}
	}
	return nil
}

// principal is who acts: who asked, or the stack's role, which must trust the service.
func (r *run) principal(ctx context.Context) (rouse.Origin, error) {
	from := r.st.Op.From
	if r.st.RoleARN == "" {
		return from, nil
	}
	service := rouse.Origin{Principal: rouse.Principal{Account: r.st.Account, Service: cloudFormationPrincipal},
		SourceARN: r.st.ID,
		Hops:      from.Hops, Secure: true}
	var out struct {
		AssumedRoleUser struct{ AssumedRoleId, Arn string }
	}
	in := map[string]any{"RoleArn": r.st.RoleARN, "RoleSessionName": "AWSCloudFormation"}
	if err := (client{r.s.cfg.Caller, service}).Call(ctx, "sts", "AssumeRole", in, &out); err != nil {
		return from, err
	}
	return rouse.Origin{Principal: rouse.Principal{Account: r.st.Account, ARN: out.AssumedRoleUser.Arn,
			UserID: out.AssumedRoleUser.AssumedRoleId},
			RoleARN: r.st.RoleARN, SourceARN: r.st.ID, Hops: from.Hops, Secure: true, UserAgent: cloudFormationPrincipal},
		nil
}

// refuse ends an operation that could not begin: nothing was touched in this phase.
func (r *run) refuse(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := "Role " + r.st.RoleARN + " is invalid or cannot be assumed: " + err.Error()
	status := map[string]string{"create": RollbackComplete, "update": UpdateRollbackComplete,
		"delete": DeleteFailed}[r.st.Op.Kind]
	if r.st.Op.Phase != phaseApply && r.st.Op.Phase != phaseDelete {
		status = map[string]string{"create": RollbackFailed, "update": UpdateRollbackFailed}[r.st.Op.Kind]
	}
	if r.st.Op.Kind == "update" && r.st.Op.Phase == phaseApply {
		r.restore()
	}
	return r.finish(ctx, status, why, nil)
}

// prepareTemplate compiles the template that the operation applies.
func (r *run) prepareTemplate(ctx context.Context) error {
	src, err := r.s.source(ctx, r.st)
	if err != nil {
		return err
	}
	given := map[string]string{}
	for _, p := range r.st.Parameters {
		given[p.Name], _ = r.st.value(p.Name)
	}
	r.c, err = r.s.compile(ctx, r.st, src, given)
	return err
}

// ref and attr make a run the world in which a resource's properties are evaluated: what it depends on is there.
func (r *run) ref(id string) (string, bool) {
	rec := r.records[id]
	if rec == nil || rec.Now.PhysicalID == "" {
		return "", false
	}
	return rec.Now.PhysicalID, true
}

func (r *run) attr(id, name string) (any, bool) {
	rec := r.records[id]
	if rec == nil {
		return nil, false
	}
	v, ok := rec.Now.Attrs[name]
	return v, ok
}

func (r *run) made(id string) bool {
	rec := r.records[id]
	return rec != nil && rec.Now.PhysicalID != "" && !strings.HasSuffix(rec.Status, "_IN_PROGRESS")
}

// event makes an event of a resource, or of the stack when rec is nil.
func (s *Stacks) event(st *stackRecord, rec *resourceRecord, status, reason string) Event {
	e := Event{ID: uuid.NewString(), StackID: st.ID, StackName: st.Name, LogicalID: st.Name, PhysicalID: st.ID,
		Type:   stackType,
		Status: status, Reason: reason, Time: s.cfg.Store.Now()}
	if st.Op != nil {
		e.Token = st.Op.Token
	}
	if rec != nil {
		e.LogicalID, e.PhysicalID, e.Type = rec.LogicalID, rec.Now.PhysicalID, rec.Now.Type
	}
	return e
}

// put appends an event.
func (s *Stacks) put(tx kv.Tx, st *stackRecord, e Event) {
	tx.Set(s.key(st.Account, "event", uid(st.ID), s.number(e.Time)), encode(e))
}

// enter writes that the operation has come to a phase, with the stack's status there.
func (r *run) enter(ctx context.Context, p phase, status, reason string) error {
	reason = r.st.masked(reason)
	r.st.Op.Phase, r.st.Status, r.st.Reason = p, status, reason
	if p == phaseUndo {
		r.st.Op.Why = reason
	}
	err := r.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		r.s.save(tx, r.st)
		r.s.put(tx, r.st, r.s.event(r.st, nil, status, reason))
		return nil
	})
	r.s.announce()
	return err
}

// finish ends the operation. also runs in the same transaction.
func (r *run) finish(ctx context.Context, status, reason string, also func(tx kv.Tx) error) error {
	st, op := r.st, r.st.Op
	reason = st.masked(reason)
	st.Status, st.Reason = status, reason
	ev := r.s.event(st, nil, status, reason)
	st.Op = nil
	if status == DeleteComplete {
		st.Deleted = r.s.cfg.Store.Now()
	}
	err := r.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if op.Previous != nil && op.Previous.Source != st.Source {
			r.s.dropParts(tx, st.Account, op.Previous.Source.Parts, "source", uid(st.ID),
				uint64(op.Previous.Source.Number))
		}
		if status == DeleteComplete {
			tx.Delete(r.s.key(st.Account, "name", st.Name))
		}
		r.s.save(tx, st)
		r.s.put(tx, st, ev)
		return nil
	})
	if err != nil {
		st.Op = op // not ended
	}
	r.s.announce()
	return err
}

// restore gives the stack back what it was before the update.
func (r *run) restore() {
	prev := r.st.Op.Previous
	if prev == nil {
		return
	}
	dead := r.st.Source
	op, updated := r.st.Op, r.st.Updated
	r.st.Stack, r.st.Secrets, r.st.Source, r.st.Imports = prev.Stack, prev.Secrets, prev.Source, prev.Imports
	r.st.Op, r.st.Updated = op, updated
	op.Previous = &previous{Stack: prev.Stack, Source: dead} // finish drops the source that was not taken
}

// failures is the reason that a stack gives for what its resources did not do.
func failures(verb string, ids []string) string {
	return "The following resource(s) failed to " + verb + ": [" + strings.Join(ids, ", ") + "]. "
}

// retained reports whether a policy keeps a resource.
func retained(policy string, created bool) bool {
	return policy == "Retain" || (policy == "RetainExceptOnCreate" && !created)
}

func metadata(v *template.Value) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
