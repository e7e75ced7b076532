package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

func replace(path, value string) []api.Patch {
	return []api.Patch{{Op: "replace", Path: path, Value: value}}
}

// restAPI makes a REST API whose resource /pets/{id} has a method GET on a function.
func restAPI(t *testing.T, a *api.APIs) (id, root, pets, pet string) {
	ctx := t.Context()
	made := must(a.REST.CreateAPI(ctx, account, api.RESTAPIInput{Name: "n"}))(t)
	pets = must(a.REST.CreateResource(ctx, account, made.ID, made.RootResourceID, "pets"))(t).ID
	pet = must(a.REST.CreateResource(ctx, account, made.ID, pets, "{id}"))(t).ID
	must(a.REST.PutMethod(ctx, account, made.ID, pet, "GET", api.RESTMethodInput{AuthorizationType: "NONE"}))(t)
	must(a.REST.PutIntegration(ctx, account, made.ID, pet, "GET", api.RESTIntegrationInput{Type: "AWS_PROXY", HTTPMethod: "POST",
		URI: invocation(function)}))(t)
	return made.ID, made.RootResourceID, pets, pet
}

func TestRESTServes(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id, _, pets, pet := restAPI(t, a)
	x := must(a.REST.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{StageName: "dev"}))(t)
	if got, want := served(a, id, "dev", "GET", "/pets/7/"), "GET /pets/{id} id=7 "+function; got != want {
		t.Errorf("served %q, want %q", got, want)
	}
	must(a.REST.UpdateResource(ctx, account, id, pets, replace("/pathPart", "dogs")))(t)
	if got := must(a.REST.Resource(ctx, account, id, pet))(t).Path; got != "/dogs/{id}" {
		t.Errorf("after its parent's renaming the path is %q, want /dogs/{id}", got)
	}
	if got := served(a, id, "dev", "GET", "/dogs/7"); got != "no route" {
		t.Errorf("before a deployment served %q, want no route", got)
	}
	second := must(a.REST.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{}))(t)
	must(a.REST.UpdateStage(ctx, account, id, "dev", replace("/deploymentId", second.ID)))(t)
	if got, want := served(a, id, "dev", "GET", "/dogs/7"), "GET /dogs/{id} id=7 "+function; got != want {
		t.Errorf("served %q, want %q", got, want)
	}
	if err := a.REST.DeleteDeployment(ctx, account, id, x.ID); err != nil {
		t.Error(err)
	}
	wants(t, "a deployment in use", a.REST.DeleteDeployment(ctx, account, id, second.ID), rouse.Invalid, "Active stages pointing")
	if err := a.REST.DeleteResource(ctx, account, id, pets); err != nil {
		t.Fatal(err)
	}
	_, err := a.REST.Resource(ctx, account, id, pet)
	wants(t, "a child of what was deleted", err, rouse.NotFound, "Invalid Resource identifier specified")
}

func TestResourceTree(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id, root, pets, pet := restAPI(t, a)
	child := func(parent, part string) error {
		_, err := a.REST.CreateResource(ctx, account, id, parent, part)
		return err
	}
	greedy := must(a.REST.CreateResource(ctx, account, id, root, "{proxy+}"))(t)
	wants(t, "a sibling variable", child(root, "{dynamic}"), rouse.Invalid,
		"A sibling ({proxy+}) of this resource already has a variable path part -- only one is allowed")
	wants(t, "a child of the greedy", child(greedy.ID, "x"), rouse.Invalid, "Cannot create a child of a resource with a greedy path variable: {proxy+}")
	wants(t, "twice", child(root, "pets"), rouse.Conflict, "Another resource with the same parent already has this name: pets")
	wants(t, "bad part", child(root, "a b"), rouse.Invalid, "Resource's path part only allow")
	wants(t, "no parent", child("nothing", "a"), rouse.NotFound, "Invalid Resource identifier specified")
	update := func(resource, path, value string) error {
		_, err := a.REST.UpdateResource(ctx, account, id, resource, replace(path, value))
		return err
	}
	wants(t, "cycle", update(pets, "/parentId", pet), rouse.Invalid, "Resources cannot be cyclical.")
	wants(t, "root", update(root, "/pathPart", "x"), rouse.Invalid, "Root resource cannot update its pathPart.")
	wants(t, "path", update(pets, "/invalid", "x"), rouse.Invalid,
		"Invalid patch path  '/invalid' specified for op 'replace'. Must be one of: [/parentId, /pathPart]")
	var paths []string
	for _, r := range must(a.REST.Resources(ctx, account, id))(t) {
		paths = append(paths, r.Path)
	}
	if got, want := strings.Join(paths, " "), "/ /pets /pets/{id} /{proxy+}"; got != want {
		t.Errorf("resources are %s, want %s", got, want)
	}
}

