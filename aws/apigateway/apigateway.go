// Package apigateway is the door of Amazon API Gateway's first API, which makes REST APIs: its operations as a table over
// package wire, served by package api.
//
// # What it does
//
// Translate. Inputs and outputs are the room's own structs, which carry the names of the wire; around them stand the
// identifiers that come in the path. Needs follow one rule, as AWS's own permissions do: the action is the HTTP method
// (apigateway:PATCH, …), the resource is the path (arn:aws:apigateway:REGION::/restapis/ID/…). Whoever gives an
// integration a role must be allowed to pass it (iam:PassRole), by a patch and in an imported document too.
//
// Updates are patch operations, as AWS has them here; the room applies them one after the other, all or none.
//
// # What is refused
//
// Authorizers, API keys and usage plans, request validators and models of one's own, mapping templates, caching, canary
// releases, custom domains, VPC links, access and execution logs: members are listed with their operations, operations
// that are not there at all under notImplemented, and docs/COMPATIBILITY.md is made from both.
//
// # Promises
//
// The door keeps nothing between requests: it is safe for concurrent use, and a crash loses nothing of it. Lists are
// paged by position; an item made or deleted meanwhile may shift a page by one.
package apigateway

import (
	"context"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

// Door answers the API.
type Door struct{ apis *api.APIs }

// New makes the door of apis.
func New(apis *api.APIs) *Door { return &Door{apis: apis} }

// bodyMax is the largest request, an import through Caller in base64.
const bodyMax = 9 << 20

// Service is the table.
func (d *Door) Service() wire.Service {
	var ops []wire.Operation
	for _, part := range [][]wire.Operation{d.apiOperations(), d.resourceOperations(), d.methodOperations(),
		d.integrationOperations(), d.deploymentOperations(), d.stageOperations(), d.gatewayResponseOperations(), d.tagOperations(),
		d.absentOperations()} {
		ops = append(ops, part...)
	}
	return wire.Service{Name: "apigateway", Title: "Amazon API Gateway", Protocol: wire.RESTJSON, Operations: ops,
		NotImplemented: notImplemented(), Errors: errorTable(), BodyMax: bodyMax}
}

func errorTable() wire.Errors {
	return wire.RESTJSONErrors().
		With(rouse.Internal, "InternalFailure", 500).
		With(rouse.NotFound, "NotFoundException", 404).
		With(rouse.Exists, "ConflictException", 409).
		With(rouse.Conflict, "ConflictException", 409).
		With(rouse.Denied, "AccessDeniedException", 403)
}

// resourced is an input that knows the path of what it is about.
type resourced interface{ resource() string }

// passing is an input that may give an integration a role.
type passing interface{ roles() []string }

// op declares an operation with the needs that its route and input imply.
func op[In, Out any](d *Door, name, route string, handle func(context.Context, string, *In) (*Out, error), options ...wire.Option) wire.Operation {
	method, _, _ := strings.Cut(route, " ")
	needs := func(_ context.Context, _ rouse.Origin, in *In) ([]rouse.Need, error) {
		needs := []rouse.Need{{Action: "apigateway:" + method, Resource: d.arn(any(in).(resourced).resource())}}
		if p, ok := any(in).(passing); ok {
			for _, role := range p.roles() {
				needs = append(needs, rouse.Need{Action: "iam:PassRole", Resource: role,
					Conditions: map[string][]string{"iam:PassedToService": {"apigateway.amazonaws.com"}}})
			}
		}
		return needs, nil
	}
	return wire.Op(name, route, needs, func(ctx context.Context, from rouse.Origin, in *In) (*Out, error) {
		return handle(ctx, from.Principal.Account, in)
	}, options...)
}

func (d *Door) arn(path string) string { return "arn:aws:apigateway:" + d.apis.Region() + "::" + path }

// answer makes a handler's answer of what the room returns.
func answer[T any](v T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// none is for operations without an answer.
func none(err error) (*wire.None, error) { return nil, err }

// page is the paging of a list.
type page struct {
	Position string `wire:"position,query" name:"position"`
	Limit    *int   `wire:"limit,query" name:"limit"`
}

// list is a page of items.
type list[T any] struct {
	Items    []T    `wire:"item" name:"items"`
	Position string `wire:"position" name:"position"`
}

const (
	pageDefault = 25
	pageMax     = 500
)

// cut takes the page out of all.
func cut[T any](p page, all []T, err error) (*list[T], error) {
	if err != nil {
		return nil, err
	}
	size, from := pageDefault, 0
	if p.Limit != nil && *p.Limit > 0 {
		size = min(*p.Limit, pageMax)
	}
	if p.Position != "" {
		text, err := base64.RawURLEncoding.DecodeString(p.Position)
		if err == nil {
			from, err = strconv.Atoi(string(text))
		}
		if err != nil || from < 0 {
			return nil, rouse.Errorf(rouse.Invalid, "Invalid position parameter specified")
		}
	}
	from = min(from, len(all))
	to := min(from+size, len(all))
	out := &list[T]{Items: append([]T{}, all[from:to]...)}
	if to < len(all) {
		out.Position = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return out, nil
}

// patches is the body of an update.
type patches struct {
	Operations []api.Patch `wire:"patchOperations" name:"patchOperations"`
}

// ---- inputs that name what they are about

type atAPIs struct{}

func (atAPIs) resource() string { return "/restapis" }

type atAPI struct {
	APIID string `wire:"restapi_id,uri,required" name:"restApiId"`
}

func (in atAPI) resource() string { return "/restapis/" + in.APIID }

// below is the path of a part of the API.
func (in atAPI) below(parts ...string) string { return in.resource() + "/" + strings.Join(parts, "/") }

type atResource struct {
	atAPI
	ResourceID string `wire:"resource_id,uri,required" name:"resourceId"`
}

func (in atResource) resource() string { return in.below("resources", in.ResourceID) }

type atMethod struct {
	atResource
	Method string `wire:"http_method,uri,required" name:"httpMethod"`
}

func (in atMethod) resource() string { return in.atResource.resource() + "/methods/" + in.Method }

type atMethodResponse struct {
	atMethod
	Status string `wire:"status_code,uri,required" name:"statusCode" pattern:"[1-5]\\d\\d"`
}

func (in atMethodResponse) resource() string {
	return in.atMethod.resource() + "/responses/" + in.Status
}

type atIntegration struct{ atMethod }

func (in atIntegration) resource() string { return in.atMethod.resource() + "/integration" }

type atIntegrationResponse struct {
	atMethod
	Status string `wire:"status_code,uri,required" name:"statusCode" pattern:"[1-5]\\d\\d"`
}

func (in atIntegrationResponse) resource() string {
	return in.atMethod.resource() + "/integration/responses/" + in.Status
}

type atDeployments struct{ atAPI }

func (in atDeployments) resource() string { return in.below("deployments") }

type atDeployment struct {
	atAPI
	DeploymentID string `wire:"deployment_id,uri,required" name:"deploymentId"`
}

func (in atDeployment) resource() string { return in.below("deployments", in.DeploymentID) }

type atStages struct{ atAPI }

func (in atStages) resource() string { return in.below("stages") }

type atStage struct {
	atAPI
	StageName string `wire:"stage_name,uri,required" name:"stageName"`
}

func (in atStage) resource() string { return in.below("stages", in.StageName) }

type atGatewayResponses struct{ atAPI }

func (in atGatewayResponses) resource() string { return in.below("gatewayresponses") }

type atGatewayResponse struct {
	atAPI
	Type string `wire:"response_type,uri,required" name:"responseType" enum:"REQUEST_TOO_LARGE|RESOURCE_NOT_FOUND|AUTHORIZER_CONFIGURATION_ERROR|MISSING_AUTHENTICATION_TOKEN|BAD_REQUEST_BODY|INVALID_SIGNATURE|INVALID_API_KEY|BAD_REQUEST_PARAMETERS|AUTHORIZER_FAILURE|UNAUTHORIZED|INTEGRATION_TIMEOUT|ACCESS_DENIED|DEFAULT_4XX|DEFAULT_5XX|WAF_FILTERED|QUOTA_EXCEEDED|THROTTLED|API_CONFIGURATION_ERROR|UNSUPPORTED_MEDIA_TYPE|INTEGRATION_FAILURE|EXPIRED_TOKEN"`
}

func (in atGatewayResponse) resource() string { return in.below("gatewayresponses", in.Type) }

type atTags struct {
	ResourceARN string `wire:"resource_arn,uri,required" name:"resourceArn"`
}

func (in atTags) resource() string { return "/tags/" + url.QueryEscape(in.ResourceARN) }
