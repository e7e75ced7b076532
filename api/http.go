package api

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// HTTPAPI is an HTTP API as its owner sees it.
type HTTPAPI struct {
	APIID                     string            `wire:"apiId" name:"ApiId"`
	APIEndpoint               string            `wire:"apiEndpoint" name:"ApiEndpoint"`
	Name                      string            `wire:"name" name:"Name"`
	Description               string            `wire:"description" name:"Description"`
	Version                   string            `wire:"version" name:"Version"`
	ProtocolType              string            `wire:"protocolType" name:"ProtocolType"`
	RouteSelectionExpression  string            `wire:"routeSelectionExpression" name:"RouteSelectionExpression"`
	APIKeySelectionExpression string            `wire:"apiKeySelectionExpression" name:"ApiKeySelectionExpression"`
	CORS                      *CORS             `wire:"corsConfiguration" name:"CorsConfiguration"`
	DisableEndpoint           bool              `wire:"disableExecuteApiEndpoint" name:"DisableExecuteApiEndpoint"`
	IPAddressType             string            `wire:"ipAddressType" name:"IpAddressType"`
	CreatedDate               time.Time         `wire:"createdDate,iso8601" name:"CreatedDate"`
	Tags                      map[string]string `wire:"tags" name:"Tags"`
}

// CORS is the configuration by which the gateway itself answers for cross-origin requests.
type CORS struct {
	AllowCredentials *bool    `wire:"allowCredentials" name:"AllowCredentials"`
	AllowHeaders     []string `wire:"allowHeaders" name:"AllowHeaders"`
	AllowMethods     []string `wire:"allowMethods" name:"AllowMethods"`
	AllowOrigins     []string `wire:"allowOrigins" name:"AllowOrigins"`
	ExposeHeaders    []string `wire:"exposeHeaders" name:"ExposeHeaders"`
	MaxAge           *int     `wire:"maxAge" name:"MaxAge"` // seconds
}

// HTTPAPIInput is what CreateApi and UpdateApi say; nil members are left as they are.
type HTTPAPIInput struct {
	Name                      *string `wire:"name" name:"Name"`
	Description               *string `wire:"description" name:"Description"`
	Version                   *string `wire:"version" name:"Version"`
	RouteSelectionExpression  *string `wire:"routeSelectionExpression" name:"RouteSelectionExpression"`
	APIKeySelectionExpression *string `wire:"apiKeySelectionExpression" name:"ApiKeySelectionExpression"`
	CORS                      *CORS   `wire:"corsConfiguration" name:"CorsConfiguration"`
	DisableEndpoint           *bool   `wire:"disableExecuteApiEndpoint" name:"DisableExecuteApiEndpoint"`
	IPAddressType             *string `wire:"ipAddressType" name:"IpAddressType" enum:"ipv4|dualstack"`
	// Quick create: an integration with Target, a route (RouteKey, by default $default) and the stage $default.
	Target         *string `wire:"target" name:"Target"`
	RouteKey       *string `wire:"routeKey" name:"RouteKey"`
	CredentialsARN *string `wire:"credentialsArn" name:"CredentialsArn"`
}

type httpDocument struct {
	API          HTTPAPI
	Routes       []HTTPRoute
	Integrations []HTTPIntegration
	Stages       []HTTPStage
	Deployments  []HTTPDeployment
}

type httpDesign struct {
	Routes          []HTTPRoute
	Integrations    []HTTPIntegration
	CORS            *CORS
	DisableEndpoint bool
}

func (d *httpDocument) design() *design {
	return &design{HTTP: &httpDesign{
		Routes: slices.Clone(d.Routes), Integrations: slices.Clone(d.Integrations),
		CORS: d.API.CORS, DisableEndpoint: d.API.DisableEndpoint,
	}}
}

// httpSelection is how HTTP APIs choose routes, as AWS shows it. Both forms are accepted.
const (
	httpSelection       = "$request.method $request.path"
	httpSelectionBraces = "${request.method} ${request.path}"
)

func noHTTPAPI(id string) error { return notFound("Invalid API identifier specified %s", id) }

