package item_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/table/item"
)

func TestSetsRefused(t *testing.T) {
	const texts = "One or more parameter values were invalid: "
	for _, c := range []struct {
		typ   item.Type
		elems []item.Value
		want  string
	}{
		{item.TypeStringSet, nil, texts + "An string set  may not be empty"},
		{item.TypeNumberSet, nil, texts + "An number set  may not be empty"},
		{item.TypeBinarySet, nil, texts + "Binary sets should not be empty"},
		{item.TypeStringSet, []item.Value{str("a"), str("a")}, texts + "Input collection [a, a] contains duplicates."},
		{item.TypeStringSet, []item.Value{str(""), str("b"), str("")}, texts + "Input collection [, b, ] contains duplicates."},
		{item.TypeNumberSet, []item.Value{nval(t, "1"), nval(t, "1.0")}, "Input collection contains duplicates"},
		{item.TypeNumberSet, []item.Value{nval(t, "0"), nval(t, "-0")}, "Input collection contains duplicates"},
		{item.TypeBinarySet, []item.Value{bin("b"), bin("b")}, texts + "Input collection [Yg==, Yg==]of type BS contains duplicates."},
	} {
		v, err := item.NewSet(c.typ, c.elems)
		checkInvalid(t, c.typ.String(), err, c.want)
		if !v.IsAbsent() {
			t.Errorf("a refused set: got a value of type %s", v.Type())
		}
	}
	var large []item.Value
	for i := range 1000 {
		large = append(large, item.NewNumber(item.Int(int64(i))))
	}
	if _, err := item.NewSet(item.TypeNumberSet, large); err != nil {
		t.Errorf("a thousand different numbers: %v", err)
	}
	_, err := item.NewSet(item.TypeNumberSet, append(large, nval(t, "7")))
	checkInvalid(t, "a thousand numbers and one again", err, "Input collection contains duplicates")
}

func TestSetMistakes(t *testing.T) {
	ss := set(t, item.TypeStringSet, str("a"))
	for name, f := range map[string]func(){
		"NewSet of a list":             func() { _, _ = item.NewSet(item.TypeList, []item.Value{str("a")}) },
		"a number in a string set":     func() { _, _ = item.NewSet(item.TypeStringSet, []item.Value{nval(t, "1")}) },
		"Union of SS and NS":           func() { item.Union(ss, set(t, item.TypeNumberSet, nval(t, "1"))) },
		"SS less a string":             func() { item.NewLess(str("a")).From(ss) },
		"an absent value in an item":   func() { item.Append(nil, item.Item{"a": item.Value{}}) },
		"Union of values that are not": func() { item.Union(item.Value{}, item.Value{}) },
	} {
		if !panics(f) {
			t.Errorf("%s: got no panic", name)
		}
	}
}

// TestSetOperations holds sets, small and large, to a map.
func TestSetOperations(t *testing.T) {
	for _, typ := range []item.Type{item.TypeStringSet, item.TypeNumberSet, item.TypeBinarySet} {
		t.Run(typ.String(), rapid.MakeCheck(func(t *rapid.T) {
			draw := func(name string) (item.Value, map[int]bool) {
				ints := rapid.SliceOfNDistinct(rapid.IntRange(0, 40), 1, 30, rapid.ID[int]).Draw(t, name)
				var elems []item.Value
				model := map[int]bool{}
				for _, i := range ints {
					elems = append(elems, elem(typ, i))
					model[i] = true
				}
				v, err := item.NewSet(typ, elems)
				if err != nil {
					t.Fatalf("NewSet(%v): %v", ints, err)
				}
				return v, model
			}
			a, inA := draw("a")
			b, inB := draw("b")
			before := len(a.Elems())
			check := func(what string, v item.Value, want func(int) bool) {
				n := 0
				for i := range 41 {
					if want(i) {
						n++
					}
					if got := v.Has(elem(typ, i)); got != want(i) {
						t.Fatalf("%s has %d: got %v, want %v", what, i, got, want(i))
					}
				}
				if v.Len() != n || n > 0 && v.Type() != typ || n == 0 && !v.IsAbsent() {
					t.Fatalf("%s: got %d elements of type %s, want %d", what, v.Len(), v.Type(), n)
				}
			}
			check("a", a, func(i int) bool { return inA[i] })
			check("a and b", item.Union(a, b), func(i int) bool { return inA[i] || inB[i] })
			check("a and b once more", item.Union(a, b), func(i int) bool { return inA[i] || inB[i] })
			check("a without b", item.NewLess(b).From(a), func(i int) bool { return inA[i] && !inB[i] })
			check("a afterwards", a, func(i int) bool { return inA[i] })
			if got, want := a.Equal(b), fmt.Sprint(inA) == fmt.Sprint(inB); got != want || len(a.Elems()) != before {
				t.Fatalf("a equals b: got %v, want %v", got, want)
			}
			if a.Has(item.NewNull()) || str("x").Has(str("x")) {
				t.Fatal("an element of another type, or of no set: got it found")
			}
		}))
	}
}

// elem is the i-th element of a type.
func elem(typ item.Type, i int) item.Value {
	switch typ {
	case item.TypeNumberSet:
		return item.NewNumber(item.Int(int64(i)))
	case item.TypeBinarySet:
		return bin(fmt.Sprint(i))
	}
	return str(fmt.Sprint(i))
}
