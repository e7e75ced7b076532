package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/api/openapi"
)

// Basepath says what an import does with the document's base path.
const (
	BasepathIgnore  = "ignore"
	BasepathPrepend = "prepend"
	BasepathSplit   = "split"
)

// parse reads a document and refuses what Rouse does not implement, naming it.
func parse(body []byte, basepath string) (*openapi.Document, error) {
	switch basepath {
	case "", BasepathIgnore, BasepathPrepend:
	case BasepathSplit:
		return nil, unsupported("splitting the base path of imported APIs (basepath=split)")
	default:
		return nil, bad("Invalid basepath %q: it must be ignore, prepend or split", basepath)
	}
	doc, err := openapi.Parse(body)
	if err != nil {
		return nil, bad("Invalid OpenAPI input. %w", err)
	}
	if len(doc.Refused) > 0 {
		return nil, unsupported("%s", doc.Refused[0])
	}
	for i := range doc.Operations {
		op := &doc.Operations[i]
		if len(op.Refused) > 0 {
			return nil, unsupported("%s, of %s %s", op.Refused[0], op.Method, op.Path)
		}
		if basepath == BasepathPrepend && op.Path != DefaultStage {
			op.Path = strings.TrimSuffix(doc.BasePath+op.Path, "/")
			if op.Path == "" {
				op.Path = "/"
			}
		}
	}
	return doc, nil
}

// ImportedRoles lists the roles that a document's integrations act as: whoever imports it has to be allowed to pass them.
// A document that does not parse has none; the import refuses it.
func ImportedRoles(body []byte) []string {
	doc, err := openapi.Parse(body)
	if err != nil {
		return nil
	}
	var roles []string
	for _, op := range doc.Operations {
		if in := op.Integration; in != nil && in.Credentials != "" && !slices.Contains(roles, in.Credentials) {
			roles = append(roles, in.Credentials)
		}
	}
	return roles
}

// ImportAPI makes an HTTP API of an OpenAPI document.
func (h HTTP) ImportAPI(ctx context.Context, account string, body []byte, basepath string) (HTTPAPI, error) {
	doc, err := parse(body, basepath)
	if err != nil {
		return HTTPAPI{}, err
	}
	return h.make(ctx, account, func(e *edit) error { return e.importHTTP(doc) })
}

// ReimportAPI replaces an HTTP API's routes, integrations and settings by those of an OpenAPI document. Stages stay.
func (h HTTP) ReimportAPI(ctx context.Context, account, id string, body []byte, basepath string) (a HTTPAPI, err error) {
	doc, err := parse(body, basepath)
	if err != nil {
		return a, err
	}
	err = h.change(ctx, account, id, func(e *edit) error {
		if err := e.importHTTP(doc); err != nil {
			return err
		}
		a = h.show(e.document)
		return nil
	})
	return a, err
}

func (e *edit) importHTTP(doc *openapi.Document) error {
	d := e.HTTP
	if doc.Title == "" {
		return bad("Invalid OpenAPI input. info.title is required")
	}
	d.API.Name, d.API.Description, d.API.Version = doc.Title, doc.Description, doc.Version
	d.API.CORS, d.API.DisableEndpoint = nil, doc.DisableEndpoint != nil && *doc.DisableEndpoint
	if len(doc.CORS) > 0 {
		cors := new(CORS)
		if err := json.Unmarshal(doc.CORS, cors); err != nil {
			return bad("Invalid OpenAPI input. x-amazon-apigateway-cors: %w", err)
		}
		if err := cors.check(); err != nil {
			return err
		}
		d.API.CORS = cors
	}
	if len(doc.Operations) > routesMax {
		return overLimit("Maximum number of routes for this API has been reached: %d", routesMax)
	}
	if err := setTags(&d.API.Tags, doc.Tags); err != nil {
		return err
	}
	old := map[string]string{} // ids of routes that stay
	for _, r := range d.Routes {
		old[r.RouteKey] = r.RouteID
	}
	d.Routes, d.Integrations = nil, nil
	for _, op := range doc.Operations {
		if err := e.importRoute(op, old); err != nil {
			return err
		}
	}
	return nil
}

func (e *edit) importRoute(op openapi.Operation, old map[string]string) error {
	d, key := e.HTTP, op.Method+" "+op.Path
	if op.Path == DefaultStage {
		key = DefaultStage
	}
	if op.Integration == nil {
		return bad("Invalid OpenAPI input. No integration defined for route %s", key)
	}
	i := HTTPIntegration{IntegrationID: e.newID(7)}
	in, err := httpIntegrationOf(op.Integration)
	if err == nil {
		err = i.apply(in)
	}
	if err != nil {
		return atRoute(key, err)
	}
	d.Integrations = append(d.Integrations, i)
	r := HTTPRoute{RouteID: old[key], AuthorizationType: "NONE"}
	if r.RouteID == "" {
		r.RouteID = e.newID(7)
	}
	target := "integrations/" + i.IntegrationID
	d.Routes = append(d.Routes, r)
	return d.applyRoute(len(d.Routes)-1, HTTPRouteInput{RouteKey: &key, Target: &target, OperationName: &op.Name})
}

