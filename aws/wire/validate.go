package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rouse-dev/rouse"
)

// violationsMax is how many violated constraints one error lists, and valueShown how much of a value it repeats.
const (
	violationsMax = 10
	valueShown    = 1024
)

// validator collects violated constraints of an input, in the order of its members.
type validator struct {
	found []string
}

// validate checks v, a struct, against the constraints of its plan. The error is of Kind Invalid and carries code.
func validate(v reflect.Value, pl *plan, code string) error {
	if !pl.checked {
		return nil
	}
	c := validator{}
	c.object(v, pl, "")
	if len(c.found) == 0 {
		return nil
	}
	noun := "error"
	if len(c.found) > 1 {
		noun = "errors"
	}
	return rouse.Errorf(rouse.Invalid, "%d validation %s detected: %s", len(c.found), noun,
		strings.Join(c.found, "; ")).WithCode(code)
}

func (c *validator) violated(f *field, path, value, rule string) {
	if len(c.found) >= violationsMax {
		return
	}
	switch {
	case f.sensitive:
		value = "Value"
	default:
		value = "Value " + value
	}
	c.found = append(c.found, fmt.Sprintf("%s at '%s' failed to satisfy constraint: %s", value, path, rule))
}

func (c *validator) object(v reflect.Value, pl *plan, path string) {
	if !pl.checked {
		return
	}
	for _, f := range pl.fields {
		c.member(f.of(v), f, path+f.label)
	}
}

func (c *validator) member(v reflect.Value, f *field, path string) {
	s := f.shape
	if unset(v, s) {
		if f.required {
			c.violated(f, path, "null", "Member must not be null")
		}
		return
	}
	if s.ptr {
		v = v.Elem()
	}
	if f.rule != nil {
		c.rule(v, s, f, path, f.rule)
	}
	if f.each != nil {
		c.each(v, s, f, path)
	}
	if f.values != nil {
		c.values(v, s, f, path)
	}
	c.nested(v, s, path)
}

