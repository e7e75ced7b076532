package expr

// sectionWord tells which section the word at hand begins; sectionEnd when none.
func (p *parser) sectionWord() section {
	for s := sectionSet; s < sectionEnd; s++ {
		if p.isWord(s.String()) {
			return s
		}
	}
	return sectionEnd
}

// updateText reads an update: sections, each a word and actions with commas between them.
func (p *parser) updateText() error {
	var seen [sectionEnd]bool
	for {
		s := p.sectionWord()
		if s == sectionEnd {
			return p.syntaxError()
		}
		p.advance()
		if seen[s] {
			note(&p.twice, `The "%s" section can only be used once in an update expression;`, s)
		}
		seen[s] = true
		for {
			a, err := p.action(s)
			if err != nil {
				return err
			}
			p.e.actions = append(p.e.actions, a)
			if !p.accept(",") {
				break
			}
		}
		if p.tok.kind == tokEOF {
			return nil
		}
	}
}

// action reads one action of section s.
func (p *parser) action(s section) (action, error) {
	slot, err := p.path()
	a := action{section: s, path: slot}
	if err != nil {
		return a, err
	}
	switch s {
	case sectionSet:
		if err := p.expect("="); err != nil {
			return a, err
		}
		a.value, _, err = p.assigned()
	case sectionAdd, sectionDelete:
		if p.tok.kind != tokValue {
			return a, p.syntaxError()
		}
		a.value = p.value()
	}
	return a, err
}

// assigned reads the right side of a SET: an operand, or the sum or difference of two, in parentheses or not. It
// reports whether the value is simple, that is, may be an operand of + or - itself.
func (p *parser) assigned() (o operand, simple bool, err error) {
	if p.accept("(") {
		if o, simple, err = p.assigned(); err != nil {
			return o, false, err
		}
		if err := p.expect(")"); err != nil {
			return o, false, err
		}
		if !simple {
			return o, false, nil
		}
	} else if o, err = p.operand(); err != nil {
		return o, false, err
	}
	fn := fnPlus
	switch {
	case p.is("-"):
		fn = fnMinus
	case !p.is("+"):
		return o, true, nil
	}
	p.advance()
	p.operators++
	right, _, err := p.operandInParens()
	return operand{kind: operandCall, fn: fn, args: []operand{o, right}}, false, err
}
