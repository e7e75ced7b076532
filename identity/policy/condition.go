package policy

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

type setQualifier uint8

const (
	setNone setQualifier = iota
	setAny               // ForAnyValue:
	setAll               // ForAllValues:
)

// condition is one key under one operator: its values are alternatives, negated ones exclusions. All conditions of a
// statement must hold.
type condition struct {
	key      string // lower case
	name     string // as written
	qualify  setQualifier
	ifExists bool
	null     bool // the Null operator: wantNull says which
	wantNull bool
	negate   bool
	tests    []test
}

// test compares one value of the request with one value of the policy; unknown when a variable of the policy's value has
// none.
type test func(value string, r *Request) (ok, unknown bool)

// holds evaluates the condition.
func (c *condition) holds(r *Request) (ok, unknown bool) {
	values := r.Key(c.key)
	if c.null {
		return (len(values) == 0) == c.wantNull, false
	}
	if len(values) == 0 {
		switch {
		case c.ifExists, c.qualify == setAll:
			return true, false
		case c.qualify == setAny:
			return false, false
		}
		return c.negate, false // "not equal" holds of what is not there
	}
	switch c.qualify {
	case setAny: // some value passes
		for _, v := range values {
			one, u := c.passes(v, r)
			unknown = unknown || u
			if one {
				return true, unknown
			}
		}
		return false, unknown
	case setAll: // every value passes
		for _, v := range values {
			one, u := c.passes(v, r)
			unknown = unknown || u
			if !one {
				return false, unknown
			}
		}
		return true, unknown
	}
	// A plain operator on a key with several values: equal if any is, not equal if none is.
	for _, v := range values {
		one, u := c.passes(v, r)
		unknown = unknown || u
		if one != c.negate {
			return !c.negate, unknown
		}
	}
	return c.negate, unknown
}

// passes compares one value of the request with all of the policy, negation applied.
func (c *condition) passes(value string, r *Request) (ok, unknown bool) {
	for _, t := range c.tests {
		one, u := t(value, r)
		unknown = unknown || u
		if one {
			return !c.negate, unknown
		}
	}
	return c.negate, unknown
}

func readConditions(v any, variables bool) ([]condition, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errSyntax
	}
	var out []condition
	for op, keys := range m {
		km, ok := keys.(map[string]any)
		if !ok || len(km) == 0 {
			return nil, errSyntax
		}
		for key, v := range km {
			if !strings.Contains(key, ":") {
				return nil, malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
			c, err := readCondition(op, key, v, variables)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func readCondition(op, key string, v any, variables bool) (condition, error) {
	c := condition{key: strings.ToLower(key), name: key}
	name := op
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		c.qualify, name = setAny, rest
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		c.qualify, name = setAll, rest
	}
	if rest, ok := strings.CutSuffix(name, "IfExists"); ok {
		c.ifExists, name = true, rest
	}
	values, err := valueList(v)
	if err != nil {
		return c, err
	}
	if len(values) == 0 {
		return c, errSyntax
	}
	if name == "Null" {
		if c.ifExists || len(values) != 1 {
			return c, errSyntax
		}
		c.null = true
		c.wantNull, err = readBool(values[0])
		return c, err
	}
	maker, ok := operators[name]
	if !ok {
		return c, malformed("Invalid Condition type : %s.", op)
	}
	c.negate = maker.negate
	for _, value := range values {
		t, err := maker.make(value, variables)
		if err != nil {
			return c, err
		}
		c.tests = append(c.tests, t)
	}
	return c, nil
}

// valueList reads the values of a condition: strings, numbers and booleans, one or a list.
func valueList(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case json.Number:
			out = append(out, e.String())
		case bool:
			out = append(out, strconv.FormatBool(e))
		default:
			return nil, errSyntax
		}
	}
	return out, nil
}

type operator struct {
	negate bool
	make   func(value string, variables bool) (test, error)
}

