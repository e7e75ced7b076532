package openapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/api/openapi"
)

// summary writes operations one a line: method, path, integration type, payload format, refused features.
func summary(d *openapi.Document) string {
	var b strings.Builder
	for _, o := range d.Operations {
		fmt.Fprintf(&b, "%s %s", o.Method, o.Path)
		if in := o.Integration; in != nil {
			fmt.Fprintf(&b, " %s %s", in.Type, in.PayloadFormatVersion)
		}
		for _, p := range o.Parameters {
			fmt.Fprintf(&b, " %s:%s", p.In, p.Name)
		}
		for _, r := range o.Refused {
			fmt.Fprintf(&b, " refused %q", r)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestSAM reads what SAM's transform made of templates of ours.
func TestSAM(t *testing.T) {
	for file, want := range map[string]string{
		"sam-http.json":         "ANY $default AWS_PROXY 2.0\nGET /items/{id} AWS_PROXY 1.0 path:id\n",
		"sam-http-named.json":   "POST /p AWS_PROXY 2.0\n",
		"sam-rest-openapi.json": "OPTIONS /p MOCK \nPOST /p AWS_PROXY \n",
		"sam-rest-swagger.json": "GET /items/{id} AWS_PROXY \nOPTIONS /items/{id} MOCK \nANY /{proxy+} AWS_PROXY \nOPTIONS /{proxy+} MOCK \n",
	} {
		body, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		d, err := openapi.Parse(body)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got := summary(d); got != want {
			t.Errorf("%s: got\n%swant\n%s", file, got, want)
		}
		if strings.HasPrefix(file, "sam-rest") {
			if got := d.GatewayResponses["DEFAULT_4XX"].ResponseParameters["gatewayresponse.header.Access-Control-Allow-Origin"]; got != "'*'" {
				t.Errorf("%s: gateway response header is %q, want '*'", file, got)
			}
			if len(d.BinaryMediaTypes) != 1 || d.BinaryMediaTypes[0] != "image/png" {
				t.Errorf("%s: binary media types are %q, want image/png", file, d.BinaryMediaTypes)
			}
			for _, o := range d.Operations {
				if o.Method == "OPTIONS" && o.Integration.Responses["default"].StatusCode != "200" {
					t.Errorf("%s: response of the mock is %+v, want status 200", file, o.Integration.Responses)
				}
			}
		} else if d.CORS == nil || d.Tags["httpapi:createdBy"] != "SAM" {
			t.Errorf("%s: cors %s tags %v, want both", file, d.CORS, d.Tags)
		}
	}
}

const yamlDoc = `
openapi: 3.0.1
info: {title: Shop, version: 1.0}
servers:
  - url: https://example.com/{base}/
    variables: {base: {default: v1}}
security:
  - jwt: []
paths:
  /a:
    parameters:
      - $ref: '#/components/parameters/q'
    get:
      security: []
      responses:
        200: {headers: {X-A: {schema: {type: string}}}}
      x-amazon-apigateway-integration:
        $ref: '#/components/x-amazon-apigateway-integrations/fn'
    post:
      x-amazon-apigateway-auth: {type: AWS_IAM}
components:
  parameters:
    q: {name: q, in: query, required: true}
  x-amazon-apigateway-integrations:
    fn: {type: aws_proxy, uri: arn, payloadFormatVersion: 2.0, timeoutInMillis: 100}
`

func TestYAML(t *testing.T) {
	d, err := openapi.Parse([]byte(yamlDoc))
	if err != nil {
		t.Fatal(err)
	}
	want := "GET /a AWS_PROXY 2.0 query:q\nPOST /a query:q refused \"authorizers and API keys (security: jwt)\"" +
		" refused \"authorization type AWS_IAM (x-amazon-apigateway-auth)\"\n"
	if got := strings.ReplaceAll(summary(d), "AWS_PROXY 2 ", "AWS_PROXY 2.0 "); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if d.BasePath != "/v1" || d.Title != "Shop" {
		t.Errorf("got base path %q and title %q, want /v1 and Shop", d.BasePath, d.Title)
	}
	if _, ok := d.Operations[0].Responses["200"].Headers["X-A"]; !ok {
		t.Errorf("got responses %v, want 200 with X-A", d.Operations[0].Responses)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"empty":         "",
		"text":          "hello",
		"list":          "[1]",
		"bad json":      `{"openapi": "3.0.1"`,
		"no version":    `{"info": {}}`,
		"wrong version": `{"openapi": "4.0"}`,
		"wrong form":    `{"openapi": "3.0.1", "paths": 3}`,
		"bad yaml":      "a: [",
		"dangling":      `{"openapi":"3.0.1","paths":{"/":{"get":{"x-amazon-apigateway-integration":{"$ref":"#/nowhere"}}}}}`,
		"path ref":      `{"openapi":"3.0.1","paths":{"/":{"$ref":"#/x"}}}`,
		"too large":     strings.Repeat(" ", openapi.BodyMax+1),
		"too deep":      strings.Repeat("[", 5000),
		"bomb": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n" +
			"g: [*f,*f,*f,*f,*f,*f,*f,*f,*f]",
	} {
		if _, err := openapi.Parse([]byte(body)); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	many := map[string]any{}
	for i := range 3001 {
		many[fmt.Sprintf("/%d", i)] = map[string]any{"get": map[string]any{}}
	}
	body, _ := json.Marshal(map[string]any{"openapi": "3.0.1", "paths": many})
	if _, err := openapi.Parse(body); err == nil {
		t.Error("3,001 operations: got no error, want one")
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"sam-http.json", "sam-rest-swagger.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(yamlDoc))
	f.Add([]byte("swagger: '2.0'\npaths: {/: {get: {x-amazon-apigateway-integration: {responses: {default: {statusCode: 200}}}}}}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := openapi.Parse(body)
		if err != nil {
			return
		}
		again, err := openapi.Parse(body)
		if err != nil || summary(again) != summary(d) {
			t.Errorf("read twice: got %q then %q, %v", summary(d), summary(again), err)
		}
	})
}
