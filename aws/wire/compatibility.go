package wire

import (
	"slices"
	"sort"
	"strings"
)

// Support says how far an operation is there.
type Support string

// The answers of docs/COMPATIBILITY.md.
const (
	Works          Support = "works"
	DiffersFromAWS Support = "differs"
	NotImplemented Support = "not implemented"
)

// Compatibility is one line of docs/COMPATIBILITY.md.
type Compatibility struct {
	Operation string
	Support   Support
	How       string   // it differs; "" otherwise
	Refused   []string // members that are refused, sorted; "Mode other than A, B" where only values are
	Members   []string // top-level members that are implemented, as on the wire, sorted
}

// Compatibility lists the service's operations by name. It is what the documentation is made from and tested against.
func (s Service) Compatibility() ([]Compatibility, error) {
	t, err := Compile(s)
	if err != nil {
		return nil, err
	}
	var list []Compatibility
	for _, op := range s.Operations {
		e := t.entries[op.Name]
		p, err := e.plans()
		if err != nil {
			return nil, err
		}
		c := Compatibility{Operation: op.Name, Support: Works, How: op.differs}
		if op.differs != "" {
			c.Support = DiffersFromAWS
		}
		for _, r := range op.refused {
			if len(r.allowed) > 0 {
				c.Refused = append(c.Refused, r.path+" other than "+strings.Join(r.allowed, ", "))
			} else {
				c.Refused = append(c.Refused, r.path)
			}
		}
		c.Refused = append(c.Refused, taggedMembers(p.in, "", nil)...)
		for _, f := range p.in.fields {
			if f.unsupported == "" {
				c.Members = append(c.Members, f.wire)
			}
		}
		sort.Strings(c.Refused)
		sort.Strings(c.Members)
		list = append(list, c)
	}
	for name := range t.missing {
		list = append(list, Compatibility{Operation: name, Support: NotImplemented})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Operation < list[j].Operation })
	return list, nil
}

// taggedMembers lists the members with the tag unsupported, in recursive types once.
func taggedMembers(pl *plan, path string, above []*plan) []string {
	if slices.Contains(above, pl) {
		return nil
	}
	var list []string
	for _, f := range pl.fields {
		if f.unsupported != "" {
			list = append(list, path+f.wire)
			continue
		}
		s := f.shape
		for s.elem != nil {
			s = s.elem
		}
		if s.fields != nil {
			list = append(list, taggedMembers(s.fields, path+f.wire+".", append(above, pl))...)
		}
	}
	return list
}

// Accounts reports whether the operation implements or refuses the member of its input at path, named as on the wire.
// One for which it does neither would be ignored in silence; wiretest.Ignored looks for those.
func (e *Entry) Accounts(path ...string) (bool, error) {
	p, err := e.plans()
	if err != nil {
		return false, err
	}
	return accounts(p.in, e.refuse, path), nil
}

// accounts looks at the first step of path; pl is nil where the input has no such structure.
func accounts(pl *plan, rf *refuseNode, path []string) bool {
	if len(path) == 0 {
		return true
	}
	sub := rf.child(path[0])
	if sub != nil && sub.refused {
		return true
	}
	var f *field
	if pl != nil {
		i := slices.IndexFunc(pl.fields, func(f *field) bool {
			return f.wire == path[0] || f.in == inHeader && strings.EqualFold(f.wire, path[0])
		})
		if i >= 0 {
			f = pl.fields[i]
		}
	}
	switch {
	case f == nil:
		return sub != nil && accounts(nil, sub, path[1:])
	case f.unsupported != "":
		return true
	}
	s := f.shape
	for s.elem != nil {
		s = s.elem
	}
	return s.fields == nil || accounts(s.fields, sub, path[1:])
}
