// Package sam is the transform AWS::Serverless-2016-10-31: it rewrites the AWS::Serverless::* resources of a template
// into the CloudFormation resources that they stand for.
//
// What comes out, and above all what it is called, follows the public SAM translator: templates refer to generated
// resources (MyFunctionRole, ServerlessRestApi, MyApi.Stage), and a generated name that changed would replace a
// resource that holds state. Golden files hold the names. Two things differ on purpose, both unseen by templates: the
// hash in the names of API deployments is taken over JSON instead of a Python dictionary's text, and tags are not
// propagated (PropagateTags).
//
// The order of work is the translator's: globals are merged into resources, the events of functions that name no API
// are given to the implicit ones (ServerlessRestApi, ServerlessHttpApi), functions expand and write their routes into
// the API definitions, then the APIs expand, and at last references to what got another name (layers,
// MyFunction.Version) are rewritten everywhere.
//
// Every generated value carries the position of what asked for it, so that an error about a generated role points at
// the function's Policies. The transform is a pure function of template and parameters, safe for concurrent use, and
// evaluates nothing: conditions and references stay in its output. What it does not know is refused by name; properties
// that it only passes on are left for stack/resource to judge.
package sam

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

type (
	// Value is the template's word.
	Value = template.Value
	// Pos is the template's word.
	Pos = template.Pos
	// Field is the template's word.
	Field = template.Field
)

const prefix = "AWS::Serverless::"

// Serverless reports whether t asks for this transform.
func Serverless(t *template.Template) bool { return slices.Contains(t.Transforms, template.SAM) }

// Transform expands the serverless resources of t. parameters are the values of t's parameters: some generated names
// depend on them. The warnings name what is accepted and works differently. Without the transform in t, t itself is the
// answer; its serverless resources then are a problem.
func Transform(t *template.Template, parameters map[string]string, region string) (*template.Template,
	template.Problems, error) {
	x := &expander{in: t, parameters: parameters, region: region, renamed: map[string]string{}, apis: map[string]*api{}}
	if !Serverless(t) {
		for _, r := range t.Resources {
			if strings.HasPrefix(r.Type, prefix) {
				x.wrong(r.TypePos, r.ID, "", "%s needs the line \"Transform: %s\" at the top of the template", r.Type,
					template.SAM)
			}
		}
		if t.Globals != nil {
			x.wrong(t.Globals.Pos, "Globals", "",
				"Globals needs the line \"Transform: %s\" at the top of the template", template.SAM)
		}
		return t, nil, x.problems.Err()
	}
	out := *t
	out.Globals, out.Conditions = nil, slices.Clone(t.Conditions)
	x.out = &out
	x.expand()
	if err := x.problems.Err(); err != nil {
		return nil, nil, err
	}
	return &out, x.warnings, nil
}

// expander holds one transform.
type expander struct {
	in, out    *template.Template
	parameters map[string]string
	region     string
	globals    map[string]*Value // by type: the properties of Globals
	resources  []*template.Resource
	merged     []*template.Resource // the input's resources, globals merged
	apis       map[string]*api      // by logical id, implicit ones included
	order      []string             // of apis
	renamed    map[string]string    // "Layer" and "Function.Version" to logical ids
	problems   template.Problems
	warnings   template.Problems
}

func (x *expander) expand() {
	x.parseGlobals()
	for _, r := range x.in.Resources {
		m := *r
		m.Properties = x.mergeGlobals(r)
		x.merged = append(x.merged, &m)
	}
	x.findAPIs()
	for _, r := range x.merged {
		if r.Type == prefix+"Function" {
			x.collectRoutes(r)
		}
	}
	for _, r := range x.merged {
		if r.Connectors != nil {
			x.refuse(r.Connectors.Pos, r.ID, "Connectors", "connectors; give the function the policy that it needs")
		}
		x.resource(r)
	}
	for _, id := range x.order {
		x.expandAPI(x.apis[id])
	}
	x.out.Resources = x.resources
	x.rename()
	x.duplicates()
}

// resource expands one resource that is not an API.
func (x *expander) resource(r *template.Resource) {
	name, serverless := strings.CutPrefix(r.Type, prefix)
	if !serverless {
		x.resources = append(x.resources, r)
		return
	}
	switch name {
	case "Function":
		(&function{x: x, r: r}).expand()
	case "LayerVersion":
		x.layer(r)
	case "SimpleTable":
		x.simpleTable(r)
	case "Api", "HttpApi":
	case "StateMachine", "Application", "GraphQLApi", "Connector", "CapacityProvider", "WebSocketApi":
		x.refuse(r.TypePos, r.ID, "", "%s", r.Type)
	default:
		x.wrong(r.TypePos, r.ID, "", "there is no %s%s", r.Type,
			template.Suggest(r.Type, []string{prefix + "Function", prefix + "Api", prefix + "HttpApi",
				prefix + "LayerVersion", prefix + "SimpleTable"}))
	}
}

func (x *expander) duplicates() {
	seen := map[string]bool{}
	for _, r := range x.out.Resources {
		if seen[r.ID] {
			x.wrong(r.Pos, r.ID, "", "two resources get the name %s; rename the one in the template", r.ID)
		}
		seen[r.ID] = true
	}
}

