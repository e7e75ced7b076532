package build

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// paths says, by resource type, which property names local code.
var paths = map[string]struct {
	property string
	asCode   bool
}{
	"AWS::Serverless::Function":     {"CodeUri", false},
	"AWS::Serverless::LayerVersion": {"ContentUri", false},
	"AWS::Lambda::Function":         {"Code", true},
	"AWS::Lambda::LayerVersion":     {"Content", true},
}

// find lists the local paths of a template. A template that cannot be read has none: the deployment reports it better.
func find(text []byte, dir string) ([]part, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	globals := member(member(root, "Globals"), "Function")
	var parts []part
	resources := member(root, "Resources")
	if resources == nil || resources.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(resources.Content); i += 2 {
		p, ok, err := see(resources.Content[i].Value, resources.Content[i+1], globals, dir)
		if err != nil {
			return nil, err
		}
		if ok {
			parts = append(parts, p)
		}
	}
	return parts, oneBuildPerDefault(parts)
}

// see reads one resource.
func see(id string, res, globals *yaml.Node, dir string) (part, bool, error) {
	kind := value(member(res, "Type"))
	where, ok := paths[kind]
	if !ok {
		return part{}, false, nil
	}
	props := member(res, "Properties")
	p := part{id: id, kind: kind, asCode: where.asCode, runtime: value(member(props, "Runtime")), handler: value(member(props, "Handler"))}
	p.node = member(props, where.property)
	if kind == "AWS::Serverless::Function" {
		if p.node == nil && member(props, "InlineCode") == nil {
			p.node = member(globals, "CodeUri")
		}
		if p.runtime == "" {
			p.runtime = value(member(globals, "Runtime"))
		}
		if p.handler == "" {
			p.handler = value(member(globals, "Handler"))
		}
	}
	local := value(p.node)
	if p.node == nil || p.node.Kind != yaml.ScalarNode || p.node.Tag != "!!str" && p.node.Tag != "" || local == "" || strings.Contains(local, "://") {
		return part{}, false, nil
	}
	p.path = local
	if !filepath.IsAbs(local) {
		p.path = filepath.Join(dir, local)
	}
	meta := member(res, "Metadata")
	p.method = value(member(meta, "BuildMethod"))
	if b := member(meta, "BuildProperties"); b != nil {
		if err := b.Decode(&p.settings); err != nil {
			return part{}, false, fmt.Errorf("%s: Metadata.BuildProperties, line %d: %w", id, b.Line, err)
		}
	}
	return p, true, nil
}

// oneBuildPerDefault refuses a path of Globals that several functions would build in different ways: it can be replaced
// by one artifact only.
func oneBuildPerDefault(parts []part) error {
	first := map[*yaml.Node]part{}
	for _, p := range parts {
		if q, ok := first[p.node]; ok && q.key() != p.key() {
			return fmt.Errorf("%s and %s share the CodeUri of Globals and are built differently; give each its own CodeUri", q.id, p.id)
		}
		first[p.node] = p
	}
	return nil
}

// member is the value of a key of a mapping, nil when there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func value(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// edit replaces one scalar of the text.
type edit struct {
	line, column int // where it starts, from 1
	old          string
	style        yaml.Style
	new          string
	id           string
}

func (p part) edit(hash string) edit {
	e := edit{line: p.node.Line, column: p.node.Column, old: p.node.Value, style: p.node.Style, id: p.id}
	e.new = fmt.Sprintf("%q", "s3://"+bucket+"/"+hash)
	if p.asCode {
		e.new = fmt.Sprintf("{%q: %q, %q: %q}", "S3Bucket", bucket, "S3Key", hash)
	}
	return e
}

// apply makes the edits, last first, so that the columns of earlier ones stay true.
func apply(text []byte, edits []edit) ([]byte, error) {
	lines := bytes.Split(text, []byte("\n"))
	sort.Slice(edits, func(i, j int) bool {
		a, b := edits[i], edits[j]
		return a.line > b.line || a.line == b.line && a.column > b.column
	})
	for i, e := range edits {
		if i > 0 && e.line == edits[i-1].line && e.column == edits[i-1].column {
			continue // a path of Globals, used by several
		}
		line := []rune(string(lines[e.line-1]))
		n, err := e.length(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", e.id, e.line, err)
		}
		at := e.column - 1
		lines[e.line-1] = []byte(string(line[:at]) + e.new + string(line[at+n:]))
	}
	return bytes.Join(lines, []byte("\n")), nil
}

var errManyLines = errors.New("write the path in one line")

// length is how many characters of the line the scalar takes, quotes included.
func (e edit) length(line []rune) (int, error) {
	rest := line[e.column-1:]
	quote := rune(0)
	switch {
	case e.style&yaml.DoubleQuotedStyle != 0:
		quote = '"'
	case e.style&yaml.SingleQuotedStyle != 0:
		quote = '\''
	case e.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, errManyLines
	default:
		old := []rune(e.old)
		if len(rest) < len(old) || string(rest[:len(old)]) != e.old {
			return 0, errManyLines
		}
		return len(old), nil
	}
	for i := 1; i < len(rest); i++ {
		if rest[i] == '\\' && quote == '"' {
			i++
		} else if rest[i] == quote {
			return i + 1, nil
		}
	}
	return 0, errManyLines
}
