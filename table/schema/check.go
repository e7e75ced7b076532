package schema

import (
	"errors"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// DynamoDB's texts about keys.
const (
	TextKeySchema = "The provided key element does not match the schema"
	textHashSize  = "Size of hashkey has exceeded the maximum size limit of2048 bytes" // as AWS writes it
	textRangeSize = "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
	textScalar    = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
)

// Part is one attribute of a key.
type Part struct {
	Name string
	Type item.Type
	Hash bool // else it is the sort key
}

// Parts are the attributes of the table's key.
func (s *Schema) Parts() []Part {
	return partsOf(s.Key, s.HashType, s.RangeType)
}

// Parts are the attributes of the index's key.
func (x *Secondary) Parts() []Part { return partsOf(x.Key, x.HashType, x.RangeType) }

func partsOf(k Key, hashType, rangeType item.Type) []Part {
	if k.Range == "" {
		return []Part{{k.Hash, hashType, true}}
	}
	return []Part{{k.Hash, hashType, true}, {k.Range, rangeType, false}}
}

// CheckKey checks a key as a request gives it: these attributes and no other.
func (s *Schema) CheckKey(key item.Item) error {
	n := 1
	if s.Key.Range != "" {
		n = 2
	}
	if len(key) != n {
		return invalid(TextKeySchema)
	}
	if err := CheckPart(key, s.Key.Hash, s.HashType, true); err != nil {
		return err
	}
	if n == 2 {
		return CheckPart(key, s.Key.Range, s.RangeType, false)
	}
	return nil
}

// CheckPart checks one attribute of a key that a request gives.
func CheckPart(key item.Item, name string, kind item.Type, hash bool) error {
	v := key[name]
	if v.Type() != kind {
		return invalid(TextKeySchema)
	}
	return CheckKeyValue(name, v, hash)
}

// CheckKeyValue checks the size of a key attribute, whose type is right.
func CheckKeyValue(name string, v item.Value, hash bool) error {
	if v.Type() == item.TypeNumber {
		return nil
	}
	switch n := v.Len(); {
	case n == 0:
		return errEmpty(name, v.Type())
	case hash && n > item.PartitionKeyMax:
		return invalidValue(textHashSize)
	case !hash && n > item.SortKeyMax:
		return invalidValue(textRangeSize)
	}
	return nil
}

// errEmptyKey is the cause of errEmpty.
var errEmptyKey = errors.New("empty key")

// IsEmptyKey reports whether err says that a key attribute is empty. It is the one refusal about keys that DynamoDB makes
// of a transaction as a whole.
func IsEmptyKey(err error) bool { return errors.Is(err, errEmptyKey) }

func errEmpty(name string, kind item.Type) error {
	return &rouse.Error{Kind: rouse.Invalid, Code: "ValidationException", Err: errEmptyKey, Message: "One or more parameter values are " +
		"not valid. The AttributeValue for a key attribute cannot contain an empty " + long(kind) + " value. Key: " + name}
}

// long is what texts call the types of keys that can be empty.
func long(t item.Type) string {
	if t == item.TypeBinary {
		return "binary"
	}
	return "string"
}

// CheckItem checks the keys of an item that is put: the table's and those of its indexes.
func (s *Schema) CheckItem(it item.Item) error {
	if err := checkOwn(it, s.Key.Hash, s.HashType, true); err != nil {
		return err
	}
	if s.Key.Range != "" {
		if err := checkOwn(it, s.Key.Range, s.RangeType, false); err != nil {
			return err
		}
	}
	for i := range s.Indexes {
		x := &s.Indexes[i]
		if err := x.checkEntry(it, x.Key.Hash, x.HashType, true); err != nil {
			return err
		}
		if x.Key.Range == "" {
			continue
		}
		if err := x.checkEntry(it, x.Key.Range, x.RangeType, false); err != nil {
			return err
		}
	}
	return nil
}

// checkOwn checks an attribute of the table's key within an item.
func checkOwn(it item.Item, name string, kind item.Type, hash bool) error {
	v, ok := it[name]
	if !ok {
		return invalidValue("Missing the key %s in the item", name)
	}
	if v.Type() != kind {
		return invalidValue("Type mismatch for key %s expected: %s actual: %s", name, kind, v.Type())
	}
	return CheckKeyValue(name, v, hash)
}

func (x *Secondary) errType(name string, want, got item.Type) error {
	return invalidValue("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, want, got, x.Name)
}

// checkEntry checks an attribute of the index's key within an item, if it is there.
func (x *Secondary) checkEntry(it item.Item, name string, kind item.Type, hash bool) error {
	v, ok := it[name]
	if !ok {
		return nil
	}
	if v.Type() != kind {
		return x.errType(name, kind, v.Type())
	}
	if kind == item.TypeNumber {
		return nil
	}
	if v.Len() == 0 {
		return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. "+
			"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", long(kind), x.Name, name)
	}
	return CheckKeyValue(name, v, hash)
}

// CheckTypes checks the types that an update gives to index keys, as far as they are known without the item.
func (s *Schema) CheckTypes(u *expr.Update) error {
	for i := range s.Indexes {
		x := &s.Indexes[i]
		for _, p := range x.Parts() {
			if t, ok := u.TypeOf(p.Name); ok && t != p.Type {
				return x.errType(p.Name, p.Type, t)
			}
		}
	}
	return nil
}

// CheckUpdated checks the index keys that an update of item old has changed to make it it: what an item has had since
// before there was the index does not stand in the way of other updates.
func (s *Schema) CheckUpdated(old, it item.Item) error {
	for i := range s.Indexes {
		x := &s.Indexes[i]
		for _, p := range x.Parts() {
			is := it[p.Name]
			if was, ok := old[p.Name]; is.IsAbsent() || ok && was.Equal(is) {
				continue
			}
			if is.Type() != p.Type {
				return invalid("The update expression attempted to update the secondary index key to unsupported type")
			}
			if err := x.checkEntry(it, p.Name, p.Type, p.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckPaths refuses paths that lead into key attributes.
func (s *Schema) CheckPaths(paths []item.Path) error {
	for _, p := range paths {
		if len(p) < 2 {
			continue
		}
		if name := p[0].Name; name == s.Key.Hash || name == s.Key.Range {
			return invalid(textScalar+"Key: %s", name)
		}
	}
	for _, p := range paths {
		if len(p) < 2 {
			continue
		}
		for i := range s.Indexes {
			if name := p[0].Name; name == s.Indexes[i].Key.Hash || name == s.Indexes[i].Key.Range {
				return invalid(textScalar+"IndexKey: %s", name)
			}
		}
	}
	return nil
}

// fits reports whether it has an entry in x: both attributes are there, of the right types and sizes.
func (x *Secondary) fits(it item.Item) bool {
	if x.checkEntry(it, x.Key.Hash, x.HashType, true) != nil {
		return false
	}
	if _, ok := it[x.Key.Hash]; !ok {
		return false
	}
	if x.Key.Range == "" {
		return true
	}
	_, ok := it[x.Key.Range]
	return ok && x.checkEntry(it, x.Key.Range, x.RangeType, false) == nil
}

// entry is what x keeps of an item.
func (x *Secondary) entry(it item.Item) item.Item {
	if x.Carries == nil {
		return it
	}
	e := make(item.Item, len(x.Carries))
	for name := range x.Carries {
		if v, ok := it[name]; ok {
			e[name] = v
		}
	}
	return e
}

// KeyOf are the key attributes of an item.
func (s *Schema) KeyOf(it item.Item) item.Item {
	key := item.Item{s.Key.Hash: it[s.Key.Hash]}
	if s.Key.Range != "" {
		key[s.Key.Range] = it[s.Key.Range]
	}
	return key
}