func (x *expander) wrong(p Pos, resource, path, format string, args ...any) {
	x.problems = append(x.problems, template.Problem{Pos: p, Resource: resource, Path: path,
		Text: fmt.Sprintf(format, args...)})
}

func (x *expander) refuse(p Pos, resource, path, format string, args ...any) {
	x.problems = append(x.problems, template.Problem{Pos: p, Resource: resource, Path: path, Unsupported: true,
		Text: "Rouse does not implement " + fmt.Sprintf(format, args...)})
}

func (x *expander) warn(p Pos, resource, path, format string, args ...any) {
	x.warnings = append(x.warnings, template.Problem{Pos: p, Resource: resource, Path: path,
		Text: fmt.Sprintf(format, args...)})
}

// known checks the properties of r against their names.
func (x *expander) known(r *template.Resource, names []string, refused map[string]string) {
	for _, f := range r.Properties.Fields {
		if why, ok := refused[f.Key]; ok {
			if b, is := f.Value.Bool(); is && !b {
				continue
			}
			x.refuse(f.Pos, r.ID, f.Key, "%s of %s%s", f.Key, r.Type, why)
		} else if !slices.Contains(names, f.Key) {
			x.wrong(f.Pos, r.ID, f.Key, "property %s not defined for resource of type %s%s", f.Key, r.Type,
				template.Suggest(f.Key, names))
		}
	}
}

// add appends a generated resource; it inherits condition and policies from the one that it is made for.
func (x *expander) add(from *template.Resource, id, typ string, p Pos, fields ...Field) *template.Resource {
	r := &template.Resource{ID: id, Pos: p, Type: typ, TypePos: p, Properties: template.Obj(p, fields...),
		Condition: from.Condition, Deletion: from.Deletion, UpdateReplace: from.UpdateReplace}
	x.resources = append(x.resources, r)
	return r
}

// resolve replaces references to parameters by their values, as the translator does before it takes hashes.
func (x *expander) resolve(v *Value) *Value {
	if v == nil {
		return nil
	}
	if name, ok := v.RefName(); ok {
		if name == "AWS::Region" {
			return template.Str(v.Pos, x.region)
		}
		if s, ok := x.parameters[name]; ok {
			return template.Str(v.Pos, s)
		}
		return v
	}
	out := *v
	out.Items, out.Fields = slices.Clone(v.Items), slices.Clone(v.Fields)
	for i := range out.Items {
		out.Items[i] = x.resolve(out.Items[i])
	}
	for i := range out.Fields {
		out.Fields[i].Value = x.resolve(out.Fields[i].Value)
	}
	return &out
}

// digest is the first ten digits that the translator appends to names: of a string, or of JSON with sorted keys.
func digest(v *Value) string {
	if v == nil {
		return ""
	}
	data, ok := v.IsString()
	if !ok {
		data = string(canonical(nil, v))
	}
	return digestText(data)
}

func digestText(data string) string {
	if data == "" {
		return ""
	}
	sum := sha1.Sum([]byte(data))
	return hex.EncodeToString(sum[:])[:10]
}

// canonical is Python's json.dumps with sorted keys, no spaces and ASCII only.
func canonical(b []byte, v *Value) []byte {
	switch v.Kind {
	case template.List:
		b = append(b, '[')
		for i, it := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(b, it)
		}
		return append(b, ']')
	case template.Map:
		fields := slices.Clone(v.Fields)
		slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
		b = append(b, '{')
		for i, f := range fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = ascii(b, f.Key)
			b = append(b, ':')
			b = canonical(b, f.Value)
		}
		return append(b, '}')
	case template.String:
		return ascii(b, v.Text)
	}
	j, err := json.Marshal(v)
	if err != nil {
		panic("sam: a scalar is always JSON: " + err.Error())
	}
	return append(b, j...)
}

func ascii(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r < 0x20 || (r >= 0x7f && r < 0x10000):
			if r == 0x7f {
				b = append(b, 0x7f)
				continue
			}
			b = fmt.Appendf(b, `\u%04x`, r)
		case r >= 0x10000:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			b = append(b, byte(r))
		}
	}
	return append(b, '"')
}

// alnum reports whether s can be part of a name as it is.
func alnum(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}

// iff makes {"Fn::If": [condition, v, AWS::NoValue]}; v itself when there is no condition.
func iff(condition string, v *Value) *Value {
	if condition == "" {
		return v
	}
	return template.Obj(v.Pos, template.KV(v.Pos, "Fn::If",
		template.Of(v.Pos, template.Str(v.Pos, condition), v, template.Ref(v.Pos, "AWS::NoValue"))))
}

// isIntrinsic reports whether v is a function call.
func isIntrinsic(v *Value) bool { _, _, ok := v.Intrinsic(); return ok }

// tagList is a map of tags as a list of {Key, Value}.
func tagList(p Pos, m *Value, first ...string) *Value {
	l := template.Of(p)
	for i := 0; i+1 < len(first); i += 2 {
		l.Items = append(l.Items, template.Obj(p, template.KV(p, "Key", template.Str(p, first[i])),
			template.KV(p, "Value", template.Str(p, first[i+1]))))
	}
	if m != nil {
		for _, f := range m.Fields {
			l.Items = append(l.Items, template.Obj(f.Pos, template.KV(f.Pos, "Key", template.Str(f.Pos, f.Key)),
				template.KV(f.Pos, "Value", f.Value)))
		}
	}
	return l
}
