package item_test

import (
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/item"
)

const (
	notNumeric = "The parameter cannot be converted to a numeric value"
	tooPrecise = "Attempting to store more than 38 significant digits in a Number"
	overflow   = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	underflow  = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)

// checkInvalid holds an error to DynamoDB's text and to what a door makes of it.
func checkInvalid(t *testing.T, what string, err error, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got error %v, want %q", what, err, text)
		return
	}
	if e.Message != text || e.Kind != rouse.Invalid || e.Code != "ValidationException" {
		t.Errorf("%s: got %q (%s, %s), want %q (invalid, ValidationException)", what, e.Message, e.Kind, e.Code, text)
	}
}

func TestNumberText(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.000", "0"}, {"-0e-500", "0"}, {"0e1000", "0"}, {"000", "0"},
		{"1", "1"}, {"+3", "3"}, {"-1", "-1"}, {"007", "7"}, {"0001.23", "1.23"}, {".5", "0.5"}, {"-.5", "-0.5"}, {"5.", "5"},
		{"10", "10"}, {"100", "100"}, {"1000", "1000"}, {"10.10", "10.1"}, {"1.0", "1"}, {"1e2", "100"}, {"1E+2", "100"},
		{"123.456", "123.456"}, {"12.3456", "12.3456"}, {"0.1", "0.1"}, {"0.01", "0.01"}, {"0.001", "0.001"},
		{"1.5e-3", "0.0015"}, {"15e-3", "0.015"}, {"100e-2", "1"}, {"-17.4E37", "-174" + zeros(36)},
		{"00000000000000000000000000000000000000000000000000001", "1"},
		{"1" + zeros(60), "1" + zeros(60)}, {"0." + zeros(60) + "1" + zeros(60), "0." + zeros(60) + "1"},
		{"1e125", "1" + zeros(125)}, {"1e-130", "0." + zeros(129) + "1"}, {"-1e-130", "-0." + zeros(129) + "1"},
		{nines, nines}, {"-" + nines + "e87", "-" + nines + zeros(87)}, {"0.1e126", "1" + zeros(125)},
		{"10e-131", "0." + zeros(129) + "1"},
		{nines + ".000", nines}, {"9007199254740993", "9007199254740993"},
		{"9.9999999999999999999999999999999999999E+125", nines + zeros(88)},
	} {
		n, err := item.ParseNumber(c.in)
		if err != nil {
			t.Errorf("ParseNumber(%q): got error %v, want %s", c.in, err, c.want)
			continue
		}
		if got := n.String(); got != c.want {
			t.Errorf("ParseNumber(%q): got %s, want %s", c.in, got, c.want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestNumberRefused(t *testing.T) {
	checkInvalid(t, "an empty text", second(item.ParseNumber("")), notNumeric)
	for _, s := range []string{"a", "NaN", "Infinity", "-Infinity", "dog", "-dog", " 1", "1 ", "1 2", "-", "+", ".", "-.", "e5", ".e5",
		"1e", "1e+", "1e-", "1e5.5", "1.2.3", "--1", "+-1", "0x10", "1_000", "1,5", "١", "1e5e5", "\x00", "1\n"} {
		checkInvalid(t, s, second(item.ParseNumber(s)), notNumeric+": "+s)
	}
	for _, s := range []string{"1e126", "-1e126", "11e125", "1" + zeros(126), "1e100000000", "1e99999999999999999999999999",
		"1234567890123456789012345678901234567890e100"} {
		checkInvalid(t, s, second(item.ParseNumber(s)), overflow)
	}
	for _, s := range []string{"1e-131", "-1e-131", "0.9e-130", "1e-99999999999999999999999999", "0." + zeros(130) + "1"} {
		checkInvalid(t, s, second(item.ParseNumber(s)), underflow)
	}
	for _, s := range []string{"123456789012345678901234567890123456789", "-1.23456789012345678901234567890123456789",
		"314159265358979323846264338327950288419e30", "1" + zeros(37) + "1", "1" + zeros(100) + ".1"} {
		checkInvalid(t, s, second(item.ParseNumber(s)), tooPrecise)
	}
}

func second[T any](_ T, err error) error { return err }

// TestNumberForms holds forms, sizes and the order of scans to what DynamoDB is known to do.
func TestNumberForms(t *testing.T) {
	for _, c := range []struct {
		text, form string
		size       int
		hash       string
	}{
		{"0", "80", 1, "ce212d751674ab5d"},
		{"1", "c102", 2, "c3a0310aed78739b"},
		{"-1", "3e6466", 3, "0267df4c95559d50"},
		{"9", "c10a", 2, "711f8961950660d3"},
		{"10", "c10b", 2, "3c465f5ad8c28afa"},
		{"-10", "3e5b66", 3, "63129faadf07206a"},
		{"99", "c164", 2, "ff3ca71fa74fec9e"},
		{"100", "c202", 2, "6840bd23a62fcf9a"},
		{"-100", "3d6466", 3, "1326ef217d3618bf"},
		{"101", "c20202", 3, "ce436b666ebdd797"},
		{"12345", "c302182e", 4, "0e0be71dcc096409"},
		{"-12345", "3c644e3866", 5, "0a8448ae6ed7d92c"},
		{"0.1", "c00b", 2, "e2d17168a6c4d757"},
		{"-0.1", "3f5b66", 3, "62d4113a20c7fbd7"},
		{"0.01", "c002", 2, "355037b7082c4384"},
		{"0.001", "bf0b", 2, "3223fe2c2fe7bd22"},
		{"123.456", "c202182e3d", 5, "5a80605772ada056"},
		{"-123.456", "3d644e382966", 6, "74737295f13b73ec"},
		{"1e-130", "8002", 2, "727de75fed0d7a87"},
		{"-1e-130", "7f6466", 3, "3ad3e0d25a9e3913"},
		{"1.5e-129", "8010", 2, "df53d66f671962e1"},
		{"9.9999999999999999999999999999999999999e125", "ff64646464646464646464646464646464646464", 20, "459670331015711e"},
		{"-9.9999999999999999999999999999999999999e125", "000202020202020202020202020202020202020266", 21, "21889b5a660e5176"},
		{"12345678901234567890123456789012345678", "d30d23394f5b0d23394f5b0d23394f5b0d23394f", 20, "b50a4cbd60115903"},
		{"-12345678901234567890123456789012345678", "2c59432d170b59432d170b59432d170b59432d1766", 21, "089522115ad1ad19"},
		{"1234567890123456789012345678901234567.8", "d302182e445a02182e445a02182e445a02182e4451", 21, "ca5a4a98db5bd1e3"},
		{"-1234567890123456789012345678901234567.8", "2c644e38220c644e38220c644e38220c644e382215", 22, "335ecc43d5704156"},
		{"-1234567890123456789012345678901234567e20", "22644e38220c644e38220c644e38220c644e382266", 21, "b83033323c031228"},
		{"9007199254740993", "c85b08145d374b0a5e", 9, "2d94e9531b093ab5"},
		{"-9007199254740993", "370b5e52092f1b5c0866", 10, "cc85963cac56e4bd"},
		{"5e100", "f306", 2, "bd9d28ea537b90ba"},
	} {
		v := nval(t, c.text)
		if got := hex.EncodeToString(item.AppendKeyTail(nil, v)); got != c.form {
			t.Errorf("form of %s: got %s, want %s", c.text, got, c.form)
		}
		if got := v.Size(); got != c.size {
			t.Errorf("size of %s: got %d, want %d", c.text, got, c.size)
		}
		h := item.KeyHash(v)
		if got := hex.EncodeToString(h[:8]); got != c.hash {
			t.Errorf("hash of %s: got %s, want %s", c.text, got, c.hash)
		}
	}
}

func TestNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := numberTexts().Draw(t, "text")
		n, err := item.ParseNumber(text)
		if err != nil {
			t.Fatalf("ParseNumber(%q): %v", text, err)
		}
		if got, want := rat(t, n.String()), rat(t, text); got.Cmp(want) != 0 {
			t.Fatalf("ParseNumber(%q).String(): got %s, want %s", text, n, want.FloatString(130))
		}
		again, err := item.ParseNumber(n.String())
		if err != nil || again != n {
			t.Fatalf("ParseNumber(%q): got %v, %v, want the same number", n.String(), again, err)
		}
	})
}

