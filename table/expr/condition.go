package expr

import (
	"bytes"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// Condition is a condition or a filter that is ready to be asked.
type Condition struct {
	scope
	operands int
}

func newCondition(s scope) *Condition { return &Condition{s, s.cond.operands()} }

// operands is how many operands there are below n, those of functions aside.
func (n *condNode) operands() int {
	count := len(n.args)
	for i := range n.kids {
		count += n.kids[i].operands()
	}
	return count
}

// Operands is about how many operands Match looks at, whatever the item: a measure of what it costs.
func (c *Condition) Operands() int { return c.operands }

// rememberMin is how many operands a condition has whose Match remembers what it compared.
const rememberMin = 16

// Match reports whether the condition holds for it. A missing attribute, or one of another type than a comparison
// needs, makes the comparison false (and <> true); it is no error. It does not allocate, but a few bytes for the number
// that size() is, and for comparing large sets whose elements stand in different orders: which a long condition does once
// for each two values, however often it names them. The error is for what DynamoDB may refuse only on seeing an item;
// there is none today.
func (c *Condition) Match(it item.Item) (bool, error) {
	m := match{scope: &c.scope, it: it, remember: c.operands >= rememberMin}
	return m.holds(&c.cond), nil
}

// match is one Match.
type match struct {
	*scope
	it       item.Item
	remember bool
	known    map[pair]bool // what lists, maps and sets were compared, and whether it was so; nil: none yet
}

// pair is two values that are compared.
type pair struct {
	part bool // whether a contains b; else whether they are equal
	a, b item.Identity
}

// equal is a.Equal(b).
func (m *match) equal(a, b item.Value) bool {
	if !m.remember || a.Type().IsKey() || a.Type() != b.Type() || a.Len() != b.Len() {
		return a.Equal(b)
	}
	return m.recall(pair{false, a.Identity(), b.Identity()}, func() bool { return a.Equal(b) })
}

// contains is whether part is in v.
func (m *match) contains(v, part item.Value) bool {
	if !m.remember || v.Type() != item.TypeList {
		return contains(v, part)
	}
	return m.recall(pair{true, v.Identity(), part.Identity()}, func() bool { return contains(v, part) })
}

func (m *match) recall(p pair, find func() bool) bool {
	is, ok := m.known[p]
	if !ok {
		if m.known == nil {
			m.known = map[pair]bool{}
		}
		is = find()
		m.known[p] = is
	}
	return is
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

func (m *match) holds(n *condNode) bool {
	switch n.kind {
	case condAnd:
		for i := range n.kids {
			if !m.holds(&n.kids[i]) {
				return false
			}
		}
		return true
	case condOr:
		for i := range n.kids {
			if m.holds(&n.kids[i]) {
				return true
			}
		}
		return false
	case condNot:
		return !m.holds(&n.kids[0])
	case condCompare:
		return m.compare(n.cmp, m.operandOf(&n.args[0]), m.operandOf(&n.args[1]))
	case condBetween:
		v := m.operandOf(&n.args[0])
		return compare(cmpGE, v, m.operandOf(&n.args[1])) && compare(cmpLE, v, m.operandOf(&n.args[2]))
	case condIn:
		v := m.operandOf(&n.args[0])
		for i := range n.args[1:] {
			if m.compare(cmpEQ, v, m.operandOf(&n.args[i+1])) {
				return true
			}
		}
		return false
	}
	return m.test(&n.args[0])
}

// operandOf is the value of an operand of a condition; absent when the item does not have it.
func (m *match) operandOf(o *operand) item.Value {
	switch o.kind {
	case operandPath:
		v, _ := m.it.At(m.paths[o.slot])
		return v
	case operandValue:
		return m.values[o.slot]
	}
	n, ok := sizeOf(m.operandOf(&o.args[0])) // size is the only function that is a value here
	if !ok {
		return item.Value{}
	}
	return item.NewNumber(item.Int(int64(n)))
}

// compare compares two values as compare does.
func (m *match) compare(c comparator, a, b item.Value) bool {
	switch c {
	case cmpEQ:
		return !a.IsAbsent() && m.equal(a, b)
	case cmpNE:
		return a.IsAbsent() || !m.equal(a, b)
	}
	return compare(c, a, b)
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
func (m *match) test(o *operand) bool {
	v := m.operandOf(&o.args[0])
	switch o.fn {
	case fnAttributeExists:
		return !v.IsAbsent()
	case fnAttributeNotExists:
		return v.IsAbsent()
	}
	w := m.operandOf(&o.args[1])
	switch o.fn {
	case fnAttributeType:
		return !v.IsAbsent() && v.Type().String() == w.Str()
	case fnBeginsWith:
		return beginsWith(v, w)
	}
	return m.contains(v, w)
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
