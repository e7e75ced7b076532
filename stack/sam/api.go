package sam

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// The implicit APIs: those of events that name none.
const (
	implicitREST = "ServerlessRestApi"
	implicitHTTP = "ServerlessHttpApi"
)

const (
	anyMethod   = "x-amazon-apigateway-any-method"
	integration = "x-amazon-apigateway-integration"
	defaultPath = "$default"
)

// api is an AWS::Serverless::Api or HttpApi with the definition that events write their routes into.
type api struct {
	id       string
	http     bool
	r        *template.Resource
	body     *Value // the OpenAPI document; nil when DefinitionUri names one
	managed  bool   // the document is made here, not given by DefinitionBody
	implicit bool
	routes   []route
}

// route is one event's path and method.
type route struct {
	function  *template.Resource
	path      string
	method    string // as in a document: "get", anyMethod
	condition string // of the function
}

// findAPIs collects the APIs of the template and makes the implicit ones.
func (x *expander) findAPIs() {
	for _, r := range x.merged {
		if r.Type == prefix+"Api" || r.Type == prefix+"HttpApi" {
			a := &api{id: r.ID, http: r.Type == prefix+"HttpApi", r: r, body: r.Properties.Get("DefinitionBody")}
			if a.body == nil && r.Properties.Get("DefinitionUri") == nil {
				a.body, a.managed = skeleton(r.Pos, a.http), true
			}
			x.apis[r.ID] = a
			x.order = append(x.order, r.ID)
		}
	}
	for _, id := range []string{implicitREST, implicitHTTP} {
		if x.apis[id] != nil {
			continue
		}
		a := &api{id: id, http: id == implicitHTTP, managed: true, implicit: true}
		typ := prefix + "Api"
		if a.http {
			typ = prefix + "HttpApi"
		}
		var p Pos
		if g := x.globals[typ]; g != nil {
			p = g.Pos
		}
		a.body = skeleton(p, a.http)
		a.r = &template.Resource{ID: id, Type: typ, Pos: p, Properties: template.Obj(p)}
		if !a.http {
			a.r.Properties = template.Obj(p, template.KV(p, "StageName", template.Str(p, "Prod")))
		}
		a.r.Properties = x.mergeGlobals(a.r)
		x.apis[id] = a
		x.order = append(x.order, id)
	}
}

// skeleton is an OpenAPI document without paths.
func skeleton(p Pos, http bool) *Value {
	info := template.KV(p, "info", template.Obj(p, template.KV(p, "version", template.Str(p, "1.0")),
		template.KV(p, "title", template.Ref(p, "AWS::StackName"))))
	paths := template.KV(p, "paths", template.Obj(p))
	if http {
		return template.Obj(p, template.KV(p, "openapi", template.Str(p, "3.0.1")), info, paths)
	}
	return template.Obj(p, template.KV(p, "swagger", template.Str(p, "2.0")), info, paths)
}

// apiOf is the API that an event names, or the implicit one.
func (x *expander) apiOf(r *template.Resource, e event) *api {
	prop, implicit, http := "RestApiId", implicitREST, false
	if e.typ == "HttpApi" {
		prop, implicit, http = "ApiId", implicitHTTP, true
	}
	v := e.props.Get(prop)
	if v == nil {
		return x.apis[implicit]
	}
	id, ok := v.RefName()
	if !ok {
		id, _ = v.IsString()
	}
	a := x.apis[id]
	if other := x.in.Resource(id); a == nil && other != nil {
		// An API made without SAM gets the permission, and its own definition the route.
		return &api{id: id, http: http, r: other}
	}
	if a == nil || a.http != http || a.implicit {
		typ := prefix + "Api"
		if http {
			typ = prefix + "HttpApi"
		}
		x.wrong(v.Pos, r.ID, "Events."+e.id,
			"Event with id [%s] is invalid. %s must be a valid reference to an '%s' resource in same template.%s",
			e.id, prop, typ, template.Suggest(id, x.order))
		return nil
	}
	return a
}

