package expr

import (
	"fmt"
	"strconv"
)

// Limits of DynamoDB's expressions.
const (
	textMax      = 4096 // bytes of an expression
	operatorsMax = 300  // operators of an expression; those of an update include its functions
	inMax        = 100  // values in the list of an IN
	stepsMax     = 32   // steps of a document path
	indexMax     = 1<<31 - 1
)

// parser reads one expression. It goes down by recursion, which the length of a text bounds, and never goes back.
//
// A syntax error ends it at once. What is wrong in itself, whatever names and values a request brings, is noted on the
// way, the first of its class; finish answers with DynamoDB's order of classes.
type parser struct {
	lexer
	e         *expression
	grammar   grammar
	operators int
	redundant bool   // two pairs of parentheses around one thing
	unknown   string // a function that is not there
	misused   string // a function where it may not stand
	badName   string // a reserved word, or an index or a path out of bounds
	twice     string // a section of an update that comes a second time
}

// parse reads text. The error is DynamoDB's text without the name of the expression in front.
func parse(g grammar, text string) (*expression, error) {
	if text == "" {
		return nil, problem("The expression can not be empty;")
	}
	if len(text) > textMax {
		return nil, problem("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	p := &parser{lexer: newLexer(text), e: &expression{}, grammar: g}
	var err error
	switch g {
	case grammarCondition:
		err = p.conditionText()
	case grammarUpdate:
		err = p.updateText()
	default:
		err = p.projectionText()
	}
	if err == nil && p.tok.kind != tokEOF {
		err = p.syntaxError()
	}
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		return nil, err
	}
	p.e.fixPaths(g)
	return p.e, nil
}

// finish answers the noted problem that DynamoDB reports first.
func (p *parser) finish() error {
	if p.redundant {
		return problem("The expression has redundant parentheses;")
	}
	if p.operators > operatorsMax {
		return problem("The expression contains too many operators; operator count: %d", operatorsMax+1)
	}
	classes := [...]string{p.unknown, p.misused, p.badName}
	if p.grammar == grammarUpdate {
		classes = [...]string{p.badName, p.unknown, p.misused}
	}
	for _, text := range classes {
		if text != "" {
			return problem("%s", text)
		}
	}
	if p.twice != "" {
		return problem("%s", p.twice)
	}
	return nil
}

// note keeps the first problem of a class.
func note(class *string, format string, args ...any) {
	if *class == "" {
		*class = fmt.Sprintf(format, args...)
	}
}

// syntaxError complains about the token at hand.
func (p *parser) syntaxError() error {
	token := "<EOF>"
	if p.tok.kind != tokEOF {
		token = p.str(p.tok)
	}
	return problem(`Syntax error; token: "%s", near: "%s"`, token, p.near())
}

// expect passes over the punctuation s.
func (p *parser) expect(s string) error {
	if !p.is(s) {
		return p.syntaxError()
	}
	p.advance()
	return nil
}

// accept passes over the punctuation s if it is there.
func (p *parser) accept(s string) bool {
	if !p.is(s) {
		return false
	}
	p.advance()
	return true
}

// isKeyword reports whether the identifier at hand is a keyword of the grammar, and so no name.
func (p *parser) isKeyword() bool {
	switch p.grammar {
	case grammarCondition:
		return p.isWord("AND") || p.isWord("OR") || p.isWord("NOT") || p.isWord("BETWEEN") || p.isWord("IN")
	case grammarUpdate:
		return p.sectionWord() != sectionEnd
	}
	return false
}

// path reads a document path from its first name on, and answers its slot.
func (p *parser) path() (int, error) {
	step, err := p.name()
	if err != nil {
		return 0, err
	}
	p.e.paths = append(p.e.paths, pathText{step})
	slot := len(p.e.paths) - 1
	return slot, p.steps(slot)
}

// steps reads the .name and [index] that continue a path.
func (p *parser) steps(slot int) error {
	path := p.e.paths[slot]
	for {
		switch {
		case p.accept("."):
			step, err := p.name()
			if err != nil {
				return err
			}
			path = append(path, step)
		case p.accept("["):
			if p.tok.kind != tokInt {
				return p.syntaxError()
			}
			digits := p.str(p.tok)
			at, err := strconv.Atoi(digits)
			if err != nil || at > indexMax {
				note(&p.badName, "List index is not within the allowable range; index: [%s]", digits)
				at = 0
			}
			path = append(path, stepText{slot: -1, at: at})
			p.advance()
			if err := p.expect("]"); err != nil {
				return err
			}
		default:
			if len(path) > stepsMax {
				note(&p.badName, "The document path has too many nesting levels; nesting levels: %d", len(path))
			}
			p.e.paths[slot] = path
			return nil
		}
	}
}

// name reads one name of a path, written out or as a #name.
func (p *parser) name() (stepText, error) {
	word := p.str(p.tok)
	switch {
	case p.tok.kind == tokName:
		p.advance()
		return stepText{slot: slotOf(&p.e.names, &p.e.nameSlot, word), at: -1}, nil
	case p.tok.kind == tokIdent && !p.isKeyword():
		if Reserved(word) {
			note(&p.badName, "Attribute name is a reserved keyword; reserved keyword: %s", word)
		}
		p.advance()
		return stepText{name: word, slot: -1, at: -1}, nil
	}
	return stepText{}, p.syntaxError()
}

// operand reads a path, a :value or a call.
func (p *parser) operand() (operand, error) {
	switch {
	case p.tok.kind == tokValue:
		return p.value(), nil
	case p.tok.kind == tokIdent && p.next.kind == tokPunct && p.str(p.next) == "(" && !p.isKeyword():
		return p.call()
	}
	slot, err := p.path()
	return operand{kind: operandPath, slot: slot}, err
}

// value reads a :value, which is at hand.
func (p *parser) value() operand {
	o := operand{kind: operandValue, slot: slotOf(&p.e.values, &p.e.valueSlot, p.str(p.tok))}
	p.advance()
	return o
}

// call reads a call of a function, whose name is at hand.
func (p *parser) call() (operand, error) {
	name := p.str(p.tok)
	o := operand{kind: operandCall, fn: functionOf(name)}
	p.advance()
	p.advance()
	args, err := p.arguments()
	if err != nil {
		return operand{}, err
	}
	o.args = args
	switch {
	case o.fn == fnUnknown:
		note(&p.unknown, "Invalid function name; function: %s", name)
	case p.grammar == grammarUpdate && !o.fn.ofUpdates():
		note(&p.misused, "The function is not allowed in an update expression; function: %s", name)
	case p.grammar == grammarCondition && o.fn.ofUpdates():
		note(&p.misused, "The function is not allowed in a condition expression; function: %s", name)
	}
	for i := range args {
		if p.grammar == grammarCondition {
			p.mustBeOperand(&args[i])
		} else if o.fn == fnListAppend && args[i].isCall(fnListAppend) {
			p.misuse(&args[i])
		}
	}
	if p.grammar == grammarUpdate {
		p.operators++
	}
	return o, nil
}

// arguments reads operands with commas between them and the ) after them.
func (p *parser) arguments() ([]operand, error) {
	var args []operand
	for {
		o, _, err := p.operandInParens()
		if err != nil {
			return nil, err
		}
		args = append(args, o)
		if !p.accept(",") {
			return args, p.expect(")")
		}
	}
}

// operandInParens reads an operand that may stand in parentheses, and reports whether it does. The path in a pair of
// parentheses may go on behind them, except in an update.
func (p *parser) operandInParens() (o operand, wrapped bool, err error) {
	if !p.accept("(") {
		o, err = p.operand()
		return o, false, err
	}
	o, inner, err := p.operandInParens()
	if err != nil {
		return o, false, err
	}
	p.parens(inner)
	if err := p.expect(")"); err != nil {
		return o, false, err
	}
	return p.goOn(o)
}

// goOn continues a path behind its parentheses.
func (p *parser) goOn(o operand) (_ operand, wrapped bool, err error) {
	if p.grammar != grammarCondition || o.kind != operandPath || !p.is(".") && !p.is("[") {
		return o, true, nil
	}
	return o, false, p.steps(o.slot)
}

// parens notes a pair of parentheses around a thing that stands in parentheses already. An update allows it.
func (p *parser) parens(inner bool) {
	if inner && p.grammar == grammarCondition {
		p.redundant = true
	}
}

// mustBeOperand notes a function that is true or false where a value is due.
func (p *parser) mustBeOperand(o *operand) {
	if o.kind == operandCall && o.fn != fnSize {
		p.misuse(o)
	}
}

// misuse notes a function that may not stand where it stands.
func (p *parser) misuse(o *operand) {
	if o.fn != fnUnknown {
		note(&p.misused, "The function is not allowed to be used this way in an expression; function: %s", o.fn)
	}
}

// projectionText reads a projection: paths with commas between them.
func (p *parser) projectionText() error {
	for {
		if _, err := p.path(); err != nil {
			return err
		}
		if !p.accept(",") {
			return nil
		}
	}
}
