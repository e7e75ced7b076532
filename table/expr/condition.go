package expr

import (
	"bytes"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// Condition is a condition or a filter that is ready to be asked.
type Condition struct {
	scope
}

// Match reports whether the condition holds for it. A missing attribute, or one of another type than a comparison
// needs, makes the comparison false (and <> true); it is no error. It does not allocate, but a few bytes for the number
// that size() is, and for comparing large sets whose elements stand in different orders. The error is for what DynamoDB
// may refuse only on seeing an item; there is none today.
func (c *Condition) Match(it item.Item) (bool, error) {
	return c.holds(&c.cond, it), nil
}

// Paths are all document paths in the condition, in the order of the text.
func (c *Condition) Paths() []item.Path { return c.paths }

// Names are the top-level attributes that the condition looks at, each once.
func (c *Condition) Names() []string { return topNames(c.paths) }

// topNames are the first steps of paths, each once.
func topNames(paths []item.Path) []string {
	if len(paths) == 0 {
		return nil
	}
	names := make([]string, 0, len(paths))
	seen := make(map[string]struct{}, len(paths))
	for _, p := range paths {
		if _, ok := seen[p[0].Name]; !ok {
			seen[p[0].Name] = struct{}{}
			names = append(names, p[0].Name)
		}
	}
	return names
}

func (s *scope) holds(n *condNode, it item.Item) bool {
	switch n.kind {
	case condAnd:
		for i := range n.kids {
			if !s.holds(&n.kids[i], it) {
				return false
			}
		}
		return true
	case condOr:
		for i := range n.kids {
			if s.holds(&n.kids[i], it) {
				return true
			}
		}
		return false
	case condNot:
		return !s.holds(&n.kids[0], it)
	case condCompare:
		return compare(n.cmp, s.operandOf(&n.args[0], it), s.operandOf(&n.args[1], it))
	case condBetween:
		v := s.operandOf(&n.args[0], it)
		return compare(cmpGE, v, s.operandOf(&n.args[1], it)) && compare(cmpLE, v, s.operandOf(&n.args[2], it))
	case condIn:
		v := s.operandOf(&n.args[0], it)
		for i := range n.args[1:] {
			if compare(cmpEQ, v, s.operandOf(&n.args[i+1], it)) {
				return true
			}
		}
		return false
	}
	return s.test(&n.args[0], it)
}

// operandOf is the value of an operand of a condition; absent when the item does not have it.
func (s *scope) operandOf(o *operand, it item.Item) item.Value {
	switch o.kind {
	case operandPath:
		v, _ := it.At(s.paths[o.slot])
		return v
	case operandValue:
		return s.values[o.slot]
	}
	n, ok := sizeOf(s.operandOf(&o.args[0], it)) // size is the only function that is a value here
	if !ok {
		return item.Value{}
	}
	return item.NewNumber(item.Int(int64(n)))
}

// compare compares two values. An absent one equals nothing, not even another absent one.
func compare(c comparator, a, b item.Value) bool {
	switch c {
	case cmpEQ:
		return !a.IsAbsent() && a.Equal(b)
	case cmpNE:
		return a.IsAbsent() || !a.Equal(b)
	}
	order, ok := item.Compare(a, b)
	if !ok {
		return false
	}
	switch c {
	case cmpLT:
		return order < 0
	case cmpLE:
		return order <= 0
	case cmpGT:
		return order > 0
	}
	return order >= 0
}

// sizeOf is what size() says: the characters of a string (as Java counts them: two for those beyond 16 bits), the bytes
// of a binary, the elements of the others. Numbers, booleans and nulls have no size.
func sizeOf(v item.Value) (int, bool) {
	switch v.Type() {
	case item.TypeString:
		n := 0
		for _, r := range v.Str() {
			n++
			if r > 0xffff {
				n++
			}
		}
		return n, true
	case item.TypeAbsent, item.TypeNumber, item.TypeBool, item.TypeNull:
		return 0, false
	}
	return v.Len(), true
}

// test calls a function that is true or false.
func (s *scope) test(o *operand, it item.Item) bool {
	v := s.operandOf(&o.args[0], it)
	switch o.fn {
	case fnAttributeExists:
		return !v.IsAbsent()
	case fnAttributeNotExists:
		return v.IsAbsent()
	}
	w := s.operandOf(&o.args[1], it)
	switch o.fn {
	case fnAttributeType:
		return !v.IsAbsent() && v.Type().String() == w.Str()
	case fnBeginsWith:
		return beginsWith(v, w)
	}
	return contains(v, w)
}

func beginsWith(v, prefix item.Value) bool {
	switch {
	case v.Type() != prefix.Type():
		return false
	case v.Type() == item.TypeString:
		return strings.HasPrefix(v.Str(), prefix.Str())
	}
	return v.Type() == item.TypeBinary && bytes.HasPrefix(v.Bytes(), prefix.Bytes())
}

// contains looks for a part of a string or binary, or for an element of a set or list.
func contains(v, part item.Value) bool {
	switch t := v.Type(); t {
	case item.TypeString:
		return part.Type() == t && strings.Contains(v.Str(), part.Str())
	case item.TypeBinary:
		return part.Type() == t && bytes.Contains(v.Bytes(), part.Bytes())
	case item.TypeStringSet, item.TypeNumberSet, item.TypeBinarySet:
		return v.Has(part)
	case item.TypeList:
		for _, e := range v.List() {
			if e.Equal(part) {
				return true
			}
		}
	}
	return false
}
