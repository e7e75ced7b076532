package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// tags are the short forms and what they stand for.
var tags = map[string]string{
	"!Ref": "Ref", "!Condition": "Condition", "!Sub": "Fn::Sub", "!GetAtt": "Fn::GetAtt", "!Join": "Fn::Join",
	"!Select": "Fn::Select", "!Split": "Fn::Split", "!FindInMap": "Fn::FindInMap", "!If": "Fn::If",
	"!Equals": "Fn::Equals", "!And": "Fn::And", "!Or": "Fn::Or", "!Not": "Fn::Not", "!ImportValue": "Fn::ImportValue",
	"!Base64": "Fn::Base64", "!Cidr": "Fn::Cidr", "!GetAZs": "Fn::GetAZs", "!Transform": "Fn::Transform",
	"!Length": "Fn::Length", "!ToJsonString": "Fn::ToJsonString",
}

// Read parses text, YAML or JSON, into a tree. file names it in positions and problems. Errors are of kind Invalid and
// begin as CloudFormation's: "Template format error: …".
func Read(file string, text []byte) (*Value, error) {
	return ReadNoting(file, text, func(Problem) {})
}

// ReadNoting is Read; note is told of what is accepted and most likely a mistake: a key that stands twice in a map,
// where the last one counts.
func ReadNoting(file string, text []byte, note func(Problem)) (*Value, error) {
	if len(text) > BytesMax {
		return nil, rejected(Pos{File: file}, fmt.Sprintf("the template has %d bytes, at most %d are allowed",
			len(text), BytesMax))
	}
	if !utf8.Valid(text) {
		return nil, rejected(Pos{File: file}, "the template is not UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) > 0 && t[0] == '{' && json.Valid(text) {
		return readJSON(file, text, note)
	}
	return readYAML(file, text, note)
}

func rejected(p Pos, text string) error {
	return Problems{{Pos: p, Text: "Template format error: " + text}}.Err()
}

// reader converts nodes of the YAML library. Aliases are expanded; values counts what they expand to.
type reader struct {
	file     string
	note     func(Problem)
	values   int
	depth    int
	problems Problems
}

// twice notes a key that stands a second time, at p; the first stood at first.
func (r *reader) twice(p, first Pos, key string) {
	r.note(Problem{Pos: p, Text: fmt.Sprintf("key %s stands here and at line %d; this one counts", key, first.Line)})
}

var errTooMuch = errors.New("too much")

func readYAML(file string, text []byte, note func(Problem)) (*Value, error) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		p, what := Pos{File: file, Line: 1, Col: 1}, err.Error()
		var le *yaml.LoadError
		if errors.As(err, &le) {
			p.Line, p.Col, what = max(le.Mark.Line, 1), max(le.Mark.Column, 1), le.Message
		}
		return nil, rejected(p, fmt.Sprintf("YAML not well-formed. (line %d, column %d): %s", p.Line, p.Col, what))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, rejected(Pos{File: file, Line: 1, Col: 1}, "the template is empty")
	}
	r := &reader{file: file, note: note}
	v, err := r.node(doc.Content[0])
	if err != nil {
		return nil, rejected(Pos{File: file, Line: 1, Col: 1},
			fmt.Sprintf("the template has more than %d values, aliases expanded, or nests deeper than %d", valuesMax,
				depthMax))
	}
	return v, r.problems.Err()
}

func (r *reader) pos(n *yaml.Node) Pos { return Pos{File: r.file, Line: n.Line, Col: n.Column} }

func (r *reader) wrong(p Pos, format string, args ...any) {
	r.problems = append(r.problems, Problem{Pos: p, Text: "Template format error: " + fmt.Sprintf(format, args...)})
}

func (r *reader) node(n *yaml.Node) (*Value, error) {
	r.values++
	if r.values > valuesMax || r.depth > depthMax {
		return nil, errTooMuch
	}
	r.depth++
	defer func() { r.depth-- }()
	if n.Kind == yaml.AliasNode {
		return r.node(n.Alias)
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") && n.Tag != "!" {
		return r.tagged(n)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return r.scalar(n), nil
	case yaml.SequenceNode:
		v := &Value{Kind: List, Pos: r.pos(n), Items: make([]*Value, 0, len(n.Content))}
		for _, c := range n.Content {
			it, err := r.node(c)
			if err != nil {
				return nil, err
			}
			v.Items = append(v.Items, it)
		}
		return v, nil
	case yaml.MappingNode:
		return r.mapping(n)
	}
	return &Value{Pos: r.pos(n)}, nil
}

// tagged reads a short form as its long form.
func (r *reader) tagged(n *yaml.Node) (*Value, error) {
	p := r.pos(n)
	name, ok := tags[n.Tag]
	if !ok {
		names := make([]string, 0, len(tags))
		for t := range tags {
			names = append(names, t)
		}
		slices.Sort(names)
		r.wrong(p, "unknown function %s%s", n.Tag, Suggest(n.Tag, names))
	}
	plain := *n
	plain.Tag = ""
	if n.Kind == yaml.ScalarNode {
		plain.Tag = "!!str"
	}
	arg, err := r.node(&plain)
	if err != nil {
		return nil, err
	}
	if name == "Fn::GetAtt" && arg.Kind == String {
		id, attr, ok := strings.Cut(arg.Text, ".")
		if !ok {
			r.wrong(p, "!GetAtt %s: want a resource and its attribute, as in !GetAtt %s.Arn", arg.Text, arg.Text)
		}
		arg = Strs(arg.Pos, id, attr)
	}
	return Obj(p, KV(p, name, arg)), nil
}

