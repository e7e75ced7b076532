package api

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/api/route"
)

// HTTPRoute is a route of an HTTP API.
type HTTPRoute struct {
	RouteID           string `wire:"routeId" name:"RouteId"`
	RouteKey          string `wire:"routeKey" name:"RouteKey"` // "GET /pets/{id}", "$default"
	Target            string `wire:"target" name:"Target"`     // "integrations/ID"
	OperationName     string `wire:"operationName" name:"OperationName"`
	AuthorizationType string `wire:"authorizationType" name:"AuthorizationType"`
	APIKeyRequired    bool   `wire:"apiKeyRequired" name:"ApiKeyRequired"`
	Managed           bool   `wire:"apiGatewayManaged,omitempty" name:"ApiGatewayManaged"` // made by quick create
}

// HTTPRouteInput is what CreateRoute and UpdateRoute say; nil members are left as they are.
type HTTPRouteInput struct {
	RouteKey          *string `wire:"routeKey" name:"RouteKey"`
	Target            *string `wire:"target" name:"Target"`
	OperationName     *string `wire:"operationName" name:"OperationName" max:"64"`
	AuthorizationType *string `wire:"authorizationType" name:"AuthorizationType" enum:"NONE|AWS_IAM|CUSTOM|JWT"`
}

// HTTPIntegration is an integration of an HTTP API.
type HTTPIntegration struct {
	IntegrationID        string `wire:"integrationId" name:"IntegrationId"`
	IntegrationType      string `wire:"integrationType" name:"IntegrationType"`
	IntegrationURI       string `wire:"integrationUri" name:"IntegrationUri"`
	IntegrationMethod    string `wire:"integrationMethod" name:"IntegrationMethod"`
	PayloadFormatVersion string `wire:"payloadFormatVersion" name:"PayloadFormatVersion"`
	ConnectionType       string `wire:"connectionType" name:"ConnectionType"`
	CredentialsARN       string `wire:"credentialsArn" name:"CredentialsArn"`
	Description          string `wire:"description" name:"Description"`
	TimeoutInMillis      int    `wire:"timeoutInMillis" name:"TimeoutInMillis"`
	Managed              bool   `wire:"apiGatewayManaged,omitempty" name:"ApiGatewayManaged"` // made by quick create
}

// HTTPIntegrationInput is what CreateIntegration and UpdateIntegration say; nil members are left as they are.
type HTTPIntegrationInput struct {
	IntegrationType      *string `wire:"integrationType" name:"IntegrationType" enum:"AWS|HTTP|MOCK|HTTP_PROXY|AWS_PROXY"`
	IntegrationURI       *string `wire:"integrationUri" name:"IntegrationUri"`
	IntegrationMethod    *string `wire:"integrationMethod" name:"IntegrationMethod"`
	PayloadFormatVersion *string `wire:"payloadFormatVersion" name:"PayloadFormatVersion"`
	ConnectionType       *string `wire:"connectionType" name:"ConnectionType" enum:"INTERNET|VPC_LINK"`
	CredentialsARN       *string `wire:"credentialsArn" name:"CredentialsArn"`
	Description          *string `wire:"description" name:"Description"`
	TimeoutInMillis      *int    `wire:"timeoutInMillis" name:"TimeoutInMillis"`
}

// httpTimeoutMax is the longest that an integration of an HTTP API may take, in milliseconds, and the default.
const httpTimeoutMax = 30000

