package item

import (
	"math"
	"unsafe"
)

// Type is the type of a Value.
type Type uint8

// The types. A stored attribute is never absent.
const (
	TypeAbsent Type = iota
	TypeNull
	TypeBool
	TypeString
	TypeNumber
	TypeBinary
	TypeList
	TypeMap
	TypeStringSet
	TypeNumberSet
	TypeBinarySet
	typeEnd
)

var typeNames = [...]string{"", "NULL", "BOOL", "S", "N", "B", "L", "M", "SS", "NS", "BS"}

// String is DynamoDB's name of the type: "NULL" "BOOL" "S" "N" "B" "L" "M" "SS" "NS" "BS"; "" when absent.
func (t Type) String() string {
	if t < typeEnd {
		return typeNames[t]
	}
	return ""
}

// ParseType is the type with DynamoDB's name.
func ParseType(name string) (Type, bool) {
	for t := TypeNull; t < typeEnd; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return TypeAbsent, false
}

// IsSet reports whether t is a set of strings, numbers or binaries.
func (t Type) IsSet() bool { return t >= TypeStringSet && t < typeEnd }

// IsKey reports whether t can be a key: S, N or B.
func (t Type) IsKey() bool { return t == TypeString || t == TypeNumber || t == TypeBinary }

// Elem is the type of the elements of a set; absent for other types.
func (t Type) Elem() Type {
	switch t {
	case TypeStringSet:
		return TypeString
	case TypeNumberSet:
		return TypeNumber
	case TypeBinarySet:
		return TypeBinary
	}
	return TypeAbsent
}

// Value is one attribute value. It is immutable, sixteen bytes, and safe for concurrent use. The zero Value is absent.
// The accessors answer the zero of their result when the value is of another type. Values are compared by Equal; == does
// not compile.
type Value struct {
	_ [0]func()
	// p points at the bytes of S, N (its form) and B, at the first element of a list or set, at the Item of a map.
	p unsafe.Pointer
	n uint32 // length of what p points at; 1 for true
	t Type
}

// NewNull is the null.
func NewNull() Value { return Value{t: TypeNull} }

// NewBool is a boolean.
func NewBool(b bool) Value {
	v := Value{t: TypeBool}
	if b {
		v.n = 1
	}
	return v
}

// NewString is a string, which may be empty.
func NewString(s string) Value {
	return Value{p: unsafe.Pointer(unsafe.StringData(s)), n: length(len(s)), t: TypeString}
}

// NewBinary is a binary, which may be empty. b is not to be changed afterwards.
func NewBinary(b []byte) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(b)), n: length(len(b)), t: TypeBinary}
}

// NewNumber is a number.
func NewNumber(n Number) Value {
	form := n.bytes()
	return Value{p: unsafe.Pointer(unsafe.StringData(form)), n: uint32(len(form)), t: TypeNumber}
}

// NewList is a list, which may be empty. elems is not to be changed afterwards.
func NewList(elems []Value) Value { return many(TypeList, elems) }

// NewMap is a map, which may be empty. m is not to be changed afterwards.
func NewMap(m Item) Value { return Value{p: unsafe.Pointer(&m), n: length(len(m)), t: TypeMap} }

// many is a list or a set.
func many(t Type, elems []Value) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(elems)), n: length(len(elems)), t: t}
}

// length asserts that a value is shorter than 4 GiB: every door bounds its requests far below.
func length(n int) uint32 {
	if uint64(n) > math.MaxUint32 {
		panic("item: a value of 4 GiB; doors must bound requests")
	}
	return uint32(n)
}

// Type is the type of the value.
func (v Value) Type() Type { return v.t }

// IsAbsent reports whether there is no value.
func (v Value) IsAbsent() bool { return v.t == TypeAbsent }

// Bool is the content of a boolean.
func (v Value) Bool() bool { return v.t == TypeBool && v.n == 1 }

// Str is the content of a string.
func (v Value) Str() string {
	if v.t != TypeString {
		return ""
	}
	return v.raw()
}

// Bytes is the content of a binary. It is not to be changed.
func (v Value) Bytes() []byte {
	if v.t != TypeBinary {
		return nil
	}
	return unsafe.Slice((*byte)(v.p), v.n)
}

// Number is the content of a number.
func (v Value) Number() Number {
	if v.t != TypeNumber {
		return Number{}
	}
	form := v.raw()
	if form == zeroForm {
		return Number{}
	}
	return Number{form}
}

// List is the content of a list. It is not to be changed.
func (v Value) List() []Value {
	if v.t != TypeList {
		return nil
	}
	return v.elems()
}

// Map is the content of a map. It is not to be changed.
func (v Value) Map() Item {
	if v.t != TypeMap {
		return nil
	}
	return *(*Item)(v.p)
}

// Elems are the elements of a set, in the order in which it was made. They are not to be changed.
func (v Value) Elems() []Value {
	if !v.t.IsSet() {
		return nil
	}
	return v.elems()
}

// Len is the number of elements of a list, map or set, and the number of bytes of a string or binary.
func (v Value) Len() int {
	switch v.t {
	case TypeString, TypeBinary, TypeList, TypeMap, TypeStringSet, TypeNumberSet, TypeBinarySet:
		return int(v.n)
	}
	return 0
}

// raw are the bytes of S, N (its form) and B.
func (v Value) raw() string { return unsafe.String((*byte)(v.p), v.n) }

// elems are the elements of a list or set.
func (v Value) elems() []Value { return unsafe.Slice((*Value)(v.p), v.n) }

// Depth is the number of levels of lists and maps in the value: 0 for a scalar or a set, 1 for a list of scalars.
func (v Value) Depth() int {
	d := 0
	switch v.t {
	case TypeList:
		for _, e := range v.elems() {
			d = max(d, e.Depth())
		}
	case TypeMap:
		d = v.Map().Depth()
	default:
		return 0
	}
	return d + 1
}

// Identity tells values apart that are not the same memory. It is comparable, as a Value is not; equal values may have
// different ones.
type Identity struct {
	p unsafe.Pointer
	n uint32
	t Type
}

// Identity is where the value is.
func (v Value) Identity() Identity { return Identity{v.p, v.n, v.t} }

// Equal reports whether two values are of the same type and equal: numbers by value, sets without order.
func (v Value) Equal(o Value) bool {
	if v.t != o.t || v.n != o.n {
		return false
	}
	switch v.t {
	case TypeString, TypeNumber, TypeBinary:
		return v.raw() == o.raw()
	case TypeList:
		w := o.elems()
		for i, e := range v.elems() {
			if !e.Equal(w[i]) {
				return false
			}
		}
	case TypeMap:
		return v.Map().Equal(o.Map())
	case TypeStringSet, TypeNumberSet, TypeBinarySet:
		return sameSet(v, o)
	}
	return true
}

// Compare orders two values of the same type S (by UTF-8 bytes), N (by value) or B (by bytes): negative when a comes
// first, zero when they are equal. For other values ok is false: they have no order.
func Compare(a, b Value) (order int, ok bool) {
	if a.t != b.t || !a.t.IsKey() {
		return 0, false
	}
	x, y := a.raw(), b.raw()
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, true
}
