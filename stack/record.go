package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Statuses of stacks, as CloudFormation's.
const (
	CreateInProgress        = "CREATE_IN_PROGRESS"
	CreateComplete          = "CREATE_COMPLETE"
	CreateFailed            = "CREATE_FAILED"
	RollbackInProgress      = "ROLLBACK_IN_PROGRESS"
	RollbackComplete        = "ROLLBACK_COMPLETE"
	RollbackFailed          = "ROLLBACK_FAILED"
	UpdateInProgress        = "UPDATE_IN_PROGRESS"
	UpdateCleanup           = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
	UpdateComplete          = "UPDATE_COMPLETE"
	UpdateRollback          = "UPDATE_ROLLBACK_IN_PROGRESS"
	UpdateRollbackCleanup   = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
	UpdateRollbackComplete  = "UPDATE_ROLLBACK_COMPLETE"
	UpdateRollbackFailed    = "UPDATE_ROLLBACK_FAILED"
	DeleteInProgress        = "DELETE_IN_PROGRESS"
	DeleteComplete          = "DELETE_COMPLETE"
	DeleteFailed            = "DELETE_FAILED"
	DeleteSkipped           = "DELETE_SKIPPED" // of a resource
	ReviewInProgress        = "REVIEW_IN_PROGRESS"
	OnFailureRollback       = "ROLLBACK"
	OnFailureNothing        = "DO_NOTHING"
	OnFailureDelete         = "DELETE"
	stackType               = "AWS::CloudFormation::Stack"
	cloudFormationPrincipal = "cloudformation.amazonaws.com"
	partBytes               = 400 << 10 // of a value; larger documents are kept in parts
	partsMax                = 64
	room                    = "stack"
	noUpdates               = "No updates are to be performed."
	rollbackRequested       = "Rollback requested by user."
	replacementReason       = "Requested update requires the creation of a new physical resource; hence creating one."
	initiatedReason         = "Resource creation Initiated"
	userInitiated           = "User Initiated"
)

func inProgress(status string) bool {
	return strings.HasSuffix(status, "_IN_PROGRESS") && status != ReviewInProgress
}

// Stack is a stack as it is shown. Values of NoEcho parameters are masked.
type Stack struct {
	ID, Name, Account string
	Status, Reason    string
	Description       string
	Created           time.Time
	Updated, Deleted  time.Time // zero until it happened
	Parameters        []ParameterValue
	Outputs           []OutputValue
	Tags              map[string]string
	RoleARN           string
	Notifications     []string
	Capabilities      []string
	OnFailure         string
	ChangeSetID       string // of the change set that was executed last
}

// ParameterValue is the value that a stack's parameter has.
type ParameterValue struct{ Name, Value string }

// OutputValue is an output of a stack.
type OutputValue struct{ Key, Value, Description, Export string }

// stackRecord is a stack as it is kept.
type stackRecord struct {
	Stack
	Secrets map[string]string // values of NoEcho parameters
	Source  document
	Imports []string // names of exports that the stack uses
	Op      *operation
}

// secretMin is how long a secret must be to be masked in a text: shorter ones stand in every other word.
const secretMin = 4

// masked is text without the values of NoEcho parameters: a service that refuses one says which it was.
func (st *stackRecord) masked(text string) string {
	for _, v := range st.Secrets {
		if len(v) >= secretMin {
			text = strings.ReplaceAll(text, v, noEcho)
		}
	}
	return text
}

// document names a text that is kept in parts.
type document struct {
	Number int // 0: none
	Parts  int
}

// phase is how far an operation has come.
type phase string

const (
	phaseApply   phase = "apply"
	phaseUndo    phase = "undo"    // restore, or delete what a create made
	phaseCleanup phase = "cleanup" // after success: delete what was replaced or left the template
	phaseTidy    phase = "tidy"    // after an undo: delete what the update had made
	phaseDelete  phase = "delete"
)

// operation is a change of a stack that is under way.
type operation struct {
	Kind     string // create, update, delete
	Phase    phase
	ID       string // marks the records that it touches
	Token    string // ClientRequestToken
	From     rouse.Origin
	Why      string   // why it is undone
	Retain   []string // of a delete: logical ids to leave
	Previous *previous
}

// previous is what an update restores when it fails.
type previous struct {
	Stack   Stack
	Secrets map[string]string
	Source  document
	Imports []string
}

// Resource is a resource of a stack as it is shown.
type Resource struct {
	StackID, StackName    string
	LogicalID, PhysicalID string
	Type                  string
	Status, Reason        string
	Updated               time.Time
	Description           string
	Metadata              json.RawMessage `json:",omitempty"`
}

// made is a physical resource: all that is needed to update, delete or restore it.
type made struct {
	Type       string
	PhysicalID string
	Props      map[string]any
	Attrs      map[string]any
	Deps       []string // logical ids
	Deletion   string
	Replace    string          // UpdateReplacePolicy
	Metadata   json.RawMessage `json:",omitempty"`
	Name       string          // that its create gives, or wants to give
	Began      time.Time       // when the create was decided
}

// action is what an operation does with a resource.
type action string

const (
	actionNone    action = ""
	actionCreate  action = "create"
	actionUpdate  action = "update"
	actionReplace action = "replace"
	actionDelete  action = "delete"
)

