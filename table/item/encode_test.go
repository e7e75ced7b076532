package item_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
)

// checkRoundTrip holds one item to everything that is promised of its encoding.
func checkRoundTrip(t rapidOrTest, it item.Item) []byte {
	b := item.Append([]byte("before"), it)
	if string(b[:6]) != "before" {
		t.Fatalf("Append changed what stood before: %q", b[:6])
	}
	b = b[6:]
	if again := item.Append(nil, it); !bytes.Equal(again, b) {
		t.Fatalf("Append twice: got %x and %x", b, again)
	}
	got, err := item.Decode(b)
	if err != nil || !got.Equal(it) || !it.Equal(got) {
		t.Fatalf("Decode(%x): got %v, %v, want the item that was encoded", b, got, err)
	}
	if got, err := item.SizeOf(b); err != nil || got != it.Size() {
		t.Fatalf("SizeOf: got %d, %v, want %d", got, err, it.Size())
	}
	return b
}

func TestEncodingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := items(3, 0).Draw(t, "item")
		b := checkRoundTrip(t, it)
		if plain := it.Size()*5 + 100; len(b) > plain {
			t.Fatalf("encoding of %d bytes by DynamoDB's count takes %d", it.Size(), len(b))
		}
	})
}

func TestEncodingKeepsOrderOfSets(t *testing.T) {
	v := set(t, item.TypeStringSet, str("z"), str("a"), str("m"))
	got, err := item.Decode(item.Append(nil, item.Item{"v": v}))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got["v"].Elems() {
		if want := v.Elems()[i]; !e.Equal(want) {
			t.Errorf("element %d: got %q, want %q", i, e.Str(), want.Str())
		}
	}
}

func TestDecodeSome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := items(3, 1).Draw(t, "item")
		names := rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(mapKeys(it))), 0, 5).Draw(t, "names")
		names = append(names, rapid.SampledFrom([]string{"", "nothing", "a", "zzzzz"}).Draw(t, "another"))
		want := item.Item{}
		for _, n := range names {
			if v, ok := it[n]; ok {
				want[n] = v
			}
		}
		got, err := item.DecodeSome(item.Append(nil, it), names...)
		if err != nil || !got.Equal(want) {
			t.Fatalf("DecodeSome(%q): got %v, %v, want %v", names, got, err, want)
		}
	})
}

func mapKeys(it item.Item) func(func(string) bool) {
	return func(yield func(string) bool) {
		for n := range it {
			if !yield(n) {
				return
			}
		}
	}
}

// TestEncodingIsStable: what is on disk today must be read for ever. A new version of the encoding adds lines here.
func TestEncodingIsStable(t *testing.T) {
	it := item.Item{
		"null": item.NewNull(), "yes": item.NewBool(true), "no": item.NewBool(false), "": str(""),
		"text": str("héllo"), "number": nval(t, "-12.5"), "zero": nval(t, "0"), "bytes": bin("\x00\xff"),
		"list": item.NewList([]item.Value{str("a"), item.NewList(nil), item.NewMap(item.Item{"k": nval(t, "7")})}),
		"ss":   set(t, item.TypeStringSet, str("b"), str(""), str("a long string of a set")),
		"ns":   set(t, item.TypeNumberSet, nval(t, "1"), nval(t, "0"), nval(t, "1234567890123456789012345678901234567.8")),
		"bs":   set(t, item.TypeBinarySet, bin("\x01")),
	}
	got := hex.EncodeToString(item.Append(nil, it))
	if got != stable {
		t.Errorf("encoding:\n got %s\nwant %s", got, stable)
	}
	b, err := hex.DecodeString(stable)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := item.Decode(b); err != nil || !back.Equal(it) {
		t.Errorf("Decode of the kept encoding: got %v, %v", back, err)
	}
	b, err = hex.DecodeString(stableDeflated)
	if err != nil {
		t.Fatal(err)
	}
	small := item.Item{"a": str("b"), "n": nval(t, "7")}
	if back, err := item.Decode(b); err != nil || !back.Equal(small) {
		t.Errorf("Decode of the kept deflated encoding: got %v, %v", back, err)
	}
	if some, err := item.DecodeSome(b, "n"); err != nil || !some.Equal(item.Item{"n": nval(t, "7")}) {
		t.Errorf("DecodeSome of the kept deflated encoding: got %v, %v", some, err)
	}
}

