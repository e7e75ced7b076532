// Package template reads CloudFormation templates and evaluates their functions.
//
// It turns YAML (with the short forms: !Ref, !Sub, …) or JSON into one tree of Values in which every value knows the
// file, line and column it came from, splits that tree into the sections of a Template, and evaluates values in a
// Scope. Three ideas carry it:
//
//   - One shape. Short forms become their long form while reading, so that nothing above the reader knows two spellings:
//     "!GetAtt A.Arn" and {"Fn::GetAtt": ["A", "Arn"]} are the same Value. The SAM transform (stack/sam) rewrites such
//     trees, and its output carries the positions of what it was made from.
//   - Unknown is a value. Before anything exists, Ref and Fn::GetAtt of a resource evaluate to Unknown, which spreads
//     through Fn::Sub and Fn::Join but not through the map around it. A plan and a deployment are the same evaluation with
//     more or less known.
//   - Problems are collected. Reading and evaluating go on after a mistake where that makes sense, and answer with all of
//     them, each as "file:line:column: resource: property: what is wrong; what would be right".
//
// A template is hostile input. Size, depth, the number of values (aliases expanded) and of evaluation steps are bounded
// by the constants in limits.go. Values are immutable once read; everything here is safe for concurrent use as long as
// one Scope stays with one goroutine.
//
// The package knows no resource types (stack/resource does), no SAM (stack/sam does) and does no I/O.
package template

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds. Number keeps its text as written; Unknown stands for what only a deployment will know.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
	Unknown
)

var kindNames = [...]string{"null", "boolean", "number", "string", "list", "map", "value known after deployment"}

func (k Kind) String() string { return kindNames[k] }

// Pos is a place in a file; the zero Pos is nowhere. Line and Col count from 1.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

func (p Pos) String() string {
	name := p.File
	if name == "" {
		name = "template"
	}
	if p.Line == 0 {
		return name
	}
	return name + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// Value is a node of a template. It must not be changed once it is part of a tree.
type Value struct {
	Kind   Kind
	Text   string   // of Bool ("true", "false"), Number (a JSON number) and String
	Items  []*Value // of List
	Fields []Field  // of Map, in the order of the file
	Pos    Pos
}

// Field is an entry of a map.
type Field struct {
	Key   string
	Pos   Pos // of the key
	Value *Value
}

// Str makes a string.
func Str(p Pos, s string) *Value { return &Value{Kind: String, Text: s, Pos: p} }

// Boolean makes a boolean.
func Boolean(p Pos, b bool) *Value { return &Value{Kind: Bool, Text: strconv.FormatBool(b), Pos: p} }

// Of makes a list.
func Of(p Pos, items ...*Value) *Value { return &Value{Kind: List, Items: items, Pos: p} }

// Strs makes a list of strings.
func Strs(p Pos, items ...string) *Value {
	v := &Value{Kind: List, Pos: p}
	for _, s := range items {
		v.Items = append(v.Items, Str(p, s))
	}
	return v
}

// KV makes a field at p.
func KV(p Pos, key string, v *Value) Field { return Field{Key: key, Pos: p, Value: v} }

// Obj makes a map; fields whose value is nil are left out.
func Obj(p Pos, fields ...Field) *Value {
	v := &Value{Kind: Map, Pos: p}
	for _, f := range fields {
		if f.Value != nil {
			v.Fields = append(v.Fields, f)
		}
	}
	return v
}

// Ref makes {"Ref": id}.
func Ref(p Pos, id string) *Value { return Obj(p, KV(p, "Ref", Str(p, id))) }

// GetAtt makes {"Fn::GetAtt": [id, attr]}.
func GetAtt(p Pos, id, attr string) *Value { return Obj(p, KV(p, "Fn::GetAtt", Strs(p, id, attr))) }

// Sub makes {"Fn::Sub": text}, or its list form when there are variables.
func Sub(p Pos, text string, vars ...Field) *Value {
	if len(vars) == 0 {
		return Obj(p, KV(p, "Fn::Sub", Str(p, text)))
	}
	return Obj(p, KV(p, "Fn::Sub", Of(p, Str(p, text), Obj(p, vars...))))
}

// Get is the value of key in a map; nil when absent or when v is nil or not a map.
func (v *Value) Get(key string) *Value {
	if v == nil || v.Kind != Map {
		return nil
	}
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			return v.Fields[i].Value
		}
	}
	return nil
}

