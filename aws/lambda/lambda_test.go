package lambda_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/lambda"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	role    = "arn:aws:iam::111122223333:role/worker"
	arnBase = "arn:aws:lambda:eu-west-1:111122223333:function:"
)

// house is the Lambda API on a server, with an Invoker and an Authorizer that the test directs.
type house struct {
	t       *testing.T
	url     string
	door    *lambda.Door
	catalog *catalog.Catalog

	mu     sync.Mutex
	needs  []rouse.Need       // of the last request; guarded by mu
	calls  []rouse.Invocation // guarded by mu
	queued []rouse.Invocation // guarded by mu

	// invoke is what the Invoker does; set before the first call.
	invoke func(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error)
}

func (h *house) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{Secret: "secret", Origin: rouse.Origin{
		Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/ann"}}}, nil
}

func (h *house) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needs = needs
	return nil
}

func (h *house) Invoke(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	h.mu.Lock()
	h.calls = append(h.calls, inv)
	h.mu.Unlock()
	return h.invoke(ctx, inv, out)
}

func (h *house) Enqueue(_ context.Context, inv rouse.Invocation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queued = append(h.queued, inv)
	return nil
}

func (h *house) lastNeeds() []rouse.Need {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.needs
}

// echo answers the event.
func echo(_ context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	_, err := out.Write(inv.Event)
	return rouse.Result{Version: "$LATEST", Tail: []byte("START\nEND\n")}, err
}