// stableDeflated is a small item in version 2, which Append writes only for large ones.
const stableDeflated = "02050a62624c6c4c62cc133ac801080000ffff"

// stable is the item of TestEncodingIsStable in version 1.
const stable = "01770c0080026273090110010562797465734200ff046c6973742b81612831016b12c108026e6f01026e73080321f0c10280" +
	"06d302182e445a02182e445a02182e445a02182e4451046e756c6c00066e756d626572143e593366027373070310f0620761" +
	"206c6f6e6720737472696e67206f6620612073657404746578748668c3a96c6c6f0379657302047a65726f1180"

// TestWorstCasesFit: an item at DynamoDB's limit fits into a value of the store whatever it consists of, and is read back.
func TestWorstCasesFit(t *testing.T) {
	for name, it := range worstCases(t) {
		t.Run(name, func(t *testing.T) {
			size := it.Size()
			if size > item.SizeMax || size < item.SizeMax-600 {
				t.Fatalf("the case has %d bytes, want up to %d", size, item.SizeMax)
			}
			b := checkRoundTrip(t, it)
			t.Logf("%d bytes by DynamoDB's count, %d encoded, version %d", size, len(b), b[0])
			if len(b) > kv.ValueMax-1<<10 {
				t.Errorf("got %d bytes, at most %d fit", len(b), kv.ValueMax-1<<10)
			}
			some, err := item.DecodeSome(b, "pk")
			if err != nil || !some["pk"].Equal(it["pk"]) {
				t.Errorf("DecodeSome: got %v, %v", some, err)
			}
		})
	}
}

// worstCases are items just below the limit, of what the count charges least for. Random, so that nothing shrinks that
// need not.
func worstCases(t *testing.T) map[string]item.Item {
	rnd := rand.New(rand.NewPCG(1, 2))
	octets := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32() & 0x7f)
		}
		return string(b)
	}
	const size = item.SizeMax - 40
	// many draws different texts until their count is full.
	many := func(over int, draw func() string) []string {
		seen := map[string]bool{}
		var all []string
		for left := size; ; {
			s := draw()
			for tries := 0; seen[s]; tries++ {
				if s = draw(); tries > 1000 {
					return all
				}
			}
			if left -= len(s) + over; left < 0 {
				return all
			}
			seen[s] = true
			all = append(all, s)
		}
	}
	sets := func(typ item.Type, draw func() string) item.Item {
		var elems []item.Value
		for _, s := range many(0, draw) {
			if typ == item.TypeBinarySet {
				elems = append(elems, bin(s))
			} else {
				elems = append(elems, str(s))
			}
		}
		return item.Item{"pk": str("k"), "v": set(t, typ, elems...)}
	}
	names := func(draw func() string) item.Item {
		it := item.Item{"pk": str("k")}
		for _, s := range many(0, draw) {
			it[s] = str("")
		}
		return it
	}
	list := func(draw func() item.Value) item.Item {
		var elems []item.Value
		for left := size - 3; ; {
			v := draw()
			if left -= 1 + v.Size(); left < 0 {
				return item.Item{"pk": str("k"), "v": item.NewList(elems)}
			}
			elems = append(elems, v)
		}
	}
	nested := func(wrap func(item.Value) item.Value, each int) item.Item {
		v := str("x")
		for range size / each {
			v = wrap(v)
		}
		return item.Item{"pk": str("k"), "v": v}
	}
	lone := func(n int) item.Value { return set(t, item.TypeBinarySet, bin(octets(n))) }
	return map[string]item.Item{
		"one string":           {"pk": str("k"), "v": str(letters(size))},
		"one binary":           {"pk": str("k"), "v": bin(octets(size))},
		"binaries of 3":        sets(item.TypeBinarySet, func() string { return octets(3) }),
		"binaries of 0 to 3":   sets(item.TypeBinarySet, func() string { return octets(rnd.IntN(4)) }),
		"binaries of 3 and 15": sets(item.TypeBinarySet, func() string { return octets(3 + 12*rnd.IntN(2)) }),
		"binaries of 15":       sets(item.TypeBinarySet, func() string { return octets(15) }),
		"strings of 3":         sets(item.TypeStringSet, func() string { return letters(3) }),
		"strings of 2 and 3":   sets(item.TypeStringSet, func() string { return letters(2 + rnd.IntN(2)) }),
		"names of 3":           names(func() string { return letters(3) }),
		"names of 4":           names(func() string { return letters(4) }),
		"names of 7":           names(func() string { return letters(7) }),
		"names of 8":           names(func() string { return letters(8) }),
		"empty strings":        list(func() item.Value { return str("") }),
		"nulls":                list(item.NewNull),
		"binaries of 1 apart":  list(func() item.Value { return lone(1) }),
		"binaries of 2 apart":  list(func() item.Value { return lone(2) }),
		"sets of nothing":      list(func() item.Value { return lone(0) }),
		"sets of few": list(func() item.Value {
			return set(t, item.TypeBinarySet, bin(octets(1)), bin(octets(2)), bin(octets(3)))
		}),
		"sets or strings": list(func() item.Value {
			switch rnd.IntN(4) {
			case 0:
				return lone(1)
			case 1:
				return set(t, item.TypeStringSet, str(letters(1)))
			case 2:
				return str(letters(rnd.IntN(3)))
			}
			return bin(octets(rnd.IntN(3)))
		}),
		"maps of names of 1": list(func() item.Value {
			m := item.Item{}
			for range 40 + rnd.IntN(60) {
				m[letters(1)] = []item.Value{str(""), bin(""), item.NewNull()}[rnd.IntN(3)]
			}
			return item.NewMap(m)
		}),
		"strings of 128":  list(func() item.Value { return str(letters(128)) }),
		"binaries of 64":  list(func() item.Value { return bin(octets(64)) }),
		"deep lists":      nested(func(v item.Value) item.Value { return item.NewList([]item.Value{v}) }, 4),
		"deep maps":       nested(func(v item.Value) item.Value { return item.NewMap(item.Item{"": v}) }, 4),
		"numbers":         list(func() item.Value { return randomNumber(t, rnd, 1+rnd.IntN(38)) }),
		"number set of 3": numberSet(t, rnd, size, 4),
		"number set":      numberSet(t, rnd, size, 38),
	}
}

