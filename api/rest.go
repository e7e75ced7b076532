package api

import (
	"context"
	"slices"
	"time"
)

// RESTAPI is a REST API as its owner sees it.
type RESTAPI struct {
	ID                 string                 `wire:"id"`
	Name               string                 `wire:"name"`
	Description        string                 `wire:"description"`
	Version            string                 `wire:"version"`
	CreatedDate        time.Time              `wire:"createdDate"`
	BinaryMediaTypes   []string               `wire:"binaryMediaTypes"`
	MinimumCompression *int                   `wire:"minimumCompressionSize"` // bytes
	APIKeySource       string                 `wire:"apiKeySource"`
	Endpoint           *EndpointConfiguration `wire:"endpointConfiguration"`
	Tags               map[string]string      `wire:"tags"`
	DisableEndpoint    bool                   `wire:"disableExecuteApiEndpoint"`
	RootResourceID     string                 `wire:"rootResourceId"`
}

// EndpointConfiguration is where a REST API is reached; here all kinds are served alike.
type EndpointConfiguration struct {
	Types         []string `wire:"types" eachenum:"REGIONAL|EDGE|PRIVATE"`
	IPAddressType string   `wire:"ipAddressType" enum:"ipv4|dualstack"`
}

// RESTAPIInput is what CreateRestApi says.
type RESTAPIInput struct {
	Name               string                 `wire:"name"`
	Description        *string                `wire:"description"`
	Version            string                 `wire:"version"`
	BinaryMediaTypes   []string               `wire:"binaryMediaTypes"`
	MinimumCompression *int                   `wire:"minimumCompressionSize"`
	Endpoint           *EndpointConfiguration `wire:"endpointConfiguration"`
	DisableEndpoint    bool                   `wire:"disableExecuteApiEndpoint"`
	Tags               map[string]string      `wire:"tags"`
}

// RESTResource is one node of a REST API's tree of paths.
type RESTResource struct {
	ID       string                `wire:"id"`
	ParentID string                `wire:"parentId"`
	PathPart string                `wire:"pathPart"`
	Path     string                `wire:"path"`
	Methods  map[string]RESTMethod `wire:"resourceMethods"`
}

// RESTMethod is what a resource does at one HTTP method, or at ANY.
type RESTMethod struct {
	HTTPMethod        string                    `wire:"httpMethod"`
	AuthorizationType string                    `wire:"authorizationType"`
	APIKeyRequired    bool                      `wire:"apiKeyRequired"`
	OperationName     string                    `wire:"operationName"`
	RequestParameters map[string]bool           `wire:"requestParameters"`
	RequestModels     map[string]string         `wire:"requestModels"`
	Responses         map[string]MethodResponse `wire:"methodResponses"`
	Integration       *RESTIntegration          `wire:"methodIntegration"`
}

// MethodResponse declares an answer of a method.
type MethodResponse struct {
	StatusCode         string            `wire:"statusCode"`
	ResponseParameters map[string]bool   `wire:"responseParameters"`
	ResponseModels     map[string]string `wire:"responseModels"`
}

// RESTIntegration is what a method's requests go to.
type RESTIntegration struct {
	Type                string                         `wire:"type"`
	HTTPMethod          string                         `wire:"httpMethod"`
	URI                 string                         `wire:"uri"`
	ConnectionType      string                         `wire:"connectionType"`
	Credentials         string                         `wire:"credentials"`
	RequestParameters   map[string]string              `wire:"requestParameters"`
	RequestTemplates    map[string]string              `wire:"requestTemplates"`
	PassthroughBehavior string                         `wire:"passthroughBehavior"`
	ContentHandling     string                         `wire:"contentHandling"` // AWS_PROXY only, where AWS gives it no effect
	TimeoutInMillis     int                            `wire:"timeoutInMillis"`
	CacheNamespace      string                         `wire:"cacheNamespace"`
	CacheKeyParameters  []string                       `wire:"cacheKeyParameters"`
	Responses           map[string]IntegrationResponse `wire:"integrationResponses"`
}

