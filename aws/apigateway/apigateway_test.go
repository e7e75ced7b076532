package apigateway_test

import (
	"context"
	"encoding/base64"
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
	"github.com/rouse-dev/rouse/aws/apigateway"
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
	h.door, err = aws.New(aws.Config{Services: []wire.Service{apigateway.New(apis).Service()}, Keys: h, Authorize: h})
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
	s := apigateway.New(open(t).apis).Service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "apigateway/2015-07-09")
}

// restAPI makes an API with a resource /pets and answers the ids.
func (h *house) restAPI() (id, root, pets string) {
	made := h.call("POST", "/restapis", `{"name":"n","endpointConfiguration":{"types":["REGIONAL"]},"tags":{"a":"b"}}`, 201, `"types":["REGIONAL"]`)
	id, _ = made["id"].(string)
	root, _ = made["rootResourceId"].(string)
	pets, _ = h.call("POST", "/restapis/"+id+"/resources/"+root, `{"pathPart":"pets"}`, 201, `"path":"/pets"`)["id"].(string)
	return id, root, pets
}

func invocation(fn string) string {
	return "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/" + fn + "/invocations"
}

func TestAPI(t *testing.T) {
	h := open(t)
	id, root, pets := h.restAPI()
	at := "/restapis/" + id
	if want := "apigateway:POST arn:aws:apigateway:eu-west-1::/restapis/" + id + "/resources/" + root + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	got := h.call("GET", at, "", 200, `"apiKeySource":"HEADER"`)
	if _, number := got["createdDate"].(float64); !number {
		t.Errorf("createdDate is %v, want epoch seconds", got["createdDate"])
	}
	h.call("GET", "/restapis?limit=1", "", 200, `"item":[{"id":"`+id)
	h.call("PATCH", at, `{"patchOperations":[{"op":"replace","path":"/name","value":"new"},{"op":"add","path":"/binaryMediaTypes/image~1png"}]}`,
		200, `"binaryMediaTypes":["image/png"]`)
	h.call("PATCH", at, `{"patchOperations":[{"op":"replace","path":"/nothing","value":"x"}]}`, 400, "Invalid patch path /nothing")
	h.call("PATCH", at, `{"patchOperations":[{"op":"mend","path":"/name"}]}`, 400, "failed to satisfy constraint")
	h.call("GET", at+"/resources", "", 200, `"pathPart":"pets"`)
	h.call("PATCH", at+"/resources/"+pets, `{"patchOperations":[{"op":"replace","path":"/pathPart","value":"dogs"}]}`, 200, `"path":"/dogs"`)
	h.call("DELETE", at+"/resources/"+pets, "", 202, "")
	h.call("GET", at+"/resources/"+pets, "", 404, "Invalid Resource identifier specified")
	arn := "arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Frestapis%2F" + id
	h.call("PUT", "/tags/"+arn, `{"tags":{"c":"d"}}`, 204, "")
	h.call("DELETE", "/tags/"+arn+"?tagKeys=a", "", 204, "")
	h.call("GET", "/tags/"+arn, "", 200, `{"tags":{"c":"d"}}`)
	h.call("DELETE", at, "", 202, "")
	h.call("GET", at, "", 404, `"message":"Invalid API identifier specified `+account+`:`+id+`"`)
}

