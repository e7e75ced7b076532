package wire_test

import (
	"strings"
	"testing"
)

func TestJSONRoundTrip(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty body", ``, `{"On":false,"Count":0,"Kept":""}`},
		{"empty object", ` { } `, `{"On":false,"Count":0,"Kept":""}`},
		{"scalars", `{"Name":"n","Colour":"red","On":true,"Maybe":false,"Count":-3,"Big":18446744073709551615,"Ratio":1.5,"Kept":"k"}`,
			`{"Name":"n","Colour":"red","On":true,"Maybe":false,"Count":-3,"Big":18446744073709551615,"Ratio":1.5,"Kept":"k"}`},
		{"embedded", `{"Owner":"me"}`, `{"Owner":"me","On":false,"Count":0,"Kept":""}`},
		{"integral notations", `{"Count":3e2}`, `{"On":false,"Count":300,"Kept":""}`},
		{"blob", `{"Blob":"AAH/"}`, `{"On":false,"Count":0,"Blob":"AAH/","Kept":""}`},
		{"timestamps", `{"When":1700000000.123,"date":"2024-02-03T04:05:06.5Z"}`,
			`{"On":false,"Count":0,"When":1700000000.123,"date":"2024-02-03T04:05:06.5Z","Kept":""}`},
		{"whole seconds", `{"When":1.7E9}`, `{"On":false,"Count":0,"When":1700000000,"Kept":""}`},
		{"collections", `{"Tags":{"b":"2","a":"1"},"Sizes":[3,1],"Parts":[{"Name":"x","Parts":[{"Name":"y"}]}],"ByName":{"k":{"Name":"z","Size":2}}}`,
			`{"On":false,"Count":0,"Tags":{"a":"1","b":"2"},"Sizes":[3,1],"Parts":[{"Name":"x","Parts":[{"Name":"y"}]}],"ByName":{"k":{"Name":"z","Size":2}},"Kept":""}`},
		{"empty collections stay", `{"Tags":{},"Sizes":[]}`, `{"On":false,"Count":0,"Tags":{},"Sizes":[],"Kept":""}`},
		{"nulls are absent", `{"Name":null,"Tags":null,"Part":null,"Count":null}`, `{"On":false,"Count":0,"Kept":""}`},
		{"unknown members are ignored", `{"Nope":{"a":[1,{"b":null}]},"Count":1}`, `{"On":false,"Count":1,"Kept":""}`},
		{"the last of two wins", `{"Count":1,"Count":2}`, `{"On":false,"Count":2,"Kept":""}`},
		{"escapes", `{"Name":"\u00e9\n\"\\\/\ud83d\ude00\ud800x"}`, `{"Name":"é\n\"\\/😀` + "\uFFFD" + `x","On":false,"Count":0,"Kept":""}`},
		{"bad UTF-8", "{\"Name\":\"a\xffb\"}", `{"Name":"a` + "\uFFFD" + `b","On":false,"Count":0,"Kept":""}`},
		{"documents", `{"Raw":{"a": [1]},"Any":{"b":true}}`, `{"On":false,"Count":0,"Kept":"","Raw":{"a": [1]},"Any":{"b":true}}`},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, sendJSON(t, "PutThing", c.in), 200, c.want) })
	}
}

func TestJSONRefusesWhatItCannotRead(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`[]`, "Start of structure or map found where not expected."},
		{`{"Name":1}`, "NUMBER_VALUE can not be converted to a String"},
		{`{"Name":{}}`, "Start of structure or map found where not expected."},
		{`{"Name":true}`, "TRUE_VALUE can not be converted to a String"},
		{`{"Count":"1"}`, "STRING_VALUE can not be converted to an Integer"},
		{`{"Count":1.5}`, `"1.5" can not be converted to an Integer`},
		{`{"Count":99999999999999999999}`, `"99999999999999999999" can not be converted to an Integer`},
		{`{"Part":{"Name":"a","Size":5000000000}}`, `"5000000000" can not be converted to an Integer`},
		{`{"Big":-1}`, `"-1" can not be converted to an Integer`},
		{`{"On":1}`, "NUMBER_VALUE can not be converted to a Boolean"},
		{`{"Sizes":{}}`, "Start of structure or map found where not expected."},
		{`{"Tags":"x"}`, "Unexpected field type: want a map at byte 8 of the JSON document"},
		{`{"Blob":"***"}`, "A blob is not valid base64: illegal base64 data at input byte 0"},
		{`{"Blob":7}`, "Unexpected field type: want a blob at byte 8 of the JSON document"},
		{`{"When":"soon"}`, `"soon" is not a timestamp`},
		{`{"When":1e99}`, `1e+99 is not a timestamp`},
		{`{"Name":"a`, "Unexpected end-of-input in the JSON document"},
		{`{"Name":"a"`, "Unexpected end-of-input in the JSON document"},
		{`{"Name":"\x"}`, `Unrecognized character escape ('x') at byte 10 of the JSON document`},
		{`{"Name":"a"} x`, `Unexpected character ('x') at byte 13 of the JSON document`},
		{`{"Count":01}`, `Unexpected character ('1') at byte 10 of the JSON document`},
		{`{"Count":1,}`, `Unexpected character ('}') at byte 11 of the JSON document`},
		{"{\"Name\":\"a\nb\"}", `Unexpected character ('\n') at byte 10 of the JSON document`},
		{`{"Nope":` + strings.Repeat("[", 100000), "The JSON document is nested more than 64 levels deep"},
		{`{"Part":` + strings.Repeat(`{"Name":"a","Parts":[`, 50), "The JSON document is nested more than 64 levels deep"},
		{`{"Sizes":[0` + strings.Repeat(",0", 1<<16) + `]}`, "The request has more than 65536 list items and map entries"},
	} {
		got := sendJSON(t, "PutThing", c.in)
		want := `{"__type":"SerializationException","message":` + quote(c.want) + `}`
		if len(c.in) > 80 {
			c.in = c.in[:80]
		}
		if got.status != 400 || got.body != want {
			t.Errorf("%s:\n got %d %s\nwant 400 %s", c.in, got.status, got.body, want)
		}
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\n`, `\\n`).Replace(s) + `"`
}

