package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/gateway"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	account  = "123456789012"
	region   = "us-east-1"
	function = "arn:aws:lambda:us-east-1:123456789012:function:shop"
)

func ptr[T any](v T) *T { return &v }

// fixture has one HTTP API, one REST API, one more of each kind with other settings, and function URLs.
type fixture struct {
	apis    *api.APIs
	gateway *gateway.Gateway
	invoker *invoker
	ids     map[string]string
	mu      sync.Mutex
	seen    []gateway.Access // guarded by mu
	needs   []rouse.Need
	from    []rouse.Origin
	deny    error
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	store := kvtest.Memory(t)
	apis, err := api.Open(t.Context(), api.Config{Store: store, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	fx := &fixture{apis: apis, invoker: &invoker{}, ids: map[string]string{}}
	fx.httpAPI(t)
	fx.restAPI(t)
	fx.gateway = gateway.New(gateway.Config{API: apis, Region: region, Invoker: fx.invoker, Authorize: fx, URLs: fx.url,
		Policy:    func(fn rouse.ARN) string { return "policy of " + fn.Resource },
		Verify:    fx.verify,
		Transport: echo{},
		Observe: func(a gateway.Access) {
			fx.mu.Lock()
			defer fx.mu.Unlock()
			fx.seen = append(fx.seen, a)
		}})
	return fx
}

// Authorize notes what it is asked.
func (fx *fixture) Authorize(_ context.Context, from rouse.Origin, needs []rouse.Need) error {
	fx.mu.Lock()
	defer fx.mu.Unlock()
	fx.needs, fx.from = append(fx.needs, needs...), append(fx.from, from)
	return fx.deny
}

func (fx *fixture) verify(r *http.Request) (rouse.Origin, error) {
	if r.Header.Get("Authorization") != "good" {
		return rouse.Origin{}, rouse.Errorf(rouse.Unauthenticated, "bad signature")
	}
	return rouse.Origin{Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/ann", UserID: "AIDA1"}, AccessKey: "AKIA1"}, nil
}

func (fx *fixture) url(id string) (gateway.URLConfig, bool) {
	arn, _ := rouse.ParseARN(function)
	cors := &api.CORS{AllowOrigins: []string{"https://shop.example"}, AllowMethods: []string{"GET", "POST"}, MaxAge: ptr(60)}
	c, ok := map[string]gateway.URLConfig{
		"plainurl":  {Function: arn},
		"iamurl":    {Function: arn, IAM: true},
		"streamurl": {Function: arn, Stream: true},
		"corsurl":   {Function: arn, CORS: cors},
	}[id]
	return c, ok
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (fx *fixture) httpAPI(t testing.TB) {
	ctx, h := t.Context(), fx.apis.HTTP
	id := must(h.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("shop"), Target: ptr(function)}, nil))(t).APIID
	fx.ids["http"] = id
	two := must(h.Integrations(ctx, account, id))(t)[0].IntegrationID
	one := must(h.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"),
		IntegrationURI: ptr(function + ":live"), PayloadFormatVersion: ptr("1.0")}))(t).IntegrationID
	role := must(h.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"),
		IntegrationURI: ptr(function), CredentialsARN: ptr("arn:aws:iam::123456789012:role/path/caller"), PayloadFormatVersion: ptr("2.0"),
		TimeoutInMillis: ptr(50)}))(t).IntegrationID
	web := must(h.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("HTTP_PROXY"),
		IntegrationURI: ptr("https://backend.example/v1/{id}?k=v"), IntegrationMethod: ptr("ANY")}))(t).IntegrationID
	lost := must(h.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"),
		IntegrationURI: ptr(function + "-${stageVariables.none}/x")}))(t).IntegrationID
	for key, integration := range map[string]string{"GET /pets/{id}": two, "ANY /files/{path+}": two, "POST /pets": two,
		"ANY /one/{id}": one, "GET /role": role, "ANY /web/{id}": web, "GET /lost": lost, "GET /slow": two} {
		must(h.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: &key, Target: ptr("integrations/" + integration)}))(t)
	}
	must(h.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr("GET /nothing")}))(t)
	must(h.CreateStage(ctx, account, id, "prod", api.HTTPStageInput{AutoDeploy: ptr(true), StageVariables: map[string]string{"tier": "gold"},
		RouteSettings: map[string]api.RouteSettings{"GET /slow": {ThrottlingRateLimit: ptr(0.0), ThrottlingBurstLimit: ptr(1)}}}, nil))(t)
	must(h.CreateStage(ctx, account, id, "empty", api.HTTPStageInput{}, nil))(t)

	cors := must(h.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("cors"), Target: ptr(function), RouteKey: ptr("GET /a"),
		CORS: &api.CORS{AllowOrigins: []string{"https://shop.example", "http://*"}, AllowMethods: []string{"GET", "PUT"},
			AllowHeaders: []string{"x-a", "x-b"}, ExposeHeaders: []string{"x-c"}, MaxAge: ptr(300), AllowCredentials: ptr(true)}}, nil))(t)
	fx.ids["cors"] = cors.APIID
	off := must(h.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("off"), Target: ptr(function), DisableEndpoint: ptr(true)}, nil))(t)
	fx.ids["off"] = off.APIID
}

