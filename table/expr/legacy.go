package expr

import (
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/table/item"
)

// Comparison is a legacy condition on one attribute: of KeyConditions, QueryFilter and ScanFilter.
type Comparison struct {
	Operator string       // ComparisonOperator: EQ, NE, LE, LT, GE, GT, NOT_NULL, NULL, CONTAINS, …
	List     []item.Value // AttributeValueList
}

// Expectation is an element of Expected: what a write expects of one attribute before it.
type Expectation struct {
	Value    item.Value   // absent when not sent
	Exists   *bool        // nil when not sent
	Operator string       // ComparisonOperator; "" when not sent
	List     []item.Value // AttributeValueList; nil when not sent, which is not the same as empty
}

// AttributeUpdate is an element of AttributeUpdates.
type AttributeUpdate struct {
	Action string     // PUT, which "" means, ADD or DELETE
	Value  item.Value // absent when not sent
}

// BindAttributesToGet makes a projection of AttributesToGet.
func BindAttributesToGet(names []string) (*Projection, error) {
	paths := make([]item.Path, len(names))
	seen := make(map[string]struct{}, len(names))
	for i, name := range names {
		if _, ok := seen[name]; ok {
			return nil, problem(invalidParameters+"Duplicate value in attribute name: %s", name)
		}
		seen[name] = struct{}{}
		paths[i] = item.Path{{Name: name}}
	}
	tree, _ := grow(paths)
	return newProjection(paths, tree), nil
}

// BindExpected makes a condition of Expected and ConditionalOperator, which is AND, OR or "" for AND. It is nil where
// nothing is expected.
func BindExpected(expected map[string]Expectation, operator string) (*Condition, error) {
	var b legacyCondition
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		e := expected[name]
		if err := e.check(name); err != nil {
			return nil, err
		}
		b.add(name, e.operator(), e.list())
	}
	return b.condition(operator), nil
}

// BindFilter makes a filter of QueryFilter or ScanFilter and ConditionalOperator. It is nil where nothing is filtered.
func BindFilter(filter map[string]Comparison, operator string) (*Condition, error) {
	var b legacyCondition
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		c := filter[name]
		if err := c.check(); err != nil {
			return nil, err
		}
		b.add(name, c.Operator, c.List)
	}
	return b.condition(operator), nil
}

// BindKeyConditions makes a key condition of KeyConditions.
func BindKeyConditions(conditions map[string]Comparison) (*KeyCondition, error) {
	var k KeyCondition
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		c := conditions[name]
		if err := c.check(); err != nil {
			return nil, err
		}
		p := keyPart{name: name}
		switch c.Operator {
		case "EQ":
			p.op = RangeEQ
		case "LT":
			p.op = RangeLT
		case "LE":
			p.op = RangeLE
		case "GT":
			p.op = RangeGT
		case "GE":
			p.op = RangeGE
		case "BETWEEN":
			p.op, p.high = RangeBetween, c.List[1]
		case "BEGINS_WITH":
			p.op = RangeBeginsWith
		default:
			p.foreign = c.Operator
		}
		if len(c.List) > 0 {
			p.low = c.List[0]
		}
		k.parts = append(k.parts, p)
	}
	if err := k.checkCount(); err != nil {
		return nil, err
	}
	return &k, nil
}

// BindAttributeUpdates makes an update of AttributeUpdates. It is never nil: an update of nothing is one, too.
func BindAttributeUpdates(updates map[string]AttributeUpdate) (*Update, error) {
	e := &expression{actions: make([]action, 0, len(updates))}
	s := scope{expression: e}
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		u := updates[name]
		if err := u.check(); err != nil {
			return nil, err
		}
		a := action{legacy: true, path: len(s.paths)}
		switch {
		case u.Action == "ADD":
			a.section = sectionAdd
		case u.Action == "DELETE" && u.Value.IsAbsent():
			a.section = sectionRemove
		case u.Action == "DELETE":
			a.section = sectionDelete
		}
		if a.section != sectionRemove {
			a.value = operand{kind: operandValue, slot: len(s.values)}
			s.values = append(s.values, u.Value)
		}
		s.paths = append(s.paths, item.Path{{Name: name}})
		e.actions = append(e.actions, a)
	}
	tree, _ := grow(s.paths)
	return &Update{scope: s, tree: tree}, nil
}

func (u AttributeUpdate) check() error {
	t := u.Value.Type()
	switch {
	case t == item.TypeAbsent && u.Action != "DELETE":
		return problem(invalidParameters + "Only DELETE action is allowed when no attribute value is specified")
	case t == item.TypeAbsent:
	case u.Action == "DELETE" && !t.IsSet():
		return problem(invalidParameters+"DELETE action with value is not supported for the type %s", t)
	case u.Action == "ADD" && !t.IsSet() && t != item.TypeNumber && t != item.TypeList:
		return problem(invalidParameters+"ADD action is not supported for the type %s", t)
	}
	return nil
}

