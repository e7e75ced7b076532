package tables

import (
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// expression is an expression of DynamoDB with its placeholders.
type expression struct {
	text   string
	names  map[string]string
	values map[string]value
}

// filterMax bounds a filter's text: DynamoDB takes 4 KB.
const filterMax = 4096

// words are those of DynamoDB's conditions that are no attributes.
var words = map[string]bool{"AND": true, "OR": true, "NOT": true, "BETWEEN": true, "IN": true}

// functions are DynamoDB's; a name followed by "(" is one of them.
const functions = "attribute_exists attribute_not_exists attribute_type begins_with contains size"

// parseFilter makes an expression of a condition as people write one, with names and values in place:
//
//	price > 10 AND begins_with(name, 'A') AND NOT address.city IN ("Ulm", 'Bonn')
//
// Names become placeholders, so that none is reserved; a name with other characters stands between backquotes. What is
// between quotes, a number, true, false and null are values. Whether it all makes sense, DynamoDB says.
func parseFilter(text string) (*expression, error) {
	if len(text) > filterMax {
		return nil, fmt.Errorf("the filter has %d characters, at most %d are allowed", len(text), filterMax)
	}
	p := &filterParser{rest: text, expression: expression{names: map[string]string{}, values: map[string]value{}}}
	for p.skip(); p.rest != ""; p.skip() {
		if err := p.next(); err != nil {
			return nil, fmt.Errorf("the filter, at %q: %w", brief([]byte(p.rest)), err)
		}
	}
	if p.out.Len() == 0 {
		return nil, fmt.Errorf("the filter is empty; want a condition such as: price > 10")
	}
	p.text = p.out.String()
	return &p.expression, nil
}

type filterParser struct {
	expression
	rest string
	out  strings.Builder
}

func (p *filterParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// emit appends a token, parted from the one before.
func (p *filterParser) emit(token string) {
	if p.out.Len() > 0 {
		p.out.WriteByte(' ')
	}
	p.out.WriteString(token)
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func (p *filterParser) next() error {
	c := p.rest[0]
	for _, op := range []string{"<=", ">=", "<>", "!=", "==", "=", "<", ">", "(", ")", ","} {
		rest, ok := strings.CutPrefix(p.rest, op)
		if !ok {
			continue
		}
		p.rest = rest
		switch op {
		case "!=":
			op = "<>"
		case "==":
			op = "="
		}
		p.emit(op)
		return nil
	}
	switch {
	case c == '\'' || c == '"':
		text, err := p.quoted(c)
		if err != nil {
			return err
		}
		p.value(value{kind: kString, text: text})
		return nil
	case c == '-' || c == '+' || c >= '0' && c <= '9':
		n := len(p.rest) - len(strings.TrimLeft(p.rest, "+-.0123456789eE"))
		p.value(value{kind: kNumber, text: p.rest[:n]})
		p.rest = p.rest[n:]
		return nil
	case c == '`' || isNameByte(c):
		return p.word()
	}
	r, _ := utf8.DecodeRuneInString(p.rest)
	if unicode.IsPrint(r) {
		return fmt.Errorf("%q has no meaning here; values stand in quotes, unusual names in backquotes", r)
	}
	return fmt.Errorf("there is a character that cannot be printed")
}

// quoted cuts a text between quotes; the quote itself is written twice in it.
func (p *filterParser) quoted(quote byte) (string, error) {
	var b strings.Builder
	for s := p.rest[1:]; ; {
		part, rest, ok := strings.Cut(s, string(quote))
		if !ok {
			return "", fmt.Errorf("there is no closing %c", quote)
		}
		b.WriteString(part)
		if !strings.HasPrefix(rest, string(quote)) {
			p.rest = rest
			return b.String(), nil
		}
		b.WriteByte(quote)
		s = rest[1:]
	}
}

func (p *filterParser) value(v value) {
	name := fmt.Sprintf(":v%d", len(p.values))
	p.values[name] = v
	p.emit(name)
}

// word reads a keyword, a function, a constant, or the path of an attribute.
func (p *filterParser) word() error {
	if p.rest[0] != '`' {
		n := 0
		for n < len(p.rest) && isNameByte(p.rest[n]) {
			n++
		}
		w, after := p.rest[:n], strings.TrimLeft(p.rest[n:], " \t")
		switch upper := strings.ToUpper(w); {
		case words[upper]:
			p.rest = p.rest[n:]
			p.emit(upper)
			return nil
		case strings.HasPrefix(after, "("):
			if !strings.Contains(" "+functions+" ", " "+w+" ") {
				return fmt.Errorf("there is no function %s; there are %s", w, strings.ReplaceAll(functions, " ", ", "))
			}
			p.rest = p.rest[n:]
			p.emit(w)
			return nil
		case upper == "TRUE" || upper == "FALSE":
			p.rest = p.rest[n:]
			p.value(value{kind: kBool, on: upper == "TRUE"})
			return nil
		case upper == "NULL":
			p.rest = p.rest[n:]
			p.value(value{kind: kNull})
			return nil
		}
	}
	return p.path()
}

// path reads a.b[1], each name a placeholder.
func (p *filterParser) path() error {
	var b strings.Builder
	for {
		name := ""
		if strings.HasPrefix(p.rest, "`") {
			var err error
			if name, err = p.quoted('`'); err != nil {
				return err
			}
		} else {
			n := 0
			for n < len(p.rest) && isNameByte(p.rest[n]) {
				n++
			}
			name, p.rest = p.rest[:n], p.rest[n:]
		}
		if name == "" {
			return fmt.Errorf("want a name after the point")
		}
		b.WriteString(p.name(name))
		for strings.HasPrefix(p.rest, "[") {
			index, rest, ok := strings.Cut(p.rest, "]")
			if !ok || strings.Trim(index[1:], "0123456789") != "" || len(index) < 2 {
				return fmt.Errorf("want a number between [ and ]")
			}
			b.WriteString(index + "]")
			p.rest = rest
		}
		rest, ok := strings.CutPrefix(p.rest, ".")
		if !ok {
			p.emit(b.String())
			return nil
		}
		b.WriteByte('.')
		p.rest = rest
	}
}

// name is the placeholder of an attribute's name.
func (p *filterParser) name(of string) string {
	for placeholder, n := range p.names {
		if n == of {
			return placeholder
		}
	}
	placeholder := fmt.Sprintf("#n%d", len(p.names))
	p.names[placeholder] = of
	return placeholder
}

// into adds the expression to a request under a member of it.
func (e *expression) into(in map[string]any, member string) {
	if e == nil {
		return
	}
	in[member] = e.text
	names, _ := in["ExpressionAttributeNames"].(map[string]string)
	values, _ := in["ExpressionAttributeValues"].(map[string]value)
	names, values = maps.Clone(names), maps.Clone(values)
	if names == nil {
		names = map[string]string{}
	}
	if values == nil {
		values = map[string]value{}
	}
	maps.Copy(names, e.names)
	maps.Copy(values, e.values)
	if len(names) > 0 {
		in["ExpressionAttributeNames"] = names
	}
	if len(values) > 0 {
		in["ExpressionAttributeValues"] = values
	}
}
