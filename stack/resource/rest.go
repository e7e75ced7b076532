package resource

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

const methodSettings = `
  CacheDataEncrypted no
  CacheTtlInSeconds no
  CachingEnabled no
  DataTraceEnabled no
  HttpMethod string
  LoggingLevel string only=OFF
  MetricsEnabled bool
  ResourcePath string
  ThrottlingBurstLimit int
  ThrottlingRateLimit number
`

func restTypes() []*Type {
	return append(restPartTypes(), &Type{Name: "AWS::ApiGateway::RestApi", tags: "Tags",
		Attributes: []string{"RootResourceId", "RestApiId"},
		Properties: properties(`
ApiKeySourceType string only=HEADER
BinaryMediaTypes list string
Body json
BodyS3Location no -- put the definition into Body
CloneFrom no
Description string
DisableExecuteApiEndpoint bool
EndpointAccessMode no
EndpointConfiguration object {
  IpAddressType no
  Types list string only=REGIONAL|EDGE
  VpcEndpointIds no
}
FailOnWarnings bool
MinimumCompressionSize int
Mode string only=overwrite
Name string
Parameters map string
Policy no
SecurityPolicy no
Tags list object {
  Key string required
  Value string required
}
`), create: createREST, update: updateREST, find: findREST, check: checkBody,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigateway", "DeleteRestApi", map[string]any{"restApiId": r.Physical}, nil)
		},
	}, &Type{Name: "AWS::ApiGateway::Deployment", Attributes: []string{"DeploymentId"}, Properties: properties(`
DeploymentCanarySettings no
Description string
RestApiId string required replace
StageDescription no -- describe the stage in an AWS::ApiGateway::Stage
StageName string replace
`), create: createDeployment, update: updateDeployment, remove: removeDeployment,
	}, &Type{Name: "AWS::ApiGateway::Stage", tags: "Tags", Properties: properties(`
AccessLogSetting no
CacheClusterEnabled no
CacheClusterSize no
CanarySetting no
ClientCertificateId no
DeploymentId string required
Description string
DocumentationVersion no
MethodSettings list object {` + methodSettings + `}
RestApiId string required replace
StageName string required replace
Tags list object {
  Key string required
  Value string required
}
TracingEnabled bool -- kept; nothing is traced yet
Variables map string
`), keyed: true, create: createRESTStage, update: updateRESTStage,
		find: func(ctx context.Context, c Client, r *Request) (State, bool, error) {
			err := c.Call(ctx, "apigateway", "GetStage", stageKey(r), nil)
			return State{Physical: text(r.Props, "StageName")}, err == nil, err
		},
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigateway", "DeleteStage", stageKey(r), nil)
		},
	})
}

// checkBody refuses what acts in an OpenAPI document and is not implemented, before anything is touched. The service
// judges the rest when it reads the document.
func checkBody(props *template.Value) (ps template.Problems) {
	refused := map[string]string{"securityDefinitions": "authorizers", "securitySchemes": "authorizers",
		"x-amazon-apigateway-authorizer": "authorizers",
		"x-amazon-apigateway-auth":       "authorizers", "x-amazon-apigateway-request-validator": "request validators",
		"x-amazon-apigateway-policy": "resource policies of APIs", "x-amazon-apigateway-api-key-source": "API keys"}
	var walk func(v *template.Value, path string, depth int)
	walk = func(v *template.Value, path string, depth int) {
		if depth > 6 {
			return
		}
		for _, f := range v.Fields {
			at := path + "." + f.Key
			empty := (f.Value.Kind == template.Map && len(f.Value.Fields) == 0) ||
				(f.Value.Kind == template.List && len(f.Value.Items) == 0)
			what, ok := refused[f.Key]
			if f.Key == "x-amazon-apigateway-integration" {
				what, ok = integrationRefused(f.Value)
			}
			if ok && !empty {
				ps = append(ps, template.Problem{Pos: f.Pos, Path: at, Unsupported: true,
					Text: "Rouse does not implement " + what})
				continue
			}
			walk(f.Value, at, depth+1)
		}
	}
	if body := props.Get("Body"); body != nil && body.Kind == template.Map {
		walk(body, "Body", 0)
	}
	if props.Get("Body") == nil && props.Get("Name") == nil {
		ps = append(ps, template.Problem{Pos: props.Pos,
			Text: "required key [Name] not found: a REST API needs a Name or a Body"})
	}
	return ps
}

// integrationRefused says what of an integration in a document is not implemented.
func integrationRefused(v *template.Value) (what string, refused bool) {
	if v.Get("integrationSubtype") != nil {
		return "integrations with AWS services", true
	}
	if t, ok := v.Get("connectionType").IsString(); ok && strings.EqualFold(t, "VPC_LINK") {
		return "VPC links", true
	}
	t, ok := v.Get("type").IsString()
	if !ok || slices.Contains([]string{"aws_proxy", "http_proxy", "mock"}, strings.ToLower(t)) {
		return "", false
	}
	return "integrations of type " + t + "; it has aws_proxy, http_proxy and mock", true
}

