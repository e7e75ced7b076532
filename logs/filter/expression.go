package filter

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// node is a condition over a parsed message.
type node interface{ holds(v any) bool }

type (
	and  []node
	or   []node
	test struct {
		path    []step // JSON: the way to the value
		compare func(v any) bool
		exists  *bool // EXISTS or NOT EXISTS instead of a comparison
	}
)

func (n and) holds(v any) bool {
	for _, c := range n {
		if !c.holds(v) {
			return false
		}
	}
	return true
}

func (n or) holds(v any) bool {
	for _, c := range n {
		if c.holds(v) {
			return true
		}
	}
	return false
}

// step is .name, [index] or [*].
type step struct {
	name  string
	index int // -1: name; -2: any
}

const (
	stepName = -1
	stepAny  = -2
)

func (t *test) holds(v any) bool {
	if t.exists != nil {
		return t.walk(v, t.path, func(any) bool { return true }) == *t.exists
	}
	return t.walk(v, t.path, t.compare)
}

// walk follows path and asks found at its end; at [*] any element will do.
func (t *test) walk(v any, path []step, found func(any) bool) bool {
	for i, s := range path {
		if s.index == stepName {
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			if v, ok = m[s.name]; !ok {
				return false
			}
			continue
		}
		list, ok := v.([]any)
		switch {
		case !ok:
			return false
		case s.index == stepAny:
			for _, e := range list {
				if t.walk(e, path[i+1:], found) {
					return true
				}
			}
			return false
		case s.index >= len(list):
			return false
		}
		v = list[s.index]
	}
	return found(v)
}

// delimited is a pattern of fields.
type delimited struct {
	before, after []node // nil where a field has no condition
	rest          bool   // … stands between the two
}

func (d *delimited) match(fields []string) bool {
	n := len(d.before) + len(d.after)
	if len(fields) < n || len(fields) > n && !d.rest {
		return false
	}
	for i, c := range d.before {
		if c != nil && !c.holds(fields[i]) {
			return false
		}
	}
	tail := fields[len(fields)-len(d.after):]
	for i, c := range d.after {
		if c != nil && !c.holds(tail[i]) {
			return false
		}
	}
	return true
}

// object reads { expression } to the end of the pattern.
func (s *scanner) object() (node, error) {
	s.at++
	n, err := s.disjunction(s.selector)
	if err != nil {
		return nil, err
	}
	if !s.take("}") {
		return nil, errPattern
	}
	if s.space(); s.at != len(s.text) {
		return nil, errPattern
	}
	return n, nil
}

// disjunction, conjunction and condition are the grammar of both languages; path reads what a condition is about.
func (s *scanner) disjunction(path func() ([]step, error)) (node, error) {
	var list or
	for {
		n, err := s.conjunction(path)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if !s.take("||") {
			return list, nil
		}
	}
}

func (s *scanner) conjunction(path func() ([]step, error)) (node, error) {
	var list and
	for {
		n, err := s.condition(path)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if !s.take("&&") {
			return list, nil
		}
	}
}

func (s *scanner) condition(path func() ([]step, error)) (node, error) {
	if s.take("(") {
		if s.depth++; s.depth > depthMax {
			return nil, errPattern
		}
		n, err := s.disjunction(path)
		if err != nil {
			return nil, err
		}
		if !s.take(")") {
			return nil, errPattern
		}
		s.depth--
		return n, nil
	}
	p, err := path()
	if err != nil {
		return nil, err
	}
	t := &test{path: p}
	yes, no := true, false
	switch {
	case s.keyword("IS"):
		return t, s.is(t)
	case s.keyword("EXISTS"):
		t.exists = &yes
		return t, nil
	case s.keyword("NOT"):
		t.exists = &no
		if !s.keyword("EXISTS") {
			return nil, errPattern
		}
		return t, nil
	}
	t.compare, err = s.comparison()
	return t, err
}

func (s *scanner) is(t *test) error {
	var want any
	switch {
	case s.keyword("NULL"):
	case s.keyword("TRUE"):
		want = true
	case s.keyword("FALSE"):
		want = false
	default:
		return errPattern
	}
	t.compare = func(v any) bool {
		switch v.(type) {
		case nil, bool:
			return v == want
		}
		return false
	}
	return nil
}

// selector reads $.a.b[0]['c'][*].
func (s *scanner) selector() ([]step, error) {
	if !s.take("$") {
		return nil, errPattern
	}
	var path []step
	for {
		switch s.peek() {
		case '.':
			s.at++
			if s.peek() == '[' {
				continue
			}
			name := s.name()
			if name == "" {
				return nil, errPattern
			}
			path = append(path, step{name: name, index: stepName})
		case '[':
			st, err := s.bracket()
			if err != nil {
				return nil, err
			}
			path = append(path, st)
		default:
			if len(path) == 0 {
				return nil, errPattern
			}
			return path, nil
		}
	}
}

