package policy

import (
	"strings"
	"unicode/utf8"
)

// Codes of a compiled pattern beside ordinary runes.
const (
	anyRun rune = -1 - iota // *
	anyOne                  // ?
)

// pattern is text with wildcards and variables. The common shapes, all, one literal and a literal prefix, are told apart
// at compile time and cost a comparison.
type pattern struct {
	shape  shape
	text   string    // shapeExact and shapePrefix
	runes  []rune    // shapeGeneral
	pieces []segment // shapeVariable
	fold   bool
}

type shape uint8

const (
	shapeGeneral shape = iota
	shapeAll
	shapeExact
	shapePrefix
	shapeVariable
)

// segment is a run of compiled runes, or a variable.
type segment struct {
	runes    []rune
	variable string // lower case; "" for runes
	fallback string
	hasFall  bool
}

// patternOptions say how text is read.
type patternOptions struct {
	wild      bool // * and ? are wildcards
	variables bool // ${…} is a variable (version 2012-10-17)
	fold      bool // letters match in either case
}

func compile(text string, o patternOptions) (pattern, error) {
	pieces, err := segments(text, o)
	if err != nil {
		return pattern{}, err
	}
	p := pattern{fold: o.fold}
	if len(pieces) > 1 || len(pieces) == 1 && pieces[0].variable != "" {
		p.shape, p.pieces = shapeVariable, pieces
		return p, nil
	}
	if len(pieces) == 1 {
		p.runes = pieces[0].runes
	}
	p.classify()
	return p, nil
}

// classify finds the cheap shapes.
func (p *pattern) classify() {
	stars, ones := 0, 0
	for _, r := range p.runes {
		switch r {
		case anyRun:
			stars++
		case anyOne:
			ones++
		}
	}
	n := len(p.runes)
	switch {
	case n > 0 && stars == n:
		p.shape, p.runes = shapeAll, nil
	case stars == 0 && ones == 0:
		p.shape, p.text, p.runes = shapeExact, string(p.runes), nil
	case stars == 1 && ones == 0 && p.runes[n-1] == anyRun:
		p.shape, p.text, p.runes = shapePrefix, string(p.runes[:n-1]), nil
	}
}

// segments splits text into runs of runes and variables.
func segments(text string, o patternOptions) ([]segment, error) {
	var out []segment
	var run []rune
	flush := func() {
		if len(run) > 0 {
			out = append(out, segment{runes: run})
			run = nil
		}
	}
	if o.fold {
		text = strings.ToLower(text)
	}
	for i := 0; i < len(text); {
		if o.variables && strings.HasPrefix(text[i:], "${") {
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, errSyntax
			}
			name := text[i+2 : i+end]
			i += end + 1
			if name == "*" || name == "?" || name == "$" {
				run = append(run, rune(name[0]))
				continue
			}
			v, err := variable(name)
			if err != nil {
				return nil, err
			}
			flush()
			out = append(out, v)
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case o.wild && r == '*':
			r = anyRun
		case o.wild && r == '?':
			r = anyOne
		}
		run = append(run, r)
	}
	flush()
	return out, nil
}

// variable reads "aws:username" or "aws:username, 'nobody'".
func variable(s string) (segment, error) {
	name, fall, has := strings.Cut(s, ",")
	v := segment{variable: strings.ToLower(strings.TrimSpace(name)), hasFall: has}
	if has {
		fall = strings.TrimSpace(fall)
		if len(fall) < 2 || fall[0] != '\'' || fall[len(fall)-1] != '\'' {
			return v, errSyntax
		}
		v.fallback = fall[1 : len(fall)-1]
	}
	if v.variable == "" || strings.ContainsAny(v.variable, "${} ") {
		return v, errSyntax
	}
	return v, nil
}

