package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// TestQuotas: as many as there may be of each part of an API, and not one more.
func TestQuotas(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	web := must(a.HTTP.CreateAPI(ctx, account, api.HTTPAPIInput{Name: ptr("web"), Target: ptr(function)}, nil))(t).APIID
	rest := must(a.REST.CreateAPI(ctx, account, api.RESTAPIInput{Name: "rest"}))(t)
	id, root := rest.ID, rest.RootResourceID
	must(a.REST.PutMethod(ctx, account, id, root, "GET", api.RESTMethodInput{AuthorizationType: "NONE"}))(t)
	must(a.REST.PutIntegration(ctx, account, id, root, "GET", api.RESTIntegrationInput{Type: "MOCK"}))(t)
	var deployment string
	for _, c := range []struct {
		what string
		max  int
		make func(i int) error
		text string
	}{
		{"resources", 299, func(i int) error { // and the root
			_, err := a.REST.CreateResource(ctx, account, id, root, fmt.Sprint("r", i))
			return err
		}, "Maximum number of resources"},
		{"deployments of a REST API", 200, func(int) error {
			d, err := a.REST.CreateDeployment(ctx, account, id, api.RESTDeploymentInput{})
			if err == nil {
				deployment = d.ID
			}
			return err
		}, "Maximum number of deployments for this API has been reached: 200"},
		{"stages of a REST API", 10, func(i int) error {
			_, err := a.REST.CreateStage(ctx, account, id, api.RESTStageInput{StageName: fmt.Sprint("s", i), DeploymentID: deployment})
			return err
		}, "Maximum number of stages for this API has been reached: 10"},
		{"integrations", 299, func(int) error { // and the one of the quick create
			_, err := a.HTTP.CreateIntegration(ctx, account, web, api.HTTPIntegrationInput{IntegrationType: ptr("AWS_PROXY"), IntegrationURI: ptr(function),
				PayloadFormatVersion: ptr("2.0")})
			return err
		}, "Maximum number of integrations for this API has been reached: 300"},
		{"deployments of an HTTP API", 199, func(int) error { // and the automatic one
			_, err := a.HTTP.CreateDeployment(ctx, account, web, "", "")
			return err
		}, "Maximum number of deployments for this API has been reached: 200"},
	} {
		for i := range c.max {
			if err := c.make(i); err != nil {
				t.Fatalf("%s, number %d: got %v, want none", c.what, i+1, err)
			}
		}
		wants(t, c.what, c.make(c.max), rouse.Limit, c.text)
	}
	var paths strings.Builder
	for i := range 301 {
		fmt.Fprintf(&paths, "  /p%d: {get: {responses: {}}}\n", i)
	}
	document := []byte("openapi: 3.0.1\ninfo: {title: t, version: '1'}\npaths:\n" + paths.String())
	_, err := a.HTTP.ImportAPI(ctx, account, document, "")
	wants(t, "routes of a document", err, rouse.Limit, "Maximum number of routes for this API has been reached: 300")
	_, err = a.REST.ImportAPI(ctx, account, api.RESTImport{Body: document})
	wants(t, "resources of a document", err, rouse.Limit, "Maximum number of resources for this API has been reached: 300")
}

// TestLengths: texts and times beyond their limits are refused.
func TestLengths(t *testing.T) {
	a, ctx := open(t, kvtest.Memory(t)), t.Context()
	rest := must(a.REST.CreateAPI(ctx, account, api.RESTAPIInput{Name: "rest"}))(t)
	must(a.REST.PutMethod(ctx, account, rest.ID, rest.RootResourceID, "GET", api.RESTMethodInput{AuthorizationType: "NONE"}))(t)
	long := func(n int) *string { return ptr(strings.Repeat("x", n)) }
	create := func(in api.HTTPAPIInput) error {
		_, err := a.HTTP.CreateAPI(ctx, account, in, nil)
		return err
	}
	integrate := func(ms int) error {
		_, err := a.REST.PutIntegration(ctx, account, rest.ID, rest.RootResourceID, "GET", api.RESTIntegrationInput{Type: "MOCK", TimeoutInMillis: &ms})
		return err
	}
	for _, c := range []struct {
		what string
		err  error
		text string // "": it fits
	}{
		{"a name", create(api.HTTPAPIInput{Name: long(128)}), ""},
		{"a long name", create(api.HTTPAPIInput{Name: long(129)}), "it must have 1 to 128 characters"},
		{"a description", create(api.HTTPAPIInput{Name: ptr("n"), Description: long(1024)}), ""},
		{"a long description", create(api.HTTPAPIInput{Name: ptr("n"), Description: long(1025)}), "at most 1024 characters"},
		{"a time", integrate(29000), ""},
		{"a short time", integrate(49), "between 50 ms and 29000 ms"},
		{"a long time", integrate(29001), "between 50 ms and 29000 ms"},
	} {
		if c.text != "" {
			wants(t, c.what, c.err, rouse.Invalid, c.text)
		} else if c.err != nil {
			t.Errorf("%s: got %v, want none", c.what, c.err)
		}
	}
}