// compare orders two numbers as values.
func compare(t interface{ Fatalf(string, ...any) }, a, b item.Number) int {
	got, ok := item.Compare(item.NewNumber(a), item.NewNumber(b))
	if !ok {
		t.Fatalf("Compare refuses %s and %s", a, b)
	}
	return got
}

func TestNumberOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		want := rat(t, a.String()).Cmp(rat(t, b.String()))
		if got := compare(t, a, b); got != want {
			t.Fatalf("%s compared to %s: got %d, want %d", a, b, got, want)
		}
		if got := a == b; got != (want == 0) {
			t.Fatalf("%s == %s: got %v, want %v", a, b, got, want == 0)
		}
	})
}

func TestNumberSum(t *testing.T) {
	limit := rat(t, "1e126")
	tiny := rat(t, "1e-130")
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		for _, c := range []struct {
			op   string
			do   func(item.Number) (item.Number, error)
			want *big.Rat
		}{
			{"+", a.Add, new(big.Rat).Add(rat(t, a.String()), rat(t, b.String()))},
			{"-", a.Sub, new(big.Rat).Sub(rat(t, a.String()), rat(t, b.String()))},
		} {
			got, err := c.do(b)
			abs := new(big.Rat).Abs(c.want)
			digits := strings.Trim(strings.Replace(abs.FloatString(300), ".", "", 1), "0")
			fits := c.want.Sign() == 0 || abs.Cmp(limit) < 0 && abs.Cmp(tiny) >= 0 && len(digits) <= 38
			if (err == nil) != fits {
				t.Fatalf("%s %s %s: got error %v, want fits = %v", a, c.op, b, err, fits)
			}
			if err == nil && rat(t, got.String()).Cmp(c.want) != 0 {
				t.Fatalf("%s %s %s: got %s, want %s", a, c.op, b, got, c.want.FloatString(130))
			}
		}
	})
}

