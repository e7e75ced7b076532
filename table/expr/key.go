package expr

import "github.com/rouse-dev/rouse/table/item"

// KeyCondition is what a query asks of the keys. It knows no table yet: For checks it against one.
type KeyCondition struct {
	parts []keyPart // one or two, of different attributes
}

// keyPart is the condition on one attribute. Conditions of the legacy form may ask for what no key can answer: a name
// of a ComparisonOperator stands in foreign then.
type keyPart struct {
	name      string
	op        RangeOp
	foreign   string
	low, high item.Value
}

// RangeOp is how a range of keys is bounded.
type RangeOp uint8

// The bounds.
const (
	RangeAll        RangeOp = iota // every key
	RangeEQ                        // the key Low
	RangeLT                        // keys below Low
	RangeLE                        // keys up to and including Low
	RangeGT                        // keys above Low
	RangeGE                        // keys from Low on
	RangeBetween                   // keys from Low to High, both included
	RangeBeginsWith                // keys that begin with Low
)

// KeyRange is a key condition put against a schema: one partition, and a range of sort keys within it.
type KeyRange struct {
	Hash      item.Value
	Op        RangeOp
	Low, High item.Value
}

// KeyAttribute is an attribute of a key schema.
type KeyAttribute struct {
	Name string
	Type item.Type // item.TypeAbsent: not to be checked
}

// Names are the attributes that the condition constrains.
func (k *KeyCondition) Names() []string {
	names := make([]string, len(k.parts))
	for i := range k.parts {
		names[i] = k.parts[i].name
	}
	return names
}

// For is ForKey without the types of the attributes. rng is "" where the schema has no sort key.
func (k *KeyCondition) For(hash, rng string) (KeyRange, error) {
	return k.ForKey(KeyAttribute{Name: hash}, KeyAttribute{Name: rng})
}

// ForKey checks that the condition constrains exactly this schema: the partition key by equality, the sort key as it
// likes or not at all. rng has no name where the schema has no sort key.
func (k *KeyCondition) ForKey(hash, rng KeyAttribute) (KeyRange, error) {
	if err := k.CheckHash(hash, rng.Name != ""); err != nil {
		return KeyRange{}, err
	}
	r := KeyRange{Hash: k.part(hash.Name).low}
	if rng.Name == "" {
		return r, nil
	}
	if err := k.CheckRange(rng); err != nil {
		return KeyRange{}, err
	}
	if p := k.part(rng.Name); p != nil {
		r.Op, r.Low, r.High = p.op, p.low, p.high
	}
	return r, nil
}

// CheckHash is the part of ForKey that is about the partition key. DynamoDB checks an ExclusiveStartKey in between: its
// partition key, the condition's, its sort key, the condition's.
func (k *KeyCondition) CheckHash(hash KeyAttribute, hasRange bool) error {
	if !hasRange && len(k.parts) > 1 {
		return problem("Query key condition not supported")
	}
	p := k.part(hash.Name)
	if p == nil {
		return missedElement(hash.Name)
	}
	if err := p.check(hash); err != nil {
		return err
	}
	if p.op != RangeEQ {
		return problem("Query key condition not supported")
	}
	return p.checkEmpty()
}

// CheckRange is the part of ForKey that is about the sort key.
func (k *KeyCondition) CheckRange(rng KeyAttribute) error {
	p := k.part(rng.Name)
	if p == nil {
		if len(k.parts) > 1 {
			return missedElement(rng.Name)
		}
		return nil
	}
	if err := p.check(rng); err != nil {
		return err
	}
	return p.checkEmpty()
}

// InRange reports whether a sort key is one that the condition asks for, so that a start key can be checked.
func (r KeyRange) InRange(v item.Value) bool {
	switch r.Op {
	case RangeAll:
		return true
	case RangeEQ:
		return compare(cmpEQ, v, r.Low)
	case RangeLT:
		return compare(cmpLT, v, r.Low)
	case RangeLE:
		return compare(cmpLE, v, r.Low)
	case RangeGT:
		return compare(cmpGT, v, r.Low)
	case RangeGE:
		return compare(cmpGE, v, r.Low)
	case RangeBetween:
		return compare(cmpGE, v, r.Low) && compare(cmpLE, v, r.High)
	}
	return beginsWith(v, r.Low)
}

func missedElement(name string) error {
	return problem("Query condition missed key schema element: %s", name)
}

func (k *KeyCondition) part(name string) *keyPart {
	for i := range k.parts {
		if k.parts[i].name == name {
			return &k.parts[i]
		}
	}
	return nil
}

