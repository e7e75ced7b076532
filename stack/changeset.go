package stack

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// ChangeSet is a planned change of a stack that waits to be executed.
type ChangeSet struct {
	ID, Name           string
	StackID, StackName string
	Description        string
	Type               string // CREATE or UPDATE
	Status             string // CREATE_COMPLETE, FAILED
	Reason             string
	Execution          string // AVAILABLE, UNAVAILABLE, EXECUTE_IN_PROGRESS, EXECUTE_COMPLETE, EXECUTE_FAILED, OBSOLETE
	Created            time.Time
	Plan               Plan
	Parameters         []ParameterValue // secret ones masked
	Tags               map[string]string
	Capabilities       []string
	Notifications      []string
	RoleARN            string
}

// changeSetRecord is a change set as it is kept. The source of its request stands beside it, in parts.
type changeSetRecord struct {
	ChangeSet
	Request Request
	Source  document
	Base    document // the stack's source when it was planned
}

const (
	changeSetsMax = 1000
	noChanges     = "The submitted information didn't contain changes. Submit different information to create a change set."
)

var changeSetName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// CreateChangeSet plans a request and keeps it. typ is CREATE, UPDATE, or "" for UPDATE. A template that is wrong is an
// error; a request without changes makes a change set in status FAILED, as CloudFormation does.
func (s *Stacks) CreateChangeSet(ctx context.Context, from rouse.Origin, name, typ, description string,
	req Request) (ChangeSet, error) {
	account := from.Principal.Account
	if !changeSetName.MatchString(name) {
		return ChangeSet{}, rouse.Errorf(rouse.Invalid,
			"1 validation error detected: Value '%.200s' at 'changeSetName' failed to satisfy constraint: "+
				"Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name).WithCode("ValidationError")
	}
	want := map[string]string{"": "update", "UPDATE": "update", "CREATE": "create"}[typ]
	if want == "" {
		return ChangeSet{}, rouse.Errorf(rouse.Unsupported, "Rouse does not implement change sets of type %s", typ)
	}
	// The expanded template is shown by the change set itself, so a transform needs no acknowledgement.
	check := req
	check.Capabilities = append(slices.Clone(req.Capabilities), "CAPABILITY_AUTO_EXPAND")
	p, err := s.prepare(ctx, account, check, want)
	if err != nil {
		return ChangeSet{}, err
	}
	id := "arn:aws:cloudformation:" + s.cfg.Region + ":" + account + ":changeSet/" + name + "/" + uuid.NewString()
	rec := &changeSetRecord{Request: req, ChangeSet: ChangeSet{ID: id, Name: name, StackID: p.st.ID,
		StackName: p.st.Name, Description: description,
		Type: strings.ToUpper(want), Status: CreateComplete, Execution: "AVAILABLE", Created: s.cfg.Store.Now(),
		Plan: p.plan, Parameters: p.st.Parameters,
		Tags: p.st.Tags, Capabilities: req.Capabilities, Notifications: p.st.Notifications, RoleARN: p.st.RoleARN}}
	if p.plan.Empty() {
		rec.Status, rec.Execution, rec.Reason = "FAILED", "UNAVAILABLE", noChanges
	}
	if p.old != nil {
		rec.Base = p.old.Source
	}
	rec.Request.Source, rec.Request.UsePrevious = Source{}, false
	return rec.ChangeSet, s.keepChangeSet(ctx, p, rec)
}

func (s *Stacks) keepChangeSet(ctx context.Context, p *prepared, rec *changeSetRecord) error {
	text, st := encode(p.src), p.st
	review := s.event(st, nil, ReviewInProgress, userInitiated)
	return s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if p.old == nil {
			if err := s.unchanged(tx, p); err != nil {
				return err
			}
			place := &stackRecord{Stack: Stack{ID: st.ID, Name: st.Name, Account: st.Account,
				Status: ReviewInProgress, Reason: userInitiated,
				Created: st.Created, Tags: st.Tags}}
			tx.Set(s.key(st.Account, "name", st.Name), []byte(st.ID))
			tx.Set(accountKey(s.cfg.Region, st.Account), []byte{})
			s.save(tx, place)
			s.put(tx, place, review)
		}
		if old, err := s.loadChangeSet(tx, st.Account, st.ID, rec.Name); err == nil {
			if old.Status != "FAILED" {
				return rouse.Errorf(rouse.Exists, "ChangeSet %s already exists",
					old.ID).WithCode("AlreadyExistsException")
			}
			s.dropParts(tx, st.Account, old.Source.Parts, "changesource", uid(st.ID), rec.Name)
		} else if rouse.KindOf(err) != rouse.NotFound {
			return err
		}
		parts, err := s.saveParts(tx, st.Account, text, 0, "changesource", uid(st.ID), rec.Name)
		if err != nil {
			return err
		}
		rec.Source = document{1, parts}
		return s.saveChangeSet(tx, st.Account, rec)
	})
}

func (s *Stacks) saveChangeSet(tx kv.Tx, account string, rec *changeSetRecord) error {
	b := encode(rec)
	if len(b) > kv.ValueMax {
		return rouse.Errorf(rouse.TooLarge, "the change set is larger than %d bytes", kv.ValueMax)
	}
	tx.Set(s.key(account, "changeset", uid(rec.StackID), rec.Name), b)
	return nil
}

func noChangeSet(name string) error {
	return rouse.Errorf(rouse.NotFound, "ChangeSet [%s] does not exist", name).WithCode("ChangeSetNotFound")
}

