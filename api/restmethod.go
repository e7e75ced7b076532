package api

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/api/route"
)

var (
	pathPart   = regexp.MustCompile(`^([A-Za-z0-9._:-]+|\{[A-Za-z0-9._:-]+\+?\})$`)
	statusCode = regexp.MustCompile(`^[1-5]\d\d$`)
)

func noResource() error { return notFound("Invalid Resource identifier specified") }

func noMethod() error { return notFound("Invalid Method identifier specified") }

func noResponse() error { return notFound("Invalid Response status code specified") }

func (d *restDocument) resource(id string) int {
	return slices.IndexFunc(d.Resources, func(r RESTResource) bool { return r.ID == id })
}

// onResource edits a resource. An API that is not there is answered as a resource that is not there, as AWS does.
func (r REST) onResource(ctx context.Context, account, id, resource string, fn func(*edit, *RESTResource) error) error {
	return r.core.change(ctx, account, id, KindREST, noResource(), func(e *edit) error {
		at := e.REST.resource(resource)
		if at < 0 {
			return noResource()
		}
		return fn(e, &e.REST.Resources[at])
	})
}

// onMethod edits a method.
func (r REST) onMethod(ctx context.Context, account, id, resource, method string, fn func(*edit, *RESTMethod) error) error {
	return r.onResource(ctx, account, id, resource, func(e *edit, res *RESTResource) error {
		m, ok := res.Methods[method]
		if !ok {
			return noMethod()
		}
		if err := fn(e, &m); err != nil {
			return err
		}
		res.Methods[method] = m
		return nil
	})
}

// CreateResource adds a child to a resource.
func (r REST) CreateResource(ctx context.Context, account, id, parent, part string) (res RESTResource, err error) {
	err = r.onResource(ctx, account, id, parent, func(e *edit, p *RESTResource) error {
		if len(e.REST.Resources) >= resourcesMax {
			return overLimit("Maximum number of resources for this API has been reached. Please contact AWS if you need additional resources.")
		}
		res = RESTResource{ID: e.newID(6), ParentID: p.ID, PathPart: part, Path: join(p.Path, part)}
		return e.REST.place(res)
	})
	return res, err
}

func join(parent, part string) string { return strings.TrimSuffix(parent, "/") + "/" + part }