func (p *keyPart) check(a KeyAttribute) error {
	if p.foreign != "" {
		return problem("Attempted conditional constraint is not an indexable operation")
	}
	if a.Type == item.TypeAbsent {
		return nil
	}
	if p.low.Type() != a.Type || !p.high.IsAbsent() && p.high.Type() != a.Type {
		return problem(invalidParameters + "Condition parameter type does not match schema type")
	}
	return nil
}

// checkEmpty refuses empty strings and binaries, which no key can be.
func (p *keyPart) checkEmpty() error {
	for _, v := range [...]item.Value{p.low, p.high} {
		what := ""
		switch v.Type() {
		case item.TypeString:
			what = "string"
		case item.TypeBinary:
			what = "binary"
		}
		if what != "" && v.Len() == 0 {
			return problem("One or more parameter values are not valid. The AttributeValue for a key attribute "+
				"cannot contain an empty %s value. Key: %s", what, p.name)
		}
	}
	return nil
}

// keyCondition makes a key condition of a bound condition. Its errors stand without the name of the expression.
func keyCondition(c *Condition) (*KeyCondition, error) {
	var k KeyCondition
	if err := k.collect(c, &c.cond); err != nil {
		return nil, err
	}
	for i := range k.parts {
		if p := &k.parts[i]; p.op == RangeEQ && !p.low.Type().IsKey() && !p.low.Type().IsSet() {
			return nil, wrongComparison("EQ", p.low.Type())
		}
	}
	if err := k.checkCount(); err != nil {
		return nil, err
	}
	return &k, nil
}

func (k *KeyCondition) checkCount() error {
	if len(k.parts) < 1 || len(k.parts) > 2 {
		return problem("Conditions can be of length 1 or 2 only")
	}
	return nil
}

// collect adds the comparisons of n.
func (k *KeyCondition) collect(c *Condition, n *condNode) error {
	op := ""
	switch {
	case n.kind == condAnd:
		for i := range n.kids {
			if err := k.collect(c, &n.kids[i]); err != nil {
				return err
			}
		}
		return nil
	case n.kind == condOr:
		op = "OR"
	case n.kind == condNot:
		op = "NOT"
	case n.kind == condIn:
		op = "IN"
	case n.kind == condCompare && n.cmp == cmpNE:
		op = "<>"
	case n.kind == condCall && n.args[0].fn != fnBeginsWith:
		op = n.args[0].fn.String()
	}
	if op != "" {
		return problem("Invalid operator used in KeyConditionExpression: %s", op)
	}
	p, err := k.comparison(c, n)
	if err != nil {
		return err
	}
	if k.part(p.name) != nil {
		return problem("KeyConditionExpressions must only contain one condition per key")
	}
	k.parts = append(k.parts, p)
	return nil
}

// invalidKeyCondition begins the texts about the form of a comparison.
const invalidKeyCondition = "Invalid condition in KeyConditionExpression: "

// comparison makes a part of a comparison, a BETWEEN or a begins_with.
func (k *KeyCondition) comparison(c *Condition, n *condNode) (keyPart, error) {
	p := keyPart{op: RangeBetween}
	args, swapped := n.args, false
	switch n.kind {
	case condCompare:
		p.op = rangeOf(n.cmp)
	case condBetween:
		if args[0].kind != operandPath {
			return p, problem(invalidKeyCondition + "BETWEEN operator must have the key attribute as its first operand")
		}
	default:
		p.op, args = RangeBeginsWith, args[0].args
		if args[0].kind != operandPath {
			return p, problem(invalidKeyCondition + "begins_with operator must have the key attribute as its first operand")
		}
	}
	var values []item.Value
	for i := range args {
		switch o := &args[i]; o.kind {
		case operandPath:
			if p.name != "" {
				return p, problem(invalidKeyCondition + "Multiple attribute names used in one condition")
			}
			path := c.paths[o.slot]
			if len(path) > 1 {
				return p, problem("KeyConditionExpressions cannot have conditions on nested attributes")
			}
			p.name, swapped = path[0].Name, i > 0
		case operandValue:
			values = append(values, c.values[o.slot])
		default:
			return p, problem("KeyConditionExpressions cannot contain nested operations")
		}
	}
	if p.name == "" {
		return p, problem(invalidKeyCondition + "No key attribute specified")
	}
	if swapped {
		p.op = rangeOf(n.cmp.swapped())
	}
	p.low = values[0]
	if len(values) > 1 {
		p.high = values[1]
	}
	return p, nil
}

func rangeOf(c comparator) RangeOp {
	switch c {
	case cmpLT:
		return RangeLT
	case cmpLE:
		return RangeLE
	case cmpGT:
		return RangeGT
	case cmpGE:
		return RangeGE
	}
	return RangeEQ
}