// loadChangeSet reads a change set of a stack by name.
func (s *Stacks) loadChangeSet(g getter, account, stackID, name string) (*changeSetRecord, error) {
	b, ok, err := g.Get(s.key(account, "changeset", uid(stackID), name))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noChangeSet(name)
	}
	rec := &changeSetRecord{}
	return rec, decode(b, rec)
}

// findChangeSet finds a change set by its id, or by its name and that of its stack.
func (s *Stacks) findChangeSet(ctx context.Context, account, stack, name string) (*changeSetRecord, *stackRecord,
	error) {
	if !strings.HasPrefix(name, "arn:") && stack == "" {
		return nil, nil, rouse.Errorf(rouse.Invalid,
			"StackName must be specified if ChangeSetName is not specified as an ARN.").WithCode("ValidationError")
	}
	if stack == "" {
		list, err := s.all(ctx, account)
		if err != nil {
			return nil, nil, err
		}
		for _, st := range list {
			if rec, _, err := s.findChangeSet(ctx, account, st.ID, name); err == nil {
				return rec, st, nil
			}
		}
		return nil, nil, noChangeSet(name)
	}
	st, err := s.read(ctx, account, stack)
	if err != nil {
		return nil, nil, err
	}
	short := name
	if parts := strings.Split(name, "/"); strings.HasPrefix(name, "arn:") && len(parts) == 3 {
		short = parts[1]
	}
	var rec *changeSetRecord
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		rec, err = s.loadChangeSet(v, account, st.ID, short)
		return err
	})
	if err == nil && short != name && rec.ID != name {
		err = noChangeSet(name)
	}
	return rec, st, err
}

// ChangeSet reads a change set by its id, or by its name and that of its stack.
func (s *Stacks) ChangeSet(ctx context.Context, account, stack, name string) (ChangeSet, error) {
	rec, st, err := s.findChangeSet(ctx, account, stack, name)
	if err != nil {
		return ChangeSet{}, err
	}
	return rec.shown(st), nil
}

// shown is the change set with the state that its stack gives it.
func (rec *changeSetRecord) shown(st *stackRecord) ChangeSet {
	c := rec.ChangeSet
	switch {
	case c.Execution == "EXECUTE_IN_PROGRESS" && st.ChangeSetID == c.ID && !inProgress(st.Status):
		c.Execution = "EXECUTE_COMPLETE"
		if st.Status != CreateComplete && st.Status != UpdateComplete {
			c.Execution = "EXECUTE_FAILED"
		}
	case c.Execution == "EXECUTE_IN_PROGRESS" && st.ChangeSetID != c.ID && !inProgress(st.Status):
		c.Execution = "EXECUTE_FAILED" // an update that was rolled back
	case c.Execution == "AVAILABLE" && st.Source != rec.Base:
		c.Execution = "OBSOLETE"
	}
	return c
}

// ChangeSets lists the change sets of a stack by name.
func (s *Stacks) ChangeSets(ctx context.Context, account, stack string) (out []ChangeSet, err error) {
	st, err := s.read(ctx, account, stack)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		for p, err := range v.Scan(s.under(account, "changeset", uid(st.ID)), changeSetsMax) {
			if err != nil {
				return err
			}
			rec := &changeSetRecord{}
			if err := decode(p.Value, rec); err != nil {
				return err
			}
			out = append(out, rec.shown(st))
		}
		return nil
	})
	return out, err
}

// ExecuteChangeSet does what a change set has planned, unless its stack has changed since.
func (s *Stacks) ExecuteChangeSet(ctx context.Context, from rouse.Origin, stack, name, token string) error {
	account := from.Principal.Account
	rec, st, err := s.findChangeSet(ctx, account, stack, name)
	if err != nil {
		return err
	}
	if c := rec.shown(st); c.Status != CreateComplete || c.Execution != "AVAILABLE" {
		return rouse.Errorf(rouse.Conflict, "ChangeSet [%s] cannot be executed in its current status of [%s]", rec.ID,
			orStatus(c)).
			WithCode("InvalidChangeSetStatus")
	}
	req := rec.Request
	req.Token, req.changeSet, req.Acknowledged, req.Name = token, rec.ID, true, st.Name
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		b, err := s.readParts(v, account, "changesource", uid(st.ID), rec.Name)
		if err != nil {
			return err
		}
		return decode(b, &req.Source)
	})
	if err != nil {
		return err
	}
	if _, err := s.submit(ctx, from, req, strings.ToLower(rec.Type)); err != nil {
		return err
	}
	rec.Execution = "EXECUTE_IN_PROGRESS"
	return s.cfg.Store.Update(ctx, func(tx kv.Tx) error { return s.saveChangeSet(tx, account, rec) })
}

func orStatus(c ChangeSet) string {
	if c.Status != CreateComplete {
		return c.Status
	}
	return c.Execution
}

// DeleteChangeSet forgets a change set; one that is gone is no error.
func (s *Stacks) DeleteChangeSet(ctx context.Context, from rouse.Origin, stack, name string) error {
	account := from.Principal.Account
	rec, st, err := s.findChangeSet(ctx, account, stack, name)
	if err != nil {
		if rouse.KindOf(err) == rouse.NotFound {
			return nil
		}
		return err
	}
	if rec.shown(st).Execution == "EXECUTE_IN_PROGRESS" {
		return rouse.Errorf(rouse.Conflict, "ChangeSet [%s] cannot be deleted while it is being executed",
			rec.ID).WithCode("InvalidChangeSetStatus")
	}
	return s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		tx.Delete(s.key(account, "changeset", uid(st.ID), rec.Name))
		s.dropParts(tx, account, rec.Source.Parts, "changesource", uid(st.ID), rec.Name)
		return nil
	})
}
