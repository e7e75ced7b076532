package wire

import (
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// formMax is how many parameters a query request may have; net/url takes no more either.
const formMax = 10000

// formNode is one step of a dotted parameter name: Tags.member.1.Key is four.
type formNode struct {
	value string
	set   bool // a parameter ends here
	next  map[string]*formNode
}

// ParseForm reads an application/x-www-form-urlencoded body. The last of equal names wins.
func ParseForm(text string) (url.Values, error) {
	if strings.Count(text, "&") >= formMax {
		return nil, malformed("The request has more than %d parameters", formMax)
	}
	v, err := url.ParseQuery(text)
	if err != nil {
		return nil, malformed("The request's parameters are not valid: %v", err)
	}
	return v, nil
}

// formTree arranges the parameters by the steps of their names.
func formTree(form url.Values) (*formNode, error) {
	root := &formNode{}
	for name, values := range form {
		if name == "Action" || name == "Version" || strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		if strings.Count(name, ".") >= depthMax {
			return nil, malformed("A parameter's name has more than %d parts", depthMax)
		}
		n := root
		for _, step := range strings.Split(name, ".") {
			c := n.next[step]
			if c == nil {
				c = &formNode{}
				if n.next == nil {
					n.next = map[string]*formNode{}
				}
				n.next[step] = c
			}
			n = c
		}
		n.set, n.value = true, values[len(values)-1]
	}
	return root, nil
}

// formDecoder fills structs from a form.
type formDecoder struct {
	op       string
	elements int
}

func (d *formDecoder) object(n *formNode, v reflect.Value, pl *plan, rf *refuseNode) error {
	if err := d.refusals(n, pl, rf); err != nil {
		return err
	}
	for _, f := range pl.fields {
		c := n.next[f.wire]
		if c == nil || f.in != inBody {
			continue
		}
		sub := rf.child(f.wire)
		if f.unsupported != "" {
			if err := refuseForm(c, tagged(d.op, f)); err != nil {
				return err
			}
			continue
		}
		if err := refuseForm(c, sub); err != nil {
			return err
		}
		if err := d.value(c, f.of(v), f.shape, f, sub); err != nil {
			return err
		}
	}
	return nil
}

// refusals looks at the members that the struct does not have.
func (d *formDecoder) refusals(n *formNode, pl *plan, rf *refuseNode) error {
	if rf == nil {
		return nil
	}
	for name, c := range n.next {
		if pl.body[name] == nil {
			if err := refuseForm(c, rf.child(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseForm checks a parameter and all below it. The steps of lists and maps ("member", "1", "entry") are no members.
func refuseForm(c *formNode, rf *refuseNode) error {
	if rf == nil {
		return nil
	}
	if err := rf.text(c.value); err != nil {
		return err
	}
	for step, n := range c.next {
		below := rf
		if sub := rf.child(step); sub != nil {
			below = sub
		}
		if err := refuseForm(n, below); err != nil {
			return err
		}
	}
	return nil
}

func (d *formDecoder) value(n *formNode, v reflect.Value, s *shape, f *field, rf *refuseNode) error {
	if s.ptr {
		if v.IsNil() {
			v.Set(reflect.New(s.typ))
		}
		v = v.Elem()
	}
	switch s.kind {
	case kindStruct:
		return d.object(n, v, s.fields, rf)
	case kindList:
		return d.list(n, v, s, f, rf)
	case kindMap:
		return d.mapping(n, v, s, f, rf)
	}
	if !n.set {
		if len(n.next) > 0 {
			return malformed("Start of structure or map found where not expected.")
		}
		return nil
	}
	return setText(v, s, n.value)
}

// list reads Name.member.N, or Name.N where the list is flat; clients that leave the wrapper out are understood too.
func (d *formDecoder) list(n *formNode, v reflect.Value, s *shape, f *field, rf *refuseNode) error {
	if w := n.next[f.item]; w != nil && !f.flat {
		n = w
	}
	items, err := d.numbered(n)
	if err != nil {
		return err
	}
	out := reflect.MakeSlice(s.typ, len(items), len(items))
	for i, item := range items {
		if err := d.value(item, out.Index(i), s.elem, &inner, rf); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

// inner is the field of lists within lists, which have no tags of their own.
var inner = field{item: "member", key: "key", value: "value"}

// mapping reads Name.entry.N.key and Name.entry.N.value, or Name.N.… where the map is flat.
func (d *formDecoder) mapping(n *formNode, v reflect.Value, s *shape, f *field, rf *refuseNode) error {
	if w := n.next["entry"]; w != nil && !f.flat {
		n = w
	}
	items, err := d.numbered(n)
	if err != nil {
		return err
	}
	out := reflect.MakeMapWithSize(s.typ, len(items))
	for _, item := range items {
		k, val := item.next[f.key], item.next[f.value]
		if k == nil || !k.set {
			return malformed("A map entry has no %s", f.key)
		}
		e := reflect.New(s.typ.Elem()).Elem()
		if val != nil {
			if err := d.value(val, e, s.elem, &inner, rf); err != nil {
				return err
			}
		}
		out.SetMapIndex(reflect.ValueOf(k.value).Convert(s.typ.Key()), e)
	}
	v.Set(out)
	return nil
}

// numbered lists n's children in the order of their numbers. Gaps are closed.
func (d *formDecoder) numbered(n *formNode) ([]*formNode, error) {
	type item struct {
		at   int
		node *formNode
	}
	items := make([]item, 0, len(n.next))
	for step, c := range n.next {
		at, err := strconv.Atoi(step)
		if err != nil || at < 0 {
			return nil, malformed("%.64q is not the number of a list item", step)
		}
		if d.elements++; d.elements > elementsMax {
			return nil, malformed("The request has more than %d list items and map entries", elementsMax)
		}
		items = append(items, item{at, c})
	}
	sort.Slice(items, func(i, j int) bool { return items[i].at < items[j].at })
	out := make([]*formNode, len(items))
	for i, it := range items {
		out[i] = it.node
	}
	return out, nil
}
