package template

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is what names mean while values are evaluated: parameters, pseudo parameters, mappings, conditions and, by
// callback, resources and exports. Make one with NewScope. A Scope belongs to one goroutine.
type Scope struct {
	Account, Region, StackName, StackID string
	Notifications                       []string

	// Ref is the value of {"Ref": id} for a resource of the template that exists (its condition holds). It is asked
	// once per reference, which also makes it the place to record dependencies. nil: Unknown.
	Ref func(id string) *Value
	// Attr is the value of an attribute; false when the resource has none of that name. nil: Unknown.
	Attr func(id, attr string) (*Value, error)
	// Import is the value of another stack's export. nil: Unknown.
	Import func(name string) (string, error)

	t          *Template
	parameters map[string]*Value
	conditions map[string]bool
	deciding   map[string]bool
	resources  map[string]*Resource
	steps      int
	depth      int
	problems   Problems
	in         string // resource or section being evaluated
	path       []string
}

var pseudo = []string{"AWS::AccountId", "AWS::NotificationARNs", "AWS::NoValue", "AWS::Partition", "AWS::Region",
	"AWS::StackId", "AWS::StackName", "AWS::URLSuffix"}

// noValue is what {"Ref": "AWS::NoValue"} evaluates to; the entry that holds it vanishes.
var noValue = &Value{}

// unknown is the value that only a deployment will know.
func unknown(p Pos) *Value { return &Value{Kind: Unknown, Pos: p} }

// NewScope makes the scope of t with the values that Fill answered.
func NewScope(t *Template, parameters map[string]string) *Scope {
	s := &Scope{t: t, parameters: map[string]*Value{}, conditions: map[string]bool{}, deciding: map[string]bool{},
		resources: map[string]*Resource{}}
	for i := range t.Parameters {
		p := &t.Parameters[i]
		if v, ok := parameters[p.Name]; ok {
			s.parameters[p.Name] = p.Value(v)
		}
	}
	for _, r := range t.Resources {
		s.resources[r.ID] = r
	}
	return s
}

// Problems is what was wrong in all evaluations so far.
func (s *Scope) Problems() Problems { return s.problems }

// Eval evaluates v, which stands in the resource or section called in. Problems gather in the scope; the answer is nil
// where {"Ref": "AWS::NoValue"} stood.
func (s *Scope) Eval(in string, v *Value, path ...string) *Value {
	s.in, s.path, s.depth = in, append(s.path[:0], path...), 0
	if out := s.eval(v); out != noValue {
		return out
	}
	return nil
}

// Holds reports whether the named condition is true; "" always is. p is where it is named.
func (s *Scope) Holds(in, name string, p Pos) bool {
	if name == "" {
		return true
	}
	s.in, s.path = in, s.path[:0]
	return s.condition(name, p)
}

func (s *Scope) wrong(p Pos, format string, args ...any) *Value {
	if len(s.problems) < 2*problemsMax {
		s.problems = append(s.problems, Problem{Pos: p, Resource: s.in, Path: joinPath(s.path),
			Text: fmt.Sprintf(format, args...)})
	}
	return unknown(p)
}

func (s *Scope) unsupported(p Pos, format string, args ...any) *Value {
	s.problems = append(s.problems, Problem{Pos: p, Resource: s.in, Path: joinPath(s.path), Unsupported: true,
		Text: "Rouse does not implement " + fmt.Sprintf(format, args...)})
	return unknown(p)
}

