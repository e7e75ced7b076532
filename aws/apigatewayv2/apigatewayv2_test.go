package apigatewayv2_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/apigatewayv2"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	account  = "111122223333"
	region   = "eu-west-1"
	function = "arn:aws:lambda:eu-west-1:111122223333:function:shop"
	role     = "arn:aws:iam::111122223333:role/caller"
)

// house is the API on a server, with an Authorizer that notes what it is asked.
type house struct {
	t    *testing.T
	url  string
	apis *api.APIs
	door *aws.Door

	mu    sync.Mutex
	needs []rouse.Need // of the last request; guarded by mu
}

func (h *house) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{Secret: "secret", Origin: origin()}, nil
}

func origin() rouse.Origin {
	return rouse.Origin{Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/ann"}}
}

func (h *house) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needs = needs
	return nil
}

func open(t *testing.T) *house {
	t.Helper()
	apis, err := api.Open(t.Context(), api.Config{Store: kvtest.Memory(t), Region: region})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, apis: apis}
	h.door, err = aws.New(aws.Config{Services: []wire.Service{apigatewayv2.New(apis).Service()}, Keys: h, Authorize: h})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.door)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// call sends a signed request and wants its status, and the text in its body. The answer's JSON comes back.
func (h *house) call(method, path, body string, status int, text string) map[string]any {
	h.t.Helper()
	r, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	sigv4.Signer{AccessKeyID: "AKIA", SecretAccessKey: "secret", Region: region, Service: "apigateway"}.
		Sign(r, sigv4.HashPayload([]byte(body)), time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if res.StatusCode != status || !strings.Contains(string(b), text) {
		h.t.Errorf("%s %s: got %d %s, want %d %s", method, path, res.StatusCode, b, status, text)
	}
	var v map[string]any
	_ = json.Unmarshal(b, &v)
	return v
}

// needed is what the last request asked for, "ACTION RESOURCE" by lines.
func (h *house) needed() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, n := range h.needs {
		fmt.Fprintf(&b, "%s %s\n", n.Action, n.Resource)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	s := apigatewayv2.New(open(t).apis).Service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "apigatewayv2/2018-11-29")
}

func TestQuickCreate(t *testing.T) {
	h := open(t)
	made := h.call("POST", "/v2/apis", `{"name":"shop","protocolType":"HTTP","target":"`+function+`","tags":{"a":"b"},
		"credentialsArn":"`+role+`","corsConfiguration":{"allowOrigins":["*"],"maxAge":5}}`, 201, `"protocolType":"HTTP"`)
	id, _ := made["apiId"].(string)
	if want := "apigateway:POST arn:aws:apigateway:eu-west-1::/apis\niam:PassRole " + role + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	if created, _ := made["createdDate"].(string); !strings.HasSuffix(created, "Z") {
		t.Errorf("createdDate is %v, want ISO 8601", made["createdDate"])
	}
	h.call("GET", "/v2/apis/"+id, "", 200, `"corsConfiguration":{"allowOrigins":["*"],"maxAge":5}`)
	h.call("GET", "/v2/apis/"+id+"/routes", "", 200, `"routeKey":"$default"`)
	h.call("GET", "/v2/apis/"+id+"/stages/$default", "", 200, `"autoDeploy":true`)
	h.call("GET", "/v2/apis/"+id+"/integrations", "", 200, `"payloadFormatVersion":"2.0"`)
	h.call("PATCH", "/v2/apis/"+id, `{"description":"new"}`, 200, `"description":"new"`)
	h.call("DELETE", "/v2/apis/"+id+"/cors", "", 204, "")
	h.call("GET", "/v2/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fapis%2F"+id, "", 200, `{"tags":{"a":"b"}}`)
	h.call("POST", "/v2/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fapis%2F"+id, `{"tags":{"c":"d"}}`, 201, "{}")
	h.call("DELETE", "/v2/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fapis%2F"+id+"?tagKeys=a&tagKeys=x", "", 204, "")
	h.call("GET", "/v2/apis/"+id, "", 200, `"tags":{"c":"d"}`)
	h.call("DELETE", "/v2/apis/"+id, "", 204, "")
	h.call("GET", "/v2/apis/"+id, "", 404, `"message":"Invalid API identifier specified `+id+`"`)
}