const restDocument = `
swagger: "2.0"
info: {title: rest, version: "1"}
x-amazon-apigateway-binary-media-types: [image/png]
x-amazon-apigateway-minimum-compression-size: 200
x-amazon-apigateway-gateway-responses:
  DEFAULT_4XX:
    responseParameters:
      gatewayresponse.header.Access-Control-Allow-Origin: "'*'"
      gatewayresponse.header.X-Asked: method.request.header.X-Ask
  THROTTLED:
    statusCode: 430
    responseTemplates:
      application/json: '{"message":$context.error.messageString,"at":"$context.stage","path":"$context.path","tier":"${stageVariables.tier}"}'
paths:
  /:
    get: {x-amazon-apigateway-integration: &fn {type: aws_proxy, httpMethod: POST, uri: "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:shop/invocations"}}
  /pets/{id}:
    get: {x-amazon-apigateway-integration: *fn}
    options:
      responses:
        "204": {headers: {Access-Control-Allow-Origin: {type: string}, Access-Control-Allow-Methods: {type: string}}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: "{ statusCode: 200 }"}
        responses:
          default:
            statusCode: 204
            responseParameters:
              method.response.header.Access-Control-Allow-Origin: "'*'"
              method.response.header.Access-Control-Allow-Methods: "'GET,OPTIONS'"
  /any/{proxy+}:
    x-amazon-apigateway-any-method: {x-amazon-apigateway-integration: *fn}
  /slow:
    get: {x-amazon-apigateway-integration: *fn}
  /wrong:
    get: {x-amazon-apigateway-integration: {type: aws_proxy, httpMethod: GET, uri: "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:shop/invocations"}}
  /web/{proxy+}:
    x-amazon-apigateway-any-method:
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: https://backend.example/base/{rest}
        requestParameters: {integration.request.path.rest: method.request.path.proxy}
`

func (fx *fixture) restAPI(t testing.TB) {
	ctx, r := t.Context(), fx.apis.REST
	id := must(r.ImportAPI(ctx, account, api.RESTImport{Body: []byte(restDocument)}))(t).ID
	fx.ids["rest"] = id
	must(r.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{StageName: "dev", Variables: map[string]string{"tier": "gold"}}))(t)
	must(r.UpdateStage(ctx, account, id, "dev", []api.Patch{{Op: "replace", Path: "/~1slow/GET/throttling/rateLimit", Value: "0"},
		{Op: "replace", Path: "/~1slow/GET/throttling/burstLimit", Value: "0"}}))(t)
}