// IntegrationResponse makes a method's answer of an integration's.
type IntegrationResponse struct {
	StatusCode         string            `wire:"statusCode"`
	SelectionPattern   string            `wire:"selectionPattern"`
	ResponseParameters map[string]string `wire:"responseParameters"`
	ResponseTemplates  map[string]string `wire:"responseTemplates"`
}

type restDocument struct {
	API              RESTAPI
	Resources        []RESTResource // sorted by path, the root first
	GatewayResponses map[string]GatewayResponse
	Stages           []RESTStage
	Deployments      []RESTDeployment
}

type restDesign struct {
	Resources          []RESTResource
	GatewayResponses   map[string]GatewayResponse
	BinaryMediaTypes   []string
	MinimumCompression *int
	DisableEndpoint    bool
}

func (d *restDocument) design() *design {
	return &design{REST: &restDesign{
		Resources: slices.Clone(d.Resources), GatewayResponses: d.GatewayResponses,
		BinaryMediaTypes: d.API.BinaryMediaTypes, MinimumCompression: d.API.MinimumCompression,
		DisableEndpoint: d.API.DisableEndpoint,
	}}
}

func noRESTAPI(account, id string) error {
	return notFound("Invalid API identifier specified %s:%s", account, id)
}

func (r REST) change(ctx context.Context, account, id string, fn func(*edit) error) error {
	return r.core.change(ctx, account, id, KindREST, noRESTAPI(account, id), fn)
}

func (r REST) document(ctx context.Context, account, id string) (*restDocument, error) {
	d, err := r.load(ctx, account, id)
	if err != nil {
		return nil, err
	}
	if d == nil || d.REST == nil {
		return nil, noRESTAPI(account, id)
	}
	return d.REST, nil
}

// CreateAPI makes a REST API with its root resource.
func (r REST) CreateAPI(ctx context.Context, account string, in RESTAPIInput) (RESTAPI, error) {
	return r.make(ctx, account, func(e *edit) error {
		a := &e.REST.API
		if in.Name == "" {
			return bad("No API name specified")
		}
		if in.Description != nil && *in.Description == "" {
			return bad("Description cannot be an empty string")
		}
		if in.Description != nil {
			a.Description = *in.Description
		}
		a.Name, a.Version, a.DisableEndpoint = in.Name, in.Version, in.DisableEndpoint
		a.BinaryMediaTypes = slices.Clone(in.BinaryMediaTypes)
		if err := a.setCompression(in.MinimumCompression); err != nil {
			return err
		}
		if in.Endpoint != nil {
			if err := a.setEndpoint(*in.Endpoint); err != nil {
				return err
			}
		}
		return setTags(&a.Tags, in.Tags)
	})
}

// make creates an empty REST API and lets fn fill it.
func (r REST) make(ctx context.Context, account string, fn func(*edit) error) (RESTAPI, error) {
	if err := r.vacancy(ctx, account, KindREST); err != nil {
		return RESTAPI{}, err
	}
	d, err := r.create(ctx, account, func(e *edit) error {
		root := e.newID(10)
		e.REST = &restDocument{
			API: RESTAPI{ID: e.ID, CreatedDate: e.now, APIKeySource: "HEADER", RootResourceID: root,
				Endpoint: &EndpointConfiguration{Types: []string{"EDGE"}, IPAddressType: "ipv4"}},
			Resources: []RESTResource{{ID: root, Path: "/"}},
		}
		return fn(e)
	})
	if err != nil {
		return RESTAPI{}, err
	}
	return d.REST.API, nil
}

const compressionMax = 10 << 20

func (a *RESTAPI) setCompression(size *int) error {
	if size != nil && (*size < 0 || *size > compressionMax) {
		return bad("Invalid minimum compression size, must be between 0 and %d", compressionMax)
	}
	a.MinimumCompression = size
	return nil
}

func (a *RESTAPI) setEndpoint(e EndpointConfiguration) error {
	if len(e.Types) == 0 {
		return bad("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.")
	}
	if len(e.Types) > 1 {
		return bad("Cannot create an api with multiple Endpoint Types.")
	}
	switch e.Types[0] {
	case "REGIONAL", "EDGE":
	case "PRIVATE":
		return unsupported("private REST APIs (endpoint type PRIVATE)")
	default:
		return bad("Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE")
	}
	if e.IPAddressType == "" {
		e.IPAddressType = "ipv4"
	}
	a.Endpoint = &EndpointConfiguration{Types: slices.Clone(e.Types), IPAddressType: e.IPAddressType}
	return nil
}

