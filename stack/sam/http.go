package sam

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

var httpNames = strings.Fields("Name StageName Tags DefinitionBody DefinitionUri StageVariables CorsConfiguration AccessLogSettings " +
	"DefaultRouteSettings RouteSettings FailOnWarnings Description PropagateTags")

var httpRefused = map[string]string{"Auth": "", "Domain": "", "DisableExecuteApiEndpoint": "", "PropagateTags": ""}

// expandHTTP makes the Api and its Stage of an AWS::Serverless::HttpApi.
func (x *expander) expandHTTP(a *api) {
	x.known(a.r, httpNames, httpRefused)
	p, props := a.r.Pos, a.r.Properties
	if props.Get("DefinitionBody") != nil && props.Get("DefinitionUri") != nil {
		x.wrong(props.KeyPos("DefinitionUri"), a.id, "DefinitionUri",
			"Specify either 'DefinitionUri' or 'DefinitionBody' property and not both.")
	}
	tags := template.Obj(p)
	if t := props.Get("Tags"); t != nil && t.Kind == template.Map {
		tags.Fields = slices.Clone(t.Fields)
	}
	if v, ok := a.body.Get("openapi").Scalar(); ok && openAPI3.MatchString(v) && a.body.Get("paths") != nil {
		tags = tags.With("httpapi:createdBy", template.Str(p, "SAM"))
	} else if props.Get("Tags") == nil {
		tags = nil
	}
	x.httpBody(a, tags)
	out := template.Obj(props.Pos)
	if a.body != nil {
		out.Fields = append(out.Fields, Field{Key: "Body", Pos: a.body.Pos, Value: a.body})
	} else {
		uri := props.Get("DefinitionUri")
		out.Fields = append(out.Fields, Field{Key: "BodyS3Location", Pos: uri.Pos,
			Value: x.location(a.r, "DefinitionUri", uri, "Bucket", "Key", "Version")})
	}
	if v := props.Get("FailOnWarnings"); v != nil {
		out.Fields = append(out.Fields, Field{Key: "FailOnWarnings", Pos: props.KeyPos("FailOnWarnings"), Value: v})
	}
	api := *a.r
	api.Type, api.Properties = "AWS::ApiGatewayV2::Api", out
	x.resources = append(x.resources, &api)
	x.httpStage(a, tags)
}

// httpBody writes the API's properties into its definition.
func (x *expander) httpBody(a *api, tags *Value) {
	props := a.r.Properties
	inline := func(prop string) bool {
		if props.Get(prop) == nil {
			return false
		}
		if a.body == nil {
			x.wrong(props.KeyPos(prop), a.id, prop,
				"%s works only with inline OpenApi specified in the 'DefinitionBody' property.", prop)
		}
		return a.body != nil
	}
	if inline("CorsConfiguration") {
		x.httpCORS(a, props.Get("CorsConfiguration"))
	}
	if a.body == nil {
		return
	}
	if tags != nil {
		a.body = a.body.With("tags", bodyTags(a, tags))
	}
	if fail, _ := props.Get("FailOnWarnings").Bool(); fail {
		if paths := a.body.Get("paths"); paths.Get(defaultPath) != nil {
			a.body = a.body.With("paths", paths.With("/"+defaultPath, paths.Get(defaultPath)).With(defaultPath, nil))
		}
	}
	if inline("Name") {
		a.body = a.body.With("info", a.body.Get("info").With("title", props.Get("Name")))
	}
	if inline("Description") {
		if a.body.Path("info", "description") != nil {
			x.wrong(props.KeyPos("Description"), a.id, "Description",
				"Unable to set Description because it is already defined within "+
					"inline OpenAPI specified in the 'DefinitionBody' property.")
		}
		a.body = a.body.With("info", a.body.Get("info").With("description", props.Get("Description")))
	}
}

// bodyTags is the tags of the definition with the API's own.
func bodyTags(a *api, tags *Value) *Value {
	list := template.Of(a.body.Pos)
	if old := a.body.Get("tags"); old != nil {
		list.Items = slices.Clone(old.Items)
	}
	for _, t := range tags.Fields {
		tag := template.Obj(t.Pos, template.KV(t.Pos, "name", template.Str(t.Pos, t.Key)),
			template.KV(t.Pos, "x-amazon-apigateway-tag-value", t.Value))
		list.Items = append(slices.DeleteFunc(list.Items, func(v *Value) bool {
			n,
				_ := v.Get("name").IsString()
			return n == t.Key
		}), tag)
	}
	return list
}

var corsKeys = map[string]string{"AllowOrigins": "allowOrigins", "AllowHeaders": "allowHeaders",
	"AllowMethods":  "allowMethods",
	"ExposeHeaders": "exposeHeaders", "MaxAge": "maxAge", "AllowCredentials": "allowCredentials"}

func (x *expander) httpCORS(a *api, c *Value) {
	const key = "x-amazon-apigateway-cors"
	out := a.body.Get(key)
	if out == nil {
		out = template.Obj(c.Pos)
	}
	if b, ok := c.Bool(); ok && c.Kind == template.Bool {
		if b {
			a.body = a.body.With(key, out.With("allowOrigins", template.Strs(c.Pos, "*")))
		}
		return
	}
	if c.Kind != template.Map || isIntrinsic(c) {
		x.refuse(c.Pos, a.id, "CorsConfiguration", "a CorsConfiguration that is neither true nor a map")
		return
	}
	names := []string{"AllowOrigins", "AllowHeaders", "AllowMethods", "ExposeHeaders", "MaxAge", "AllowCredentials"}
	for _, f := range c.Fields {
		to, ok := corsKeys[f.Key]
		if !ok {
			x.wrong(f.Pos, a.id, "CorsConfiguration", "Invalid key '%s' for 'Cors' property.%s", f.Key,
				template.Suggest(f.Key, names))
			continue
		}
		if b, is := f.Value.Bool(); f.Key == "AllowCredentials" && is && !b {
			continue
		}
		out = out.With(to, f.Value)
	}
	a.body = a.body.With(key, out)
}

func (x *expander) httpStage(a *api, tags *Value) {
	p, props := a.r.Pos, a.r.Properties
	stage := props.Get("StageName")
	if stage == nil {
		stage = template.Str(p, defaultPath)
	}
	id := a.id
	switch name, _ := stage.IsString(); {
	case alnum(name):
		id += name + "Stage"
	case name == defaultPath:
		id += "ApiGatewayDefaultStage"
	default:
		id += "Stage" + digestText(name)
	}
	fields := []Field{template.KV(p, "ApiId", template.Ref(p, a.id)), template.KV(stage.Pos, "StageName", stage)}
	for _, n := range []string{"StageVariables", "AccessLogSettings", "DefaultRouteSettings", "RouteSettings"} {
		fields = append(fields, template.KV(props.KeyPos(n), n, props.Get(n)))
	}
	fields = append(fields, template.KV(p, "Tags", tags), template.KV(p, "AutoDeploy", template.Boolean(p, true)))
	x.add(a.r, id, "AWS::ApiGatewayV2::Stage", p, fields...)
	x.renamed[a.id+".Stage"] = id
}