func (h HTTP) change(ctx context.Context, account, id string, fn func(*edit) error) error {
	return h.core.change(ctx, account, id, KindHTTP, noHTTPAPI(id), fn)
}

// document reads an HTTP API.
func (h HTTP) document(ctx context.Context, account, id string) (*httpDocument, error) {
	d, err := h.load(ctx, account, id)
	if err != nil {
		return nil, err
	}
	if d == nil || d.HTTP == nil {
		return nil, noHTTPAPI(id)
	}
	return d.HTTP, nil
}

func (h HTTP) show(d *document) HTTPAPI {
	a := d.HTTP.API
	a.APIID, a.APIEndpoint = d.ID, h.endpoint(d.ID)
	return a
}

// CreateAPI makes an HTTP API, with Target one that serves at once.
func (h HTTP) CreateAPI(ctx context.Context, account string, in HTTPAPIInput, tags map[string]string) (HTTPAPI, error) {
	if in.Name == nil || *in.Name == "" {
		return HTTPAPI{}, bad("Invalid request input: name is required")
	}
	return h.make(ctx, account, func(e *edit) error {
		a := &e.HTTP.API
		if err := setTags(&a.Tags, tags); err != nil {
			return err
		}
		if err := a.apply(in); err != nil {
			return err
		}
		if in.Target == nil {
			if in.RouteKey != nil || in.CredentialsARN != nil {
				return bad("Quick create needs a target: routeKey and credentialsArn are set, target is not")
			}
			return nil
		}
		return e.quickCreate(in)
	})
}

// make creates an empty HTTP API and lets fn fill it.
func (h HTTP) make(ctx context.Context, account string, fn func(*edit) error) (HTTPAPI, error) {
	if err := h.vacancy(ctx, account, KindHTTP); err != nil {
		return HTTPAPI{}, err
	}
	d, err := h.create(ctx, account, func(e *edit) error {
		e.HTTP = &httpDocument{API: HTTPAPI{ProtocolType: "HTTP", RouteSelectionExpression: httpSelection,
			APIKeySelectionExpression: "$request.header.x-api-key", IPAddressType: "ipv4", CreatedDate: e.now}}
		return fn(e)
	})
	if err != nil {
		return HTTPAPI{}, err
	}
	return h.show(d), nil
}

// apply sets what in says.
func (a *HTTPAPI) apply(in HTTPAPIInput) error {
	if in.Name != nil {
		if *in.Name == "" || len(*in.Name) > nameMax {
			return bad("Invalid name: it must have 1 to %d characters", nameMax)
		}
		a.Name = *in.Name
	}
	if in.Description != nil {
		if len(*in.Description) > descriptionMax {
			return bad("Description must be at most %d characters", descriptionMax)
		}
		a.Description = *in.Description
	}
	if in.Version != nil {
		a.Version = *in.Version
	}
	if e := in.RouteSelectionExpression; e != nil && *e != httpSelection && *e != httpSelectionBraces {
		return bad("Invalid routeSelectionExpression for HTTP APIs: it must be %s", httpSelection)
	}
	if in.APIKeySelectionExpression != nil && *in.APIKeySelectionExpression != a.APIKeySelectionExpression {
		return unsupported("API keys (apiKeySelectionExpression %s)", *in.APIKeySelectionExpression)
	}
	if in.CORS != nil {
		if err := in.CORS.check(); err != nil {
			return err
		}
		a.CORS = in.CORS
	}
	if in.DisableEndpoint != nil {
		a.DisableEndpoint = *in.DisableEndpoint
	}
	if in.IPAddressType != nil {
		a.IPAddressType = *in.IPAddressType
	}
	return nil
}

const (
	nameMax        = 128
	descriptionMax = 1024
)

var corsMethods = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "*"}

