package expr

import (
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// Tree writes a condition down with its structure, for tests of the parser.
func (c *Condition) Tree() string {
	var b strings.Builder
	c.writeCond(&b, &c.cond)
	return b.String()
}

func (s *scope) writeCond(b *strings.Builder, n *condNode) {
	if n.kind == condCall {
		s.writeOperand(b, &n.args[0])
		return
	}
	b.WriteByte('(')
	switch n.kind {
	case condCompare:
		b.WriteString(n.cmp.String())
	default:
		b.WriteString([...]string{"and", "or", "not", "", "between", "in"}[n.kind])
	}
	for i := range n.kids {
		b.WriteByte(' ')
		s.writeCond(b, &n.kids[i])
	}
	for i := range n.args {
		b.WriteByte(' ')
		s.writeOperand(b, &n.args[i])
	}
	b.WriteByte(')')
}

// Tree writes an update down with its structure.
func (u *Update) Tree() string {
	var b strings.Builder
	for i := range u.actions {
		a := &u.actions[i]
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("(" + strings.ToLower(a.section.String()) + " " + u.paths[a.path].String())
		if a.section != sectionRemove {
			b.WriteByte(' ')
			u.writeOperand(&b, &a.value)
		}
		b.WriteByte(')')
	}
	return b.String()
}

func (s *scope) writeOperand(b *strings.Builder, o *operand) {
	switch o.kind {
	case operandPath:
		b.WriteString(s.paths[o.slot].String())
	case operandValue:
		b.WriteString(s.expression.values[o.slot])
	default:
		b.WriteString("(" + o.fn.String())
		for i := range o.args {
			b.WriteByte(' ')
			s.writeOperand(b, &o.args[i])
		}
		b.WriteByte(')')
	}
}

// String writes a range down, for tests.
func (r KeyRange) String() string {
	op := [...]string{"all", "=", "<", "<=", ">", ">=", "between", "begins_with"}[r.Op]
	s := "hash " + show(r.Hash) + ", range " + op
	for _, v := range []item.Value{r.Low, r.High} {
		if !v.IsAbsent() {
			s += " " + show(v)
		}
	}
	return s
}

func show(v item.Value) string {
	if v.Type() == item.TypeString {
		return strconv.Quote(v.Str())
	}
	return showValue(v)
}