func TestParts(t *testing.T) {
	h := open(t)
	id, _ := h.call("POST", "/v2/apis", `{"name":"n","protocolType":"HTTP"}`, 201, "")["apiId"].(string)
	at := "/v2/apis/" + id
	arn := "arn:aws:apigateway:eu-west-1::/apis/" + id
	integration, _ := h.call("POST", at+"/integrations", `{"integrationType":"AWS_PROXY","integrationUri":"`+function+
		`","payloadFormatVersion":"2.0","timeoutInMillis":100}`, 201, `"timeoutInMillis":100`)["integrationId"].(string)
	h.call("PATCH", at+"/integrations/"+integration, `{"credentialsArn":"`+role+`"}`, 200, role)
	if want := "apigateway:PATCH " + arn + "/integrations/" + integration + "\niam:PassRole " + role + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	route, _ := h.call("POST", at+"/routes", `{"routeKey":"GET /a/{id}","target":"integrations/`+integration+`"}`, 201, `"authorizationType":"NONE"`)["routeId"].(string)
	h.call("GET", at+"/routes/"+route, "", 200, `"target":"integrations/`+integration+`"`)
	if want := "apigateway:GET " + arn + "/routes/" + route + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	h.call("PATCH", at+"/routes/"+route, `{"operationName":"op"}`, 200, `"operationName":"op"`)
	deployment, _ := h.call("POST", at+"/deployments", `{"description":"d"}`, 201, `"deploymentStatus":"DEPLOYED"`)["deploymentId"].(string)
	h.call("POST", at+"/stages", `{"stageName":"prod","deploymentId":"`+deployment+`","stageVariables":{"a":"b"},
		"routeSettings":{"GET /a/{id}":{"throttlingRateLimit":5.5}}}`, 201, `"throttlingRateLimit":5.5`)
	h.call("GET", at+"/stages", "", 200, `"stageVariables":{"a":"b"}`)
	h.call("DELETE", at+"/stages/prod/routesettings/GET%20%2Fa%2F%7Bid%7D", "", 204, "")
	h.call("PATCH", at+"/stages/prod", `{"autoDeploy":true}`, 200, `"autoDeploy":true`)
	h.call("GET", at+"/deployments", "", 200, `"autoDeployed":true`)
	h.call("PATCH", at+"/deployments/"+deployment, `{"description":"e"}`, 200, `"description":"e"`)
	h.call("DELETE", at+"/deployments/"+deployment, "", 204, "")
	h.call("DELETE", at+"/integrations/"+integration, "", 409, "referenced by Route")
	h.call("DELETE", at+"/routes/"+route, "", 204, "")
	h.call("DELETE", at+"/integrations/"+integration, "", 204, "")
	h.call("DELETE", at+"/stages/prod", "", 204, "")
	h.call("GET", at+"/stages/prod", "", 404, "Invalid stage identifier specified")
}

func TestImport(t *testing.T) {
	h := open(t)
	body, _ := json.Marshal(map[string]string{"body": `{"openapi":"3.0.1","info":{"title":"t"},"paths":{"/a":{"get":{
		"x-amazon-apigateway-integration":{"type":"aws_proxy","uri":"` + function + `","payloadFormatVersion":"2.0","credentials":"` + role + `"}}}}}`})
	id, _ := h.call("PUT", "/v2/apis?failOnWarnings=true", string(body), 201, `"name":"t"`)["apiId"].(string)
	if want := "apigateway:PUT arn:aws:apigateway:eu-west-1::/apis\niam:PassRole " + role + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	h.call("PUT", "/v2/apis/"+id, string(body), 201, `"apiId":"`+id+`"`)
	h.call("GET", "/v2/apis/"+id+"/routes", "", 200, `"routeKey":"GET /a"`)
	h.call("PUT", "/v2/apis", `{"body":"no"}`, 400, "Invalid OpenAPI input.")
}

