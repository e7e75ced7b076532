package compat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// permitAPI lets API Gateway run a function.
func (c *goClients) permitAPI(t *testing.T, function, api string) {
	t.Helper()
	_, err := c.lambda.AddPermission(t.Context(), &lambda.AddPermissionInput{
		FunctionName: aws.String(function), StatementId: aws.String("api-" + api),
		Action:    aws.String("lambda:InvokeFunction"),
		Principal: aws.String("apigateway.amazonaws.com"),
		SourceArn: aws.String("arn:aws:execute-api:us-east-1:000000000000:" + api + "/*/*"),
	})
	check(t, err, "permit the API")
}

// makeAPI makes an HTTP API and removes it when t ends.
func (c *goClients) makeAPI(t *testing.T, in *apigatewayv2.CreateApiInput) *apigatewayv2.CreateApiOutput {
	t.Helper()
	out, err := c.http.CreateApi(t.Context(), in)
	check(t, err, "create API "+*in.Name)
	t.Cleanup(func() {
		var gone *types.NotFoundException
		if _, err := c.http.DeleteApi(context.Background(),
			&apigatewayv2.DeleteApiInput{ApiId: out.ApiId}); err != nil && !errors.As(err, &gone) {
			t.Errorf("delete API: %v", err)
		}
	})
	return out
}

func testHTTPAPI(t *testing.T, c *goClients) {
	ctx := t.Context()
	fn := c.create(t, c.nodeFunction(t, "go-http-api", nodeWeb))
	made := c.makeAPI(t, &apigatewayv2.CreateApiInput{Name: aws.String("go-http"), ProtocolType: types.ProtocolTypeHttp,
		CorsConfiguration: &types.Cors{AllowOrigins: []string{"*"}, AllowMethods: []string{"GET", "POST"},
			AllowHeaders: []string{"x-a"}}})
	api := made.ApiId
	contains(t, aws.ToString(made.ApiEndpoint), *api+".execute-api.", "ApiEndpoint")
	part, err := c.http.CreateIntegration(ctx, &apigatewayv2.CreateIntegrationInput{ApiId: api,
		IntegrationType: types.IntegrationTypeAwsProxy,
		IntegrationUri:  fn.FunctionArn, PayloadFormatVersion: aws.String("2.0")})
	check(t, err, "create integration")
	target := aws.String("integrations/" + *part.IntegrationId)
	for _, key := range []string{"GET /pets/{id}", "ANY /any/{proxy+}", "$default"} {
		_, err := c.http.CreateRoute(ctx, &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: aws.String(key),
			Target: target})
		check(t, err, "create route "+key)
	}
	_, err = c.http.CreateRoute(ctx, &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: aws.String("$default"),
		Target: target})
	typed[*types.ConflictException](t, err, "create a route twice")
	for _, stage := range []string{"$default", "test"} {
		_, err = c.http.CreateStage(ctx, &apigatewayv2.CreateStageInput{ApiId: api, StageName: aws.String(stage),
			AutoDeploy: aws.Bool(true)})
		check(t, err, "create stage "+stage)
	}
	url := aws.ToString(made.ApiEndpoint)
	var got answer
	until(t, waitMax, "the API is deployed", func() bool {
		got = c.node.send(t, request(t, "GET", url+"/pets/7", ""))
		return got.status != 404
	})
	want(t, got.status, 500, "status without a permission")
	want(t, strings.TrimSpace(got.body), `{"message":"Internal Server Error"}`, "body without a permission")
	c.permitAPI(t, "go-http-api", *api)
	until(t, waitMax, "the permission takes effect", func() bool {
		got = c.node.send(t, request(t, "GET", url+"/pets/7?q=a&q=b", ""))
		return got.status != 500
	})
	want(t, got.status, 200, "status")
	for _, part := range []string{`"route":"GET /pets/{id}"`, `"id":"7"`, `"q":"a,b"`, `"stage":"$default"`} {
		contains(t, got.body, part, "body")
	}
	got = c.node.send(t, request(t, "PUT", url+"/test/any/x/y", "hi"))
	contains(t, got.body, `"route":"ANY /any/{proxy+}"`, "body of the other stage")
	contains(t, got.body, `"path":"/test/any/x/y"`, "body of the other stage")
	contains(t, c.node.send(t, request(t, "GET", c.node.url+"/_aws/execute-api/"+*api+"/test/pets/8", "")).body,
		`"id":"8"`, "body by path")
	preflight(t, c.node, url+"/pets/7")

	routes, err := c.http.GetRoutes(ctx, &apigatewayv2.GetRoutesInput{ApiId: api})
	check(t, err, "get routes")
	want(t, len(routes.Items), 3, "routes")
	_, err = c.http.UpdateApi(ctx, &apigatewayv2.UpdateApiInput{ApiId: api, Name: aws.String("go-http-2")})
	check(t, err, "update API")
	_, err = c.http.DeleteIntegration(ctx, &apigatewayv2.DeleteIntegrationInput{ApiId: api,
		IntegrationId: part.IntegrationId})
	wantCode(t, err, "ConflictException", "delete an integration that routes use")
	_, err = c.http.DeleteApi(ctx, &apigatewayv2.DeleteApiInput{ApiId: api})
	check(t, err, "delete API")
	_, err = c.http.GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: api})
	gone := typed[*types.NotFoundException](t, err, "get a deleted API")
	contains(t, gone.ErrorMessage(), "Invalid API identifier specified", "message")
	until(t, waitMax, "the deleted API is gone", func() bool {
		return c.node.send(t, request(t, "GET", url+"/pets/7", "")).status != 200
	})
}