// operators is never changed.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var operators = map[string]operator{
	"StringEquals":              {false, stringTest(false, false)},
	"StringNotEquals":           {true, stringTest(false, false)},
	"StringEqualsIgnoreCase":    {false, stringTest(false, true)},
	"StringNotEqualsIgnoreCase": {true, stringTest(false, true)},
	"StringLike":                {false, stringTest(true, false)},
	"StringNotLike":             {true, stringTest(true, false)},
	"NumericEquals":             {false, numberTest(func(a, b float64) bool { return a == b })},
	"NumericNotEquals":          {true, numberTest(func(a, b float64) bool { return a == b })},
	"NumericLessThan":           {false, numberTest(func(a, b float64) bool { return a < b })},
	"NumericLessThanEquals":     {false, numberTest(func(a, b float64) bool { return a <= b })},
	"NumericGreaterThan":        {false, numberTest(func(a, b float64) bool { return a > b })},
	"NumericGreaterThanEquals":  {false, numberTest(func(a, b float64) bool { return a >= b })},
	"DateEquals":                {false, dateTest(func(c int) bool { return c == 0 })},
	"DateNotEquals":             {true, dateTest(func(c int) bool { return c == 0 })},
	"DateLessThan":              {false, dateTest(func(c int) bool { return c < 0 })},
	"DateLessThanEquals":        {false, dateTest(func(c int) bool { return c <= 0 })},
	"DateGreaterThan":           {false, dateTest(func(c int) bool { return c > 0 })},
	"DateGreaterThanEquals":     {false, dateTest(func(c int) bool { return c >= 0 })},
	"Bool":                      {false, boolTest},
	"BinaryEquals":              {false, stringTest(false, false)},
	"IpAddress":                 {false, addressTest},
	"NotIpAddress":              {true, addressTest},
	"ArnEquals":                 {false, arnTest},
	"ArnNotEquals":              {true, arnTest},
	"ArnLike":                   {false, arnTest},
	"ArnNotLike":                {true, arnTest},
}

func stringTest(wild, fold bool) func(string, bool) (test, error) {
	return func(value string, variables bool) (test, error) {
		p, err := compile(value, patternOptions{wild: wild, variables: variables, fold: fold})
		if err != nil {
			return nil, err
		}
		return func(v string, r *Request) (bool, bool) {
			q, ok := p.expand(r.Key)
			if !ok {
				return false, true
			}
			return q.match(v), false
		}, nil
	}
}

func numberTest(compare func(a, b float64) bool) func(string, bool) (test, error) {
	return func(value string, _ bool) (test, error) {
		want, ok := readNumber(value)
		if !ok {
			return nil, errSyntax
		}
		return func(v string, _ *Request) (bool, bool) {
			got, ok := readNumber(v)
			return ok && compare(got, want), false
		}, nil
	}
}

func readNumber(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

func dateTest(compare func(int) bool) func(string, bool) (test, error) {
	return func(value string, _ bool) (test, error) {
		want, ok := readDate(value)
		if !ok {
			return nil, errSyntax
		}
		return func(v string, _ *Request) (bool, bool) {
			got, ok := readDate(v)
			return ok && compare(got.Compare(want)), false
		}, nil
	}
}

// readDate reads the ISO 8601 forms that AWS documents, or seconds since 1970.
func readDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), true
	}
	return time.Time{}, false
}

func boolTest(value string, _ bool) (test, error) {
	want, err := readBool(value)
	if err != nil {
		return nil, err
	}
	return func(v string, _ *Request) (bool, bool) {
		got, err := readBool(v)
		return err == nil && got == want, false
	}, nil
}

func readBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errSyntax
}

func addressTest(value string, _ bool) (test, error) {
	network, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil || a.Zone() != "" {
			return nil, malformed("Invalid IP address or range: %s", value)
		}
		network = netip.PrefixFrom(a, a.BitLen())
	}
	network = network.Masked()
	return func(v string, _ *Request) (bool, bool) {
		a, err := netip.ParseAddr(v)
		return err == nil && network.Contains(a.Unmap().WithZone("")), false
	}, nil
}

// arnTest serves both ArnEquals and ArnLike: AWS says that they behave the same.
func arnTest(value string, variables bool) (test, error) {
	p, err := compileARN(value, variables)
	if err != nil {
		return nil, err
	}
	return func(v string, r *Request) (bool, bool) {
		if p.all {
			return true, false
		}
		fields, ok := arnFields(v)
		if !ok {
			return false, false
		}
		return p.matchFields(&fields, r.Key)
	}, nil
}
