// Package attr is the JSON form of attribute values, {"S":"x"}, as DynamoDB's API and its stream events show it: strict
// and fast, straight between a request's bytes and item.Value, without a tree in between.
//
// # Two sorts of mistakes
//
// DynamoDB reads a request in two passes. What is no JSON, or of the wrong type, is a SerializationException, wherever
// in the request it stands. What is well formed and no attribute value ({}, {"N":"x"}, an empty set) is a
// ValidationException, which comes later: after other members have been found missing or too long. So the decoders
// answer the first sort at once and keep the second sort in Err, for whoever checks the request in the order in which
// AWS does. All texts are AWS's.
//
//	{"a":{"N":7}}        error: NUMBER_VALUE cannot be converted to String
//	{"a":{"N":"seven"}}  Err:   The parameter cannot be converted to a numeric value: seven
//
// # Memory
//
// A map of values is copied once, and all names and strings in it are parts of that copy; nothing keeps the request's
// body. Depth, numbers of elements and thereby memory are bounded whatever is sent.
//
// The types read and write themselves for package aws/wire, whose interfaces they satisfy without importing it. Their
// zero is a member that was not sent. All functions are pure and safe for concurrent use.
package attr

import (
	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/item"
)

// Limits of what is decoded.
const (
	// nestMax is how deep values are followed at all; those below item.DepthMax are refused in any case.
	nestMax = 256
	// elementsMax is how many list elements, map entries and set elements one map of values may hold. Each takes at least
	// a byte of an item's size, so no item has as many.
	elementsMax = item.SizeMax + 1
)

// Map is a map of attribute values as it was sent: an item, a key, the values of an expression.
type Map struct {
	Item    item.Item // nil: not sent. Whole only if Err is nil
	Err     error     // the first value that is none, Kind Invalid; nil: none
	ErrName string    // the name of the attribute that Err is about
	Len     int       // bytes of its JSON, which are never fewer than Item.Size
}

// Sent reports whether the member was there.
func (m Map) Sent() bool { return m.Item != nil }

// DecodeWire reads the map at the start of doc; aws/wire.Decoder says more.
func (m *Map) DecodeWire(doc []byte, inside bool) (int, error) {
	d := newDecoder(doc)
	if c := d.peek(); c != '{' {
		return 0, d.notMap(inside)
	}
	it := make(item.Item, 8)
	*m = Map{Item: it}
	err := d.members(func(name string) error {
		v, invalid, err := d.value(0, true)
		if err != nil {
			return err
		}
		if invalid != nil && m.Err == nil {
			m.Err, m.ErrName = invalid, name
		}
		it[name] = v
		return nil
	})
	m.Len = d.i
	return d.i, err
}

// Value is one attribute value as it was sent.
type Value struct {
	item.Value
	Err error // Kind Invalid: it is none
}

// Sent reports whether the member was there.
func (v Value) Sent() bool { return v.Err != nil || !v.IsAbsent() }

// DecodeWire reads the value at the start of doc; aws/wire.Decoder says more.
func (v *Value) DecodeWire(doc []byte, inside bool) (int, error) {
	d := newDecoder(doc)
	var err error
	v.Value, v.Err, err = d.value(0, inside)
	return d.i, err
}

// Item is an item in an answer; nil is left out.
type Item item.Item

// AppendWire appends the item as JSON.
func (it Item) AppendWire(dst []byte) []byte { return AppendItem(dst, item.Item(it)) }

// malformed is the error of JSON that cannot be read.
func malformed(text string) error {
	return (&rouse.Error{Kind: rouse.Invalid, Message: text}).WithCode("SerializationException")
}

// invalid is the error of a value that is none.
func invalid(text string) error {
	return (&rouse.Error{Kind: rouse.Invalid, Message: text}).WithCode("ValidationException")
}
