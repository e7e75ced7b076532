package item_test

import (
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/table/item"
)

// TestValueIsSmall: a Value is copied everywhere.
func TestValueIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(item.Value{}); got > 16 {
		t.Errorf("a Value takes %d bytes, want at most 16", got)
	}
}

func TestTypes(t *testing.T) {
	names := []string{"", "NULL", "BOOL", "S", "N", "B", "L", "M", "SS", "NS", "BS"}
	for i, name := range names {
		typ := item.Type(i)
		if got := typ.String(); got != name {
			t.Errorf("type %d: got name %q, want %q", i, got, name)
		}
		if got, ok := item.ParseType(name); got != typ || ok != (name != "") {
			t.Errorf("ParseType(%q): got %d, %v, want %d", name, got, ok, typ)
		}
		if got, want := typ.IsSet(), len(name) == 2; got != want {
			t.Errorf("%s.IsSet(): got %v", name, got)
		}
		if got, want := typ.IsKey(), name == "S" || name == "N" || name == "B"; got != want {
			t.Errorf("%s.IsKey(): got %v", name, got)
		}
		if typ.IsSet() {
			if got := typ.Elem(); got.String() != name[:1] {
				t.Errorf("%s.Elem(): got %s, want %s", name, got, name[:1])
			}
		} else if got := typ.Elem(); got != item.TypeAbsent {
			t.Errorf("%s.Elem(): got %s", name, got)
		}
	}
	if _, ok := item.ParseType("X"); ok {
		t.Error("ParseType(X): got a type")
	}
	if got := item.Type(99).String(); got != "" {
		t.Errorf("an unknown type: got name %q", got)
	}
}

// one holds a value of every type and what its accessors answer.
func one(t *testing.T) map[string]item.Value {
	return map[string]item.Value{
		"": {}, "NULL": item.NewNull(), "BOOL": item.NewBool(true), "S": str("s"), "N": nval(t, "7"), "B": bin("b"),
		"L": item.NewList([]item.Value{str("e")}), "M": item.NewMap(item.Item{"k": str("v")}),
		"SS": set(t, item.TypeStringSet, str("e")), "NS": set(t, item.TypeNumberSet, nval(t, "1")), "BS": set(t, item.TypeBinarySet, bin("e")),
	}
}

// TestAccessors: each answers for its own type and gives zeros for others.
func TestAccessors(t *testing.T) {
	for name, v := range one(t) {
		if got := v.Type().String(); got != name {
			t.Errorf("%s: got type %q", name, got)
		}
		for what, c := range map[string]struct{ got, want bool }{
			"IsAbsent": {v.IsAbsent(), name == ""}, "Bool": {v.Bool(), name == "BOOL"}, "Str": {v.Str() == "s", name == "S"},
			"Number": {v.Number() == item.Int(7), name == "N"}, "Bytes": {string(v.Bytes()) == "b", name == "B"},
			"List": {len(v.List()) == 1, name == "L"}, "Map": {v.Map()["k"].Str() == "v", name == "M"},
			"Elems": {len(v.Elems()) == 1, len(name) == 2},
			"Len":   {v.Len() == 1, name != "" && name != "NULL" && name != "BOOL" && name != "N"},
			"zeros": {v.Str() == "" || name == "S", true},
		} {
			if c.got != c.want {
				t.Errorf("%s: %s: got %v, want %v", name, what, c.got, c.want)
			}
		}
	}
	if item.NewBool(false).Bool() {
		t.Error("false: got true")
	}
	for name, v := range map[string]item.Value{"S": str(""), "B": item.NewBinary(nil), "L": item.NewList(nil), "M": item.NewMap(nil)} {
		if v.IsAbsent() || v.Len() != 0 || len(v.List()) != 0 || len(v.Map()) != 0 || len(v.Bytes()) != 0 {
			t.Errorf("an empty %s: got type %q and length %d", name, v.Type(), v.Len())
		}
	}
}