// preflight asks an API whether a browser may call it.
func preflight(t *testing.T, n *node, url string) {
	t.Helper()
	r := request(t, "OPTIONS", url, "")
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
	got := n.send(t, r)
	want(t, got.status, 204, "status of a preflight")
	want(t, got.header.Get("Access-Control-Allow-Methods"), "GET,POST", "Access-Control-Allow-Methods")
}

func testHTTPAPIPages(t *testing.T, c *goClients) {
	ctx := t.Context()
	fn := c.create(t, c.nodeFunction(t, "go-http-quick", nodeWeb))
	quick := c.makeAPI(t, &apigatewayv2.CreateApiInput{Name: aws.String("go-page-0"),
		ProtocolType: types.ProtocolTypeHttp, Target: fn.FunctionArn,
		Tags: map[string]string{"team": "shop"}})
	c.permitAPI(t, "go-http-quick", *quick.ApiId)
	var got answer
	until(t, waitMax, "quick create answers", func() bool {
		got = c.node.send(t, request(t, "GET", aws.ToString(quick.ApiEndpoint)+"/x", ""))
		return got.status == 200
	})
	contains(t, got.body, `"route":"$default"`, "body")
	for i := 1; i < 4; i++ {
		c.makeAPI(t, &apigatewayv2.CreateApiInput{Name: aws.String(fmt.Sprintf("go-page-%d", i)),
			ProtocolType: types.ProtocolTypeHttp})
	}
	seen, next := 0, (*string)(nil)
	for {
		page, err := c.http.GetApis(ctx, &apigatewayv2.GetApisInput{MaxResults: aws.String("2"), NextToken: next})
		check(t, err, "get APIs")
		for _, a := range page.Items {
			if strings.HasPrefix(*a.Name, "go-page-") {
				seen++
			}
		}
		if next = page.NextToken; next == nil {
			break
		}
	}
	want(t, seen, 4, "APIs on all pages")
	tags, err := c.http.GetTags(ctx,
		&apigatewayv2.GetTagsInput{ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/apis/" + *quick.ApiId)})
	check(t, err, "get tags")
	want(t, tags.Tags["team"], "shop", "tag team")
	_, err = c.http.CreateRoute(ctx, &apigatewayv2.CreateRouteInput{ApiId: quick.ApiId,
		RouteKey: aws.String("FETCH /x")})
	typed[*types.BadRequestException](t, err, "create a route of an unknown method")
	_, err = c.http.GetRoute(ctx, &apigatewayv2.GetRouteInput{ApiId: quick.ApiId, RouteId: aws.String("nobody")})
	typed[*types.NotFoundException](t, err, "get a route that is not there")
}

func testRESTAPI(t *testing.T, c *goClients) {
	ctx := t.Context()
	fn := c.create(t, c.nodeFunction(t, "go-rest-api", nodeWeb))
	made, err := c.rest.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("go-rest"),
		Description: aws.String("pets")})
	check(t, err, "create REST API")
	api := made.Id
	t.Cleanup(func() {
		_, _ = c.rest.DeleteRestApi(context.Background(), &apigateway.DeleteRestApiInput{RestApiId: api})
	})
	pets, err := c.rest.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api,
		ParentId: made.RootResourceId, PathPart: aws.String("pets")})
	check(t, err, "create resource")
	pet, err := c.rest.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api, ParentId: pets.Id,
		PathPart: aws.String("{id}")})
	check(t, err, "create resource")
	want(t, aws.ToString(pet.Path), "/pets/{id}", "Path")
	_, err = c.rest.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api, ParentId: made.RootResourceId,
		PathPart: aws.String("pets")})
	typed[*resttypes.ConflictException](t, err, "create a resource twice")
	_, err = c.rest.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api, ResourceId: pet.Id,
		HttpMethod: aws.String("ANY"), AuthorizationType: aws.String("NONE")})
	check(t, err, "put method")
	uri := "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + *fn.FunctionArn + "/invocations"
	_, err = c.rest.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: pet.Id,
		HttpMethod: aws.String("ANY"),
		Type:       resttypes.IntegrationTypeAwsProxy, IntegrationHttpMethod: aws.String("POST"), Uri: aws.String(uri)})
	check(t, err, "put integration")
	deployed, err := c.rest.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api,
		StageName: aws.String("v1")})
	check(t, err, "deploy")
	c.permitAPI(t, "go-rest-api", *api)
	url := c.node.url + "/_aws/execute-api/" + *api + "/v1"
	var got answer
	until(t, waitMax, "the API answers", func() bool {
		got = c.node.send(t, request(t, "POST", url+"/pets/7?q=1", "hi"))
		return got.status == 200
	})
	for _, part := range []string{`"route":"/pets/{id}"`, `"method":"POST"`, `"path":"/pets/7"`, `"id":"7"`,
		`"stage":"v1"`, `"body":"hi"`} {
		contains(t, got.body, part, "body")
	}
	got = c.node.send(t, request(t, "GET", "http://"+*api+".execute-api.localhost/v1/nowhere", ""))
	want(t, got.status, 403, "status of a path that is not there")
	want(t, strings.TrimSpace(got.body), `{"message":"Missing Authentication Token"}`,
		"body of a path that is not there")
	testRESTModel(t, c, api, pet.Id, deployed.Id)
}

