package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// valueType is the type of a property's value.
type valueType uint8

const (
	stringType valueType = iota
	intType
	numberType
	boolType
	jsonType // any value
	listType
	mapType
	objectType
)

var typeNames = map[string]valueType{"string": stringType, "int": intType, "number": numberType, "bool": boolType,
	"json": jsonType,
	"list": listType, "map": mapType, "object": objectType}

// Property is one property of a resource type, or of an object in one.
type Property struct {
	Name     string
	Type     valueType
	Elem     *Property   // of a list or map
	Fields   []*Property // of an object
	Required bool
	Replace  bool     // its change means a replacement
	Missing  bool     // AWS has it, Rouse has not
	Only     []string // values that Rouse implements; nil: all
	Note     string   // how it differs
}

// unknownValue stands for what a deployment will know.
type unknownValue struct{}

func (unknownValue) MarshalJSON() ([]byte, error) { return []byte(`"(known after deployment)"`), nil }

func hasUnknown(v any) bool {
	switch v := v.(type) {
	case unknownValue:
		return true
	case map[string]any:
		for _, e := range v {
			if hasUnknown(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasUnknown)
	}
	return false
}

// properties reads a table of properties. A line is
//
//	Name type [required] [replace] [only=A|B] [-- note]
//
// where type is string, int, number, bool, json, object, "list T", "map T", or "no" for what Rouse does not implement.
// After an object, or a list or map of them, "{" opens its fields and a line "}" closes them.
func properties(text string) []*Property {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	out, rest := parseFields(lines)
	if len(rest) > 0 {
		panic("resource: unbalanced table at " + rest[0])
	}
	return out
}

func parseFields(lines []string) (out []*Property, rest []string) {
	for len(lines) > 0 {
		line := strings.TrimSpace(lines[0])
		lines = lines[1:]
		if line == "" {
			continue
		}
		if line == "}" {
			return out, lines
		}
		line, open := strings.CutSuffix(line, "{")
		line, note, _ := strings.Cut(line, " -- ")
		words := strings.Fields(line)
		p := &Property{Name: words[0], Note: strings.TrimSpace(note)}
		inner := parseWords(p, words[1:])
		if open {
			inner.Fields, lines = parseFields(lines)
		}
		out = append(out, p)
	}
	return out, nil
}

// parseWords reads the type and flags of p and answers with the innermost element, which an opening brace belongs to.
func parseWords(p *Property, words []string) *Property {
	inner := p
	for i, w := range words {
		t, isType := typeNames[w]
		switch {
		case isType && (i == 0 || words[i-1] == "list" || words[i-1] == "map"):
			inner.Type = t
			if t == listType || t == mapType {
				inner.Elem = &Property{}
				inner = inner.Elem
			}
		case w == "no":
			p.Missing, p.Type = true, jsonType
		case w == "required":
			p.Required = true
		case w == "replace":
			p.Replace = true
		case strings.HasPrefix(w, "only="):
			inner.Only = strings.Split(strings.TrimPrefix(w, "only="), "|")
		default:
			panic("resource: unknown word " + w + " of " + p.Name)
		}
	}
	return inner
}

// Check reads evaluated properties as the type wants them: numbers and booleans also from their text, as CloudFormation
// does. Problems name each property that is missing, misspelt, of the wrong type, or not implemented.
func (t *Type) Check(id string, props *template.Value) (map[string]any, template.Problems) {
	c := &checker{resource: id, typ: t.Name}
	out := c.object(props, t.Properties)
	if t.check != nil && len(c.problems) == 0 {
		for _, p := range t.check(props) {
			p.Resource = id
			c.problems = append(c.problems, p)
		}
	}
	return out, c.problems
}

type checker struct {
	resource, typ string
	path          []string
	problems      template.Problems
}

func (c *checker) add(p template.Pos, unsupported bool, format string, args ...any) {
	path := ""
	for _, s := range c.path {
		if path != "" && !strings.HasPrefix(s, "[") {
			path += "."
		}
		path += s
	}
	c.problems = append(c.problems, template.Problem{Pos: p, Resource: c.resource, Path: path, Unsupported: unsupported,
		Text: fmt.Sprintf(format, args...)})
}

func (c *checker) object(v *template.Value, fields []*Property) map[string]any {
	out := make(map[string]any, len(v.Fields))
	for _, f := range v.Fields {
		i := slices.IndexFunc(fields, func(p *Property) bool { return p.Name == f.Key })
		c.path = append(c.path, f.Key)
		switch {
		case i < 0:
			names := make([]string, len(fields))
			for k, p := range fields {
				names[k] = p.Name
			}
			c.add(f.Pos, false, "extraneous key [%s] is not permitted in %s%s", f.Key, c.typ,
				template.Suggest(f.Key, names))
		case fields[i].Missing:
			c.missing(f, fields[i])
		default:
			if e := c.value(f.Value, fields[i]); e != nil {
				out[f.Key] = e
			}
		}
		c.path = c.path[:len(c.path)-1]
	}
	for _, p := range fields {
		if p.Required && v.Get(p.Name) == nil {
			c.add(v.Pos, false, "required key [%s] not found", p.Name)
		}
	}
	return out
}

// missing refuses a property that Rouse does not implement, unless it is switched off or empty.
func (c *checker) missing(f template.Field, p *Property) {
	if b, ok := f.Value.Bool(); ok && !b || f.Value.Kind == template.Null {
		return
	}
	if (f.Value.Kind == template.List && len(f.Value.Items) == 0) ||
		(f.Value.Kind == template.Map && len(f.Value.Fields) == 0) {
		return
	}
	why := ""
	if p.Note != "" {
		why = ": " + p.Note
	}
	c.add(f.Pos, true, "Rouse does not implement %s of %s%s", f.Key, c.typ, why)
}

func (c *checker) value(v *template.Value, p *Property) any {
	if v.Kind == template.Unknown {
		return unknownValue{}
	}
	if v.Kind == template.Null {
		if p.Type == jsonType && len(c.path) > 1 {
			return nil
		}
		c.add(v.Pos, false, "'null' values are not allowed in templates")
		return nil
	}
	switch p.Type {
	case listType:
		if v.Kind != template.List {
			// A single value where a list is wanted is a list of one, as in CloudFormation.
			if v.Kind == template.Map && p.Elem.Type != objectType {
				c.add(v.Pos, false, "expected type: JSONArray, found: %s", found(v))
				return nil
			}
			v = template.Of(v.Pos, v)
		}
		out := make([]any, 0, len(v.Items))
		for i, it := range v.Items {
			c.path = append(c.path, fmt.Sprintf("[%d]", i))
			if e := c.value(it, p.Elem); e != nil {
				out = append(out, e)
			}
			c.path = c.path[:len(c.path)-1]
		}
		return out
	case mapType:
		return c.mapping(v, p)
	case objectType:
		if v.Kind != template.Map {
			c.add(v.Pos, false, "expected type: JSONObject, found: %s", found(v))
			return nil
		}
		return c.object(v, p.Fields)
	case jsonType:
		return plain(v)
	}
	return c.scalar(v, p)
}

func (c *checker) mapping(v *template.Value, p *Property) any {
	if v.Kind != template.Map {
		c.add(v.Pos, false, "expected type: JSONObject, found: %s", found(v))
		return nil
	}
	out := make(map[string]any, len(v.Fields))
	for _, f := range v.Fields {
		c.path = append(c.path, f.Key)
		if e := c.value(f.Value, p.Elem); e != nil {
			out[f.Key] = e
		}
		c.path = c.path[:len(c.path)-1]
	}
	return out
}

func (c *checker) scalar(v *template.Value, p *Property) any {
	t, ok := v.Scalar()
	if !ok {
		c.add(v.Pos, false, "expected type: %s, found: %s", map[valueType]string{stringType: "String",
			intType:    "Integer",
			numberType: "Number", boolType: "Boolean"}[p.Type], found(v))
		return nil
	}
	if p.Only != nil && !slices.Contains(p.Only, t) {
		c.add(v.Pos, true, "Rouse does not implement %q here, of %s; it has %s%s", t, c.typ,
			strings.Join(p.Only, ", "), template.Suggest(t, p.Only))
		return nil
	}
	switch p.Type {
	case intType:
		if n, err := strconv.ParseInt(t, 10, 64); err == nil {
			return json.Number(strconv.FormatInt(n, 10))
		}
		c.add(v.Pos, false, "expected type: Integer, found: %q", t)
		return nil
	case numberType:
		if _, err := strconv.ParseFloat(t, 64); err == nil && json.Valid([]byte(t)) {
			return json.Number(t)
		}
		c.add(v.Pos, false, "expected type: Number, found: %q", t)
		return nil
	case boolType:
		if b, ok := v.Bool(); ok {
			return b
		}
		c.add(v.Pos, false, "expected type: Boolean, found: %q", t)
		return nil
	}
	return t
}

func found(v *template.Value) string {
	switch v.Kind {
	case template.List:
		return "JSONArray"
	case template.Map:
		return "JSONObject"
	case template.Bool:
		return "Boolean"
	case template.Number:
		return "Number"
	}
	return "String"
}

// plain is v as encoding/json decodes it, with unknown values kept.
func plain(v *template.Value) any {
	switch v.Kind {
	case template.Unknown:
		return unknownValue{}
	case template.List:
		out := make([]any, len(v.Items))
		for i, it := range v.Items {
			out[i] = plain(it)
		}
		return out
	case template.Map:
		out := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			out[f.Key] = plain(f.Value)
		}
		return out
	}
	return v.Any()
}