func TestEqualAndCompare(t *testing.T) {
	all := one(t)
	for a, x := range all {
		for b, y := range all {
			if got := x.Equal(y); got != (a == b) {
				t.Errorf("%s equals %s: got %v", a, b, got)
			}
			if order, ok := item.Compare(x, y); ok != (a == b && len(a) == 1 && strings.Contains("SNB", a)) || order != 0 {
				t.Errorf("Compare(%s, %s): got %d, %v", a, b, order, ok)
			}
		}
	}
	for _, c := range []struct {
		a, b item.Value
		want int
	}{
		{str("a"), str("b"), -1}, {str("a"), str("a\x00"), -1}, {str("é"), str("z"), 1}, {str("\uffff"), str("\U00010000"), -1},
		{nval(t, "10"), nval(t, "9"), 1}, {nval(t, "-10"), nval(t, "-9"), -1}, {nval(t, "0"), nval(t, "-1"), 1},
		{nval(t, "0"), nval(t, "1e-130"), -1}, {nval(t, "-1e-130"), nval(t, "0"), -1}, {nval(t, "1.0"), nval(t, "1"), 0},
		{bin("\x00"), bin("\xff"), -1}, {bin(""), bin("\x00"), -1},
	} {
		if got, ok := item.Compare(c.a, c.b); got != c.want || !ok {
			t.Errorf("Compare of two %s: got %d, %v, want %d", c.a.Type(), got, ok, c.want)
		}
		if got, _ := item.Compare(c.b, c.a); got != -c.want {
			t.Errorf("Compare of two %s, turned round: got %d, want %d", c.a.Type(), got, -c.want)
		}
	}
	different := [][2]item.Value{
		{item.NewList([]item.Value{str("a"), str("b")}), item.NewList([]item.Value{str("b"), str("a")})},
		{item.NewMap(item.Item{"a": str("x")}), item.NewMap(item.Item{"b": str("x")})},
		{item.NewMap(item.Item{"a": str("x")}), item.NewMap(item.Item{"a": str("y")})},
		{set(t, item.TypeStringSet, str("a"), str("b")), set(t, item.TypeStringSet, str("a"), str("c"))},
		{item.NewBool(true), item.NewBool(false)}, {str("a"), bin("a")},
	}
	for i, c := range different {
		if c[0].Equal(c[1]) {
			t.Errorf("different values %d: got equal", i)
		}
	}
	if !set(t, item.TypeNumberSet, nval(t, "1"), nval(t, "2.0")).Equal(set(t, item.TypeNumberSet, nval(t, "2"), nval(t, "1.00"))) {
		t.Error("sets of the same numbers in other order and notation: got different")
	}
}

// TestEqualOfCopies: Equal holds between a value and its copy through the store, and between items.
func TestEqualOfCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := items(2, 0).Draw(t, "a"), items(2, 0).Draw(t, "b")
		if !a.Equal(a.Clone()) {
			t.Fatal("an item and its clone: got different")
		}
		if got, want := a.Equal(b), len(item.Append(nil, a)) == len(item.Append(nil, b)); got && !want {
			t.Fatalf("equal items of %d and %d bytes", a.Size(), b.Size())
		}
	})
	it := item.Item{"a": str("x")}
	it.Clone()["b"] = str("y")
	if len(it) != 1 {
		t.Errorf("after a change of its clone: got an item of %d attributes, want 1", len(it))
	}
	if got := item.Item(nil).Clone(); got == nil || len(got) != 0 {
		t.Errorf("clone of nil: got %v, want an empty item", got)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what string
		v    item.Value
		want int
	}{
		{"absent", item.Value{}, 0}, {"null", item.NewNull(), 1}, {"bool", item.NewBool(true), 1}, {"empty string", str(""), 0},
		{"string", str("abc"), 3}, {"UTF-8", str("é日\U0001F600"), 9}, {"binary", bin("\x00\x01"), 2}, {"zero", nval(t, "0"), 1},
		{"empty list", item.NewList(nil), 3}, {"list", item.NewList([]item.Value{str("ab"), item.NewNull()}), 3 + 3 + 2},
		{"empty map", item.NewMap(nil), 3}, {"map", item.NewMap(item.Item{"ab": str("c")}), 3 + 1 + 2 + 1},
		{"nested", item.NewList([]item.Value{item.NewList(nil)}), 3 + 1 + 3},
		{"string set", set(t, item.TypeStringSet, str("ab"), str("c")), 3},
		{"number set", set(t, item.TypeNumberSet, nval(t, "1"), nval(t, "-12"), nval(t, "0")), 2 + 3 + 1},
		{"binary set", set(t, item.TypeBinarySet, bin("ab"), bin("")), 2},
	} {
		if got := c.v.Size(); got != c.want {
			t.Errorf("size of %s: got %d, want %d", c.what, got, c.want)
		}
	}
	if got := (item.Item{"a": str("bc"), "é": nval(t, "100")}).Size(); got != 1+2+2+2 {
		t.Errorf("size of an item: got %d, want 7", got)
	}
	if got := item.Item(nil).Size(); got != 0 {
		t.Errorf("size of nothing: got %d", got)
	}
}

