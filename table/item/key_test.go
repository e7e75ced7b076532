package item_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
)

// TestKeyOrder: keys compare as bytes as their values compare, whatever follows.
func TestKeyOrder(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), rapid.MakeCheck(func(t *rapid.T) {
			a, b := keys(typ).Draw(t, "a"), keys(typ).Draw(t, "b")
			want, ok := item.Compare(a, b)
			if !ok {
				t.Fatal("Compare refuses keys of one type")
			}
			ta, tb := item.AppendKeyTail(nil, a), item.AppendKeyTail(nil, b)
			if got := bytes.Compare(ta, tb); got != want {
				t.Fatalf("tails %x and %x: got order %d, want %d", ta, tb, got, want)
			}
			ka, kb := item.AppendKey(nil, a), item.AppendKey(nil, b)
			if want == 0 {
				if !bytes.Equal(ka, kb) {
					t.Fatalf("equal values: got keys %x and %x", ka, kb)
				}
				return
			}
			if typ == item.TypeNumber && len(ka) > 22 {
				t.Fatalf("key of a number: got %d bytes, want at most 22", len(ka))
			}
			after := rapid.SliceOfN(rapid.Byte(), 0, 10)
			ka, kb = append(ka, after.Draw(t, "after a")...), append(kb, after.Draw(t, "after b")...)
			if got := bytes.Compare(ka, kb); got != want {
				t.Fatalf("keys %x and %x: got order %d, want %d", ka, kb, got, want)
			}
		}))
	}
}

// TestKeyPrefix: the keys of the values that begin with p are those with its prefix from its own key on.
func TestKeyPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, p := keyBytes().Draw(t, "value"), keyBytes().Draw(t, "prefix")
		if rapid.Bool().Draw(t, "begin with it") {
			a = p + a
		}
		want := strings.HasPrefix(a, p)
		key, prefix := item.AppendKey(nil, str(a)), item.AppendKeyPrefix(nil, bin(p))
		if got := bytes.HasPrefix(key, prefix) && bytes.Compare(key, item.AppendKey(nil, bin(p))) >= 0; got != want {
			t.Fatalf("key of %q is in the range of prefix %q: got %v, want %v", a, p, got, want)
		}
	})
}

// TestKeyBudget: at DynamoDB's limits the keys that the engine builds stay within the store's.
func TestKeyBudget(t *testing.T) {
	for _, b := range []byte{0, 'x', 0xff} {
		long := item.NewBinary(bytes.Repeat([]byte{b}, item.SortKeyMax))
		if got := len(item.AppendKeyTail(nil, long)); got != 1024 {
			t.Errorf("tail of 1,024 bytes: got %d bytes", got)
		}
		key := item.AppendKey(nil, long)
		if len(key) != 1152 {
			t.Errorf("key of 1,024 bytes: got %d bytes, want 1,152", len(key))
		}
		// An index entry: 64 bytes of names and numbers of tables, two hashes, the index's sort key.
		if got := 64 + 32 + len(key) + 32; got > kv.KeyMax {
			t.Errorf("an index entry's key: got %d bytes, at most %d fit", got, kv.KeyMax)
		}
		longest := bytes.Repeat([]byte{b}, item.PartitionKeyMax)
		if item.KeyHash(item.NewBinary(longest)) == item.KeyHash(item.NewBinary(longest[1:])) {
			t.Errorf("keys of %d bytes and one less of %x: got one hash, want two", len(longest), b)
		}
	}
	for n, want := range map[int]int{0: 9, 1: 9, 8: 9, 9: 18, 16: 18, 1024: 1152, 2048: 2304} {
		if got := len(item.AppendKey(nil, item.NewBinary(make([]byte, n)))); got != want {
			t.Errorf("key of %d bytes: got %d bytes, want %d", n, got, want)
		}
	}
}

func TestKeyHash(t *testing.T) {
	for s, want := range map[string]string{
		"a": "f6558e516275dee2", "abc": "12db4f356ed35285", "héllo": "ea2c2f09e38f43ed", "日本": "b4d37b1ae48d3116",
	} {
		h := item.KeyHash(str(s))
		if got := hex.EncodeToString(h[:8]); got != want {
			t.Errorf("KeyHash(%q): got %s, want %s", s, got, want)
		}
		if h != item.KeyHash(bin(s)) {
			t.Errorf("KeyHash(%q): a binary of the same bytes is elsewhere", s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := keys(item.TypeString).Draw(t, "a"), keys(item.TypeString).Draw(t, "b")
		x, y := item.KeyHash(a), item.KeyHash(b)
		if (x == y) != a.Equal(b) || (string(x[8:]) == string(y[8:])) != a.Equal(b) {
			t.Fatalf("hashes of %q and %q: %x and %x", a.Str(), b.Str(), x, y)
		}
	})
}

// TestKeyMistakes: a key of another type is a mistake of the program.
func TestKeyMistakes(t *testing.T) {
	for name, f := range map[string]func(){
		"AppendKey":       func() { item.AppendKey(nil, item.NewBool(true)) },
		"AppendKeyTail":   func() { item.AppendKeyTail(nil, item.Value{}) },
		"AppendKeyPrefix": func() { item.AppendKeyPrefix(nil, nval(t, "1")) },
		"KeyHash":         func() { item.KeyHash(item.NewNull()) },
	} {
		if !panics(f) {
			t.Errorf("%s of a value that cannot be a key: got no panic", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