// check checks what Expected says of the attribute name.
func (e Expectation) check(name string) error {
	switch {
	case e.List != nil && !e.Value.IsAbsent():
		return problem(invalidParameters+"Value and AttributeValueList cannot be used together for Attribute: %s", name)
	case e.Operator != "" && e.Exists != nil:
		return problem(invalidParameters+"Exists and ComparisonOperator cannot be used together for Attribute: %s", name)
	case e.Operator != "":
		if e.Operator != "NULL" && e.Operator != "NOT_NULL" && e.List == nil && e.Value.IsAbsent() {
			return problem(invalidParameters+"Value or AttributeValueList must be used with ComparisonOperator: %s "+
				"for Attribute: %s", e.Operator, name)
		}
		return Comparison{e.Operator, e.list()}.check()
	case e.List != nil:
		return problem(invalidParameters+"AttributeValueList can only be used with a ComparisonOperator for Attribute: %s", name)
	case e.Exists != nil && !*e.Exists && !e.Value.IsAbsent():
		return problem(invalidParameters+"Value cannot be used when Exists is false for Attribute: %s", name)
	case e.Value.IsAbsent() && e.Exists == nil:
		return problem(invalidParameters+"Value must be provided when Exists is null for Attribute: %s", name)
	case e.Value.IsAbsent() && *e.Exists:
		return problem(invalidParameters+"Value must be provided when Exists is true for Attribute: %s", name)
	}
	return nil
}

// operator is the comparison that the expectation means.
func (e Expectation) operator() string {
	switch {
	case e.Operator != "":
		return e.Operator
	case e.Value.IsAbsent():
		return "NULL"
	}
	return "EQ"
}

// list are the values that it compares with.
func (e Expectation) list() []item.Value {
	if !e.Value.IsAbsent() {
		return []item.Value{e.Value}
	}
	return e.List
}

// check checks the number of values, and their types.
func (c Comparison) check() error {
	fits := len(c.List) == 1
	switch c.Operator {
	case "NULL", "NOT_NULL":
		fits = len(c.List) == 0
	case "BETWEEN":
		fits = len(c.List) == 2
	case "IN":
		fits = len(c.List) >= 1
	}
	if !fits {
		return problem(invalidParameters+"Invalid number of argument(s) for the %s ComparisonOperator", c.Operator)
	}
	for _, v := range c.List {
		if v.Type() != c.List[0].Type() {
			return problem(invalidParameters + "AttributeValues inside AttributeValueList must be of same type")
		}
	}
	if len(c.List) > 0 && !takes(c.Operator, c.List[0].Type()) {
		return wrongComparison(c.Operator, c.List[0].Type())
	}
	if c.Operator == "BETWEEN" && compare(cmpGT, c.List[0], c.List[1]) {
		return problem("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")
	}
	return nil
}

// takes reports whether an operator takes values of type t.
func takes(operator string, t item.Type) bool {
	switch operator {
	case "LT", "LE", "GT", "GE", "BETWEEN", "IN":
		return t.IsKey()
	case "CONTAINS", "NOT_CONTAINS":
		return !t.IsSet() && t != item.TypeList && t != item.TypeMap
	case "BEGINS_WITH":
		return t == item.TypeString || t == item.TypeBinary
	}
	return true
}

func wrongComparison(operator string, t item.Type) error {
	return problem(invalidParameters+"ComparisonOperator %s is not valid for %s AttributeValue type", operator, t)
}

// legacyCondition collects comparisons into what an expression would have been parsed to.
type legacyCondition struct {
	s    scope
	kids []condNode
}

// add adds a comparison that was checked.
func (b *legacyCondition) add(name, operator string, list []item.Value) {
	args := []operand{{kind: operandPath, slot: len(b.s.paths)}}
	b.s.paths = append(b.s.paths, item.Path{{Name: name}})
	for _, v := range list {
		args = append(args, operand{kind: operandValue, slot: len(b.s.values)})
		b.s.values = append(b.s.values, v)
	}
	call := func(fn function) condNode {
		return condNode{kind: condCall, args: []operand{{kind: operandCall, fn: fn, args: args}}}
	}
	n := condNode{kind: condCompare, args: args}
	switch operator {
	case "EQ":
		n.cmp = cmpEQ
	case "NE":
		n.cmp = cmpNE
	case "LT":
		n.cmp = cmpLT
	case "LE":
		n.cmp = cmpLE
	case "GT":
		n.cmp = cmpGT
	case "GE":
		n.cmp = cmpGE
	case "IN":
		n.kind = condIn
	case "BETWEEN":
		n.kind = condBetween
	case "NULL":
		n = call(fnAttributeNotExists)
	case "NOT_NULL":
		n = call(fnAttributeExists)
	case "CONTAINS":
		n = call(fnContains)
	case "BEGINS_WITH":
		n = call(fnBeginsWith)
	default: // NOT_CONTAINS, which is false where there is no attribute
		not := condNode{kind: condNot, kids: []condNode{call(fnContains)}}
		n = condNode{kind: condAnd, kids: []condNode{call(fnAttributeExists), not}}
	}
	b.kids = append(b.kids, n)
}

// condition joins the comparisons by operator.
func (b *legacyCondition) condition(operator string) *Condition {
	if len(b.kids) == 0 {
		return nil
	}
	kind := condAnd
	if operator == "OR" {
		kind = condOr
	}
	b.s.expression = &expression{cond: condNode{kind: kind, kids: b.kids}}
	return newCondition(b.s)
}