// place checks that a resource can stand where it says, and inserts it.
func (d *restDocument) place(res RESTResource) error {
	if !pathPart.MatchString(res.PathPart) {
		return bad("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
	}
	if len(res.Path) > route.PathMax || strings.Count(res.Path, "/") > route.SegmentsMax {
		return bad("Resource's path is too long")
	}
	for _, o := range d.Resources {
		if o.ID == res.ParentID && strings.HasSuffix(o.PathPart, "+}") {
			return bad("Cannot create a child of a resource with a greedy path variable: %s", o.PathPart)
		}
		if o.ParentID != res.ParentID || o.ID == res.ID {
			continue
		}
		if o.PathPart == res.PathPart {
			return conflict("Another resource with the same parent already has this name: %s", res.PathPart)
		}
		if strings.HasPrefix(o.PathPart, "{") && strings.HasPrefix(res.PathPart, "{") {
			return bad("A sibling (%s) of this resource already has a variable path part -- only one is allowed", o.PathPart)
		}
	}
	d.Resources = append(d.Resources, res)
	d.sort()
	return nil
}

func (d *restDocument) sort() {
	slices.SortFunc(d.Resources, func(a, b RESTResource) int { return strings.Compare(a.Path, b.Path) })
}

// UpdateResource renames or moves a resource, with all below it.
func (r REST) UpdateResource(ctx context.Context, account, id, resource string, ops []Patch) (res RESTResource, err error) {
	err = r.onResource(ctx, account, id, resource, func(e *edit, at *RESTResource) error {
		d := e.REST
		res = *at
		for _, op := range ops {
			if err := op.choose("/parentId", "/pathPart"); err != nil {
				return err
			}
			if res.Path == "/" {
				return bad("Root resource cannot update its %s.", strings.TrimPrefix(op.Path, "/"))
			}
			if op.Path == "/pathPart" {
				res.PathPart = op.Value
				continue
			}
			parent := d.resource(op.Value)
			if parent < 0 {
				return noResource()
			}
			if p := d.Resources[parent].Path; p == at.Path || strings.HasPrefix(p, at.Path+"/") {
				return bad("Resources cannot be cyclical.")
			}
			res.ParentID = op.Value
		}
		if len(ops) == 0 {
			return nil
		}
		return d.move(*at, &res)
	})
	return res, err
}

// move puts a resource into its new place and gives those below it their new paths.
func (d *restDocument) move(old RESTResource, res *RESTResource) error {
	res.Path = join(d.Resources[d.resource(res.ParentID)].Path, res.PathPart)
	at := d.resource(old.ID)
	d.Resources = slices.Delete(d.Resources, at, at+1)
	if err := d.place(*res); err != nil {
		return err
	}
	for i := range d.Resources {
		if rest, ok := strings.CutPrefix(d.Resources[i].Path, old.Path+"/"); ok && d.Resources[i].ID != res.ID {
			d.Resources[i].Path = res.Path + "/" + rest
		}
	}
	d.sort()
	return nil
}

// Resource reads a resource.
func (r REST) Resource(ctx context.Context, account, id, resource string) (RESTResource, error) {
	d, err := r.load(ctx, account, id)
	if err != nil {
		return RESTResource{}, err
	}
	if d == nil || d.REST == nil {
		return RESTResource{}, noResource()
	}
	at := d.REST.resource(resource)
	if at < 0 {
		return RESTResource{}, noResource()
	}
	return d.REST.Resources[at], nil
}

// Resources lists the resources by path.
func (r REST) Resources(ctx context.Context, account, id string) ([]RESTResource, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return d.Resources, nil
}

// DeleteResource removes a resource and all below it.
func (r REST) DeleteResource(ctx context.Context, account, id, resource string) error {
	return r.onResource(ctx, account, id, resource, func(e *edit, res *RESTResource) error {
		path := res.Path
		if path == "/" {
			return bad("Unable to delete root resource")
		}
		e.REST.Resources = slices.DeleteFunc(e.REST.Resources, func(o RESTResource) bool {
			return o.Path == path || strings.HasPrefix(o.Path, path+"/")
		})
		return nil
	})
}

// RESTMethodInput is what PutMethod says.
type RESTMethodInput struct {
	AuthorizationType string            `wire:"authorizationType"`
	OperationName     string            `wire:"operationName"`
	RequestParameters map[string]bool   `wire:"requestParameters"`
	RequestModels     map[string]string `wire:"requestModels"`
}

// PutMethod adds a method to a resource.
func (r REST) PutMethod(ctx context.Context, account, id, resource, method string,
	in RESTMethodInput) (m RESTMethod, err error) {
	err = r.onResource(ctx, account, id, resource, func(e *edit, res *RESTResource) error {
		if !slices.Contains(httpMethods, method) {
			return bad("Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY")
		}
		if _, ok := res.Methods[method]; ok {
			return conflict("Method already exists for this resource")
		}
		m = RESTMethod{HTTPMethod: method, AuthorizationType: in.AuthorizationType, OperationName: in.OperationName,
			RequestParameters: in.RequestParameters, RequestModels: in.RequestModels}
		if err := m.check(); err != nil {
			return err
		}
		if res.Methods == nil {
			res.Methods = map[string]RESTMethod{}
		}
		res.Methods[method] = m
		return nil
	})
	return m, err
}

func (m *RESTMethod) check() error {
	if m.AuthorizationType == "" {
		return bad("Invalid authorization type specified")
	}
	if m.AuthorizationType != "NONE" {
		return unsupported("authorization of methods (authorizationType %s)", m.AuthorizationType)
	}
	seen := map[string]bool{}
	for p := range m.RequestParameters {
		name, ok := requestParameter(p)
		if !ok {
			return bad("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: %s]", p)
		}
		if seen[name] {
			return bad("Parameter names must be unique across querystring, header and path")
		}
		seen[name] = true
	}
	return checkModels(m.RequestModels)
}

// requestParameter splits method.request.{path|querystring|header|multivaluequerystring|multivalueheader}.NAME.
func requestParameter(p string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(p, "method.request.")
	place, name, cut := strings.Cut(rest, ".")
	places := []string{"path", "querystring", "header", "multivaluequerystring", "multivalueheader"}
	return name, ok && cut && name != "" && slices.Contains(places, place)
}

// checkModels takes the two models that every API has; they act only through request validators, which are refused.
func checkModels(models map[string]string) error {
	for _, name := range models {
		if name != "Empty" && name != "Error" {
			return bad("Invalid model identifier specified: %s", name)
		}
	}
	return nil
}

// UpdateMethod applies patch operations to a method.
func (r REST) UpdateMethod(ctx context.Context, account, id, resource, method string, ops []Patch) (m RESTMethod, err error) {
	err = r.onMethod(ctx, account, id, resource, method, func(e *edit, at *RESTMethod) error {
		for _, op := range ops {
			if err := at.patch(op); err != nil {
				return err
			}
		}
		m = *at
		return at.check()
	})
	return m, err
}

func (m *RESTMethod) patch(op Patch) error {
	path := op.path()
	switch {
	case len(path) == 1 && path[0] == "authorizationType":
		if err := op.only("replace"); err != nil {
			return err
		}
		m.AuthorizationType = op.Value
	case len(path) == 1 && path[0] == "operationName":
		if err := op.only("replace"); err != nil {
			return err
		}
		m.OperationName = op.Value
	case len(path) == 1 && path[0] == "apiKeyRequired":
		if op.Value == "true" {
			return unsupported("API keys (apiKeyRequired)")
		}
	case len(path) == 1 && path[0] == "authorizerId" && op.Op != "remove":
		return unsupported("authorizers (authorizerId)")
	case len(path) == 1 && path[0] == "requestValidatorId" && op.Op != "remove":
		return unsupported("request validators (requestValidatorId)")
	case len(path) == 2 && path[0] == "requestParameters":
		return op.flag(&m.RequestParameters, path[1], notFound("Invalid parameter name specified"))
	case len(path) == 2 && path[0] == "requestModels":
		return op.entry(&m.RequestModels, path[1], notFound("Content-Type specified was not found"))
	default:
		return bad("Invalid patch path %s", op.Path)
	}
	return nil
}

// Method reads a method.
func (r REST) Method(ctx context.Context, account, id, resource, method string) (RESTMethod, error) {
	res, err := r.Resource(ctx, account, id, resource)
	if err != nil {
		return RESTMethod{}, err
	}
	m, ok := res.Methods[method]
	if !ok {
		return RESTMethod{}, noMethod()
	}
	return m, nil
}

// DeleteMethod removes a method.
func (r REST) DeleteMethod(ctx context.Context, account, id, resource, method string) error {
	return r.onResource(ctx, account, id, resource, func(e *edit, res *RESTResource) error {
		if _, ok := res.Methods[method]; !ok {
			return noMethod()
		}
		delete(res.Methods, method)
		return nil
	})
}

// PutMethodResponse declares an answer of a method.
func (r REST) PutMethodResponse(ctx context.Context, account, id, resource, method string,
	in MethodResponse) (MethodResponse, error) {
	err := r.onMethod(ctx, account, id, resource, method, func(e *edit, m *RESTMethod) error {
		if _, ok := m.Responses[in.StatusCode]; ok {
			return conflict("Response already exists for this resource")
		}
		return m.declare(in)
	})
	return in, err
}

func (m *RESTMethod) declare(in MethodResponse) error {
	if !statusCode.MatchString(in.StatusCode) {
		return bad("Invalid status code specified: %s", in.StatusCode)
	}
	for p := range in.ResponseParameters {
		if name, ok := strings.CutPrefix(p, "method.response.header."); !ok || !headerName.MatchString(name) {
			return bad("Invalid mapping expression specified: %s", p)
		}
	}
	if err := checkModels(in.ResponseModels); err != nil {
		return err
	}
	m.Responses = maps.Clone(m.Responses)
	if m.Responses == nil {
		m.Responses = map[string]MethodResponse{}
	}
	m.Responses[in.StatusCode] = in
	return nil
}

// UpdateMethodResponse applies patch operations to a declared answer.
func (r REST) UpdateMethodResponse(ctx context.Context, account, id, resource, method, status string,
	ops []Patch) (out MethodResponse, err error) {
	err = r.onMethod(ctx, account, id, resource, method, func(e *edit, m *RESTMethod) error {
		var ok bool
		if out, ok = m.Responses[status]; !ok {
			return noResponse()
		}
		for _, op := range ops {
			path := op.path()
			var err error
			switch {
			case len(path) == 2 && path[0] == "responseParameters":
				err = op.flag(&out.ResponseParameters, path[1], notFound("Invalid parameter name specified"))
			case len(path) == 2 && path[0] == "responseModels":
				err = op.entry(&out.ResponseModels, path[1], notFound("Content-Type specified was not found"))
			default:
				err = bad("Invalid patch path %s", op.Path)
			}
			if err != nil {
				return err
			}
		}
		return m.declare(out)
	})
	return out, err
}

// MethodResponse reads a declared answer.
func (r REST) MethodResponse(ctx context.Context, account, id, resource, method, status string) (MethodResponse, error) {
	m, err := r.Method(ctx, account, id, resource, method)
	if err != nil {
		return MethodResponse{}, err
	}
	out, ok := m.Responses[status]
	if !ok {
		return out, noResponse()
	}
	return out, nil
}

// DeleteMethodResponse removes a declared answer.
func (r REST) DeleteMethodResponse(ctx context.Context, account, id, resource, method, status string) error {
	return r.onMethod(ctx, account, id, resource, method, func(e *edit, m *RESTMethod) error {
		if _, ok := m.Responses[status]; !ok {
			return noResponse()
		}
		delete(m.Responses, status)
		return nil
	})
}