func TestMethods(t *testing.T) {
	h := open(t)
	id, root, pets := h.restAPI()
	at := "/restapis/" + id + "/resources/" + pets + "/methods/"
	h.call("PUT", at+"GET", `{"authorizationType":"NONE","requestParameters":{"method.request.querystring.q":false}}`, 201,
		`{"httpMethod":"GET","authorizationType":"NONE","apiKeyRequired":false`)
	h.call("PUT", at+"GET/integration", `{"type":"AWS_PROXY","httpMethod":"POST","uri":"`+invocation(function)+`","credentials":"`+role+`"}`, 201,
		`"cacheNamespace":"`+pets+`","cacheKeyParameters":[]`)
	if want := "apigateway:PUT arn:aws:apigateway:eu-west-1::" + at + "GET/integration\niam:PassRole " + role + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	h.call("PATCH", at+"GET/integration", `{"patchOperations":[{"op":"replace","path":"/credentials","value":"`+role+`2"},
		{"op":"replace","path":"/timeoutInMillis","value":"50"}]}`, 200, `"timeoutInMillis":50`)
	if !strings.Contains(h.needed(), "iam:PassRole "+role+"2\n") {
		t.Errorf("needed\n%swant iam:PassRole for the patched role", h.needed())
	}
	h.call("PUT", at+"OPTIONS", `{"authorizationType":"NONE"}`, 201, "")
	h.call("PUT", at+"OPTIONS/integration", `{"type":"MOCK","requestTemplates":{"application/json":"{\"statusCode\": 200}"}}`, 201, `"type":"MOCK"`)
	h.call("PUT", at+"OPTIONS/responses/200", `{"responseParameters":{"method.response.header.X":true},"responseModels":{"application/json":"Empty"}}`, 201, "")
	h.call("PUT", at+"OPTIONS/integration/responses/200", `{"responseParameters":{"method.response.header.X":"'y'"},"selectionPattern":""}`, 201, `"statusCode":"200"`)
	h.call("PATCH", at+"OPTIONS/integration/responses/200", `{"patchOperations":[{"op":"replace","path":"/responseParameters/method.response.header.X","value":"'z'"}]}`, 200, "'z'")
	h.call("PATCH", at+"OPTIONS/responses/200", `{"patchOperations":[{"op":"add","path":"/responseParameters/method.response.header.Z","value":"false"}]}`, 201, "header.Z")
	h.call("GET", at+"OPTIONS", "", 200, `"integrationResponses":{"200":{`)
	h.call("GET", at+"OPTIONS/responses/200", "", 200, `"responseModels":{"application/json":"Empty"}`)
	h.call("GET", at+"OPTIONS/integration/responses/200", "", 200, "'z'")
	h.call("GET", "/restapis/"+id+"/resources?embed=methods", "", 200, `"methodIntegration":{"type":"MOCK"`)
	h.call("PATCH", at+"GET", `{"patchOperations":[{"op":"replace","path":"/operationName","value":"list"}]}`, 200, `"operationName":"list"`)

	deployment, _ := h.call("POST", "/restapis/"+id+"/deployments", `{"stageName":"dev","variables":{"a":"b"}}`, 201, "")["id"].(string)
	if live := h.apis.Snapshot().API(id).Stages["dev"]; live == nil || live.Deployment != deployment {
		t.Errorf("the stage serves %+v, want deployment %s", live, deployment)
	}
	h.call("DELETE", at+"OPTIONS/integration/responses/200", "", 204, "")
	h.call("DELETE", at+"OPTIONS/responses/200", "", 204, "")
	h.call("DELETE", at+"OPTIONS/integration", "", 204, "")
	h.call("DELETE", at+"OPTIONS", "", 204, "")
	h.call("GET", at+"OPTIONS", "", 404, "Invalid Method identifier specified")
	h.call("GET", "/restapis/"+id+"/resources/"+root+"/methods/GET/integration", "", 404, "Invalid Method identifier specified")
	h.call("GET", at+"GET/integration/responses/abc", "", 400, "failed to satisfy constraint")
}

func TestStages(t *testing.T) {
	h := open(t)
	id, _, pets := h.restAPI()
	at := "/restapis/" + id
	h.call("POST", at+"/deployments", `{}`, 400, "The REST API doesn't contain any methods")
	h.call("PUT", at+"/resources/"+pets+"/methods/ANY", `{"authorizationType":"NONE"}`, 201, "")
	h.call("POST", at+"/deployments", `{}`, 400, "No integration defined for method")
	h.call("PUT", at+"/resources/"+pets+"/methods/ANY/integration", `{"type":"HTTP_PROXY","httpMethod":"ANY","uri":"https://example.com/x"}`, 201, "")
	deployment, _ := h.call("POST", at+"/deployments", `{"description":"d"}`, 201, `"description":"d"`)["id"].(string)
	h.call("POST", at+"/stages", `{"stageName":"dev","deploymentId":"`+deployment+`","tags":{"a":"b"}}`, 201, `"cacheClusterStatus":"NOT_AVAILABLE"`)
	h.call("POST", at+"/stages", `{"stageName":"dev","deploymentId":"`+deployment+`"}`, 409, "Stage already exists")
	h.call("PATCH", at+"/stages/dev", `{"patchOperations":[{"op":"replace","path":"/*/*/throttling/burstLimit","value":"1e1"},
		{"op":"replace","path":"/variables/v","value":"w"}]}`, 200, `"*/*":{"metricsEnabled":false`)
	h.call("GET", at+"/stages?deploymentId="+deployment, "", 200, `"item":[{"stageName":"dev"`)
	h.call("GET", at+"/stages?deploymentId=none", "", 200, `{"item":[]}`)
	h.call("GET", at+"/stages/dev", "", 200, `"variables":{"v":"w"}`)
	h.call("GET", at+"/deployments", "", 200, `"item":[{"id":"`+deployment)
	h.call("PATCH", at+"/deployments/"+deployment, `{"patchOperations":[{"op":"replace","path":"/description","value":"e"}]}`, 200, `"description":"e"`)
	h.call("GET", at+"/deployments/"+deployment, "", 200, `"description":"e"`)
	h.call("DELETE", at+"/deployments/"+deployment, "", 400, "Active stages pointing to this deployment must be moved or deleted")
	h.call("DELETE", at+"/stages/dev", "", 202, "")
	h.call("DELETE", at+"/deployments/"+deployment, "", 202, "")
}

