package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/stack/resource"
	"github.com/rouse-dev/rouse/stack/template"
)

// compiled is a template that has been read, transformed and checked for one stack.
type compiled struct {
	s          *Stacks
	st         *stackRecord // names and ids for pseudo parameters
	original   *template.Template
	t          *template.Template // transformed
	parameters map[string]string
	exports    map[string]string // of other stacks that the template may import
	active     []*template.Resource
	order      []string // of active resources: dependencies first
	deps       map[string][]string
	warnings   template.Problems
	imports    []string
}

// world says what is known of the resources of a deployment while values are evaluated.
type world interface {
	ref(id string) (string, bool)
	attr(id, name string) (any, bool)
	made(id string) bool // the resource is there, and has all the attributes that it is going to have
}

// nothing is the world before anything exists.
type nothing struct{}

func (nothing) ref(string) (string, bool)       { return "", false }
func (nothing) attr(string, string) (any, bool) { return nil, false }
func (nothing) made(string) bool                { return false }

// evaluated is a resource's part of a template with its functions evaluated.
type evaluated struct {
	typ   *resource.Type
	props map[string]any
	deps  []string
	notes template.Problems
}

// compile reads a source for a stack. All that can be wrong without acting is found here and reported together.
func (s *Stacks) compile(ctx context.Context, st *stackRecord, src Source, given map[string]string) (*compiled, error) {
	t, err := parse(ctx, src, s.cfg.Fetch)
	if err != nil {
		return nil, err
	}
	c := &compiled{s: s, st: st, original: t, deps: map[string][]string{}}
	if c.parameters, err = t.Fill(given); err != nil {
		return nil, err
	}
	if c.t, c.warnings, err = s.transform(t, c.parameters); err != nil {
		return nil, err
	}
	c.warnings = append(slices.Clone(t.Warnings), c.warnings...)
	if c.exports, err = s.exported(ctx, st.Account); err != nil {
		return nil, err
	}
	return c, c.check()
}

// check evaluates everything with nothing known, for its problems and dependencies.
func (c *compiled) check() error {
	scope := c.scope(nothing{}, nil)
	var problems template.Problems
	for _, r := range c.t.Resources {
		if p := c.unknownType(r); p != nil {
			problems = append(problems, *p)
		}
		if scope.Holds(r.ID, r.Condition, r.Pos) {
			c.active = append(c.active, r)
		}
		problems = append(problems, c.dependsOn(r)...)
	}
	for _, o := range c.t.Outputs {
		if scope.Holds("Outputs", o.Condition, o.Pos) {
			scope.Eval("Outputs", o.Value, o.Name)
			if o.Export != nil {
				scope.Eval("Outputs", o.Export, o.Name, "Export")
			}
		}
	}
	problems = append(problems, scope.Problems()...)
	for _, r := range c.active {
		if c.s.types[r.Type] == nil {
			continue
		}
		e, ps := c.evaluate(r, nothing{})
		problems = append(problems, ps...)
		c.deps[r.ID] = e.deps
		c.warnings = append(c.warnings, e.notes...)
	}
	if err := problems.Err(); err != nil {
		return err
	}
	return c.sort()
}

func (c *compiled) unknownType(r *template.Resource) *template.Problem {
	if c.s.types[r.Type] != nil {
		return nil
	}
	names := make([]string, 0, len(c.s.types))
	for n := range c.s.types {
		names = append(names, n)
	}
	slices.Sort(names)
	p := &template.Problem{Pos: r.TypePos, Resource: r.ID, Unsupported: true, Text: "Rouse does not implement " +
		r.Type + template.Suggest(r.Type, names)}
	switch {
	case strings.HasPrefix(r.Type, "Custom::"):
		p.Text = "Rouse does not implement custom resources (" + r.Type + ")"
	case !strings.HasPrefix(r.Type, "AWS::"):
		p.Unsupported = false
		p.Text = "Template format error: Unrecognized resource types: [" + r.Type + "]" +
			template.Suggest(r.Type, names)
	}
	return p
}