func joinPath(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		if b.Len() > 0 && !strings.HasPrefix(p, "[") {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

func (s *Scope) eval(v *Value) *Value {
	s.steps++
	s.depth++
	defer func() { s.depth-- }()
	if s.steps > stepsMax || s.depth > 4*depthMax {
		if s.steps <= stepsMax+1 || s.depth > 4*depthMax {
			s.steps = stepsMax + 1
			return s.wrong(v.Pos, "evaluating the template takes more than %d steps", stepsMax)
		}
		return unknown(v.Pos)
	}
	switch v.Kind {
	case List:
		out := &Value{Kind: List, Pos: v.Pos, Items: make([]*Value, 0, len(v.Items))}
		for i, it := range v.Items {
			s.path = append(s.path, fmt.Sprintf("[%d]", i))
			if e := s.eval(it); e != noValue {
				out.Items = append(out.Items, e)
			}
			s.path = s.path[:len(s.path)-1]
		}
		return out
	case Map:
		if name, arg, ok := v.Intrinsic(); ok && name != "Condition" {
			return s.call(name, arg, v)
		}
		return s.evalMap(v)
	}
	return v
}

func (s *Scope) evalMap(v *Value) *Value {
	out := &Value{Kind: Map, Pos: v.Pos, Fields: make([]Field, 0, len(v.Fields))}
	for _, f := range v.Fields {
		if strings.HasPrefix(f.Key, "Fn::") && len(v.Fields) > 1 && f.Key != "Fn::Transform" {
			s.wrong(f.Pos, "%s must be the only key of its map", f.Key)
			continue
		}
		s.path = append(s.path, f.Key)
		if e := s.eval(f.Value); e != noValue {
			out.Fields = append(out.Fields, Field{Key: f.Key, Pos: f.Pos, Value: e})
		}
		s.path = s.path[:len(s.path)-1]
	}
	return out
}

// call evaluates a function.
func (s *Scope) call(name string, arg, at *Value) *Value {
	f := function(name)
	if f == nil {
		return s.wrong(at.Pos, "unknown function %s%s", name, Suggest(name, functionNames()))
	}
	out := f(s, arg, at)
	if out != noValue && out.Pos.Line == 0 && out.Kind != Unknown {
		c := *out
		c.Pos = at.Pos
		out = &c
	}
	return out
}

// condition decides a condition, once.
func (s *Scope) condition(name string, p Pos) bool {
	if b, ok := s.conditions[name]; ok {
		return b
	}
	if s.deciding[name] {
		s.wrong(p, "Circular dependencies for conditions: %s depends on itself", name)
		return false
	}
	i := slices.IndexFunc(s.t.Conditions, func(f Field) bool { return f.Key == name })
	if i < 0 {
		names := make([]string, len(s.t.Conditions))
		for i, f := range s.t.Conditions {
			names[i] = f.Key
		}
		s.wrong(p, "Template format error: Unresolved condition dependency %s%s", name, Suggest(name, names))
		s.conditions[name] = false
		return false
	}
	s.deciding[name] = true
	in, path := s.in, s.path
	s.in, s.path = "Conditions", []string{name}
	b := s.decide(s.t.Conditions[i].Value)
	s.in, s.path = in, path
	delete(s.deciding, name)
	s.conditions[name] = b
	return b
}

// decide evaluates a condition's function.
func (s *Scope) decide(v *Value) bool {
	s.steps++
	s.depth++
	defer func() { s.depth-- }()
	if s.steps > stepsMax || s.depth > 4*depthMax {
		s.wrong(v.Pos, "evaluating the conditions takes more than %d steps", stepsMax)
		return false
	}
	name, arg, ok := v.Intrinsic()
	if !ok {
		if b, is := v.Bool(); is && v.Kind != String {
			return b
		}
		s.wrong(v.Pos, "want a condition: Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition")
		return false
	}
	switch name {
	case "Condition":
		return s.condition(arg.Text, arg.Pos)
	case "Fn::Equals":
		if arg.Kind != List || len(arg.Items) != 2 {
			s.wrong(arg.Pos, "Fn::Equals wants a list of two values")
			return false
		}
		return equal(s.eval(arg.Items[0]), s.eval(arg.Items[1]))
	case "Fn::Not":
		if arg.Kind != List || len(arg.Items) != 1 {
			s.wrong(arg.Pos, "Fn::Not wants a list of one condition")
			return false
		}
		return !s.decide(arg.Items[0])
	case "Fn::And", "Fn::Or":
		return s.andOr(name, arg)
	}
	s.wrong(v.Pos, "%s is not a condition; want Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition", name)
	return false
}

func (s *Scope) andOr(name string, arg *Value) bool {
	if arg.Kind != List || len(arg.Items) < 2 || len(arg.Items) > 10 {
		s.wrong(arg.Pos, "%s wants a list of 2 to 10 conditions", name)
		return false
	}
	all, some := true, false
	for _, it := range arg.Items {
		b := s.decide(it)
		all, some = all && b, some || b
	}
	if name == "Fn::And" {
		return all
	}
	return some
}

// equal compares as Fn::Equals does: scalars by their text, lists and maps by their content.
func equal(a, b *Value) bool {
	at, aok := a.Scalar()
	bt, bok := b.Scalar()
	if aok || bok {
		return aok && bok && at == bt
	}
	return string(a.append(nil)) == string(b.append(nil))
}
