package api

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
)

// RESTIntegrationInput is what PutIntegration says.
type RESTIntegrationInput struct {
	Type                string            `wire:"type" enum:"HTTP|MOCK|AWS_PROXY|HTTP_PROXY|AWS"`
	HTTPMethod          string            `wire:"httpMethod" name:"integrationHttpMethod"` // of the call to the integration
	URI                 string            `wire:"uri"`
	ConnectionType      string            `wire:"connectionType" enum:"INTERNET|VPC_LINK"`
	Credentials         string            `wire:"credentials"`
	RequestParameters   map[string]string `wire:"requestParameters"`
	RequestTemplates    map[string]string `wire:"requestTemplates"`
	PassthroughBehavior string            `wire:"passthroughBehavior"`
	ContentHandling     string            `wire:"contentHandling" enum:"CONVERT_TO_BINARY|CONVERT_TO_TEXT"`
	CacheNamespace      string            `wire:"cacheNamespace"`
	CacheKeyParameters  []string          `wire:"cacheKeyParameters"`
	TimeoutInMillis     *int              `wire:"timeoutInMillis"`
}

// restTimeoutMax is the longest that an integration of a REST API may take, in milliseconds, and the default.
const restTimeoutMax = 29000

func noRESTIntegration() error { return notFound("Invalid Integration identifier specified") }

// PutIntegration sets what a method's requests go to.
func (r REST) PutIntegration(ctx context.Context, account, id, resource, method string,
	in RESTIntegrationInput) (out RESTIntegration, err error) {
	err = r.onMethod(ctx, account, id, resource, method, func(e *edit, m *RESTMethod) error {
		built, err := in.build(resource)
		if err != nil {
			return err
		}
		m.Integration, out = built, *built
		return nil
	})
	return out, err
}

// build checks an integration and fills in the defaults.
func (in RESTIntegrationInput) build(resource string) (*RESTIntegration, error) {
	out := &RESTIntegration{Type: in.Type, HTTPMethod: in.HTTPMethod, URI: in.URI, ConnectionType: in.ConnectionType,
		Credentials: in.Credentials, RequestParameters: in.RequestParameters, RequestTemplates: in.RequestTemplates,
		PassthroughBehavior: in.PassthroughBehavior, ContentHandling: in.ContentHandling,
		CacheNamespace: in.CacheNamespace, TimeoutInMillis: restTimeoutMax,
		CacheKeyParameters: append([]string{}, in.CacheKeyParameters...)}
	if in.TimeoutInMillis != nil {
		out.TimeoutInMillis = *in.TimeoutInMillis
	}
	if out.PassthroughBehavior == "" {
		out.PassthroughBehavior = "WHEN_NO_MATCH"
	}
	if out.CacheNamespace == "" {
		out.CacheNamespace = resource
	}
	if out.Type != "MOCK" && out.ConnectionType == "" {
		out.ConnectionType = "INTERNET"
	}
	return out, out.check()
}