func TestMethodsAndIntegrations(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id, root, _, _ := restAPI(t, a)
	put := func(method string, in api.RESTMethodInput) error {
		_, err := a.REST.PutMethod(ctx, account, id, root, method, in)
		return err
	}
	none := api.RESTMethodInput{AuthorizationType: "NONE"}
	wants(t, "method", put("FETCH", none), rouse.Invalid, "Invalid HttpMethod specified. Valid options are GET,PUT,POST")
	wants(t, "iam", put("GET", api.RESTMethodInput{AuthorizationType: "AWS_IAM"}), rouse.Unsupported, "authorizationType AWS_IAM")
	wants(t, "model", put("GET", api.RESTMethodInput{AuthorizationType: "NONE", RequestModels: map[string]string{"application/json": "pet"}}),
		rouse.Invalid, "Invalid model identifier specified: pet")
	if err := put("OPTIONS", none); err != nil {
		t.Fatal(err)
	}
	wants(t, "again", put("OPTIONS", none), rouse.Conflict, "Method already exists for this resource")
	integrate := func(in api.RESTIntegrationInput) error {
		_, err := a.REST.PutIntegration(ctx, account, id, root, "OPTIONS", in)
		return err
	}
	proxy := func(uri string) api.RESTIntegrationInput {
		return api.RESTIntegrationInput{Type: "AWS_PROXY", HTTPMethod: "POST", URI: uri}
	}
	wants(t, "no arn", integrate(proxy("x")), rouse.Invalid, "Invalid ARN specified in the request")
	wants(t, "plain arn", integrate(proxy(function)), rouse.Invalid, "AWS ARN for integration must contain path or action")
	wants(t, "s3", integrate(proxy("arn:aws:apigateway:us-east-1:s3:path/b")), rouse.Invalid, "currently only supports Lambda function")
	wants(t, "no method", integrate(api.RESTIntegrationInput{Type: "HTTP_PROXY", URI: "http://x"}), rouse.Invalid, "Enumeration value for HttpMethod must be non-empty")
	wants(t, "url", integrate(api.RESTIntegrationInput{Type: "HTTP_PROXY", HTTPMethod: "GET", URI: "x"}), rouse.Invalid, "Invalid HTTP endpoint")
	wants(t, "vtl", integrate(api.RESTIntegrationInput{Type: "AWS", HTTPMethod: "POST", URI: "x"}), rouse.Unsupported, "mapping templates (type AWS)")
	wants(t, "mock vtl", integrate(api.RESTIntegrationInput{Type: "MOCK", RequestTemplates: map[string]string{
		"application/json": `#set($x=1){"statusCode": $x}`}}), rouse.Unsupported, "mapping templates in VTL")
	if err := integrate(api.RESTIntegrationInput{Type: "MOCK", RequestTemplates: map[string]string{"application/json": "{ statusCode: 200 }"}}); err != nil {
		t.Fatal(err)
	}
	respond := func(in api.IntegrationResponse) error {
		_, err := a.REST.PutIntegrationResponse(ctx, account, id, root, "OPTIONS", in)
		return err
	}
	cors := map[string]string{"method.response.header.Access-Control-Allow-Origin": "'*'"}
	wants(t, "undeclared", respond(api.IntegrationResponse{StatusCode: "204"}), rouse.NotFound, "Invalid Response status code specified")
	must(a.REST.PutMethodResponse(ctx, account, id, root, "OPTIONS", api.MethodResponse{StatusCode: "204"}))(t)
	wants(t, "undeclared header", respond(api.IntegrationResponse{StatusCode: "204", ResponseParameters: cors}), rouse.Invalid, "Invalid mapping expression")
	must(a.REST.UpdateMethodResponse(ctx, account, id, root, "OPTIONS", "204",
		[]api.Patch{{Op: "add", Path: "/responseParameters/method.response.header.Access-Control-Allow-Origin", Value: "true"}}))(t)
	if err := respond(api.IntegrationResponse{StatusCode: "204", ResponseParameters: cors}); err != nil {
		t.Fatal(err)
	}
	wants(t, "from the request", respond(api.IntegrationResponse{StatusCode: "204", ResponseParameters: map[string]string{
		"method.response.header.Access-Control-Allow-Origin": "integration.response.header.X"}}), rouse.Unsupported, "other than literals")
	must(a.REST.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{StageName: "dev"}))(t)
	r, _, _ := a.Snapshot().API(id).Stages["dev"].Routes.Match("OPTIONS", "/", nil)
	answer, ok := r.Integration.Mock.Answer("200")
	if !ok || answer.Status != 204 || len(answer.Header) != 1 || answer.Header[0] != [2]string{"Access-Control-Allow-Origin", "*"} {
		t.Errorf("the mock answers %+v, want 204 with the header", answer)
	}
}

