package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	account  = "123456789012"
	function = "arn:aws:lambda:us-east-1:123456789012:function:shop"
)

func invocation(fn string) string {
	return "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + fn + "/invocations"
}

func open(t testing.TB, store kv.Store) *api.APIs {
	t.Helper()
	a, err := api.Open(t.Context(), api.Config{Store: store, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ptr[T any](v T) *T { return &v }

// wants fails unless err is of kind and says text.
func wants(t *testing.T, what string, err error, kind rouse.Kind, text string) {
	t.Helper()
	if err == nil || rouse.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %v (%v), want %v %q", what, err, rouse.KindOf(err), kind, text)
	}
}

// must returns v, failing when there is an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// served is the key of the route that answers, and its function's ARN or why it is broken.
func served(a *api.APIs, id, stage, method, path string) string {
	live := a.Snapshot().API(id)
	if live == nil {
		return "no api"
	}
	st := live.Stages[stage]
	if st == nil {
		return "no stage"
	}
	r, values, ok := st.Routes.Match(method, path, nil)
	if !ok {
		return "no route"
	}
	s := r.Key
	for i, name := range r.Names {
		s += fmt.Sprintf(" %s=%s", name, values[i])
	}
	if r.Integration.Type == api.Lambda {
		return s + " " + r.Integration.Function.String()
	}
	return s + " " + r.Integration.Why
}

func TestQuickCreate(t *testing.T) {
	a := open(t, kvtest.Memory(t))
	got := must(a.HTTP.CreateAPI(t.Context(), account, api.HTTPAPIInput{Name: ptr("shop"), Target: ptr(function)}, map[string]string{"k": "v"}))(t)
	if len(got.APIID) != 10 || got.APIEndpoint != "https://"+got.APIID+".execute-api.us-east-1.amazonaws.com" {
		t.Errorf("got %q at %q, want ten letters and AWS's endpoint", got.APIID, got.APIEndpoint)
	}
	if want := "$default " + function; served(a, got.APIID, "$default", "POST", "/any/path") != want {
		t.Errorf("served %q, want %q", served(a, got.APIID, "$default", "POST", "/any/path"), want)
	}
	routes := must(a.HTTP.Routes(t.Context(), account, got.APIID))(t)
	stages := must(a.HTTP.Stages(t.Context(), account, got.APIID))(t)
	if len(routes) != 1 || !routes[0].Managed || len(stages) != 1 || !stages[0].AutoDeploy || stages[0].DeploymentID == "" {
		t.Errorf("got routes %+v and stages %+v, want a managed one each, deployed", routes, stages)
	}
	other := function + ":live"
	must(a.HTTP.UpdateAPI(t.Context(), account, got.APIID, api.HTTPAPIInput{Target: &other, RouteKey: ptr("GET /x"),
		CredentialsARN: ptr("arn:aws:iam::123456789012:role/r")}))(t)
	if want := "GET /x " + other; served(a, got.APIID, "$default", "GET", "/x") != want {
		t.Errorf("after the update served %q, want %q", served(a, got.APIID, "$default", "GET", "/x"), want)
	}
	if deployments := must(a.HTTP.Deployments(t.Context(), account, got.APIID))(t); len(deployments) != 1 || !deployments[0].AutoDeployed {
		t.Errorf("got deployments %+v, want only the latest automatic one", deployments)
	}
}

// TestRouteSelection: it is shown as AWS shows it, whichever form asked for it.
func TestRouteSelection(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	const want = "$request.method $request.path"
	for _, asked := range []*string{nil, ptr(want), ptr("${request.method} ${request.path}")} {
		got := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), RouteSelectionExpression: asked}, nil))(t)
		if got.RouteSelectionExpression != want {
			t.Errorf("got %q, want %q", got.RouteSelectionExpression, want)
		}
	}
	_, err := a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), RouteSelectionExpression: ptr("$request.body.action")}, nil)
	wants(t, "another selection", err, rouse.Invalid, "it must be "+want)
}

