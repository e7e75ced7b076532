package stack

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/stack/resource"
)

// outcome is what a step answers with.
type outcome struct {
	key string          // that walk knows it by
	rec *resourceRecord // as it is now; nil when the record is not the step's to change
	err error           // why it failed
}

// apply brings all resources to what the template says: each as soon as what it depends on is there, Parallel at once.
func (r *run) apply(ctx context.Context) error {
	if err := r.prepareTemplate(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The template was right when it was submitted; an export may have gone since.
		return r.abort(ctx, err.Error())
	}
	failed, err := r.walk(ctx, r.c.order, r.c.deps, false, r.start)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		verb := "create"
		if r.st.Op.Kind == "update" {
			verb = "update"
		}
		return r.abort(ctx, failures(verb, failed))
	}
	return r.succeed(ctx)
}

// walk starts every key whose dependencies are done, Parallel at once, and waits for all that was started. start
// answers with a step to run, or nil when there is nothing to do. After a failure nothing new is started, unless on
// says to go on with what does not depend on it. The error is of ctx or of the store; the keys are those that failed.
func (r *run) walk(ctx context.Context, order []string, deps map[string][]string, on bool,
	start func(ctx context.Context, key string) (func() outcome, error)) ([]string, error) {
	w := &walker{order: order, deps: deps, done: map[string]bool{}, begun: map[string]bool{},
		results: make(chan outcome)}
	for {
		if w.fatal == nil && (on || len(w.failed) == 0) {
			w.begin(ctx, r.s.cfg.Parallel, start)
		}
		if w.under == 0 {
			break
		}
		o := <-w.results
		w.under--
		if o.rec != nil {
			r.records[o.rec.LogicalID] = o.rec
		}
		switch {
		case ctx.Err() != nil:
			w.fatal = ctx.Err()
		case o.err != nil:
			w.failed = append(w.failed, o.key)
		default:
			w.done[o.key] = true
		}
	}
	slices.Sort(w.failed)
	return w.failed, w.fatal
}

// walker is the state of one walk.
type walker struct {
	order       []string
	deps        map[string][]string
	done, begun map[string]bool
	under       int // steps running
	results     chan outcome
	failed      []string
	fatal       error
}

// begin starts all that can be started.
func (w *walker) begin(ctx context.Context, parallel int, start func(context.Context, string) (func() outcome, error)) {
	waits := func(key string) bool {
		return slices.ContainsFunc(w.deps[key], func(d string) bool {
			return slices.Contains(w.order, d) &&
				!w.done[d]
		})
	}
	for progress := true; progress; {
		progress = false
		for _, key := range w.order {
			if w.begun[key] || w.under >= parallel || waits(key) {
				continue
			}
			w.begun[key] = true
			step, err := start(ctx, key)
			if err != nil {
				w.fatal = err
				return
			}
			if step == nil {
				w.done[key], progress = true, true
				continue
			}
			w.under++
			go func() { w.results <- step() }()
		}
	}
}

// start decides what to do with a resource and answers with the step.
func (r *run) start(ctx context.Context, id string) (func() outcome, error) {
	res, rec := r.c.t.Resource(id), r.records[id]
	e, problems := r.c.evaluate(res, r)
	if err := problems.Err(); err != nil {
		bad := &resourceRecord{LogicalID: id, Now: made{Type: res.Type}}
		if rec != nil {
			c := *rec
			bad = &c
		}
		return r.step(ctx, bad, e.typ, func(*step, context.Context) error { return err }), nil
	}
	next := made{Type: res.Type, Props: e.props, Deps: e.deps, Deletion: res.Deletion, Replace: res.UpdateReplace,
		Metadata: metadata(res.Metadata)}
	if rec != nil && rec.Op == r.st.Op.ID && rec.Action != actionNone {
		return r.again(ctx, rec, e, next), nil
	}
	act, _ := decide(res, e, rec)
	if rec == nil {
		rec = &resourceRecord{LogicalID: id}
	}
	c := *rec
	c.Op, c.Action, c.Before, c.Trash = r.st.Op.ID, act, nil, nil
	if rec.Now.PhysicalID != "" {
		before := rec.Now
		c.Before = &before
	}
	switch act {
	case actionNone:
		if slices.Equal(c.Now.Deps, next.Deps) && c.Now.Deletion == next.Deletion && c.Now.Replace == next.Replace &&
			string(c.Now.Metadata) == string(next.Metadata) {
			return nil, nil
		}
		// Policies and metadata change without a call; an update that fails restores them with the rest.
		next.PhysicalID, next.Attrs = c.Now.PhysicalID, c.Now.Attrs
		c.Now, c.Action = next, actionUpdate
		r.records[id] = &c
		return nil, r.s.cfg.Store.Update(ctx, func(tx kv.Tx) error { return r.s.saveResource(tx, r.st, &c) })
	case actionUpdate:
		next.PhysicalID, next.Attrs = c.Now.PhysicalID, c.Now.Attrs
		c.Now = next
		return r.step(ctx, &c, e.typ, (*step).update), nil
	default:
		c.Now = next
		return r.step(ctx, &c, e.typ, (*step).create), nil
	}
}

