package item

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"unsafe"
)

// Limits of Decode. They bound what damaged bytes can cost; no item within SizeMax comes near them.
const (
	// nestingMax is deeper than DepthMax so that whatever fits into SizeMax can be read back: a level counts 4 bytes.
	nestingMax  = SizeMax / 4
	inflatedMax = 4 << 20
)

// errDamaged is what Decode says of bytes that Append did not write. A newer version is told apart.
var (
	errDamaged = errors.New("item: damaged encoding")
	errNewer   = errors.New("item: encoding of a newer version")
)

// Decode reads what Append wrote. The item shares the memory of b.
func Decode(b []byte) (Item, error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	it, err := d.item(d.length(2), 0)
	if err == nil && len(d.b) > 0 {
		err = errDamaged
	}
	if err != nil {
		return nil, err
	}
	return it, nil
}

// DecodeSome reads only the named attributes of what Append wrote; those that are not there are left out. The item
// shares the memory of b.
func DecodeSome(b []byte, names ...string) (Item, error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	return d.some(len(names), func(name string) bool { return slices.Contains(names, name) })
}

// DecodeSorted is DecodeSome of names in ascending order, each once: it takes little longer for thousands of them.
func DecodeSorted(b []byte, names []string) (Item, error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	rest := names
	return d.some(len(names), func(name string) bool {
		i, ok := slices.BinarySearch(rest, name)
		rest = rest[i:] // names ascend here too
		return ok
	})
}

// some reads the wanted attributes, of which there are most at most.
func (d *decoder) some(most int, wanted func(name string) bool) (Item, error) {
	n := d.length(2)
	it := make(Item, min(n, most))
	for ; n > 0 && len(it) < most && !d.bad; n-- {
		if name := d.text(d.length(1)); wanted(name) {
			it[name] = d.value(0)
		} else {
			d.skip(0)
		}
	}
	if d.bad {
		return nil, errDamaged
	}
	return it, nil
}

// SizeOf is the Item.Size of the item whose encoding is b. It reads a few bytes.
func SizeOf(b []byte) (int, error) {
	if len(b) == 0 || b[0] != versionPlain && b[0] != versionDeflated {
		return 0, versionError(b)
	}
	n, w := binary.Uvarint(b[1:])
	if w <= 0 || n > inflatedMax {
		return 0, errDamaged
	}
	return int(n), nil
}

func versionError(b []byte) error {
	if len(b) > 0 && b[0] > versionDeflated {
		return errNewer
	}
	return errDamaged
}

// decoder reads a body. After the first fault bad is set, b is empty, and every method answers zeros.
type decoder struct {
	b     []byte
	bad   bool
	elems int // how many more elements the bytes can hold: each takes one at least
}

// open reads the header, and inflates.
func open(b []byte) (decoder, error) {
	if _, err := SizeOf(b); err != nil {
		return decoder{}, err
	}
	d := decoder{b: b[1:]}
	d.uvarint()
	if b[0] == versionDeflated {
		n := d.uvarint()
		if d.bad || n > inflatedMax {
			return decoder{}, errDamaged
		}
		body := make([]byte, n)
		r := flate.NewReader(bytes.NewReader(d.b))
		if _, err := io.ReadFull(r, body); err != nil {
			return decoder{}, errDamaged
		}
		d.b = body
	}
	d.elems = len(d.b)
	return d, nil
}

func (d *decoder) fail() {
	d.bad, d.b = true, nil
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		n := d.b[0]
		d.b = d.b[1:]
		return uint64(n)
	}
	n, w := binary.Uvarint(d.b)
	if w <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[w:]
	return n
}

// length is a count of things that take at least size bytes each.
func (d *decoder) length(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

// text takes n bytes.
func (d *decoder) text(n int) string {
	if n > len(d.b) {
		d.fail()
		return ""
	}
	s := unsafe.String(unsafe.SliceData(d.b), n)
	d.b = d.b[n:]
	return s
}

// take is a value of type S, N or B of n bytes.
func (d *decoder) take(t Type, n int) Value {
	if n > len(d.b) {
		d.fail()
		return Value{}
	}
	v := slice(t, d.b[:n])
	d.b = d.b[n:]
	return v
}

// slice is a value of type S, N or B that shares the memory of b.
func slice(t Type, b []byte) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(b)), n: length(len(b)), t: t}
}

// room takes n elements from what the bytes can hold, so that nested counts cannot multiply.
func (d *decoder) room(n int) bool {
	if d.elems -= n; d.elems < 0 {
		d.fail()
	}
	return !d.bad
}

// item reads n attributes.
func (d *decoder) item(n, depth int) (Item, error) {
	if !d.room(n) {
		return nil, errDamaged
	}
	it := make(Item, n)
	last := ""
	for i := range n {
		name := d.text(d.length(1))
		if i > 0 && name <= last {
			d.fail()
		}
		it[name], last = d.value(depth), name
		if d.bad {
			return nil, errDamaged
		}
	}
	return it, nil
}

