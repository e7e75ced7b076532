package tuple_test

import (
	"bytes"
	"cmp"
	"math"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

func TestKeyParse(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for _, want := range [][]any{
		{"a"}, {""}, {"", ""}, {"\x00"}, {"a\x00\xff\x00", "b"}, {[]byte{}}, {[]byte{0, 0xff, 1}, "x"},
		{int64(0)}, {int64(-1), int64(math.MinInt64), int64(math.MaxInt64)}, {uint64(0), uint64(math.MaxUint64)},
		{at, "id"}, {time.UnixMilli(-5).UTC()}, {"000000000000", "us-east-1", "table", []byte("k"), uint64(7)},
	} {
		got, err := tuple.Parse(tuple.Key(want...))
		if err != nil {
			t.Errorf("Parse(Key(%q)): got error %v, want none", want, err)
		} else if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("Parse(Key(%q)) (-want +got):\n%s", want, d)
		}
	}
	if got, err := tuple.Parse(nil); err != nil || len(got) != 0 {
		t.Errorf("Parse(nil): got %v, %v, want no parts", got, err)
	}
}

func TestKeyRefusesOtherTypes(t *testing.T) {
	defer func() {
		if got := recover(); got == nil {
			t.Error("Key(int): got no panic, want one")
		}
	}()
	tuple.Key(1)
}

func TestParseRefuses(t *testing.T) {
	for _, key := range []string{"\x00", "\x06", "\xff", "\x01", "\x02abc", "\x02abc\x00\xff", "\x03\x00", "\x04abcdefg", "\x05", "x"} {
		if got, err := tuple.Parse([]byte(key)); err == nil {
			t.Errorf("Parse(%q): got %v, want an error", key, got)
		}
	}
}

// part draws a value that is often close to another one.
func part() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) any {
			return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 'b', 0xfe, 0xff}), 0, 4).Draw(t, "string"))
		}),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xff}), 0, 4).Draw(t, "bytes")
		}),
		rapid.Custom(func(t *rapid.T) any { return rapid.Int64().Draw(t, "int") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.Uint64().Draw(t, "uint") }),
		rapid.Custom(func(t *rapid.T) any { return time.UnixMilli(rapid.Int64().Draw(t, "ms")).UTC() }),
	)
}

func rank(p any) int {
	switch p.(type) {
	case []byte:
		return 1
	case string:
		return 2
	case int64:
		return 3
	case uint64:
		return 4
	}
	return 5
}

func compare(a, b []any) int {
	for i := range min(len(a), len(b)) {
		c := cmp.Compare(rank(a[i]), rank(b[i]))
		if c == 0 {
			switch x := a[i].(type) {
			case []byte:
				c = bytes.Compare(x, b[i].([]byte))
			case string:
				c = strings.Compare(x, b[i].(string))
			case int64:
				c = cmp.Compare(x, b[i].(int64))
			case uint64:
				c = cmp.Compare(x, b[i].(uint64))
			case time.Time:
				c = x.Compare(b[i].(time.Time))
			}
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part(), 0, 4)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		if shared := rapid.IntRange(0, len(a)).Draw(t, "shared"); shared > 0 {
			b = append(append([]any{}, a[:shared]...), b...)
		}
		if got, want := bytes.Compare(tuple.Key(a...), tuple.Key(b...)), compare(a, b); got != want {
			t.Fatalf("order of Key(%q) and Key(%q): got %d, want %d", a, b, got, want)
		}
		under := len(b) > len(a) && compare(a, b[:len(a)]) == 0
		if got := within(tuple.Prefix(a...), tuple.Key(b...)); got != under {
			t.Fatalf("Prefix(%q) holds Key(%q): got %v, want %v", a, b, got, under)
		}
	})
}

func within(r kv.Range, key []byte) bool {
	return bytes.Compare(r.From, key) <= 0 && bytes.Compare(key, r.To) < 0
}