func (c *CORS) check() error {
	if c.MaxAge != nil && (*c.MaxAge < -1 || *c.MaxAge > 86400) {
		return bad("Invalid CORS configuration: maxAge must be between -1 and 86400")
	}
	for _, o := range c.AllowOrigins {
		if o == "*" {
			if c.AllowCredentials != nil && *c.AllowCredentials {
				return bad("Invalid CORS configuration: allowCredentials is not allowed when allowOrigins contains '*'")
			}
			continue
		}
		if scheme, host, ok := strings.Cut(o, "://"); !ok || scheme == "" || host == "" || strings.Contains(host, "/") {
			return bad("Invalid CORS configuration: origin %q is neither '*' nor scheme://host[:port]", o)
		}
	}
	for _, m := range c.AllowMethods {
		if !slices.Contains(corsMethods, strings.ToUpper(m)) {
			return bad("Invalid CORS configuration: method %q", m)
		}
	}
	for _, name := range append(slices.Clone(c.AllowHeaders), c.ExposeHeaders...) {
		if !headerName.MatchString(name) {
			return bad("Invalid CORS configuration: header %q", name)
		}
	}
	return nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// quickCreate makes, or at an update changes, the integration, the route and the stage that belong to the API's target.
func (e *edit) quickCreate(in HTTPAPIInput) error {
	d := e.HTTP
	at := slices.IndexFunc(d.Integrations, func(i HTTPIntegration) bool { return i.Managed })
	if at < 0 {
		if in.Target == nil || len(d.Routes) > 0 && in.RouteKey == nil {
			return bad("The API was not made by quick create: target, routeKey and credentialsArn cannot be updated")
		}
		d.Integrations = append(d.Integrations, HTTPIntegration{IntegrationID: e.newID(7), Managed: true})
		at = len(d.Integrations) - 1
	}
	integration := &d.Integrations[at]
	spec := HTTPIntegrationInput{CredentialsARN: in.CredentialsARN}
	if in.Target != nil {
		kind, method, format := "AWS_PROXY", "POST", "2.0"
		if webURL(*in.Target) {
			kind, method, format = "HTTP_PROXY", "ANY", "1.0"
		}
		spec.IntegrationType, spec.IntegrationMethod, spec.PayloadFormatVersion = &kind, &method, &format
		spec.IntegrationURI = in.Target
	}
	if err := integration.apply(spec); err != nil {
		return err
	}
	key := DefaultStage
	if in.RouteKey != nil && *in.RouteKey != "" {
		key = *in.RouteKey
	}
	target := "integrations/" + integration.IntegrationID
	at = slices.IndexFunc(d.Routes, func(r HTTPRoute) bool { return r.Managed })
	if at < 0 {
		id := e.newID(7)
		d.Routes = append(d.Routes, HTTPRoute{RouteID: id, Managed: true, AuthorizationType: "NONE"})
		at = len(d.Routes) - 1
	} else if in.RouteKey == nil {
		key = d.Routes[at].RouteKey
	}
	if err := d.applyRoute(at, HTTPRouteInput{RouteKey: &key, Target: &target}); err != nil {
		return err
	}
	if !slices.ContainsFunc(d.Stages, func(s HTTPStage) bool { return s.StageName == DefaultStage }) {
		d.Stages = append(d.Stages, HTTPStage{StageName: DefaultStage, AutoDeploy: true, Managed: true,
			CreatedDate: e.now, LastUpdatedDate: e.now})
	}
	return nil
}

// API reads an HTTP API.
func (h HTTP) API(ctx context.Context, account, id string) (HTTPAPI, error) {
	d, err := h.load(ctx, account, id)
	if err != nil {
		return HTTPAPI{}, err
	}
	if d == nil || d.HTTP == nil {
		return HTTPAPI{}, noHTTPAPI(id)
	}
	return h.show(d), nil
}

// APIs lists the account's HTTP APIs by id.
func (h HTTP) APIs(ctx context.Context, account string) ([]HTTPAPI, error) {
	docs, err := h.list(ctx, account, KindHTTP)
	all := make([]HTTPAPI, 0, len(docs))
	for _, d := range docs {
		all = append(all, h.show(d))
	}
	return all, err
}

// UpdateAPI changes what in says.
func (h HTTP) UpdateAPI(ctx context.Context, account, id string, in HTTPAPIInput) (a HTTPAPI, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		if err := e.HTTP.API.apply(in); err != nil {
			return err
		}
		if in.Target != nil || in.RouteKey != nil || in.CredentialsARN != nil {
			if err := e.quickCreate(in); err != nil {
				return err
			}
		}
		a = h.show(e.document)
		return nil
	})
	return a, err
}