func TestDeploymentIsACopy(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n")}, nil))(t).APIID
	in := must(a.HTTP.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"),
		IntegrationURI: ptr(invocation(function + ":${stageVariables.alias}")), PayloadFormatVersion: ptr("2.0")}))(t)
	_, err := a.HTTP.CreateDeployment(ctx, account, id, "", "")
	wants(t, "a deployment without routes", err, rouse.Invalid, "At least one route is required")
	target := "integrations/" + in.IntegrationID
	r := must(a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr("GET /a"), Target: &target}))(t)
	must(a.HTTP.CreateStage(ctx, account, id, "prod", api.HTTPStageInput{StageVariables: map[string]string{"alias": "live"}}, nil))(t)
	if got := served(a, id, "prod", "GET", "/a"); got != "no route" {
		t.Errorf("before a deployment served %q, want no route", got)
	}
	x := must(a.HTTP.CreateDeployment(ctx, account, id, "prod", "first"))(t)
	if got, want := served(a, id, "prod", "GET", "/a"), "GET /a "+function+":live"; got != want {
		t.Errorf("served %q, want %q", got, want)
	}
	if err := a.HTTP.DeleteRoute(ctx, account, id, r.RouteID); err != nil {
		t.Fatal(err)
	}
	if got := served(a, id, "prod", "GET", "/a"); !strings.HasPrefix(got, "GET /a ") {
		t.Errorf("after the route is gone served %q, want it still, as it is deployed", got)
	}
	must(a.HTTP.UpdateStage(ctx, account, id, "prod", api.HTTPStageInput{StageVariables: map[string]string{"alias": "next"}}))(t)
	if got, want := served(a, id, "prod", "GET", "/a"), "GET /a "+function+":next"; got != want {
		t.Errorf("with another variable served %q, want %q", got, want)
	}
	wants(t, "deleting what is served", a.HTTP.DeleteDeployment(ctx, account, id, x.DeploymentID), rouse.Invalid, "Active stages pointing to this deployment")
	must(a.HTTP.UpdateStage(ctx, account, id, "prod", api.HTTPStageInput{AutoDeploy: ptr(true)}))(t)
	if got := served(a, id, "prod", "GET", "/a"); got != "no route" {
		t.Errorf("once the stage follows served %q, want no route", got)
	}
	if err := a.HTTP.DeleteDeployment(ctx, account, id, x.DeploymentID); err != nil {
		t.Errorf("deleting a deployment that is not served: %v", err)
	}
	wants(t, "an integration in use", func() error {
		must(a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr("GET /b"), Target: &target}))(t)
		return a.HTTP.DeleteIntegration(ctx, account, id, in.IntegrationID)
	}(), rouse.Conflict, "referenced by Route")
}

func TestHTTPRefusals(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n")}, nil))(t).APIID
	must(a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr("GET /a/{x}")}))(t)
	must(a.HTTP.CreateStage(ctx, account, id, "s", api.HTTPStageInput{}, nil))(t)
	route := func(key string) error {
		_, err := a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: &key})
		return err
	}
	wants(t, "same route", route("GET /a/{y}"), rouse.Conflict, "Route with key GET /a/{y} already exists for this API")
	for _, key := range []string{"", "GET", "get /a", "FETCH /a", "GET a", "GET /{a+}/b", "GET /a b", "$connect"} {
		wants(t, "route key "+key, route(key), rouse.Invalid, "The provided route key is not formatted properly for HTTP protocol")
	}
	integration := func(in api.HTTPIntegrationInput) error {
		_, err := a.HTTP.CreateIntegration(ctx, account, id, in)
		return err
	}
	lambda := func(uri string) api.HTTPIntegrationInput {
		return api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"), IntegrationURI: &uri}
	}
	wants(t, "no type", integration(api.HTTPIntegrationInput{}), rouse.Invalid, "integrationType is required")
	wants(t, "queue", integration(lambda("arn:aws:sqs:us-east-1:123456789012:q")), rouse.Invalid, "Invalid integration URI")
	in := lambda(function)
	in.TimeoutInMillis = ptr(30001)
	wants(t, "timeout", integration(in), rouse.Invalid, "Timeout should be between 50 ms and 30000 ms")
	in = lambda(function)
	in.ConnectionType = ptr("VPC_LINK")
	wants(t, "vpc", integration(in), rouse.Unsupported, "Rouse does not implement VPC links")
	in = lambda(function)
	in.CredentialsARN = ptr("arn:aws:iam::*:user/*")
	wants(t, "caller", integration(in), rouse.Unsupported, "caller's identity")
	wants(t, "mock", integration(api.HTTPIntegrationInput{IntegrationType: ptr("MOCK")}), rouse.Invalid, "MOCK is not supported")
	wants(t, "no url", integration(api.HTTPIntegrationInput{IntegrationType: ptr("HTTP_PROXY"), IntegrationMethod: ptr("GET"),
		IntegrationURI: ptr("ftp://x")}), rouse.Invalid, "Invalid HTTP endpoint specified for URI")
	stage := func(name string, in api.HTTPStageInput) error {
		_, err := a.HTTP.CreateStage(ctx, account, id, name, in, nil)
		return err
	}
	wants(t, "stage again", stage("s", api.HTTPStageInput{}), rouse.Conflict, "Stage already exists")
	wants(t, "stage name", stage("a b", api.HTTPStageInput{}), rouse.Invalid, "Stage name only allows")
	wants(t, "variable", stage("v", api.HTTPStageInput{StageVariables: map[string]string{"a-b": "c"}}), rouse.Invalid, "Invalid stage variable name")
	wants(t, "logging", stage("v", api.HTTPStageInput{DefaultRouteSettings: &api.RouteSettings{LoggingLevel: ptr("INFO")}}),
		rouse.Unsupported, "execution logging")
	_, err := a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr("GET /q"), AuthorizationType: ptr("JWT")})
	wants(t, "authorizer", err, rouse.Unsupported, "authorization of routes (authorizationType JWT)")
	_, err = a.HTTP.API(ctx, "999999999999", id)
	wants(t, "another account", err, rouse.NotFound, "Invalid API identifier specified "+id)
	_, err = a.HTTP.UpdateAPI(ctx, account, id, api.HTTPAPIInput{CORS: &api.CORS{AllowOrigins: []string{"*"}, AllowCredentials: ptr(true)}})
	wants(t, "cors", err, rouse.Invalid, "allowCredentials is not allowed")
	_, err = a.REST.API(ctx, account, id)
	wants(t, "an HTTP API among REST APIs", err, rouse.NotFound, "Invalid API identifier specified "+account+":"+id)
}

