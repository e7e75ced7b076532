package build

import (
	"fmt"
	"path/filepath"
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
	return parts, onePerDefault(parts)
}

// see reads one resource.
func see(id string, res, globals *yaml.Node, dir string) (part, bool, error) {
	kind := value(member(res, "Type"))
	where, ok := paths[kind]
	if !ok {
		return part{}, false, nil
	}
	props := member(res, "Properties")
	p := part{id: id, kind: kind, property: where.property, asCode: where.asCode, runtime: value(member(props, "Runtime")),
		handler: value(member(props, "Handler"))}
	p.node = member(props, where.property)
	if kind == "AWS::Serverless::Function" {
		if p.node == nil && member(props, "InlineCode") == nil && member(props, "ImageUri") == nil {
			p.node = member(globals, "CodeUri")
		}
		if p.runtime == "" {
			p.runtime = value(member(globals, "Runtime"))
		}
		if p.handler == "" {
			p.handler = value(member(globals, "Handler"))
		}
	}
	p.node = target(p.node)
	local := value(p.node)
	if p.node == nil || p.node.Kind != yaml.ScalarNode || p.node.Tag != "!!str" && p.node.Tag != "" || local == "" || strings.Contains(local, "://") {
		return part{}, false, nil
	}
	p.path = local
	if !filepath.IsAbs(local) {
		p.path = filepath.Join(dir, local)
	}
	meta := member(res, "Metadata")
	if skip := value(member(meta, "SkipBuild")); strings.EqualFold(skip, "true") {
		p.method = asIs
		return p, true, nil
	}
	p.method = value(member(meta, "BuildMethod"))
	if p.runtime == "" && p.layer() {
		p.runtime = p.method
	}
	var err error
	p.settings, err = settings(member(meta, "BuildProperties"))
	if err != nil {
		return part{}, false, fmt.Errorf("%s: Metadata.BuildProperties: %w", id, err)
	}
	return p, true, nil
}

// settings reads Metadata.BuildProperties.
func settings(n *yaml.Node) ([]setting, error) {
	n = target(n)
	if n == nil {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want names and values", n.Line)
	}
	var all []setting
	for i := 0; i+1 < len(n.Content); i += 2 {
		s, v := setting{name: n.Content[i].Value}, target(n.Content[i+1])
		switch v.Kind {
		case yaml.ScalarNode:
			s.values = []string{v.Value}
		case yaml.SequenceNode:
			s.list = true
			for _, e := range v.Content {
				if e = target(e); e.Kind != yaml.ScalarNode {
					return nil, fmt.Errorf("line %d: %s: want a list of texts", e.Line, s.name)
				}
				s.values = append(s.values, e.Value)
			}
		default:
			return nil, fmt.Errorf("line %d: %s: want a text or a list of texts", v.Line, s.name)
		}
		all = append(all, s)
	}
	return all, nil
}

// onePerDefault refuses a path that stands once, in Globals or behind an anchor, and that several functions would build in
// different ways: it can be replaced by one artifact only.
func onePerDefault(parts []part) error {
	first := map[*yaml.Node]part{}
	for _, p := range parts {
		q, ok := first[p.node]
		if ok && (q.key() != p.key() || q.asCode != p.asCode) {
			return p.wrong("%s and %s share this path and are built differently; give each its own", q.id, p.id)
		}
		if !ok {
			first[p.node] = p
		}
	}
	return nil
}

// member is the value of a key of a mapping, nil when there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	n = target(n)
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

// target is what an alias stands for; aliases of aliases are none of YAML's.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func value(n *yaml.Node) string {
	if n = target(n); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}