func (s *scanner) bracket() (step, error) {
	s.at++
	end := strings.IndexByte(s.text[s.at:], ']')
	if end < 1 {
		return step{}, errPattern
	}
	in := s.text[s.at : s.at+end]
	s.at += end + 1
	if in == "*" {
		return step{index: stepAny}, nil
	}
	if n := len(in); n > 2 && (in[0] == '\'' || in[0] == '"') && in[n-1] == in[0] {
		return step{name: in[1 : n-1], index: stepName}, nil
	}
	n, err := strconv.ParseUint(in, 10, 31)
	if err != nil {
		return step{}, errPattern
	}
	return step{index: int(n)}, nil
}

func (s *scanner) name() string {
	start := s.at
	for s.at < len(s.text) && wordByte(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// comparison reads an operator and a value.
func (s *scanner) comparison() (func(any) bool, error) {
	s.space()
	op := ""
	for _, o := range []string{"<=", ">=", "!=", "=", "<", ">"} {
		if s.take(o) {
			op = o
			break
		}
	}
	if op == "" {
		return nil, errPattern
	}
	s.space()
	switch s.peek() {
	case '%':
		re, err := s.regex()
		if err != nil || op != "=" && op != "!=" {
			return nil, errors.Join(err, errPattern)
		}
		return textTest(op, re.MatchString), nil
	case '"':
		text, err := s.quoted()
		if err != nil || op != "=" && op != "!=" {
			return nil, errPattern
		}
		return textTest(op, wildcard(text)), nil
	}
	start := s.at
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n()&|}],", s.text[s.at]) < 0 {
		s.at++
	}
	word := s.text[start:s.at]
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return numberTest(op, n, word), nil
	}
	if word == "" || op != "=" && op != "!=" {
		return nil, errPattern
	}
	return textTest(op, wildcard(word)), nil
}

// scalar is the text of a value that can be compared; objects and lists cannot.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func textTest(op string, match func(string) bool) func(any) bool {
	return func(v any) bool {
		s, ok := scalar(v)
		return ok && match(s) == (op == "=")
	}
}

func numberTest(op string, want float64, word string) func(any) bool {
	return func(v any) bool {
		s, ok := scalar(v)
		if !ok {
			return false
		}
		got, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return op == "!=" && s != word
		}
		switch op {
		case "=":
			return got == want
		case "!=":
			return got != want
		case "<":
			return got < want
		case "<=":
			return got <= want
		case ">":
			return got > want
		}
		return got >= want
	}
}

// wildcard matches text in which a star at the beginning or the end stands for anything.
func wildcard(text string) func(string) bool {
	if text == "*" {
		return func(string) bool { return true }
	}
	inner, before := strings.CutPrefix(text, "*")
	inner, after := strings.CutSuffix(inner, "*")
	switch {
	case before && after:
		return func(s string) bool { return strings.Contains(s, inner) }
	case before:
		return func(s string) bool { return strings.HasSuffix(s, inner) }
	case after:
		return func(s string) bool { return strings.HasPrefix(s, inner) }
	}
	return func(s string) bool { return s == text }
}

// delimited reads [field, field = x && field != y, …] to the end of the pattern.
func (s *scanner) delimited() (*delimited, error) {
	s.at++
	d := &delimited{}
	for {
		if s.take("...") || s.take("…") {
			if d.rest {
				return nil, errPattern
			}
			d.rest = true
		} else {
			n, err := s.field()
			if err != nil {
				return nil, err
			}
			if d.rest {
				d.after = append(d.after, n)
			} else {
				d.before = append(d.before, n)
			}
		}
		switch {
		case s.take(","):
		case s.take("]"):
			if s.space(); s.at != len(s.text) {
				return nil, errPattern
			}
			return d, nil
		default:
			return nil, errPattern
		}
	}
}

// field reads one field: nothing, a name, or conditions on its name.
func (s *scanner) field() (node, error) {
	s.space()
	start := s.at
	name := s.name()
	s.space()
	if c := s.peek(); c == ',' || c == ']' {
		return nil, nil
	}
	s.at = start
	return s.disjunction(func() ([]step, error) {
		s.space()
		if got := s.name(); got == "" || name != "" && got != name {
			return nil, errPattern // a field's conditions are about that field
		} else if name == "" {
			name = got
		}
		return nil, nil
	})
}
