package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Template is a template split into its sections. The SAM transform makes a new one; nobody changes one.
type Template struct {
	File        string
	Description string
	Transforms  []string
	Metadata    *Value
	Parameters  []Parameter
	Mappings    *Value // map of map of map; nil when absent
	Conditions  []Field
	Globals     *Value // SAM's; nil when absent
	Resources   []*Resource
	Outputs     []Output
	Warnings    Problems // what is accepted and most likely a mistake
}

// Resource is an entry of the Resources section.
type Resource struct {
	ID            string
	Pos           Pos
	Type          string
	TypePos       Pos
	Properties    *Value // a map; never nil
	Condition     string // name of a condition; "" when there is none
	DependsOn     []string
	DependsPos    Pos
	Deletion      string // DeletionPolicy: "", Delete, Retain, RetainExceptOnCreate
	UpdateReplace string // UpdateReplacePolicy: "", Delete, Retain
	Metadata      *Value
	IgnoreGlobals *Value // SAM's; nil when absent
	Connectors    *Value // SAM's; nil when absent
}

// Output is an entry of the Outputs section.
type Output struct {
	Name        string
	Pos         Pos
	Description string
	Value       *Value
	Export      *Value // name of the export; nil when there is none
	Condition   string
}

// SAM is the transform that stack/sam implements.
const SAM = "AWS::Serverless-2016-10-31"

var sections = []string{"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions",
	"Transform", "Globals", "Resources", "Outputs", "Rules", "Hooks"}

var resourceKeys = []string{"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy",
	"Metadata", "Description", "CreationPolicy", "UpdatePolicy", "IgnoreGlobals", "Connectors"}

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

// Split makes a Template of a tree.
func Split(file string, root *Value) (*Template, error) {
	if root.Kind != Map {
		return nil, rejected(root.Pos, "a template is a map of sections, not a "+root.Kind.String())
	}
	s := &splitter{t: &Template{File: file, Metadata: root.Get("Metadata"), Globals: root.Get("Globals")}}
	for _, f := range root.Fields {
		s.section(f)
	}
	if len(s.t.Resources) == 0 && len(s.ps) == 0 {
		s.format(root.Pos, "", "At least one Resources member must be defined.")
	}
	s.limits(root)
	if err := s.ps.Err(); err != nil {
		return nil, err
	}
	return s.t, nil
}

type splitter struct {
	t  *Template
	ps Problems
}

func (s *splitter) format(p Pos, in, format string, args ...any) {
	s.ps = append(s.ps, Problem{Pos: p, Resource: in, Text: "Template format error: " + fmt.Sprintf(format, args...)})
}

func (s *splitter) refuse(p Pos, in, path, format string, args ...any) {
	s.ps = append(s.ps, Problem{Pos: p, Resource: in, Path: path, Unsupported: true,
		Text: "Rouse does not implement " + fmt.Sprintf(format, args...)})
}

func (s *splitter) limits(root *Value) {
	for _, l := range []struct {
		section string
		n, max  int
	}{{"Resources", len(s.t.Resources), ResourcesMax}, {"Parameters", len(s.t.Parameters), ParametersMax},
		{"Outputs", len(s.t.Outputs), OutputsMax}} {
		if l.n > l.max {
			s.format(root.KeyPos(l.section), l.section, "Number of %s, %d, is greater than maximum allowed, %d",
				strings.ToLower(l.section), l.n, l.max)
		}
	}
	if m := s.t.Mappings; m != nil && len(m.Fields) > MappingsMax {
		s.format(m.Pos, "Mappings", "Number of mappings, %d, is greater than maximum allowed, %d", len(m.Fields),
			MappingsMax)
	}
}

func (s *splitter) section(f Field) {
	v := f.Value
	switch f.Key {
	case "AWSTemplateFormatVersion":
		if t, _ := v.Scalar(); t != "2010-09-09" {
			s.format(v.Pos, "", "Template version %q is not supported; want 2010-09-09", t)
		}
		return
	case "Description":
		t, ok := v.IsString()
		if !ok && v.Kind != Null {
			s.format(v.Pos, "Description", "it must be a string")
		}
		if len(t) > DescribeMax {
			s.format(v.Pos, "Description", "it has %d bytes, at most %d are allowed", len(t), DescribeMax)
		}
		s.t.Description = t
		return
	case "Transform":
		s.transforms(v)
		return
	case "Rules", "Hooks":
		s.refuse(f.Pos, "", "", "the section %s of a template", f.Key)
		return
	case "Metadata", "Globals":
		if v.Kind != Map && v.Kind != Null {
			s.format(v.Pos, f.Key, "it must be a map")
		}
		return
	}
	if !slices.Contains(sections, f.Key) {
		s.format(f.Pos, "", "Invalid template property or properties [%s]%s", f.Key, Suggest(f.Key, sections))
		return
	}
	if v.Kind == Null {
		return
	}
	if v.Kind != Map {
		s.format(v.Pos, f.Key, "it must be a map, not a %s", v.Kind)
		return
	}
	if _, _, ok := v.Intrinsic(); ok {
		s.format(v.Pos, f.Key, "functions cannot stand for a whole section")
		return
	}
	switch f.Key {
	case "Mappings":
		s.mappings(v)
	case "Conditions":
		s.t.Conditions = v.Fields
	default:
		for _, e := range v.Fields {
			s.entry(f.Key, e)
		}
	}
}

