package item_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/item"
)

// FuzzParseNumber: what is read is read exactly and refused by the grammar alone; texts, forms and sums agree with
// somebody else's arithmetic.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1", "+3", ".5", "5.", "-12.50", "1e125", "1E-130", "9.99e+125", "0e1000", "1e", "e", "-", " 1",
		strings.Repeat("9", 38), strings.Repeat("9", 39), "1" + zeros(130), "0." + zeros(130) + "1", "NaN"} {
		f.Add(s, "-1.5")
	}
	grammar := regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := item.ParseNumber(a)
		if err != nil {
			if rouse.KindOf(err) != rouse.Invalid {
				t.Fatalf("ParseNumber(%q): got error %v, want a refusal", a, err)
			}
			if numeric := !strings.HasPrefix(err.Error(), notNumeric); numeric != grammar.MatchString(a) {
				t.Fatalf("ParseNumber(%q): got %v, and the grammar says %v", a, err, !numeric)
			}
			return
		}
		if !grammar.MatchString(a) {
			t.Fatalf("ParseNumber(%q): got %s, against the grammar", a, x)
		}
		if x != item.Int(0) && rat(t, a).Cmp(rat(t, x.String())) != 0 { // a zero may have any exponent
			t.Fatalf("ParseNumber(%q): got %s", a, x)
		}
		if again, err := item.ParseNumber(x.String()); err != nil || again != x {
			t.Fatalf("ParseNumber(%s): got %v, %v", x, again, err)
		}
		y, err := item.ParseNumber(b)
		if err != nil {
			return
		}
		if got, want := compare(t, x, y), rat(t, x.String()).Cmp(rat(t, y.String())); got != want {
			t.Fatalf("%s compared to %s: got %d, want %d", x, y, got, want)
		}
		if sum, err := x.Add(y); err == nil {
			if back, err := sum.Sub(y); err != nil || back != x {
				t.Fatalf("%s + %s = %s, less %s: got %s, %v", x, y, sum, y, back, err)
			}
		}
	})
}

// FuzzDecode: any bytes are refused or read, at a bounded cost, and what is read is written and read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{2, 1, 4, 0x62, 0x64, 0x62, 0x66, 0x04, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff})
	f.Add(item.Append(nil, item.Item{
		"": item.NewNull(), "bool": item.NewBool(true), "s": str("text"), "long": str(strings.Repeat("x", 200)),
		"n": item.NewNumber(item.Int(-12345)), "b": bin("\x00"), "l": item.NewList([]item.Value{str("a"), item.NewList(nil)}),
		"m": item.NewMap(item.Item{"k": item.NewMap(nil)}),
	}))
	if v, err := item.NewSet(item.TypeStringSet, []item.Value{str("a"), str(strings.Repeat("b", 30))}); err == nil {
		f.Add(item.Append(nil, item.Item{"set": v}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := item.Decode(b)
		if err != nil {
			return
		}
		if got, err := item.Decode(item.Append(nil, it)); err != nil || !got.Equal(it) {
			t.Fatalf("written and read again: got %v, %v, want %v", got, err, it)
		}
		if it.Size() < 0 || it.Depth() < 0 {
			t.Fatalf("size %d, depth %d", it.Size(), it.Depth())
		}
		for name, v := range it {
			some, err := item.DecodeSome(b, name)
			if err != nil || len(some) != 1 || !some[name].Equal(v) {
				t.Fatalf("DecodeSome(%q): got %v, %v", name, some, err)
			}
		}
	})
}