func httpIntegrationOf(x *openapi.Integration) (in HTTPIntegrationInput, err error) {
	switch {
	case x.Subtype != "":
		return in, unsupported("integrations with AWS services (integrationSubtype %s)", x.Subtype)
	case len(x.RequestParameters) > 0:
		return in, unsupported("parameter mapping (requestParameters)")
	case len(x.ResponseParameters) > 0 && string(x.ResponseParameters) != "null":
		return in, unsupported("parameter mapping (responseParameters)")
	case len(x.TLS) > 0 && string(x.TLS) != "null":
		return in, unsupported("TLS settings of integrations (tlsConfig)")
	}
	set := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	format := string(x.PayloadFormatVersion)
	if n, err := strconv.ParseFloat(format, 64); err == nil { // YAML's 2.0 is the number 2
		format = strconv.FormatFloat(n, 'f', 1, 64)
	}
	return HTTPIntegrationInput{IntegrationType: &x.Type, IntegrationURI: set(x.URI), IntegrationMethod: set(x.HTTPMethod),
		PayloadFormatVersion: set(format), ConnectionType: set(x.ConnectionType), CredentialsARN: set(x.Credentials),
		TimeoutInMillis: x.TimeoutMillis}, nil
}

// RESTImport says how a document becomes a REST API.
type RESTImport struct {
	Body      []byte
	Basepath  string   // ignore (default), prepend
	Endpoints []string // types of the endpoint; nil leaves them
	Merge     bool     // PutAPI: keep what the document does not name
}

// ImportAPI makes a REST API of an OpenAPI or Swagger document.
func (r REST) ImportAPI(ctx context.Context, account string, in RESTImport) (RESTAPI, error) {
	doc, err := parse(in.Body, in.Basepath)
	if err != nil {
		return RESTAPI{}, err
	}
	return r.make(ctx, account, func(e *edit) error { return e.importREST(doc, in) })
}

// PutAPI overwrites a REST API with a document, or merges it in. Resources at paths that stay keep their ids; stages and
// deployments are not touched.
func (r REST) PutAPI(ctx context.Context, account, id string, in RESTImport) (a RESTAPI, err error) {
	doc, err := parse(in.Body, in.Basepath)
	if err != nil {
		return a, err
	}
	err = r.change(ctx, account, id, func(e *edit) error {
		if err := e.importREST(doc, in); err != nil {
			return err
		}
		a = e.REST.API
		return nil
	})
	return a, err
}

func (e *edit) importREST(doc *openapi.Document, in RESTImport) error {
	d := e.REST
	if doc.Title != "" {
		d.API.Name = doc.Title
	}
	if d.API.Name == "" {
		return bad("Invalid OpenAPI input. info.title is required")
	}
	if doc.Description != "" || !in.Merge {
		d.API.Description = doc.Description
	}
	if doc.Version != "" || !in.Merge {
		d.API.Version = doc.Version
	}
	if doc.DisableEndpoint != nil {
		d.API.DisableEndpoint = *doc.DisableEndpoint
	}
	if doc.MinimumCompression != nil || !in.Merge {
		if err := d.API.setCompression(doc.MinimumCompression); err != nil {
			return err
		}
	}
	if len(in.Endpoints) > 0 {
		if err := d.API.setEndpoint(EndpointConfiguration{Types: in.Endpoints}); err != nil {
			return err
		}
	}
	if err := setTags(&d.API.Tags, doc.Tags); err != nil {
		return err
	}
	if !in.Merge {
		d.API.BinaryMediaTypes, d.GatewayResponses = nil, nil
	}
	for _, t := range doc.BinaryMediaTypes {
		if !slices.Contains(d.API.BinaryMediaTypes, t) {
			d.API.BinaryMediaTypes = append(d.API.BinaryMediaTypes, t)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.GatewayResponses)) {
		g := doc.GatewayResponses[name]
		if _, err := d.set(GatewayResponse{ResponseType: name, StatusCode: string(g.StatusCode),
			ResponseParameters: g.ResponseParameters, ResponseTemplates: g.ResponseTemplates}); err != nil {
			return err
		}
	}
	return e.importResources(doc.Operations, in.Merge)
}