func (c *compiled) dependsOn(r *template.Resource) (ps template.Problems) {
	for _, d := range r.DependsOn {
		if c.t.Resource(d) == nil {
			names := make([]string, len(c.t.Resources))
			for i, o := range c.t.Resources {
				names[i] = o.ID
			}
			ps = append(ps, template.Problem{Pos: r.DependsPos, Resource: r.ID, Path: "DependsOn",
				Text: fmt.Sprintf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template%s", d, template.Suggest(d, names))})
		}
	}
	return ps
}

// scope makes the scope in which values are evaluated in w; depend is told of every resource that a value needs.
func (c *compiled) scope(w world, depend func(id string)) *template.Scope {
	sc := template.NewScope(c.t, c.parameters)
	sc.Account, sc.Region, sc.StackName, sc.StackID, sc.Notifications = c.st.Account, c.s.cfg.Region, c.st.Name,
		c.st.ID, c.st.Notifications
	note := func(id string) {
		if depend != nil {
			depend(id)
		}
	}
	sc.Ref = func(id string) *template.Value {
		note(id)
		if v, ok := w.ref(id); ok {
			return template.Str(template.Pos{}, v)
		}
		return nil
	}
	sc.Attr = func(id, name string) (*template.Value, error) {
		note(id)
		if typ := c.s.types[c.t.Resource(id).Type]; typ != nil {
			if err := typ.Attribute(name); err != nil {
				return nil, err
			}
		}
		if v, ok := w.attr(id, name); ok {
			return fromAny(v), nil
		}
		if w.made(id) {
			return nil, fmt.Errorf("Attribute '%s' does not exist", name)
		}
		return nil, nil
	}
	sc.Import = func(name string) (string, error) {
		if v, ok := c.exports[name]; ok {
			if !slices.Contains(c.imports, name) {
				c.imports = append(c.imports, name)
			}
			return v, nil
		}
		return "", fmt.Errorf("No export named %s found", name)
	}
	return sc
}

// evaluate evaluates a resource's properties in w and checks them against its type.
func (c *compiled) evaluate(r *template.Resource, w world) (evaluated, template.Problems) {
	e := evaluated{typ: c.s.types[r.Type]}
	add := func(id string) {
		if id != r.ID && !slices.Contains(e.deps, id) {
			e.deps = append(e.deps, id)
		}
	}
	sc := c.scope(w, add)
	props := sc.Eval(r.ID, r.Properties)
	if len(sc.Problems()) > 0 {
		return e, sc.Problems()
	}
	for _, d := range r.DependsOn {
		if slices.ContainsFunc(c.active, func(o *template.Resource) bool { return o.ID == d }) {
			add(d)
		}
	}
	slices.Sort(e.deps)
	if v := r.Metadata.Get(e.typ.Mark()); v != nil {
		text, ok := sc.Eval(r.ID, v, "Metadata", e.typ.Mark()).Scalar()
		if !ok {
			return e, append(sc.Problems(), template.Problem{Pos: v.Pos, Resource: r.ID, Path: "Metadata." + e.typ.Mark(),
				Text: "want a text that is known before deployment"})
		}
		props = e.typ.Tag(props, map[string]string{e.typ.Mark(): text})
	}
	e.notes = e.typ.Notes(r.ID, props)
	var ps template.Problems
	e.props, ps = e.typ.Check(r.ID, e.typ.Tag(props, c.st.Tags))
	return e, ps
}

// sort orders the active resources so that each comes after what it depends on.
func (c *compiled) sort() error {
	const visiting, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(id string) error
	visit = func(id string) error {
		switch state[id] {
		case done:
			return nil
		case visiting:
			circle := append(slices.Clone(path[slices.Index(path, id):]), id)
			r := c.t.Resource(id)
			return template.Problems{{Pos: r.Pos, Resource: id,
				Text: "Circular dependency between resources: [" + strings.Join(circle, " -> ") + "]"}}.Err()
		}
		state[id] = visiting
		path = append(path, id)
		for _, d := range c.deps[id] {
			if err := visit(d); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[id] = done
		c.order = append(c.order, id)
		return nil
	}
	for _, r := range c.active {
		if err := visit(r.ID); err != nil {
			return err
		}
	}
	return nil
}

// outputs evaluates the outputs in w.
func (c *compiled) outputs(w world) ([]OutputValue, error) {
	sc := c.scope(w, nil)
	var out []OutputValue
	for _, o := range c.t.Outputs {
		if !sc.Holds("Outputs", o.Condition, o.Pos) {
			continue
		}
		v := sc.Eval("Outputs", o.Value, o.Name)
		text, ok := v.Scalar()
		if !ok && v != nil && v.Kind != template.Unknown {
			return nil, template.Problems{{Pos: o.Pos, Resource: "Outputs", Path: o.Name,
				Text: "Template format error: Output " + o.Name + " is malformed: its value is a " + v.Kind.String() +
					", want a string"}}.Err()
		}
		ov := OutputValue{Key: o.Name, Value: text, Description: o.Description}
		if o.Export != nil {
			ov.Export, _ = sc.Eval("Outputs", o.Export, o.Name, "Export").Scalar()
		}
		out = append(out, ov)
	}
	return out, sc.Problems().Err()
}

// fromAny turns a decoded JSON value into a template's.
func fromAny(v any) *template.Value {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	out, err := template.Read("", append(append([]byte(`{"v":`), b...), '}'))
	if err != nil {
		return nil
	}
	return out.Get("v")
}

// exported is the exports of an account by name.
func (s *Stacks) exported(ctx context.Context, account string) (map[string]string, error) {
	out := map[string]string{}
	list, err := s.Exports(ctx, account)
	for _, e := range list {
		out[e.Name] = e.Value
	}
	return out, err
}

// Export is a value that a stack offers to others.
type Export struct {
	Name, Value, StackID string
	Importers            []string // ids of the stacks that use it
}

const exportsMax = 10_000

// Exports lists the exports of an account in the order of their names.
func (s *Stacks) Exports(ctx context.Context, account string) ([]Export, error) {
	var out []Export
	err := s.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		for p, err := range v.Scan(s.under(account, "export"), exportsMax) {
			if err != nil {
				return err
			}
			var e Export
			if err := decode(p.Value, &e); err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// publish brings the exports and imports of a stack to those of its outputs, in the transaction that ends an operation.
func (s *Stacks) publish(tx kv.Tx, st *stackRecord, old, now []OutputValue, oldImports, imports []string) error {
	get := func(name string) (e Export, ok bool, err error) {
		b, ok, err := tx.Get(s.key(st.Account, "export", tuple.Hashed(name, 300)))
		if err != nil || !ok {
			return e, false, err
		}
		return e, true, decode(b, &e)
	}
	put := func(e Export) { tx.Set(s.key(st.Account, "export", tuple.Hashed(e.Name, 300)), encode(e)) }
	for _, name := range oldImports {
		if e, ok, err := get(name); err != nil {
			return err
		} else if ok {
			e.Importers = slices.DeleteFunc(e.Importers, func(id string) bool { return id == st.ID })
			put(e)
		}
	}
	for _, name := range imports {
		e, ok, err := get(name)
		if err != nil {
			return err
		}
		if !ok {
			return rouse.Errorf(rouse.Invalid, "No export named %s found", name).WithCode("ValidationError")
		}
		e.Importers = append(e.Importers, st.ID)
		put(e)
	}
	return s.publishOutputs(tx, st, old, now, get, put)
}

func (s *Stacks) publishOutputs(tx kv.Tx, st *stackRecord, old, now []OutputValue,
	get func(string) (Export, bool, error), put func(Export)) error {
	want := map[string]string{}
	for _, o := range now {
		if o.Export != "" {
			want[o.Export] = o.Value
		}
	}
	for _, o := range old {
		if o.Export == "" {
			continue
		}
		e, ok, err := get(o.Export)
		if err != nil {
			return err
		}
		value, stays := want[o.Export]
		if !ok || e.StackID != st.ID || (stays && value == e.Value) {
			continue
		}
		if len(e.Importers) > 0 {
			verb := "deleted"
			if stays {
				verb = "updated"
			}
			return rouse.Errorf(rouse.Conflict, "Export %s cannot be %s as it is in use by %s", o.Export, verb,
				strings.Join(stackNames(e.Importers), ", ")).WithCode("ValidationError")
		}
		tx.Delete(s.key(st.Account, "export", tuple.Hashed(o.Export, 300)))
	}
	for name, value := range want {
		e, ok, err := get(name)
		if err != nil {
			return err
		}
		if ok && e.StackID != st.ID {
			return rouse.Errorf(rouse.Conflict, "Export with name %s is already exported by stack %s", name,
				stackNames([]string{e.StackID})[0]).
				WithCode("ValidationError")
		}
		put(Export{Name: name, Value: value, StackID: st.ID, Importers: e.Importers})
	}
	return nil
}

// stackNames are the names in ids of stacks.
func stackNames(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id
		if parts := strings.Split(id, "/"); len(parts) == 3 {
			out[i] = parts[1]
		}
	}
	return out
}
