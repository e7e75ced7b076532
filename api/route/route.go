// Package route finds the route of a request: a table of "METHOD /path" patterns, compiled once into a tree and then only
// read. It serves HTTP APIs and REST APIs alike, as their documented priorities are the same:
//
//  1. a full match: every segment is a literal or a {param}
//  2. a greedy match: the longest prefix followed by {proxy+}
//  3. the $default route
//
// Among full matches a literal segment beats a {param}, decided from left to right. Within one path the method itself
// beats ANY. A path whose methods do not include the request's is passed over, and the search goes on with the next best:
// an OPTIONS /{proxy+} answers for OPTIONS /pets when /pets has only a GET (seen on AWS, which documents it nowhere).
//
// # The tree
//
// One node per distinct prefix, with its literal children in a map and at most one child for any {param}, whatever its
// name: names belong to the route, not to the tree. A search visits each node at most once, as a node stands at one depth,
// so hostile paths cannot make it slow: it costs at most the size of the table, usually the length of the path.
//
// Segments are compared as they come, still percent-encoded. Values are slices of the path that was given; decoding them
// is the caller's choice, as HTTP APIs decode and REST APIs do not.
//
// # Promises
//
// A Table is immutable once its Adds are done and safe for concurrent Match. Match allocates nothing when values has room.
package route

import (
	"fmt"
	"iter"
	"strings"
)

// Any is the method that matches every method.
const Any = "ANY"

// Limits of a pattern.
const (
	PathMax     = 4 << 10 // bytes
	SegmentsMax = 64
)

// Table maps requests to values of type T. The zero value is empty and ready for Add.
type Table[T any] struct {
	root       node[T]
	fallback   T
	hasDefault bool
	// Loose ignores slashes at the end of the request's path, as REST APIs do; HTTP APIs take them literally.
	Loose bool
}

type node[T any] struct {
	literal map[string]*node[T]
	param   *node[T]
	here    *methods[T] // routes that end here
	greedy  *methods[T] // routes that end in {name+} below here
}

type methods[T any] struct {
	by     map[string]T
	any    T
	hasAny bool
}

func (m *methods[T]) find(method string) (v T, ok bool) {
	if m == nil {
		return v, false
	}
	if v, ok = m.by[method]; ok {
		return v, true
	}
	return m.any, m.hasAny
}

// Pattern is a parsed path.
type Pattern struct {
	Segments []Segment
	Greedy   bool // the last segment is {name+}
}

// Segment is one part between slashes.
type Segment struct {
	Text  string // the literal, or the name of the parameter
	Param bool
}

// Names lists the parameters in order.
func (p Pattern) Names() []string {
	var names []string
	for _, s := range p.Segments {
		if s.Param {
			names = append(names, s.Text)
		}
	}
	return names
}

// Parse reads a path such as /pets/{id} or /files/{path+}. Its errors are plain; the caller gives them AWS's words.
func Parse(path string) (Pattern, error) {
	var p Pattern
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("path %q does not start with a slash", path)
	}
	if len(path) > PathMax {
		return p, fmt.Errorf("path is longer than %d bytes", PathMax)
	}
	if path == "/" {
		return p, nil
	}
	seen := map[string]bool{}
	parts := strings.Split(path[1:], "/")
	if len(parts) > SegmentsMax {
		return p, fmt.Errorf("path has more than %d segments", SegmentsMax)
	}
	for i, part := range parts {
		if !strings.ContainsAny(part, "{}") {
			p.Segments = append(p.Segments, Segment{Text: part})
			continue
		}
		name, ok := strings.CutPrefix(part, "{")
		if name, ok = cutSuffix(name, "}", ok); !ok || strings.ContainsAny(name, "{}") {
			return p, fmt.Errorf("segment %q: a path variable takes a whole segment", part)
		}
		if bare, greedy := strings.CutSuffix(name, "+"); greedy {
			if i != len(parts)-1 {
				return p, fmt.Errorf("segment %q: a greedy path variable must be the last segment", part)
			}
			name, p.Greedy = bare, true
		}
		if name == "" || strings.Contains(name, "+") {
			return p, fmt.Errorf("segment %q: a path variable needs a name", part)
		}
		if seen[name] {
			return p, fmt.Errorf("path variable %q appears twice", name)
		}
		seen[name] = true
		p.Segments = append(p.Segments, Segment{Text: name, Param: true})
	}
	return p, nil
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	if !ok {
		return s, false
	}
	return strings.CutSuffix(s, suffix)
}

