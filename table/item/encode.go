package item

import "unsafe"

// Append appends the storage encoding of it.
func Append(dst []byte, it Item) []byte { panic("item: Append") }

// Decode reads what Append wrote. The item shares the memory of b.
func Decode(b []byte) (Item, error) { panic("item: Decode") }

// DecodeSome reads only the named attributes of what Append wrote; those that are not there are left out. The item
// shares the memory of b.
func DecodeSome(b []byte, names ...string) (Item, error) { panic("item: DecodeSome") }

// SizeOf is the Item.Size of the item whose encoding is b; it reads a few bytes.
func SizeOf(b []byte) (int, error) { panic("item: SizeOf") }

// slice is a value of type S, N or B that shares the memory of b.
func slice(t Type, b []byte) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(b)), n: length(len(b)), t: t}
}
