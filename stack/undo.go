package stack

import (
	"context"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/kv"
)

// victim is a physical resource that is to be deleted.
type victim struct {
	key    string // of the walk
	id     string // logical
	m      made
	rec    *resourceRecord // whose Now it is; nil for what a record holds besides
	forget bool            // the record goes with it
	unsure bool            // whether it was made at all is not known
	retain bool
	owner  *resourceRecord // a record that remembers the victim beside its Now, to be told when it is gone
}

// undo takes back what an operation did so far: a create deletes what it made, an update restores what it changed.
func (r *run) undo(ctx context.Context) error {
	if r.st.Op.Kind == "create" {
		var list []victim
		for id, rec := range r.records {
			if rec.Status == DeleteComplete || rec.Status == DeleteSkipped {
				continue
			}
			list = append(list, victim{key: id, id: id, m: rec.Now, rec: rec, unsure: unsure(rec),
				retain: retained(rec.Now.Deletion, true)})
		}
		failed, err := r.deleteAll(ctx, list)
		if err != nil {
			return err
		}
		if len(failed) > 0 {
			return r.finish(ctx, RollbackFailed, failures("delete", failed), nil)
		}
		return r.finish(ctx, RollbackComplete, "", nil)
	}
	var order []string
	deps := map[string][]string{}
	for id, rec := range r.records {
		if rec.Op == r.st.Op.ID && (rec.Action == actionUpdate || rec.Action == actionReplace) && rec.Before != nil {
			order = append(order, id)
			deps[id] = rec.Before.Deps
		}
	}
	slices.Sort(order)
	failed, err := r.walk(ctx, order, deps, true, r.restoreResource)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return r.finish(ctx, UpdateRollbackFailed, failures("update", failed), nil)
	}
	r.restore()
	return r.enter(ctx, phaseTidy, UpdateRollbackCleanup, "")
}

// unsure reports whether it is not known if a create happened: the node died between intent and outcome.
func unsure(rec *resourceRecord) bool {
	return rec.Now.PhysicalID == "" && rec.Now.Name != "" && strings.HasSuffix(rec.Status, "_IN_PROGRESS")
}

// restoreResource answers with the step that brings a resource back to what it was before the update.
func (r *run) restoreResource(ctx context.Context, id string) (func() outcome, error) {
	c := *r.records[id]
	typ := r.s.types[c.Before.Type]
	if c.Action == actionReplace {
		// The old one is still there; the new one is deleted when the update tidies up.
		if c.Now.PhysicalID != "" || unsure(&c) {
			c.Trash = append(slices.Clone(c.Trash), c.Now)
		}
		c.Now, c.Action = *c.Before, actionUpdate
		c.Before = nil
		return r.step(ctx, &c, typ, func(s *step, ctx context.Context) error {
			return s.write(ctx, UpdateComplete,
				"")
		}), nil
	}
	applied, complete := c.Now.Props, c.Status == UpdateComplete
	c.Now = *c.Before
	if complete && len(typ.Diff(applied, c.Now.Props)) == 0 {
		// Only policies or metadata had changed.
		c.Before = nil
		r.records[id] = &c
		return nil, r.s.cfg.Store.Update(ctx, func(tx kv.Tx) error { return r.s.saveResource(tx, r.st, &c) })
	}
	return r.step(ctx, &c, typ, func(s *step, ctx context.Context) error { return s.restore(ctx, applied) }), nil
}

// restore updates a resource back to its record's properties. What is stored says that it holds those of the failed
// update until the step is done: after a crash it is restored from the same place again.
func (s *step) restore(ctx context.Context, applied map[string]any) error {
	kept := *s.rec
	kept.Now.Props, kept.Status, kept.Reason = applied, UpdateInProgress, ""
	ev := s.s.event(s.st, s.rec, UpdateInProgress, "")
	err := s.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		s.s.put(tx, s.st, ev)
		return s.s.saveResource(tx, s.st, &kept)
	})
	if err != nil {
		return err
	}
	s.rec.parts, s.rec.Before = kept.parts, nil
	return s.change(ctx, applied)
}

// tidy deletes what an update no longer needs: what it replaced or the template dropped after a success, what it had
// made after an undo. What cannot be deleted is left and said so, as CloudFormation does.
func (r *run) tidy(ctx context.Context) error {
	list, err := r.leftovers(ctx)
	if err != nil {
		return err
	}
	failed, err := r.deleteAll(ctx, list)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		r.s.cfg.Log.Warn("resources were left behind", "stack", r.st.ID, "resources", failed)
	}
	if r.st.Op.Phase == phaseCleanup {
		return r.finish(ctx, UpdateComplete, "", nil)
	}
	return r.finish(ctx, UpdateRollbackComplete, "", nil)
}

func (r *run) leftovers(ctx context.Context) (list []victim, err error) {
	if r.st.Op.Phase == phaseCleanup && r.c == nil {
		if err := r.prepareTemplate(ctx); err != nil {
			return nil, err
		}
	}
	for id, rec := range r.records {
		mine := rec.Op == r.st.Op.ID
		switch {
		case r.st.Op.Phase == phaseTidy:
			if mine && rec.Action == actionCreate {
				list = append(list, victim{key: id, id: id, m: rec.Now, rec: rec, forget: true, unsure: unsure(rec),
					retain: retained(rec.Now.Deletion, true)})
			}
			if mine {
				for _, t := range rec.Trash {
					list = append(list, victim{key: id + " " + t.Name, id: id, m: t, unsure: t.PhysicalID == "",
						owner: rec})
				}
			}
		case !slices.Contains(r.c.order, id):
			list = append(list, victim{key: id, id: id, m: rec.Now, rec: rec, forget: true,
				retain: retained(rec.Now.Deletion, false)})
		case mine && rec.Action == actionReplace && rec.Before != nil:
			// Whichever template says so: what was kept by mistake can be deleted, not the other way round.
			list = append(list, victim{key: id, id: id, m: *rec.Before,
				retain: rec.Before.Replace == "Retain" || rec.Now.Replace == "Retain", owner: rec})
		}
	}
	return list, nil
}

