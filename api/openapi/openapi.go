// Package openapi reads the descriptions that make an API: OpenAPI 3.0 and Swagger 2.0, in JSON or YAML, with API
// Gateway's extensions (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html).
// It is what CloudFormation's Body and SAM's events become.
//
// # What it does and what not
//
// Parse turns a document into a flat list of operations with their integrations, sorted by path and method, so that the
// same document always makes the same API. It decides nothing: which integration is possible, which text AWS answers
// with, and what becomes of an operation are the room's.
//
// A document describes much that does not act: schemas, examples, summaries, models that no validator uses. That is left
// out silently. What acts and is not implemented is never dropped: its name is put into Refused, of the operation or of
// the document, and the room refuses the import with it.
//
// # Hostile input
//
// Documents come from outside. Size, depth and the number of operations are limited, YAML's aliases are bounded by its
// parser, and references are followed once and only within the document. Parse is pure and safe for concurrent use.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of a document.
const (
	BodyMax       = 6 << 20 // bytes, as AWS's
	depthMax      = 200
	operationsMax = 3000
)

// Document is what a description says.
type Document struct {
	Title       string
	Description string
	Version     string // of the API, not of the format
	BasePath    string // of Swagger's basePath or the first server; "" when there is none

	Operations         []Operation
	CORS               json.RawMessage // x-amazon-apigateway-cors; nil when absent
	BinaryMediaTypes   []string
	GatewayResponses   map[string]GatewayResponse
	Tags               map[string]string
	DisableEndpoint    *bool
	MinimumCompression *int
	Refused            []string // features that act and are not implemented, by AWS's names
}

// Operation is one method of one path.
type Operation struct {
	Path        string // "/pets/{id}", or "$default"
	Method      string // "GET"; "ANY" for x-amazon-apigateway-any-method
	Name        string // operationId
	Parameters  []Parameter
	Responses   map[string]Response
	Integration *Integration // nil when the document gives none
	Refused     []string
}

// Parameter is what a request may carry.
type Parameter struct {
	Name     string
	In       string // "path", "query", "header"
	Required bool
}

// Response is what a method declares to answer.
type Response struct {
	Headers map[string]json.RawMessage
}

// Integration is x-amazon-apigateway-integration.
type Integration struct {
	Type                 string                         `json:"type"`
	Subtype              string                         `json:"integrationSubtype"`
	HTTPMethod           string                         `json:"httpMethod"`
	URI                  string                         `json:"uri"`
	Credentials          string                         `json:"credentials"`
	ConnectionType       string                         `json:"connectionType"`
	ConnectionID         string                         `json:"connectionId"`
	PayloadFormatVersion Text                           `json:"payloadFormatVersion"`
	PassthroughBehavior  string                         `json:"passthroughBehavior"`
	ContentHandling      string                         `json:"contentHandling"`
	ResponseTransferMode string                         `json:"responseTransferMode"`
	CacheNamespace       string                         `json:"cacheNamespace"`
	CacheKeyParameters   []string                       `json:"cacheKeyParameters"`
	TimeoutMillis        *int                           `json:"timeoutInMillis"`
	RequestParameters    map[string]Text                `json:"requestParameters"`
	RequestTemplates     map[string]string              `json:"requestTemplates"`
	Responses            map[string]IntegrationResponse `json:"responses"`
	TLS                  json.RawMessage                `json:"tlsConfig"`
	ResponseParameters   json.RawMessage                `json:"responseParameters"`
}

// IntegrationResponse is one of an integration's responses; its key in the map is the selection pattern, or "default".
type IntegrationResponse struct {
	StatusCode         Text              `json:"statusCode"`
	ResponseParameters map[string]string `json:"responseParameters"`
	ResponseTemplates  map[string]string `json:"responseTemplates"`
	ContentHandling    string            `json:"contentHandling"`
}

// GatewayResponse is one of x-amazon-apigateway-gateway-responses.
type GatewayResponse struct {
	StatusCode         Text              `json:"statusCode"`
	ResponseParameters map[string]string `json:"responseParameters"`
	ResponseTemplates  map[string]string `json:"responseTemplates"`
}

// Text is a string that YAML's users often write as a number: 200, 2.0.
type Text string

// UnmarshalJSON takes strings, numbers and booleans.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if string(b) == "null" {
		return nil
	}
	if len(b) == 0 || b[0] == '{' || b[0] == '[' {
		return fmt.Errorf("want a string, got %.20s", b)
	}
	*t = Text(b)
	return nil
}

