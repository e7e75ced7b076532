package api

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// GatewayResponse is what a REST API answers in place of one of the gateway's own errors.
type GatewayResponse struct {
	ResponseType       string            `wire:"responseType"`
	StatusCode         string            `wire:"statusCode"`
	ResponseParameters map[string]string `wire:"responseParameters"` // "gatewayresponse.header.NAME": "'literal'" or method.request.…
	ResponseTemplates  map[string]string `wire:"responseTemplates"`
	DefaultResponse    bool              `wire:"defaultResponse"`
}

// The types whose defaults Rouse answers with itself.
const (
	Default4XX       = "DEFAULT_4XX"
	Default5XX       = "DEFAULT_5XX"
	defaultTemplate  = `{"message":$context.error.messageString}`
	gatewayHeader    = "gatewayresponse.header."
	gatewayVariables = "requestId|extendedRequestId|stage|resourcePath|resourceId|path|httpMethod|apiId|accountId|domainName|" +
		"identity.sourceIp|identity.userAgent|protocol|requestTime|requestTimeEpoch"
	gatewayErrorNames = "error.message|error.messageString|error.responseType"
)

// GatewayResponseTypes are AWS's types in the order of its lists, with the status of each; "" where there is none.
var GatewayResponseTypes = []GatewayResponse{
	{ResponseType: "ACCESS_DENIED", StatusCode: "403"},
	{ResponseType: "API_CONFIGURATION_ERROR", StatusCode: "500"},
	{ResponseType: "AUTHORIZER_CONFIGURATION_ERROR", StatusCode: "500"},
	{ResponseType: "AUTHORIZER_FAILURE", StatusCode: "500"},
	{ResponseType: "BAD_REQUEST_BODY", StatusCode: "400"},
	{ResponseType: "BAD_REQUEST_PARAMETERS", StatusCode: "400"},
	{ResponseType: Default4XX},
	{ResponseType: Default5XX},
	{ResponseType: "EXPIRED_TOKEN", StatusCode: "403"},
	{ResponseType: "INTEGRATION_FAILURE", StatusCode: "504"},
	{ResponseType: "INTEGRATION_TIMEOUT", StatusCode: "504"},
	{ResponseType: "INVALID_API_KEY", StatusCode: "403"},
	{ResponseType: "INVALID_SIGNATURE", StatusCode: "403"},
	{ResponseType: "MISSING_AUTHENTICATION_TOKEN", StatusCode: "403"},
	{ResponseType: "QUOTA_EXCEEDED", StatusCode: "429"},
	{ResponseType: "REQUEST_TOO_LARGE", StatusCode: "413"},
	{ResponseType: "RESOURCE_NOT_FOUND", StatusCode: "404"},
	{ResponseType: "THROTTLED", StatusCode: "429"},
	{ResponseType: "UNAUTHORIZED", StatusCode: "401"},
	{ResponseType: "UNSUPPORTED_MEDIA_TYPE", StatusCode: "415"},
	{ResponseType: "WAF_FILTERED", StatusCode: "403"},
}

var templateVariable = regexp.MustCompile(`\$\{?[A-Za-z_][A-Za-z0-9_.]*`)

var knownVariable = regexp.MustCompile(`^\$\{?(context\.(` + gatewayErrorNames + `|` + gatewayVariables + `)|stageVariables\.\w+)$`)

// check refuses what the gateway could not answer with.
func (g *GatewayResponse) check() error {
	if g.StatusCode != "" && !regexp.MustCompile(`^[2-5]\d\d$`).MatchString(g.StatusCode) {
		return bad("Invalid status code specified: %s", g.StatusCode)
	}
	for to, from := range g.ResponseParameters {
		name, ok := strings.CutPrefix(to, gatewayHeader)
		if !ok || !headerName.MatchString(name) {
			return bad("Invalid mapping expression specified: %s", to)
		}
		if _, ok := literal(from); ok {
			continue
		}
		if p, ok := requestParameter(from); ok && p != "" {
			continue
		}
		if rest, ok := strings.CutPrefix(from, "context."); !ok || !knownVariable.MatchString("$context."+rest) {
			return unsupported("the gateway response parameter %s", from)
		}
	}
	for _, text := range g.ResponseTemplates {
		for _, v := range templateVariable.FindAllString(text, -1) {
			if !knownVariable.MatchString(strings.TrimSuffix(v, ".")) {
				return unsupported("the variable %s in gateway responses", v)
			}
		}
	}
	return nil
}

