package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Request asks for a stack to be as a template says.
type Request struct {
	Name        string
	Source      Source
	UsePrevious bool // the template that the stack has, instead of Source
	// Parameters give values; UsePrevious keeps the one that the stack has. Absent: the default, on update also.
	Parameters map[string]Parameter
	// Tags of the stack, put on all resources that take tags. nil keeps them on update; empty removes them.
	Tags map[string]string
	// RoleARN is the role to act as; "" means as who asks, or the role that the stack has.
	RoleARN       string
	Notifications []string
	Capabilities  []string
	// OnFailure of a create: OnFailureRollback when "", OnFailureNothing, OnFailureDelete.
	OnFailure string
	Token     string // ClientRequestToken, shown in events
	// Acknowledged skips the check of Capabilities: who asks has seen the template expanded.
	Acknowledged bool
	changeSet    string // id of the change set that is executed
}

// Parameter is a parameter's value in a Request.
type Parameter struct {
	Value       string
	UsePrevious bool
}

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// prepared is a request that was found right.
type prepared struct {
	st      *stackRecord // as it will be while the operation runs; nothing of it is stored yet
	old     *stackRecord // nil when the stack is new
	c       *compiled
	records map[string]*resourceRecord
	plan    Plan
	src     Source
	given   map[string]string // all parameters as they will be
}

// prepare checks a request and plans it. want is "create", "update" or "" for whichever fits.
func (s *Stacks) prepare(ctx context.Context, account string, req Request, want string) (*prepared, error) {
	old, err := s.existing(ctx, account, req.Name, want)
	if err != nil {
		return nil, err
	}
	p := &prepared{old: old, src: req.Source, records: map[string]*resourceRecord{}}
	if old == nil || old.Status == ReviewInProgress {
		err = s.newStack(p, account, req)
	} else {
		err = s.nextStack(ctx, p, req)
	}
	if err != nil {
		return nil, err
	}
	if p.c, err = s.compile(ctx, p.st, p.src, p.given); err != nil {
		return nil, err
	}
	if err := acknowledged(p.c, req); err != nil {
		return nil, err
	}
	p.settle()
	was := p.st.Outputs
	if old != nil {
		p.st.Outputs = old.Outputs
	}
	p.plan = p.c.plan(p.records)
	p.st.Outputs = was
	p.plan.New = old == nil || old.Status == ReviewInProgress
	if !p.plan.New {
		p.plan.Outputs = p.plan.Outputs || !maps.Equal(old.Tags, p.st.Tags) ||
			!slices.Equal(old.Notifications, p.st.Notifications)
	}
	return p, nil
}

// existing is the stack of that name, when want allows one; nil when there is none.
func (s *Stacks) existing(ctx context.Context, account, name, want string) (*stackRecord, error) {
	var st *stackRecord
	err := s.cfg.Store.View(ctx, func(v kv.View) (err error) {
		st, err = s.load(v, account, name)
		return err
	})
	switch {
	case rouse.KindOf(err) == rouse.NotFound && err != nil:
		if want == "update" || strings.HasPrefix(name, "arn:") {
			return nil, rouse.Errorf(rouse.NotFound, "Stack [%s] does not exist", name).WithCode("ValidationError")
		}
		if !stackName.MatchString(name) {
			return nil, rouse.Errorf(rouse.Invalid,
				"1 validation error detected: Value '%.200s' at 'stackName' failed to satisfy constraint: "+
					"Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
				name).WithCode("ValidationError")
		}
		return nil, nil
	case err != nil:
		return nil, err
	case want == "create" && st.Status != ReviewInProgress:
		return nil, rouse.Errorf(rouse.Exists, "Stack [%s] already exists", st.Name).WithCode("AlreadyExistsException")
	case want == "update" && st.Status == ReviewInProgress:
		return nil, rouse.Errorf(rouse.NotFound, "Stack [%s] does not exist", name).WithCode("ValidationError")
	case st.Status == ReviewInProgress || updatable(st.Status):
		return st, nil
	}
	return nil, rouse.Errorf(rouse.Conflict, "Stack:%s is in %s state and can not be updated.", st.ID,
		st.Status).WithCode("ValidationError")
}

func updatable(status string) bool {
	return slices.Contains([]string{CreateComplete, UpdateComplete, UpdateRollbackComplete}, status)
}