func open(t *testing.T) *house {
	t.Helper()
	blobs, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	c, err := catalog.Open(t.Context(), catalog.Config{
		Region: region, Store: kvtest.Memory(t), Blobs: blobs, CacheDir: t.TempDir(), Architecture: "x86_64",
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, catalog: c, invoke: echo}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.url = server.URL
	h.door, err = lambda.New(lambda.Config{
		Catalog: c, Invoker: h, Region: region, Secret: []byte("0123456789abcdef"), BaseURL: h.url,
		FunctionURL: func(id string) string { return "http://" + id + ".lambda-url.localhost:4566/" },
	})
	if err != nil {
		t.Fatal(err)
	}
	door, err := aws.New(aws.Config{Services: []wire.Service{h.door.Service()}, Keys: h, Authorize: h})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle(lambda.CodePath, h.door.CodeHandler())
	mux.Handle("/", door)
	return h
}

// answer of a request.
type answer struct {
	status int
	head   http.Header
	body   string
}

// json decodes a member of the body by its path, "Configuration.Role".
func (a answer) at(path string) any {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return nil
	}
	for _, p := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// call sends a signed request; head is names and values.
func (h *house) call(method, path, body string, head ...string) answer {
	h.t.Helper()
	r, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	sigv4.Signer{AccessKeyID: "AKIA", SecretAccessKey: "secret", Region: region, Service: "lambda"}.
		Sign(r, sigv4.HashPayload([]byte(body)), time.Now())
	return h.send(r)
}

func (h *house) send(r *http.Request) answer {
	h.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// want fails unless the answer has the status and, where given, the body's text.
func (h *house) want(a answer, status int, text string) {
	h.t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		h.t.Errorf("got %d %s\nwant %d with %s", a.status, a.body, status, text)
	}
}

func pack(t testing.TB, source string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("index.mjs")
	if err == nil {
		_, err = io.WriteString(w, source)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, source string) string {
	return base64.StdEncoding.EncodeToString(pack(t, source))
}

// create makes a function; more are further members of the request.
func (h *house) create(fn string, more ...string) answer {
	h.t.Helper()
	members := append([]string{
		fmt.Sprintf(`"FunctionName":%q,"Runtime":"nodejs22.x","Handler":"index.handler","Role":%q`, fn, role),
		fmt.Sprintf(`"Code":{"ZipFile":%q}`, zipped(h.t, fn)),
	}, more...)
	return h.call("POST", "/2015-03-31/functions", "{"+strings.Join(members, ",")+"}")
}

const functions = "/2015-03-31/functions/"

func TestTable(t *testing.T) {
	s := open(t).door.Service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "lambda/2015-03-31")
}

func TestLifecycle(t *testing.T) {
	h := open(t)
	got := h.create("f", `"Environment":{"Variables":{"K":"v1"}}`, `"Tags":{"team":"a"}`)
	h.want(got, 400, "Map keys must satisfy constraint")
	got = h.create("f", `"Environment":{"Variables":{"KEY":"v1"}}`, `"Tags":{"team":"a"}`)
	h.want(got, 201, `"FunctionArn":"`+arnBase+`f"`)
	for path, want := range map[string]any{
		"State": "Active", "LastUpdateStatus": "Successful", "Timeout": 3.0, "MemorySize": 128.0, "PackageType": "Zip",
		"Description": "", "Version": "$LATEST", "Environment.Variables.KEY": "v1", "EphemeralStorage.Size": 512.0,
		"TracingConfig.Mode": "PassThrough", "SnapStart.ApplyOn": "None", "LoggingConfig.LogFormat": "Text",
		"LoggingConfig.LogGroup": "/aws/lambda/f",
	} {
		if v := got.at(path); v != want {
			t.Errorf("%s: got %v, want %v", path, v, want)
		}
	}
	if when, _ := got.at("LastModified").(string); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$`).MatchString(when) {
		t.Errorf("LastModified: got %q", when)
	}
	h.want(h.create("f"), 409, `"message":"Function already exist: f"`)
	got = h.call("GET", functions+"f", "")
	h.want(got, 200, `"RepositoryType":"S3"`)
	if got.at("Tags.team") != "a" {
		t.Errorf("tags: got %v, want team=a", got.at("Tags"))
	}
	h.want(h.call("GET", functions+"f/configuration?Qualifier=$LATEST", ""), 200, `"FunctionArn":"`+arnBase+`f:$LATEST"`)
	h.want(h.call("PUT", functions+"f/configuration", `{"Timeout":10,"Description":"new"}`), 200, `"Timeout":10`)
	got = h.call("PUT", functions+"f/code", `{"ZipFile":"`+zipped(t, "v2")+`","Publish":true}`)
	h.want(got, 200, `"FunctionArn":"`+arnBase+`f:1"`)
	h.want(h.call("POST", functions+"f/versions", `{}`), 201, `"Version":"1"`)
	h.want(h.call("GET", functions+"f/versions", ""), 200, `"Version":"1"`)
	h.want(h.call("PUT", functions+"f/code", `{"ZipFile":"`+zipped(t, "v3")+`","DryRun":true}`), 200, `"Version":"$LATEST"`)
	h.want(h.call("PUT", functions+"f/code", `{"ZipFile":"`+zipped(t, "v3")+`","RevisionId":"x"}`), 412, `"Type":"User"`)
	h.want(h.call("DELETE", functions+"f?Qualifier=$LATEST", ""), 400, "$LATEST version cannot be deleted without deleting the function.")
	h.want(h.call("DELETE", functions+"f", ""), 204, "")
	got = h.call("GET", functions+"f", "")
	h.want(got, 404, `"Message":"Function not found: `+arnBase+`f"`)
	if got.head.Get("X-Amzn-Errortype") != "ResourceNotFoundException" || got.at("Type") != "User" || got.at("message") != nil {
		t.Errorf("not found: got %v %s, want Lambda's members", got.head, got.body)
	}
}

func TestRefusals(t *testing.T) {
	h := open(t)
	for more, want := range map[string]string{
		`"VpcConfig":{"SubnetIds":["subnet-1"]}`:                "VpcConfig.SubnetIds",
		`"DeadLetterConfig":{"TargetArn":"arn:aws:x"}`:          "DeadLetterConfig.TargetArn",
		`"PackageType":"Image"`:                                 "PackageType",
		`"SnapStart":{"ApplyOn":"PublishedVersions"}`:           "SnapStart.ApplyOn",
		`"KMSKeyArn":"arn:aws:kms:x"`:                           "KMSKeyArn",
		`"FileSystemConfigs":[{"Arn":"a"}]`:                     "FileSystemConfigs",
		`"DurableConfig":{"ExecutionTimeout":5}`:                "DurableConfig",
		`"Code":{"S3Bucket":"bucket","S3Key":"k","ZipFile":""}`: "Rouse does not implement code from S3",
		`"Code":{"ImageUri":"x","ZipFile":"UEs="}`:              "Code.ImageUri",
		`"CodeSigningConfigArn":"arn:aws:lambda:x:y:z"`:         "CodeSigningConfigArn",
		`"Runtime":"java21"`:                                    "Rouse does not implement the runtime java21",
	} {
		h.want(h.create("f", more), 501, want)
	}
	h.want(h.create("f", `"VpcConfig":{"SubnetIds":[],"SecurityGroupIds":[]}`, `"KMSKeyArn":""`, `"SnapStart":{"ApplyOn":"None"}`), 201, "")
	h.want(h.create("g", `"Role":"r1"`), 400, "Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern")
	h.want(h.create("g", `"Timeout":901`), 400, "'timeout' failed to satisfy constraint: Member must have value less than or equal to 900")
	h.want(h.create("g", `"Code":{"ZipFile":"bm8gemlw"}`), 400, "Could not unzip uploaded file.")
	h.want(h.call("POST", "/2015-03-31/event-source-mappings", "{}"), 501, "Rouse does not implement CreateEventSourceMapping")
	h.want(h.call("GET", "/2015-03-31/event-source-mappings/1", ""), 501, "GetEventSourceMapping")
	h.want(h.call("GET", functions+"a:b:c:d", ""), 400, "at 'functionName' failed to satisfy constraint")
	h.want(h.call("GET", functions+"arn:aws:lambda:us-east-1:111122223333:function:f", ""), 404,
		"Functions from 'us-east-1' are not reachable in this region ('eu-west-1')")
}

// TestNeeds: what each operation asks for, by AWS's names of actions.
func TestNeeds(t *testing.T) {
	h := open(t)
	h.create("f")
	show := func() string {
		var lines []string
		for _, n := range h.lastNeeds() {
			lines = append(lines, n.Action+" "+n.Resource)
		}
		return strings.Join(lines, "; ")
	}
	if got, want := show(), "lambda:CreateFunction "+arnBase+"f; iam:PassRole "+role; got != want {
		t.Errorf("create: got %s, want %s", got, want)
	}
	if got := h.lastNeeds()[1].Conditions["iam:PassedToService"]; !slices.Equal(got, []string{"lambda.amazonaws.com"}) {
		t.Errorf("pass role: got %v, want lambda.amazonaws.com", got)
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", functions + "f?Qualifier=3", "", "lambda:GetFunction " + arnBase + "f:3"},
		{"GET", functions + "999988887777:function:f", "", "lambda:GetFunction arn:aws:lambda:eu-west-1:999988887777:function:f"},
		{"POST", functions + "f/invocations", "{}", "lambda:InvokeFunction " + arnBase + "f"},
		{"POST", "/2021-11-15/functions/f/response-streaming-invocations", "{}", "lambda:InvokeFunction " + arnBase + "f"},
		{"GET", functions, "", "lambda:ListFunctions *"},
		{"PUT", functions + "f/configuration", `{"Layers":["arn:aws:lambda:eu-west-1:1:layer:l:1"],"Role":"` + role + `"}`,
			"lambda:UpdateFunctionConfiguration " + arnBase + "f; iam:PassRole " + role + "; lambda:GetLayerVersion arn:aws:lambda:eu-west-1:1:layer:l:1"},
		{"GET", "/2017-03-31/tags/" + arnBase + "f", "", "lambda:ListTags " + arnBase + "f"},
		{"GET", "/2018-10-31/layers/l/versions/2", "", "lambda:GetLayerVersion arn:aws:lambda:eu-west-1:111122223333:layer:l:2"},
	} {
		h.call(c.method, strings.TrimSuffix(c.path, "/"), c.body)
		if got := show(); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.method, c.path, got, c.want)
		}
	}
	h.want(h.call("POST", functions+"f/policy", `{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"s3.amazonaws.com"}`), 201, `\"Sid\":\"s\"`)
	h.call("POST", functions+"f/invocations", "{}")
	if got := h.lastNeeds()[0].Policy; !strings.Contains(got, `"Service":"s3.amazonaws.com"`) {
		t.Errorf("policy beside the need: got %q, want the function's", got)
	}
}

func TestAliasesAndPolicy(t *testing.T) {
	h := open(t)
	h.create("f", `"Publish":true`)
	h.want(h.call("POST", functions+"f/aliases", `{"Name":"live","FunctionVersion":"1"}`), 201, `"AliasArn":"`+arnBase+`f:live"`)
	h.want(h.call("POST", functions+"f/aliases", `{"Name":"live","FunctionVersion":"1"}`), 409, "Alias already exists")
	h.want(h.call("POST", functions+"f/aliases", `{"Name":"2024","FunctionVersion":"1"}`), 400, "at 'name' failed")
	h.want(h.call("GET", functions+"f/aliases/nope", ""), 404, "Cannot find alias arn: "+arnBase+"f:nope")
	h.call("PUT", functions+"f/code", `{"ZipFile":"`+zipped(t, "v2")+`","Publish":true}`)
	h.want(h.call("PUT", functions+"f/aliases/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.25}}}`), 200,
		`"RoutingConfig":{"AdditionalVersionWeights":{"2":0.25}}`)
	h.want(h.call("PUT", functions+"f/aliases/live", `{"RoutingConfig":{}}`), 200, `"FunctionVersion":"1"`)
	h.want(h.call("GET", functions+"f/aliases", ""), 200, `"Aliases":[{"AliasArn"`)
	h.want(h.call("GET", functions+"f?Qualifier=live", ""), 200, `"FunctionArn":"`+arnBase+`f:live"`)
	h.want(h.call("DELETE", functions+"f/aliases/live", ""), 204, "")
	h.want(h.call("DELETE", functions+"f/aliases/live", ""), 204, "")

	add := `{"StatementId":"url","Action":"lambda:InvokeFunctionUrl","Principal":"*","FunctionUrlAuthType":"NONE"}`
	h.want(h.call("POST", functions+"f/policy", add), 201, "FunctionUrlAuthType")
	h.want(h.call("POST", functions+"f/policy", add), 409, "The statement id (url) provided already exists.")
	h.want(h.call("GET", functions+"f/policy", ""), 200, `\"Version\":\"2012-10-17\",\"Id\":\"default\"`)
	h.want(h.call("DELETE", functions+"f/policy/nope", ""), 404, "Statement nope is not found in resource policy.")
	h.want(h.call("DELETE", functions+"f/policy/url", ""), 204, "")
	h.want(h.call("GET", functions+"f/policy", ""), 404, "The resource you requested does not exist.")
}

func TestURLEventsConcurrencyTags(t *testing.T) {
	h := open(t)
	h.create("f")
	const url = "/2021-10-31/functions/f/url"
	got := h.call("POST", url, `{"AuthType":"NONE","Cors":{"AllowOrigins":["*"],"MaxAge":5}}`)
	h.want(got, 201, `"InvokeMode":"BUFFERED"`)
	if at := got.at("LastModifiedTime"); at != nil {
		t.Errorf("LastModifiedTime of a new URL: got %v, want none", at)
	}
	h.want(h.call("GET", url, ""), 200, `"LastModifiedTime":"20`)
	if u, _ := got.at("FunctionUrl").(string); !regexp.MustCompile(`^http://[a-z2-7]{32}\.lambda-url\.localhost:4566/$`).MatchString(u) {
		t.Errorf("FunctionUrl: got %q", u)
	}
	h.want(h.call("POST", url, `{"AuthType":"NONE"}`), 409, "FunctionUrlConfig exists for this Lambda function")
	h.want(h.call("PUT", url, `{"AuthType":"AWS_IAM","InvokeMode":"RESPONSE_STREAM"}`), 200, `"AllowOrigins":["*"]`)
	h.want(h.call("GET", url+"s", ""), 200, `"FunctionUrlConfigs":[{`)
	h.want(h.call("DELETE", url, ""), 204, "")
	h.want(h.call("GET", url, ""), 404, "The resource you requested does not exist.")
	h.want(h.call("GET", "/2021-10-31/functions/nope/urls", ""), 404, "Function does not exist")

	const event = "/2019-09-25/functions/f/event-invoke-config"
	h.want(h.call("PUT", event, `{"MaximumRetryAttempts":0}`), 200, `"DestinationConfig":{"OnSuccess":{},"OnFailure":{}}`)
	h.want(h.call("POST", event, `{"MaximumEventAgeInSeconds":60}`), 200, `"MaximumRetryAttempts":0`)
	h.want(h.call("PUT", event, `{"MaximumRetryAttempts":3}`), 400, "Member must have value less than or equal to 2")
	h.want(h.call("PUT", event, `{}`), 400, "You must specify at least one of error handling or destination setting.")
	h.want(h.call("PUT", event, `{"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:eu-west-1:111122223333:q"}}}`), 501,
		"Rouse does not implement destinations of sqs")
	h.want(h.call("GET", event+"/list", ""), 200, `"FunctionArn":"`+arnBase+`f:$LATEST"`)
	h.want(h.call("DELETE", event, ""), 204, "")
	h.want(h.call("GET", event, ""), 404, "doesn't have an EventInvokeConfig")

	h.want(h.call("PUT", "/2017-10-31/functions/f/concurrency", `{"ReservedConcurrentExecutions":0}`), 200, `"ReservedConcurrentExecutions":0`)
	h.want(h.call("PUT", "/2017-10-31/functions/f/concurrency", `{"ReservedConcurrentExecutions":901}`), 400, "below its minimum value of [100]")
	h.want(h.call("GET", "/2019-09-30/functions/f/concurrency", ""), 200, `"ReservedConcurrentExecutions":0`)
	h.want(h.call("DELETE", "/2017-10-31/functions/f/concurrency", ""), 204, "")
	h.want(h.call("GET", "/2019-09-30/functions/f/concurrency", ""), 200, `{}`)
	h.want(h.call("GET", "/2016-08-19/account-settings", ""), 200, `"UnreservedConcurrentExecutions":1000`)

	const tags = "/2017-03-31/tags/" + arnBase + "f"
	h.want(h.call("POST", tags, `{"Tags":{"a":"1","b":"2"}}`), 204, "")
	h.want(h.call("DELETE", tags+"?tagKeys=a&tagKeys=c", ""), 204, "")
	h.want(h.call("GET", tags, ""), 200, `{"Tags":{"b":"2"}}`)
	h.want(h.call("GET", tags+":1", ""), 400, "Tags on function aliases and versions are not supported.")
	h.want(h.call("GET", "/2017-03-31/tags/arn:aws:something", ""), 400, "at 'resource' failed to satisfy constraint")
	h.want(h.call("GET", "/2020-06-30/functions/f/code-signing-config", ""), 200, `{"FunctionName":"f"}`)
}

func TestCodeTooLarge(t *testing.T) {
	h := open(t)
	h.create("f")
	body := strings.Repeat(" ", 70167212)
	for _, c := range []struct{ method, path, operation string }{
		{"POST", "/2015-03-31/functions", "CreateFunction"},
		{"PUT", "/2015-03-31/functions/f/code", "UpdateFunctionCode"},
		{"POST", "/2018-10-31/layers/l/versions", "PublishLayerVersion"},
	} {
		got := h.call(c.method, c.path, body)
		h.want(got, 413, "Request must be smaller than 70167211 bytes for the "+c.operation+" operation")
		if code := got.head.Get("X-Amzn-Errortype"); code != "RequestEntityTooLargeException" {
			t.Errorf("%s: got %s, want RequestEntityTooLargeException", c.operation, code)
		}
	}
}

func TestLayersAndPaging(t *testing.T) {
	h := open(t)
	content := `"Content":{"ZipFile":"` + zipped(t, "layer") + `"}`
	const layer = "/2018-10-31/layers/l/versions"
	got := h.call("POST", layer, `{`+content+`,"CompatibleRuntimes":["nodejs22.x"],"Description":"d"}`)
	h.want(got, 201, `"LayerVersionArn":"arn:aws:lambda:eu-west-1:111122223333:layer:l:1"`)
	h.want(h.call("POST", layer, `{`+content+`}`), 201, `"Version":2`)
	h.want(h.call("GET", layer+"/1", ""), 200, `"CodeSha256"`)
	h.want(h.call("GET", "/2018-10-31/layers?find=LayerVersion&Arn=arn:aws:lambda:eu-west-1:111122223333:layer:l:1", ""), 200, `"Version":1`)
	h.want(h.call("GET", layer+"/0", ""), 400, "Layer Version Cannot be less than 1")
	h.want(h.call("GET", "/2018-10-31/layers?CompatibleRuntime=nodejs22.x", ""), 200, `"LatestMatchingVersion":{"LayerVersionArn":"arn:aws:lambda:eu-west-1:111122223333:layer:l:1"`)
	got = h.call("GET", layer+"?MaxItems=1", "")
	h.want(got, 200, `"Version":2`)
	h.want(h.call("GET", layer+"?Marker="+got.at("NextMarker").(string), ""), 200, `"Version":1`)
	h.want(h.create("f", `"Layers":["arn:aws:lambda:eu-west-1:111122223333:layer:l:1"]`), 201, `"Layers":[{"Arn":"arn:aws:lambda:eu-west-1:111122223333:layer:l:1"`)
	h.want(h.call("DELETE", layer+"/1", ""), 204, "")
	h.want(h.call("GET", layer+"/1", ""), 404, "The resource you requested does not exist.")
	h.want(h.create("g", `"Layers":["arn:aws:lambda:eu-west-1:111122223333:layer:l:1"]`), 400, "layer:l:1 does not exist.")

	for i := range 4 {
		h.create(fmt.Sprintf("p%d", i))
	}
	var names []string
	for marker := ""; ; {
		got := h.call("GET", "/2015-03-31/functions?MaxItems=2&Marker="+marker, "")
		for _, f := range got.at("Functions").([]any) {
			m := f.(map[string]any)
			names = append(names, m["FunctionName"].(string))
			if m["State"] != nil {
				t.Errorf("a list shows the state %v, Lambda's do not", m["State"])
			}
		}
		next, more := got.at("NextMarker").(string)
		if !more {
			break
		}
		marker = next
	}
	if got, want := strings.Join(names, " "), "f p0 p1 p2 p3"; got != want {
		t.Errorf("pages: got %s, want %s", got, want)
	}
}

func TestCodeLink(t *testing.T) {
	h := open(t)
	h.create("f")
	link := h.call("GET", functions+"f", "").at("Code.Location").(string)
	get := func(url string) answer {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.send(r)
	}
	if got := get(link); got.status != 200 || got.body != string(pack(t, "f")) {
		t.Errorf("link: got %d and %d bytes, want the archive", got.status, len(got.body))
	}
	for _, bad := range []string{
		strings.Replace(link, "signature=", "signature=0", 1),
		strings.Replace(link, "expires=", "expires=9", 1),
		strings.Replace(link, "-", "-0", 1),
		strings.Split(link, "?")[0],
		h.url + lambda.CodePath,
	} {
		if got := get(bad); got.status == 200 {
			t.Errorf("%s: got 200, want a refusal", bad)
		}
	}
}