// Tools ask for these when they read or delete an API.
func TestEmptyLists(t *testing.T) {
	h := open(t)
	id, _ := h.call("POST", "/restapis", `{"name":"shop"}`, 201, "shop")["id"].(string)
	for _, path := range []string{"/restapis/" + id + "/authorizers", "/apikeys", "/domainnames", "/usageplans"} {
		h.call("GET", path+"?limit=500", "", 200, `{"item":[]}`)
		if got, want := h.needed(), "apigateway:GET arn:aws:apigateway:eu-west-1::"+path+"\n"; got != want {
			t.Errorf("%s: got needs %q, want %q", path, got, want)
		}
	}
	h.call("GET", "/apikeys?name=a&includeValues=true&customerId=c", "", 200, `{"item":[]}`)
	h.call("GET", "/restapis/none/authorizers", "", 404, "Invalid API identifier")
	h.call("POST", "/usageplans", `{"name":"gold"}`, 501, "CreateUsagePlan")
}

func TestGatewayResponses(t *testing.T) {
	h := open(t)
	id, _, _ := h.restAPI()
	at := "/restapis/" + id + "/gatewayresponses"
	h.call("PUT", at+"/DEFAULT_4XX", `{"responseParameters":{"gatewayresponse.header.X":"'y'"}}`, 201, `"defaultResponse":false`)
	h.call("GET", at+"/THROTTLED", "", 200, `"statusCode":"429"`)
	h.call("GET", at+"?limit=500", "", 200, `"responseType":"WAF_FILTERED"`)
	h.call("PATCH", at+"/DEFAULT_4XX", `{"patchOperations":[{"op":"replace","path":"/statusCode","value":"444"}]}`, 200, `"statusCode":"444"`)
	h.call("DELETE", at+"/DEFAULT_4XX", "", 202, "")
	h.call("DELETE", at+"/DEFAULT_4XX", "", 404, "Gateway response type not defined on api")
	h.call("GET", at+"/FAKE_RESPONSE_TYPE", "", 400, "1 validation error detected: Value 'FAKE_RESPONSE_TYPE' at 'responseType' failed to satisfy constraint")
}

const document = `{"swagger":"2.0","info":{"title":"t"},"paths":{"/a":{"get":{
	"x-amazon-apigateway-integration":{"type":"aws_proxy","httpMethod":"POST","uri":"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/` + function + `/invocations","credentials":"` + role + `"}}}}}`

func TestImport(t *testing.T) {
	h := open(t)
	id, _ := h.call("POST", "/restapis?mode=import&endpointConfigurationTypes=REGIONAL&failonwarnings=true", document, 201, `"types":["REGIONAL"]`)["id"].(string)
	if want := "apigateway:POST arn:aws:apigateway:eu-west-1::/restapis\niam:PassRole " + role + "\n"; h.needed() != want {
		t.Errorf("needed\n%swant\n%s", h.needed(), want)
	}
	h.call("GET", "/restapis/"+id+"/resources", "", 200, `"path":"/a"`)
	h.call("PUT", "/restapis/"+id+"?mode=overwrite", strings.ReplaceAll(document, `"/a"`, `"/b"`), 200, `"name":"t"`)
	if got, _ := json.Marshal(h.call("GET", "/restapis/"+id+"/resources", "", 200, `"path":"/b"`)); strings.Contains(string(got), `"/a"`) {
		t.Errorf("after the overwrite the resources are %s, want /a gone", got)
	}
	h.call("PUT", "/restapis/"+id+"?mode=merge", document, 200, "")
	h.call("GET", "/restapis/"+id+"/resources", "", 200, `"path":"/a"`)
	h.call("POST", "/restapis?mode=import", `no`, 400, "Invalid OpenAPI input.")
	h.call("POST", "/restapis?mode=import&basepath=split", document, 501, "basepath=split")
	h.call("POST", "/restapis?mode=import&nothing=1", document, 501, "import parameter nothing")
}

