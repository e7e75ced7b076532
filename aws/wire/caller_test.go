package wire_test

import (
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// call decodes and encodes as Caller does.
func call(t *testing.T, s wire.Service, op, in string) (string, error) {
	t.Helper()
	table, err := wire.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	e, err := table.Operation(op)
	if err != nil {
		t.Fatal(err)
	}
	input, err := e.DecodeJSON([]byte(in), nil)
	if err != nil {
		return "", err
	}
	out, err := e.Handle(t.Context(), rouse.Origin{}, input)
	if err != nil {
		return "", err
	}
	doc, _, err := e.EncodeJSON(out)
	return string(doc), err
}

func TestCallerNamesMembersAsTheAPI(t *testing.T) {
	got, err := call(t, restService(), "PutThing", `{"name":"a","Path":"p","Limit":"7","keys":["k"],"Mode":"Sync","Since":"2024-02-03T04:05:06Z",
		"Etags":["x"],"Meta":{"one":"1"},"Title":3,"items":[{"name":"n"}]}`)
	want := `{"Name":"a","Path":"p","Limit":7,"Keys":["k"],"Mode":"Sync","Since":1706933106,"Etags":["x"],"Meta":{"one":"1"},` +
		`"Status":0,"Title":"3","items":[{"Name":"n"}]}`
	if err != nil || got != want {
		t.Errorf("REST:\n got %s, %v\nwant %s", got, err, want)
	}
	got, err = call(t, queryService(), "PutThing", `{"flag":{"a":"b"},"Flat":["x"],"count":"3","on":"true","when":1700000000}`)
	if want := `{"On":true,"Count":3,"When":1700000000,"Kept":"","Flat":["x"],"Flag":{"a":"b"}}`; err != nil || got != want {
		t.Errorf("query:\n got %s, %v\nwant %s", got, err, want)
	}
}

func TestCallerRefusesToo(t *testing.T) {
	for in, want := range map[string]string{
		`{"Name":"a","Path":"p","TenantId":"t"}`:                        "Rouse does not implement X-Amz-Tenant-Id of PutThing",
		`{"Name":"a","Path":"p","Old":"t"}`:                             "Rouse does not implement old things (Old of PutThing)",
		`{"Name":"a","Path":"p","DryRun":true}`:                         "Rouse does not implement dryRun of PutThing",
		`{"Name":"a","Path":"p","items":[{"Name":"a"},{"Old":"t"}]}`:    "Rouse does not implement item.Old of PutThing",
		`{"Name":"a","Path":"p","items":[{"Name":"a"},{"Name":false}]}`: "",
		`{"Name":"A","Path":"p"}`:                                       "failed to satisfy constraint",
		`{"Path":"p"}`:                                                  "Value null at 'name' failed to satisfy constraint: Member must not be null",
		`{"Name":"a","Path":"p","Limit":"many"}`:                        `"many" can not be converted to an Integer`,
		`{"Name":"a","Path":"p","Limit":true}`:                          "TRUE_VALUE can not be converted to an Integer",
	} {
		_, err := call(t, restService(), "PutThing", in)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", in, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want …%s…", in, err, want)
		}
	}
}