// effective is the response of a type: its own, else that of its class, else AWS's default.
func (d *restDocument) effective(t GatewayResponse) GatewayResponse {
	if own, ok := d.GatewayResponses[t.ResponseType]; ok {
		return own
	}
	out := GatewayResponse{ResponseType: t.ResponseType, StatusCode: t.StatusCode, DefaultResponse: true,
		ResponseParameters: map[string]string{}, ResponseTemplates: map[string]string{"application/json": defaultTemplate}}
	class := ""
	if t.StatusCode != "" {
		class = map[bool]string{true: Default4XX, false: Default5XX}[t.StatusCode < "500"]
	}
	if c, ok := d.GatewayResponses[class]; ok {
		out.ResponseParameters, out.ResponseTemplates = c.ResponseParameters, c.ResponseTemplates
		if c.StatusCode != "" {
			out.StatusCode = c.StatusCode
		}
	}
	return out
}

// gatewayType finds a type by name. The names are checked at the door, which lists them in its error.
func gatewayType(name string) (GatewayResponse, error) {
	at := slices.IndexFunc(GatewayResponseTypes, func(t GatewayResponse) bool { return t.ResponseType == name })
	if at < 0 {
		return GatewayResponse{}, bad("Invalid gateway response type %s", name)
	}
	return GatewayResponseTypes[at], nil
}

// set checks a response and keeps it, with the defaults of its type for what it does not say.
func (d *restDocument) set(g GatewayResponse) (GatewayResponse, error) {
	t, err := gatewayType(g.ResponseType)
	if err != nil {
		return g, err
	}
	if g.StatusCode == "" {
		g.StatusCode = t.StatusCode
	}
	if g.ResponseParameters == nil {
		g.ResponseParameters = map[string]string{}
	}
	if len(g.ResponseTemplates) == 0 {
		g.ResponseTemplates = map[string]string{"application/json": defaultTemplate}
	}
	g.DefaultResponse = false
	if err := g.check(); err != nil {
		return g, err
	}
	all := maps.Clone(d.GatewayResponses)
	if all == nil {
		all = map[string]GatewayResponse{}
	}
	all[g.ResponseType] = g
	d.GatewayResponses = all
	return g, nil
}

// PutGatewayResponse replaces one of the gateway's errors.
func (r REST) PutGatewayResponse(ctx context.Context, account, id string, in GatewayResponse) (out GatewayResponse, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		var err error
		out, err = e.REST.set(in)
		return err
	})
	return out, err
}

// UpdateGatewayResponse applies patch operations to a gateway response.
func (r REST) UpdateGatewayResponse(ctx context.Context, account, id, name string, ops []Patch) (out GatewayResponse, err error) {
	t, err := gatewayType(name)
	if err != nil {
		return out, err
	}
	err = r.change(ctx, account, id, func(e *edit) error {
		g := e.REST.effective(t)
		g.ResponseParameters, g.ResponseTemplates = maps.Clone(g.ResponseParameters), maps.Clone(g.ResponseTemplates)
		for _, op := range ops {
			if err := g.patch(op); err != nil {
				return err
			}
		}
		var err error
		out, err = e.REST.set(g)
		return err
	})
	return out, err
}

func (g *GatewayResponse) patch(op Patch) error {
	path := op.path()
	switch {
	case op.Path == "":
		return bad("Invalid patch path null")
	case len(path) == 1 && path[0] == "statusCode" && op.Op == "replace":
		g.StatusCode = op.Value
	case len(path) == 2 && path[0] == "responseParameters":
		if op.Op != "remove" && op.Value == "" {
			return bad("Invalid null or empty value in responseParameters")
		}
		return op.entry(&g.ResponseParameters, path[1], notFound("Invalid parameter name specified"))
	case len(path) == 2 && path[0] == "responseTemplates":
		if op.Op != "remove" && op.Value == "" {
			return bad("Invalid null or empty value in responseTemplates")
		}
		return op.entry(&g.ResponseTemplates, path[1], notFound("Content-Type specified was not found"))
	default:
		return bad("Invalid patch path %s", op.Path)
	}
	return nil
}

// GatewayResponse reads the response of a type, the default where none is set.
func (r REST) GatewayResponse(ctx context.Context, account, id, name string) (GatewayResponse, error) {
	t, err := gatewayType(name)
	if err != nil {
		return t, err
	}
	d, err := r.document(ctx, account, id)
	if err != nil {
		return t, err
	}
	return d.effective(t), nil
}

// GatewayResponses lists the responses of all types.
func (r REST) GatewayResponses(ctx context.Context, account, id string) ([]GatewayResponse, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	all := make([]GatewayResponse, 0, len(GatewayResponseTypes))
	for _, t := range GatewayResponseTypes {
		all = append(all, d.effective(t))
	}
	return all, nil
}

// DeleteGatewayResponse brings the default back.
func (r REST) DeleteGatewayResponse(ctx context.Context, account, id, name string) error {
	return r.change(ctx, account, id, func(e *edit) error {
		if _, ok := e.REST.GatewayResponses[name]; !ok {
			return notFound("Gateway response type not defined on api")
		}
		e.REST.GatewayResponses = maps.Clone(e.REST.GatewayResponses)
		delete(e.REST.GatewayResponses, name)
		return nil
	})
}
