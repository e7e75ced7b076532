package item_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"pgregory.net/rapid"

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
		slices.Sort(names)
		got, err = item.DecodeSorted(item.Append(nil, it), slices.Compact(names))
		if err != nil || !got.Equal(want) {
			t.Fatalf("DecodeSorted(%q): got %v, %v, want %v", names, got, err, want)
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