// source is the document as written.
type source struct {
	Swagger  Text `json:"swagger"`
	OpenAPI  Text `json:"openapi"`
	Info     info `json:"info"`
	BasePath Text `json:"basePath"`
	Servers  []struct {
		URL       string              `json:"url"`
		Variables map[string]variable `json:"variables"`
	} `json:"servers"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Security   []map[string]json.RawMessage          `json:"security"`
	Tags       []tag                                 `json:"tags"`
	Parameters map[string]parameter                  `json:"parameters"`
	Components struct {
		Parameters   map[string]parameter       `json:"parameters"`
		Integrations map[string]json.RawMessage `json:"x-amazon-apigateway-integrations"`
	} `json:"components"`

	CORS        json.RawMessage            `json:"x-amazon-apigateway-cors"`
	Binary      []string                   `json:"x-amazon-apigateway-binary-media-types"`
	Gateway     map[string]GatewayResponse `json:"x-amazon-apigateway-gateway-responses"`
	Compression *int                       `json:"x-amazon-apigateway-minimum-compression-size"`
	KeySource   string                     `json:"x-amazon-apigateway-api-key-source"`
	Policy      json.RawMessage            `json:"x-amazon-apigateway-policy"`
	Validator   string                     `json:"x-amazon-apigateway-request-validator"`
	Endpoint    struct {
		Disable *bool    `json:"disableExecuteApiEndpoint"`
		VPC     []string `json:"vpcEndpointIds"`
	} `json:"x-amazon-apigateway-endpoint-configuration"`
}

type info struct {
	Title       Text `json:"title"`
	Description Text `json:"description"`
	Version     Text `json:"version"`
}

type variable struct {
	Default Text `json:"default"`
}

type tag struct {
	Name  string `json:"name"`
	Value *Text  `json:"x-amazon-apigateway-tag-value"`
}

// Parse reads a document. Its errors say what and where, in plain words.
func Parse(body []byte) (*Document, error) {
	if len(body) > BodyMax {
		return nil, fmt.Errorf("the document is larger than %d bytes", BodyMax)
	}
	body, err := toJSON(body)
	if err != nil {
		return nil, err
	}
	var src source
	if err := json.Unmarshal(body, &src); err != nil {
		return nil, fmt.Errorf("the document does not have the form of OpenAPI: %w", err)
	}
	if !strings.HasPrefix(string(src.Swagger), "2") && !strings.HasPrefix(string(src.OpenAPI), "3") {
		return nil, fmt.Errorf(`the document says neither "swagger": "2.0" nor "openapi": "3.0.x"`)
	}
	d := &Document{
		Title: string(src.Info.Title), Description: string(src.Info.Description), Version: string(src.Info.Version),
		BasePath: src.basePath(), CORS: src.CORS, BinaryMediaTypes: src.Binary, GatewayResponses: src.Gateway,
		DisableEndpoint: src.Endpoint.Disable, MinimumCompression: src.Compression, Refused: src.refused(),
	}
	for _, t := range src.Tags {
		if t.Value != nil {
			if d.Tags == nil {
				d.Tags = map[string]string{}
			}
			d.Tags[t.Name] = string(*t.Value)
		}
	}
	d.Operations, err = src.operations()
	return d, err
}

// refused names what acts on the whole API and is not implemented.
func (s *source) refused() []string {
	var r []string
	add := func(when bool, what string) {
		if when {
			r = append(r, what)
		}
	}
	add(present(s.Policy), "resource policies of APIs (x-amazon-apigateway-policy)")
	add(s.Validator != "", "request validators (x-amazon-apigateway-request-validator)")
	add(s.KeySource != "" && s.KeySource != "HEADER", "API keys from an authorizer (x-amazon-apigateway-api-key-source)")
	add(len(s.Endpoint.VPC) > 0, "VPC endpoints (x-amazon-apigateway-endpoint-configuration)")
	return r
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// basePath is the path that the API's own paths stand under, for clients that ask for it to be prepended.
func (s *source) basePath() string {
	p := string(s.BasePath)
	if len(s.Servers) > 0 && p == "" {
		server := s.Servers[0]
		raw := server.URL
		for name, v := range server.Variables {
			raw = strings.ReplaceAll(raw, "{"+name+"}", string(v.Default))
		}
		if u, err := url.Parse(raw); err == nil {
			p = u.Path
		}
	}
	p = strings.TrimSuffix(p, "/")
	if p != "" && !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return p
}

// toJSON turns YAML into JSON, and leaves JSON alone.
func toJSON(body []byte) ([]byte, error) {
	trimmed := bytes.TrimLeft(body, " \t\r\n\uFEFF")
	if len(trimmed) == 0 {
		return nil, fmt.Errorf("the document is empty")
	}
	if trimmed[0] == '{' && json.Valid(trimmed) {
		return trimmed, nil
	}
	var v any
	if err := yaml.Unmarshal(body, &v); err != nil {
		return nil, fmt.Errorf("the document is neither JSON nor YAML: %w", err)
	}
	v, err := plain(v, 0)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, fmt.Errorf("the document is not an object")
	}
	return json.Marshal(v)
}

// plain makes the keys of YAML's maps strings, as a status code there is a number.
func plain(v any, depth int) (any, error) {
	if depth > depthMax {
		return nil, fmt.Errorf("the document is nested deeper than %d levels", depthMax)
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			x, err := plain(x, depth+1)
			if err != nil {
				return nil, err
			}
			v[k] = x
		}
		return v, nil
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			x, err := plain(x, depth+1)
			if err != nil {
				return nil, err
			}
			m[fmt.Sprint(k)] = x
		}
		return m, nil
	case []any:
		for i, x := range v {
			x, err := plain(x, depth+1)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return v, nil
	}
	return v, nil
}

// sortOperations orders by path, then method.
func sortOperations(ops []Operation) {
	sort.Slice(ops, func(i, j int) bool {
		if ops[i].Path != ops[j].Path {
			return ops[i].Path < ops[j].Path
		}
		return ops[i].Method < ops[j].Method
	})
}

// methods are the keys of a path item that are operations.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", anyMethod}

const anyMethod = "x-amazon-apigateway-any-method"

func isMethod(key string) bool { return slices.Contains(methods, key) }