func TestPages(t *testing.T) {
	h := open(t)
	for range 3 {
		h.call("POST", "/v2/apis", `{"name":"n","protocolType":"HTTP"}`, 201, "")
	}
	seen := map[any]bool{}
	token := ""
	for range 3 {
		page := h.call("GET", "/v2/apis?maxResults=1&nextToken="+token, "", 200, "")
		items, _ := page["items"].([]any)
		seen[items[0].(map[string]any)["apiId"]] = true
		token, _ = page["nextToken"].(string)
	}
	if len(seen) != 3 || token != "" {
		t.Errorf("saw %d APIs and token %q, want 3 and none", len(seen), token)
	}
	h.call("GET", "/v2/apis?nextToken=!", "", 400, "Invalid nextToken")
	h.call("GET", "/v2/apis?maxResults=x", "", 400, "Invalid maxResults")
}

func TestRefusals(t *testing.T) {
	h := open(t)
	id, _ := h.call("POST", "/v2/apis", `{"name":"n","protocolType":"HTTP"}`, 201, "")["apiId"].(string)
	at := "/v2/apis/" + id
	h.call("POST", "/v2/apis", `{"name":"n","protocolType":"WEBSOCKET"}`, 501, "Rouse does not implement")
	h.call("POST", at+"/routes", `{"routeKey":"GET /a","authorizerId":"x"}`, 501, "authorizerId")
	h.call("POST", at+"/routes", `{"routeKey":"GET /a","authorizationType":"JWT"}`, 501, "authorizationType")
	h.call("POST", at+"/integrations", `{"integrationType":"AWS_PROXY","integrationSubtype":"SQS-SendMessage"}`, 501, "integrationSubtype")
	h.call("POST", at+"/stages", `{"stageName":"s","accessLogSettings":{"destinationArn":"x"}}`, 501, "accessLogSettings")
	h.call("POST", at+"/authorizers", `{}`, 501, "CreateAuthorizer")
	h.call("POST", "/v2/domainnames", `{}`, 501, "CreateDomainName")
	h.call("POST", "/v2/apis", `{"protocolType":"HTTP"}`, 400, "name is required")
	h.call("POST", at+"/stages", `{}`, 400, "stageName")
}

// TestCaller: what stacks say, in the words of the API.
func TestCaller(t *testing.T) {
	h := open(t)
	out, _, err := h.door.Call(t.Context(), origin(), "apigatewayv2", "CreateApi",
		[]byte(`{"Name":"n","ProtocolType":"HTTP","Target":"`+function+`","CorsConfiguration":{"AllowOrigins":["*"],"MaxAge":"7"},"Tags":{"a":"b"}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ApiId, ApiEndpoint, Name string
		CorsConfiguration        struct{ AllowOrigins []string }
	}
	if err := json.Unmarshal(out, &made); err != nil || made.ApiId == "" || made.ApiEndpoint == "" || len(made.CorsConfiguration.AllowOrigins) != 1 {
		t.Errorf("got %s, %v, want the API in the words of the API", out, err)
	}
	out, _, err = h.door.Call(t.Context(), origin(), "apigatewayv2", "GetRoutes", []byte(`{"ApiId":"`+made.ApiId+`","MaxResults":"1000"}`), nil)
	if err != nil || !strings.Contains(string(out), `"RouteKey":"$default"`) || !strings.Contains(string(out), `"RouteId":`) {
		t.Errorf("got %s, %v, want the route in the words of the API", out, err)
	}
}