// deleteAll deletes victims, those that depend on others first. The answer names those that could not be deleted.
func (r *run) deleteAll(ctx context.Context, list []victim) ([]string, error) {
	byKey, deps := map[string]victim{}, map[string][]string{}
	var order []string
	for _, v := range list {
		byKey[v.key] = v
		order = append(order, v.key)
	}
	slices.Sort(order)
	for _, v := range list {
		for _, d := range v.m.Deps {
			for _, w := range list {
				if w.id == d && w.key != v.key {
					deps[w.key] = append(deps[w.key], v.key)
				}
			}
		}
	}
	failed, err := r.walk(ctx, order, deps, true, func(ctx context.Context, key string) (func() outcome, error) {
		return r.kill(ctx, byKey[key]), nil
	})
	for i, key := range failed {
		failed[i] = byKey[key].id
	}
	return failed, err
}

// kill makes the step that deletes a victim.
func (r *run) kill(ctx context.Context, v victim) func() outcome {
	rec := &resourceRecord{LogicalID: v.id}
	if v.rec != nil {
		c := *v.rec
		rec = &c
	}
	rec.Now, rec.Action = v.m, actionDelete
	if v.rec != nil {
		rec.Action = v.rec.Action
	}
	s := &step{s: r.s, st: r.st, rec: rec, typ: r.s.types[v.m.Type], c: client{r.s.cfg.Caller, r.from},
		req: r.request(rec)}
	return func() outcome {
		o := outcome{key: v.key}
		o.err = s.delete(ctx, v)
		if v.rec != nil && !v.forget {
			o.rec = rec
		}
		return o
	}
}

// delete deletes a victim, and writes what became of it.
func (s *step) delete(ctx context.Context, v victim) error {
	switch {
	case v.retain:
		return s.mark(ctx, v, DeleteSkipped, "")
	case v.m.PhysicalID == "" && !v.unsure:
		return s.mark(ctx, v, DeleteComplete, "")
	}
	if err := s.mark(ctx, v, DeleteInProgress, ""); err != nil {
		return err
	}
	var err error
	if v.unsure {
		err = s.sweep(ctx)
	} else {
		err = s.typ.Delete(ctx, s.c, s.req)
	}
	if err != nil {
		if ctx.Err() == nil {
			if failed := s.mark(ctx, v, DeleteFailed, err.Error()); failed != nil {
				return failed
			}
		}
		return err
	}
	return s.mark(ctx, v, DeleteComplete, "")
}

// mark writes an event of a victim, and its record when the victim is what the record stands for.
func (s *step) mark(ctx context.Context, v victim, status, reason string) error {
	reason = s.st.masked(reason)
	ev := s.s.event(s.st, s.rec, status, reason)
	gone := status == DeleteComplete || status == DeleteSkipped
	if v.rec != nil && (!v.unsure || gone) {
		s.rec.Status, s.rec.Reason, s.rec.Updated = status, reason, ev.Time
	}
	return s.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		s.s.put(tx, s.st, ev)
		switch {
		case v.owner != nil && (gone || status == DeleteFailed):
			c := *v.owner
			c.Before, c.Trash = nil, nil
			return s.s.saveResource(tx, s.st, &c)
		case v.rec == nil:
		case v.forget && (gone || status == DeleteFailed):
			s.s.dropResource(tx, s.st, s.rec)
		case !v.forget:
			return s.s.saveResource(tx, s.st, s.rec)
		}
		return nil
	})
}

// delete deletes all resources of the stack.
func (r *run) delete(ctx context.Context) error {
	var list []victim
	for id, rec := range r.records {
		if rec.Status == DeleteComplete || rec.Status == DeleteSkipped {
			continue
		}
		keep := retained(rec.Now.Deletion, r.st.Op.Kind == "create") || slices.Contains(r.st.Op.Retain, id)
		list = append(list, victim{key: id, id: id, m: rec.Now, rec: rec, unsure: unsure(rec), retain: keep})
		for _, t := range rec.Trash {
			list = append(list, victim{key: id + " " + t.Name, id: id, m: t, unsure: t.PhysicalID == ""})
		}
		// What an update that could not be rolled back has left besides; one that ended well has forgotten it.
		if b := rec.Before; b != nil && b.PhysicalID != "" && rec.Action == actionReplace && rec.Op != r.st.Op.ID {
			list = append(list, victim{key: id + " before", id: id, m: *b, retain: b.Replace == "Retain"})
		}
	}
	failed, err := r.deleteAll(ctx, list)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return r.finish(ctx, DeleteFailed, failures("delete", failed), nil)
	}
	old, imports := r.st.Outputs, r.st.Imports
	err = r.finish(ctx, DeleteComplete, "", func(tx kv.Tx) error {
		return r.s.publish(tx, r.st, old, nil, imports,
			nil)
	})
	if err != nil && ctx.Err() == nil && r.st.Op != nil {
		return r.finish(ctx, DeleteFailed, err.Error(), nil)
	}
	return err
}
