package expr

// term is what the parser of conditions has read: a condition, or an operand that may yet become one. Which of the two
// a parenthesis opens is known only behind it.
type term struct {
	cond      condNode
	operand   operand
	isOperand bool
	wrapped   bool // in parentheses
}

// conditionText reads a whole condition.
func (p *parser) conditionText() error {
	t, err := p.or()
	if err != nil {
		return err
	}
	p.e.cond, err = p.condition(t)
	return err
}

// condition makes a condition of t. Of operands only a call is one by itself.
func (p *parser) condition(t term) (condNode, error) {
	switch {
	case !t.isOperand:
		return t.cond, nil
	case t.operand.kind != operandCall:
		return condNode{}, p.syntaxError()
	case t.operand.fn == fnSize:
		p.misuse(&t.operand)
	}
	return condNode{kind: condCall, args: []operand{t.operand}}, nil
}

func (p *parser) or() (term, error) { return p.chain("OR", condOr, p.and) }

func (p *parser) and() (term, error) { return p.chain("AND", condAnd, p.not) }

// chain reads conditions with the operator word between them; a single one stays what it is.
func (p *parser) chain(word string, kind condKind, next func() (term, error)) (term, error) {
	t, err := next()
	if err != nil || !p.isWord(word) {
		return t, err
	}
	n := condNode{kind: kind}
	for {
		c, err := p.condition(t)
		if err != nil {
			return t, err
		}
		n.kids = append(n.kids, c)
		if !p.isWord(word) {
			return term{cond: n}, nil
		}
		p.advance()
		p.operators++
		if t, err = next(); err != nil {
			return t, err
		}
	}
}

func (p *parser) not() (term, error) {
	if !p.isWord("NOT") {
		return p.primary()
	}
	p.advance()
	p.operators++
	t, err := p.not()
	if err != nil {
		return t, err
	}
	c, err := p.condition(t)
	return term{cond: condNode{kind: condNot, kids: []condNode{c}}}, err
}

// primary reads a comparison, a BETWEEN, an IN, a thing in parentheses, or an operand.
func (p *parser) primary() (term, error) {
	t := term{isOperand: true}
	var err error
	if p.accept("(") {
		if t, err = p.or(); err != nil {
			return t, err
		}
		p.parens(t.wrapped)
		if err := p.expect(")"); err != nil {
			return t, err
		}
		t.wrapped = true
		if !t.isOperand {
			return t, nil
		}
		t.operand, t.wrapped, err = p.goOn(t.operand)
	} else {
		t.operand, err = p.operand()
	}
	if err != nil {
		return t, err
	}
	return p.comparison(t)
}

// comparison reads what follows an operand and makes a condition of it. If nothing does, it stays an operand.
func (p *parser) comparison(t term) (term, error) {
	n := condNode{args: []operand{t.operand}}
	var err error
	cmp, isCmp := p.comparator()
	switch {
	case isCmp:
		p.advance()
		n.kind, n.cmp = condCompare, cmp
		err = p.another(&n)
	case p.isWord("BETWEEN"):
		p.advance()
		n.kind = condBetween
		if err = p.another(&n); err != nil {
			return t, err
		}
		if !p.isWord("AND") {
			return t, p.syntaxError()
		}
		p.advance()
		err = p.another(&n)
	case p.isWord("IN"):
		p.advance()
		n.kind = condIn
		if err = p.expect("("); err != nil {
			return t, err
		}
		var list []operand
		list, err = p.arguments()
		n.args = append(n.args, list...)
	default:
		return t, nil
	}
	if err != nil {
		return t, err
	}
	p.operators++
	for i := range n.args {
		p.mustBeOperand(&n.args[i])
	}
	return term{cond: n}, nil
}

// another reads one more operand of n.
func (p *parser) another(n *condNode) error {
	o, _, err := p.operandInParens()
	n.args = append(n.args, o)
	return err
}

// comparator tells which comparator is at hand.
func (p *parser) comparator() (comparator, bool) {
	if p.tok.kind != tokPunct {
		return 0, false
	}
	switch p.str(p.tok) {
	case "=":
		return cmpEQ, true
	case "<>":
		return cmpNE, true
	case "<":
		return cmpLT, true
	case "<=":
		return cmpLE, true
	case ">":
		return cmpGT, true
	case ">=":
		return cmpGE, true
	}
	return 0, false
}