var (
	httpMethods = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", route.Any}
	pathText    = regexp.MustCompile(`^/[A-Za-z0-9\-._~!$&'()*+,;=:@%/{}]*$`)
	roleARN     = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:role/[^$]+$`)
)

func noRoute(id string) error { return notFound("Invalid Route identifier specified %s", id) }

func noIntegration(id string) error {
	return notFound("Invalid Integration identifier specified %s", id)
}

func (d *httpDocument) route(id string) int {
	return slices.IndexFunc(d.Routes, func(r HTTPRoute) bool { return r.RouteID == id })
}

func (d *httpDocument) integration(id string) int {
	return slices.IndexFunc(d.Integrations, func(i HTTPIntegration) bool { return i.IntegrationID == id })
}

// applyRoute sets what in says on the route at index at.
func (d *httpDocument) applyRoute(at int, in HTTPRouteInput) error {
	r := &d.Routes[at]
	if in.AuthorizationType != nil && *in.AuthorizationType != "NONE" {
		return unsupported("authorization of routes (authorizationType %s)", *in.AuthorizationType)
	}
	if in.OperationName != nil {
		r.OperationName = *in.OperationName
	}
	if in.RouteKey != nil && (r.RouteKey == "" || *in.RouteKey != r.RouteKey) {
		shape, err := routeShape(*in.RouteKey)
		if err != nil {
			return err
		}
		for i, o := range d.Routes {
			if other, _ := routeShape(o.RouteKey); i != at && other == shape {
				return conflict("Route with key %s already exists for this API", *in.RouteKey)
			}
		}
		r.RouteKey = *in.RouteKey
	}
	if in.Target != nil {
		id, ok := strings.CutPrefix(*in.Target, "integrations/")
		if *in.Target != "" && (!ok || d.integration(id) < 0) {
			return bad("Invalid target %s: it must be integrations/ID of an integration of the API", *in.Target)
		}
		r.Target = *in.Target
	}
	return nil
}

// routeShape checks a route key and answers what two keys share that cannot stand side by side: the key with the names of
// its path variables left out.
func routeShape(key string) (string, error) {
	if key == DefaultStage {
		return key, nil
	}
	malformed := bad("The provided route key is not formatted properly for HTTP protocol. " +
		`Format should be "<HTTP METHOD> /<RESOURCE PATH>" or "$default"`)
	method, path, ok := strings.Cut(key, " ")
	if !ok || !slices.Contains(httpMethods, method) || !pathText.MatchString(path) {
		return "", malformed
	}
	p, err := route.Parse(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", malformed, err)
	}
	shape := method + " "
	for i, s := range p.Segments {
		switch {
		case s.Param && p.Greedy && i == len(p.Segments)-1:
			shape += "/{+}"
		case s.Param:
			shape += "/{}"
		default:
			shape += "/" + s.Text
		}
	}
	return shape, nil
}

// CreateRoute adds a route.
func (h HTTP) CreateRoute(ctx context.Context, account, id string, in HTTPRouteInput) (r HTTPRoute, err error) {
	if in.RouteKey == nil {
		return r, bad("Invalid request input: routeKey is required")
	}
	err = h.change(ctx, account, id, func(e *edit) error {
		d := e.HTTP
		if len(d.Routes) >= routesMax {
			return overLimit("Maximum number of routes for this API has been reached: %d", routesMax)
		}
		d.Routes = append(d.Routes, HTTPRoute{RouteID: e.newID(7), AuthorizationType: "NONE"})
		if err := d.applyRoute(len(d.Routes)-1, in); err != nil {
			return err
		}
		r = d.Routes[len(d.Routes)-1]
		return nil
	})
	return r, err
}

// UpdateRoute changes what in says.
func (h HTTP) UpdateRoute(ctx context.Context, account, id, routeID string, in HTTPRouteInput) (r HTTPRoute, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.route(routeID)
		if at < 0 {
			return noRoute(routeID)
		}
		if err := e.HTTP.applyRoute(at, in); err != nil {
			return err
		}
		r = e.HTTP.Routes[at]
		return nil
	})
	return r, err
}

// Route reads a route.
func (h HTTP) Route(ctx context.Context, account, id, routeID string) (HTTPRoute, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return HTTPRoute{}, err
	}
	at := d.route(routeID)
	if at < 0 {
		return HTTPRoute{}, noRoute(routeID)
	}
	return d.Routes[at], nil
}

// Routes lists the routes in the order in which they were made.
func (h HTTP) Routes(ctx context.Context, account, id string) ([]HTTPRoute, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return d.Routes, nil
}

// DeleteRoute removes a route.
func (h HTTP) DeleteRoute(ctx context.Context, account, id, routeID string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.route(routeID)
		if at < 0 {
			return noRoute(routeID)
		}
		e.HTTP.Routes = slices.Delete(e.HTTP.Routes, at, at+1)
		return nil
	})
}

// apply sets what in says and checks the whole.
func (i *HTTPIntegration) apply(in HTTPIntegrationInput) error {
	set := func(into, from *string) {
		if from != nil {
			*into = *from
		}
	}
	set(&i.IntegrationType, in.IntegrationType)
	set(&i.IntegrationURI, in.IntegrationURI)
	set(&i.IntegrationMethod, in.IntegrationMethod)
	set(&i.PayloadFormatVersion, in.PayloadFormatVersion)
	set(&i.ConnectionType, in.ConnectionType)
	set(&i.CredentialsARN, in.CredentialsARN)
	set(&i.Description, in.Description)
	if in.TimeoutInMillis != nil {
		i.TimeoutInMillis = *in.TimeoutInMillis
	}
	if i.TimeoutInMillis == 0 {
		i.TimeoutInMillis = httpTimeoutMax
	}
	if i.ConnectionType == "" {
		i.ConnectionType = "INTERNET"
	}
	if i.PayloadFormatVersion == "" {
		i.PayloadFormatVersion = "1.0"
	}
	if i.ConnectionType != "INTERNET" {
		return unsupported("VPC links (connectionType %s)", i.ConnectionType)
	}
	if i.TimeoutInMillis < 50 || i.TimeoutInMillis > httpTimeoutMax {
		return bad("Timeout should be between 50 ms and %d ms", httpTimeoutMax)
	}
	if i.CredentialsARN != "" && !roleARN.MatchString(i.CredentialsARN) {
		if strings.Contains(i.CredentialsARN, "${") {
			return unsupported("stage variables in credentialsArn")
		}
		if strings.HasSuffix(i.CredentialsARN, ":user/*") {
			return unsupported("integrations with the caller's identity (credentialsArn %s)", i.CredentialsARN)
		}
		return bad("Invalid credentialsArn %s: it must be the ARN of a role", i.CredentialsARN)
	}
	return i.checkTarget()
}

func (i *HTTPIntegration) checkTarget() error {
	switch i.IntegrationType {
	case "AWS_PROXY":
		if i.PayloadFormatVersion != "1.0" && i.PayloadFormatVersion != "2.0" {
			return bad("Invalid payloadFormatVersion %s: it must be 1.0 or 2.0", i.PayloadFormatVersion)
		}
		if i.IntegrationURI == "" {
			return bad("IntegrationUri must be specified for AWS_PROXY integrations")
		}
		if strings.Contains(i.IntegrationURI, "${") {
			return nil // told when the stage's variables are known
		}
		if _, err := functionARN(i.IntegrationURI); err != nil {
			return bad("Invalid integration URI %s: it must be the ARN of a Lambda function", i.IntegrationURI)
		}
		if i.IntegrationMethod == "" {
			i.IntegrationMethod = "POST"
		}
	case "HTTP_PROXY":
		if i.PayloadFormatVersion != "1.0" {
			return bad("Invalid payloadFormatVersion %s: HTTP_PROXY integrations have 1.0", i.PayloadFormatVersion)
		}
		if i.IntegrationMethod == "" {
			return bad("HttpMethod must be specified for HTTP_PROXY integrations")
		}
		if !strings.Contains(i.IntegrationURI, "${") && !webURL(i.IntegrationURI) {
			return bad("Invalid HTTP endpoint specified for URI")
		}
	case "":
		return bad("Invalid request input: integrationType is required")
	default:
		return bad("Integration type %s is not supported for HTTP APIs", i.IntegrationType)
	}
	return nil
}

// CreateIntegration adds an integration.
func (h HTTP) CreateIntegration(ctx context.Context, account, id string,
	in HTTPIntegrationInput) (i HTTPIntegration, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		if len(e.HTTP.Integrations) >= routesMax {
			return overLimit("Maximum number of integrations for this API has been reached: %d", routesMax)
		}
		i = HTTPIntegration{IntegrationID: e.newID(7)}
		if err := i.apply(in); err != nil {
			return err
		}
		e.HTTP.Integrations = append(e.HTTP.Integrations, i)
		return nil
	})
	return i, err
}

// UpdateIntegration changes what in says.
func (h HTTP) UpdateIntegration(ctx context.Context, account, id, integration string,
	in HTTPIntegrationInput) (i HTTPIntegration, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.integration(integration)
		if at < 0 {
			return noIntegration(integration)
		}
		if err := e.HTTP.Integrations[at].apply(in); err != nil {
			return err
		}
		i = e.HTTP.Integrations[at]
		return nil
	})
	return i, err
}

// Integration reads an integration.
func (h HTTP) Integration(ctx context.Context, account, id, integration string) (HTTPIntegration, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return HTTPIntegration{}, err
	}
	at := d.integration(integration)
	if at < 0 {
		return HTTPIntegration{}, noIntegration(integration)
	}
	return d.Integrations[at], nil
}

// Integrations lists the integrations in the order in which they were made.
func (h HTTP) Integrations(ctx context.Context, account, id string) ([]HTTPIntegration, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return d.Integrations, nil
}

// DeleteIntegration removes an integration that no route uses.
func (h HTTP) DeleteIntegration(ctx context.Context, account, id, integration string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.integration(integration)
		if at < 0 {
			return noIntegration(integration)
		}
		for _, r := range e.HTTP.Routes {
			if r.Target == "integrations/"+integration {
				return conflict("Cannot delete Integration '%s', it is referenced by Route '%s'", integration, r.RouteKey)
			}
		}
		e.HTTP.Integrations = slices.Delete(e.HTTP.Integrations, at, at+1)
		return nil
	})
}