func TestJSONAnswers(t *testing.T) {
	got := sendJSON(t, "DropThing", `{}`)
	expect(t, got, 200, "")
	if ct, id := got.head.Get("Content-Type"), got.head.Get("X-Amzn-RequestId"); ct != "application/x-amz-json-1.1" || id == "" {
		t.Errorf("content type %q and request id %q, want application/x-amz-json-1.1 and an id", ct, id)
	}
	expect(t, sendJSON(t, "FailThing", `{}`), 400, `{"__type":"ResourceNotFoundException","message":"no \u003cthing\u003e here"}`)
	expect(t, sendJSON(t, "FaultThing", `{}`), 500, `{"__type":"InternalServerError","message":"Rouse failed to process the `+
		`request; its log says more about request 00000000-0000-0000-0000-000000000000"}`)
	expect(t, sendJSON(t, "PaintThing", `{}`), 501, `{"__type":"NotImplementedException","message":"Rouse does not implement PaintThing of Things"}`)
	expect(t, sendJSON(t, "NoSuch", `{}`), 400, `{"__type":"UnknownOperationException","message":"Rouse knows no operation NoSuch of Things"}`)
	for target, text := range map[string]string{
		"":                "The request names no operation of Things: X-Amz-Target is missing",
		"Others.PutThing": "Rouse knows no operation POST Others.PutThing of Things",
	} {
		expect(t, send(t, jsonService(), "POST", "/", "{}", "X-Amz-Target", target), 400,
			`{"__type":"UnknownOperationException","message":"`+text+`"}`)
	}
}

func TestRefusedMembers(t *testing.T) {
	ok := []string{
		`{"KeyArn":""}`, `{"KeyArn":null}`, `{"KeyArn":false}`, `{"KeyArn":[]}`, `{"KeyArn":{"a":""}}`,
		`{"Network":{"Subnets":[],"Other":1}}`, `{"Network":7}`, `{"Old":{}}`, `{"Old":null}`,
		`{"Tracing":{"Mode":"PassThrough"}}`, `{"Tracing":{"Mode":""}}`,
	}
	for _, in := range ok {
		if got := sendJSON(t, "PutThing", in); got.status != 200 {
			t.Errorf("%s: got %d %s, want 200", in, got.status, got.body)
		}
	}
	for _, c := range []struct{ in, want string }{
		{`{"KeyArn":"arn"}`, "Rouse does not implement KeyArn of PutThing"},
		{`{"KeyArn":0}`, "Rouse does not implement KeyArn of PutThing"},
		{`{"KeyArn":true}`, "Rouse does not implement KeyArn of PutThing"},
		{`{"Network":{"Subnets":["a"]}}`, "Rouse does not implement Network.Subnets of PutThing"},
		{`{"Parts":[{"Name":"a","Old":"x"}]}`, "Rouse does not implement Parts.Old of PutThing"},
		{`{"Tracing":{"Mode":"Active"}}`, `Rouse does not implement "Active" for Tracing.Mode of PutThing, only PassThrough`},
		{`{"Old":{"Name":"a"}}`, "Rouse does not implement old things (Old of PutThing)"},
	} {
		expect(t, sendJSON(t, "PutThing", c.in), 501, `{"__type":"NotImplementedException","message":`+quote(c.want)+`}`)
	}
}

func TestConstraints(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"Colour":"green"}`, "1 validation error detected: Value 'green' at 'colour' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [red, blue]"},
		{`{"Part":{}}`, "1 validation error detected: Value null at 'part.name' failed to satisfy constraint: Member must not be null"},
		{`{"Part":{"Name":"123456789","Size":11}}`, "2 validation errors detected: Value '123456789' at 'part.name' failed to satisfy " +
			"constraint: Member must have length less than or equal to 8; Value '11' at 'part.size' failed to satisfy " +
			"constraint: Member must have value less than or equal to 10"},
		{`{"Parts":[{"Name":"a"},{"Name":"b","Size":0}]}`, "1 validation error detected: Value '0' at 'parts.2.member.size' " +
			"failed to satisfy constraint: Member must have value greater than or equal to 1"},
	} {
		expect(t, sendJSON(t, "PutThing", c.in), 400, `{"__type":"ValidationException","message":`+quote(c.want)+`}`)
	}
}