// Path is Get along keys.
func (v *Value) Path(keys ...string) *Value {
	for _, k := range keys {
		v = v.Get(k)
	}
	return v
}

// KeyPos is where key of a map stands; v's own place when absent.
func (v *Value) KeyPos(key string) Pos {
	if v == nil {
		return Pos{}
	}
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			return v.Fields[i].Pos
		}
	}
	return v.Pos
}

// With is a copy of the map v in which key is set, or left out when to is nil. A nil v is an empty map.
func (v *Value) With(key string, to *Value) *Value {
	out := &Value{Kind: Map}
	if v != nil {
		out.Pos = v.Pos
	}
	found := false
	if v != nil && v.Kind == Map {
		for _, f := range v.Fields {
			if f.Key == key {
				found = true
				if to == nil {
					continue
				}
				f.Value = to
			}
			out.Fields = append(out.Fields, f)
		}
	}
	if !found && to != nil {
		out.Fields = append(out.Fields, Field{Key: key, Pos: to.Pos, Value: to})
	}
	return out
}

// IsString reports whether v is a plain string and which.
func (v *Value) IsString() (string, bool) {
	if v == nil || v.Kind != String {
		return "", false
	}
	return v.Text, true
}

// Scalar is the text of a string, number or boolean.
func (v *Value) Scalar() (string, bool) {
	if v == nil || (v.Kind != String && v.Kind != Number && v.Kind != Bool) {
		return "", false
	}
	return v.Text, true
}

// Bool reports v as a boolean as CloudFormation reads it: a boolean, or its text.
func (v *Value) Bool() (b, ok bool) {
	s, ok := v.Scalar()
	if !ok {
		return false, false
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}

// Intrinsic reports whether v is a function call: a map with one key that is Ref, Condition or begins with Fn::.
func (v *Value) Intrinsic() (name string, arg *Value, ok bool) {
	if v == nil || v.Kind != Map || len(v.Fields) != 1 {
		return "", nil, false
	}
	k := v.Fields[0].Key
	if k == "Ref" || strings.HasPrefix(k, "Fn::") {
		return k, v.Fields[0].Value, true
	}
	// {"Condition": "name"} is a function among conditions; elsewhere ({"Condition": {…}} of a policy) it is data.
	if k == "Condition" && v.Fields[0].Value.Kind == String {
		return k, v.Fields[0].Value, true
	}
	return "", nil, false
}

// RefName is the name in {"Ref": name}.
func (v *Value) RefName() (string, bool) {
	if name, arg, ok := v.Intrinsic(); ok && name == "Ref" {
		return arg.IsString()
	}
	return "", false
}

// HasUnknown reports whether v or anything in it is Unknown.
func (v *Value) HasUnknown() bool {
	if v == nil {
		return false
	}
	if v.Kind == Unknown {
		return true
	}
	for _, i := range v.Items {
		if i.HasUnknown() {
			return true
		}
	}
	for _, f := range v.Fields {
		if f.Value.HasUnknown() {
			return true
		}
	}
	return false
}

// MarshalJSON writes v as JSON, fields in the order of the file; Unknown is null.
func (v *Value) MarshalJSON() ([]byte, error) { return v.append(nil), nil }

func (v *Value) append(b []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	switch v.Kind {
	case Bool, Number:
		return append(b, v.Text...)
	case String:
		return appendString(b, v.Text)
	case List:
		b = append(b, '[')
		for i, it := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = it.append(b)
		}
		return append(b, ']')
	case Map:
		b = append(b, '{')
		for i, f := range v.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, f.Key)
			b = append(b, ':')
			b = f.Value.append(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		panic("template: a string is always JSON: " + err.Error())
	}
	return append(b, q...)
}

// Any is v as encoding/json would decode it, with json.Number for numbers and nil for Unknown.
func (v *Value) Any() any {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case Bool:
		return v.Text == "true"
	case Number:
		return json.Number(v.Text)
	case String:
		return v.Text
	case List:
		l := make([]any, len(v.Items))
		for i, it := range v.Items {
			l[i] = it.Any()
		}
		return l
	case Map:
		m := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			m[f.Key] = f.Value.Any()
		}
		return m
	}
	return nil
}
