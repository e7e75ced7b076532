package resource

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/stack/template"
)

func httpTypes() []*Type {
	return []*Type{{Name: "AWS::ApiGatewayV2::Api", tags: "Tags", Attributes: []string{"ApiEndpoint", "ApiId"},
		Note: "HTTP APIs; no WebSocket APIs",
		Properties: properties(`
ApiKeySelectionExpression no
BasePath no
Body json
BodyS3Location no -- put the definition into Body
CorsConfiguration object {
  AllowCredentials bool
  AllowHeaders list string
  AllowMethods list string
  AllowOrigins list string
  ExposeHeaders list string
  MaxAge int
}
CredentialsArn string
Description string
DisableExecuteApiEndpoint bool
DisableSchemaValidation no
FailOnWarnings bool
IpAddressType no
Name string
ProtocolType string replace only=HTTP
RouteKey string
RouteSelectionExpression string only=$request.method_$request.path|${request.method}_${request.path}
Tags map string
Target string
Version string
`), create: createHTTP, update: updateHTTP, find: findHTTP, check: checkHTTP,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigatewayv2", "DeleteApi", map[string]any{"ApiId": r.Physical}, nil)
		},
		// A route or target that quick create made is replaced with the API, not edited.
		replaceIf: func(old, props map[string]any) bool {
			_, had := old["Body"]
			_, has := props["Body"]
			return had != has || (!has && (same(old["Target"], nil) != same(props["Target"], nil)))
		},
	}, {Name: "AWS::ApiGatewayV2::Route", Attributes: []string{"RouteId"}, Properties: properties(`
ApiId string required replace
ApiKeyRequired no
AuthorizationScopes no
AuthorizationType string only=NONE
AuthorizerId no
ModelSelectionExpression no
OperationName string
RequestModels no
RequestParameters no
RouteKey string required
RouteResponseSelectionExpression no
Target string
`), keyed: true, create: v2create("Route", "OperationName RouteKey Target"), update: v2update("Route", "OperationName RouteKey Target"),
		remove: v2remove("Route"), find: v2find("Route", "RouteKey"),
	}, {Name: "AWS::ApiGatewayV2::Integration", Attributes: []string{"IntegrationId"}, Properties: properties(`
ApiId string required replace
ConnectionId no
ConnectionType string only=INTERNET
ContentHandlingStrategy no
CredentialsArn string
Description string
IntegrationMethod string
IntegrationSubtype no -- integrations with AWS services
IntegrationType string required only=AWS_PROXY|HTTP_PROXY
IntegrationUri string
PassthroughBehavior no
PayloadFormatVersion string
RequestParameters no
RequestTemplates no
ResponseParameters no
TemplateSelectionExpression no
TimeoutInMillis int
TlsConfig no
`), create: v2create("Integration", integrationProps), update: v2update("Integration", integrationProps),
		remove: v2remove("Integration"), find: v2find("Integration",
			"IntegrationUri Description IntegrationType PayloadFormatVersion"),
	}, {Name: "AWS::ApiGatewayV2::Stage", tags: "Tags", Properties: properties(`
AccessLogSettings no
ApiId string required replace
AutoDeploy bool
ClientCertificateId no
DefaultRouteSettings object {
  DataTraceEnabled no
  DetailedMetricsEnabled bool
  LoggingLevel string only=OFF
  ThrottlingBurstLimit int
  ThrottlingRateLimit number
}
DeploymentId string
Description string
RouteSettings map object {
  DataTraceEnabled no
  DetailedMetricsEnabled bool
  LoggingLevel string only=OFF
  ThrottlingBurstLimit int
  ThrottlingRateLimit number
}
StageName string required replace
StageVariables map string
Tags map string
`), keyed: true, create: createHTTPStage, update: updateHTTPStage,
		find: func(ctx context.Context, c Client, r *Request) (State, bool, error) {
			err := c.Call(ctx, "apigatewayv2", "GetStage", take(r.Props, "ApiId StageName"), nil)
			return State{Physical: text(r.Props, "StageName")}, err == nil, err
		},
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "apigatewayv2", "DeleteStage", take(r.Props, "ApiId StageName"), nil)
		},
	}, {Name: "AWS::ApiGatewayV2::Deployment", Attributes: []string{"DeploymentId"}, Properties: properties(`
ApiId string required replace
Description string
StageName string replace
`), create: v2create("Deployment", "Description StageName"), update: v2update("Deployment", "Description"), remove: v2remove("Deployment")}}
}

const integrationProps = "ConnectionType CredentialsArn Description IntegrationMethod IntegrationType IntegrationUri PayloadFormatVersion TimeoutInMillis"

func checkHTTP(props *template.Value) template.Problems {
	if props.Get("Body") != nil {
		return checkBody(props)
	}
	var ps template.Problems
	for _, n := range []string{"Name", "ProtocolType"} {
		if props.Get(n) == nil {
			ps = append(ps, template.Problem{Pos: props.Pos, Text: "required key [" + n +
				"] not found: an API needs a Name and ProtocolType, or a Body"})
		}
	}
	return ps
}