// pathAndMethod reads an event's path and method; an HttpApi event without either is the default route.
func (x *expander) pathAndMethod(r *template.Resource, e event) (path, method string, ok bool) {
	pv, mv := e.props.Get("Path"), e.props.Get("Method")
	if e.typ == "HttpApi" && pv == nil && mv == nil {
		return defaultPath, anyMethod, true
	}
	path, okPath := pv.IsString()
	method, okMethod := mv.IsString()
	if !okPath || !okMethod || path == "" || method == "" {
		x.wrong(e.p, r.ID, "Events."+e.id, "Event with id [%s] is invalid. Path and Method must be strings.", e.id)
		return "", "", false
	}
	if method = strings.ToLower(method); method == "any" {
		method = anyMethod
	}
	return path, method, true
}

// collectRoutes notes the routes of a function before anything expands: the definitions hold their paths in the order
// of the template.
func (x *expander) collectRoutes(r *template.Resource) {
	events := r.Properties.Get("Events")
	if events == nil || events.Kind != template.Map {
		return
	}
	for _, f := range events.Fields {
		typ, _ := f.Value.Get("Type").IsString()
		if typ != "Api" && typ != "HttpApi" {
			continue
		}
		e := event{id: f.Key, p: f.Pos, typ: typ, props: f.Value.Get("Properties")}
		if e.props == nil {
			e.props = template.Obj(f.Value.Pos)
		}
		a := x.apiOf(r, e)
		path, method, ok := x.pathAndMethod(r, e)
		if a == nil || !ok {
			continue
		}
		a.routes = append(a.routes, route{r, path, method, r.Condition})
		if a.managed {
			a.put(path, method, nil)
		}
	}
}

// put sets the definition of a method, nil for one that is still to come; it reports whether one with an integration
// was there already.
func (a *api) put(path, method string, def *Value) (taken bool) {
	paths := a.body.Get("paths")
	if paths == nil {
		paths = template.Obj(a.body.Pos)
	}
	item := paths.Get(path)
	if item == nil {
		item = template.Obj(a.body.Pos)
	}
	old := item.Get(method)
	if old.Get(integration) != nil || isIntrinsic(old) {
		return true
	}
	if def == nil {
		if old != nil {
			return false
		}
		def = template.Obj(a.body.Pos)
	} else if old != nil {
		for _, f := range old.Fields {
			if def.Get(f.Key) == nil {
				def = def.With(f.Key, f.Value)
			}
		}
	}
	a.body = a.body.With("paths", paths.With(path, item.With(method, def)))
	return false
}

// uri is the address of the function as an integration names it.
func (f *function) uri(p Pos, partition string) *Value {
	name := "${" + f.r.ID + ".Arn}"
	if f.alias != "" {
		name = "${" + f.alias + "}"
	}
	uri := template.Sub(p, "arn:"+partition+":apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"+name+"/invocations")
	return iff(f.r.Condition, uri)
}

func (f *function) proxy(p Pos, partition, payload string, timeout *Value) *Value {
	in := template.Obj(p, template.KV(p, "type", template.Str(p, "aws_proxy")),
		template.KV(p, "httpMethod", template.Str(p, "POST")))
	if payload != "" {
		in = in.With("payloadFormatVersion", template.Str(p, payload))
	}
	in = in.With("uri", f.uri(p, partition))
	if timeout != nil {
		in = in.With("timeoutInMillis", timeout)
	}
	return template.Obj(p, template.KV(p, integration, in), template.KV(p, "responses", template.Obj(p)))
}

var pathLabel = regexp.MustCompile(`{([a-zA-Z0-9._-]+|[a-zA-Z0-9._-]+\+|proxy\+)}`)
var httpLabel = regexp.MustCompile(`{([a-zA-Z0-9._-]+|proxy\+)}`)
var labelName = regexp.MustCompile(`{(.*?)}`)