// newStack fills in the record of a stack that does not exist yet, or only as the place of a change set.
func (s *Stacks) newStack(p *prepared, account string, req Request) error {
	id := "arn:aws:cloudformation:" + s.cfg.Region + ":" + account + ":stack/" + req.Name + "/" + uuid.NewString()
	now := s.cfg.Store.Now()
	if p.old != nil {
		id, now = p.old.ID, p.old.Created
	}
	p.st = &stackRecord{Stack: Stack{ID: id, Name: nameIn(id), Account: account, Created: now, Tags: req.Tags,
		RoleARN:       req.RoleARN,
		Notifications: req.Notifications, Capabilities: req.Capabilities, OnFailure: req.OnFailure}}
	if req.UsePrevious {
		return rouse.Errorf(rouse.Invalid, "a new stack has no previous template").WithCode("ValidationError")
	}
	switch req.OnFailure {
	case "", OnFailureRollback, OnFailureNothing, OnFailureDelete:
	default:
		return rouse.Errorf(rouse.Invalid, "OnFailure must be ROLLBACK, DO_NOTHING or DELETE, not %q",
			req.OnFailure).WithCode("ValidationError")
	}
	p.given = map[string]string{}
	for n, v := range req.Parameters {
		if v.UsePrevious {
			return rouse.Errorf(rouse.Invalid,
				"Invalid value for parameter %s: UsePreviousValue of a stack that does not exist",
				n).WithCode("ValidationError")
		}
		p.given[n] = v.Value
	}
	return nil
}

func nameIn(id string) string { return stackNames([]string{id})[0] }

// nextStack fills in the record of an update from the stack as it is.
func (s *Stacks) nextStack(ctx context.Context, p *prepared, req Request) (err error) {
	next := *p.old
	p.st = &next
	next.Op = nil
	if req.Tags != nil {
		next.Tags = req.Tags
	}
	if req.RoleARN != "" {
		next.RoleARN = req.RoleARN
	}
	if req.Notifications != nil {
		next.Notifications = req.Notifications
	}
	if req.Capabilities != nil {
		next.Capabilities = req.Capabilities
	}
	if req.UsePrevious {
		if p.src, err = s.source(ctx, p.old); err != nil {
			return err
		}
	}
	if p.records, err = s.resources(ctx, p.old); err != nil {
		return err
	}
	p.given = map[string]string{}
	for n, v := range req.Parameters {
		p.given[n] = v.Value
		if v.UsePrevious {
			prev, ok := p.old.value(n)
			if !ok {
				return rouse.Errorf(rouse.Invalid,
					"Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key "+
						"not in the previous template", n).WithCode("ValidationError")
			}
			p.given[n] = prev
		}
	}
	return nil
}

// value is the value that a parameter has, a secret one included.
func (st *stackRecord) value(name string) (string, bool) {
	if v, ok := st.Secrets[name]; ok {
		return v, true
	}
	for _, p := range st.Parameters {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// noEcho stands for the value of a parameter that is not shown.
const noEcho = "****"

// settle writes what the template says into the record: description and parameters.
func (p *prepared) settle() {
	p.st.Description = p.c.original.Description
	p.st.Parameters, p.st.Secrets = nil, nil
	for i := range p.c.original.Parameters {
		d := &p.c.original.Parameters[i]
		v := ParameterValue{Name: d.Name, Value: p.c.parameters[d.Name]}
		if d.NoEcho {
			if p.st.Secrets == nil {
				p.st.Secrets = map[string]string{}
			}
			p.st.Secrets[d.Name], v.Value = v.Value, noEcho
		}
		p.st.Parameters = append(p.st.Parameters, v)
	}
}

// acknowledged checks that who asks knows what the template can do.
func acknowledged(c *compiled, req Request) error {
	if req.Acknowledged {
		return nil
	}
	need, _ := capabilities(c.original, c.t)
	var missing []string
	for _, n := range need {
		if slices.Contains(req.Capabilities, n) || (n == "CAPABILITY_IAM" &&
			slices.Contains(req.Capabilities, "CAPABILITY_NAMED_IAM")) {
			continue
		}
		missing = append(missing, n)
	}
	if len(missing) == 0 {
		return nil
	}
	return rouse.Errorf(rouse.Invalid, "Requires capabilities : [%s]",
		strings.Join(missing, ", ")).WithCode("InsufficientCapabilitiesException")
}

// Create makes a stack. nil error: its creation is on disk and Run carries it out.
func (s *Stacks) Create(ctx context.Context, from rouse.Origin, req Request) (id string, err error) {
	return s.submit(ctx, from, req, "create")
}

// Update changes a stack.
func (s *Stacks) Update(ctx context.Context, from rouse.Origin, req Request) (id string, err error) {
	return s.submit(ctx, from, req, "update")
}

// Deploy creates the stack, or updates it when it exists.
func (s *Stacks) Deploy(ctx context.Context, from rouse.Origin, req Request) (id string, err error) {
	return s.submit(ctx, from, req, "")
}

func (s *Stacks) submit(ctx context.Context, from rouse.Origin, req Request, want string) (string, error) {
	p, err := s.prepare(ctx, from.Principal.Account, req, want)
	if err != nil {
		return "", err
	}
	if p.plan.Empty() {
		return p.st.ID, rouse.Errorf(rouse.Invalid, noUpdates).WithCode("ValidationError")
	}
	kind, status := "update", UpdateInProgress
	if p.plan.New {
		kind, status = "create", CreateInProgress
	}
	st := p.st
	now := s.cfg.Store.Now()
	st.Op = &operation{Kind: kind, Phase: phaseApply, ID: randomText(), Token: req.Token, From: from}
	st.Status, st.Reason, st.ChangeSetID = status, userInitiated, req.changeSet
	text := encode(p.src)
	if p.old != nil && kind == "update" {
		st.Updated = now
		st.Source.Number = p.old.Source.Number + 1
		st.Op.Previous = &previous{Stack: p.old.Stack, Secrets: p.old.Secrets, Source: p.old.Source,
			Imports: p.old.Imports}
	} else {
		st.Source.Number = 1
	}
	ev := s.event(st, nil, status, userInitiated)
	err = s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if err := s.unchanged(tx, p); err != nil {
			return err
		}
		parts, err := s.saveParts(tx, st.Account, text, 0, "source", uid(st.ID), uint64(st.Source.Number))
		if err != nil {
			return err
		}
		st.Source.Parts = parts
		tx.Set(s.key(st.Account, "name", st.Name), []byte(st.ID))
		tx.Set(accountKey(s.cfg.Region, st.Account), []byte{})
		s.save(tx, st)
		s.put(tx, st, ev)
		return nil
	})
	s.begin(err, st)
	if err != nil {
		return "", err
	}
	return st.ID, nil
}

