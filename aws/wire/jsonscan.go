package wire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of what a decoder takes, whatever the size of the body.
const (
	depthMax    = 64      // nested objects and lists
	elementsMax = 1 << 16 // list items and map entries of one request
)

// jsonScanner walks JSON text. It owns nothing: strings are copied, raw values are slices of the text.
type jsonScanner struct {
	b     []byte
	i     int
	depth int
}

func (s *jsonScanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// peek is the next byte that is not space, 0 at the end.
func (s *jsonScanner) peek() byte {
	s.space()
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// take consumes c, if it is next.
func (s *jsonScanner) take(c byte) bool {
	if s.peek() != c || s.i == len(s.b) {
		return false
	}
	s.i++
	return true
}

func (s *jsonScanner) unexpected() error {
	if s.i >= len(s.b) {
		return malformed("Unexpected end-of-input in the JSON document")
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return malformed("Unexpected character (%q) at byte %d of the JSON document", r, s.i)
}

// enter and leave bound the depth.
func (s *jsonScanner) enter() error {
	if s.depth++; s.depth > depthMax {
		return malformed("The JSON document is nested more than %d levels deep", depthMax)
	}
	return nil
}

func (s *jsonScanner) leave() { s.depth-- }

// end requires that nothing follows.
func (s *jsonScanner) end() error {
	if s.space(); s.i != len(s.b) {
		return s.unexpected()
	}
	return nil
}

// members calls f for each member of the object that is next, with its name; f consumes the value. The name is valid
// during the call.
func (s *jsonScanner) members(f func(name []byte) error) error {
	if !s.take('{') {
		return s.unexpected()
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if s.take('}') {
		return nil
	}
	for {
		s.space()
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.unexpected()
		}
		if err := f(name); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.unexpected()
		}
	}
}

// items calls f for each item of the list that is next; f consumes it.
func (s *jsonScanner) items(f func() error) error {
	if !s.take('[') {
		return s.unexpected()
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if s.take(']') {
		return nil
	}
	for {
		if err := f(); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.unexpected()
		}
	}
}

// skip consumes one value of any kind and returns its text.
func (s *jsonScanner) skip() ([]byte, error) {
	c := s.peek()
	start := s.i
	var err error
	switch c {
	case '{':
		err = s.members(func([]byte) error { _, err := s.skip(); return err })
	case '[':
		err = s.items(func() error { _, err := s.skip(); return err })
	case '"':
		_, err = s.text()
	case 't', 'f', 'n':
		_, err = s.word()
	default:
		_, err = s.number()
	}
	return s.b[start:s.i], err
}

// word consumes true, false or null.
func (s *jsonScanner) word() (string, error) {
	s.space()
	for _, w := range []string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
			s.i += len(w)
			return w, nil
		}
	}
	return "", s.unexpected()
}

// null consumes null, if it is next.
func (s *jsonScanner) null() (bool, error) {
	if s.peek() != 'n' {
		return false, nil
	}
	_, err := s.word()
	return true, err
}

// number consumes a number and returns its text.
func (s *jsonScanner) number() ([]byte, error) {
	s.space()
	start := s.i
	at := func() byte {
		if s.i < len(s.b) {
			return s.b[s.i]
		}
		return 0
	}
	digits := func() bool {
		from := s.i
		for c := at(); c >= '0' && c <= '9'; c = at() {
			s.i++
		}
		return s.i > from
	}
	if at() == '-' {
		s.i++
	}
	if at() == '0' {
		s.i++
	} else if !digits() {
		return nil, s.unexpected()
	}
	if at() == '.' {
		if s.i++; !digits() {
			return nil, s.unexpected()
		}
	}
	if c := at(); c == 'e' || c == 'E' {
		s.i++
		if c := at(); c == '+' || c == '-' {
			s.i++
		}
		if !digits() {
			return nil, s.unexpected()
		}
	}
	return s.b[start:s.i], nil
}

// text consumes a string and returns its bytes: a part of the document where nothing is escaped, else a copy.
func (s *jsonScanner) text() ([]byte, error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, s.unexpected()
	}
	s.i++
	start, ascii := s.i, true
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			t := s.b[start:s.i]
			s.i++
			if !ascii && !utf8.Valid(t) {
				return []byte(strings.ToValidUTF8(string(t), "\uFFFD")), nil
			}
			return t, nil
		case c == '\\':
			return s.escaped(append(make([]byte, 0, s.i-start+32), s.b[start:s.i]...))
		case c < ' ':
			return nil, s.unexpected()
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.i++
	}
	return nil, s.unexpected()
}

// escaped continues text from a backslash on; t holds what was read.
func (s *jsonScanner) escaped(t []byte) ([]byte, error) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			if !utf8.Valid(t) {
				t = []byte(strings.ToValidUTF8(string(t), "\uFFFD"))
			}
			return t, nil
		case c < ' ':
			return nil, s.unexpected()
		case c != '\\':
			t = append(t, c)
			s.i++
			continue
		}
		if s.i++; s.i == len(s.b) {
			break
		}
		c = s.b[s.i]
		if c == 'u' {
			r, ok := s.rune()
			if !ok {
				return nil, malformed("Unrecognized character escape at byte %d of the JSON document", s.i)
			}
			t = utf8.AppendRune(t, r)
			continue
		}
		k := strings.IndexByte(`"\/bfnrt`, c)
		if k < 0 {
			return nil, malformed("Unrecognized character escape (%q) at byte %d of the JSON document", rune(c), s.i)
		}
		t = append(t, "\"\\/\b\f\n\r\t"[k])
		s.i++
	}
	return nil, s.unexpected()
}

// rune consumes uXXXX, and a second escape where they are a surrogate pair.
func (s *jsonScanner) rune() (rune, bool) {
	hex := func() (rune, bool) {
		if len(s.b)-s.i < 5 {
			return 0, false
		}
		n, err := strconv.ParseUint(string(s.b[s.i+1:s.i+5]), 16, 32)
		return rune(n), err == nil
	}
	r, ok := hex()
	if !ok {
		return 0, false
	}
	s.i += 5
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if len(s.b)-s.i >= 6 && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		s.i++
		if low, ok := hex(); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				s.i += 5
				return full, true
			}
		}
		s.i--
	}
	return utf8.RuneError, true
}
