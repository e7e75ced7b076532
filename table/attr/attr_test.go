package attr_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/item"
)

// decode reads doc as an item {"a": doc}.
func decode(doc string) (attr.Map, error) {
	var m attr.Map
	text := `{"a":` + doc + `}`
	n, err := m.DecodeWire([]byte(text+" tail"), false)
	if err == nil && n != len(text) {
		err = fmt.Errorf("read %d bytes, want %d", n, len(text))
	}
	return m, err
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{`{"S":"x"}`, ""},
		{`{"S":""}`, ""},
		{`{"S":"\u00e9\ud83d\ude00\n\"\\"}`, "{\"S\":\"é😀\\n\\\"\\\\\"}"},
		{`{"S":"\ud83d"}`, `{"S":"` + "\uFFFD" + `"}`},
		{`{"N":"1.50"}`, `{"N":"1.5"}`},
		{`{"N":"-0"}`, `{"N":"0"}`},
		{`{"N":"1e3"}`, `{"N":"1000"}`},
		{`{"B":""}`, ""},
		{`{"B":"aGk="}`, ""},
		{`{"BOOL":true}`, ""},
		{`{"BOOL":"no"}`, `{"BOOL":false}`},
		{`{"NULL":true}`, ""},
		{`{"NULL":"YES"}`, `{"NULL":true}`},
		{`{"SS":["b","a"]}`, ""},
		{`{"NS":["2","1.0"]}`, `{"NS":["2","1"]}`},
		{`{"BS":["aGk=",""]}`, ""},
		{`{"L":[]}`, ""},
		{`{"M":{}}`, ""},
		{`{"L":[{"S":"x"},{"L":[{"M":{"k":{"NULL":true}}}]}]}`, ""},
		{`{"M":{"b":{"N":"1"},"a":{"BOOL":false}}}`, `{"M":{"a":{"BOOL":false},"b":{"N":"1"}}}`},
		{` { "S" : "x" , "X" : [1, {"y": null}] } `, `{"S":"x"}`},
		{`{"S":"x","N":null}`, `{"S":"x"}`},
	} {
		m, err := decode(c.in)
		if err != nil || m.Err != nil {
			t.Errorf("%s: got %v, %v, want none", c.in, err, m.Err)
			continue
		}
		want := c.out
		if want == "" {
			want = c.in
		}
		if got := string(attr.AppendItem(nil, m.Item)); got != `{"a":`+want+`}` {
			t.Errorf("%s: got %s, want %s", c.in, got, want)
		}
		if again, err := decodeItem([]byte(`{"a":` + want + `}`)); err != nil || !again.Equal(m.Item) {
			t.Errorf("%s: read back: got %v, %v, want the same", want, again, err)
		}
	}
}

// decodeItem reads an item that is all of doc.
func decodeItem(doc []byte) (item.Item, error) {
	var m attr.Map
	doc = bytes.Trim(doc, " \t\r\n")
	n, err := m.DecodeWire(doc, false)
	if err == nil && n < len(doc) {
		err = errors.New("more follows")
	}
	return m.Item, cmp.Or(err, m.Err)
}

