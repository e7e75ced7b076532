package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/node"
)

const lambdaTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// start is Open with a context that may end.
func start(ctx context.Context, flags map[string]string) (*node.Node, error) {
	cfg, err := node.Load(true, flags, noEnvironment, "", false)
	if err != nil {
		return nil, err
	}
	return node.Open(ctx, cfg, os.LookupEnv, slog.New(slog.DiscardHandler))
}

// function is the input of CreateFunction for a Node handler of role r.
func function(t testing.TB, name, code string) map[string]any {
	return map[string]any{"FunctionName": name, "Runtime": "nodejs22.x", "Handler": "index.handler", "Role": "arn:aws:iam::000000000000:role/r",
		"Code": map[string]any{"ZipFile": zipped(t, "index.js", code)}}
}

func zipped(t testing.TB, name, text string) string {
	return base64.StdEncoding.EncodeToString(archive(t, name, text))
}

// makeFunction makes a role and a function.
func makeFunction(t testing.TB, c *client, name, code string) {
	t.Helper()
	c.ask(t, "iam", "CreateRole", `{"RoleName":"r","AssumeRolePolicyDocument":`+quote(lambdaTrust)+`}`)
	c.call(t, "lambda", "CreateFunction", function(t, name, code))
	c.awaitActive(t, name)
}

