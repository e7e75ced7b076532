package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func (a *answer) String() string {
	return fmt.Sprintf("%d %v %v %q base64=%t inferred=%t", a.status, a.header, a.cookies, a.body, a.base64, a.inferred)
}

// Where a case stands for something seen on AWS, the expectation is what AWS answered.
func TestAnswer(t *testing.T) {
	const malformed = "malformed"
	for _, c := range []struct {
		form form
		text string
		want string
	}{
		{formREST, `{"statusCode": 200}`, `200 [] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200, "headers": {"a": "v", "b": true, "c": 3}}`, `200 [{a v} {b true} {c 3}] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200, "headers": null}`, `200 [] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200, "wrongValue": "value"}`, malformed},
		{formREST, `{"statusCode": 200, "multiValueHeaders": {"m": ["1", "2"]}}`, `200 [{m 1} {m 2}] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200, "multiValueHeaders": {"M": ["multi"]}, "headers": {"m": "solo"}}`, `200 [{M multi} {m solo}] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200, "multiValueHeaders": {"m": "1"}}`, malformed},
		{formREST, `{"statusCode": "test"}`, malformed},
		{formREST, `{"statusCode": "201"}`, `201 [] [] "" base64=false inferred=false`},
		{formREST, `"justAString"`, malformed},
		{formREST, `{"headers": {"a": "v"}}`, `200 [{a v}] [] "" base64=false inferred=false`},
		{formREST, `null`, malformed},
		{formREST, `{"statusCode": 200, "body": {"a": 1}}`, malformed},
		{formREST, `{"statusCode": 200, "body": null}`, `200 [] [] "" base64=false inferred=false`},
		{formREST, `{"statusCode": 200} x`, malformed},
		{formREST, `{"statusCode": 99}`, malformed},
		{formREST, `{"statusCode": 200, "headers": {"a b": "v"}}`, malformed},
		{formREST, `{"statusCode": 200, "headers": {"a": "v\r\nx: y"}}`, malformed},
		{formHTTP1, `{"body": "x"}`, malformed},
		{formHTTP1, `{"statusCode": 200, "more": [1, {"a": null}]}`, `200 [] [] "" base64=false inferred=false`},
		{formHTTP2, `{"statusCode": 201, "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": true}`, `201 [] [a=1 b=2] "aGk=" base64=true inferred=false`},
		{formHTTP2, `{"statusCode": 200.5}`, malformed},
		{formHTTP2, `{"statusCode": null}`, malformed},
		{formHTTP2, `{"message": "hi"}`, `200 [] [] "{\"message\": \"hi\"}" base64=false inferred=true`},
		{formHTTP2, `"hello \"you\" \u00e9 \ud83d\ude00"`, `200 [] [] "hello \"you\" é 😀" base64=false inferred=true`},
		{formHTTP2, `["hello",3,true]`, `200 [] [] "[\"hello\",3,true]" base64=false inferred=true`},
		{formHTTP2, `3.1`, `200 [] [] "3.1" base64=false inferred=true`},
		{formHTTP2, `null`, `200 [] [] "null" base64=false inferred=true`},
		{formHTTP2, `{"name": "John Doe", "age":`, `200 [] [] "{\"name\": \"John Doe\", \"age\":" base64=false inferred=true`},
		{formHTTP2, ``, `200 [] [] "" base64=false inferred=true`},
		{formHTTP2, `{"statusCode": 200, "multiValueHeaders": {"m": ["1"]}, "cookies": null, "isBase64Encoded": null}`, `200 [] [] "" base64=false inferred=false`},
	} {
		var a answer
		got := malformed
		if err := a.parse([]byte(c.text), c.form); err == nil {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("form %d, %s:\ngot  %s\nwant %s", c.form, c.text, got, c.want)
		}
	}
}

// FuzzAnswer holds the reader to encoding/json: what the one takes, the other takes, with the same body.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"statusCode":200,"body":"a\u0041\ud800\ud83d\ude00\n"}`, `{"statusCode":"200","headers":{"a":1e3}}`,
		`[[[]]]`, `{"a":{"b":[true,null,-0.5E-2]}}`, `"x"`, `{"statusCode":200,"cookies":["a"]}`, "{\"statusCode\":200,\"body\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a answer
		for _, form := range []form{formREST, formHTTP1, formHTTP2} {
			err := a.parse(text, form)
			var v struct {
				Body *string `json:"body"`
			}
			if err == nil && !a.inferred {
				if !json.Valid(text) {
					t.Fatalf("form %d took %q, which is not JSON", form, text)
				}
				if json.Unmarshal(text, &v) == nil && v.Body != nil && utf8.Valid(text) && strings.Count(string(text), "ody") == 1 &&
					!strings.Contains(string(text), `\u`) && *v.Body != string(a.body) {
					t.Fatalf("form %d of %q: got body %q, want %q", form, text, a.body, *v.Body)
				}
			}
		}
		var r reader
		r.reset(text)
		ok := r.skip(0) == nil && r.ended()
		if valid := json.Valid(text); ok != valid {
			t.Fatalf("skip of %q: got %t, want %t", text, ok, valid)
		}
		var back string
		if err := json.Unmarshal(appendString(nil, text), &back); err != nil || back != strings.ToValidUTF8(string(text), "\ufffd") && utf8.Valid(text) {
			t.Fatalf("appendString of %q: got %q, %v", text, back, err)
		}
	})
}
