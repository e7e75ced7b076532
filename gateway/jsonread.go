package gateway

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// errJSON is what a reader ends with when the text is not JSON.
var errJSON = errors.New("gateway: not JSON")

// depthMax is how deep values that are skipped may be nested.
const depthMax = 1000

// reader walks a JSON text value by value, without making a tree of it: an answer's few members are taken as they come,
// and the body, which may be megabytes, is copied once.
type reader struct {
	text []byte
	at   int
	buf  []byte // of strings that had escapes; strings handed out share it until the next reset
}

func (r *reader) reset(text []byte) { r.text, r.at, r.buf = text, 0, r.buf[:0] }

// peek skips white space and answers the next byte; 0 at the end.
func (r *reader) peek() byte {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// take consumes c if it comes next.
func (r *reader) take(c byte) bool {
	if r.peek() != c || c == 0 {
		return false
	}
	r.at++
	return true
}

// ended reports whether only white space is left.
func (r *reader) ended() bool { return r.peek() == 0 && r.at >= len(r.text) }

// object calls member for each member; member must consume the value.
func (r *reader) object(member func(key []byte) error) error {
	if !r.take('{') {
		return errJSON
	}
	if r.take('}') {
		return nil
	}
	for {
		key, err := r.str()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return errJSON
		}
		if err := member(key); err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

// list calls item for each item; item must consume it.
func (r *reader) list(item func() error) error {
	if !r.take('[') {
		return errJSON
	}
	if r.take(']') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if r.take(']') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

// word consumes a literal such as null, a number or a boolean, and answers its text.
func (r *reader) word() ([]byte, error) {
	r.peek()
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c == '-', c == '+', c == '.', c == 'E':
			r.at++
			continue
		}
		break
	}
	w := r.text[start:r.at]
	switch string(w) {
	case "null", "true", "false":
		return w, nil
	}
	if !number(w) {
		return nil, errJSON
	}
	return w, nil
}

// number checks JSON's grammar of numbers.
func number(w []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(w) && w[n] >= '0' && w[n] <= '9' {
			n++
		}
		w = w[n:]
		return n > 0
	}
	if len(w) > 0 && w[0] == '-' {
		w = w[1:]
	}
	if len(w) > 0 && w[0] == '0' {
		w = w[1:]
	} else if !digits() {
		return false
	}
	if len(w) > 0 && w[0] == '.' {
		if w = w[1:]; !digits() {
			return false
		}
	}
	if len(w) > 0 && (w[0] == 'e' || w[0] == 'E') {
		if w = w[1:]; len(w) > 0 && (w[0] == '+' || w[0] == '-') {
			w = w[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(w) == 0
}

// skip consumes any value.
func (r *reader) skip(depth int) error {
	if depth > depthMax {
		return errJSON
	}
	switch r.peek() {
	case '{':
		return r.object(func([]byte) error { return r.skip(depth + 1) })
	case '[':
		return r.list(func() error { return r.skip(depth + 1) })
	case '"':
		_, err := r.str()
		return err
	}
	_, err := r.word()
	return err
}

// str consumes a string. What it answers is valid until the next reset: a slice of the text where there was no escape.
func (r *reader) str() ([]byte, error) {
	if !r.take('"') {
		return nil, errJSON
	}
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			s := r.text[start:r.at]
			r.at++
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return nil, errJSON
		}
		r.at++
	}
	return nil, errJSON
}

// escaped consumes the rest of a string that began at start and has escapes.
func (r *reader) escaped(start int) ([]byte, error) {
	from := len(r.buf)
	r.buf = append(r.buf, r.text[start:r.at]...)
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return r.buf[from:len(r.buf):len(r.buf)], nil
		case c < ' ':
			return nil, errJSON
		case c != '\\':
			run := r.at - 1
			for r.at < len(r.text) && r.text[r.at] >= ' ' && r.text[r.at] != '"' && r.text[r.at] != '\\' {
				r.at++
			}
			r.buf = append(r.buf, r.text[run:r.at]...)
		default:
			if err := r.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, errJSON
}

const escapes, escapeValues = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

func (r *reader) escape() error {
	if r.at >= len(r.text) {
		return errJSON
	}
	c := r.text[r.at]
	r.at++
	if c == 'u' {
		u, err := r.unit()
		if err != nil {
			return err
		}
		if utf16.IsSurrogate(u) {
			pair := rune(utf8.RuneError)
			if at := r.at; at+1 < len(r.text) && r.text[at] == '\\' && r.text[at+1] == 'u' {
				r.at += 2
				low, err := r.unit()
				if err != nil {
					return err
				}
				if pair = utf16.DecodeRune(u, low); pair == utf8.RuneError {
					r.at = at // the second is a character of its own
				}
			}
			u = pair
		}
		r.buf = utf8.AppendRune(r.buf, u)
		return nil
	}
	for i := range len(escapes) {
		if escapes[i] == c {
			r.buf = append(r.buf, escapeValues[i])
			return nil
		}
	}
	return errJSON
}

// unit consumes the four digits of \uXXXX.
func (r *reader) unit() (rune, error) {
	if r.at+4 > len(r.text) {
		return 0, errJSON
	}
	var u rune
	for _, c := range r.text[r.at : r.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errJSON
		}
		u = u<<4 | rune(c)
	}
	r.at += 4
	return u, nil
}