type apiAnswer struct{ ApiId, ApiEndpoint, Name string }

func (a apiAnswer) state() State {
	return State{Physical: a.ApiId, Attrs: map[string]any{"ApiId": a.ApiId, "ApiEndpoint": a.ApiEndpoint}}
}

const apiSettings = "CorsConfiguration Description DisableExecuteApiEndpoint Name Version"

func createHTTP(ctx context.Context, c Client, r *Request) (State, error) {
	var out apiAnswer
	if _, ok := r.Props["Body"]; ok {
		in := take(r.Props, "FailOnWarnings")
		in["Body"] = bodyOf(r.Props)
		if err := c.Call(ctx, "apigatewayv2", "ImportApi", in, &out); err != nil {
			return State{}, err
		}
		return out.state(), afterImport(ctx, c, r, out.ApiId)
	}
	in := take(r.Props, apiSettings+" ProtocolType RouteKey Target CredentialsArn Tags")
	if err := c.Call(ctx, "apigatewayv2", "CreateApi", in, &out); err != nil {
		return State{}, err
	}
	return out.state(), nil
}

// bodyOf is the OpenAPI document of an API as text. One without a title gets the API's name: imports want a title.
func bodyOf(props map[string]any) string {
	if s, ok := props["Body"].(string); ok {
		return s
	}
	body, name := props["Body"], text(props, "Name")
	if m, ok := body.(map[string]any); ok && name != "" {
		info, _ := m["info"].(map[string]any)
		if text(info, "title") == "" {
			m, info = maps.Clone(m), maps.Clone(info)
			if info == nil {
				info = map[string]any{}
			}
			info["title"] = name
			m["info"] = info
			body = m
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("resource: a body is JSON: " + err.Error())
	}
	return string(b)
}

// afterImport sets what stands beside the body.
func afterImport(ctx context.Context, c Client, r *Request, id string) error {
	in := take(r.Props, apiSettings)
	if len(in) > 0 {
		in["ApiId"] = id
		if err := c.Call(ctx, "apigatewayv2", "UpdateApi", in, nil); err != nil {
			return err
		}
	}
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 && r.Old == nil {
		return c.Call(ctx, "apigatewayv2", "TagResource", map[string]any{"ResourceArn": apiARN(r, id, ""),
			"Tags": tags}, nil)
	}
	return nil
}

func apiARN(r *Request, id, rest string) string {
	return "arn:aws:apigateway:" + r.Region + "::/apis/" + id + rest
}

func updateHTTP(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical, Attrs: r.Attrs}
	if _, ok := r.Props["Body"]; ok {
		if changed(r, "Body") {
			in := take(r.Props, "FailOnWarnings")
			in["ApiId"], in["Body"] = r.Physical, bodyOf(r.Props)
			if err := c.Call(ctx, "apigatewayv2", "ReimportApi", in, nil); err != nil {
				return state, err
			}
		}
		if err := afterImport(ctx, c, r, r.Physical); err != nil {
			return state, err
		}
		return state, apiTags(ctx, c, r, apiARN(r, r.Physical, ""))
	}
	in := map[string]any{"ApiId": r.Physical}
	for _, n := range []string{"CorsConfiguration", "Description", "DisableExecuteApiEndpoint", "Name", "Version",
		"Target", "RouteKey", "CredentialsArn"} {
		v, ok := r.Props[n]
		_, had := r.Old[n]
		switch {
		case same(r.Old[n], v):
		case ok:
			in[n] = v
		case n == "CorsConfiguration":
			if err := gone(c.Call(ctx, "apigatewayv2", "DeleteCorsConfiguration", map[string]any{"ApiId": r.Physical},
				nil)); err != nil {
				return state, err
			}
		case had:
			in[n] = map[string]any{"DisableExecuteApiEndpoint": false}[n]
			if in[n] == nil {
				in[n] = ""
			}
		}
	}
	if len(in) > 1 {
		if err := c.Call(ctx, "apigatewayv2", "UpdateApi", in, nil); err != nil {
			return state, err
		}
	}
	return state, apiTags(ctx, c, r, apiARN(r, r.Physical, ""))
}

func apiTags(ctx context.Context, c Client, r *Request, arn string) error {
	return retag(r, func(set map[string]string) error {
		return c.Call(ctx, "apigatewayv2", "TagResource", map[string]any{"ResourceArn": arn, "Tags": set}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "apigatewayv2", "UntagResource", map[string]any{"ResourceArn": arn, "TagKeys": keys}, nil)
	})
}

// apiNames are the names that an API can have while it is made: its title before what stands beside the body was set.
func apiNames(props map[string]any) (names []string) {
	if n := text(props, "Name"); n != "" {
		names = append(names, n)
	}
	if body, ok := props["Body"].(map[string]any); ok {
		info, _ := body["info"].(map[string]any)
		if t := text(info, "title"); t != "" {
			names = append(names, t)
		}
	}
	return names
}