// again continues with a resource that this operation had begun before the node died.
func (r *run) again(ctx context.Context, rec *resourceRecord, e evaluated, next made) func() outcome {
	c := *rec
	switch {
	case rec.Status == CreateComplete || rec.Status == UpdateComplete:
		return nil
	case strings.HasSuffix(rec.Status, "_FAILED"):
		return func() outcome { return outcome{rec.LogicalID, rec, errors.New(rec.Reason)} }
	case rec.Action == actionUpdate:
		return r.step(ctx, &c, e.typ, (*step).update)
	case rec.Now.PhysicalID != "":
		return r.step(ctx, &c, e.typ, (*step).settle)
	}
	// What the template says has not changed, but what it refers to may have been made anew.
	next.Name, next.Began = rec.Now.Name, rec.Now.Began
	c.Now = next
	return r.step(ctx, &c, e.typ, (*step).recreate)
}

// abort ends applying after a failure: by undoing, unless the stack says otherwise.
func (r *run) abort(ctx context.Context, why string) error {
	if r.st.Op.Kind == "update" {
		return r.enter(ctx, phaseUndo, UpdateRollback, why)
	}
	switch r.st.OnFailure {
	case OnFailureNothing:
		return r.finish(ctx, CreateFailed, why, nil)
	case OnFailureDelete:
		return r.enter(ctx, phaseDelete, DeleteInProgress, why)
	}
	return r.enter(ctx, phaseUndo, RollbackInProgress, why+rollbackRequested)
}

// succeed publishes outputs and exports and ends a create, or lets an update clean up.
func (r *run) succeed(ctx context.Context) error {
	out, err := r.c.outputs(r)
	if err != nil {
		return r.abort(ctx, err.Error())
	}
	old, oldImports := r.st.Outputs, r.st.Imports
	r.st.Outputs, r.st.Imports = out, r.c.imports
	exchange := func(tx kv.Tx) error { return r.s.publish(tx, r.st, old, out, oldImports, r.c.imports) }
	if r.st.Op.Kind == "create" {
		err = r.finish(ctx, CreateComplete, "", exchange)
	} else {
		r.st.Op.Phase, r.st.Status, r.st.Reason = phaseCleanup, UpdateCleanup, ""
		err = r.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			if err := exchange(tx); err != nil {
				return err
			}
			r.s.save(tx, r.st)
			r.s.put(tx, r.st, r.s.event(r.st, nil, UpdateCleanup, ""))
			return nil
		})
	}
	if kind := rouse.KindOf(err); err != nil && (kind == rouse.Conflict || kind == rouse.Invalid) {
		r.st.Outputs, r.st.Imports, r.st.Op.Phase = old, oldImports, phaseApply
		return r.abort(ctx, err.Error())
	}
	return err
}

var _ world = (*run)(nil)

// request is what a resource type gets for a resource.
func (r *run) request(rec *resourceRecord) *resource.Request {
	return &resource.Request{Account: r.st.Account, Region: r.s.cfg.Region, StackName: r.st.Name, StackID: r.st.ID,
		LogicalID: rec.LogicalID,
		Physical:  rec.Now.PhysicalID, Props: rec.Now.Props, Attrs: rec.Now.Attrs, Since: rec.Now.Began}
}