func TestDepth(t *testing.T) {
	v := str("x")
	for want := range 40 {
		if got := (item.Item{"a": item.NewNull(), "v": v}).Depth(); got != want {
			t.Errorf("depth: got %d, want %d", got, want)
		}
		if want%2 == 0 {
			v = item.NewList([]item.Value{v, str("y")})
		} else {
			v = item.NewMap(item.Item{"m": v, "n": item.NewList(nil)})
		}
	}
	if got := set(t, item.TypeStringSet, str("x")).Depth(); got != 0 {
		t.Errorf("depth of a set: got %d, want 0", got)
	}
}

func TestPaths(t *testing.T) {
	it := item.Item{
		"a":   item.NewMap(item.Item{"b": item.NewList([]item.Value{str("0"), item.NewList([]item.Value{str("1.0")}), item.NewMap(item.Item{"c": str("deep")})})}),
		"s":   str("text"),
		"set": set(t, item.TypeStringSet, str("e")),
		"a.b": str("a name with a point"),
	}
	name := func(n string) item.Step { return item.Step{Name: n} }
	at := func(i int) item.Step { return item.Step{Index: i, IsIndex: true} }
	for _, c := range []struct {
		path item.Path
		text string
		want string // of the string found; "" when there is none
		ok   bool
	}{
		{item.Path{name("s")}, "s", "text", true},
		{item.Path{name("a"), name("b"), at(0)}, "a.b[0]", "0", true},
		{item.Path{name("a"), name("b"), at(1), at(0)}, "a.b[1][0]", "1.0", true},
		{item.Path{name("a"), name("b"), at(2), name("c")}, "a.b[2].c", "deep", true},
		{item.Path{name("a.b")}, "a.b", "a name with a point", true},
		{item.Path{name("a")}, "a", "", true},
		{item.Path{}, "", "", false},
		{item.Path{at(0)}, "[0]", "", false},
		{item.Path{name("none")}, "none", "", false},
		{item.Path{name("none"), name("x")}, "none.x", "", false},
		{item.Path{name("none"), at(0)}, "none[0]", "", false},
		{item.Path{name("a"), name("b"), at(3)}, "a.b[3]", "", false},
		{item.Path{name("a"), name("b"), at(-1)}, "a.b[-1]", "", false},
		{item.Path{name("a"), at(0)}, "a[0]", "", false},
		{item.Path{name("s"), name("x")}, "s.x", "", false},
		{item.Path{name("set"), at(0)}, "set[0]", "", false},
	} {
		if got := c.path.String(); got != c.text {
			t.Errorf("path: got %s, want %s", got, c.text)
		}
		v, ok := it.At(c.path)
		if ok != c.ok || v.Str() != c.want || !ok && !v.IsAbsent() {
			t.Errorf("At(%s): got %q, %v, want %q, %v", c.text, v.Str(), ok, c.want, c.ok)
		}
	}
}