func TestNumberSumLimits(t *testing.T) {
	for _, c := range []struct{ a, op, b, want string }{
		{"1", "+", "10000000000000000000000", "10000000000000000000001"},
		{"10000000000000000000000", "-", "1", "9999999999999999999999"},
		{"0.1", "+", "0.2", "0.3"}, {"1", "-", "1", "0"}, {"0", "-", "5", "-5"}, {"0", "-", "1e-130", "-0." + zeros(129) + "1"},
		{"9223372036854775807", "+", "1", "9223372036854775808"}, {"-9223372036854775808", "-", "1", "-9223372036854775809"},
		{"5", "-", "-9223372036854775808", "9223372036854775813"}, {"1e125", "-", "1e125", "0"},
		{"60e124", "+", "50e124", overflow}, {"119.94", "+", "0.06", "120"}, {"0", "+", "0", "0"}, {"1e-130", "-", "1e-130", "0"},
		{"0", "+", "7.5", "7.5"}, {"7.5", "-", "0", "7.5"}, {"999999999999999999", "+", "999999999999999999", "1999999999999999998"},
		{"9e125", "+", "9e125", overflow}, {"9e125", "-", "-9e125", overflow},
		{"1e50", "+", "1", overflow}, {"1e50", "-", "1", overflow}, {"1e125", "+", "1e-130", overflow},
		{"1.1e-130", "-", "1e-130", underflow},
	} {
		a, b := num(t, c.a), num(t, c.b)
		got, err := a.Add(b)
		if c.op == "-" {
			got, err = a.Sub(b)
		}
		if strings.HasPrefix(c.want, "Number") {
			checkInvalid(t, c.a+c.op+c.b, err, c.want)
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s %s %s: got %s, %v, want %s", c.a, c.op, c.b, got, err, c.want)
		}
	}
}

func TestInt(t *testing.T) {
	for _, i := range []int64{0, 1, -1, 9, 10, 99, 100, 101, 1e17, 1e18, math.MaxInt64, math.MinInt64, math.MaxInt64 - 7} {
		n := item.Int(i)
		if want := num(t, big.NewInt(i).String()); n != want {
			t.Errorf("Int(%d): got %s, want %s", i, n, want)
		}
		if got, ok := n.Int64(); got != i || !ok {
			t.Errorf("Int(%d).Int64(): got %d, %v", i, got, ok)
		}
	}
	for _, s := range []string{"0.5", "1.01", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "1e30", "1e-5"} {
		if got, ok := num(t, s).Int64(); ok {
			t.Errorf("Int64 of %s: got %d, want none", s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "i")
		if got, ok := item.Int(i).Int64(); got != i || !ok {
			t.Fatalf("Int(%d).Int64(): got %d, %v", i, got, ok)
		}
	})
}
