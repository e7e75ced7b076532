// Package schema is what a table looks like, and what fits it.
//
// A Definition is what somebody asks for, a Description what there is, a Record how that is stored, a Change what shall
// become of it. A Schema is a Description made ready for calls about items: it checks their keys, places them and their
// index entries among the keys of the store, and knows when they expire.
//
//	Definition ──Check, NewRecord──▶ Record ──New──▶ Schema ──▶ CheckKey, CheckItem, ItemKey, EntryOf …
//	                                  ▲    │
//	                        Change ───┘    └──▶ Description, for people
//
// Everything that is refused is refused in DynamoDB's words, in the order in which DynamoDB looks; the texts come from
// botocore's models, from the tests of dynalite and moto that were run against AWS, and from people's error messages.
//
// An index has an entry of an item only if the item has both of its key attributes, of the right types and sizes: a
// sparse index. What is put, or written by an update, has to fit all indexes; what an item has had since before there was
// an index does not stand in the way of other updates, and simply has no entry.
//
// All of it is pure and safe for concurrent use, except that a Record is changed by its methods, within the transaction
// that stores it.
package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/rouse-dev/rouse/table/item"
)

// Schema is a Description made ready for calls about items. Immutable and safe for concurrent use.
type Schema struct {
	*Description
	HashType, RangeType item.Type
	ItemPrefix          []byte      // of the keys of the items
	Indexes             []Secondary // local ones first
}

// Secondary is an index of a Schema.
type Secondary struct {
	*Index
	Global              bool
	Prefix              []byte // of the keys of its entries
	HashType, RangeType item.Type
	Carries             map[string]bool // the attributes of an entry; nil: all
}

// Below a table's own prefix a byte says what follows.
const (
	kindItem  = 'i' // hash of the partition key, sort key → the item
	kindIndex = 'x' // number of the index, hash of its partition key, its sort key, tail → the projected item
	kindLog   = 's' // label of the stream: the name of a log
)

// New makes a Schema of a table whose keys begin with prefix.
func New(d *Description, prefix []byte) *Schema {
	s := &Schema{Description: d, HashType: d.TypeOf(d.Key.Hash), RangeType: d.TypeOf(d.Key.Range)}
	s.ItemPrefix = append(bytes.Clone(prefix), kindItem)
	for i := range d.LocalIndexes {
		s.Indexes = append(s.Indexes, newSecondary(d, prefix, &d.LocalIndexes[i], false))
	}
	for i := range d.GlobalIndexes {
		s.Indexes = append(s.Indexes, newSecondary(d, prefix, &d.GlobalIndexes[i], true))
	}
	return s
}

func newSecondary(d *Description, prefix []byte, x *Index, global bool) Secondary {
	n := Secondary{Index: x, Global: global, HashType: d.TypeOf(x.Key.Hash), RangeType: d.TypeOf(x.Key.Range)}
	n.Prefix = IndexPrefix(prefix, x.Number)
	if x.Projection.Kind != ProjectAll {
		n.Carries = map[string]bool{d.Key.Hash: true, x.Key.Hash: true}
		for _, name := range append([]string{d.Key.Range, x.Key.Range}, x.Projection.Attributes...) {
			if name != "" {
				n.Carries[name] = true
			}
		}
	}
	return n
}

// IndexPrefix is what the keys of an index's entries begin with.
func IndexPrefix(prefix []byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(bytes.Clone(prefix), kindIndex), number)
}

// Log is the name of a stream's log.
func Log(prefix []byte, label string) []byte {
	return append(append(bytes.Clone(prefix), kindLog), label...)
}

// HashSize is the size of item.KeyHash.
const HashSize = 32

// ItemKey is where the item with the key attributes of it stands; the caller has checked them.
func (s *Schema) ItemKey(it item.Item) []byte {
	h := item.KeyHash(it[s.Key.Hash])
	key := make([]byte, 0, len(s.ItemPrefix)+len(h)+48)
	key = append(append(key, s.ItemPrefix...), h[:]...)
	if s.Key.Range != "" {
		key = item.AppendKeyTail(key, it[s.Key.Range])
	}
	return key
}

// EntryKey is where the entry of it stands in index x; the caller has checked the attributes of both keys. The hash at
// its end tells items of one index key apart, and orders them as DynamoDB does: its first 8 bytes are those of the MD5
// over both parts of the table's key.
func (s *Schema) EntryKey(x *Secondary, it item.Item) []byte {
	h := item.KeyHash(it[x.Key.Hash])
	key := make([]byte, 0, len(x.Prefix)+2*HashSize+64)
	key = append(append(key, x.Prefix...), h[:]...)
	if x.Key.Range != "" {
		key = item.AppendKey(key, it[x.Key.Range])
	}
	h = item.KeyHash(it[s.Key.Hash])
	if s.Key.Range == "" {
		return append(key, h[:]...)
	}
	whole := item.AppendKeyTail(h[:], it[s.Key.Range])
	unique := sha256.Sum256(whole)
	whole = item.AppendKeyTail(item.AppendKeyTail(whole[:0], it[s.Key.Hash]), it[s.Key.Range])
	order := item.KeyHash(item.NewBinary(whole))
	return append(append(key, order[:8]...), unique[:HashSize-8]...)
}

// Entry is an item's entry in an index.
type Entry struct {
	Key  []byte
	Item item.Item // nil: it has none
}

// EntryOf is the entry of an item, which may be nil, in x.
func (s *Schema) EntryOf(x *Secondary, it item.Item) Entry {
	if it == nil || !x.fits(it) {
		return Entry{}
	}
	return Entry{s.EntryKey(x, it), x.entry(it)}
}

// Expiry is the second in which an item's time to live ends.
func (s *Schema) Expiry(it item.Item) (second int64, ok bool) {
	v := it[s.TTL.Attribute]
	if v.Type() != item.TypeNumber {
		return 0, false
	}
	return v.Number().Int64()
}