type restAnswer struct {
	ID             string `json:"id"`
	RootResourceID string `json:"rootResourceId"`
}

func (a restAnswer) state() State {
	return State{Physical: a.ID, Attrs: map[string]any{"RootResourceId": a.RootResourceID, "RestApiId": a.ID}}
}

func importREST(r *Request) map[string]any {
	in := map[string]any{"body": base64.StdEncoding.EncodeToString([]byte(bodyOf(r.Props)))}
	if v, ok := r.Props["FailOnWarnings"]; ok {
		in["failOnWarnings"] = v
	}
	if v, ok := r.Props["Parameters"]; ok {
		in["parameters"] = v
	}
	return in
}

func createREST(ctx context.Context, c Client, r *Request) (State, error) {
	var out restAnswer
	if _, ok := r.Props["Body"]; !ok {
		in := take(r.Props, "Name=name Description=description BinaryMediaTypes=binaryMediaTypes MinimumCompressionSize=minimumCompressionSize "+
			"ApiKeySourceType=apiKeySource DisableExecuteApiEndpoint=disableExecuteApiEndpoint")
		if e, ok := r.Props["EndpointConfiguration"].(map[string]any); ok {
			in["endpointConfiguration"] = take(e, "Types=types")
		}
		if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
			in["tags"] = tags
		}
		err := c.Call(ctx, "apigateway", "CreateRestApi", in, &out)
		if err != nil {
			return State{}, err
		}
		return out.state(), nil
	}
	if err := c.Call(ctx, "apigateway", "ImportRestApi", importREST(r), &out); err != nil {
		return State{}, err
	}
	// What stands beside the body overrides it.
	if err := patchREST(ctx, c, out.ID, r); err != nil {
		return out.state(), err
	}
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
		in := map[string]any{"resourceArn": restARN(r, out.ID, ""), "tags": tags}
		return out.state(), c.Call(ctx, "apigateway", "TagResource", in, nil)
	}
	return out.state(), nil
}

func restARN(r *Request, id, rest string) string {
	return "arn:aws:apigateway:" + r.Region + "::/restapis/" + id + rest
}

type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value,omitempty"`
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(strings.ReplaceAll(s, "~1", "/"))
}

// patchREST brings the settings of an API from r.Old to r.Props. A setting that left the template keeps what the body
// says, or goes back to its default.
func patchREST(ctx context.Context, c Client, id string, r *Request) error {
	var ops []patch
	for _, f := range []struct{ prop, path, none string }{{"Name", "/name", ""}, {"Description", "/description", ""},
		{"DisableExecuteApiEndpoint", "/disableExecuteApiEndpoint", "false"},
		{"MinimumCompressionSize", "/minimumCompressionSize", ""}} {
		now, ok := r.Props[f.prop]
		old, had := r.Old[f.prop]
		if ok && !same(old, now) {
			ops = append(ops, patch{"replace", f.path, fmt.Sprint(now)})
		} else if !ok && had && f.prop != "Name" {
			ops = append(ops, patch{"replace", f.path, f.none})
		}
	}
	types, err := typePatches(ctx, c, id, r)
	if err != nil {
		return err
	}
	ops = append(ops, types...)
	if r.Old != nil && changed(r, "EndpointConfiguration") {
		if e, ok := r.Props["EndpointConfiguration"].(map[string]any); ok && len(strs(e["Types"])) > 0 {
			was, _ := r.Old["EndpointConfiguration"].(map[string]any)
			from := "EDGE"
			if t := strs(was["Types"]); len(t) > 0 {
				from = t[0]
			}
			ops = append(ops, patch{"replace", "/endpointConfiguration/types/" + from, strs(e["Types"])[0]})
		}
	}
	if len(ops) == 0 {
		return nil
	}
	return c.Call(ctx, "apigateway", "UpdateRestApi", map[string]any{"restApiId": id, "patchOperations": ops}, nil)
}

// typePatches brings the binary media types to those of r.Props. It asks for those that are there: repeated after a
// crash, what is done is not done again. Those of a body come with it.
func typePatches(ctx context.Context, c Client, id string, r *Request) (ops []patch, err error) {
	if _, whole := r.Props["Body"]; whole || !changed(r, "BinaryMediaTypes") {
		return nil, nil
	}
	var api struct {
		Types []string `json:"binaryMediaTypes"`
	}
	if err := c.Call(ctx, "apigateway", "GetRestApi", map[string]any{"restApiId": id}, &api); err != nil {
		return nil, err
	}
	now := strs(r.Props["BinaryMediaTypes"])
	for _, t := range now {
		if !slices.Contains(api.Types, t) {
			ops = append(ops, patch{"add", "/binaryMediaTypes/" + escape(t), ""})
		}
	}
	for _, t := range strs(r.Old["BinaryMediaTypes"]) {
		if !slices.Contains(now, t) && slices.Contains(api.Types, t) {
			ops = append(ops, patch{"remove", "/binaryMediaTypes/" + escape(t), ""})
		}
	}
	return ops, nil
}

