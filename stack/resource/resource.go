// Package resource knows the resource types of CloudFormation that Rouse implements: what properties each has, and by
// which operations of which service it is created, updated and deleted.
//
// A type is a table and a few functions. The table is text (see schema.go): every property that AWS has, with its type,
// whether it is required, whether its change means a replacement, and whether Rouse implements it. From this one table
// come the checks before a deployment touches anything, the plan's reasons, and COMPATIBILITY.md. A property that AWS
// has and Rouse has not stands in the table as "no": it is refused by its name, and never ignored.
//
// The functions act only through Client: operations of AWS's API in their JSON shapes, as the principal who deploys.
// The rules that keep a deployment exact under failure and crash are theirs too:
//
//   - Create answers with the physical id of what exists, also beside an error: what it made before it failed can then be
//     deleted. No id means that nothing is there, for instance because the name was taken by somebody else.
//   - Update is idempotent: run again after a crash with the same old and new properties, it ends in the same state. So a
//     rollback is an update with the two exchanged.
//   - Delete of what is gone succeeds.
//   - Find tells what an interrupted create left behind. Names that CloudFormation makes up are random and recorded before
//     the call, so a resource under such a name is ours; types whose ids the service draws look by content.
//
// All is safe for concurrent use: types are made once by Types and never change.
package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/template"
)

// Client calls operations as the principal who deploys. in is marshalled to the operation's JSON shape; out may be nil.
type Client interface {
	Call(ctx context.Context, service, operation string, in, out any) error
}

// Request is one step for one resource.
type Request struct {
	Account, Region, StackName, StackID, LogicalID string

	Physical string         // create: the name to give where the template gives none; else the id of what exists
	Props    map[string]any // as the template wants them
	Old      map[string]any // update: as they were applied
	Attrs    map[string]any // update, delete: as they were answered
	Since    time.Time      // find: when the interrupted create began
	Taken    func(physical string) bool
}

// State is a resource that exists: its physical id, which Ref evaluates to, and what Fn::GetAtt answers.
type State struct {
	Physical string
	Attrs    map[string]any
}

// Type is a resource type.
type Type struct {
	Name       string
	Properties []*Property
	Attributes []string // of Fn::GetAtt
	Note       string   // how it differs from AWS; "" when it does not

	naming    naming
	keyed     bool   // its properties alone say which one it is: a second of the same cannot be
	tags      string // the property that takes the stack's tags, as a list or map; "" when there is none
	mark      string // the key under Metadata that becomes a tag; "" when there is none
	create    func(context.Context, Client, *Request) (State, error)
	update    func(context.Context, Client, *Request) (State, error)
	remove    func(context.Context, Client, *Request) error
	find      func(context.Context, Client, *Request) (State, bool, error)
	ready     func(context.Context, Client, *Request) (bool, error)
	check     func(props *template.Value) template.Problems
	notes     func(props *template.Value) template.Problems // what is accepted and works differently
	replaceIf func(old, props map[string]any) bool          // a change that the table alone does not show as a replacement
}

// naming says how physical names are made up.
type naming struct {
	property string // that names the resource; "" when the service draws an id
	max      int
	lower    bool
	prefix   string
}

// Types are all resource types by name.
func Types() map[string]*Type {
	all := map[string]*Type{}
	for _, list := range [][]*Type{lambdaTypes(), iamTypes(), restTypes(), httpTypes(), otherTypes(),
		tableTypes()} {
		for _, t := range list {
			all[t.Name] = t
		}
	}
	return all
}

// Create makes the resource.
func (t *Type) Create(ctx context.Context, c Client, r *Request) (State, error) {
	return t.create(ctx, c, r)
}

// Update brings the resource from r.Old to r.Props.
func (t *Type) Update(ctx context.Context, c Client, r *Request) (State, error) {
	if t.update == nil {
		return State{}, fmt.Errorf("%s has nothing to update in place", t.Name)
	}
	return t.update(ctx, c, r)
}

// Delete removes the resource; one that is gone is no error.
func (t *Type) Delete(ctx context.Context, c Client, r *Request) error {
	return gone(t.remove(ctx, c, r))
}

// Find looks for what a create that was interrupted has made. false: nothing is there.
func (t *Type) Find(ctx context.Context, c Client, r *Request) (State, bool, error) {
	if t.find == nil {
		return State{}, false, nil
	}
	s, ok, err := t.find(ctx, c, r)
	if rouse.KindOf(err) == rouse.NotFound && err != nil {
		return State{}, false, nil
	}
	return s, ok, err
}

// Ready reports whether the resource can be used; an error means that it never will be.
func (t *Type) Ready(ctx context.Context, c Client, r *Request) (bool, error) {
	if t.ready == nil {
		return true, nil
	}
	return t.ready(ctx, c, r)
}

// Named is the name that props give the resource; false when the template leaves it to us or the service draws it.
func (t *Type) Named(props map[string]any) (string, bool) {
	s, ok := props[t.naming.property].(string)
	return s, ok && t.naming.property != ""
}

// Draws reports whether the service draws the id itself.
func (t *Type) Draws() bool { return t.naming.max == 0 }

// Keyed reports whether the properties alone say which resource is meant, so that Find before Create tells if it is
// there.
func (t *Type) Keyed() bool { return t.keyed }

