package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Malformed is the error of a document that is not a policy; its text is AWS's.
type Malformed struct{ Message string }

func (m *Malformed) Error() string { return m.Message }

func malformed(format string, args ...any) error { return &Malformed{fmt.Sprintf(format, args...)} }

var (
	errSyntax  error = &Malformed{"Syntax errors in policy."}
	errJSON    error = &Malformed{"This policy contains invalid Json"}
	errVersion error = &Malformed{"Policy document must be version 2012-10-17 or greater."}
)

var sidPattern = regexp.MustCompile(`^[0-9A-Za-z]*$`)

// Parse reads and compiles a document. Every error is a *Malformed.
func Parse(text string, kind Kind) (*Document, error) {
	if len(text) > TextMax || !utf8.ValidString(text) {
		return nil, errSyntax
	}
	root, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	variables := false
	var statements []any
	hasStatement := false
	for name, v := range root {
		switch name {
		case "Version":
			switch v {
			case "2012-10-17":
				variables = true
			case "2008-10-17":
			default:
				return nil, errSyntax
			}
		case "Id":
			if _, ok := v.(string); !ok {
				return nil, errSyntax
			}
		case "Statement":
			hasStatement = true
			switch v := v.(type) {
			case map[string]any:
				statements = []any{v}
			case []any:
				statements = v
			default:
				return nil, errSyntax
			}
		default:
			return nil, errSyntax
		}
	}
	if !hasStatement || len(statements) == 0 || len(statements) > statementsMax {
		return nil, errSyntax
	}
	if kind == Identity && !variables {
		return nil, errVersion
	}
	d := &Document{}
	sids := map[string]bool{}
	for _, s := range statements {
		m, ok := s.(map[string]any)
		if !ok {
			return nil, errSyntax
		}
		r := statementReader{kind: kind, variables: variables, sids: sids}
		if err := r.read(m); err != nil {
			return nil, err
		}
		d.statements = append(d.statements, r.out)
	}
	return d, nil
}

type statementReader struct {
	kind      Kind
	variables bool
	sids      map[string]bool
	out       statement

	hasEffect, hasAction, hasResource, hasPrincipal bool
}

func (r *statementReader) read(m map[string]any) error {
	for name, v := range m {
		if err := r.element(name, v); err != nil {
			return err
		}
	}
	switch {
	case !r.hasEffect:
		return errSyntax
	case !r.hasAction:
		return malformed("Policy statement must contain actions.")
	case r.out.notPrincipal && r.out.effect == Allow:
		return malformed("NotPrincipal is only supported with Effect Deny")
	case r.kind == Identity && r.hasPrincipal:
		return malformed("Policy document should not specify a principal.")
	case r.kind != Identity && !r.hasPrincipal:
		return malformed("Missing required field Principal")
	case r.kind == Trust && r.hasResource:
		return malformed("Has prohibited field Resource")
	case r.kind != Trust && !r.hasResource:
		return malformed("Policy statement must contain resources.")
	}
	return nil
}

func (r *statementReader) element(name string, v any) error {
	switch name {
	case "Sid":
		return r.sid(v)
	case "Effect":
		r.hasEffect = true
		switch v {
		case "Allow":
			r.out.effect = Allow
		case "Deny":
			r.out.effect = Deny
		default:
			return errSyntax
		}
	case "Action", "NotAction":
		if r.hasAction {
			return errSyntax
		}
		r.hasAction, r.out.notAction = true, name == "NotAction"
		return r.actions(v)
	case "Resource", "NotResource":
		if r.hasResource {
			return errSyntax
		}
		r.hasResource, r.out.notResource = true, name == "NotResource"
		return r.resources(v)
	case "Principal", "NotPrincipal":
		if r.hasPrincipal {
			return errSyntax
		}
		r.hasPrincipal, r.out.notPrincipal = true, name == "NotPrincipal"
		var err error
		r.out.principals, err = readPrincipals(v)
		return err
	case "Condition":
		var err error
		r.out.conditions, err = readConditions(v, r.variables)
		return err
	default:
		return errSyntax
	}
	return nil
}

func (r *statementReader) sid(v any) error {
	s, ok := v.(string)
	if !ok {
		return errSyntax
	}
	// Only IAM's own documents are held to letters and digits; Lambda and S3 allow hyphens and spaces.
	if r.kind == Identity && !sidPattern.MatchString(s) {
		return malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular " +
			"expression [0-9A-Za-z]*")
	}
	if s != "" && r.sids[s] {
		return malformed("Statement IDs (SID) in a single policy must be unique.")
	}
	r.sids[s] = true
	return nil
}

func (r *statementReader) actions(v any) error {
	list, err := stringList(v)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return malformed("Policy statement must contain actions.")
	}
	for _, a := range list {
		if err := r.checkAction(a); err != nil {
			return err
		}
		p, err := compile(a, patternOptions{wild: true, fold: true})
		if err != nil {
			return err
		}
		r.out.actions = append(r.out.actions, p)
	}
	return nil
}

func (r *statementReader) checkAction(a string) error {
	if r.kind == Trust && (len(a) < 5 || !strings.EqualFold(a[:4], "sts:")) {
		return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
	}
	if a == "*" {
		return nil
	}
	vendor, _, ok := strings.Cut(a, ":")
	switch {
	case !ok:
		return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
	case strings.Count(a, ":") > 1:
		return malformed("Actions/Condition can contain only one colon.")
	case vendor == "" || strings.ContainsFunc(vendor, notVendor):
		return malformed("Vendor %s is not valid", vendor)
	}
	return nil
}

func notVendor(r rune) bool {
	return r != '-' && r != '*' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func (r *statementReader) resources(v any) error {
	list, err := stringList(v)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return malformed("Policy statement must contain resources.")
	}
	for _, s := range list {
		if err := checkResource(s); err != nil {
			return err
		}
		a, err := compileARN(s, r.variables)
		if err != nil {
			return err
		}
		r.out.resources = append(r.out.resources, a)
	}
	return nil
}

func checkResource(s string) error {
	if s != "" && strings.Trim(s, "*") == "" {
		return nil
	}
	if !strings.HasPrefix(s, "arn:") {
		return malformed("Resource %s must be in ARN format or \"*\".", s)
	}
	partition, _, _ := strings.Cut(s[len("arn:"):], ":")
	switch partition {
	case "aws", "aws-cn", "aws-us-gov", "*", "aws*":
		return nil
	}
	if strings.Contains(partition, "${") {
		return nil
	}
	return malformed("Partition %q is not valid for resource %q.", partition, s)
}

// stringList reads a string or a list of strings.
func stringList(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, errSyntax
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, errSyntax
}

// readJSON reads one JSON object, strictly: no duplicate names, nothing behind it, bounded depth, numbers kept as text.
func readJSON(text string) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	v, err := readValue(dec, 0)
	if err != nil {
		if errors.As(err, new(*Malformed)) {
			return nil, err
		}
		return nil, errJSON
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errJSON
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errSyntax
	}
	return m, nil
}

func readValue(dec *json.Decoder, depth int) (any, error) {
	if depth > depthMax {
		return nil, errSyntax
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, _ := k.(string)
			if _, twice := m[name]; twice {
				return nil, errSyntax
			}
			if m[name], err = readValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := readValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return t, nil
}
