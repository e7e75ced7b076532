package expr

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// branch is a node of the tree that the paths of an update or a projection make. No path ends within another, and the
// steps below one node are all names or all indexes: so each container of an item is visited once.
type branch struct {
	step item.Step
	kids []branch // indexes ascending
	end  int      // the path that ends here; -1 when paths go on
}

// fixPaths makes paths without #names ready to use, once for all requests.
func (e *expression) fixPaths(g grammar) {
	if len(e.names) == 0 {
		e.fixed = e.resolve(nil)
		if g != grammarCondition {
			e.written, e.overlap = grow(e.writtenPaths(e.fixed))
		}
	}
}

// writtenPaths are the paths that may not overlap: those that an update writes, all of a projection.
func (e *expression) writtenPaths(paths []item.Path) []item.Path {
	if e.actions == nil {
		return paths
	}
	written := make([]item.Path, len(e.actions))
	for i := range e.actions {
		written[i] = paths[e.actions[i].path]
	}
	return written
}

// resolve writes all paths out, with the attribute names of the slots.
func (e *expression) resolve(names []string) []item.Path {
	n := 0
	for _, p := range e.paths {
		n += len(p)
	}
	steps := make([]item.Step, 0, n)
	paths := make([]item.Path, len(e.paths))
	for i, p := range e.paths {
		from := len(steps)
		for _, s := range p {
			switch {
			case s.at >= 0:
				steps = append(steps, item.Step{Index: s.at, IsIndex: true})
			case s.slot >= 0:
				steps = append(steps, item.Step{Name: names[s.slot]})
			default:
				steps = append(steps, item.Step{Name: s.name})
			}
		}
		paths[i] = item.Path(steps[from:len(steps):len(steps)])
	}
	return paths
}

// grow makes the tree of paths. If two of them cannot stand together it answers DynamoDB's text instead.
func grow(paths []item.Path) (*branch, string) {
	var few [16]int
	order := few[:0]
	for i := range paths {
		order = append(order, i)
	}
	slices.SortFunc(order, func(i, j int) int { return comparePaths(paths[i], paths[j]) })
	kids, ok := sprout(paths, order, 0)
	if !ok {
		return nil, clash(paths)
	}
	return &branch{kids: kids, end: -1}, ""
}

// sprout makes the nodes at a depth from paths in order that are the same above it and all longer.
func sprout(paths []item.Path, order []int, depth int) ([]branch, bool) {
	groups := 0
	for i := range order {
		if i == 0 || paths[order[i]][depth] != paths[order[i-1]][depth] {
			groups++
		}
	}
	kids := make([]branch, 0, groups)
	for len(order) > 0 {
		step := paths[order[0]][depth]
		n := 1
		for n < len(order) && paths[order[n]][depth] == step {
			n++
		}
		if len(kids) > 0 && kids[0].step.IsIndex != step.IsIndex {
			return nil, false
		}
		b := branch{step: step, end: -1}
		if len(paths[order[0]]) == depth+1 { // the shortest comes first
			if n > 1 {
				return nil, false
			}
			b.end = order[0]
		} else {
			var ok bool
			if b.kids, ok = sprout(paths, order[:n], depth+1); !ok {
				return nil, false
			}
		}
		kids = append(kids, b)
		order = order[n:]
	}
	return kids, true
}

// comparePaths orders paths step by step, indexes before names, a path before those that go on from it.
func comparePaths(p, q item.Path) int {
	for i := range min(len(p), len(q)) {
		a, b := p[i], q[i]
		switch {
		case a.IsIndex && b.IsIndex:
			if c := cmp.Compare(a.Index, b.Index); c != 0 {
				return c
			}
		case a.IsIndex:
			return -1
		case b.IsIndex:
			return 1
		case a.Name != b.Name:
			return strings.Compare(a.Name, b.Name)
		}
	}
	return cmp.Compare(len(p), len(q))
}

// clash composes DynamoDB's text about the two paths that it reports: an overlap before any conflict, and of several
// the one whose second path comes first.
func clash(paths []item.Path) string {
	conflict := ""
	for j, q := range paths {
		for _, p := range paths[:j] {
			n := min(len(p), len(q))
			i := 0
			for i < n && p[i] == q[i] {
				i++
			}
			switch {
			case i == n:
				return clashText("overlap", p, q)
			case p[i].IsIndex != q[i].IsIndex && conflict == "":
				conflict = clashText("conflict", p, q)
			}
		}
	}
	return conflict
}

func clashText(how string, p, q item.Path) string {
	return fmt.Sprintf("Two document paths %s with each other; must remove or rewrite one of these paths; "+
		"path one: %s, path two: %s", how, pathString(p), pathString(q))
}

// pathString writes a path as DynamoDB's errors do: [a, b, [1]].
func pathString(p item.Path) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, s := range p {
		if i > 0 {
			b.WriteString(", ")
		}
		if s.IsIndex {
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		} else {
			b.WriteString(s.Name)
		}
	}
	b.WriteByte(']')
	return b.String()
}

// project copies the parts of m that the paths below b lead to. It answers nil when there are none.
func (b *branch) project(m item.Item) item.Item {
	var out item.Item
	take := func(kid *branch, v item.Value) {
		if v = kid.cut(v); v.IsAbsent() {
			return
		}
		if out == nil {
			out = make(item.Item, min(len(m), len(b.kids)))
		}
		out[kid.step.Name] = v
	}
	if len(m) < len(b.kids) { // thousands of paths are looked for in small items, too
		for name, v := range m {
			i, ok := slices.BinarySearchFunc(b.kids, name, func(kid branch, name string) int { return strings.Compare(kid.step.Name, name) })
			if ok {
				take(&b.kids[i], v)
			}
		}
		return out
	}
	for i := range b.kids {
		if v, ok := m[b.kids[i].step.Name]; ok {
			take(&b.kids[i], v)
		}
	}
	return out
}

// cut is what the paths through b keep of v. It is absent when they keep nothing.
func (b *branch) cut(v item.Value) item.Value {
	if b.end >= 0 {
		return v
	}
	switch v.Type() {
	case item.TypeMap:
		if b.kids[0].step.IsIndex {
			break
		}
		if m := b.project(v.Map()); m != nil {
			return item.NewMap(m)
		}
	case item.TypeList:
		if !b.kids[0].step.IsIndex {
			break
		}
		list := v.List()
		var out []item.Value
		for i := range b.kids {
			at := b.kids[i].step.Index
			if at >= len(list) {
				break
			}
			if e := b.kids[i].cut(list[at]); !e.IsAbsent() {
				out = append(out, e)
			}
		}
		if out != nil {
			return item.NewList(out)
		}
	}
	return item.Value{}
}
