package expr

import "unicode/utf8"

// tokenKind tells tokens apart. Punctuation is its own kind.
type tokenKind uint8

const (
	tokEOF   tokenKind = iota
	tokBad             // a character that starts no token
	tokIdent           // a name written out, a function's name or a keyword
	tokName            // #name
	tokValue           // :value
	tokInt             // digits
	tokPunct           // one of ( ) [ ] . , + - = < > <= >= <>
)

// token is a piece of the expression's text, text[start:end].
type token struct {
	kind       tokenKind
	start, end int
}

// lexer cuts an expression into tokens, one ahead of the parser. It never allocates.
type lexer struct {
	text string
	prev token // the token before tok; its start is 0 and its end 0 before the first
	tok  token // the token that the parser looks at
	next token // the one after it
}

func newLexer(text string) lexer {
	l := lexer{text: text}
	l.next = l.scan(0)
	l.advance()
	l.prev = token{}
	return l
}

// advance moves on by one token. At the end it stays there.
func (l *lexer) advance() {
	l.prev = l.tok
	l.tok = l.next
	if l.tok.kind != tokEOF {
		l.next = l.scan(l.tok.end)
	}
}

// str is the text of t.
func (l *lexer) str(t token) string { return l.text[t.start:t.end] }

// is reports whether the token at hand is the punctuation p.
func (l *lexer) is(p string) bool { return l.tok.kind == tokPunct && l.str(l.tok) == p }

// isWord reports whether the token at hand is the keyword w, given in capitals. Keywords are written in any case.
func (l *lexer) isWord(w string) bool { return l.tok.kind == tokIdent && foldsTo(l.str(l.tok), w) }

// near is what a syntax error shows: the text from the token before the one at hand to the one after it.
func (l *lexer) near() string {
	end := l.next.end
	if l.tok.kind == tokEOF {
		end = len(l.text)
	}
	return l.text[l.prev.start:end]
}

// scan reads the token that begins at or after position i.
func (l *lexer) scan(i int) token {
	s := l.text
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i == len(s) {
		return token{tokEOF, i, i}
	}
	end := i + 1
	switch c := s[i]; {
	case isAlpha(c):
		return token{tokIdent, i, skipWord(s, end)}
	case isDigit(c):
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		return token{tokInt, i, end}
	case c == '#' || c == ':':
		if end = skipWord(s, end); end == i+1 {
			return token{tokBad, i, end}
		}
		if c == '#' {
			return token{tokName, i, end}
		}
		return token{tokValue, i, end}
	case c == '<' && end < len(s) && (s[end] == '=' || s[end] == '>'), c == '>' && end < len(s) && s[end] == '=':
		return token{tokPunct, i, end + 1}
	case c == '(' || c == ')' || c == '[' || c == ']' || c == '.' || c == ',' || c == '+' || c == '-' || c == '=' ||
		c == '<' || c == '>':
		return token{tokPunct, i, end}
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return token{tokBad, i, i + n}
}

// skipWord is the position after the letters, digits and underscores from i on.
func skipWord(s string, i int) int {
	for i < len(s) && isWordPart(s[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool    { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
func isAlpha(c byte) bool    { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isWordPart(c byte) bool { return isAlpha(c) || isDigit(c) || c == '_' }

// isPlaceholder reports whether s is sigil followed by at least one letter, digit or underscore.
func isPlaceholder(s string, sigil byte) bool {
	return len(s) > 1 && s[0] == sigil && skipWord(s, 1) == len(s)
}

// foldsTo reports whether s in capitals is upper. ASCII only, as words of expressions are.
func foldsTo(s, upper string) bool {
	if len(s) != len(upper) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