// source is the ARN pattern of a route.
func source(p Pos, partition, apiID, rest string) *Value {
	return template.Sub(p, "arn:"+partition+":execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}"+rest,
		template.KV(p, "__ApiId__", template.Ref(p, apiID)), template.KV(p, "__Stage__", template.Str(p, "*")))
}

func starMethod(method string) string {
	if method == anyMethod {
		return "*"
	}
	return strings.ToUpper(method)
}

// apiEvent adds a route to a REST API and the permission for it.
func (f *function) apiEvent(e event) {
	if !f.x.check(f.r, e, "Path Method RestApiId TimeoutInMillis",
		"Auth RequestModel RequestParameters ResponseTransferMode", "Path Method") {
		return
	}
	a := f.x.apiOf(f.r, e)
	path, method, ok := f.x.pathAndMethod(f.r, e)
	if a == nil || !ok {
		return
	}
	if !strings.HasPrefix(path, "/") {
		f.wrong(e.props.KeyPos("Path"), "Events."+e.id, "a path begins with /: want /%s", path)
		return
	}
	suffix := "Prod"
	if !a.implicit {
		if suffix, ok = a.r.Properties.Get("StageName").IsString(); !ok {
			suffix = "Stage"
		}
	}
	trimmed := path
	if len(path) > 1 {
		trimmed = strings.TrimSuffix(path, "/")
	}
	f.permission(e, "apigateway.amazonaws.com", suffix,
		source(e.p, "aws", a.id, "/"+starMethod(method)+pathLabel.ReplaceAllString(trimmed, "*")))
	if !a.managed {
		return
	}
	def := iff(f.r.Condition, f.proxy(e.p, "aws", "", e.props.Get("TimeoutInMillis")))
	if a.put(path, method, def) {
		f.wrong(e.p, "Events."+e.id, "Event with id [%s] is invalid. API method \"%s\" defined multiple times for path \"%s\".", e.id, method, path)
	}
}

// httpEvent adds a route to an HTTP API and the permission for it.
func (f *function) httpEvent(e event) {
	if !f.x.check(f.r, e, "Path Method ApiId TimeoutInMillis PayloadFormatVersion RouteSettings", "Auth", "") {
		return
	}
	a := f.x.apiOf(f.r, e)
	path, method, ok := f.x.pathAndMethod(f.r, e)
	if a == nil || !ok {
		return
	}
	f.httpPermission(a, e, path, method)
	if s := e.props.Get("RouteSettings"); s != nil {
		key := strings.ToUpper(method) + " " + path
		if method == anyMethod {
			key = path
		}
		all := a.r.Properties.Get("RouteSettings")
		a.r.Properties = a.r.Properties.With("RouteSettings", all.With(key, merge(all.Get(key), s)))
	}
	if a.body == nil {
		return
	}
	payload, ok := e.props.Get("PayloadFormatVersion").Scalar()
	if !ok {
		payload = "2.0"
	}
	def := f.proxy(e.p, "${AWS::Partition}", payload, e.props.Get("TimeoutInMillis"))
	if path == defaultPath && method == anyMethod {
		def = def.With("isDefaultRoute", template.Boolean(e.p, true))
	}
	if labels := labelName.FindAllStringSubmatch(path, -1); len(labels) > 0 {
		l := template.Of(e.p)
		for _, m := range labels {
			l.Items = append(l.Items, template.Obj(e.p, template.KV(e.p, "name", template.Str(e.p, m[1])),
				template.KV(e.p, "in", template.Str(e.p, "path")),
				template.KV(e.p, "required", template.Boolean(e.p, true))))
		}
		def = def.With("parameters", l)
	}
	if !a.put(path, method, iff(f.r.Condition, def)) {
		return
	}
	if !a.managed {
		a.adjust(path, method, def, e)
	} else {
		f.wrong(e.p, "Events."+e.id, "Event with id [%s] is invalid. API method '%s' defined multiple times for path '%s'.", e.id, method, path)
	}
}