func TestPatchAPI(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id, _, _, _ := restAPI(t, a)
	patch := func(op, path, value string) error {
		_, err := a.REST.UpdateAPI(ctx, account, id, []api.Patch{{Op: op, Path: path, Value: value}})
		return err
	}
	for _, p := range [][3]string{
		{"replace", "/name", "other"}, {"replace", "/description", "d"}, {"remove", "/description", ""},
		{"add", "/binaryMediaTypes/image~1png", ""}, {"add", "/binaryMediaTypes/image~1jpeg", ""},
		{"replace", "/binaryMediaTypes/image~1png", "image/gif"}, {"remove", "/binaryMediaTypes/image~1gif", ""},
		{"replace", "/minimumCompressionSize", "10"}, {"replace", "/endpointConfiguration/types/EDGE", "REGIONAL"},
		{"replace", "/disableExecuteApiEndpoint", "true"},
	} {
		if err := patch(p[0], p[1], p[2]); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	got := must(a.REST.API(ctx, account, id))(t)
	if got.Name != "other" || got.Description != "" || len(got.BinaryMediaTypes) != 1 || got.BinaryMediaTypes[0] != "image/jpeg" ||
		*got.MinimumCompression != 10 || got.Endpoint.Types[0] != "REGIONAL" || !got.DisableEndpoint {
		t.Errorf("got %+v, want what was patched", got)
	}
	wants(t, "size", patch("replace", "/minimumCompressionSize", "-1"), rouse.Invalid, "Invalid minimum compression size, must be between 0 and 10485760")
	wants(t, "op", patch("add", "/minimumCompressionSize", "1"), rouse.Invalid, "Invalid patch operation specified. Must be one of: [replace]")
	wants(t, "path", patch("add", "/binaryMediaTypes", "x"), rouse.Invalid, "Invalid patch path /binaryMediaTypes")
	wants(t, "private", patch("replace", "/endpointConfiguration/types/REGIONAL", "PRIVATE"), rouse.Unsupported, "private REST APIs")
	wants(t, "policy", patch("replace", "/policy", "{}"), rouse.Unsupported, "resource policies")
	must(a.REST.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{StageName: "dev"}))(t)
	stage := func(op, path, value string) error {
		_, err := a.REST.UpdateStage(ctx, account, id, "dev", []api.Patch{{Op: op, Path: path, Value: value}})
		return err
	}
	for _, p := range [][3]string{{"replace", "/variables/v", "1"}, {"replace", "/*/*/throttling/rateLimit", "5"},
		{"replace", "/~1pets~1{id}/GET/throttling/burstLimit", "2"}, {"replace", "/*/*/logging/loglevel", "OFF"},
		{"replace", "/tracingEnabled", "true"}} {
		if err := stage(p[0], p[1], p[2]); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	r, _, _ := a.Snapshot().API(id).Stages["dev"].Routes.Match("GET", "/pets/1", nil)
	if r.Limiter == nil || r.Limiter.Burst() != 2 {
		t.Errorf("the route's limiter is %v, want one with burst 2", r.Limiter)
	}
	wants(t, "logging", stage("replace", "/*/*/logging/loglevel", "INFO"), rouse.Unsupported, "execution logging")
	wants(t, "access logs", stage("add", "/accessLogSettings/format", "x"), rouse.Unsupported, "access logs of stages")
	wants(t, "remove nothing", stage("remove", "/a/GET", ""), rouse.Invalid, "Cannot remove method setting a/GET")
	wants(t, "no path", stage("replace", "/nothing", ""), rouse.Invalid, "Invalid method setting path: /nothing")
}

func TestGatewayResponses(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id, _, _, _ := restAPI(t, a)
	put := func(in api.GatewayResponse) error {
		_, err := a.REST.PutGatewayResponse(ctx, account, id, in)
		return err
	}
	header := map[string]string{"gatewayresponse.header.X": "'y'"}
	if err := put(api.GatewayResponse{ResponseType: "DEFAULT_4XX", ResponseParameters: header}); err != nil {
		t.Fatal(err)
	}
	got := must(a.REST.GatewayResponse(ctx, account, id, "THROTTLED"))(t)
	if got.StatusCode != "429" || got.ResponseParameters["gatewayresponse.header.X"] != "'y'" || !got.DefaultResponse {
		t.Errorf("THROTTLED is %+v, want 429 with the class's header", got)
	}
	must(a.REST.UpdateGatewayResponse(ctx, account, id, "THROTTLED", replace("/statusCode", "430")))(t)
	if got := must(a.REST.GatewayResponse(ctx, account, id, "THROTTLED"))(t); got.StatusCode != "430" || got.DefaultResponse {
		t.Errorf("THROTTLED is %+v, want 430 of its own", got)
	}
	if all := must(a.REST.GatewayResponses(ctx, account, id))(t); len(all) != 21 {
		t.Errorf("%d gateway responses are listed, want 21", len(all))
	}
	if err := a.REST.DeleteGatewayResponse(ctx, account, id, "THROTTLED"); err != nil {
		t.Error(err)
	}
	wants(t, "delete again", a.REST.DeleteGatewayResponse(ctx, account, id, "THROTTLED"), rouse.NotFound, "Gateway response type not defined on api")
	wants(t, "vtl", put(api.GatewayResponse{ResponseType: "THROTTLED", ResponseTemplates: map[string]string{"application/json": "$util.x()"}}),
		rouse.Unsupported, "the variable $util.x")
	wants(t, "status", put(api.GatewayResponse{ResponseType: "THROTTLED", StatusCode: "99"}), rouse.Invalid, "Invalid status code")
	wants(t, "type", put(api.GatewayResponse{ResponseType: "NOTHING"}), rouse.Invalid, "Invalid gateway response type")
}

// TestImportSAM makes APIs of what SAM's transform emits, and looks at what they serve.
func TestImportSAM(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	read := func(name string) []byte {
		return must(os.ReadFile(filepath.Join("openapi", "testdata", name)))(t)
	}
	fn := "arn:aws:lambda:us-east-1:123456789012:function:F"
	h := must(a.HTTP.ImportAPI(ctx, account, read("sam-http.json"), ""))(t)
	must(a.HTTP.CreateStage(ctx, account, h.APIID, "$default", api.HTTPStageInput{AutoDeploy: ptr(true)}, nil))(t)
	if h.Name != "stack" || h.CORS == nil || *h.CORS.MaxAge != 600 || h.Tags["httpapi:createdBy"] != "SAM" {
		t.Errorf("imported %+v, want name, CORS and tags", h)
	}
	for path, want := range map[string]string{"/items/4": "GET /items/{id} id=4 " + fn, "/x": "$default " + fn} {
		if got := served(a, h.APIID, "$default", "GET", path); got != want {
			t.Errorf("served %q at %s, want %q", got, path, want)
		}
	}
	before := must(a.HTTP.Routes(ctx, account, h.APIID))(t)
	must(a.HTTP.ReimportAPI(ctx, account, h.APIID, read("sam-http.json"), ""))(t)
	if after := must(a.HTTP.Routes(ctx, account, h.APIID))(t); after[0].RouteID != before[0].RouteID {
		t.Errorf("a route that stays got id %s, want %s as before", after[0].RouteID, before[0].RouteID)
	}
	r := must(a.REST.ImportAPI(ctx, account, api.RESTImport{Body: read("sam-rest-swagger.json"), Endpoints: []string{"REGIONAL"}}))(t)
	must(a.REST.CreateDeployment(ctx, account, r.ID, api.RESTDeploymentInput{StageName: "Stage"}))(t)
	if got, want := served(a, r.ID, "Stage", "PUT", "/a/b"), "ANY /{proxy+} proxy=a/b "+fn; got != want {
		t.Errorf("served %q, want %q", got, want)
	}
	st := a.Snapshot().API(r.ID).Stages["Stage"]
	mock, _, _ := st.Routes.Match("OPTIONS", "/items/3", nil)
	if answer, ok := mock.Integration.Mock.Answer("200"); !ok || answer.Status != 200 || len(answer.Header) != 3 || answer.Body != "{}\n" {
		t.Errorf("the mock answers %+v, want 200 with three headers", answer)
	}
	if st.GatewayResponses["DEFAULT_4XX"].ResponseType == "" || st.BinaryMediaTypes[0] != "image/png" || r.Endpoint.Types[0] != "REGIONAL" {
		t.Errorf("gateway responses %v, binary types %v, endpoint %v: want those of the document", st.GatewayResponses, st.BinaryMediaTypes, r.Endpoint)
	}
	resources := must(a.REST.Resources(ctx, account, r.ID))(t)
	must(a.REST.PutAPI(ctx, account, r.ID, api.RESTImport{Body: read("sam-rest-openapi.json")}))(t)
	after := must(a.REST.Resources(ctx, account, r.ID))(t)
	if len(after) != 2 || after[0].ID != resources[0].ID {
		t.Errorf("after the overwrite there are %d resources, want the same root and /p", len(after))
	}
	must(a.REST.PutAPI(ctx, account, r.ID, api.RESTImport{Body: read("sam-rest-swagger.json"), Merge: true}))(t)
	if after := must(a.REST.Resources(ctx, account, r.ID))(t); len(after) != 5 {
		t.Errorf("after the merge there are %d resources, want 5", len(after))
	}
}

func TestImportRefusals(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	head := `{"openapi":"3.0.1","info":{"title":"t"},"paths":{"/a":{"get":{`
	for body, want := range map[string]string{
		"{":                                  "Invalid OpenAPI input.",
		head + `"security":[{"jwt":[]}]}}}}`: "authorizers and API keys (security: jwt), of GET /a",
		head + `}}},"x-amazon-apigateway-policy":{"Version":"2012-10-17"}}`:               "resource policies of APIs",
		head + `"x-amazon-apigateway-integration":{"type":"aws","httpMethod":"POST"}}}}}`: "GET /a: ",
	} {
		_, err := a.REST.ImportAPI(ctx, account, api.RESTImport{Body: []byte(body)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
	_, err := a.HTTP.ImportAPI(ctx, account, []byte(head+`"x-amazon-apigateway-integration":{"type":"aws_proxy","integrationSubtype":"SQS-SendMessage"}}}}}`), "")
	wants(t, "subtype", err, rouse.Unsupported, "GET /a: Rouse does not implement integrations with AWS services (integrationSubtype SQS-SendMessage)")
	if n := len(must(a.REST.APIs(ctx, account))(t)); n != 0 {
		t.Errorf("%d APIs are left of refused imports, want none", n)
	}
}