func TestRefusals(t *testing.T) {
	h := open(t)
	id, _, pets := h.restAPI()
	at := "/restapis/" + id
	method := at + "/resources/" + pets + "/methods/GET"
	h.call("POST", "/restapis", `{"name":"n","policy":"{}"}`, 501, "policy")
	h.call("POST", "/restapis", `{"name":"n","endpointConfiguration":{"types":["PRIVATE"]}}`, 501, "private REST APIs")
	h.call("POST", "/restapis", `{"name":"n","endpointConfiguration":{"types":["wrong"]}}`, 400, "failed to satisfy constraint")
	h.call("PUT", method, `{"authorizationType":"AWS_IAM"}`, 501, "authorizationType")
	h.call("PUT", method, `{"authorizationType":"NONE","apiKeyRequired":true}`, 501, "apiKeyRequired")
	h.call("PUT", method, `{"authorizationType":"NONE"}`, 201, "")
	h.call("PUT", method+"/integration", `{"type":"AWS","httpMethod":"POST","uri":"x"}`, 501, "type")
	h.call("PUT", method+"/integration", `{"type":"HTTP_PROXY","httpMethod":"GET","uri":"http://x","connectionType":"VPC_LINK"}`, 501, "connectionType")
	h.call("POST", at+"/stages", `{"stageName":"s","deploymentId":"d","cacheClusterEnabled":true}`, 501, "cacheClusterEnabled")
	h.call("POST", at+"/authorizers", `{}`, 501, "CreateAuthorizer")
	h.call("POST", "/apikeys", `{}`, 501, "CreateApiKey")
	h.call("POST", "/usageplans", `{}`, 501, "CreateUsagePlan")
	h.call("POST", at+"/models", `{}`, 501, "CreateModel")
}

// TestCaller: what stacks say, in the words of the API.
func TestCaller(t *testing.T) {
	h := open(t)
	call := func(operation, in string, text ...string) map[string]any {
		t.Helper()
		out, _, err := h.door.Call(t.Context(), origin(), "apigateway", operation, []byte(in), nil)
		for _, want := range text {
			if err == nil && !strings.Contains(string(out), want) {
				err = fmt.Errorf("no %s in it", want)
			}
		}
		if err != nil {
			t.Fatalf("%s: got %s, %v", operation, out, err)
		}
		var v map[string]any
		_ = json.Unmarshal(out, &v)
		return v
	}
	body := base64.StdEncoding.EncodeToString([]byte(document))
	id, _ := call("ImportRestApi", `{"body":"`+body+`","parameters":{"endpointConfigurationTypes":"REGIONAL"}}`, "REGIONAL")["id"].(string)
	api := `{"restApiId":"` + id + `"`
	root, _ := call("GetRestApi", api+`}`)["rootResourceId"].(string)
	call("GetResources", api+`,"limit":"500"}`, `"items":[`, `"path":"/a"`)
	pets, _ := call("CreateResource", api+`,"parentId":"`+root+`","pathPart":"pets"}`)["id"].(string)
	at := api + `,"resourceId":"` + pets + `","httpMethod":"GET"`
	call("PutMethod", at+`,"authorizationType":"NONE"}`)
	call("PutMethodResponse", at+`,"statusCode":200}`)
	call("PutIntegration", at+`,"type":"AWS_PROXY","integrationHttpMethod":"POST","uri":"`+invocation(function)+`"}`, `"httpMethod":"POST"`)
	call("PutIntegrationResponse", at+`,"statusCode":"200"}`)
	call("CreateDeployment", api+`,"stageName":"Stage"}`, `"id":`)
	call("UpdateStage", api+`,"stageName":"Stage","patchOperations":[{"op":"replace","path":"/~1pets/GET/throttling/burstLimit","value":"5"}]}`, `"throttlingBurstLimit":5`)
	call("PutGatewayResponse", api+`,"responseType":"DEFAULT_4XX","statusCode":"400"}`)
	call("TagResource", `{"resourceArn":"arn:aws:apigateway:eu-west-1::/restapis/`+id+`","tags":{"a":"b"}}`)
	call("PutRestApi", api+`,"mode":"overwrite","body":"`+body+`"}`)
	call("DeleteRestApi", api+`}`)
}