func (r *reader) scalar(n *yaml.Node) *Value {
	v := &Value{Kind: String, Text: n.Value, Pos: r.pos(n)}
	switch n.Tag {
	case "!!null":
		v.Kind, v.Text = Null, ""
	case "!!bool":
		v.Kind, v.Text = Bool, strings.ToLower(n.Value)
	case "!!int", "!!float":
		// What JSON does not call a number (0123, 1_000, .inf) stays text: account numbers begin with zeros.
		if json.Valid([]byte(n.Value)) {
			v.Kind = Number
		}
	}
	return v
}

func (r *reader) mapping(n *yaml.Node) (*Value, error) {
	v := &Value{Kind: Map, Pos: r.pos(n)}
	seen := make(map[string]int, len(n.Content)/2)
	var merged []*Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, c := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		val, err := r.node(c)
		if err != nil {
			return nil, err
		}
		if k.Tag == "!!merge" {
			merged = append(merged, val)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			r.wrong(r.pos(k), "a key must be a string")
			continue
		}
		if at, dup := seen[k.Value]; dup {
			r.twice(r.pos(k), v.Fields[at].Pos, k.Value)
			v.Fields[at] = Field{Key: k.Value, Pos: r.pos(k), Value: val}
			continue
		}
		seen[k.Value] = len(v.Fields)
		v.Fields = append(v.Fields, Field{Key: k.Value, Pos: r.pos(k), Value: val})
	}
	for _, m := range merged {
		r.merge(v, m, seen)
	}
	return splitGetAtt(v), nil
}

// merge adds what "<<" names; keys that stand in the map itself win.
func (r *reader) merge(v, m *Value, seen map[string]int) {
	from := []*Value{m}
	if m.Kind == List {
		from = m.Items
	}
	for _, f := range from {
		if f.Kind != Map {
			r.wrong(f.Pos, "<< wants a map or a list of maps, not a %s", f.Kind)
			continue
		}
		for _, e := range f.Fields {
			if _, ok := seen[e.Key]; !ok {
				seen[e.Key] = len(v.Fields)
				v.Fields = append(v.Fields, e)
			}
		}
	}
}

// readJSON reads valid JSON with the positions of its tokens.
func readJSON(file string, text []byte, note func(Problem)) (*Value, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	j := &jsonReader{d: d, text: text, r: reader{file: file, note: note}}
	v, err := j.value(0)
	if errors.Is(err, errTooMuch) {
		return nil, rejected(Pos{File: file, Line: 1, Col: 1},
			fmt.Sprintf("the template has more than %d values or nests deeper than %d", valuesMax, depthMax))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, rejected(Pos{File: file, Line: 1, Col: 1}, "JSON not well-formed: "+err.Error())
	}
	return v, j.r.problems.Err()
}

type jsonReader struct {
	d    *json.Decoder
	text []byte
	r    reader
	at   int // bytes of text that line and col have counted
	line int
	col  int
}

// pos is where the next token begins: after white space and separators.
func (j *jsonReader) pos() Pos {
	to := int(j.d.InputOffset())
	for to < len(j.text) && strings.IndexByte(" \t\r\n,:", j.text[to]) >= 0 {
		to++
	}
	for ; j.at < to; j.at++ {
		switch c := j.text[j.at]; {
		case c == '\n':
			j.line, j.col = j.line+1, 0
		case c&0xc0 != 0x80:
			j.col++
		}
	}
	return Pos{File: j.r.file, Line: j.line + 1, Col: j.col + 1}
}

func (j *jsonReader) value(depth int) (*Value, error) {
	j.r.values++
	if j.r.values > valuesMax || depth > depthMax {
		return nil, errTooMuch
	}
	v := &Value{Pos: j.pos()}
	t, err := j.d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			v.Kind = List
			return v, j.list(v, depth)
		}
		v.Kind = Map
		return v, j.object(v, depth)
	case bool:
		*v = *Boolean(v.Pos, t)
	case json.Number:
		v.Kind, v.Text = Number, t.String()
	case string:
		v.Kind, v.Text = String, t
	}
	return v, nil
}

func (j *jsonReader) list(v *Value, depth int) error {
	for j.d.More() {
		it, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		v.Items = append(v.Items, it)
	}
	_, err := j.d.Token()
	return err
}

func (j *jsonReader) object(v *Value, depth int) error {
	seen := map[string]int{}
	for j.d.More() {
		p := j.pos()
		k, err := j.d.Token()
		if err != nil {
			return err
		}
		val, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		key, _ := k.(string)
		if at, dup := seen[key]; dup {
			j.r.twice(p, v.Fields[at].Pos, key)
			v.Fields[at] = Field{Key: key, Pos: p, Value: val}
			continue
		}
		seen[key] = len(v.Fields)
		v.Fields = append(v.Fields, Field{Key: key, Pos: p, Value: val})
	}
	splitGetAtt(v)
	_, err := j.d.Token()
	return err
}

// splitGetAtt gives {"Fn::GetAtt": "A.Arn"} the list form, in place: v is still being read.
func splitGetAtt(v *Value) *Value {
	if len(v.Fields) == 1 && v.Fields[0].Key == "Fn::GetAtt" && v.Fields[0].Value.Kind == String {
		if id, attr, ok := strings.Cut(v.Fields[0].Value.Text, "."); ok {
			v.Fields[0].Value = Strs(v.Fields[0].Value.Pos, id, attr)
		}
	}
	return v
}
