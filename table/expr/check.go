package expr

import (
	"fmt"

	"github.com/rouse-dev/rouse/table/item"
)

// checker looks for what is wrong with operands once names and values are known.
//
// A condition is checked comparison by comparison, and within one class by class: what is undefined, how many operands
// there are, operands that have to be distinct, their types. An update is checked as a whole.
type checker struct {
	*scope
	someUndefined bool // whether to look for undefined names and values
	names         map[string]string
	undefined     string // the first problem of each class
	count         string
	distinct      string
	types         string
}

// condition checks the comparisons of a condition in the order of the text.
func (c *checker) condition(n *condNode) error {
	for i := range n.kids {
		if err := c.condition(&n.kids[i]); err != nil {
			return err
		}
	}
	if len(n.args) == 0 {
		return nil
	}
	for i := range n.args {
		c.operand(&n.args[i])
	}
	switch n.kind {
	case condCompare:
		c.mustDiffer(n.cmp.String(), n.args)
		if n.cmp.isOrder() {
			c.mustHaveOrder(n.cmp.String(), n.args)
		}
	case condBetween:
		c.mustDiffer("BETWEEN", n.args)
		c.mustHaveOrder("BETWEEN", n.args)
		c.bounds(&n.args[1], &n.args[2])
	case condIn:
		if len(n.args)-1 > inMax {
			note(&c.count, "The IN operator is provided with too many operands; number of operands: %d", len(n.args)-1)
		}
		c.mustDiffer("IN", n.args)
	}
	for _, text := range [...]string{c.undefined, c.count, c.distinct, c.types} {
		if text != "" {
			return problem("%s", text)
		}
	}
	return nil
}

// operand checks an operand, that of a call after its own operands.
func (c *checker) operand(o *operand) {
	switch o.kind {
	case operandPath:
		if c.someUndefined && c.undefined == "" {
			c.definedPath(o.slot)
		}
	case operandValue:
		if c.someUndefined && c.undefined == "" && c.values[o.slot].IsAbsent() {
			c.undefined = undefinedValue(c.expression.values[o.slot]).Error()
		}
	case operandCall:
		for i := range o.args {
			c.operand(&o.args[i])
		}
		c.call(o)
	}
}

// definedPath looks for an undefined #name in a path.
func (c *checker) definedPath(slot int) {
	for _, s := range c.expression.paths[slot] {
		if s.slot < 0 {
			continue
		}
		if key := c.expression.names[s.slot]; c.names[key] == "" {
			c.undefined = undefinedName(key).Error()
			return
		}
	}
}

// call checks the number and types of a function's operands.
func (c *checker) call(o *operand) {
	if len(o.args) != o.fn.operands() {
		note(&c.count, "Incorrect number of operands for operator or function; operator or function: %s, "+
			"number of operands: %d", o.fn, len(o.args))
		return
	}
	switch o.fn {
	case fnAttributeExists, fnAttributeNotExists, fnIfNotExists:
		if o.args[0].kind != operandPath {
			note(&c.types, "Operator or function requires a document path; operator or function: %s", o.fn)
		}
	case fnAttributeType:
		c.mustDiffer(o.fn.String(), o.args)
		c.attributeType(&o.args[1])
	case fnBeginsWith:
		c.mustDiffer(o.fn.String(), o.args)
		c.mustBe(o, item.TypeString, item.TypeBinary)
	case fnContains:
		c.mustDiffer(o.fn.String(), o.args)
	case fnSize:
		switch t := c.typeOf(&o.args[0]); t {
		case item.TypeNumber, item.TypeBool, item.TypeNull:
			c.wrongType(o.fn.String(), t)
		}
	case fnListAppend:
		c.mustBe(o, item.TypeList, item.TypeList)
	case fnPlus, fnMinus:
		c.mustBe(o, item.TypeNumber, item.TypeNumber)
	}
}

