package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Parameter is an entry of the Parameters section.
type Parameter struct {
	Name        string
	Pos         Pos
	Type        string
	Default     *string
	Description string
	NoEcho      bool
	Allowed     []string
	Pattern     *regexp.Regexp
	MinLength   *float64
	MaxLength   *float64
	MinValue    *float64
	MaxValue    *float64
	Constraint  string // ConstraintDescription
	Tree        *Value
}

var parameterKeys = []string{"Type", "Default", "Description", "NoEcho", "AllowedValues", "AllowedPattern", "MinLength",
	"MaxLength", "MinValue", "MaxValue", "ConstraintDescription"}

var parameterTypes = []string{"String", "Number", "List<Number>", "List<String>", "CommaDelimitedList"}

func (s *splitter) parameter(e Field) {
	p := Parameter{Name: e.Key, Pos: e.Pos, Tree: e.Value}
	for _, f := range e.Value.Fields {
		s.parameterField(&p, f)
	}
	switch {
	case strings.HasPrefix(p.Type, "AWS::SSM::"):
		s.refuse(e.Value.KeyPos("Type"), "Parameters", p.Name, "parameters of the type %s; give the value itself",
			p.Type)
	case strings.HasPrefix(p.Type, "AWS::"), strings.HasPrefix(p.Type, "List<AWS::"):
		s.refuse(e.Value.KeyPos("Type"), "Parameters", p.Name, "parameters of the type %s; use String", p.Type)
	case p.Type == "":
		s.format(e.Pos, "Parameters", "Every Parameters object must contain a Type member: %s has none", p.Name)
	case !slices.Contains(parameterTypes, p.Type):
		s.format(e.Value.KeyPos("Type"), "Parameters", "Unrecognized parameter type: %s%s", p.Type,
			Suggest(p.Type, parameterTypes))
	case p.Default != nil:
		if err := p.Check(*p.Default); err != nil {
			s.format(e.Value.KeyPos("Default"), "Parameters", "%s", err)
		}
	}
	s.t.Parameters = append(s.t.Parameters, p)
}

func (s *splitter) parameterField(p *Parameter, f Field) {
	text, scalar := f.Value.Scalar()
	if !scalar && f.Key != "AllowedValues" && !(f.Key == "Default" && f.Value.Kind == List) {
		s.format(f.Value.Pos, "Parameters", "%s: %s must be a string", p.Name, f.Key)
		return
	}
	switch f.Key {
	case "Type":
		p.Type = text
	case "Default":
		if f.Value.Kind == List {
			text = strings.Join(scalars(f.Value), ",")
		}
		p.Default = &text
	case "Description":
		p.Description = text
	case "NoEcho":
		p.NoEcho, _ = f.Value.Bool()
	case "AllowedValues":
		if f.Value.Kind != List {
			s.format(f.Value.Pos, "Parameters", "%s: AllowedValues must be a list", p.Name)
		}
		p.Allowed = scalars(f.Value)
	case "AllowedPattern":
		re, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			// Java's regular expressions have look-around and back references, Go's do not.
			s.refuse(f.Value.Pos, "Parameters", p.Name, "the AllowedPattern %q: %v", text, err)
		}
		p.Pattern = re
	case "MinLength", "MaxLength", "MinValue", "MaxValue":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			s.format(f.Value.Pos, "Parameters", "%s: %s must be a number, not %q", p.Name, f.Key, text)
			return
		}
		*map[string]**float64{"MinLength": &p.MinLength, "MaxLength": &p.MaxLength, "MinValue": &p.MinValue,
			"MaxValue": &p.MaxValue}[f.Key] = &n
	case "ConstraintDescription":
		p.Constraint = text
	default:
		s.format(f.Pos, "Parameters", "Invalid template parameter property '%s' of %s%s", f.Key, p.Name,
			Suggest(f.Key, parameterKeys))
	}
}

func scalars(v *Value) []string {
	var out []string
	for _, it := range v.Items {
		if t, ok := it.Scalar(); ok {
			out = append(out, t)
		}
	}
	return out
}

// Check says whether value is one that p allows. Errors carry CloudFormation's text and never the value of a parameter.
func (p *Parameter) Check(value string) error {
	wrong := func(format string, args ...any) error {
		what := fmt.Sprintf(format, args...)
		if p.Constraint != "" {
			what += ": " + p.Constraint
		}
		return rouse.Errorf(rouse.Invalid, "Parameter '%s' %s", p.Name, what).WithCode("ValidationError")
	}
	if len(value) > ParameterMax {
		return wrong("must have at most %d bytes", ParameterMax)
	}
	items := []string{value}
	list := p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")
	if list {
		items = splitComma(value)
	}
	for _, it := range items {
		if len(p.Allowed) > 0 && !slices.Contains(p.Allowed, it) {
			return wrong("must be one of AllowedValues")
		}
		if p.Type == "Number" || p.Type == "List<Number>" {
			n, err := strconv.ParseFloat(it, 64)
			if err != nil {
				return wrong("must be a number")
			}
			if p.MinValue != nil && n < *p.MinValue {
				return wrong("must be a number not less than %v", *p.MinValue)
			}
			if p.MaxValue != nil && n > *p.MaxValue {
				return wrong("must be a number not greater than %v", *p.MaxValue)
			}
		}
	}
	if list {
		return nil
	}
	switch n := float64(len(value)); {
	case p.MinLength != nil && n < *p.MinLength:
		return wrong("must contain at least %v characters", *p.MinLength)
	case p.MaxLength != nil && n > *p.MaxLength:
		return wrong("must contain at most %v characters", *p.MaxLength)
	case p.Pattern != nil && !p.Pattern.MatchString(value):
		return wrong("must match pattern %s", strings.TrimSuffix(strings.TrimPrefix(p.Pattern.String(), "^(?:"), ")$"))
	}
	return nil
}

// Value is value as Ref of p evaluates to it: a list for the list types.
func (p *Parameter) Value(value string) *Value {
	switch {
	case p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<"):
		return Strs(p.Pos, splitComma(value)...)
	default:
		return Str(p.Pos, value)
	}
}

func splitComma(value string) []string {
	if value == "" {
		return nil
	}
	items := strings.Split(value, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// Fill gives every parameter its value: the given one, else the default. It answers with all that is wrong: a value
// that is not allowed, one that is missing, one that the template does not declare.
func (t *Template) Fill(given map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(t.Parameters))
	var missing, names []string
	for i := range t.Parameters {
		p := &t.Parameters[i]
		names = append(names, p.Name)
		value, ok := given[p.Name]
		if !ok {
			if p.Default == nil {
				missing = append(missing, p.Name)
				continue
			}
			value = *p.Default
		} else if err := p.Check(value); err != nil {
			return nil, err
		}
		out[p.Name] = value
	}
	if len(missing) > 0 {
		return nil, rouse.Errorf(rouse.Invalid, "Parameters: [%s] must have values",
			strings.Join(missing, ", ")).WithCode("ValidationError")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			return nil, rouse.Errorf(rouse.Invalid, "Parameters: [%s] do not exist in the template%s", name,
				Suggest(name, names)).WithCode("ValidationError")
		}
	}
	return out, nil
}