func (in *RESTIntegration) check() error {
	if in.TimeoutInMillis < 50 || in.TimeoutInMillis > restTimeoutMax {
		return bad("Timeout should be between 50 ms and %d ms", restTimeoutMax)
	}
	if in.ConnectionType == "VPC_LINK" {
		return unsupported("VPC links (connectionType VPC_LINK)")
	}
	if !slices.Contains([]string{"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}, in.PassthroughBehavior) {
		return bad("Invalid passthrough behavior specified. Valid options are WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER")
	}
	if len(in.CacheKeyParameters) > 0 {
		return unsupported("caching (cacheKeyParameters)")
	}
	if in.ContentHandling != "" && in.Type != "AWS_PROXY" {
		return unsupported("content handling (contentHandling %s)", in.ContentHandling)
	}
	if in.Credentials != "" && !roleARN.MatchString(in.Credentials) {
		if strings.Contains(in.Credentials, "${") {
			return unsupported("stage variables in credentials")
		}
		if strings.HasSuffix(in.Credentials, ":user/*") {
			return unsupported("integrations with the caller's identity (credentials %s)", in.Credentials)
		}
		return bad("Invalid ARN specified in the request")
	}
	switch in.Type {
	case "MOCK":
		_, err := in.mock()
		return err
	case "AWS_PROXY", "HTTP_PROXY":
		if in.HTTPMethod == "" {
			return bad("Enumeration value for HttpMethod must be non-empty")
		}
		return in.checkProxy()
	case "AWS", "HTTP":
		return unsupported("integrations with mapping templates (type %s): use %s_PROXY", in.Type, in.Type)
	}
	return bad("Enumeration value for integration type must be one of HTTP, MOCK, AWS_PROXY, HTTP_PROXY, AWS")
}

func (in *RESTIntegration) checkProxy() error {
	if in.Type == "HTTP_PROXY" {
		if !strings.Contains(in.URI, "${") && !webURL(in.URI) {
			return bad("Invalid HTTP endpoint specified for URI")
		}
		for to, from := range in.RequestParameters {
			if !strings.HasPrefix(to, "integration.request.path.") || !strings.HasPrefix(from, "method.request.path.") {
				return unsupported("request parameters other than integration.request.path.A = method.request.path.B (%s)", to)
			}
		}
		return nil
	}
	if len(in.RequestParameters) > 0 {
		return unsupported("request parameters of AWS_PROXY integrations")
	}
	if strings.Contains(in.URI, "${") {
		return nil // told when the stage's variables are known
	}
	arn, err := rouse.ParseARN(in.URI)
	if err != nil {
		return bad("Invalid ARN specified in the request")
	}
	if arn.Service != "apigateway" || !strings.Contains(arn.Resource, "path/") && !strings.Contains(arn.Resource, "action/") {
		return bad("AWS ARN for integration must contain path or action")
	}
	if strings.HasPrefix(arn.Account+":"+arn.Resource, "lambda:path/2021-11-15/") {
		return unsupported("response streaming of REST APIs")
	}
	if _, err := functionARN(in.URI); err != nil {
		return bad("Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations.")
	}
	return nil
}

// mock compiles a mock integration: plain templates without VTL, and response headers that are literals.
func (in *RESTIntegration) mock() (*MockAnswer, error) {
	m := &MockAnswer{Status: map[string]int{}}
	for contentType, text := range in.RequestTemplates {
		status, ok := mockStatus(text)
		if !ok {
			return nil, unsupported(`mapping templates in VTL: a mock's request template has to be {"statusCode": 200} (%s)`, contentType)
		}
		m.Status[contentType] = status
	}
	for _, key := range slices.Sorted(maps.Keys(in.Responses)) {
		r := in.Responses[key]
		status, err := strconv.Atoi(r.StatusCode)
		if err != nil {
			return nil, bad("Invalid status code specified: %s", r.StatusCode)
		}
		answer := MockResponse{Status: status}
		if r.SelectionPattern != "" {
			if answer.Pattern, err = regexp.Compile("^(?:" + r.SelectionPattern + ")$"); err != nil {
				return nil, bad("Invalid selection pattern specified: %s", r.SelectionPattern)
			}
		}
		for _, to := range slices.Sorted(maps.Keys(r.ResponseParameters)) {
			value, ok := literal(r.ResponseParameters[to])
			if !ok {
				return nil, unsupported("response parameters of mock integrations other than literals ('…'): %s", r.ResponseParameters[to])
			}
			answer.Header = append(answer.Header, [2]string{strings.TrimPrefix(to, "method.response.header."), value})
		}
		types := slices.Sorted(maps.Keys(r.ResponseTemplates))
		for _, t := range types {
			if strings.ContainsAny(r.ResponseTemplates[t], "$#") {
				return nil, unsupported("mapping templates in VTL (response template for %s)", t)
			}
		}
		if len(types) > 0 {
			answer.ContentType = types[0]
			if _, ok := r.ResponseTemplates["application/json"]; ok {
				answer.ContentType = "application/json"
			}
			answer.Body = r.ResponseTemplates[answer.ContentType]
		}
		if answer.Pattern != nil { // those with a pattern are asked first
			m.Responses = append([]MockResponse{answer}, m.Responses...)
		} else {
			m.Responses = append(m.Responses, answer)
		}
	}
	return m, nil
}

// looseStatus is what CDK writes: JSON without quotes.
var looseStatus = regexp.MustCompile(`^\s*\{\s*['"]?statusCode['"]?\s*:\s*(\d{3})\s*,?\s*\}\s*$`)

// mockStatus reads the status of a mock's request template, when it is one without directives or variables.
func mockStatus(text string) (int, bool) {
	if m := looseStatus.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n, true
	}
	if strings.ContainsAny(text, "$#") {
		return 0, false
	}
	var v struct {
		StatusCode *int `json:"statusCode"`
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.StatusCode == nil {
		return 0, false
	}
	return *v.StatusCode, true
}

// literal reads 'text'.
func literal(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' || strings.ContainsAny(s, "\r\n") {
		return "", false
	}
	return s[1 : len(s)-1], true
}

// onIntegration edits a method's integration.
func (r REST) onIntegration(ctx context.Context, account, id, resource, method string,
	fn func(*RESTMethod, *RESTIntegration) error) error {
	return r.onMethod(ctx, account, id, resource, method, func(e *edit, m *RESTMethod) error {
		if m.Integration == nil {
			return noRESTIntegration()
		}
		if err := fn(m, m.Integration); err != nil {
			return err
		}
		if m.Integration != nil {
			return m.Integration.check()
		}
		return nil
	})
}

// UpdateIntegration applies patch operations to an integration.
func (r REST) UpdateIntegration(ctx context.Context, account, id, resource, method string,
	ops []Patch) (out RESTIntegration, err error) {
	err = r.onIntegration(ctx, account, id, resource, method, func(_ *RESTMethod, in *RESTIntegration) error {
		for _, op := range ops {
			if err := in.patch(op); err != nil {
				return err
			}
		}
		out = *in
		return nil
	})
	return out, err
}

