package item_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
)

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
	f := forge{t, rand.New(rand.NewPCG(1, 2))}
	octets := func(n int) func() string { return func() string { return f.octets(n) } }
	letters := func(n int) func() string { return func() string { return f.letters(n) } }
	lone := func(n int) func() item.Value {
		return func() item.Value { return set(t, item.TypeBinarySet, bin(f.octets(n))) }
	}
	return map[string]item.Item{
		"one string":           {"pk": str("k"), "v": str(f.letters(fill))},
		"one binary":           {"pk": str("k"), "v": bin(f.octets(fill))},
		"binaries of 3":        f.set(item.TypeBinarySet, octets(3)),
		"binaries of 0 to 3":   f.set(item.TypeBinarySet, func() string { return f.octets(f.rnd.IntN(4)) }),
		"binaries of 3 and 15": f.set(item.TypeBinarySet, func() string { return f.octets(3 + 12*f.rnd.IntN(2)) }),
		"binaries of 15":       f.set(item.TypeBinarySet, octets(15)),
		"strings of 3":         f.set(item.TypeStringSet, letters(3)),
		"strings of 2 and 3":   f.set(item.TypeStringSet, func() string { return f.letters(2 + f.rnd.IntN(2)) }),
		"names of 3":           f.names(letters(3)),
		"names of 4":           f.names(letters(4)),
		"names of 7":           f.names(letters(7)),
		"names of 8":           f.names(letters(8)),
		"empty strings":        f.list(func() item.Value { return str("") }),
		"nulls":                f.list(item.NewNull),
		"sets of nothing":      f.list(lone(0)),
		"binaries of 1 apart":  f.list(lone(1)),
		"binaries of 2 apart":  f.list(lone(2)),
		"sets of few": f.list(func() item.Value {
			return set(t, item.TypeBinarySet, bin(f.octets(1)), bin(f.octets(2)), bin(f.octets(3)))
		}),
		"small things":       f.list(f.small),
		"maps of names of 1": f.list(f.narrow),
		"strings of 128":     f.list(func() item.Value { return str(f.letters(128)) }),
		"binaries of 64":     f.list(func() item.Value { return bin(f.octets(64)) }),
		"deep lists":         nested(func(v item.Value) item.Value { return item.NewList([]item.Value{v}) }),
		"deep maps":          nested(func(v item.Value) item.Value { return item.NewMap(item.Item{"": v}) }),
		"numbers":            f.list(func() item.Value { return f.number(38) }),
		"a number set":       f.numbers(38),
		"short numbers":      f.numbers(4),
	}
}

// fill is what a case fills: the limit less the names and what surrounds the values.
const fill = item.SizeMax - 40

// forge draws the parts of items.
type forge struct {
	t   *testing.T
	rnd *rand.Rand
}

func (f forge) octets(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.rnd.Uint32())
	}
	return string(b)
}

func (f forge) letters(n int) string {
	b := []byte(f.octets(n))
	for i := range b {
		b[i] &= 0x7f
	}
	return string(b)
}

// distinct draws different texts until they fill an item.
func (f forge) distinct(draw func() string) []string {
	seen := map[string]bool{}
	var all []string
	for left := fill; ; {
		s := draw()
		for seen[s] {
			s = draw()
		}
		if left -= len(s); left < 0 {
			return all
		}
		seen[s] = true
		all = append(all, s)
	}
}

func (f forge) set(typ item.Type, draw func() string) item.Item {
	var elems []item.Value
	for _, s := range f.distinct(draw) {
		if typ == item.TypeBinarySet {
			elems = append(elems, bin(s))
		} else {
			elems = append(elems, str(s))
		}
	}
	return item.Item{"pk": str("k"), "v": set(f.t, typ, elems...)}
}

func (f forge) names(draw func() string) item.Item {
	it := item.Item{"pk": str("k")}
	for _, s := range f.distinct(draw) {
		it[s] = str("")
	}
	return it
}

func (f forge) list(draw func() item.Value) item.Item {
	var elems []item.Value
	for left := fill - 3; ; {
		v := draw()
		if left -= 1 + v.Size(); left < 0 {
			return item.Item{"pk": str("k"), "v": item.NewList(elems)}
		}
		elems = append(elems, v)
	}
}

// small is a value of few bytes of any kind.
func (f forge) small() item.Value {
	switch f.rnd.IntN(4) {
	case 0:
		return set(f.t, item.TypeBinarySet, bin(f.octets(1)))
	case 1:
		return set(f.t, item.TypeStringSet, str(f.letters(1)))
	case 2:
		return str(f.letters(f.rnd.IntN(3)))
	}
	return bin(f.octets(f.rnd.IntN(3)))
}

// narrow is a map of names of one letter with next to nothing in them.
func (f forge) narrow() item.Value {
	m := item.Item{}
	for range 40 + f.rnd.IntN(60) {
		m[f.letters(1)] = []item.Value{str(""), bin(""), item.NewNull()}[f.rnd.IntN(3)]
	}
	return item.NewMap(m)
}

// nested wraps a value until the item is full; a level counts four bytes.
func nested(wrap func(item.Value) item.Value) item.Item {
	v := str("x")
	for range fill / 4 {
		v = wrap(v)
	}
	return item.Item{"pk": str("k"), "v": v}
}

// number is a number of up to so many digits.
func (f forge) number(digits int) item.Value {
	s := []string{"", "-"}[f.rnd.IntN(2)]
	for range 1 + f.rnd.IntN(digits) {
		s += fmt.Sprint(f.rnd.IntN(10))
	}
	return nval(f.t, fmt.Sprintf("%se%d", s, f.rnd.IntN(200)-120))
}

func (f forge) numbers(digits int) item.Item {
	seen := map[item.Number]bool{}
	var elems []item.Value
	for left := fill; left > 23; {
		v := f.number(digits)
		if seen[v.Number()] {
			continue
		}
		seen[v.Number()] = true
		elems = append(elems, v)
		left -= v.Size()
	}
	return item.Item{"pk": str("k"), "v": set(f.t, item.TypeNumberSet, elems...)}
}