func TestStateSurvives(t *testing.T) {
	store, ctx := kvtest.Memory(t), t.Context()
	a := open(t, store)
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
	// Descriptions make the document larger than one value may be.
	for i := range 290 {
		must(a.HTTP.CreateIntegration(ctx, account, id, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"),
			IntegrationURI: ptr(function), Description: ptr(strings.Repeat("x", 2000) + fmt.Sprint(i))}))(t)
	}
	again := open(t, store)
	if got, want := served(again, id, "$default", "GET", "/"), "$default "+function; got != want {
		t.Errorf("after opening again served %q, want %q", got, want)
	}
	if got := must(again.HTTP.Integrations(ctx, account, id))(t); len(got) != 291 || !strings.HasSuffix(got[290].Description, "x289") {
		t.Errorf("after opening again %d integrations, want 291", len(got))
	}
	if err := again.HTTP.DeleteAPI(ctx, account, id); err != nil {
		t.Fatal(err)
	}
	if got := served(open(t, store), id, "$default", "GET", "/"); got != "no api" {
		t.Errorf("after deletion served %q, want no api", got)
	}
	n := 0
	for range must(pairs(ctx, store))(t) {
		n++
	}
	if n != 1 { // the format number
		t.Errorf("after deletion %d keys are left, want 1", n)
	}
}

func pairs(ctx context.Context, store kv.Store) (all []kv.Pair, err error) {
	err = store.Snapshot(ctx, func(p kv.Pair) error { all = append(all, p); return nil })
	return all, err
}

// TestAnotherNodeFollows: two rooms on one store, as two nodes have it.
func TestAnotherNodeFollows(t *testing.T) {
	store := kvtest.Memory(t)
	one, two := open(t, store), open(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- two.Run(ctx) }()
	id := must(one.HTTP.CreateAPI(t.Context(), account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
	eventually(t, func() bool { return served(two, id, "$default", "GET", "/") == "$default "+function })
	if err := one.HTTP.DeleteAPI(t.Context(), account, id); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return served(two, id, "$default", "GET", "/") == "no api" })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run ended with %v, want nil", err)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it did not come about within 20 s")
		}
	}
}

// TestConcurrentEdits: what stacks do, all routes of an API at once. Each must be there, and be served.
func TestConcurrentEdits(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
	target := "integrations/" + must(a.HTTP.Integrations(ctx, account, id))(t)[0].IntegrationID
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr(fmt.Sprintf("GET /%d", i)), Target: &target}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 20 {
		key := fmt.Sprintf("GET /%d", i)
		if got := served(a, id, "$default", "GET", fmt.Sprintf("/%d", i)); got != key+" "+function {
			t.Errorf("served %q, want %q", got, key+" "+function)
		}
	}
}