func findHTTP(ctx context.Context, c Client, r *Request) (State, bool, error) {
	names := apiNames(r.Props)
	token := ""
	for range 100 {
		var page struct {
			NextToken string
			Items     []struct {
				apiAnswer
				CreatedDate any
			}
		}
		in := map[string]any{}
		if token != "" {
			in["NextToken"] = token
		}
		if err := c.Call(ctx, "apigatewayv2", "GetApis", in, &page); err != nil {
			return State{}, false, err
		}
		for _, it := range page.Items {
			if slices.Contains(names, it.Name) && !r.Taken(it.ApiId) && notBefore(it.CreatedDate, r.Since) {
				return it.state(), true, nil
			}
		}
		if token = page.NextToken; token == "" {
			break
		}
	}
	return State{}, false, nil
}

// The parts of an HTTP API follow one pattern: Create, Update, Delete and Get of kind, with the id in KIND+"Id".

func v2state(kind string, out map[string]any) State {
	id := text(out, kind+"Id")
	return State{Physical: id, Attrs: map[string]any{kind + "Id": id}}
}

func v2create(kind, names string) func(context.Context, Client, *Request) (State, error) {
	return func(ctx context.Context, c Client, r *Request) (State, error) {
		var out map[string]any
		if err := c.Call(ctx, "apigatewayv2", "Create"+kind, take(r.Props, "ApiId "+names), &out); err != nil {
			return State{}, err
		}
		return v2state(kind, out), nil
	}
}

func v2update(kind, names string) func(context.Context, Client, *Request) (State, error) {
	return func(ctx context.Context, c Client, r *Request) (State, error) {
		in := take(r.Props, "ApiId "+names)
		in[kind+"Id"] = r.Physical
		for _, n := range []string{"Description", "OperationName"} {
			if _, had := r.Old[n]; had && in[n] == nil {
				in[n] = ""
			}
		}
		return State{Physical: r.Physical, Attrs: r.Attrs}, c.Call(ctx, "apigatewayv2", "Update"+kind, in, nil)
	}
}

func v2remove(kind string) func(context.Context, Client, *Request) error {
	return func(ctx context.Context, c Client, r *Request) error {
		return c.Call(ctx, "apigatewayv2", "Delete"+kind, map[string]any{"ApiId": r.Props["ApiId"], kind +
			"Id": r.Physical}, nil)
	}
}

// v2find looks for a part that agrees in the named properties and that nobody has recorded.
func v2find(kind, names string) func(context.Context, Client, *Request) (State, bool, error) {
	return func(ctx context.Context, c Client, r *Request) (State, bool, error) {
		var page struct{ Items []map[string]any }
		if err := c.Call(ctx, "apigatewayv2", "Get"+kind+"s",
			map[string]any{"ApiId": r.Props["ApiId"], "MaxResults": "1000"}, &page); err != nil {
			return State{}, false, err
		}
		want := take(r.Props, names)
		i := slices.IndexFunc(page.Items, func(it map[string]any) bool {
			for n, v := range want {
				if !same(it[n], v) {
					return false
				}
			}
			return !r.Taken(text(it, kind+"Id"))
		})
		if i < 0 {
			return State{}, false, nil
		}
		return v2state(kind, page.Items[i]), true, nil
	}
}

const stageProps = "ApiId AutoDeploy DefaultRouteSettings DeploymentId Description RouteSettings StageName StageVariables"

func createHTTPStage(ctx context.Context, c Client, r *Request) (State, error) {
	if err := c.Call(ctx, "apigatewayv2", "CreateStage", take(r.Props, stageProps+" Tags"), nil); err != nil {
		return State{}, err
	}
	return State{Physical: text(r.Props, "StageName")}, nil
}

func updateHTTPStage(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical}
	in := take(r.Props, stageProps)
	// Variables that left the template are emptied: the operation merges.
	vars, now := map[string]string{}, tagMap(r.Props["StageVariables"])
	for k := range tagMap(r.Old["StageVariables"]) {
		vars[k] = ""
	}
	for k, v := range now {
		vars[k] = v
	}
	if len(vars) > 0 {
		in["StageVariables"] = vars
	}
	for n, none := range map[string]any{"Description": "", "AutoDeploy": false} {
		if _, had := r.Old[n]; had && in[n] == nil {
			in[n] = none
		}
	}
	if err := c.Call(ctx, "apigatewayv2", "UpdateStage", in, nil); err != nil {
		return state, err
	}
	if err := dropRouteSettings(ctx, c, r); err != nil {
		return state, err
	}
	return state, apiTags(ctx, c, r, apiARN(r, text(r.Props, "ApiId"), "/stages/"+r.Physical))
}

// dropRouteSettings removes the settings of routes that left the template.
func dropRouteSettings(ctx context.Context, c Client, r *Request) error {
	old, _ := r.Old["RouteSettings"].(map[string]any)
	now, _ := r.Props["RouteSettings"].(map[string]any)
	for key := range old {
		if _, ok := now[key]; ok {
			continue
		}
		in := take(r.Props, "ApiId StageName")
		in["RouteKey"] = key
		if err := gone(c.Call(ctx, "apigatewayv2", "DeleteRouteSettings", in, nil)); err != nil {
			return err
		}
	}
	return nil
}
