package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/rouse-dev/rouse"
)

// Table is a compiled Service. Immutable and safe for concurrent use.
type Table struct {
	Service Service

	entries map[string]*Entry
	missing map[string]bool // known and not implemented
	router  router          // REST only
	planner planner
}

// Entry is an operation within its table.
type Entry struct {
	Operation
	table  *Table
	refuse *refuseNode
	plans  func() (plans, error)
}

// plans are the compiled types of an operation; out is nil for None.
type plans struct{ in, out *plan }

// Match is an operation that a request was routed to, with the labels of its path.
type Match struct {
	*Entry
	route  *route
	labels []string
}

// Compile checks a service's table and prepares it. Types are compiled at the first use of their operation, so that a
// node starts fast; CompileTypes does all of them.
func Compile(s Service) (*Table, error) {
	if s.Name == "" || s.Protocol < JSON10 || s.Protocol > RESTJSON {
		return nil, fmt.Errorf("wire: service %q: name and protocol are required", s.Name)
	}
	if (s.Protocol == JSON10 || s.Protocol == JSON11) && s.TargetPrefix == "" {
		return nil, fmt.Errorf("wire: service %s: a JSON service needs its TargetPrefix", s.Name)
	}
	if s.Protocol == Query && (s.Version == "" || s.Namespace == "") {
		return nil, fmt.Errorf("wire: service %s: a query service needs Version and Namespace", s.Name)
	}
	setDefaults(&s)
	t := &Table{Service: s, entries: map[string]*Entry{}, missing: map[string]bool{}}
	for _, op := range s.Operations {
		if err := t.add(op); err != nil {
			return nil, fmt.Errorf("wire: service %s: %w", s.Name, err)
		}
	}
	for _, line := range s.NotImplemented {
		if err := t.addMissing(line); err != nil {
			return nil, fmt.Errorf("wire: service %s: %w", s.Name, err)
		}
	}
	return t, nil
}

func setDefaults(s *Service) {
	if s.SigningName == "" {
		s.SigningName = s.Name
	}
	if s.Title == "" {
		s.Title = s.Name
	}
	if s.BodyMax == 0 {
		s.BodyMax = BodyDefault
	}
	validation, malformed := "ValidationException", codeMalformed
	if s.Protocol == Query {
		validation, malformed = "ValidationError", "MalformedInput"
	}
	if s.Validation == "" {
		s.Validation = validation
	}
	if s.Malformed == "" {
		s.Malformed = malformed
	}
}

func (t *Table) add(op Operation) error {
	if op.Name == "" || op.handle == nil {
		return fmt.Errorf("operation %q has no name or no handler", op.Name)
	}
	if op.needs == nil {
		return fmt.Errorf("operation %s does not say what it needs; NoNeeds says that it needs nothing", op.Name)
	}
	if t.entries[op.Name] != nil {
		return fmt.Errorf("operation %s is there twice", op.Name)
	}
	e := &Entry{Operation: op, table: t, refuse: refuseTree(op.Name, op.refused)}
	if e.bodyMax == 0 {
		e.bodyMax = t.Service.BodyMax
	}
	e.plans = sync.OnceValues(func() (plans, error) { return t.compile(op) })
	t.entries[op.Name] = e
	if t.Service.Protocol != RESTJSON {
		return nil
	}
	if op.status < 200 || op.status > 299 {
		return fmt.Errorf("operation %s: status %d in route %q", op.Name, op.status, op.Route)
	}
	return t.router.add(&route{method: op.method, entry: e, name: op.Name}, op.path)
}

func (t *Table) addMissing(line string) error {
	f := strings.Fields(line)
	if len(f) == 0 || t.entries[f[0]] != nil {
		return fmt.Errorf("not implemented operation %q is empty or implemented", line)
	}
	t.missing[f[0]] = true
	if len(f) < 3 || t.Service.Protocol != RESTJSON {
		return nil
	}
	return t.router.add(&route{method: f[1], name: f[0]}, f[2])
}

func (t *Table) compile(op Operation) (plans, error) {
	in, err := t.planner.plan(op.in)
	if err != nil {
		return plans{}, fmt.Errorf("wire: %s.%s: %w", t.Service.Name, op.Name, err)
	}
	if op.out == noneType {
		return plans{in: in}, nil
	}
	out, err := t.planner.plan(op.out)
	if err != nil {
		return plans{}, fmt.Errorf("wire: %s.%s: %w", t.Service.Name, op.Name, err)
	}
	return plans{in: in, out: out}, nil
}

// CompileTypes compiles the types of all operations and returns the first mistake in their tags and routes.
func (t *Table) CompileTypes() error {
	for _, op := range t.Service.Operations {
		p, err := t.entries[op.Name].plans()
		if err != nil {
			return err
		}
		if err := checkLabels(op, p.in, t.Service.Protocol); err != nil {
			return fmt.Errorf("wire: %s.%s: %w", t.Service.Name, op.Name, err)
		}
	}
	return nil
}

