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

// TestKeyOrder: keys compare as bytes as their values compare, whatever follows; AppendKey takes what KeySize says.
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
			after := rapid.SliceOfN(rapid.Byte(), 0, 10)
			ka, kb = append(ka, after.Draw(t, "after a")...), append(kb, after.Draw(t, "after b")...)
			if got := bytes.Compare(ka, kb); got != want {
				t.Fatalf("keys %x and %x: got order %d, want %d", ka, kb, got, want)
			}
		}))
	}
}

func TestKeyRoundTrip(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), rapid.MakeCheck(func(t *rapid.T) {
			v := keys(typ).Draw(t, "v")
			tail := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "rest")
			before := []byte("before")
			key := item.AppendKey(before, v)
			if size := len(key) - len(before); typ == item.TypeNumber && size > 22 || typ != item.TypeNumber && size != item.KeySize(v.Size()) {
				t.Fatalf("AppendKey of %d bytes: got %d bytes, want %d", v.Size(), size, item.KeySize(v.Size()))
			}
			got, rest, err := item.CutKey(append(key[len(before):], tail...), typ)
			if err != nil || !got.Equal(v) || !bytes.Equal(rest, tail) {
				t.Fatalf("CutKey(%x): got %v rest %x, %v; want rest %x", key, got, rest, err, tail)
			}
			got, err = item.CutKeyTail(item.AppendKeyTail(nil, v), typ)
			if err != nil || !got.Equal(v) {
				t.Fatalf("CutKeyTail: got %v, %v", got, err)
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
		if got := item.KeyHash(item.NewBinary(bytes.Repeat([]byte{b}, item.PartitionKeyMax))); len(got) != 32 {
			t.Errorf("hash: got %d bytes, want 32", len(got))
		}
	}
	for n, want := range map[int]int{0: 9, 1: 9, 8: 9, 9: 18, 16: 18, 1024: 1152, 2048: 2304} {
		if got := item.KeySize(n); got != want {
			t.Errorf("KeySize(%d): got %d, want %d", n, got, want)
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

func TestCutKeyRefuses(t *testing.T) {
	for _, c := range []struct {
		typ item.Type
		key string
	}{
		{item.TypeString, ""}, {item.TypeString, "1234567"}, {item.TypeString, "12345678"},
		{item.TypeString, "12345678\x0a"}, {item.TypeString, "12345678\xff"}, {item.TypeString, "12345678\x09"},
		{item.TypeString, "12345678\x07"}, {item.TypeString, "a\x00\x00\x00\x00\x00\x00\x01\x01"},
		{item.TypeString, "12345678\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, {item.TypeBinary, "1234"},
		{item.TypeNumber, ""}, {item.TypeNumber, "\x80"}, {item.TypeNumber, "\xc1\x00"}, {item.TypeNumber, "\xc1\x01\x00"},
		{item.TypeNumber, "\xc1\x65\x00"}, {item.TypeNumber, "\xc1\x66\x00"}, {item.TypeNumber, "\xc1\x02\x01\x00"}, {item.TypeNumber, "\x3e\x64\x00"},
		{item.TypeNumber, "\xc1" + strings.Repeat("\x02", 21) + "\x00"}, {item.TypeNumber, "\xd3" + strings.Repeat("\x64", 20) + "\x00"},
		{item.TypeNumber, "\x3e\x66\x00"}, {item.TypeNumber, "\x3e\x65\x66\x00"}, {item.TypeNumber, "\x3e\x01\x66\x00"},
		{item.TypeList, "12345678\x08"}, {item.TypeAbsent, "12345678\x08"},
	} {
		if v, _, err := item.CutKey([]byte(c.key), c.typ); err == nil {
			t.Errorf("CutKey(%q, %s): got %v, want an error", c.key, c.typ, v.Size())
		}
	}
	if _, err := item.CutKeyTail([]byte("x"), item.TypeMap); err == nil {
		t.Error("CutKeyTail of a map: got no error")
	}
	if _, err := item.CutKeyTail([]byte("x"), item.TypeNumber); err == nil {
		t.Error("CutKeyTail of what is no number: got no error")
	}
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