func updateREST(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical, Attrs: r.Attrs}
	_, has := r.Props["Body"]
	if has && changed(r, "Body Parameters BinaryMediaTypes") {
		in := importREST(r)
		in["restApiId"], in["mode"] = r.Physical, "overwrite"
		if err := c.Call(ctx, "apigateway", "PutRestApi", in, nil); err != nil {
			return state, err
		}
		// An overwrite takes the name and description of the document: the template's own are set again.
		r = &Request{Account: r.Account, Region: r.Region, Physical: r.Physical, Props: r.Props, Attrs: r.Attrs,
			Old: map[string]any{"Tags": r.Old["Tags"], "EndpointConfiguration": r.Old["EndpointConfiguration"]}}
	}
	if err := patchREST(ctx, c, r.Physical, r); err != nil {
		return state, err
	}
	return state, restTags(ctx, c, r, restARN(r, r.Physical, ""))
}

func restTags(ctx context.Context, c Client, r *Request, arn string) error {
	return retag(r, func(set map[string]string) error {
		return c.Call(ctx, "apigateway", "TagResource", map[string]any{"resourceArn": arn, "tags": set}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "apigateway", "UntagResource", map[string]any{"resourceArn": arn, "tagKeys": keys}, nil)
	})
}

// findREST looks for an API of the wanted name that nobody has recorded and that is no older than the interrupted
// create.
func findREST(ctx context.Context, c Client, r *Request) (State, bool, error) {
	names := apiNames(r.Props)
	position := ""
	for range 100 {
		var page struct {
			Position string `json:"position"`
			Items    []struct {
				restAnswer
				Name        string `json:"name"`
				CreatedDate any    `json:"createdDate"`
			} `json:"items"`
		}
		in := map[string]any{"limit": 500}
		if position != "" {
			in["position"] = position
		}
		if err := c.Call(ctx, "apigateway", "GetRestApis", in, &page); err != nil {
			return State{}, false, err
		}
		for _, it := range page.Items {
			if slices.Contains(names, it.Name) && !r.Taken(it.ID) && notBefore(it.CreatedDate, r.Since) {
				return it.state(), true, nil
			}
		}
		if position = page.Position; position == "" {
			break
		}
	}
	return State{}, false, nil
}

// restPartTypes are the types that make a REST API piece by piece.
func restPartTypes() []*Type {
	return []*Type{{Name: "AWS::ApiGateway::Resource", Attributes: []string{"ResourceId"}, Properties: properties(`
ParentId string required replace
PathPart string required replace
RestApiId string required replace
`), keyed: true, create: createResource, find: findResource,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigateway", "DeleteResource",
				map[string]any{"restApiId": r.Props["RestApiId"], "resourceId": r.Physical}, nil)
		},
	}, {Name: "AWS::ApiGateway::Method", naming: naming{max: 128}, Properties: properties(`
ApiKeyRequired no
AuthorizationScopes no
AuthorizationType string only=NONE
AuthorizerId no
HttpMethod string required replace
Integration object {
  CacheKeyParameters no
  CacheNamespace no
  ConnectionId no
  ConnectionType string only=INTERNET
  ContentHandling no
  Credentials string
  IntegrationHttpMethod string
  IntegrationResponses list object {
    ContentHandling no
    ResponseParameters map string
    ResponseTemplates map string
    SelectionPattern string
    StatusCode string required
  }
  IntegrationTarget no
  PassthroughBehavior string
  RequestParameters map string
  RequestTemplates map string
  ResponseTransferMode string only=BUFFERED
  TimeoutInMillis int
  Type string required only=AWS_PROXY|HTTP_PROXY|MOCK
  Uri string
}
MethodResponses list object {
  ResponseModels map string
  ResponseParameters map bool
  StatusCode string required
}
OperationName string
RequestModels map string
RequestParameters map bool
RequestValidatorId no
ResourceId string required replace
RestApiId string required replace
`), keyed: true, create: putMethod, update: updateMethod, find: findMethod,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigateway", "DeleteMethod", methodKey(r.Props), nil)
		},
	}, {Name: "AWS::ApiGateway::GatewayResponse", naming: naming{max: 128}, Attributes: []string{"Id"}, Properties: properties(`
ResponseParameters map string
ResponseTemplates map string
ResponseType string required replace
RestApiId string required replace
StatusCode string
`), create: putGatewayResponse, update: putGatewayResponse,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigateway", "DeleteGatewayResponse",
				take(r.Props, "RestApiId=restApiId ResponseType=responseType"), nil)
		},
	}}
}