// NewName makes up a physical name: STACK-LOGICALID-RANDOM, each cut to fit. random is at least 12 letters and digits.
func (t *Type) NewName(stack, logical, random string) string {
	limit := t.naming.max
	if limit == 0 {
		limit = 64
	}
	room := limit - len(t.naming.prefix) - 14
	if len(stack)+len(logical) > room {
		if len(logical) > room/2 {
			logical = logical[:max(room/2, room-len(stack))]
		}
		stack = stack[:min(len(stack), room-len(logical))]
	}
	name := t.naming.prefix + strings.Trim(stack, "-") + "-" + logical + "-" + random[:12]
	if t.naming.lower {
		name = strings.ToLower(name)
	}
	return name
}

// Tag adds the stack's tags to evaluated properties; a tag of the template's own wins.
func (t *Type) Tag(props *template.Value, tags map[string]string) *template.Value {
	if t.tags == "" || len(tags) == 0 {
		return props
	}
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	p := t.property(t.tags)
	old := props.Get(t.tags)
	if p.Type == mapType {
		for _, k := range keys {
			if old.Get(k) == nil {
				old = old.With(k, template.Str(props.Pos, tags[k]))
			}
		}
		return props.With(t.tags, old)
	}
	list := &template.Value{Kind: template.List, Pos: props.Pos}
	have := map[string]bool{}
	if old != nil {
		list.Items = slices.Clone(old.Items)
		for _, it := range old.Items {
			k, _ := it.Get("Key").Scalar()
			have[k] = true
		}
	}
	for _, k := range keys {
		if !have[k] {
			list.Items = append(list.Items, template.Obj(props.Pos,
				template.KV(props.Pos, "Key", template.Str(props.Pos, k)),
				template.KV(props.Pos, "Value", template.Str(props.Pos, tags[k]))))
		}
	}
	return props.With(t.tags, list)
}

// Notes tell what of evaluated properties is accepted and works differently than somebody may believe.
func (t *Type) Notes(id string, props *template.Value) template.Problems {
	if t.notes == nil {
		return nil
	}
	ps := t.notes(props)
	for i := range ps {
		ps[i].Resource = id
	}
	return ps
}

// Mark is the key under Metadata that gives the resource a tag of the same name, for templates that have to deploy on AWS
// without it; "" when the type has none.
func (t *Type) Mark() string { return t.mark }

func (t *Type) property(name string) *Property {
	for _, p := range t.Properties {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Attribute answers whether the type has an attribute of that name, else an error that says what it has.
func (t *Type) Attribute(name string) error {
	if slices.Contains(t.Attributes, name) {
		return nil
	}
	return fmt.Errorf("Template error: resource of type %s does not support attribute type %s in Fn::GetAtt; it has %s%s", t.Name, name,
		orNone(t.Attributes), template.Suggest(name, t.Attributes))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Change is a property that a deployment changes.
type Change struct {
	Property string `json:"property"`
	Replace  bool   `json:"replace"`           // its change needs a replacement
	Unknown  bool   `json:"unknown,omitempty"` // its new value, and so the change itself, is known after deployment only
}

// Diff is what differs between applied and wanted properties, by the name of top-level properties.
func (t *Type) Diff(old, props map[string]any) []Change {
	var out []Change
	for _, p := range t.Properties {
		a, b := old[p.Name], props[p.Name]
		if same(a, b) {
			continue
		}
		out = append(out, Change{Property: p.Name, Replace: p.Replace || t.update == nil, Unknown: hasUnknown(b)})
	}
	if len(out) > 0 && t.replaceIf != nil && t.replaceIf(old, props) {
		out[0].Replace = true
	}
	return out
}

func same(a, b any) bool {
	if hasUnknown(b) {
		return false
	}
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

// gone forgives an error that says the thing is not there.
func gone(err error) error {
	if err != nil && rouse.KindOf(err) == rouse.NotFound {
		return nil
	}
	return err
}

// take copies the named properties that are set, under the same names.
func take(props map[string]any, names string) map[string]any {
	out := map[string]any{}
	for _, n := range strings.Fields(names) {
		to := n
		if from, as, ok := strings.Cut(n, "="); ok {
			n, to = from, as
		}
		if v, ok := props[n]; ok {
			out[to] = v
		}
	}
	return out
}

// text is a string property, or "".
func text(props map[string]any, name string) string { s, _ := props[name].(string); return s }

// changed reports whether any of the named properties differ between r.Old and r.Props.
func changed(r *Request, names string) bool {
	for _, n := range strings.Fields(names) {
		if !same(r.Old[n], r.Props[n]) {
			return true
		}
	}
	return false
}

// tagMap reads a list of {Key, Value}, or a map, as a map.
func tagMap(v any) map[string]string {
	out := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, t := range v {
			out[k], _ = t.(string)
		}
	case []any:
		for _, it := range v {
			m, _ := it.(map[string]any)
			out[text(m, "Key")] = text(m, "Value")
		}
	}
	return out
}

// retag brings tags from old to new by a pair of operations.
func retag(r *Request, tag func(map[string]string) error, untag func([]string) error) error {
	old, now := tagMap(r.Old["Tags"]), tagMap(r.Props["Tags"])
	set := map[string]string{}
	for k, v := range now {
		if have, ok := old[k]; !ok || have != v {
			set[k] = v
		}
	}
	var drop []string
	for k := range old {
		if _, ok := now[k]; !ok {
			drop = append(drop, k)
		}
	}
	slices.Sort(drop)
	if len(drop) > 0 {
		if err := untag(drop); err != nil {
			return err
		}
	}
	if len(set) > 0 {
		return tag(set)
	}
	return nil
}

func (r *Request) arn(service, rest string) string {
	return "arn:aws:" + service + ":" + r.Region + ":" + r.Account + ":" + rest
}