func TestTags(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
	for _, arn := range []string{"arn:aws:apigateway:us-east-1::/apis/" + id, "arn:aws:apigateway:us-east-1::/apis/" + id + "/stages/$default"} {
		if err := a.Tag(ctx, account, arn, map[string]string{"a": "1", "b": "2"}); err != nil {
			t.Fatal(err)
		}
		if err := a.Untag(ctx, account, arn, []string{"a", "none"}); err != nil {
			t.Fatal(err)
		}
		if got := must(a.Tags(ctx, account, arn))(t); len(got) != 1 || got["b"] != "2" {
			t.Errorf("%s: got tags %v, want b=2", arn, got)
		}
	}
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = ""
	}
	wants(t, "51 tags", a.Tag(ctx, account, "arn:aws:apigateway:us-east-1::/apis/"+id, many), rouse.Invalid, "at most 50 tags")
	wants(t, "no api", a.Tag(ctx, account, "arn:aws:apigateway:us-east-1::/apis/nothing", nil), rouse.NotFound, "Invalid resource identifier")
	for _, arn := range []string{"nothing", "arn:aws:apigateway:us-east-1::/apis", "arn:aws:apigateway:eu-west-1::/apis/" + id,
		"arn:aws:apigateway:us-east-1:" + account + ":/apis/" + id, "arn:aws:apigateway:us-east-1::apis/" + id} {
		_, err := a.Tags(ctx, account, arn)
		wants(t, "read by "+arn, err, rouse.Invalid, "Invalid ARN")
		wants(t, "tag by "+arn, a.Tag(ctx, account, arn, map[string]string{"c": "3"}), rouse.Invalid, "Invalid ARN")
	}
}

func TestLimits(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n")}, nil))(t).APIID
	var err error
	for i := 0; i <= 300 && err == nil; i++ {
		_, err = a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr(fmt.Sprintf("GET /%d", i))})
	}
	wants(t, "routes", err, rouse.Limit, "Maximum number of routes for this API has been reached: 300")
	err = nil
	for i := 0; i <= 10 && err == nil; i++ {
		_, err = a.HTTP.CreateStage(ctx, account, id, fmt.Sprint("s", i), api.HTTPStageInput{}, nil)
	}
	wants(t, "stages", err, rouse.Limit, "Maximum number of stages")
	if got := len(a.Snapshot().API(id).Stages); got != 10 {
		t.Errorf("%d stages are served, want 10", got)
	}
	ids := []string{}
	for _, live := range a.Snapshot().All() {
		ids = append(ids, live.ID)
	}
	if !slices.Equal(ids, []string{id}) {
		t.Errorf("the snapshot lists %v, want %s", ids, id)
	}
}

func TestAPIsMax(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	var err error
	n := 0
	for ; n <= 600 && err == nil; n++ {
		_, err = a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n")}, nil)
	}
	wants(t, "APIs", err, rouse.Limit, "Maximum number of APIs for this account has been reached: 600")
	if n != 601 {
		t.Errorf("%d APIs could be made, want 600", n-1)
	}
	must(a.REST.CreateAPI(ctx, account, api.RESTAPIInput{Name: "n"}))(t)
	must(a.HTTP.CreateAPI(ctx, "999999999999", api.HTTPAPIInput{Name: ptr("n")}, nil))(t)
}

// TestDeletedStaysDeleted: edits that are committed before the deletion and published after it do not bring an API back.
func TestDeletedStaysDeleted(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	for range 20 {
		id := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				_, err := a.HTTP.CreateRoute(ctx, account, id, api.HTTPRouteInput{RouteKey: ptr(fmt.Sprintf("GET /%d", i))})
				if err != nil && rouse.KindOf(err) != rouse.NotFound {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := a.HTTP.DeleteAPI(ctx, account, id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if got := served(a, id, "$default", "GET", "/"); got != "no api" {
			t.Fatalf("a deleted API is served: %s", got)
		}
	}
}

// between is a store that does something once after a View.
type between struct {
	kv.Store
	after atomic.Pointer[func()]
}

func (b *between) View(ctx context.Context, fn func(kv.View) error) error {
	err := b.Store.View(ctx, fn)
	if f := b.after.Swap(nil); f != nil {
		(*f)()
	}
	return err
}

// TestMadeWhileRefreshing: an API that is made while a refresh is under way is served, and stays.
func TestMadeWhileRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &between{Store: kvtest.Memory(t)}
		a := open(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(time.Second / 2)
		var id string
		meanwhile := func() {
			id = must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
		}
		store.after.Store(&meanwhile)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := served(a, id, "$default", "GET", "/"); !strings.HasPrefix(got, "$default ") {
			t.Errorf("an API that was made while the index was read: got %q, want it served", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// deaf is a store whose hints are all lost.
type deaf struct{ kv.Store }

func (deaf) Wake([]byte) (<-chan struct{}, func()) { return nil, func() {} }

// TestFollowWithoutHints: a lost hint makes a change late, by a second at most, and not unseen.
func TestFollowWithoutHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		one, two := open(t, store), open(t, deaf{store})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- two.Run(ctx) }()
		id := must(one.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("n"), Target: ptr(function)}, nil))(t).APIID
		time.Sleep(1100 * time.Millisecond)
		if got := served(two, id, "$default", "GET", "/"); !strings.HasPrefix(got, "$default ") {
			t.Errorf("a second after another node made an API: got %q, want it served", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}
