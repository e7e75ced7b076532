// Package apigatewayv2 is the door of Amazon API Gateway's second API, which makes HTTP APIs: its operations as a table
// over package wire, served by package api.
//
// # What it does
//
// Translate. Inputs and outputs are the room's own structs, which carry the names of the wire; around them stand the
// identifiers that come in the path. Needs follow one rule, as AWS's own permissions do: the action is the HTTP method
// (apigateway:GET, …), the resource is the path (arn:aws:apigateway:REGION::/apis/ID/routes/ID). Whoever gives an
// integration a role must be allowed to pass it (iam:PassRole), in imported documents too.
//
// # What is refused
//
// WebSocket APIs, authorizers, API keys, custom domains, VPC links, parameter mapping and access logs: members are
// listed with their operations, operations that are not there at all under notImplemented, and docs/COMPATIBILITY.md is
// made from both.
//
// # Promises
//
// The door keeps nothing between requests: it is safe for concurrent use, and a crash loses nothing of it. Lists are
// paged by position; an item made or deleted meanwhile may shift a page by one.
package apigatewayv2

import (
	"context"
	"encoding/base64"
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

// bodyMax is the largest request, an import: the room's own limit and its envelope.
const bodyMax = 13 << 20

// Service is the table.
func (d *Door) Service() wire.Service {
	var ops []wire.Operation
	for _, part := range [][]wire.Operation{d.apiOperations(), d.routeOperations(), d.integrationOperations(),
		d.stageOperations(), d.deploymentOperations(), d.tagOperations()} {
		ops = append(ops, part...)
	}
	return wire.Service{Name: "apigatewayv2", SigningName: "apigateway", Title: "Amazon API Gateway V2", Protocol: wire.RESTJSON,
		Operations: ops, NotImplemented: notImplemented(), Errors: errorTable(), Validation: "BadRequestException", BodyMax: bodyMax}
}

func errorTable() wire.Errors {
	return wire.RESTJSONErrors().
		With(rouse.Internal, "InternalServerErrorException", 500).
		With(rouse.NotFound, "NotFoundException", 404).
		With(rouse.Exists, "ConflictException", 409).
		With(rouse.Conflict, "ConflictException", 409).
		With(rouse.Limit, "LimitExceededException", 429).
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
	MaxResults string `wire:"maxResults,query" name:"MaxResults"`
	NextToken  string `wire:"nextToken,query" name:"NextToken"`
}

// list is a page of items.
type list[T any] struct {
	Items     []T    `wire:"items" name:"Items"`
	NextToken string `wire:"nextToken" name:"NextToken"`
}

const pageMax = 500 // items, and the default

// cut takes the page out of all.
func cut[T any](p page, all []T, err error) (*list[T], error) {
	if err != nil {
		return nil, err
	}
	size, from := pageMax, 0
	if p.MaxResults != "" {
		n, err := strconv.Atoi(p.MaxResults)
		if err != nil || n < 1 {
			return nil, rouse.Errorf(rouse.Invalid, "Invalid maxResults: %s", p.MaxResults)
		}
		size = min(n, pageMax)
	}
	if p.NextToken != "" {
		text, err := base64.RawURLEncoding.DecodeString(p.NextToken)
		if err == nil {
			from, err = strconv.Atoi(string(text))
		}
		if err != nil || from < 0 {
			return nil, rouse.Errorf(rouse.Invalid, "Invalid nextToken")
		}
	}
	from = min(from, len(all))
	to := min(from+size, len(all))
	out := &list[T]{Items: append([]T{}, all[from:to]...)}
	if to < len(all) {
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return out, nil
}

// ---- inputs that name what they are about

type atAPIs struct{}

func (atAPIs) resource() string { return "/apis" }

type atAPI struct {
	APIID string `wire:"apiId,uri,required" name:"ApiId"`
}

func (in atAPI) resource() string { return "/apis/" + in.APIID }

// below is the path of a part of the API.
func (in atAPI) below(parts ...string) string { return in.resource() + "/" + strings.Join(parts, "/") }

// optional is the string at p, "" for nil.
func optional(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// rolesOf lists the roles that are not "".
func rolesOf(p *string) []string {
	if optional(p) == "" {
		return nil
	}
	return []string{*p}
}
