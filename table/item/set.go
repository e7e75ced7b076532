package item

import (
	"encoding/base64"
	"strings"

	"github.com/rouse-dev/rouse"
)

// The texts with which DynamoDB refuses a set. Its own spacing.
const (
	textEmptySS = "One or more parameter values were invalid: An string set  may not be empty"
	textEmptyNS = "One or more parameter values were invalid: An number set  may not be empty"
	textEmptyBS = "One or more parameter values were invalid: Binary sets should not be empty"
	textTwiceNS = "Input collection contains duplicates"
)

// linearMax is the size up to which a set is searched element by element.
const linearMax = 8

// NewSet is a set of type t of the given elements, which are all of type t.Elem(). It refuses an empty set and
// duplicates with DynamoDB's texts; the texts are whole, some operations prefix them. elems is not to be changed
// afterwards. Elements of another type are a mistake of the program and panic.
func NewSet(t Type, elems []Value) (Value, error) {
	if !t.IsSet() {
		panic("item: NewSet of type " + t.String())
	}
	if len(elems) == 0 {
		switch t {
		case TypeStringSet:
			return Value{}, invalid(textEmptySS)
		case TypeNumberSet:
			return Value{}, invalid(textEmptyNS)
		}
		return Value{}, invalid(textEmptyBS)
	}
	for _, e := range elems {
		if e.t != t.Elem() {
			panic("item: " + e.t.String() + " in a set of type " + t.String())
		}
	}
	if repeats(elems) {
		return Value{}, duplicates(t, elems)
	}
	return many(t, elems), nil
}

// duplicates composes DynamoDB's text, which shows all elements: strings as they are, binaries in base 64.
func duplicates(t Type, elems []Value) error {
	if t == TypeNumberSet {
		return invalid(textTwiceNS)
	}
	var b strings.Builder
	b.WriteString("One or more parameter values were invalid: Input collection [")
	for i, e := range elems {
		if i > 0 {
			b.WriteString(", ")
		}
		if t == TypeBinarySet {
			b.WriteString(base64.StdEncoding.EncodeToString(e.Bytes()))
		} else {
			b.WriteString(e.Str())
		}
	}
	b.WriteByte(']')
	if t == TypeBinarySet {
		b.WriteString("of type BS")
	}
	b.WriteString(" contains duplicates.")
	return invalid(b.String())
}

// invalid is a refusal with DynamoDB's text.
func invalid(text string) error {
	return (&rouse.Error{Kind: rouse.Invalid, Message: text}).WithCode("ValidationException")
}

// repeats reports whether an element stands twice.
func repeats(elems []Value) bool {
	if len(elems) <= linearMax {
		for i, e := range elems {
			if has(elems[:i], e) {
				return true
			}
		}
		return false
	}
	return len(index(elems)) < len(elems)
}

// has looks for e among elems, all of its type.
func has(elems []Value, e Value) bool {
	for _, x := range elems {
		if x.n == e.n && x.raw() == e.raw() {
			return true
		}
	}
	return false
}

// index holds the raw bytes of elements.
func index(elems []Value) map[string]struct{} {
	m := make(map[string]struct{}, len(elems))
	for _, e := range elems {
		m[e.raw()] = struct{}{}
	}
	return m
}

// searcher answers whether an element of the set's type is in the set, in constant time for large sets.
func searcher(set Value) func(Value) bool {
	elems := set.elems()
	if len(elems) <= linearMax {
		return func(e Value) bool { return has(elems, e) }
	}
	m := index(elems)
	return func(e Value) bool { _, ok := m[e.raw()]; return ok }
}

// sameSet compares two sets of one type and length.
func sameSet(a, b Value) bool {
	x, y := a.elems(), b.elems()
	i := 0
	for i < len(x) && x[i].raw() == y[i].raw() {
		i++
	}
	if i == len(x) {
		return true // in the same order, as a set that was read and written back is
	}
	in := searcher(many(b.t, y[i:]))
	for _, e := range x[i:] {
		if !in(e) {
			return false
		}
	}
	return true
}

// Has reports whether e is an element of the set v.
func (v Value) Has(e Value) bool {
	return v.t.IsSet() && e.t == v.t.Elem() && has(v.elems(), e)
}

// Union is the set of all elements of two sets of one type: a's in their order, then those that only b has. Sets of
// different types panic.
func Union(a, b Value) Value {
	mustBeSets(a, b)
	in := searcher(a)
	all := a.elems()
	all = all[:len(all):len(all)] // the first new element moves to an array of its own
	for _, e := range b.elems() {
		if !in(e) {
			all = append(all, e)
		}
	}
	return many(a.t, all)
}

// Less takes the elements of a set out of others. Not safe for concurrent use.
type Less struct {
	set Value
	in  func(Value) bool // nil: not made yet
}

// NewLess takes out the elements of set.
func NewLess(set Value) *Less { return &Less{set: set} }

// From is the set of the elements of a that the other does not have. It is absent when none is left: there is no empty set.
// Sets of different types panic.
func (l *Less) From(a Value) Value {
	mustBeSets(a, l.set)
	if l.in == nil {
		l.in = searcher(l.set)
	}
	in := l.in
	var rest []Value
	for _, e := range a.elems() {
		if !in(e) {
			rest = append(rest, e)
		}
	}
	switch len(rest) {
	case 0:
		return Value{}
	case len(a.elems()):
		return a
	}
	return many(a.t, rest)
}

func mustBeSets(a, b Value) {
	if !a.t.IsSet() || a.t != b.t {
		panic("item: sets of types " + a.t.String() + " and " + b.t.String())
	}
}