// testRESTModel reads, changes and deletes an API of three resources and one stage.
func testRESTModel(t *testing.T, c *goClients, api, pet, deployed *string) {
	ctx := t.Context()
	resources, err := c.rest.GetResources(ctx, &apigateway.GetResourcesInput{RestApiId: api,
		Embed: []string{"methods"}})
	check(t, err, "get resources")
	want(t, len(resources.Items), 3, "resources")
	stages, err := c.rest.GetStages(ctx, &apigateway.GetStagesInput{RestApiId: api, DeploymentId: deployed})
	check(t, err, "get stages")
	want(t, aws.ToString(stages.Item[0].StageName), "v1", "stage")
	up, err := c.rest.UpdateRestApi(ctx, &apigateway.UpdateRestApiInput{RestApiId: api,
		PatchOperations: []resttypes.PatchOperation{
			{Op: resttypes.OpReplace, Path: aws.String("/name"), Value: aws.String("go-rest-2")}}})
	check(t, err, "update by a patch")
	want(t, aws.ToString(up.Name), "go-rest-2", "Name")
	pages, count := apigateway.NewGetResourcesPaginator(c.rest,
		&apigateway.GetResourcesInput{RestApiId: api, Limit: aws.Int32(2)}), 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		count += len(page.Items)
	}
	want(t, count, 3, "resources on all pages")
	_, err = c.rest.DeleteRestApi(ctx, &apigateway.DeleteRestApiInput{RestApiId: api})
	check(t, err, "delete REST API")
	_, err = c.rest.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: api})
	e := typed[*resttypes.NotFoundException](t, err, "get a deleted REST API")
	want(t, e.ErrorMessage(), "Invalid API identifier specified 000000000000:"+*api, "message")
	_, err = c.rest.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api, ResourceId: pet,
		HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")})
	typed[*resttypes.NotFoundException](t, err, "put a method into nothing")
}