// TestWrongTypes goes through DynamoDB's texts for JSON of the wrong type.
func TestWrongTypes(t *testing.T) {
	const value = "Unexpected value type in payload"
	const structure = "Start of structure or map found where not expected"
	const base64 = "only base-64-encoded strings are convertible to bytes"
	scalar := func(at, class string) [][2]string {
		return [][2]string{{fmt.Sprintf(at, "[]"), "Unrecognized collection type class java.lang." + class}, {fmt.Sprintf(at, "{}"), structure},
			{fmt.Sprintf(at, "23"), "NUMBER_VALUE cannot be converted to " + class},
			{fmt.Sprintf(at, "-2147483648"), "NUMBER_VALUE cannot be converted to " + class},
			{fmt.Sprintf(at, "34.56"), "DECIMAL_VALUE cannot be converted to " + class}}
	}
	list := func(at string) [][2]string {
		var cases [][2]string
		for _, v := range []string{`"23"`, "true", "23", "34.56"} {
			cases = append(cases, [2]string{fmt.Sprintf(at, v), "Unexpected field type"})
		}
		return append(cases, [2]string{fmt.Sprintf(at, "{}"), structure})
	}
	blob := func(at string) [][2]string {
		return [][2]string{{fmt.Sprintf(at, "true"), base64}, {fmt.Sprintf(at, "23"), base64}, {fmt.Sprintf(at, "{}"), structure},
			{fmt.Sprintf(at, "[]"), "Unrecognized collection type class java.nio.ByteBuffer"},
			{fmt.Sprintf(at, `"23456"`), "Base64 encoded length is expected a multiple of 4 bytes but found: 5"},
			{fmt.Sprintf(at, `"=+/="`), "Invalid last non-pad Base64 character dectected"},
			{fmt.Sprintf(at, `"+/+="`), "Invalid last non-pad Base64 character dectected"}}
	}
	cases := [][2]string{
		{`"23"`, value}, {`true`, value}, {`23`, value}, {`34.56`, value},
		{`[]`, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"},
		{`{"M":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"},
		{`{"M":"x"}`, "Unexpected field type"}, {`{"M":{"a":7}}`, value}, {`{"L":[7]}`, value},
		{`{"S":true}`, "TRUE_VALUE cannot be converted to String"}, {`{"S":false}`, "FALSE_VALUE cannot be converted to String"},
		{`{"BOOL":"23"}`, "Unexpected token received from parser"},
	}
	for _, at := range []string{`{"S":%s}`, `{"N":%s}`, `{"SS":[%s]}`, `{"NS":[%s]}`, `{"L":[{"M":{"x":{"S":%s}}}]}`} {
		cases = append(cases, scalar(at, "String")...)
	}
	cases = append(cases, scalar(`{"BOOL":%s}`, "Boolean")...)
	cases = append(cases, scalar(`{"NULL":%s}`, "Boolean")...)
	for _, at := range []string{`{"SS":%s}`, `{"NS":%s}`, `{"BS":%s}`, `{"L":%s}`, `{"L":[{"BS":%s}]}`, `{"M":{"a":{"BS":%s}}}`} {
		cases = append(cases, list(at)...)
	}
	for _, at := range []string{`{"B":%s}`, `{"BS":[%s]}`, `{"L":[{"BS":[%s]}]}`} {
		cases = append(cases, blob(at)...)
	}
	for _, c := range cases {
		_, err := decode(c[0])
		wantError(t, c[0], err, "SerializationException", c[1])
	}
}

// TestInPlaces holds the texts that depend on where a value or map stands.
func TestInPlaces(t *testing.T) {
	for _, c := range []struct {
		doc    string
		inside bool
		into   interface {
			DecodeWire([]byte, bool) (int, error)
		}
		want string
	}{
		{`"23"`, false, &attr.Value{}, "Unexpected field type"},
		{`"23"`, true, &attr.Value{}, "Unexpected value type in payload"},
		{`23`, false, &attr.Map{}, "Unexpected field type"},
		{`23`, true, &attr.Map{}, "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast"},
		{`[]`, true, &attr.Map{}, "Unrecognized collection type java.util.Map<java.lang.String"},
	} {
		_, err := c.into.DecodeWire([]byte(c.doc), c.inside)
		wantError(t, c.doc, err, "SerializationException", c.want)
	}
}

func TestNoJSON(t *testing.T) {
	for _, doc := range []string{``, `{`, `{"a"`, `{"a":`, `{"a":{"S"`, `{"a":{"S":"x`, `{"a":{"S":"x"}`, `{"a":{"S":"\x"}}`,
		`{"a":{"S":"\u12"}}`, `{"a":{"N":01}}`, `{"a":{"S":tru}}`, `{"a":{"S":"x"},}`, `{"a":{"L":[,]}}`, "{\"a\":{\"S\":\"\x01\"}}", `{a:1}`} {
		if _, err := decodeItem([]byte(doc)); err == nil {
			t.Errorf("%q: got no error, want one", doc)
		} else {
			wantError(t, doc, err, "SerializationException", "")
		}
	}
}

// TestNoValues goes through what is well formed and still no attribute value.
func TestNoValues(t *testing.T) {
	const invalid = "One or more parameter values were invalid: "
	const empty = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	const numeric = "The parameter cannot be converted to a numeric value"
	long := strings.Repeat("1", 39)
	for _, c := range [][2]string{
		{`{}`, empty}, {`{"X":1}`, empty}, {`null`, empty}, {`{"S":null}`, empty}, {`{"M":{"a":{}}}`, empty}, {`{"L":[{}]}`, empty},
		{`{"NULL":"no"}`, invalid + "Null attribute value types must have the value of true"},
		{`{"NULL":false}`, invalid + "Null attribute value types must have the value of true"},
		{`{"SS":[]}`, invalid + "An string set  may not be empty"},
		{`{"NS":[]}`, invalid + "An number set  may not be empty"},
		{`{"BS":[]}`, invalid + "Binary sets should not be empty"},
		{`{"SS":["a","a"]}`, invalid + "Input collection [a, a] contains duplicates."},
		{`{"BS":["Yg==","Yg=="]}`, invalid + "Input collection [Yg==, Yg==]of type BS contains duplicates."},
		{`{"NS":["1","1.0"]}`, "Input collection contains duplicates"},
		{`{"SS":[null]}`, invalid + "An string set  may not have a null string as a member"},
		{`{"S":"","N":""}`, numeric}, {`{"N":"b","S":"a"}`, numeric + ": b"}, {`{"NS":["1",""]}`, numeric}, {`{"NS":["1","b"]}`, numeric + ": b"},
		{`{"N":"` + long + `"}`, "Attempting to store more than 38 significant digits in a Number"},
		{`{"N":"1e126"}`, "Number overflow. Attempting to store a number with magnitude larger than supported range"},
		{`{"N":"1e-131"}`, "Number underflow. Attempting to store a number with magnitude smaller than supported range"},
		{`{"S":"a","N":"1"}`, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{`{"L":[{"N":"x"}],"SS":[]}`, invalid + "An string set  may not be empty"},
	} {
		m, err := decode(c[0])
		if err != nil {
			t.Errorf("%s: got error %v, want only Err", c[0], err)
			continue
		}
		wantError(t, c[0], m.Err, "ValidationException", c[1])
		if m.ErrName != "a" {
			t.Errorf("%s: got the name %q, want a", c[0], m.ErrName)
		}
	}
}

func TestFirstMistakeCounts(t *testing.T) {
	var m attr.Map
	if _, err := m.DecodeWire([]byte(`{"c":{"S":"x"},"b":{},"a":{"N":"x"}}`), false); err != nil {
		t.Fatal(err)
	}
	if m.ErrName != "b" {
		t.Errorf("got %q (%v), want b", m.ErrName, m.Err)
	}
	if _, err := m.DecodeWire([]byte(`{"b":{},"a":{"N":7}}`), false); err == nil {
		t.Error("a wrong type behind a mistake: got no error, want one")
	}
}

func TestLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"L":[`, n) + `{"S":"x"}` + strings.Repeat(`]}`, n) }
	if m, err := decode(nested(item.DepthMax)); err != nil || m.Err != nil {
		t.Errorf("%d levels: got %v, %v, want none", item.DepthMax, err, m.Err)
	}
	if m, err := decode(nested(item.DepthMax + 1)); err != nil || m.Err == nil {
		t.Errorf("%d levels: got %v, %v, want Err", item.DepthMax+1, err, m.Err)
	}
	for _, deep := range []string{nested(100_000), `{"X":` + strings.Repeat("[", 100_000)} {
		if _, err := decode(deep); err == nil {
			t.Error("100,000 levels: got no error, want one")
		}
	}
	many := `{"SS":["` + strings.Repeat(`","`, item.SizeMax+5) + `"]}`
	m, err := decode(many)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "a set of too many", m.Err, "ValidationException", "Item size has exceeded the maximum allowed size")
}

func TestSent(t *testing.T) {
	var m attr.Map
	var v attr.Value
	if m.Sent() || v.Sent() {
		t.Error("zero values: got sent, want not")
	}
	if _, err := m.DecodeWire([]byte(`{}`), false); err != nil || !m.Sent() {
		t.Errorf("{}: got %v, %v, want it sent", m.Sent(), err)
	}
	if _, err := v.DecodeWire([]byte(`{}`), false); err != nil || !v.Sent() || v.Err == nil {
		t.Errorf("{}: got %v, %v, want it sent with an Err", v.Sent(), err)
	}
}

func wantError(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	e, ok := err.(*rouse.Error)
	if !ok || e.Code != code || e.Kind != rouse.Invalid || !strings.HasPrefix(e.Message, text) {
		t.Errorf("%.80s: got %v, want %s %q", what, err, code, text)
	}
}

// FuzzItem checks that what is read is JSON, and reads back as it was written.
func FuzzItem(f *testing.F) {
	for _, s := range []string{`{"a":{"S":"x"}}`, `{"a":{"N":"1e10"},"b":{"SS":["a","b"]}}`, `{"a":{"L":[{"M":{"x":{"B":"aGk="}}}]}}`,
		`{"a":{"S":"\ud83d\ude00"}}`, `{"a":{"BOOL":"yes"}}`, `{"a":{"NULL":true}}`, `{"a":{}}`, `{"a":{"BS":["",""]}}`, ` {"":{"S":"\u0000"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		it, err := decodeItem(doc)
		if err != nil {
			return
		}
		if !json.Valid(bytes.ToValidUTF8(doc, []byte("?"))) {
			t.Fatalf("%q: read, but it is no JSON", doc)
		}
		text := attr.AppendItem(nil, it)
		again, err := decodeItem(text)
		if err != nil || !again.Equal(it) {
			t.Fatalf("%q was written as %q and read back as %v, %v", doc, text, again, err)
		}
	})
}

// A record of ten attributes, as functions keep them: one copy of the text, one map, one slice per list, set and map.
const record = `{"id":{"S":"user#8f14e45f-ceea-467f-a0b1-7c1d3d2ea8a1"},"sort":{"S":"profile"},"name":{"S":"Ada Lovelace"},` +
	`"age":{"N":"36"},"active":{"BOOL":true},"tags":{"SS":["math","engine","poetry"]},"balance":{"N":"1234.56"},` +
	`"address":{"M":{"street":{"S":"12 St James's Square"},"city":{"S":"London"}}},"seen":{"L":[{"N":"1"},{"N":"2"}]},"none":{"NULL":true}}`

func BenchmarkDecode(b *testing.B) {
	doc := []byte(record)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		var m attr.Map
		if _, err := m.DecodeWire(doc, false); err != nil || m.Err != nil {
			b.Fatal(err, m.Err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	it, err := decodeItem([]byte(record))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = attr.AppendItem(buf[:0], it)
	}
}