func TestStarting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		str := rapid.Custom(func(t *rapid.T) string {
			return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 'b', 0xff}), 0, 4).Draw(t, "bytes"))
		})
		s, name := str.Draw(t, "s"), str.Draw(t, "name")
		key := tuple.Key("x", name)
		if rapid.Bool().Draw(t, "longer") {
			key = tuple.Append(key, uint64(1))
		}
		if got, want := within(tuple.Starting(s, "x"), key), strings.HasPrefix(name, s); got != want {
			t.Fatalf("Starting(%q) holds name %q: got %v, want %v", s, name, got, want)
		}
		if within(tuple.Starting(s, "x"), tuple.Key("y", name)) || within(tuple.Starting(s, "x"), tuple.Key("x", []byte(name))) {
			t.Fatalf("Starting(%q) holds a key of another prefix or type; want it not to", s)
		}
	})
}

func TestAfter(t *testing.T) {
	k := tuple.Key("a")
	got := tuple.After(k)
	if bytes.Compare(got, k) <= 0 || bytes.Compare(got, tuple.Key("a", []byte{})) >= 0 {
		t.Errorf("After(%x): got %x, want it above the key and below what continues it", k, got)
	}
}

func TestHashed(t *testing.T) {
	const most = 100
	for _, s := range []string{"", "short", strings.Repeat("x", most-1), strings.Repeat("\x00", most/2-1)} {
		if got := tuple.Hashed(s, most); got != s {
			t.Errorf("Hashed(%q): got %q, want it unchanged", s, got)
		}
	}
	seen := map[string]string{}
	for _, s := range []string{
		strings.Repeat("x", most), strings.Repeat("x", most+1), strings.Repeat("x", 5000), strings.Repeat("\x00", most/2),
		"x" + strings.Repeat("\x00", 3000), tuple.Hashed(strings.Repeat("x", most), most),
	} {
		got := tuple.Hashed(s, most)
		if n := len(tuple.Key(got)) - 2; n != most {
			t.Errorf("Hashed(%.20q… %d bytes): encoding takes %d bytes, want %d", s, len(s), n, most)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("Hashed: %.20q and %.20q share %q; want two", s, other, got)
		}
		seen[got] = s
		if tuple.Hashed(s, most) != got {
			t.Errorf("Hashed(%.20q): two answers; want one", s)
		}
	}
	defer func() {
		if got := recover(); got == nil {
			t.Error("Hashed below HashedMin: got no panic, want one")
		}
	}()
	tuple.Hashed("x", tuple.HashedMin-1)
}

func TestHashedKeepsKeyMax(t *testing.T) {
	long := strings.Repeat("\x00", 1<<20)
	if got := len(tuple.Key("000000000000", "us-east-1", "bucket", tuple.Hashed(long, 1<<10))); got > kv.KeyMax {
		t.Errorf("key with a hashed part: got %d bytes, want at most %d", got, kv.KeyMax)
	}
}

// FuzzParse: whatever Parse takes is canonical, so that two keys never mean one thing.
func FuzzParse(f *testing.F) {
	f.Add(tuple.Key("a", []byte{0}, int64(-1), uint64(1), time.UnixMilli(0)))
	f.Add([]byte("\x02a\x00\xff\x00"))
	f.Add([]byte("\x01\x00\x02\x00"))
	f.Add([]byte{0x05, 0xff})
	f.Fuzz(func(t *testing.T, key []byte) {
		parts, err := tuple.Parse(key)
		if err != nil {
			return
		}
		if got := tuple.Key(parts...); !bytes.Equal(got, key) {
			t.Errorf("Key(Parse(%x)): got %x, want the same", key, got)
		}
	})
}

// FuzzKey: strings survive and keep their order.
func FuzzKey(f *testing.F) {
	f.Add("a", "a\x00", []byte("x"))
	f.Add("", "\xff", []byte{0, 0xff})
	f.Fuzz(func(t *testing.T, a, b string, c []byte) {
		ka, kb := tuple.Key(a, c), tuple.Key(b, c)
		if got, want := bytes.Compare(ka, kb), strings.Compare(a, b); got != want {
			t.Errorf("order of %q and %q: got %d, want %d", a, b, got, want)
		}
		parts, err := tuple.Parse(ka)
		if err != nil || len(parts) != 2 || parts[0] != a || !bytes.Equal(parts[1].([]byte), c) {
			t.Errorf("Parse(Key(%q, %x)): got %v, %v, want both back", a, c, parts, err)
		}
	})
}