func randomNumber(t *testing.T, rnd *rand.Rand, digits int) item.Value {
	s := []string{"", "-"}[rnd.IntN(2)]
	for range digits {
		s += fmt.Sprint(rnd.IntN(10))
	}
	return nval(t, fmt.Sprintf("%se%d", s, rnd.IntN(200)-120+digits/38))
}

func numberSet(t *testing.T, rnd *rand.Rand, size, digits int) item.Item {
	seen := map[item.Number]bool{}
	var elems []item.Value
	for size > 23 {
		v := randomNumber(t, rnd, 1+rnd.IntN(digits))
		if seen[v.Number()] {
			continue
		}
		seen[v.Number()] = true
		elems = append(elems, v)
		size -= v.Size()
	}
	return item.Item{"pk": str("k"), "v": set(t, item.TypeNumberSet, elems...)}
}

func TestDecodeRefuses(t *testing.T) {
	good := item.Append(nil, item.Item{"a": str("b"), "c": set(t, item.TypeStringSet, str("d"), str("e"))})
	for i := range good {
		if it, err := item.Decode(good[:i]); err == nil {
			t.Errorf("Decode of the first %d bytes: got %v, want an error", i, it)
		}
	}
	for name, text := range map[string]string{
		"a newer version": "0300", "something after": "01000000", "names out of order": "010402016180016080",
		"a name twice": "010402016180016180", "an unknown tag": "0102010161" + "0f", "a number that is none": "0102010161" + "12c101",
		"a zero of two bytes": "0102010161" + "128001", "an empty set": "0102010161" + "07" + "00", "a count beyond the bytes": "0102" + "ff7f016180",
		"a list beyond the bytes": "0102010161" + "05" + "ffffff7f00", "a size beyond all": "01ffffffff7f00", "no deflate": "020101ff",
		"a length beyond the bytes": "0102010161" + "03ffffffffffffffffff01", "inflates to too much": "0201ffffffff7f00",
		"a uvarint without end": "01ffffffffffffffffffffff",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if it, err := item.Decode(b); err == nil {
			t.Errorf("Decode of %s: got %v, want an error", name, it)
		}
	}
	if _, err := item.Decode([]byte{3, 0}); err == nil || err.Error() != "item: encoding of a newer version" {
		t.Errorf("Decode of a newer version: got %v", err)
	}
}
