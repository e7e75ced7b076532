package item

import "strconv"

// Step is one step of a Path: an attribute's name, or an index into a list.
type Step struct {
	Name    string
	Index   int
	IsIndex bool
}

// Path leads to a value within an item. Its first step is a name.
type Path []Step

// String writes the path as expressions do: a.b[1].
func (p Path) String() string {
	var b []byte
	for i, s := range p {
		if s.IsIndex {
			b = append(strconv.AppendInt(append(b, '['), int64(s.Index), 10), ']')
			continue
		}
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, s.Name...)
	}
	return string(b)
}
