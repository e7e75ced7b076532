package item

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/kv"
)

// The storage encoding.
//
//	item      version  size  body        version 1; size is Item.Size
//	          version  size  length deflate(body)  version 2; length is the body's
//	body      count { length name value }  names in ascending order
//	value     tag …
//
// Sizes, counts and lengths are uvarints (encoding/binary). The tags:
//
//	00 null   01 false  02 true
//	03 S      04 B                 length bytes
//	05 L                           count { value }
//	06 M                           body
//	07 SS     08 NS     09 BS      count, a nibble of length for each element, { bytes }
//	10+n      N                    n = 1…21 bytes of form
//	28+n      L                    n = 0…7 values
//	30+n      M                    n = 0…7 names and values
//	40+n      B                    n = 0…63 bytes
//	80+n      S                    n = 0…127 bytes
//
// The nibbles of a set stand before its elements, the first in the upper half of a byte. 15 says that the element begins
// with a uvarint of its length less 15.
//
// An item of 400 KB by DynamoDB's count fits into a value of the store plainly unless it has tens of thousands of names
// of a few letters, which the count does not charge for; that repetition is what deflate removes. Sets need no such
// help, because random binaries of two or three bytes would not shrink: their nibbles cost at most a sixth.
const (
	versionPlain    = 1
	versionDeflated = 2

	tagNull      = 0x00
	tagFalse     = 0x01
	tagTrue      = 0x02
	tagS         = 0x03
	tagB         = 0x04
	tagL         = 0x05
	tagM         = 0x06
	tagSS        = 0x07
	tagNS        = 0x08
	tagBS        = 0x09
	tagNumber    = 0x10
	tagShortL    = 0x28
	tagShortM    = 0x30
	tagShortB    = 0x40
	tagShortS    = 0x80
	shortListMax = 7
	shortMapMax  = 7
	shortBMax    = 63
	shortSMax    = 127
	nibbleMax    = 15

	// encodedMax is where deflating begins: room is left for what the engine puts beside an item.
	encodedMax = kv.ValueMax - 1<<10
)

// Append appends the storage encoding of it. An item within SizeMax fits into a value of the store with 1 KiB to spare.
// The encoding is not meant to be compared: two versions of Rouse may deflate differently.
func Append(dst []byte, it Item) []byte {
	start, size := len(dst), it.Size()
	dst = slices.Grow(dst, size+size/16+3*len(it)+8)
	dst = binary.AppendUvarint(append(dst, versionPlain), uint64(size))
	head := len(dst)
	dst = appendBody(dst, it)
	if len(dst)-start <= encodedMax {
		return dst
	}
	body := bytes.Clone(dst[head:])
	dst[start] = versionDeflated
	out := bytes.NewBuffer(binary.AppendUvarint(dst[:head], uint64(len(body))))
	w, err := flate.NewWriter(out, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("item: deflate into memory: " + err.Error())
	}
	return out.Bytes()
}

// attribute is a name and its value, to be sorted.
type attribute struct {
	name  string
	value Value
}

// appendBody appends the number of attributes and the attributes.
func appendBody(dst []byte, it Item) []byte {
	return appendAttributes(binary.AppendUvarint(dst, uint64(len(it))), it)
}

// appendAttributes appends the attributes in the order of their names.
func appendAttributes(dst []byte, it Item) []byte {
	var few [16]attribute // most items need no memory to be sorted
	all := few[:0]
	for name, v := range it {
		all = append(all, attribute{name, v})
	}
	slices.SortFunc(all, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		dst = append(binary.AppendUvarint(dst, uint64(len(all[i].name))), all[i].name...)
		dst = appendValue(dst, all[i].value)
	}
	return dst
}

func appendValue(dst []byte, v Value) []byte {
	switch v.t {
	case TypeNull:
		return append(dst, tagNull)
	case TypeBool:
		return append(dst, tagFalse+byte(v.n))
	case TypeString:
		if v.n <= shortSMax {
			dst = append(dst, tagShortS+byte(v.n))
		} else {
			dst = binary.AppendUvarint(append(dst, tagS), uint64(v.n))
		}
		return append(dst, v.raw()...)
	case TypeNumber:
		return append(append(dst, tagNumber+byte(v.n)), v.raw()...)
	case TypeBinary:
		if v.n <= shortBMax {
			dst = append(dst, tagShortB+byte(v.n))
		} else {
			dst = binary.AppendUvarint(append(dst, tagB), uint64(v.n))
		}
		return append(dst, v.raw()...)
	case TypeList:
		if v.n <= shortListMax {
			dst = append(dst, tagShortL+byte(v.n))
		} else {
			dst = binary.AppendUvarint(append(dst, tagL), uint64(v.n))
		}
		for _, e := range v.elems() {
			dst = appendValue(dst, e)
		}
		return dst
	case TypeMap:
		if m := v.Map(); len(m) <= shortMapMax {
			return appendAttributes(append(dst, tagShortM+byte(len(m))), m)
		} else {
			return appendBody(append(dst, tagM), m)
		}
	case TypeStringSet, TypeNumberSet, TypeBinarySet:
		return appendSet(append(dst, tagSS+byte(v.t-TypeStringSet)), v.elems())
	}
	panic("item: an absent value in an item")
}

// appendSet appends the number of elements, their nibbles and their bytes.
func appendSet(dst []byte, elems []Value) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for i, e := range elems {
		n := byte(min(e.n, nibbleMax))
		if i%2 == 0 {
			dst = append(dst, n<<4)
		} else {
			dst[len(dst)-1] |= n
		}
	}
	for _, e := range elems {
		if e.n >= nibbleMax {
			dst = binary.AppendUvarint(dst, uint64(e.n-nibbleMax))
		}
		dst = append(dst, e.raw()...)
	}
	return dst
}
