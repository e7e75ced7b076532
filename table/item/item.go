// Package item is the values of the database: what an attribute can hold, how big it is, how it is ordered, and how it
// is written down. It is pure: no store, no clock, no wire format.
//
// # Values
//
// A Value is one of DynamoDB's ten types, or absent (its zero). It is sixteen bytes, a pointer and a length, and is
// copied like a number. An Item maps names to values; the content of a map value is an Item too. Values and items are
// immutable once somebody else can see them: whoever wants a change makes a new Item around the old values, which are
// shared. So any number of goroutines may read them without a lock. The slices and maps given to a constructor belong
// to the value from then on.
//
// # Numbers
//
// A Number is exact: 38 significant digits, magnitudes from 1E-130 to 9.99…E+125, and zero. It has one form, in memory,
// on disk and in keys: the bytes in which DynamoDB itself orders numbers.
//
//	positive  exponent+192  digit+1  digit+1  …         in base 100, the exponent in 128…255
//	zero      128
//	negative  ^exponent     101-digit  …          102   the exponent in 0…127; no 102 after 20 digits
//
// Two forms compare as bytes as their numbers compare, equal numbers have equal forms, and the length of a form is the
// size that DynamoDB counts. Reading a number from the store is therefore taking a slice of it.
//
// # Three encodings
//
//	Append, Decode          an item as a value of the store: names sorted, short lengths folded into tags, a version in
//	                        front; SizeOf and DecodeSome read a part of it without the rest
//	AppendKey               a key value within a key of the store: ordered, ends itself, grows by an eighth
//	AppendKeyTail           a key value at the end of a key of the store: ordered, the bare bytes
//
// KeyHash places a partition key: its first eight bytes order items as DynamoDB's own Scan does.
//
// Equal keys have equal bytes, always. Equal items have equal bytes when their sets are in equal order, within one build of
// Rouse: another may deflate differently. What Decode returns shares the memory that it was given; whoever reads it keeps
// those bytes unchanged (what kv returns is the caller's).
//
// # What it leaves to others
//
// Nesting deeper than DepthMax and items larger than SizeMax are counted here and refused by table and table/expr,
// whose texts differ by operation. JSON is table/attr's; expressions are table/expr's.
package item

import "maps"

// Limits of DynamoDB. They are counted here (Item.Size, Item.Depth) and enforced by whoever accepts items.
const (
	SizeMax         = 400 << 10 // bytes of an item as Size counts them
	DepthMax        = 32        // levels of lists and maps in an item: a top-level scalar is at level 0
	PartitionKeyMax = 2048      // bytes of a partition key
	SortKeyMax      = 1024      // bytes of a sort key
)

// Item is an item, or the content of a map value. It is never changed once published.
type Item map[string]Value

// Clone returns a copy that shares the values. The copy of nil is an empty item.
func (it Item) Clone() Item {
	if it == nil {
		return Item{}
	}
	return maps.Clone(it)
}

// Equal reports whether two items have the same names with equal values.
func (it Item) Equal(o Item) bool {
	if len(it) != len(o) {
		return false
	}
	for name, v := range it {
		if w, ok := o[name]; !ok || !v.Equal(w) {
			return false
		}
	}
	return true
}

// Depth is the number of levels of lists and maps in the item: 0 when all attributes are scalars or sets.
func (it Item) Depth() int {
	d := 0
	for _, v := range it {
		d = max(d, v.Depth())
	}
	return d
}

// At finds the value at p. It answers false where the path leaves the item: a missing name, an index out of range, a
// step into a value of another type, the empty path.
func (it Item) At(p Path) (Value, bool) {
	if len(p) == 0 || p[0].IsIndex {
		return Value{}, false
	}
	v, ok := it[p[0].Name]
	for _, s := range p[1:] {
		if !ok {
			break
		}
		if s.IsIndex {
			list := v.List()
			if s.Index < 0 || s.Index >= len(list) {
				return Value{}, false
			}
			v = list[s.Index]
			continue
		}
		v, ok = v.Map()[s.Name]
	}
	return v, ok
}
