package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/stack/resource"
)

// step is one resource being worked on, in a goroutine of its own. It owns rec, and writes it before and after each
// call.
type step struct {
	s   *Stacks
	st  *stackRecord // not changed while steps run
	rec *resourceRecord
	typ *resource.Type
	c   client
	req *resource.Request
}

// step makes a step: do runs, and its failure is written as the resource's own.
func (r *run) step(ctx context.Context, rec *resourceRecord, typ *resource.Type,
	do func(*step, context.Context) error) func() outcome {
	s := &step{s: r.s, st: r.st, rec: rec, typ: typ, c: client{r.s.cfg.Caller, r.from}, req: r.request(rec)}
	return func() outcome {
		err := do(s, ctx)
		if err != nil && ctx.Err() == nil {
			if failed := s.write(ctx, s.verb()+"_FAILED", err.Error()); failed != nil {
				err = failed
			}
		}
		return outcome{rec.LogicalID, rec, err}
	}
}

// verb is what the resource's statuses begin with: a replacement is an update.
func (s *step) verb() string {
	switch s.rec.Action {
	case actionUpdate, actionReplace:
		return "UPDATE"
	case actionDelete:
		return "DELETE"
	}
	return "CREATE"
}

// write keeps the record with a new status, and an event that says so.
func (s *step) write(ctx context.Context, status, reason string) error {
	reason = s.st.masked(reason)
	s.rec.Status, s.rec.Reason, s.rec.Updated = status, reason, s.s.cfg.Store.Now()
	ev := s.s.event(s.st, s.rec, status, reason)
	return s.s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		s.s.put(tx, s.st, ev)
		return s.s.saveResource(tx, s.st, s.rec)
	})
}

// create makes the resource, under a name that is written down first.
func (s *step) create(ctx context.Context) error {
	if given, ok := s.typ.Named(s.rec.Now.Props); ok {
		if err := s.free(ctx, given); err != nil {
			return err
		}
		s.rec.Now.Name = given
	} else {
		s.rec.Now.Name = s.typ.NewName(s.st.Name, s.rec.LogicalID, randomText())
		if s.typ.Keyed() {
			if err := s.free(ctx, s.rec.Now.Name); err != nil {
				return err
			}
		}
	}
	s.rec.Now.Began = s.s.cfg.Store.Now()
	reason := ""
	if s.rec.Action == actionReplace {
		reason = replacementReason
	}
	if err := s.write(ctx, s.verb()+"_IN_PROGRESS", reason); err != nil {
		return err
	}
	return s.call(ctx)
}

// free refuses what the template names, or says by its properties, when it is there already: it then is not ours to
// sweep away after a crash, or to delete in a rollback.
func (s *step) free(ctx context.Context, given string) error {
	if s.rec.Before != nil && s.rec.Before.Type == s.typ.Name && s.rec.Before.PhysicalID == given {
		return rouse.Errorf(rouse.Conflict,
			"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and "+
				"update the stack again.", given)
	}
	req := *s.req
	req.Physical, req.Taken = given, func(string) bool { return false }
	state, exists, err := s.typ.Find(ctx, s.c, &req)
	if err != nil {
		return err
	}
	if exists {
		return rouse.Errorf(rouse.Exists, "%s already exists", state.Physical)
	}
	return nil
}

// call makes the resource under rec.Name and waits for it.
func (s *step) call(ctx context.Context) error {
	s.req.Physical = s.rec.Now.Name
	state, err := s.typ.Create(ctx, s.c, s.req)
	s.rec.Now.PhysicalID, s.rec.Now.Attrs = state.Physical, state.Attrs
	if err != nil {
		return err
	}
	ready, err := s.ready(ctx)
	if err != nil {
		return err
	}
	if !ready {
		if err := s.write(ctx, s.verb()+"_IN_PROGRESS", initiatedReason); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// recreate clears what an interrupted create may have left, and creates.
func (s *step) recreate(ctx context.Context) error {
	if s.rec.Now.Name == "" {
		return s.create(ctx)
	}
	if err := s.sweep(ctx); err != nil {
		return err
	}
	return s.call(ctx)
}

// sweep deletes what a create of unknown outcome has made, if it has.
func (s *step) sweep(ctx context.Context) error {
	req := *s.req
	req.Physical = s.rec.Now.Name
	if s.typ.Draws() {
		taken, err := s.s.physicalIDs(ctx, s.st.Account, s.typ.Name)
		if err != nil {
			return err
		}
		req.Taken = func(id string) bool { return taken[id] }
	} else {
		req.Taken = func(string) bool { return false }
	}
	state, found, err := s.typ.Find(ctx, s.c, &req)
	if err != nil || !found {
		return err
	}
	req.Physical, req.Attrs = state.Physical, state.Attrs
	return s.typ.Delete(ctx, s.c, &req)
}

// update brings the resource from what it was before to what it is to be.
func (s *step) update(ctx context.Context) error {
	if err := s.write(ctx, UpdateInProgress, ""); err != nil {
		return err
	}
	return s.change(ctx, s.rec.Before.Props)
}

// change updates from old to the record's properties, and waits.
func (s *step) change(ctx context.Context, old map[string]any) error {
	s.req.Old = old
	if s.req.Old == nil {
		s.req.Old = map[string]any{}
	}
	state, err := s.typ.Update(ctx, s.c, s.req)
	if err != nil {
		return err
	}
	s.rec.Now.Attrs = state.Attrs
	return s.settle(ctx)
}

// settle waits until the resource is ready and writes that it is complete.
func (s *step) settle(ctx context.Context) error {
	until := time.NewTimer(s.s.cfg.Ready)
	defer until.Stop()
	tick := time.NewTicker(s.s.cfg.Poll)
	defer tick.Stop()
	for {
		ok, err := s.ready(ctx)
		if err != nil {
			return err
		}
		if ok {
			return s.write(ctx, s.verb()+"_COMPLETE", "")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until.C:
			return rouse.Errorf(rouse.Timeout, "%s did not become ready within %s", s.rec.Now.PhysicalID, s.s.cfg.Ready)
		case <-tick.C:
		}
	}
}

func (s *step) ready(ctx context.Context) (bool, error) {
	s.req.Physical, s.req.Attrs = s.rec.Now.PhysicalID, s.rec.Now.Attrs
	return s.typ.Ready(ctx, s.c, s.req)
}

// physicalIDs are the ids of all resources of a type that stacks of the account hold.
func (s *Stacks) physicalIDs(ctx context.Context, account, typ string) (map[string]bool, error) {
	out := map[string]bool{}
	list, err := s.all(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, st := range list {
		if st.Status == DeleteComplete {
			continue
		}
		records, err := s.resources(ctx, st)
		if err != nil {
			return nil, fmt.Errorf("resources of %s: %w", st.Name, err)
		}
		for _, r := range records {
			if r.Now.Type == typ {
				out[r.Now.PhysicalID] = true
			}
			if r.Before != nil && r.Before.Type == typ {
				out[r.Before.PhysicalID] = true
			}
			for _, t := range r.Trash {
				if t.Type == typ {
					out[t.PhysicalID] = true
				}
			}
		}
	}
	return out, nil
}