// attributeType checks the second operand of attribute_type.
func (c *checker) attributeType(o *operand) {
	switch t := c.typeOf(o); t {
	case item.TypeString:
		name := c.values[o.slot].Str()
		if _, ok := item.ParseType(name); !ok {
			note(&c.types, "Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", name)
		}
	case item.TypeAbsent:
		note(&c.types, "Incorrect operand type for operator or function; operator or function: attribute_type, "+
			"operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
	default:
		c.wrongType("attribute_type", t)
	}
}

// typeOf is the type of an operand, where it is the same for every item; absent where it is not.
func (c *checker) typeOf(o *operand) item.Type {
	switch {
	case o.kind == operandValue:
		return c.values[o.slot].Type()
	case o.isCall(fnSize):
		return item.TypeNumber
	}
	return item.TypeAbsent
}

// mustBe checks that the operands of a call whose types are known are of type t or u.
func (c *checker) mustBe(o *operand, t, u item.Type) {
	for i := range o.args {
		if is := c.typeOf(&o.args[i]); is != item.TypeAbsent && is != t && is != u {
			c.wrongType(o.fn.String(), is)
		}
	}
}

// mustHaveOrder checks that operands whose types are known can be ordered.
func (c *checker) mustHaveOrder(op string, args []operand) {
	for i := range args {
		if t := c.typeOf(&args[i]); t != item.TypeAbsent && !t.IsKey() {
			c.wrongType(op, t)
		}
	}
}

func (c *checker) wrongType(op string, t item.Type) {
	note(&c.types, "Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, t)
}

// mustDiffer checks that the first operand is not a path that comes again.
func (c *checker) mustDiffer(op string, args []operand) {
	if args[0].kind != operandPath || c.distinct != "" {
		return
	}
	p := c.paths[args[0].slot]
	for i := range args[1:] {
		if o := &args[i+1]; o.kind == operandPath && comparePaths(p, c.paths[o.slot]) == 0 {
			note(&c.distinct, "The first operand must be distinct from the remaining operands for this operator or function; "+
				"operator: %s, first operand: %s", op, pathString(p))
			return
		}
	}
}

// bounds checks the bounds of a BETWEEN that are values of the request.
func (c *checker) bounds(low, high *operand) {
	if low.kind != operandValue || high.kind != operandValue {
		return
	}
	a, b := c.values[low.slot], c.values[high.slot]
	if a.IsAbsent() || b.IsAbsent() {
		return
	}
	order, ok := item.Compare(a, b)
	if ok && order <= 0 {
		return
	}
	rule := "upper bound to be greater than or equal to lower bound"
	if !ok {
		rule = "same data type for lower and upper bounds"
	}
	note(&c.types, "The BETWEEN operator requires %s; lower bound operand: AttributeValue: %s, "+
		"upper bound operand: AttributeValue: %s", rule, showValue(a), showValue(b))
}

// showValue writes a bound as DynamoDB does.
func showValue(v item.Value) string {
	switch v.Type() {
	case item.TypeString:
		return "{S:" + v.Str() + "}"
	case item.TypeNumber:
		return "{N:" + v.Number().String() + "}"
	case item.TypeBinary:
		return fmt.Sprintf("{B:java.nio.HeapByteBuffer[pos=0 lim=%d cap=%[1]d]}", v.Len())
	}
	return "{" + v.Type().String() + ":}"
}

// update checks the operands of an update: those of ADD and DELETE come first.
func (c *checker) update() error {
	for i := range c.actions {
		a := &c.actions[i]
		if a.section != sectionAdd && a.section != sectionDelete {
			continue
		}
		t := c.values[a.value.slot].Type()
		if t.IsSet() || t == item.TypeNumber && a.section == sectionAdd {
			continue
		}
		return problem("Incorrect operand type for operator or function; operator: %s, operand type: %s", a.section, longType(t))
	}
	for i := range c.actions {
		if c.actions[i].section == sectionSet {
			c.operand(&c.actions[i].value)
		}
		for _, text := range [...]string{c.count, c.types} {
			if text != "" {
				return problem("%s", text)
			}
		}
	}
	return nil
}

// longType is the name that DynamoDB gives a type in the errors of ADD and DELETE.
func longType(t item.Type) string {
	switch t {
	case item.TypeString:
		return "STRING"
	case item.TypeNumber:
		return "NUMBER"
	case item.TypeBinary:
		return "BINARY"
	case item.TypeBool:
		return "BOOLEAN"
	case item.TypeList:
		return "LIST"
	case item.TypeMap:
		return "MAP"
	}
	return t.String()
}