// begin hands a stack to Run whose operation was written, or may have been: nobody else would take it up before the next start.
func (s *Stacks) begin(err error, st *stackRecord) {
	if st != nil && (err == nil || errors.Is(err, kv.ErrUnknown)) {
		s.enqueue(work{st.Account, st.ID})
	}
}

// unchanged refuses when the stack is not as it was when the request was prepared.
func (s *Stacks) unchanged(tx kv.Tx, p *prepared) error {
	now, err := s.load(tx, p.st.Account, p.st.Name)
	switch {
	case err != nil && rouse.KindOf(err) == rouse.NotFound && p.old == nil:
		return nil
	case err != nil:
		return err
	case p.old == nil:
		return rouse.Errorf(rouse.Exists, "Stack [%s] already exists", p.st.Name).WithCode("AlreadyExistsException")
	case now.ID != p.old.ID || now.Status != p.old.Status || now.Source != p.old.Source:
		return rouse.Errorf(rouse.Conflict, "Stack:%s is in %s state and can not be updated.", now.ID,
			now.Status).WithCode("ValidationError")
	}
	return nil
}

// Deletion asks for a stack to be deleted.
type Deletion struct {
	Retain  []string // logical ids to leave; of a stack whose deletion failed
	RoleARN string
	Token   string
}

// Delete deletes a stack; one that is gone is no error.
func (s *Stacks) Delete(ctx context.Context, from rouse.Origin, name string, d Deletion) error {
	account, id := from.Principal.Account, randomText()
	var st *stackRecord
	err := s.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
		if st, err = s.load(tx, account, name); err != nil {
			return err
		}
		if st.Status == DeleteComplete {
			st = nil
			return nil
		}
		if inProgress(st.Status) {
			if st.Status == DeleteInProgress {
				st = nil
				return nil
			}
			return rouse.Errorf(rouse.Conflict, "Stack [%s] cannot be deleted while in status %s", st.ID,
				st.Status).WithCode("ValidationError")
		}
		if err := s.unused(tx, st); err != nil {
			return err
		}
		if d.RoleARN != "" {
			st.RoleARN = d.RoleARN
		}
		st.Status, st.Reason = DeleteInProgress, userInitiated
		st.Op = &operation{Kind: "delete", Phase: phaseDelete, ID: id, Token: d.Token, From: from, Retain: d.Retain}
		s.save(tx, st)
		s.put(tx, st, s.event(st, nil, DeleteInProgress, userInitiated))
		return nil
	})
	if rouse.KindOf(err) == rouse.NotFound && err != nil {
		return nil
	}
	s.begin(err, st)
	return err
}

// unused refuses to delete a stack whose exports others import.
func (s *Stacks) unused(tx kv.Tx, st *stackRecord) error {
	for _, o := range st.Outputs {
		if o.Export == "" {
			continue
		}
		b, ok, err := tx.Get(s.key(st.Account, "export", tuple.Hashed(o.Export, 300)))
		if err != nil || !ok {
			return err
		}
		var e Export
		if err := decode(b, &e); err != nil {
			return err
		}
		if e.StackID == st.ID && len(e.Importers) > 0 {
			return rouse.Errorf(rouse.Conflict, "Export %s cannot be deleted as it is in use by %s", o.Export,
				strings.Join(stackNames(e.Importers), ", ")).WithCode("ValidationError")
		}
	}
	return nil
}

// source reads the source that a stack was made from.
func (s *Stacks) source(ctx context.Context, st *stackRecord) (Source, error) {
	var src Source
	err := s.cfg.Store.View(ctx, func(v kv.View) error {
		b, err := s.readParts(v, st.Account, "source", uid(st.ID), uint64(st.Source.Number))
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return fmt.Errorf("stack %s has no template", st.ID)
		}
		return decode(b, &src)
	})
	return src, err
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// randomText is 16 random letters and digits, for names that nobody else has.
func randomText() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b[:])
}