func (in *RESTIntegration) patch(op Patch) error {
	path := op.path()
	texts := map[string]*string{"type": &in.Type, "httpMethod": &in.HTTPMethod, "uri": &in.URI, "credentials": &in.Credentials,
		"passthroughBehavior": &in.PassthroughBehavior, "cacheNamespace": &in.CacheNamespace, "connectionType": &in.ConnectionType}
	switch {
	case len(path) == 1 && texts[path[0]] != nil:
		return op.text(texts[path[0]])
	case len(path) == 1 && path[0] == "timeoutInMillis":
		n, err := op.integer()
		if err != nil {
			return bad("Timeout should be between 50 ms and %d ms", restTimeoutMax)
		}
		in.TimeoutInMillis = n
		return op.only("replace")
	case len(path) == 1 && path[0] == "contentHandling" && op.Op != "remove":
		return unsupported("content handling (contentHandling)")
	case len(path) == 2 && path[0] == "requestParameters":
		return op.entry(&in.RequestParameters, path[1], notFound("Invalid parameter name specified"))
	case len(path) == 2 && path[0] == "requestTemplates":
		return op.entry(&in.RequestTemplates, path[1], notFound("Content-Type specified was not found"))
	}
	return bad("Invalid patch path %s", op.Path)
}

// Integration reads a method's integration.
func (r REST) Integration(ctx context.Context, account, id, resource, method string) (RESTIntegration, error) {
	m, err := r.Method(ctx, account, id, resource, method)
	if err != nil {
		return RESTIntegration{}, err
	}
	if m.Integration == nil {
		return RESTIntegration{}, noRESTIntegration()
	}
	return *m.Integration, nil
}

// DeleteIntegration removes a method's integration.
func (r REST) DeleteIntegration(ctx context.Context, account, id, resource, method string) error {
	return r.onIntegration(ctx, account, id, resource, method, func(m *RESTMethod, _ *RESTIntegration) error {
		m.Integration = nil
		return nil
	})
}

// PutIntegrationResponse sets what becomes of an integration's answers.
func (r REST) PutIntegrationResponse(ctx context.Context, account, id, resource, method string,
	in IntegrationResponse) (IntegrationResponse, error) {
	err := r.onIntegration(ctx, account, id, resource, method, func(m *RESTMethod, at *RESTIntegration) error {
		return m.respond(at, in)
	})
	return in, err
}

// respond adds an integration response, whose headers the method must have declared.
func (m *RESTMethod) respond(at *RESTIntegration, in IntegrationResponse) error {
	declared, ok := m.Responses[in.StatusCode]
	if !ok {
		return noResponse()
	}
	for to := range in.ResponseParameters {
		if _, ok := declared.ResponseParameters[to]; !ok {
			return bad("Invalid mapping expression specified: Validation Result: warnings : [], errors : "+
				"[Invalid mapping expression parameter specified: %s]", to)
		}
	}
	if at.Responses == nil {
		at.Responses = map[string]IntegrationResponse{}
	}
	at.Responses[in.StatusCode] = in
	return nil
}

// UpdateIntegrationResponse applies patch operations to an integration response.
func (r REST) UpdateIntegrationResponse(ctx context.Context, account, id, resource, method, status string,
	ops []Patch) (out IntegrationResponse, err error) {
	err = r.onIntegration(ctx, account, id, resource, method, func(m *RESTMethod, at *RESTIntegration) error {
		var ok bool
		if out, ok = at.Responses[status]; !ok {
			return noResponse()
		}
		for _, op := range ops {
			path := op.path()
			var err error
			switch {
			case len(path) == 1 && path[0] == "selectionPattern":
				err = op.text(&out.SelectionPattern)
			case len(path) == 2 && path[0] == "responseParameters":
				err = op.entry(&out.ResponseParameters, path[1], notFound("Invalid parameter name specified"))
			case len(path) == 2 && path[0] == "responseTemplates":
				err = op.entry(&out.ResponseTemplates, path[1], notFound("Content-Type specified was not found"))
			default:
				err = bad("Invalid patch path %s", op.Path)
			}
			if err != nil {
				return err
			}
		}
		return m.respond(at, out)
	})
	return out, err
}

// IntegrationResponse reads an integration response.
func (r REST) IntegrationResponse(ctx context.Context, account, id, resource, method,
	status string) (IntegrationResponse, error) {
	in, err := r.Integration(ctx, account, id, resource, method)
	if err != nil {
		return IntegrationResponse{}, err
	}
	out, ok := in.Responses[status]
	if !ok {
		return out, noResponse()
	}
	return out, nil
}

// DeleteIntegrationResponse removes an integration response.
func (r REST) DeleteIntegrationResponse(ctx context.Context, account, id, resource, method, status string) error {
	return r.onIntegration(ctx, account, id, resource, method, func(_ *RESTMethod, at *RESTIntegration) error {
		if _, ok := at.Responses[status]; !ok {
			return noResponse()
		}
		delete(at.Responses, status)
		return nil
	})
}