// handler is the gateway, or for hosts that begin with "plain" the API behind the port for one.
func (fx *fixture) handler(r *http.Request) http.Handler {
	name, ok := strings.CutPrefix(r.Host, "plain-")
	if !ok {
		return fx.gateway
	}
	name, _, _ = strings.Cut(name, ".")
	return fx.gateway.Plain(func(s *api.Snapshot) *api.API { return s.API(fx.ids[name]) })
}

// invoker is a function whose answer the scenario gives.
type invoker struct {
	mu     sync.Mutex
	answer string
	got    []byte
	inv    rouse.Invocation
}

func (i *invoker) prepare(answer string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer, i.got = answer, nil
}

func (i *invoker) event() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.got
}

func (i *invoker) last() rouse.Invocation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.inv
}

func (i *invoker) Enqueue(context.Context, rouse.Invocation) error {
	return errors.New("not asked for")
}

func (i *invoker) Invoke(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	i.mu.Lock()
	answer := i.answer
	i.got, i.inv = append([]byte{}, inv.Event...), inv
	i.mu.Unlock()
	res := rouse.Result{Version: "1", Timing: rouse.Timing{Start: rouse.StartCold, Init: 5 * time.Millisecond, Run: time.Millisecond}}
	switch {
	case answer == "echo":
		answer = fmt.Sprintf(`{"statusCode":200,"headers":{"content-type":"application/json"},"body":%q}`, inv.ID)
	case answer == "hang":
		<-ctx.Done()
		return res, ctx.Err()
	case strings.HasPrefix(answer, "large "):
		var n int
		_, _ = fmt.Sscan(answer[6:], &n)
		answer = `{"statusCode":200,"headers":{"content-type":"text/plain"},"body":"` + strings.Repeat("x", n) + `"}`
	case strings.HasPrefix(answer, "! "):
		kind, message, _ := strings.Cut(answer[2:], " ")
		res.Error = rouse.Unhandled(kind, message)
		return res, nil
	case strings.HasPrefix(answer, "~ "):
		for k := range rouse.KindCount {
			if rouse.Kind(k).String() == answer[2:] {
				return res, rouse.Errorf(rouse.Kind(k), "the platform fails")
			}
		}
		return res, fmt.Errorf("no kind %q", answer[2:])
	case strings.HasPrefix(answer, "@ "):
		return i.stream(res, answer[2:], out)
	}
	_, err := out.Write([]byte(answer))
	return res, err
}

// stream writes a head and then each line by itself; the line "! TYPE" breaks it off.
func (i *invoker) stream(res rouse.Result, answer string, out rouse.Sink) (rouse.Result, error) {
	lines := strings.Split(answer, "\n")
	var h rouse.Head
	if err := json.Unmarshal([]byte(lines[0]), &h); err != nil {
		return res, err
	}
	if err := out.Head(h); err != nil {
		return res, err
	}
	for _, l := range lines[1:] {
		if kind, ok := strings.CutPrefix(l, "! "); ok {
			res.Error = rouse.Unhandled(kind, "broken off")
			return res, nil
		}
		if _, err := out.Write([]byte(l + "\n")); err != nil {
			return res, err
		}
	}
	return res, nil
}

// echo is the backend of HTTP proxy integrations: it answers with what it got.
type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorder{header: http.Header{}}
	if strings.HasSuffix(r.URL.Path, "/down") {
		return nil, errors.New("connection refused")
	}
	r.Header.Del("X-Amzn-Trace-Id")
	w.header.Set("Server", "backend")
	w.header.Set("Content-Type", "text/plain")
	w.header.Add("Set-Cookie", "a=1")
	w.header.Add("Set-Cookie", "b=2")
	fmt.Fprintf(&w.body, "%s %s\n", r.Method, r.URL)
	_ = r.Header.Write(&w.body)
	if r.Body != nil {
		_, _ = w.body.ReadFrom(r.Body)
	}
	return w.response(), nil
}
