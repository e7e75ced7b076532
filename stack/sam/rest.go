package sam

import (
	"crypto/sha1"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

var restNames = strings.Fields("Name StageName Tags DefinitionBody DefinitionUri CacheClusterEnabled CacheClusterSize Variables " +
	"EndpointConfiguration MethodSettings BinaryMediaTypes MinimumCompressionSize Cors GatewayResponses AccessLogSetting " +
	"CanarySetting TracingEnabled OpenApiVersion FailOnWarnings Description Mode ApiKeySourceType Policy SecurityPolicy EndpointAccessMode " +
	"PropagateTags")

var restRefused = map[string]string{"Auth": "", "Models": "", "Domain": "", "MergeDefinitions": "", "AlwaysDeploy": "",
	"DisableExecuteApiEndpoint": "", "PropagateTags": ""}

var openAPI3 = regexp.MustCompile(`^3(\.\d)(\.\d)?$`)
var openAPIAny = regexp.MustCompile(`^[2-3](\.\d)(\.\d)?$`)

// expandREST makes RestApi, Deployment and Stage of an AWS::Serverless::Api.
func (x *expander) expandREST(a *api) {
	x.known(a.r, restNames, restRefused)
	p, props := a.r.Pos, a.r.Properties
	stage := props.Get("StageName")
	if stage == nil {
		x.wrong(a.r.Pos, a.id, "", "Missing required property 'StageName'.")
		return
	}
	if props.Get("DefinitionBody") != nil && props.Get("DefinitionUri") != nil {
		x.wrong(props.KeyPos("DefinitionUri"), a.id, "DefinitionUri",
			"Specify either 'DefinitionUri' or 'DefinitionBody' property and not both.")
	}
	version, _ := props.Get("OpenApiVersion").Scalar()
	if version != "" && !openAPIAny.MatchString(version) {
		x.wrong(props.KeyPos("OpenApiVersion"), a.id, "OpenApiVersion",
			"The OpenApiVersion value must be of the format '3.0.0'.")
	}
	if version != "" && a.managed && openAPI3.MatchString(version) {
		a.body = template.Obj(a.body.Pos, template.KV(p, "openapi", template.Str(p, version)),
			template.KV(p, "info", a.body.Get("info")), template.KV(p, "paths", a.body.Get("paths")))
	}
	x.cors(a)
	x.gatewayResponses(a)
	if b := props.Get("BinaryMediaTypes"); b != nil && a.body != nil {
		a.body = a.body.With("x-amazon-apigateway-binary-media-types", tildes(b))
	}
	api := *a.r
	api.Type, api.Properties = "AWS::ApiGateway::RestApi", x.restProperties(a)
	x.resources = append(x.resources, &api)
	sum := x.deploymentHash(a, version)
	deployment := x.add(a.r, a.id+"Deployment"+sum[:10], "AWS::ApiGateway::Deployment", p,
		template.KV(p, "RestApiId", template.Ref(p, a.id)),
		template.KV(p, "Description", template.Str(p, "RestApi deployment id: "+sum)))
	if version == "" {
		deployment.Properties = deployment.Properties.With("StageName", template.Str(p, "Stage"))
	}
	x.restStage(a, stage, deployment.ID)
}

// deploymentHash is the hash that makes a new deployment of every new definition.
func (x *expander) deploymentHash(a *api, version string) string {
	definition := a.body
	if definition == nil {
		definition = a.r.Properties.Get("DefinitionUri")
	}
	data := string(canonical(nil, definition))
	if version != "" {
		data += "||" + version
	}
	sum := sha1.Sum([]byte(data))
	return hex.EncodeToString(sum[:])
}

func (x *expander) restProperties(a *api) *Value {
	props := a.r.Properties
	out := template.Obj(props.Pos)
	if a.body != nil {
		out.Fields = append(out.Fields, Field{Key: "Body", Pos: a.body.Pos, Value: a.body})
	} else {
		uri := props.Get("DefinitionUri")
		out.Fields = append(out.Fields, Field{Key: "BodyS3Location", Pos: uri.Pos,
			Value: x.location(a.r, "DefinitionUri", uri, "Bucket", "Key", "Version")})
	}
	for _, n := range []string{"Name", "Description", "BinaryMediaTypes", "MinimumCompressionSize", "FailOnWarnings",
		"Mode", "ApiKeySourceType",
		"Policy", "SecurityPolicy", "EndpointAccessMode"} {
		if v := props.Get(n); v != nil {
			out.Fields = append(out.Fields, Field{Key: n, Pos: props.KeyPos(n), Value: v})
		}
	}
	if e := props.Get("EndpointConfiguration"); e != nil {
		typ, value := e, template.Obj(e.Pos)
		if e.Kind == template.Map && !isIntrinsic(e) {
			typ = e.Get("Type")
			value = value.With("VpcEndpointIds", e.Get("VPCEndpointIds")).With("IpAddressType", e.Get("IpAddressType"))
		}
		if typ != nil {
			value = value.With("Types", template.Of(typ.Pos, typ))
			out = out.With("Parameters", template.Obj(e.Pos, template.KV(e.Pos, "endpointConfigurationTypes", typ)))
		}
		out.Fields = append(out.Fields, Field{Key: "EndpointConfiguration",
			Pos: props.KeyPos("EndpointConfiguration"), Value: value})
	}
	return out
}

func (x *expander) restStage(a *api, stage *Value, deployment string) {
	p, props := a.r.Pos, a.r.Properties
	id := a.id
	if name, _ := stage.IsString(); alnum(name) {
		id += name + "Stage"
	} else {
		id += "Stage" + digestText(name)
	}
	fields := []Field{template.KV(p, "RestApiId", template.Ref(p, a.id)),
		template.KV(p, "DeploymentId", template.Ref(p, deployment)),
		template.KV(stage.Pos, "StageName", stage)}
	for _, n := range []string{"CacheClusterEnabled", "CacheClusterSize", "Variables", "MethodSettings",
		"AccessLogSetting", "CanarySetting", "TracingEnabled"} {
		fields = append(fields, template.KV(props.KeyPos(n), n, props.Get(n)))
	}
	if t := props.Get("Tags"); t != nil {
		fields = append(fields, template.KV(t.Pos, "Tags", tagList(t.Pos, t)))
	}
	x.add(a.r, id, "AWS::ApiGateway::Stage", p, fields...)
	x.renamed[a.id+".Stage"], x.renamed[a.id+".Deployment"] = id, deployment
}

// tildes replaces "~1" by "/" in every string of v.
func tildes(v *Value) *Value {
	out := *v
	if v.Kind == template.String {
		out.Text = strings.ReplaceAll(v.Text, "~1", "/")
	}
	out.Items, out.Fields = slices.Clone(v.Items), slices.Clone(v.Fields)
	for i := range out.Items {
		out.Items[i] = tildes(out.Items[i])
	}
	for i := range out.Fields {
		out.Fields[i].Value = tildes(out.Fields[i].Value)
		out.Fields[i].Key = strings.ReplaceAll(out.Fields[i].Key, "~1", "/")
	}
	return &out
}

// gatewayResponses writes GatewayResponses into the definition.
func (x *expander) gatewayResponses(a *api) {
	g := a.r.Properties.Get("GatewayResponses")
	if g == nil {
		return
	}
	if a.body == nil {
		x.wrong(g.Pos, a.id, "GatewayResponses",
			"GatewayResponses works only with inline Swagger specified in 'DefinitionBody' property.")
		return
	}
	all := template.Obj(g.Pos)
	for _, f := range g.Fields {
		params, templates := template.Obj(f.Pos), f.Value.Get("ResponseTemplates")
		for _, k := range []struct{ section, prefix string }{{"Headers", "header."}, {"Paths", "path."},
			{"QueryStrings", "querystring."}} {
			if m := f.Value.Path("ResponseParameters", k.section); m != nil {
				for _, h := range m.Fields {
					params = params.With("gatewayresponse."+k.prefix+h.Key, h.Value)
				}
			}
		}
		if templates == nil {
			templates = template.Obj(f.Pos)
		}
		def := template.Obj(f.Pos, template.KV(f.Pos, "responseParameters", params),
			template.KV(f.Pos, "responseTemplates", templates))
		if s, ok := f.Value.Get("StatusCode").Scalar(); ok {
			def = def.With("statusCode", template.Str(f.Pos, s))
		}
		all = all.With(f.Key, def)
	}
	a.body = a.body.With("x-amazon-apigateway-gateway-responses", all)
}

// cors adds an OPTIONS method with a mock integration to every path.
func (x *expander) cors(a *api) {
	c := a.r.Properties.Get("Cors")
	if c == nil {
		return
	}
	if a.body == nil || a.body.Get("paths") == nil {
		x.wrong(c.Pos, a.id, "Cors", "Cors works only with inline Swagger specified in 'DefinitionBody' property.")
		return
	}
	set := map[string]*Value{"AllowOrigin": template.Str(c.Pos, "'*'")}
	if c.Kind == template.Map && !isIntrinsic(c) {
		names := []string{"AllowMethods", "AllowHeaders", "AllowOrigin", "MaxAge", "AllowCredentials"}
		for _, f := range c.Fields {
			if !slices.Contains(names, f.Key) {
				x.wrong(f.Pos, a.id, "Cors", "Invalid key '%s' for 'Cors' property.%s", f.Key,
					template.Suggest(f.Key, names))
			}
			set[f.Key] = f.Value
		}
	} else {
		set["AllowOrigin"] = c
	}
	credentials, _ := set["AllowCredentials"].Bool()
	if origin, _ := set["AllowOrigin"].IsString(); credentials && origin == "'*'" {
		x.wrong(c.Pos, a.id, "Cors", "Unable to add Cors configuration because 'AllowCredentials' can not be true when 'AllowOrigin' is \"'*'\" or not set")
	}
	paths, seen := a.body.Get("paths"), map[string]bool{}
	for _, f := range paths.Fields {
		if key := "/" + strings.Trim(f.Key, "/"); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		cond, item := "", f.Value
		if name, arg, ok := item.Intrinsic(); ok && name == "Fn::If" && arg.Kind == template.List &&
			len(arg.Items) == 3 {
			cond, _ = arg.Items[0].IsString()
			item = arg.Items[1]
		}
		if item.Get("options") != nil {
			continue
		}
		v3 := a.body.Get("swagger") == nil && a.r.Properties.Get("OpenApiVersion") != nil
		paths = paths.With(f.Key, iff(cond, item.With("options", corsMethod(c.Pos, item, set, credentials, v3))))
	}
	a.body = a.body.With("paths", paths)
}

func corsMethod(p Pos, item *Value, set map[string]*Value, credentials, v3 bool) *Value {
	methods := set["AllowMethods"]
	if methods == nil {
		all := []string{"OPTIONS"}
		for _, f := range item.Fields {
			if all = append(all, strings.ToUpper(f.Key)); f.Key == anyMethod {
				all = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
				break
			}
		}
		slices.Sort(all)
		methods = template.Str(p, "'"+strings.Join(slices.Compact(all), ",")+"'")
	}
	params, headers := template.Obj(p), template.Obj(p)
	add := func(header, typ string, v *Value) {
		if v == nil {
			return
		}
		params = params.With("method.response.header."+header, v)
		h := template.Obj(p, template.KV(p, "type", template.Str(p, typ)))
		if v3 {
			h = template.Obj(p, template.KV(p, "schema", h))
		}
		headers = headers.With(header, h)
	}
	add("Access-Control-Allow-Origin", "string", set["AllowOrigin"])
	add("Access-Control-Allow-Headers", "string", set["AllowHeaders"])
	add("Access-Control-Allow-Methods", "string", methods)
	age := set["MaxAge"]
	if age != nil && age.Kind == template.Number { // which API Gateway reads as the literal '600' that it should be
		age = template.Str(age.Pos, "'"+age.Text+"'")
	}
	add("Access-Control-Max-Age", "integer", age)
	if credentials {
		add("Access-Control-Allow-Credentials", "string", template.Str(p, "'true'"))
	}
	in := template.Obj(p, template.KV(p, "type", template.Str(p, "mock")),
		template.KV(p, "requestTemplates", template.Obj(p, template.KV(p, "application/json",
			template.Str(p, "{\n  \"statusCode\" : 200\n}\n")))),
		template.KV(p, "responses", template.Obj(p, template.KV(p, "default",
			template.Obj(p, template.KV(p, "statusCode", template.Str(p, "200")),
				template.KV(p, "responseParameters", params),
				template.KV(p, "responseTemplates", template.Obj(p,
					template.KV(p, "application/json", template.Str(p, "{}\n")))))))))
	m := template.Obj(p, template.KV(p, "summary", template.Str(p, "CORS support")))
	if !v3 {
		m = m.With("consumes", template.Strs(p, "application/json")).With("produces",
			template.Strs(p, "application/json"))
	}
	return m.With(integration, in).With("responses", template.Obj(p, template.KV(p, "200", template.Obj(p,
		template.KV(p, "description", template.Str(p, "Default response for CORS method")),
		template.KV(p, "headers", headers)))))
}