// adjust gives a route that the template's own definition has already what the event says of it.
func (a *api) adjust(path, method string, def *Value, e event) {
	paths := a.body.Get("paths")
	old := paths.Get(path).Get(method)
	in := old.Get(integration)
	if in == nil {
		return
	}
	if v := e.props.Get("TimeoutInMillis"); v != nil {
		in = in.With("timeoutInMillis", v)
	}
	if e.props.Get("PayloadFormatVersion") != nil {
		in = in.With("payloadFormatVersion", def.Path(integration, "payloadFormatVersion"))
	}
	if old.Get("parameters") == nil && def.Get("parameters") != nil {
		old = old.With("parameters", def.Get("parameters"))
	}
	a.body = a.body.With("paths", paths.With(path, paths.Get(path).With(method, old.With(integration, in))))
}

// httpPermission lets the API invoke the function; the permission of a default route covers the function's other
// routes.
func (f *function) httpPermission(a *api, e event, path, method string) {
	if path != defaultPath {
		for _, r := range a.routes {
			if r.function == f.r && r.path == defaultPath && r.method == anyMethod {
				return
			}
		}
	}
	trimmed := path
	if len(path) > 1 {
		trimmed = strings.TrimSuffix(path, "/")
	}
	if path == defaultPath {
		trimmed = ""
	}
	rest := "/" + starMethod(method) + httpLabel.ReplaceAllString(trimmed, "*")
	if method == anyMethod && path == "/"+defaultPath {
		rest = path
	}
	f.permission(e, "apigateway.amazonaws.com", "", source(e.p, "${AWS::Partition}", a.id, rest))
}

// expandAPI turns an API into its CloudFormation resources; an implicit one without routes vanishes.
func (x *expander) expandAPI(a *api) {
	if a.implicit {
		if len(a.routes) == 0 {
			return
		}
		a.r.Pos = a.routes[0].function.Pos
		x.implicitAttributes(a)
	}
	if a.managed {
		x.pathConditions(a)
	}
	if a.http {
		x.expandHTTP(a)
	} else {
		x.expandREST(a)
	}
}

// implicitAttributes gives an implicit API the condition and policies of the functions behind it.
func (x *expander) implicitAttributes(a *api) {
	var all []string
	for _, r := range a.routes {
		all = append(all, r.condition)
		if r.function.Deletion == "Retain" || (r.function.Deletion != "" && a.r.Deletion == "") {
			a.r.Deletion = r.function.Deletion
		}
		if r.function.UpdateReplace == "Retain" || (r.function.UpdateReplace != "" && a.r.UpdateReplace == "") {
			a.r.UpdateReplace = r.function.UpdateReplace
		}
	}
	a.r.Condition = x.anyOf(a.id+"Condition", all, a.r.Pos)
}

// anyOf is a condition that holds when one of conditions does: none when one of them always holds.
func (x *expander) anyOf(name string, conditions []string, p Pos) string {
	slices.Sort(conditions)
	conditions = slices.Compact(conditions)
	switch {
	case len(conditions) == 0 || conditions[0] == "":
		return ""
	case len(conditions) == 1:
		return conditions[0]
	case len(conditions) > 10:
		x.refuse(p, name, "", "an API whose functions have more than 10 different conditions")
	}
	l := template.Of(p)
	for _, c := range conditions {
		l.Items = append(l.Items, template.Obj(p, template.KV(p, "Condition", template.Str(p, c))))
	}
	x.condition(template.KV(p, name, template.Obj(p, template.KV(p, "Fn::Or", l))))
	return name
}

// pathConditions wraps paths that exist only under conditions.
func (x *expander) pathConditions(a *api) {
	paths := a.body.Get("paths")
	for _, f := range paths.Fields {
		var all []string
		for _, r := range a.routes {
			if r.path == f.Key {
				all = append(all, r.condition)
			}
		}
		name := a.id + strings.NewReplacer("/", "SLASH", "{", "OB", "}", "CB").Replace(f.Key) + "PathCondition"
		if c := x.anyOf(name, all, f.Pos); c != "" {
			paths = paths.With(f.Key, iff(c, f.Value))
		}
	}
	a.body = a.body.With("paths", paths)
}
