package wire_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
)

// crate is data that only its own package knows: <…> in a JSON string, without the quotes' content being looked at.
type crate struct{ text string }

func (c *crate) DecodeWire(doc []byte, inside bool) (int, error) {
	end := strings.IndexByte(string(doc), '>')
	if doc[0] != '<' || end < 0 {
		return 0, rouse.Errorf(rouse.Invalid, "no crate, inside: %v", inside).WithCode("SerializationException")
	}
	c.text = string(doc[1:end])
	return end + 1, nil
}

func (c crate) AppendWire(dst []byte) []byte { return fmt.Appendf(dst, "<%s>", c.text) }

// Leaf and Tree are named as the service's shapes would be.
type Leaf struct {
	Size  *int64 `wire:",required"`
	Count int
}

type Tree struct {
	Crate  crate            `wire:",required"`
	Crates []crate          `max:"2"`
	By     map[string]crate `eachmin:"2" eachmax:"3" eachpattern:"[a-z]+"`
	Leaf   *Leaf
	Leaves []Leaf
	Lists  map[string][]Leaf `valuemin:"1" valuemax:"2"`
	Maps   []map[string]Leaf
	Names  map[string]string
	Name   string
	On     *bool
	Ratio  float64
	Blob   []byte
}

// Prepare runs before constraints are checked.
func (t *Tree) Prepare() error {
	switch t.Name {
	case "refuse":
		return rouse.Errorf(rouse.Invalid, "prepared to refuse")
	case "fill":
		t.Crate = crate{"filled"}
	}
	return nil
}

func forest() wire.Service {
	return wire.Service{Name: "forest", Title: "Forest", Protocol: wire.JSON10, TargetPrefix: "Forest", Errors: wire.JSONErrors(), CRC32: true,
		Classes: "com.forest", Operations: []wire.Operation{wire.Op("PutTree", "", wire.NoNeeds[Tree],
			func(_ context.Context, _ rouse.Origin, in *Tree) (*Tree, error) { return in, nil })}}
}

// plant sends a tree and answers status and body.
func plant(t *testing.T, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Forest.PutTree")
	resp := wiretest.Roundtrip(t, forest(), rouse.Origin{}, r)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.Header.Get("X-Amz-Crc32"), strconv.Itoa(int(crc32.ChecksumIEEE(text))); got != want {
		t.Errorf("%s: got the checksum %q, want %q", body, got, want)
	}
	return resp.StatusCode, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text)) // as errors escape them
}

func TestForest(t *testing.T) { wiretest.Check(t, forest()) }

func TestTypesThatReadAndWriteThemselves(t *testing.T) {
	for _, c := range []struct {
		in     string
		status int
		want   string
	}{
		{`{"Crate": <a{"b> , "Crates":[<x>,<y>],"By":{"ab":<z>}}`, 200,
			`{"Crate":<a{"b>,"Crates":[<x>,<y>],"By":{"ab":<z>},"Ratio":0}`},
		{`{"Crate":<a>,"Crates":[]}`, 200, `{"Crate":<a>,"Crates":[],"Ratio":0}`},
		{`{"Crate":null}`, 400, "1 validation error detected: Value null at 'crate' failed to satisfy constraint: Member must not be null"},
		{`{"Crate":7}`, 400, "no crate, inside: false"},
		{`{"Crate":<a>,"Crates":[7]}`, 400, "no crate, inside: true"},
		{`{"Crate":<a>} x`, 400, "Unexpected character"},
		{`{"Crate":<a>,"Crates":[<x>,<y>,<z>]}`, 400, "Member must have length less than or equal to 2"},
		{`{"Name":"refuse"}`, 400, "prepared to refuse"},
		{`{"Name":"fill"}`, 200, `{"Crate":<filled>,"Name":"fill","Ratio":0}`},
	} {
		status, body := plant(t, c.in)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want %d %s", c.in, status, body, c.status, c.want)
		}
	}
}