// expand replaces variables by their values, which are literal: a star in a user's name is no wildcard. ok is false when
// one has neither a single value nor a default.
func (p *pattern) expand(key func(string) []string) (q pattern, ok bool) {
	if p.shape != shapeVariable {
		return *p, true
	}
	q = pattern{fold: p.fold}
	for _, s := range p.pieces {
		if s.variable == "" {
			q.runes = append(q.runes, s.runes...)
			continue
		}
		var value string
		values := key(s.variable)
		switch {
		case len(values) == 1:
			value = values[0]
		case s.hasFall:
			value = s.fallback
		default:
			return pattern{}, false
		}
		if p.fold {
			value = strings.ToLower(value)
		}
		q.runes = append(q.runes, []rune(value)...)
	}
	q.classify()
	return q, true
}

// match reports whether s as a whole fits. Variables must have been expanded.
func (p *pattern) match(s string) bool {
	if p.fold {
		return p.matchFold(s)
	}
	switch p.shape {
	case shapeAll:
		return true
	case shapeExact:
		return s == p.text
	case shapePrefix:
		return strings.HasPrefix(s, p.text)
	case shapeGeneral:
		return matchRunes(p.runes, s)
	}
	return false
}

// matchFold is match for a pattern compiled with fold: s may be in either case.
func (p *pattern) matchFold(s string) bool {
	switch p.shape {
	case shapeAll:
		return true
	case shapeExact:
		return strings.EqualFold(s, p.text)
	case shapePrefix:
		return len(s) >= len(p.text) && strings.EqualFold(s[:len(p.text)], p.text)
	case shapeGeneral:
		return matchRunes(p.runes, strings.ToLower(s))
	}
	return false
}

// matchRunes matches with one remembered star: going back to the last star is enough, so time is at most the product of
// the two lengths.
func matchRunes(p []rune, s string) bool {
	pi, si := 0, 0
	star, mark := -1, 0
	for si < len(s) {
		r, size := utf8.DecodeRuneInString(s[si:])
		switch {
		case pi < len(p) && p[pi] == anyRun:
			star, mark = pi, si
			pi++
		case pi < len(p) && (p[pi] == anyOne || p[pi] == r):
			pi++
			si += size
		case star >= 0:
			_, size = utf8.DecodeRuneInString(s[mark:])
			mark += size
			pi, si = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == anyRun {
		pi++
	}
	return pi == len(p)
}

// arnPattern is a pattern over an ARN: "*", or six patterns, one for each field.
type arnPattern struct {
	all    bool
	exact  string // all six fields are literal: compared at once
	fields [6]pattern
	vars   bool
}

// compileARN reads an ARN pattern. Fields that are missing at its end are stars, as AWS completes them.
func compileARN(text string, variables bool) (arnPattern, error) {
	if strings.Trim(text, "*") == "" && text != "" {
		return arnPattern{all: true}, nil
	}
	var a arnPattern
	parts := splitOutsideVariables(text, variables)
	exact := len(parts) == 6
	for i := range a.fields {
		part := "*"
		if i < len(parts) {
			part = parts[i]
		}
		p, err := compile(part, patternOptions{wild: true, variables: variables})
		if err != nil {
			return a, err
		}
		a.fields[i] = p
		a.vars = a.vars || p.shape == shapeVariable
		exact = exact && p.shape == shapeExact && p.text == part
	}
	if exact {
		a.exact = text
	}
	return a, nil
}

// splitOutsideVariables splits at the first five colons that are not inside ${…}.
func splitOutsideVariables(text string, variables bool) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text) && len(parts) < 5; i++ {
		if variables && strings.HasPrefix(text[i:], "${") {
			if end := strings.IndexByte(text[i:], '}'); end > 0 {
				i += end
				continue
			}
		}
		if text[i] == ':' {
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func (a *arnPattern) match(r *Request) (matched, unknown bool) {
	if a.all {
		return true, false
	}
	if a.exact != "" {
		return a.exact == r.Resource, false
	}
	if !r.splitARN() {
		return false, false
	}
	return a.matchFields(&r.arn, r.Key)
}

func (a *arnPattern) matchFields(arn *[6]string, key func(string) []string) (matched, unknown bool) {
	for i := range a.fields {
		p := &a.fields[i]
		if p.shape == shapeVariable {
			q, ok := p.expand(key)
			if !ok {
				return false, true
			}
			p = &q
		}
		if !p.match(arn[i]) {
			return false, false
		}
	}
	return true, false
}