// nested looks into structs, and into lists and maps of them.
func (c *validator) nested(v reflect.Value, s *shape, path string) {
	if len(c.found) >= violationsMax || v.Kind() == reflect.Pointer && v.IsNil() {
		return
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.kind {
	case kindStruct:
		c.object(v, s.fields, path+".")
	case kindList:
		if nests(s.elem) {
			for i := range v.Len() {
				c.nested(v.Index(i), s.elem, path+"."+strconv.Itoa(i+1)+".member")
			}
		}
	case kindMap:
		if nests(s.elem) {
			for _, k := range sortedKeys(v) {
				c.nested(v.MapIndex(k), s.elem, path+"."+k.String()+".member")
			}
		}
	}
}

func nests(s *shape) bool {
	for s.elem != nil {
		s = s.elem
	}
	return s.kind == kindStruct && s.fields.checked
}

// each applies the rule of a list's items or a map's keys; as on AWS, one violation covers the whole and names all that
// is asked of an item.
func (c *validator) each(v reflect.Value, s *shape, f *field, path string) {
	probe := validator{}
	what := "Member must satisfy constraint: "
	if s.kind == kindMap {
		what = "Map keys must satisfy constraint: "
		for _, k := range sortedKeys(v) {
			probe.rule(k, &shape{kind: kindString, typ: k.Type()}, f, path, f.each)
		}
	} else {
		for i := range v.Len() {
			item := v.Index(i)
			if s.elem.ptr {
				if item.IsNil() {
					continue
				}
				item = item.Elem()
			}
			probe.rule(item, s.elem, f, path, f.each)
		}
	}
	if len(probe.found) > 0 {
		c.violated(f, path, show(v, s), what+f.each.text())
	}
}

// values applies the rule of a map's values.
func (c *validator) values(v reflect.Value, s *shape, f *field, path string) {
	probe := validator{}
	for _, k := range sortedKeys(v) {
		probe.rule(v.MapIndex(k), s.elem, f, path, f.values)
	}
	if len(probe.found) > 0 {
		c.violated(f, path, show(v, s), "Map value must satisfy constraint: "+f.values.text())
	}
}

// text is all that the rule asks for.
func (r *rule) text() string {
	var parts []string
	if r.hasMax {
		parts = append(parts, "Member must have length less than or equal to "+number(r.max))
	}
	if r.hasMin {
		parts = append(parts, "Member must have length greater than or equal to "+number(r.min))
	}
	if r.pattern != nil {
		parts = append(parts, "Member must satisfy regular expression pattern: "+r.patternText)
	}
	if r.enum != nil {
		parts = append(parts, "Member must satisfy enum value set: ["+strings.Join(r.enum, ", ")+"]")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (c *validator) rule(v reflect.Value, s *shape, f *field, path string, r *rule) {
	size, word, sized := sizeOf(v, s)
	if sized && r.hasMin && size < r.min {
		c.violated(f, path, show(v, s), "Member must have "+word+" greater than or equal to "+number(r.min))
	}
	if sized && r.hasMax && size > r.max {
		c.violated(f, path, show(v, s), "Member must have "+word+" less than or equal to "+number(r.max))
	}
	if s.kind != kindString {
		return
	}
	if r.pattern != nil && !r.pattern.MatchString(v.String()) {
		c.violated(f, path, show(v, s), "Member must satisfy regular expression pattern: "+r.patternText)
	}
	if r.enum != nil && !contains(r.enum, v.String()) {
		c.violated(f, path, show(v, s), "Member must satisfy enum value set: ["+strings.Join(r.enum, ", ")+"]")
	}
}

// sizeOf is what min and max measure of v: characters, bytes, items, or the value itself.
func sizeOf(v reflect.Value, s *shape) (size float64, word string, ok bool) {
	switch s.kind {
	case kindString:
		return float64(utf8.RuneCountInString(v.String())), "length", true
	case kindBlob, kindList, kindMap, kindRaw:
		return float64(v.Len()), "length", true
	case kindInt:
		return float64(v.Int()), "value", true
	case kindUint:
		return float64(v.Uint()), "value", true
	case kindFloat:
		return v.Float(), "value", true
	}
	return 0, "", false
}

// unset reports whether a member was not given. Only pointers can tell a given zero from none.
func unset(v reflect.Value, s *shape) bool {
	switch {
	case s.ptr, s.kind == kindList, s.kind == kindMap, s.kind == kindBlob, s.kind == kindRaw, s.kind == kindAny,
		s.kind == kindReader, s.kind == kindStream:
		return v.IsNil()
	case s.kind == kindStruct:
		return false
	case s.kind == kindSelf:
		return selfAbsent(v)
	}
	return v.IsZero()
}

// show writes v as AWS's texts do: 'x', '[a, b]', '900'.
func show(v reflect.Value, s *shape) string {
	var t string
	switch s.kind {
	case kindString:
		t = v.String()
	case kindList:
		var items []string
		for i := range min(v.Len(), violationsMax) {
			if item := reflect.Indirect(v.Index(i)); item.IsValid() && s.elem.kind <= kindFloat {
				items = append(items, fmt.Sprint(item.Interface()))
			} else {
				items = append(items, "…")
			}
		}
		t = "[" + strings.Join(items, ", ") + "]"
	case kindMap:
		if t = "{…}"; v.Len() == 0 {
			t = "{}"
		}
	case kindBlob, kindRaw:
		t = "java.nio.HeapByteBuffer[pos=0 lim=" + strconv.Itoa(v.Len()) + " cap=" + strconv.Itoa(v.Len()) + "]"
	default:
		t = fmt.Sprint(v.Interface())
	}
	if len(t) > valueShown {
		t = strings.ToValidUTF8(t[:valueShown], "") + "…"
	}
	return "'" + t + "'"
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
