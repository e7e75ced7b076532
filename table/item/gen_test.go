package item_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/table/item"
)

// num parses s or fails the test.
func num(t testing.TB, s string) item.Number {
	t.Helper()
	n, err := item.ParseNumber(s)
	if err != nil {
		t.Fatalf("ParseNumber(%q): %v", s, err)
	}
	return n
}

func nval(t testing.TB, s string) item.Value { t.Helper(); return item.NewNumber(num(t, s)) }

func str(s string) item.Value { return item.NewString(s) }

func bin(s string) item.Value { return item.NewBinary([]byte(s)) }

// set makes a set or fails the test.
func set(t testing.TB, typ item.Type, elems ...item.Value) item.Value {
	t.Helper()
	v, err := item.NewSet(typ, elems)
	if err != nil {
		t.Fatalf("NewSet(%s): %v", typ, err)
	}
	return v
}

// rat is the value of a number's text by somebody else's arithmetic.
func rat(t rapidOrTest, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("big.Rat does not read %q", s)
	}
	return r
}

type rapidOrTest interface{ Fatalf(string, ...any) }

// numberTexts draws texts of valid numbers, near one another as often as far apart.
func numberTexts() *rapid.Generator[string] {
	digits := rapid.StringMatching(`[1-9][0-9]{0,37}`)
	small := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.Int64Range(-1000, 1000).Draw(t, "small")) })
	wide := rapid.Custom(func(t *rapid.T) string {
		d := digits.Draw(t, "digits")
		e := rapid.IntRange(-130, 125).Draw(t, "exponent of the first digit")
		s := fmt.Sprintf("%s.%sE%d", d[:1], d[1:], e)
		if len(d) == 1 {
			s = fmt.Sprintf("%sE%d", d, e)
		}
		if rapid.Bool().Draw(t, "negative") {
			s = "-" + s
		}
		return s
	})
	integer := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.Int64().Draw(t, "integer")) })
	return rapid.OneOf(small, integer, wide)
}

func numbers() *rapid.Generator[item.Number] {
	return rapid.Custom(func(t *rapid.T) item.Number {
		n, err := item.ParseNumber(numberTexts().Draw(t, "number"))
		if err != nil {
			t.Fatalf("a valid number: %v", err)
		}
		return n
	})
}

// keys draws two kinds of strings: of few letters, so that they share beginnings, and of any bytes.
func keyBytes() *rapid.Generator[string] {
	alike := rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat("a", rapid.IntRange(0, 20).Draw(t, "as")) +
			string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 12).Draw(t, "tail"))
	})
	return rapid.OneOf(alike, rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes"))
	}))
}

// keys draws key values of one type.
func keys(typ item.Type) *rapid.Generator[item.Value] {
	return rapid.Custom(func(t *rapid.T) item.Value {
		switch typ {
		case item.TypeNumber:
			return item.NewNumber(numbers().Draw(t, "n"))
		case item.TypeBinary:
			return bin(keyBytes().Draw(t, "b"))
		}
		return str(keyBytes().Draw(t, "s"))
	})
}

var keyTypes = []item.Type{item.TypeString, item.TypeNumber, item.TypeBinary}

// scalars draws S, N and B.
func scalars(typ item.Type) *rapid.Generator[item.Value] {
	if typ == item.TypeNumber {
		return keys(typ)
	}
	long := rapid.Custom(func(t *rapid.T) item.Value {
		s := strings.Repeat("x", rapid.SampledFrom([]int{13, 14, 15, 16, 62, 63, 64, 126, 127, 128, 300, 70_000}).Draw(t, "length"))
		if typ == item.TypeBinary {
			return bin(s)
		}
		return str(s)
	})
	return rapid.OneOf(keys(typ), keys(typ), long)
}

// values draws any value with at most depth levels of lists and maps.
func values(depth int) *rapid.Generator[item.Value] {
	return rapid.Custom(func(t *rapid.T) item.Value {
		last := item.TypeBinarySet
		typ := item.Type(rapid.IntRange(int(item.TypeNull), int(last)).Draw(t, "type"))
		if depth == 0 && (typ == item.TypeList || typ == item.TypeMap) {
			typ = item.TypeString
		}
		switch {
		case typ == item.TypeNull:
			return item.NewNull()
		case typ == item.TypeBool:
			return item.NewBool(rapid.Bool().Draw(t, "bool"))
		case typ == item.TypeList:
			return item.NewList(rapid.SliceOfN(values(depth-1), 0, 10).Draw(t, "list"))
		case typ == item.TypeMap:
			return item.NewMap(items(depth-1, 0).Draw(t, "map"))
		case typ.IsSet():
			elems := rapid.SliceOfNDistinct(scalars(typ.Elem()), 1, 12, itemKey).Draw(t, "set")
			v, err := item.NewSet(typ, elems)
			if err != nil {
				t.Fatalf("NewSet of distinct elements: %v", err)
			}
			return v
		}
		return scalars(typ).Draw(t, typ.String())
	})
}

// itemKey tells apart scalars of one type.
func itemKey(v item.Value) string { return string(item.AppendKeyTail(nil, v)) }

// items draws items of at least least attributes.
func items(depth, least int) *rapid.Generator[item.Item] {
	return rapid.Custom(func(t *rapid.T) item.Item {
		return rapid.MapOfN(rapid.StringMatching(`[a-cé]{1,3}|[a-z]{100,200}`), values(depth), least, 12).Draw(t, "attributes")
	})
}