// awaitActive waits until a function can be called.
func (c *client) awaitActive(t testing.TB, name string) {
	t.Helper()
	until(t, name+" becomes active", func() bool {
		return c.call(t, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": name})["State"] == "Active"
	})
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// op is one operation by its JSON shape.
type op struct{ service, name, input string }

// makings make one of each thing that a node keeps.
func makings(t testing.TB) []op {
	layer, code := zipped(t, "nodejs/node_modules/word/index.js", "module.exports = 'from the layer'"),
		zipped(t, "index.js", "exports.handler = async e => { console.log('heard', JSON.stringify(e)); return [process.env.WORD, require('word')] }")
	return []op{
		{"iam", "CreateRole", `{"RoleName":"r","Description":"runs","MaxSessionDuration":7200,"Tags":[{"Key":"a","Value":"b"}],"AssumeRolePolicyDocument":` + quote(lambdaTrust) + `}`},
		{"iam", "PutRolePolicy", `{"RoleName":"r","PolicyName":"inline","PolicyDocument":` + quote(allow("logs:*")) + `}`},
		{"iam", "CreatePolicy", `{"PolicyName":"p","PolicyDocument":` + quote(allow("lambda:*")) + `}`},
		{"iam", "CreatePolicyVersion", `{"PolicyArn":"arn:aws:iam::000000000000:policy/p","SetAsDefault":true,"PolicyDocument":` + quote(allow("sts:*")) + `}`},
		{"iam", "AttachRolePolicy", `{"RoleName":"r","PolicyArn":"arn:aws:iam::000000000000:policy/p"}`},
		{"iam", "CreateUser", `{"UserName":"u"}`},
		{"iam", "PutUserPolicy", `{"UserName":"u","PolicyName":"inline","PolicyDocument":` + quote(allow("lambda:ListFunctions")) + `}`},
		{"lambda", "PublishLayerVersion", `{"LayerName":"words","CompatibleRuntimes":["nodejs22.x"],"Content":{"ZipFile":"` + layer + `"}}`},
		{"lambda", "CreateFunction", `{"FunctionName":"f","Runtime":"nodejs22.x","Handler":"index.handler","Role":"arn:aws:iam::000000000000:role/r",` +
			`"MemorySize":256,"Timeout":9,"EphemeralStorage":{"Size":600},"Tags":{"team":"shop"},"Environment":{"Variables":{"WORD":"hush"}},` +
			`"Layers":["arn:aws:lambda:us-east-1:000000000000:layer:words:1"],"Publish":true,"Code":{"ZipFile":"` + code + `"}}`},
		{"lambda", "CreateAlias", `{"FunctionName":"f","Name":"live","FunctionVersion":"1","Description":"what users see"}`},
		{"lambda", "AddPermission", `{"FunctionName":"f","StatementId":"s","Action":"lambda:InvokeFunction","Principal":"apigateway.amazonaws.com"}`},
		{"lambda", "CreateFunctionUrlConfig", `{"FunctionName":"f","AuthType":"NONE","Cors":{"AllowOrigins":["*"]}}`},
		{"lambda", "AddPermission", `{"FunctionName":"f","StatementId":"url","Action":"lambda:InvokeFunctionUrl","Principal":"*","FunctionUrlAuthType":"NONE"}`},
		{"lambda", "PutFunctionConcurrency", `{"FunctionName":"f","ReservedConcurrentExecutions":3}`},
		{"lambda", "PutFunctionEventInvokeConfig", `{"FunctionName":"f","MaximumRetryAttempts":1,"MaximumEventAgeInSeconds":600}`},
		{"logs", "CreateLogGroup", `{"logGroupName":"/own","tags":{"x":"y"}}`},
		{"logs", "PutRetentionPolicy", `{"logGroupName":"/own","retentionInDays":7}`},
		{"logs", "CreateLogStream", `{"logGroupName":"/own","logStreamName":"s"}`},
		{"apigatewayv2", "CreateApi", `{"Name":"http","ProtocolType":"HTTP","Target":"arn:aws:lambda:us-east-1:000000000000:function:f"}`},
		{"apigateway", "CreateRestApi", `{"name":"rest"}`},
		{"events", "PutRule", `{"Name":"hourly","ScheduleExpression":"rate(1 hour)"}`},
		{"events", "PutTargets", `{"Rule":"hourly","Targets":[{"Id":"1","Arn":"arn:aws:lambda:us-east-1:000000000000:function:f","Input":"{}"}]}`},
		{"cloudformation", "CreateStack", `{"StackName":"st","Capabilities":["CAPABILITY_IAM"],"TemplateBody":` + quote(`
Parameters: {Word: {Type: String, Default: hello}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: `+lambdaTrust+`}
Outputs: {Name: {Value: !Ref Role, Export: {Name: the-role}}, Word: {Value: !Ref Word}}
`) + `}`},
	}
}

func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`
}

// readings show what was made.
var readings = []op{
	{"iam", "ListRoles", `{}`}, {"iam", "GetRole", `{"RoleName":"r"}`}, {"iam", "GetRolePolicy", `{"RoleName":"r","PolicyName":"inline"}`},
	{"iam", "ListAttachedRolePolicies", `{"RoleName":"r"}`}, {"iam", "ListPolicies", `{"Scope":"Local"}`},
	{"iam", "ListPolicyVersions", `{"PolicyArn":"arn:aws:iam::000000000000:policy/p"}`}, {"iam", "ListUsers", `{}`},
	{"iam", "GetUserPolicy", `{"UserName":"u","PolicyName":"inline"}`}, {"iam", "ListAccessKeys", `{"UserName":"u"}`},
	{"lambda", "ListLayers", `{}`}, {"lambda", "GetLayerVersion", `{"LayerName":"words","VersionNumber":1}`},
	{"lambda", "GetFunction", `{"FunctionName":"f"}`}, {"lambda", "GetFunction", `{"FunctionName":"f","Qualifier":"live"}`},
	{"lambda", "ListVersionsByFunction", `{"FunctionName":"f"}`}, {"lambda", "GetAlias", `{"FunctionName":"f","Name":"live"}`},
	{"lambda", "GetPolicy", `{"FunctionName":"f"}`}, {"lambda", "GetFunctionUrlConfig", `{"FunctionName":"f"}`},
	{"lambda", "GetFunctionConcurrency", `{"FunctionName":"f"}`}, {"lambda", "GetFunctionEventInvokeConfig", `{"FunctionName":"f"}`},
	{"lambda", "GetAccountSettings", `{}`},
	{"logs", "DescribeLogGroups", `{}`}, {"logs", "DescribeLogStreams", `{"logGroupName":"/aws/lambda/f"}`},
	{"logs", "FilterLogEvents", `{"logGroupName":"/aws/lambda/f"}`},
	{"logs", "GetLogEvents", `{"logGroupName":"/own","logStreamName":"s","startFromHead":true}`},
	{"logs", "ListTagsLogGroup", `{"logGroupName":"/own"}`},
	{"apigatewayv2", "GetApis", `{}`}, {"apigateway", "GetRestApis", `{}`},
	{"events", "DescribeRule", `{"Name":"hourly"}`}, {"events", "ListTargetsByRule", `{"Rule":"hourly"}`},
	{"cloudformation", "DescribeStacks", `{}`}, {"cloudformation", "DescribeStackEvents", `{"StackName":"st"}`},
	{"cloudformation", "DescribeStackResources", `{"StackName":"st"}`}, {"cloudformation", "GetTemplate", `{"StackName":"st"}`},
	{"cloudformation", "ListExports", `{}`},
}

// ask runs an operation, whatever the answer.
func (c *client) ask(t testing.TB, service, operation, in string) answer {
	t.Helper()
	return c.send(t, "rouse", "POST", "/_rouse/api/call/"+service+"/"+operation, in)
}

// volatile are the members that may differ between two readings of the same thing: links and ids of requests.
var volatile = regexp.MustCompile(`"(Location|RequestId|From|To)":"[^"]*"`)

// reading is what all readings answer, and what is read by other doors than operations.
func (c *client) reading(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range readings {
		a := c.ask(t, r.service, r.name, r.input)
		if a.Status != 200 {
			t.Errorf("%s %s %s: got %s, want 200", r.service, r.name, r.input, a)
		}
		out[r.name+r.input] = volatile.ReplaceAllString(a.Body, "")
	}
	for _, path := range []string{"/_rouse/api/usage", "/_rouse/api/records?function=f"} {
		out[path] = volatile.ReplaceAllString(c.send(t, "rouse", "GET", path, "").Body, "")
	}
	id := c.firstAPI(t)
	for _, name := range []string{"GetRoutes", "GetIntegrations", "GetStages", "GetDeployments"} {
		a := c.ask(t, "apigatewayv2", name, `{"ApiId":"`+id+`"}`)
		out[name] = a.String()
	}
	return out
}

// TestRestartFindsEverything makes one of each through the doors, ends the node, and looks again.
func TestRestartFindsEverything(t *testing.T) {
	flags := settings(t.TempDir(), "listen", freeAddress(t))
	n := openAs(t, true, flags, nil)
	c := developer(n)
	for _, m := range makings(t) {
		if a := c.ask(t, m.service, m.name, m.input); a.Status/100 != 2 {
			t.Fatalf("%s %s: got %s, want it made", m.service, m.name, a)
		}
	}
	c.awaitActive(t, "f")
	until(t, "the stack is complete", func() bool {
		return strings.Contains(c.ask(t, "cloudformation", "DescribeStacks", `{}`).Body, `"CREATE_COMPLETE"`)
	})
	c.call(t, "logs", "PutLogEvents", map[string]any{"logGroupName": "/own", "logStreamName": "s",
		"logEvents": []map[string]any{{"timestamp": time.Now().UnixMilli(), "message": "hello"}}})
	key := c.call(t, "iam", "CreateAccessKey", map[string]any{"UserName": "u"})["AccessKey"].(map[string]any)
	session := c.call(t, "sts", "GetSessionToken", map[string]any{})["Credentials"].(map[string]any)
	asset := strings.Repeat("artifact ", 100_000)
	hash := sigv4.HashPayload([]byte(asset))
	if a := c.send(t, "rouse", "PUT", "/_rouse/api/assets/"+hash, asset); a.Status != 200 {
		t.Fatalf("upload an artifact: got %s, want 200", a)
	}
	c.works(t, "before")
	until(t, "usage and log lines are written", func() bool {
		return strings.Contains(c.send(t, "rouse", "GET", "/_rouse/api/usage", "").Body, `"invocations":3`) &&
			strings.Count(c.ask(t, "logs", "FilterLogEvents", `{"logGroupName":"/aws/lambda/f"}`).Body, "REPORT") == 3
	})
	before := c.reading(t)
	stop(t, n)
	openAs(t, true, flags, nil)
	after := c.reading(t)
	for name, want := range before {
		if got := after[name]; got != want {
			t.Errorf("%s after a restart:\n got %s\nwant %s", name, got, want)
		}
	}
	for id, want := range map[string]string{"u": key["AccessKeyId"].(string), "session": session["AccessKeyId"].(string)} {
		secret, token := key["SecretAccessKey"].(string), ""
		if id == "session" {
			secret, token = session["SecretAccessKey"].(string), session["SessionToken"].(string)
		}
		other := *c
		other.key = sigv4.Signer{AccessKeyID: want, SecretAccessKey: secret, SessionToken: token, Region: "us-east-1"}
		if a := other.send(t, "lambda", "GET", "/2015-03-31/functions", ""); a.Status != 200 {
			t.Errorf("ListFunctions with the key of %s after a restart: got %s, want 200", id, a)
		}
	}
	if a := c.send(t, "rouse", "GET", "/_rouse/api/assets/"+hash, ""); a.Status != 200 {
		t.Errorf("the artifact after a restart: got %s, want 200", a)
	}
	c.works(t, "after")
}

// works calls function f in every way there is.
func (c *client) works(t testing.TB, when string) {
	t.Helper()
	const want = `["hush","from the layer"]`
	if a := c.invoke(t, "f", `{"n":1}`); a.Body != want {
		t.Errorf("invoke %s: got %s, want %s", when, a, want)
	}
	if a := c.invoke(t, "f:live", `{"n":2}`); a.Body != want || a.Header.Get("X-Amz-Executed-Version") != "1" {
		t.Errorf("invoke of the alias %s: got %s by version %q, want %s by 1", when, a, a.Header.Get("X-Amz-Executed-Version"), want)
	}
	if a := c.plain(t, "GET", "/_aws/execute-api/"+c.firstAPI(t)+"/$default/"); a.Body != want {
		t.Errorf("the HTTP API %s: got %s, want %s", when, a, want)
	}
}

func (c *client) firstAPI(t testing.TB) string {
	t.Helper()
	apis := c.call(t, "apigatewayv2", "GetApis", map[string]any{})["Items"].([]any)
	return apis[0].(map[string]any)["ApiId"].(string)
}

// TestStopLosesNoEvent: what was accepted just before the node stopped runs after the next start, and so does what the
// stop cut off, although its function allows no retries: who was ended by the platform did not fail.
func TestStopLosesNoEvent(t *testing.T) {
	t.Parallel() // it waits until what a node held when it ended is due again
	var mu sync.Mutex
	begun, done := map[string]int{}, map[string]int{} // guarded by mu
	open := make(chan struct{})
	watch := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if path.Dir(r.URL.Path) == "/done" {
			mu.Lock()
			done[name]++
			mu.Unlock()
			return
		}
		mu.Lock()
		begun[name]++
		mu.Unlock()
		select {
		case <-open:
		case <-r.Context().Done():
		}
	}))
	defer watch.Close()
	count := func(m map[string]int, name string) int {
		mu.Lock()
		defer mu.Unlock()
		return m[name]
	}

	flags := settings(t.TempDir(), "listen", freeAddress(t))
	n := openAs(t, true, flags, nil)
	c := developer(n)
	makeFunction(t, c, "slow", `exports.handler = async name => {
  await fetch('`+watch.URL+`/begun/' + name);
  await fetch('`+watch.URL+`/done/' + name);
}`)
	c.call(t, "lambda", "UpdateFunctionConfiguration", map[string]any{"FunctionName": "slow", "Timeout": 60})
	c.call(t, "lambda", "PutFunctionEventInvokeConfig", map[string]any{"FunctionName": "slow", "MaximumRetryAttempts": 0})
	for _, name := range []string{"running", "waiting"} {
		a := c.send(t, "lambda", "POST", "/2015-03-31/functions/slow/invocations", quote(name), "X-Amz-Invocation-Type", "Event")
		if a.Status != 202 {
			t.Fatalf("invoke as an event: got %s, want 202", a)
		}
		if name == "running" {
			until(t, "the first event runs", func() bool { return count(begun, name) > 0 })
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	began := time.Now()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("Stop with a second's patience: got %v, want nil", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Stop with a second's patience took %s", took)
	}
	close(open)
	openAs(t, true, flags, nil)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(45 * time.Second)
	for count(done, "running") == 0 || count(done, "waiting") == 0 {
		select {
		case <-late:
			t.Fatalf("runs to the end after the restart: got %d of the event that ran and %d of the one that waited, want 1 each",
				count(done, "running"), count(done, "waiting"))
		case <-tick.C:
		}
	}
}
