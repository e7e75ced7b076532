package attr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decoder walks JSON text. It has its own copy of what it reads, of which all strings are parts.
type decoder struct {
	s        string
	i        int
	elements int
}

// newDecoder copies the value at the start of doc, or all of doc where it does not end.
func newDecoder(doc []byte) decoder { return decoder{s: string(doc[:extent(doc)])} }

// extent is the length of the object or list at the start of doc, by its brackets alone; of other values it may be more.
func extent(doc []byte) int {
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			for i++; i < len(doc) && doc[i] != '"'; i++ {
				if doc[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1
			}
		}
	}
	return len(doc)
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\r', '\n':
			d.i++
		default:
			return
		}
	}
}

// peek is the next byte that is not space, 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.i == len(d.s) {
		return 0
	}
	return d.s[d.i]
}

// take consumes c, if it is next.
func (d *decoder) take(c byte) bool {
	if d.space(); d.i == len(d.s) || d.s[d.i] != c {
		return false
	}
	d.i++
	return true
}

func (d *decoder) unexpected() error {
	if d.i >= len(d.s) {
		return malformed("Unexpected end-of-input in the JSON document")
	}
	r, _ := utf8.DecodeRuneInString(d.s[d.i:])
	return malformed(fmt.Sprintf("Unexpected character (%q) in the JSON document", r))
}

// members calls f for each member of the object that is next; f consumes its value.
func (d *decoder) members(f func(name string) error) error {
	if !d.take('{') {
		return d.unexpected()
	}
	if d.take('}') {
		return nil
	}
	for {
		d.space()
		name, err := d.text()
		if err != nil {
			return err
		}
		if !d.take(':') {
			return d.unexpected()
		}
		if err := f(name); err != nil {
			return err
		}
		if d.take('}') {
			return nil
		}
		if !d.take(',') {
			return d.unexpected()
		}
	}
}

// items calls f for each item of the list that is next; f consumes it.
func (d *decoder) items(f func() error) error {
	if !d.take('[') {
		return d.unexpected()
	}
	if d.take(']') {
		return nil
	}
	for {
		if err := f(); err != nil {
			return err
		}
		if d.take(']') {
			return nil
		}
		if !d.take(',') {
			return d.unexpected()
		}
	}
}

// skip consumes one value of any kind.
func (d *decoder) skip(depth int) error {
	if depth > nestMax {
		return malformed(textDepth)
	}
	switch d.peek() {
	case '{':
		return d.members(func(string) error { return d.skip(depth + 1) })
	case '[':
		return d.items(func() error { return d.skip(depth + 1) })
	}
	_, err := d.token()
	return err
}

// token consumes a scalar and says what it is, in the words of Java's decoder.
func (d *decoder) token() (string, error) {
	switch c := d.peek(); {
	case c == '"':
		_, err := d.text()
		return "STRING", err
	case c == 't':
		return "TRUE", d.word("true")
	case c == 'f':
		return "FALSE", d.word("false")
	case c == 'n':
		return "NULL", d.word("null")
	}
	num, err := d.number()
	if strings.ContainsAny(num, ".eE") {
		return "DECIMAL", err
	}
	return "NUMBER", err
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.s[d.i:], w) {
		return d.unexpected()
	}
	d.i += len(w)
	return nil
}

// number consumes a number and returns its text.
func (d *decoder) number() (string, error) {
	start := d.i
	digits := func() bool {
		from := d.i
		for d.i < len(d.s) && d.s[d.i] >= '0' && d.s[d.i] <= '9' {
			d.i++
		}
		return d.i > from
	}
	next := func(set string) bool {
		if d.i < len(d.s) && strings.IndexByte(set, d.s[d.i]) >= 0 {
			d.i++
			return true
		}
		return false
	}
	next("-")
	if !next("0") && !digits() {
		return "", d.unexpected()
	}
	if next(".") && !digits() {
		return "", d.unexpected()
	}
	if next("eE") {
		if next("+-"); !digits() {
			return "", d.unexpected()
		}
	}
	return d.s[start:d.i], nil
}

// text consumes a string: a part of the document where nothing is escaped, else a copy.
func (d *decoder) text() (string, error) {
	if d.i >= len(d.s) || d.s[d.i] != '"' {
		return "", d.unexpected()
	}
	d.i++
	start, ascii := d.i, true
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			t := d.s[start:d.i]
			d.i++
			if !ascii {
				t = strings.ToValidUTF8(t, "\uFFFD")
			}
			return t, nil
		case c == '\\':
			return d.escaped(append(make([]byte, 0, d.i-start+32), d.s[start:d.i]...))
		case c < ' ':
			return "", d.unexpected()
		case c >= utf8.RuneSelf:
			ascii = false
		}
		d.i++
	}
	return "", d.unexpected()
}

// escaped continues text from a backslash on; t holds what was read.
func (d *decoder) escaped(t []byte) (string, error) {
	for d.i < len(d.s) {
		c := d.s[d.i]
		switch {
		case c == '"':
			d.i++
			return strings.ToValidUTF8(string(t), "\uFFFD"), nil
		case c < ' ':
			return "", d.unexpected()
		case c != '\\':
			t = append(t, c)
			d.i++
			continue
		}
		if d.i++; d.i == len(d.s) {
			break
		}
		c = d.s[d.i]
		if c == 'u' {
			r, ok := d.rune()
			if !ok {
				return "", malformed("Unrecognized character escape in the JSON document")
			}
			t = utf8.AppendRune(t, r)
			continue
		}
		k := strings.IndexByte(`"\/bfnrt`, c)
		if k < 0 {
			return "", malformed("Unrecognized character escape in the JSON document")
		}
		t = append(t, "\"\\/\b\f\n\r\t"[k])
		d.i++
	}
	return "", d.unexpected()
}

// rune consumes uXXXX, and a second escape where they are a surrogate pair.
func (d *decoder) rune() (rune, bool) {
	r, ok := d.hex(d.i + 1)
	if !ok {
		return 0, false
	}
	d.i += 5
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if strings.HasPrefix(d.s[d.i:], `\u`) {
		if low, ok := d.hex(d.i + 2); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				d.i += 6
				return full, true
			}
		}
	}
	return utf8.RuneError, true
}

// hex reads the four digits at i.
func (d *decoder) hex(i int) (rune, bool) {
	if len(d.s)-i < 4 || strings.ContainsAny(d.s[i:i+4], "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(d.s[i:i+4], 16, 32)
	return rune(n), err == nil
}