// API reads a REST API.
func (r REST) API(ctx context.Context, account, id string) (RESTAPI, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return RESTAPI{}, err
	}
	return d.API, nil
}

// APIs lists the account's REST APIs by id.
func (r REST) APIs(ctx context.Context, account string) ([]RESTAPI, error) {
	docs, err := r.list(ctx, account, KindREST)
	all := make([]RESTAPI, 0, len(docs))
	for _, d := range docs {
		all = append(all, d.REST.API)
	}
	return all, err
}

// DeleteAPI removes a REST API and everything in it.
func (r REST) DeleteAPI(ctx context.Context, account, id string) error {
	return r.change(ctx, account, id, func(e *edit) error {
		e.deleted = true
		for _, d := range e.REST.Deployments {
			e.dropped = append(e.dropped, d.ID)
		}
		return nil
	})
}

// UpdateAPI applies patch operations to a REST API.
func (r REST) UpdateAPI(ctx context.Context, account, id string, ops []Patch) (a RESTAPI, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		for _, op := range ops {
			if err := e.REST.API.patch(op); err != nil {
				return err
			}
		}
		a = e.REST.API
		return nil
	})
	return a, err
}

func (a *RESTAPI) patch(op Patch) error {
	path := op.path()
	switch {
	case len(path) == 1 && path[0] == "name":
		if err := op.only("replace"); err != nil {
			return err
		}
		if op.Value == "" {
			return bad("No API name specified")
		}
		a.Name = op.Value
	case len(path) == 1 && path[0] == "description":
		if op.Op == "remove" {
			a.Description = ""
			return nil
		}
		if err := op.only("replace"); err != nil {
			return err
		}
		a.Description = op.Value
	case len(path) == 1 && path[0] == "version":
		return op.text(&a.Version)
	case len(path) == 1 && path[0] == "minimumCompressionSize":
		if err := op.only("replace"); err != nil {
			return err
		}
		if op.Value == "" {
			a.MinimumCompression = nil
			return nil
		}
		size, err := op.integer()
		if err != nil {
			return bad("Invalid minimum compression size, must be between 0 and %d", compressionMax)
		}
		return a.setCompression(&size)
	case len(path) == 1 && path[0] == "disableExecuteApiEndpoint":
		if err := op.only("replace"); err != nil {
			return err
		}
		return op.boolean(&a.DisableEndpoint)
	case len(path) == 1 && path[0] == "apiKeySource":
		if op.Value != "HEADER" {
			return unsupported("API keys from an authorizer (apiKeySource %s)", op.Value)
		}
	case len(path) == 2 && path[0] == "binaryMediaTypes":
		return op.member(&a.BinaryMediaTypes, path[1])
	case len(path) >= 2 && path[0] == "endpointConfiguration":
		return a.patchEndpoint(op, path[1])
	case len(path) == 1 && path[0] == "policy":
		return unsupported("resource policies of APIs (policy)")
	default:
		return bad("Invalid patch path %s", op.Path)
	}
	return nil
}

func (a *RESTAPI) patchEndpoint(op Patch, field string) error {
	e := *a.Endpoint
	switch field {
	case "types":
		if !slices.Contains([]string{"add", "remove", "replace"}, op.Op) {
			return bad("Invalid patch operation specified. Must be 'add'|'remove'|'replace'")
		}
		if op.Op == "remove" {
			return nil // the type that replaces it comes in the same request
		}
		e.Types = []string{op.Value}
	case "ipAddressType":
		if err := op.only("replace"); err != nil {
			return err
		}
		if op.Value != "ipv4" && op.Value != "dualstack" {
			return bad("ipAddressType must be either ipv4 or dualstack.")
		}
		e.IPAddressType = op.Value
	default:
		return bad("Invalid patch path %s", op.Path)
	}
	return a.setEndpoint(e)
}