// DeleteCORS takes the CORS configuration away.
func (h HTTP) DeleteCORS(ctx context.Context, account, id string) error {
	return h.change(ctx, account, id, func(e *edit) error { e.HTTP.API.CORS = nil; return nil })
}

// DeleteAPI removes an HTTP API and everything in it.
func (h HTTP) DeleteAPI(ctx context.Context, account, id string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		e.deleted = true
		for _, d := range e.HTTP.Deployments {
			e.dropped = append(e.dropped, d.DeploymentID)
		}
		return nil
	})
}

// ---- tags

// setTags adds tags to into.
func setTags(into *map[string]string, tags map[string]string) error {
	merged := maps.Clone(*into)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 || strings.HasPrefix(k, "aws:") && !strings.HasPrefix(k, "aws:cloudformation:") {
			return bad("Invalid tag %q: keys have 1 to 128 characters and do not start with aws:, values at most 256", k)
		}
		merged[k] = v
	}
	if len(merged) > tagsMax {
		return bad("A resource can have at most %d tags", tagsMax)
	}
	if len(merged) > 0 {
		*into = merged
	}
	return nil
}

// taggable finds the tags that an ARN's path names: /apis/ID, /apis/ID/stages/NAME, /restapis/ID, /restapis/ID/stages/NAME.
func (d *document) taggable(path []string) (*map[string]string, bool) {
	if len(path) != 2 && (len(path) != 4 || path[2] != "stages") {
		return nil, false
	}
	switch {
	case d.HTTP != nil && path[0] == "apis":
		if len(path) == 2 {
			return &d.HTTP.API.Tags, true
		}
		if at := d.HTTP.stage(path[3]); at >= 0 {
			return &d.HTTP.Stages[at].Tags, true
		}
	case d.REST != nil && path[0] == "restapis":
		if len(path) == 2 {
			return &d.REST.API.Tags, true
		}
		if at := d.REST.stage(path[3]); at >= 0 {
			return &d.REST.Stages[at].Tags, true
		}
	}
	return nil, false
}

// splitResource splits the path of an ARN, arn:aws:apigateway:REGION::/PATH. No other text names the same resource, so a
// policy that speaks of the ARN cannot be passed by.
func (c *core) splitResource(arn string) ([]string, error) {
	resource, ok := strings.CutPrefix(arn, "arn:aws:apigateway:"+c.region+"::/")
	path := strings.Split(resource, "/")
	if !ok || len(path) < 2 {
		return nil, bad("Invalid ARN specified in the request")
	}
	return path, nil
}

// Tags reads the tags of the API or stage that arn names.
func (c *core) Tags(ctx context.Context, account, arn string) (map[string]string, error) {
	path, err := c.splitResource(arn)
	if err != nil {
		return nil, err
	}
	d, err := c.load(ctx, account, path[1])
	if err != nil {
		return nil, err
	}
	if d != nil {
		if tags, ok := d.taggable(path); ok {
			return *tags, nil
		}
	}
	return nil, notFound("Invalid resource identifier specified")
}

// Tag adds tags to the API or stage that arn names.
func (c *core) Tag(ctx context.Context, account, arn string, tags map[string]string) error {
	return c.retag(ctx, account, arn, func(into *map[string]string) error { return setTags(into, tags) })
}

// Untag removes tags from the API or stage that arn names.
func (c *core) Untag(ctx context.Context, account, arn string, keys []string) error {
	return c.retag(ctx, account, arn, func(into *map[string]string) error {
		*into = maps.Clone(*into)
		maps.DeleteFunc(*into, func(k, _ string) bool { return slices.Contains(keys, k) })
		return nil
	})
}

func (c *core) retag(ctx context.Context, account, arn string, fn func(*map[string]string) error) error {
	path, err := c.splitResource(arn)
	if err != nil {
		return err
	}
	kind := KindREST
	if path[0] == "apis" {
		kind = KindHTTP
	}
	missing := notFound("Invalid resource identifier specified")
	return c.change(ctx, account, path[1], kind, missing, func(e *edit) error {
		tags, ok := e.taggable(path)
		if !ok {
			return missing
		}
		e.quiet = true
		return fn(tags)
	})
}
