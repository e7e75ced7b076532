package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

// operation is a method of a path as written.
type operation struct {
	OperationID Text                          `json:"operationId"`
	Parameters  []parameter                   `json:"parameters"`
	Responses   map[string]response           `json:"responses"`
	Security    *[]map[string]json.RawMessage `json:"security"`
	Integration json.RawMessage               `json:"x-amazon-apigateway-integration"`
	Validator   string                        `json:"x-amazon-apigateway-request-validator"`
	Auth        struct {
		Type string `json:"type"`
	} `json:"x-amazon-apigateway-auth"`
	Default bool `json:"isDefaultRoute"`
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
}

type response struct {
	Headers map[string]json.RawMessage `json:"headers"`
}

func (s *source) operations() ([]Operation, error) {
	var ops []Operation
	for path, item := range s.Paths {
		var shared []parameter
		if raw, ok := item["parameters"]; ok {
			if err := json.Unmarshal(raw, &shared); err != nil {
				return nil, fmt.Errorf("paths.%s.parameters: %w", path, err)
			}
		}
		if _, ok := item["$ref"]; ok {
			return nil, fmt.Errorf("paths.%s: references to path items are not followed", path)
		}
		for key, raw := range item {
			if !isMethod(key) {
				continue
			}
			op, err := s.operation(path, key, raw, shared)
			if err != nil {
				return nil, fmt.Errorf("paths.%s.%s: %w", path, key, err)
			}
			if ops = append(ops, op); len(ops) > operationsMax {
				return nil, fmt.Errorf("the document has more than %d operations", operationsMax)
			}
		}
	}
	sortOperations(ops)
	return ops, nil
}

func (s *source) operation(path, key string, raw json.RawMessage, shared []parameter) (Operation, error) {
	var o operation
	if err := json.Unmarshal(raw, &o); err != nil {
		return Operation{}, err
	}
	op := Operation{Path: path, Method: strings.ToUpper(key), Name: string(o.OperationID), Responses: map[string]Response{}}
	if key == anyMethod {
		op.Method = "ANY"
	}
	if o.Default || path == "/$default" || path == "$default" {
		op.Path = "$default"
	}
	for code, r := range o.Responses {
		op.Responses[code] = Response(r)
	}
	var err error
	if op.Parameters, err = s.parameters(append(shared[:len(shared):len(shared)], o.Parameters...)); err != nil {
		return op, err
	}
	if op.Integration, err = s.integration(o.Integration); err != nil {
		return op, err
	}
	op.Refused = o.refused(s.Security)
	return op, nil
}

// refused names what acts on the operation and is not implemented. inherited is the document's security, which holds
// where the operation says nothing of its own.
func (o *operation) refused(inherited []map[string]json.RawMessage) []string {
	var r []string
	security := inherited
	if o.Security != nil {
		security = *o.Security
	}
	for _, schemes := range security {
		for name := range schemes {
			if !strings.EqualFold(name, "NONE") {
				r = append(r, fmt.Sprintf("authorizers and API keys (security: %s)", name))
			}
		}
	}
	if o.Auth.Type != "" && !strings.EqualFold(o.Auth.Type, "NONE") {
		r = append(r, fmt.Sprintf("authorization type %s (x-amazon-apigateway-auth)", o.Auth.Type))
	}
	if o.Validator != "" {
		r = append(r, "request validators (x-amazon-apigateway-request-validator)")
	}
	return r
}

func (s *source) parameters(list []parameter) ([]Parameter, error) {
	var out []Parameter
	for _, p := range list {
		if p.Ref != "" {
			name := p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]
			target, ok := s.Parameters[name]
			if strings.HasPrefix(p.Ref, "#/components/parameters/") {
				target, ok = s.Components.Parameters[name]
			}
			if !ok || target.Ref != "" {
				return nil, fmt.Errorf("parameters: %s names nothing in the document", p.Ref)
			}
			p = target
		}
		out = append(out, Parameter{Name: p.Name, In: p.In, Required: p.Required})
	}
	return out, nil
}

func (s *source) integration(raw json.RawMessage) (*Integration, error) {
	if !present(raw) {
		return nil, nil
	}
	var ref struct {
		Ref string `json:"$ref"`
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		return nil, fmt.Errorf("x-amazon-apigateway-integration: %w", err)
	}
	if ref.Ref != "" {
		name, ok := strings.CutPrefix(ref.Ref, "#/components/x-amazon-apigateway-integrations/")
		if raw = s.Components.Integrations[name]; !ok || !present(raw) {
			return nil, fmt.Errorf("x-amazon-apigateway-integration: %s names nothing in the document", ref.Ref)
		}
	}
	in := new(Integration)
	if err := json.Unmarshal(raw, in); err != nil {
		return nil, fmt.Errorf("x-amazon-apigateway-integration: %w", err)
	}
	in.Type = strings.ToUpper(in.Type)
	return in, nil
}