// checkLabels requires that path and struct agree on the labels.
func checkLabels(op Operation, in *plan, p Protocol) error {
	labels := map[string]bool{}
	if p == RESTJSON {
		path, _, _ := strings.Cut(op.path, "?")
		for _, s := range splitPath(path) {
			if strings.HasPrefix(s, "{") {
				labels[strings.Trim(s, "{}+")] = true
			}
		}
	}
	for _, f := range in.fields {
		switch {
		case p != RESTJSON && f.in != inBody:
			return fmt.Errorf("%s: only REST services have members outside the body", f.name)
		case f.in == inURI && !labels[f.wire]:
			return fmt.Errorf("%s is no label of %q", f.wire, op.Route)
		case f.in == inURI:
			delete(labels, f.wire)
		}
	}
	for l := range labels {
		return fmt.Errorf("label %q of %q has no member", l, op.Route)
	}
	return nil
}

// Operation finds an operation by name. One that AWS has and Rouse has not is of Kind Unsupported; so is one of a REST
// service that nobody knows, which other services refuse as AWS does.
func (t *Table) Operation(name string) (*Entry, error) {
	if e := t.entries[name]; e != nil {
		return e, nil
	}
	if name == "" {
		return nil, rouse.Errorf(rouse.Unsupported, "The request names no operation of %s", t.Service.Title)
	}
	if t.missing[name] || t.Service.Protocol == RESTJSON {
		return nil, t.notImplemented(name)
	}
	return nil, t.unknown(name)
}

// unknown is AWS's answer to the name of an operation that does not exist.
func (t *Table) unknown(name string) error {
	if t.Service.Protocol == Query {
		return rouse.Errorf(rouse.Invalid, "Could not find operation %.200s for version %s", name, t.Service.Version).
			WithCode("InvalidAction")
	}
	return rouse.Errorf(rouse.Invalid, "Rouse knows no operation %.200s of %s", name, t.Service.Title).
		WithCode("UnknownOperationException")
}

// notImplemented says so; what names an operation, or a method and path.
func (t *Table) notImplemented(what string) error {
	return rouse.Errorf(rouse.Unsupported, "Rouse does not implement %.200s of %s", what, t.Service.Title)
}

// Route finds the operation of a request to a JSON or REST service without looking at its body.
func (t *Table) Route(r *http.Request) (Match, error) {
	if t.Service.Protocol != RESTJSON {
		target := r.Header.Get("X-Amz-Target")
		prefix, name, _ := strings.Cut(target, ".")
		switch {
		case target == "":
			return Match{}, rouse.Errorf(rouse.Invalid, "The request names no operation of %s: X-Amz-Target is missing",
				t.Service.Title).WithCode("UnknownOperationException")
		case prefix != t.Service.TargetPrefix || r.Method != http.MethodPost:
			return Match{}, t.unknown(r.Method + " " + target)
		}
		e, err := t.Operation(name)
		return Match{Entry: e}, err
	}
	rt, labels := t.router.find(r)
	switch {
	case rt == nil:
		return Match{}, t.notImplemented(r.Method + " " + r.URL.EscapedPath())
	case rt.entry == nil:
		return Match{}, t.notImplemented(rt.name)
	}
	return Match{Entry: rt.entry, route: rt, labels: labels}, nil
}

// Serves reports whether r looks like a request to this service: a REST service has a route for it, implemented or not,
// a JSON one the prefix of its target. It tells services apart that share a signing name, and unsigned requests. A query
// service cannot know without the form.
func (t *Table) Serves(r *http.Request) bool {
	switch t.Service.Protocol {
	case RESTJSON:
		rt, _ := t.router.find(r)
		return rt != nil
	case Query:
		return false
	}
	prefix, _, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return ok && prefix == t.Service.TargetPrefix
}

// RouteForm finds the operation of a request to a query service.
func (t *Table) RouteForm(form url.Values) (Match, error) {
	if v := form.Get("Version"); v != "" && v != t.Service.Version {
		return Match{}, rouse.Errorf(rouse.Invalid, "Could not find operation %s for version %s",
			form.Get("Action"), v).WithCode("InvalidAction")
	}
	name := form.Get("Action")
	if name == "" {
		return Match{}, rouse.Errorf(rouse.Invalid, "Missing Action").WithCode("MissingAction")
	}
	e, err := t.Operation(name)
	return Match{Entry: e}, err
}

// Needs names the permissions that in asks for.
func (e *Entry) Needs(ctx context.Context, from rouse.Origin, in any) ([]rouse.Need, error) {
	return e.needs(ctx, from, in)
}

// Handle runs the operation. Decoded, validated and authorised: the caller has seen to it.
func (e *Entry) Handle(ctx context.Context, from rouse.Origin, in any) (any, error) {
	return e.handle(ctx, from, in)
}

// BodyMax is the limit of the request's body in bytes.
func (e *Entry) BodyMax() int64 { return e.bodyMax }

// Streams reports whether the input takes the body as it comes, so that a door need not hold it.
func (e *Entry) Streams() bool {
	p, err := e.plans()
	return err == nil && p.in.payload != nil && p.in.payload.shape.kind == kindReader
}

// Audited reports whether calls leave an audit event.
func (e *Entry) Audited() bool { return e.audited }