// value reads a value at a depth.
func (d *decoder) value(depth int) Value {
	if len(d.b) == 0 {
		d.fail()
		return Value{}
	}
	tag := d.b[0]
	d.b = d.b[1:]
	switch {
	case tag >= tagShortS:
		return d.take(TypeString, int(tag-tagShortS))
	case tag >= tagShortB:
		return d.take(TypeBinary, int(tag-tagShortB))
	case tag > tagNumber && tag <= tagNumber+formMax:
		v := d.take(TypeNumber, int(tag-tagNumber))
		if !d.bad && !validForm(v.raw()) {
			d.fail()
		}
		return v
	case tag >= tagShortM && tag <= tagShortM+shortMapMax:
		return d.mapOf(int(tag-tagShortM), depth+1)
	case tag >= tagShortL && tag <= tagShortL+shortListMax:
		return d.list(int(tag-tagShortL), depth+1)
	}
	switch tag {
	case tagNull:
		return NewNull()
	case tagFalse, tagTrue:
		return NewBool(tag == tagTrue)
	case tagS:
		return d.take(TypeString, d.length(1))
	case tagB:
		return d.take(TypeBinary, d.length(1))
	case tagL:
		return d.list(d.length(1), depth+1)
	case tagM:
		return d.mapOf(d.length(2), depth+1)
	case tagSS, tagNS, tagBS:
		return d.set(TypeStringSet + Type(tag-tagSS))
	}
	d.fail()
	return Value{}
}

func (d *decoder) list(n, depth int) Value {
	if depth > nestingMax || !d.room(n) {
		d.fail()
		return Value{}
	}
	elems := make([]Value, n)
	for i := range elems {
		elems[i] = d.value(depth)
	}
	return NewList(elems)
}

func (d *decoder) mapOf(n, depth int) Value {
	if depth > nestingMax {
		d.fail()
		return Value{}
	}
	m, err := d.item(n, depth)
	if err != nil {
		return Value{}
	}
	return NewMap(m)
}

// nibbles reads the count and the nibbles of a set.
func (d *decoder) nibbles() (n int, nibbles string) {
	count := d.uvarint()
	if count == 0 || (count+1)/2 > uint64(len(d.b)) {
		d.fail()
		return 0, ""
	}
	return int(count), d.text(int(count+1) / 2)
}

// elemLength is the length of element i of a set.
func (d *decoder) elemLength(nibbles string, i int) int {
	n := nibbles[i/2] >> 4
	if i%2 == 1 {
		n = nibbles[i/2] & 0x0f
	}
	if n < nibbleMax {
		return int(n)
	}
	return nibbleMax + d.length(1)
}

func (d *decoder) set(t Type) Value {
	n, nibbles := d.nibbles()
	if !d.room(n) {
		return Value{}
	}
	elems := make([]Value, n)
	for i := range elems {
		elems[i] = d.take(t.Elem(), d.elemLength(nibbles, i))
		if t == TypeNumberSet && !d.bad && !validForm(elems[i].raw()) {
			d.fail()
		}
	}
	return many(t, elems)
}

// skip passes over a value.
func (d *decoder) skip(depth int) {
	tag := byte(0)
	if s := d.text(1); s != "" {
		tag = s[0]
	}
	if d.bad || depth > nestingMax {
		d.fail()
		return
	}
	switch {
	case tag >= tagShortS:
		d.text(int(tag - tagShortS))
	case tag >= tagShortB:
		d.text(int(tag - tagShortB))
	case tag > tagNumber && tag <= tagNumber+formMax:
		d.text(int(tag - tagNumber))
	case tag >= tagShortM && tag <= tagShortM+shortMapMax:
		d.skipMany(int(tag-tagShortM), true, depth)
	case tag >= tagShortL && tag <= tagShortL+shortListMax:
		d.skipMany(int(tag-tagShortL), false, depth)
	case tag <= tagTrue:
	case tag == tagS, tag == tagB:
		d.text(d.length(1))
	case tag == tagL:
		d.skipMany(d.length(1), false, depth)
	case tag == tagM:
		d.skipMany(d.length(2), true, depth)
	case tag <= tagBS:
		n, nibbles := d.nibbles()
		for i := 0; i < n && !d.bad; i++ {
			d.text(d.elemLength(nibbles, i))
		}
	default:
		d.fail()
	}
}

// skipMany passes over the elements of a list or, named, of a map.
func (d *decoder) skipMany(n int, named bool, depth int) {
	for ; n > 0 && !d.bad; n-- {
		if named {
			d.text(d.length(1))
		}
		d.skip(depth + 1)
	}
}