func (s *splitter) entry(section string, e Field) {
	if !alphanumeric.MatchString(e.Key) {
		s.format(e.Pos, section, "%s name '%s' is non alphanumeric.", strings.TrimSuffix(section, "s"), e.Key)
		return
	}
	if e.Value.Kind != Map {
		s.format(e.Value.Pos, section, "%s must be a map, not a %s", e.Key, e.Value.Kind)
		return
	}
	switch section {
	case "Parameters":
		s.parameter(e)
	case "Resources":
		s.resource(e)
	case "Outputs":
		s.output(e)
	}
}

func (s *splitter) transforms(v *Value) {
	list := []*Value{v}
	if v.Kind == List {
		list = v.Items
	}
	for _, it := range list {
		name, ok := it.IsString()
		if n, is := it.Get("Name").IsString(); !ok && is {
			name = n
		}
		if name != SAM {
			s.refuse(it.Pos, "Transform", "", "the transform %q; it has %s, and AWS::Include within a section%s",
				name, SAM, Suggest(name, []string{SAM}))
			continue
		}
		s.t.Transforms = append(s.t.Transforms, name)
	}
}

func (s *splitter) mappings(v *Value) {
	for _, m := range v.Fields {
		if m.Value.Kind != Map {
			s.format(m.Value.Pos, "Mappings", "%s must be a map of maps", m.Key)
			continue
		}
		for _, k := range m.Value.Fields {
			if k.Value.Kind != Map {
				s.format(k.Value.Pos, "Mappings", "%s.%s must be a map of values", m.Key, k.Key)
			}
		}
	}
	s.t.Mappings = v
}

func (s *splitter) resource(e Field) {
	r := &Resource{ID: e.Key, Pos: e.Pos, Properties: Obj(e.Value.Pos)}
	r.Type, _ = e.Value.Get("Type").IsString()
	for _, f := range e.Value.Fields {
		s.resourceField(r, f)
	}
	if r.Type == "" {
		s.format(e.Pos, e.Key, "[/Resources/%s] Every Resources object must contain a Type member.", e.Key)
	}
	s.t.Resources = append(s.t.Resources, r)
}

func (s *splitter) resourceField(r *Resource, f Field) {
	text, isText := f.Value.IsString()
	switch f.Key {
	case "Type":
		r.Type, r.TypePos = text, f.Value.Pos
	case "Properties":
		switch f.Value.Kind {
		case Map:
			r.Properties = f.Value
		case Null:
		default:
			s.format(f.Value.Pos, r.ID, "Properties must be a map, not a %s", f.Value.Kind)
		}
	case "Condition":
		if !isText {
			s.format(f.Value.Pos, r.ID, "Condition must be the name of a condition")
		}
		r.Condition = text
	case "DependsOn":
		r.DependsPos = f.Value.Pos
		if isText {
			r.DependsOn = []string{text}
			return
		}
		for _, it := range f.Value.Items {
			id, ok := it.IsString()
			if !ok {
				s.format(it.Pos, r.ID, "DependsOn must be a string or a list of strings")
			}
			r.DependsOn = append(r.DependsOn, id)
		}
	case "DeletionPolicy":
		r.Deletion = s.policy(r.ID, f, "Delete", "Retain", "RetainExceptOnCreate")
	case "UpdateReplacePolicy":
		r.UpdateReplace = s.policy(r.ID, f, "Delete", "Retain")
	case "Metadata":
		r.Metadata = f.Value
	case "IgnoreGlobals":
		r.IgnoreGlobals = f.Value
	case "Connectors":
		r.Connectors = f.Value
	case "CreationPolicy", "UpdatePolicy":
		s.refuse(f.Pos, r.ID, "", "the attribute %s", f.Key)
	case "Description":
	default:
		if strings.HasPrefix(r.Type, "AWS::Serverless::") {
			s.t.Warnings = append(s.t.Warnings, Problem{Pos: f.Pos, Resource: r.ID,
				Text: fmt.Sprintf("there is no resource property '%s'; the SAM transform ignores it%s", f.Key,
					Suggest(f.Key, resourceKeys))})
			return
		}
		s.format(f.Pos, r.ID, "Invalid template resource property '%s'%s", f.Key, Suggest(f.Key, resourceKeys))
	}
}