func TestJavaWords(t *testing.T) {
	const structure = "Start of structure or map found where not expected"
	const field, value = "Unexpected field type", "Unexpected value type in payload"
	const cast = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class"
	for _, c := range []struct{ in, want string }{
		{`{"Name":true}`, "TRUE_VALUE cannot be converted to String"},
		{`{"Name":false}`, "FALSE_VALUE cannot be converted to String"},
		{`{"Name":23}`, "NUMBER_VALUE cannot be converted to String"},
		{`{"Name":34.56}`, "DECIMAL_VALUE cannot be converted to String"},
		{`{"Name":[]}`, "Unrecognized collection type class java.lang.String"},
		{`{"Name":{}}`, structure},
		{`{"On":"23"}`, "Unexpected token received from parser"},
		{`{"On":23}`, "NUMBER_VALUE cannot be converted to Boolean"},
		{`{"On":[]}`, "Unrecognized collection type class java.lang.Boolean"},
		{`{"Leaf":{"Size":"1"}}`, "STRING_VALUE cannot be converted to Long"},
		{`{"Leaf":{"Size":[]}}`, "Unrecognized collection type class java.lang.Long"},
		{`{"Leaf":{"Count":true}}`, "TRUE_VALUE cannot be converted to Integer"},
		{`{"Ratio":"1"}`, "STRING_VALUE cannot be converted to Double"},
		{`{"Leaf":"x"}`, field}, {`{"Leaf":[]}`, "Unrecognized collection type class com.forest.Leaf"},
		{`{"Leaves":"x"}`, field}, {`{"Leaves":{}}`, structure}, {`{"Leaves":[7]}`, value},
		{`{"Leaves":[[]]}`, "Unrecognized collection type class com.forest.Leaf"},
		{`{"Names":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{`{"Names":7}`, field}, {`{"Names":{"a":7}}`, "NUMBER_VALUE cannot be converted to String"},
		{`{"Lists":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, java.util.List<com.forest.Leaf>>"},
		{`{"Lists":{"a":7}}`, cast}, {`{"Lists":{"a":{}}}`, structure}, {`{"Maps":["x"]}`, cast},
		{`{"Maps":[[]]}`, "Unrecognized collection type java.util.Map<java.lang.String, com.forest.Leaf>"},
		{`{"Blob":7}`, "only base-64-encoded strings are convertible to bytes"},
		{`{"Leaf":`, "Unexpected end-of-input"}, {`{"Leaf":x`, "Unexpected character"}, {`{"Name":-}`, "Unexpected character"},
	} {
		status, body := plant(t, c.in)
		if status != 400 || !strings.Contains(body, `"__type":"SerializationException"`) || !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want SerializationException %q", c.in, status, body, c.want)
		}
	}
}

func TestJavaIsLenient(t *testing.T) {
	for in, want := range map[string]string{
		`{"Crate":<a>,"On":"YES"}`:                      `"On":true`,
		`{"Crate":<a>,"On":"0"}`:                        `"On":false`,
		`{"Crate":<a>,"Leaf":{"Size":34.56,"Count":2}}`: `"Leaf":{"Size":34,"Count":2}`,
	} {
		if status, body := plant(t, in); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want %s", in, status, body, want)
		}
	}
}

func TestRulesOfMaps(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"Crate":<a>,"By":{"a":<x>}}`, "Value '{…}' at 'by' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 3, Member must have length greater than or equal to 2, " +
			"Member must satisfy regular expression pattern: [a-z]+]"},
		{`{"Crate":<a>,"Lists":{"k":[]}}`, "Value '{…}' at 'lists' failed to satisfy constraint: Map value must satisfy constraint: " +
			"[Member must have length less than or equal to 2, Member must have length greater than or equal to 1]"},
		{`{"Crate":<a>,"Lists":{"k":[{}]}}`, "Value null at 'lists.k.member.1.member.size' failed to satisfy constraint: Member must not be null"},
	} {
		if status, body := plant(t, c.in); status != 400 || !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want %s", c.in, status, body, c.want)
		}
	}
}
