package expr

import "github.com/rouse-dev/rouse/table/item"

// Projection is a projection that is ready to be used.
type Projection struct {
	paths  []item.Path
	tree   *branch
	names  []string
	sorted []string
}

func newProjection(paths []item.Path, tree *branch) *Projection {
	p := &Projection{paths: paths, tree: tree, names: topNames(paths)}
	if tree == nil {
		return p
	}
	p.sorted = make([]string, len(tree.kids))
	for i := range tree.kids {
		p.sorted[i] = tree.kids[i].step.Name
	}
	return p
}

// Of is the part of it that the projection's paths lead to. Maps and lists around a part stand with nothing else in
// them, the elements of a list in their order and without gaps; where a path leads nowhere there is nothing. The result
// shares its values with it, which stays as it is.
func (p *Projection) Of(it item.Item) item.Item {
	if out := p.tree.project(it); out != nil {
		return out
	}
	return item.Item{}
}

// Paths are the paths of the projection, in the order of the text.
func (p *Projection) Paths() []item.Path { return p.paths }

// Names are the top-level attributes of the projection, each once. They are not to be changed.
func (p *Projection) Names() []string { return p.names }

// Sorted are the Names in ascending order. They are not to be changed.
func (p *Projection) Sorted() []string { return p.sorted }