func (s *splitter) policy(id string, f Field, allowed ...string) string {
	text, _ := f.Value.IsString()
	if text == "Snapshot" {
		s.refuse(f.Value.Pos, id, f.Key, "the value Snapshot")
	} else if !slices.Contains(allowed, text) {
		s.format(f.Value.Pos, id, "Unrecognized %s %s for resource %s; want one of %s%s", f.Key, text, id,
			strings.Join(allowed, ", "), Suggest(text, allowed))
	}
	return text
}

func (s *splitter) output(e Field) {
	o := Output{Name: e.Key, Pos: e.Pos}
	names := []string{"Description", "Value", "Export", "Condition"}
	for _, f := range e.Value.Fields {
		text, isText := f.Value.IsString()
		switch f.Key {
		case "Description":
			o.Description, _ = f.Value.Scalar()
		case "Value":
			o.Value = f.Value
		case "Export":
			if o.Export = f.Value.Get("Name"); o.Export == nil {
				s.format(f.Value.Pos, "Outputs", "%s: Export must have a Name", e.Key)
			}
		case "Condition":
			if !isText {
				s.format(f.Value.Pos, "Outputs", "%s: Condition must be the name of a condition", e.Key)
			}
			o.Condition = text
		default:
			s.format(f.Pos, "Outputs", "Invalid output property '%s' of %s%s", f.Key, e.Key, Suggest(f.Key, names))
		}
	}
	if o.Value == nil {
		s.format(e.Pos, "Outputs", "[/Outputs/%s] Every Outputs member must contain a Value object", e.Key)
	}
	s.t.Outputs = append(s.t.Outputs, o)
}

// Resource is the resource called id, nil when there is none.
func (t *Template) Resource(id string) *Resource {
	for _, r := range t.Resources {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// Tree is the template as one value: what GetTemplate shows of a processed template.
func (t *Template) Tree() *Value {
	none := Pos{}
	root := Obj(none, KV(none, "AWSTemplateFormatVersion", Str(none, "2010-09-09")))
	if t.Description != "" {
		root = root.With("Description", Str(none, t.Description))
	}
	root = root.With("Metadata", t.Metadata).With("Parameters", t.parameterTree()).With("Mappings", t.Mappings)
	if len(t.Conditions) > 0 {
		root = root.With("Conditions", Obj(none, t.Conditions...))
	}
	rs := Obj(none)
	for _, r := range t.Resources {
		rs = rs.With(r.ID, r.tree())
	}
	root = root.With("Resources", rs)
	if len(t.Outputs) == 0 {
		return root
	}
	os := Obj(none)
	for _, o := range t.Outputs {
		v := Obj(o.Pos, KV(o.Pos, "Value", o.Value))
		if o.Description != "" {
			v = v.With("Description", Str(o.Pos, o.Description))
		}
		if o.Export != nil {
			v = v.With("Export", Obj(o.Pos, KV(o.Pos, "Name", o.Export)))
		}
		if o.Condition != "" {
			v = v.With("Condition", Str(o.Pos, o.Condition))
		}
		os = os.With(o.Name, v)
	}
	return root.With("Outputs", os)
}

func (t *Template) parameterTree() *Value {
	if len(t.Parameters) == 0 {
		return nil
	}
	ps := Obj(Pos{})
	for _, p := range t.Parameters {
		ps = ps.With(p.Name, p.Tree)
	}
	return ps
}

func (r *Resource) tree() *Value {
	v := Obj(r.Pos, KV(r.TypePos, "Type", Str(r.TypePos, r.Type)))
	for _, a := range []struct{ key, text string }{{"Condition", r.Condition}, {"DeletionPolicy", r.Deletion},
		{"UpdateReplacePolicy", r.UpdateReplace}} {
		if a.text != "" {
			v = v.With(a.key, Str(r.Pos, a.text))
		}
	}
	if len(r.DependsOn) > 0 {
		v = v.With("DependsOn", Strs(r.DependsPos, r.DependsOn...))
	}
	if r.Metadata != nil {
		v = v.With("Metadata", r.Metadata)
	}
	if len(r.Properties.Fields) > 0 {
		v = v.With("Properties", r.Properties)
	}
	return v
}