func (e *edit) importResources(ops []openapi.Operation, merge bool) error {
	d := e.REST
	known := map[string]RESTResource{}
	for _, r := range d.Resources {
		known[r.Path] = r
	}
	if !merge {
		d.Resources = []RESTResource{{ID: d.API.RootResourceID, Path: "/"}}
	}
	for _, op := range ops {
		if op.Path == DefaultStage || !strings.HasPrefix(op.Path, "/") {
			return bad("Invalid OpenAPI input. Path %s does not start with a slash", op.Path)
		}
		id, err := e.resourceAt(op.Path, known)
		if err != nil {
			return atRoute(op.Method+" "+op.Path, err)
		}
		m, err := methodOf(op, id)
		if err != nil {
			return atRoute(op.Method+" "+op.Path, err)
		}
		res := &d.Resources[d.resource(id)]
		if res.Methods == nil {
			res.Methods = map[string]RESTMethod{}
		}
		res.Methods[op.Method] = m
	}
	return nil
}

// resourceAt finds the resource at a path, and makes it and those above it where they are missing.
func (e *edit) resourceAt(path string, known map[string]RESTResource) (string, error) {
	d := e.REST
	parent, at := d.API.RootResourceID, ""
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		at += "/" + part
		if i := slices.IndexFunc(d.Resources, func(r RESTResource) bool { return r.Path == at }); i >= 0 {
			parent = d.Resources[i].ID
			continue
		}
		if len(d.Resources) >= resourcesMax {
			return "", overLimit("Maximum number of resources for this API has been reached: %d", resourcesMax)
		}
		res := RESTResource{ID: known[at].ID, ParentID: parent, PathPart: part, Path: at}
		if res.ID == "" {
			res.ID = e.newID(6)
		}
		if err := d.place(res); err != nil {
			return "", err
		}
		parent = res.ID
	}
	return parent, nil
}

// methodOf makes a method of an operation.
func methodOf(op openapi.Operation, resource string) (RESTMethod, error) {
	m := RESTMethod{HTTPMethod: op.Method, AuthorizationType: "NONE", OperationName: op.Name}
	places := map[string]string{"path": "path", "query": "querystring", "header": "header"}
	for _, p := range op.Parameters {
		place, ok := places[p.In]
		if !ok {
			continue // bodies and cookies are documentation here
		}
		if m.RequestParameters == nil {
			m.RequestParameters = map[string]bool{}
		}
		m.RequestParameters["method.request."+place+"."+p.Name] = p.Required
	}
	for _, code := range slices.Sorted(maps.Keys(op.Responses)) {
		if !statusCode.MatchString(code) {
			continue // "default" declares no status
		}
		r := MethodResponse{StatusCode: code}
		for name := range op.Responses[code].Headers {
			if r.ResponseParameters == nil {
				r.ResponseParameters = map[string]bool{}
			}
			r.ResponseParameters["method.response.header."+name] = false
		}
		if err := m.declare(r); err != nil {
			return m, err
		}
	}
	if op.Integration == nil {
		return m, nil
	}
	return m, m.integrate(op.Integration, resource)
}

func (m *RESTMethod) integrate(x *openapi.Integration, resource string) error {
	in := RESTIntegrationInput{Type: x.Type, HTTPMethod: strings.ToUpper(x.HTTPMethod), URI: x.URI,
		ConnectionType: x.ConnectionType, Credentials: x.Credentials, RequestTemplates: x.RequestTemplates,
		PassthroughBehavior: strings.ToUpper(x.PassthroughBehavior), CacheNamespace: x.CacheNamespace,
		CacheKeyParameters: x.CacheKeyParameters, ContentHandling: x.ContentHandling, TimeoutInMillis: x.TimeoutMillis}
	if x.Type == "MOCK" {
		in.HTTPMethod = ""
	}
	for to, from := range x.RequestParameters {
		if in.RequestParameters == nil {
			in.RequestParameters = map[string]string{}
		}
		in.RequestParameters[to] = string(from)
	}
	switch {
	case x.ResponseTransferMode != "" && x.ResponseTransferMode != "BUFFERED":
		return unsupported("response streaming of REST APIs (responseTransferMode %s)", x.ResponseTransferMode)
	case len(x.TLS) > 0 && string(x.TLS) != "null":
		return unsupported("TLS settings of integrations (tlsConfig)")
	}
	built, err := in.build(resource)
	if err != nil {
		return err
	}
	m.Integration = built
	for _, pattern := range slices.Sorted(maps.Keys(x.Responses)) {
		r := x.Responses[pattern]
		out := IntegrationResponse{StatusCode: string(r.StatusCode), ResponseParameters: r.ResponseParameters,
			ResponseTemplates: r.ResponseTemplates}
		if pattern != "default" {
			out.SelectionPattern = pattern
		}
		if r.ContentHandling != "" && x.Type == "MOCK" {
			return unsupported("content handling (contentHandling %s)", r.ContentHandling)
		}
		if _, ok := m.Responses[out.StatusCode]; !ok { // AWS declares what an integration answers with
			if err := m.declare(MethodResponse{StatusCode: out.StatusCode}); err != nil {
				return err
			}
		}
		if err := m.respond(built, out); err != nil {
			return err
		}
	}
	return built.check()
}