// resourceRecord is a resource as it is kept. Now is what exists or is being made.
type resourceRecord struct {
	LogicalID string
	Now       made
	Status    string
	Reason    string
	Updated   time.Time
	Op        string // the operation that touched it last
	Action    action // of that operation
	Before    *made  // what Now was before that operation; nil when there was nothing
	Trash     []made // to be deleted when the operation tidies up
	parts     int
}

func (r *resourceRecord) shown(st *Stack) Resource {
	return Resource{StackID: st.ID, StackName: st.Name, LogicalID: r.LogicalID, PhysicalID: r.Now.PhysicalID,
		Type: r.Now.Type, Status: r.Status,
		Reason: r.Reason, Updated: r.Updated, Metadata: r.Now.Metadata}
}

// Event is what happened to a stack or a resource of it.
type Event struct {
	ID                    string
	StackID, StackName    string
	LogicalID, PhysicalID string
	Type                  string
	Status, Reason        string
	Time                  time.Time
	Token                 string
}

func (s *Stacks) key(account string, parts ...any) []byte {
	return tuple.Key(append([]any{account, s.cfg.Region, room}, parts...)...)
}

func (s *Stacks) under(account string, parts ...any) kv.Range {
	return tuple.Prefix(append([]any{account, s.cfg.Region, room}, parts...)...)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("stack: a record is JSON: " + err.Error())
	}
	return b
}

func decode(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	return nil
}

// getter is what a record is read from: a View or a Tx.
type getter interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

// load reads the stack called name, or with that id. A name means the stack that lives; an id also one that is deleted.
func (s *Stacks) load(g getter, account, name string) (*stackRecord, error) {
	id := name
	if !strings.HasPrefix(name, "arn:") {
		b, ok, err := g.Get(s.key(account, "name", name))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noStack(name)
		}
		id = string(b)
	}
	b, ok, err := g.Get(s.key(account, "stack", tuple.Hashed(id, 300)))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noStack(name)
	}
	st := &stackRecord{}
	return st, decode(b, st)
}

func noStack(name string) error {
	return rouse.Errorf(rouse.NotFound, "Stack with id %s does not exist", name).WithCode("ValidationError")
}

func (s *Stacks) save(tx kv.Tx, st *stackRecord) {
	tx.Set(s.key(st.Account, "stack", tuple.Hashed(st.ID, 300)), encode(st))
}

// saveParts keeps a document that may be larger than a value.
func (s *Stacks) saveParts(tx kv.Tx, account string, b []byte, old int, key ...any) (parts int, err error) {
	for parts == 0 || len(b) > 0 {
		if parts == partsMax {
			return 0, rouse.Errorf(rouse.TooLarge, "a resource's properties take more than %d bytes",
				partsMax*partBytes)
		}
		n := min(len(b), partBytes)
		tx.Set(s.key(account, append(key, uint64(parts))...), b[:n])
		b = b[n:]
		parts++
	}
	for i := parts; i < old; i++ {
		tx.Delete(s.key(account, append(key, uint64(i))...))
	}
	return parts, nil
}

func (s *Stacks) dropParts(tx kv.Tx, account string, parts int, key ...any) {
	for i := range parts {
		tx.Delete(s.key(account, append(key, uint64(i))...))
	}
}

// readParts reads what saveParts kept.
func (s *Stacks) readParts(v kv.View, account string, key ...any) ([]byte, error) {
	var b []byte
	for p, err := range v.Scan(s.under(account, key...), partsMax) {
		if err != nil {
			return nil, err
		}
		b = append(b, p.Value...)
	}
	return b, nil
}

// uid is the last part of a stack's id, which its records stand under.
func uid(stackID string) string { return stackID[strings.LastIndexByte(stackID, '/')+1:] }

func (s *Stacks) saveResource(tx kv.Tx, st *stackRecord, r *resourceRecord) error {
	parts, err := s.saveParts(tx, st.Account, encode(r), r.parts, "resource", uid(st.ID), r.LogicalID)
	r.parts = max(parts, r.parts) // kept high when the transaction runs twice: deleting what is not there does no harm
	return err
}

func (s *Stacks) dropResource(tx kv.Tx, st *stackRecord, r *resourceRecord) {
	s.dropParts(tx, st.Account, max(r.parts, 1), "resource", uid(st.ID), r.LogicalID)
}

// resources reads all resources of a stack by logical id.
func (s *Stacks) resources(ctx context.Context, st *stackRecord) (map[string]*resourceRecord, error) {
	out := map[string]*resourceRecord{}
	err := s.cfg.Store.View(ctx, func(v kv.View) error {
		texts, parts := map[string][]byte{}, map[string]int{}
		for p, err := range v.Scan(s.under(st.Account, "resource", uid(st.ID)), 600*partsMax) {
			if err != nil {
				return err
			}
			key, err := tuple.Parse(p.Key)
			if err != nil || len(key) != 7 {
				return fmt.Errorf("resource key %q: %w", p.Key, err)
			}
			id, _ := key[5].(string)
			texts[id] = append(texts[id], p.Value...)
			parts[id]++
		}
		for id, b := range texts {
			r := &resourceRecord{parts: parts[id]}
			if err := decode(b, r); err != nil {
				return fmt.Errorf("resource %s: %w", id, err)
			}
			out[id] = r
		}
		return nil
	})
	return out, err
}