// Add puts value under method and path. A second value for the same method and path, whatever the names of its
// parameters, is an error, as is a path that does not parse.
func (t *Table[T]) Add(method, path string, value T) error {
	p, err := Parse(path)
	if err != nil {
		return err
	}
	n := &t.root
	for i, s := range p.Segments {
		switch {
		case s.Param && p.Greedy && i == len(p.Segments)-1:
			return add(&n.greedy, method, path, value)
		case s.Param:
			if n.param == nil {
				n.param = new(node[T])
			}
			n = n.param
		default:
			if n.literal == nil {
				n.literal = map[string]*node[T]{}
			}
			next := n.literal[s.Text]
			if next == nil {
				next = new(node[T])
				n.literal[s.Text] = next
			}
			n = next
		}
	}
	return add(&n.here, method, path, value)
}

func add[T any](at **methods[T], method, path string, value T) error {
	if *at == nil {
		*at = &methods[T]{by: map[string]T{}}
	}
	m := *at
	if method == Any {
		if m.hasAny {
			return fmt.Errorf("route %s %s exists already", method, path)
		}
		m.any, m.hasAny = value, true
		return nil
	}
	if _, ok := m.by[method]; ok {
		return fmt.Errorf("route %s %s exists already", method, path)
	}
	m.by[method] = value
	return nil
}

// Default sets the value of the $default route.
func (t *Table[T]) Default(value T) { t.fallback, t.hasDefault = value, true }

// Match finds the value for method and path and appends the values of its path variables, in the order of its names, to
// values. The $default route has none. path must start with a slash.
func (t *Table[T]) Match(method, path string, values []string) (v T, _ []string, ok bool) {
	keep := len(values)
	if t.Loose {
		for len(path) > 1 && path[len(path)-1] == '/' {
			path = path[:len(path)-1]
		}
	}
	rest := ""
	if len(path) > 1 {
		rest = path // begins with the slash before the next segment
	}
	if v, values, ok = t.root.full(method, rest, values); ok {
		return v, values, true
	}
	if v, values, ok = t.root.longest(method, rest, values[:keep]); ok {
		return v, values, true
	}
	if t.hasDefault {
		return t.fallback, values[:keep], true
	}
	return v, values[:keep], false
}

// next splits rest, which begins with a slash, into its first segment and what follows.
func next(rest string) (segment, after string) {
	s := rest[1:]
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// full looks for a route that matches rest segment by segment.
func (n *node[T]) full(method, rest string, values []string) (v T, _ []string, ok bool) {
	if rest == "" {
		v, ok = n.here.find(method)
		return v, values, ok
	}
	segment, after := next(rest)
	if child := n.literal[segment]; child != nil {
		if v, vs, ok := child.full(method, after, values); ok {
			return v, vs, true
		}
	}
	if n.param != nil && segment != "" {
		return n.param.full(method, after, append(values, segment))
	}
	return v, values, false
}

// longest looks for the greedy route with the longest prefix.
func (n *node[T]) longest(method, rest string, values []string) (v T, _ []string, ok bool) {
	if rest == "" {
		return v, values, false
	}
	segment, after := next(rest)
	if child := n.literal[segment]; child != nil {
		if v, vs, ok := child.longest(method, after, values); ok {
			return v, vs, true
		}
	}
	if n.param != nil && segment != "" {
		if v, vs, ok := n.param.longest(method, after, append(values, segment)); ok {
			return v, vs, true
		}
	}
	if len(rest) > 1 { // there is something to be greedy about
		if v, ok = n.greedy.find(method); ok {
			return v, append(values, rest[1:]), true
		}
	}
	return v, values, false
}

// All yields every value of the table, the $default route's included, in no particular order.
func (t *Table[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		if t.root.all(yield) && t.hasDefault {
			yield(t.fallback)
		}
	}
}

func (n *node[T]) all(yield func(T) bool) bool {
	if n == nil {
		return true
	}
	for _, m := range []*methods[T]{n.here, n.greedy} {
		if m == nil {
			continue
		}
		for _, v := range m.by {
			if !yield(v) {
				return false
			}
		}
		if m.hasAny && !yield(m.any) {
			return false
		}
	}
	for _, child := range n.literal {
		if !child.all(yield) {
			return false
		}
	}
	return n.param.all(yield)
}
