package filter

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var errPattern = errors.New("invalid filter pattern")

// scanner reads a pattern. Its methods advance at.
type scanner struct {
	text    string
	at      int
	depth   int
	regexes int
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

// take skips white space and then word, if it comes next.
func (s *scanner) take(word string) bool {
	s.space()
	if strings.HasPrefix(s.text[s.at:], word) {
		s.at += len(word)
		return true
	}
	return false
}

// keyword is take for a word in any case, which must end there.
func (s *scanner) keyword(word string) bool {
	s.space()
	end := s.at + len(word)
	if end > len(s.text) || !strings.EqualFold(s.text[s.at:end], word) {
		return false
	}
	if end < len(s.text) && wordByte(s.text[end]) {
		return false
	}
	s.at = end
	return true
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// term is a quoted phrase, a regular expression or a word up to the next white space.
func (s *scanner) term() (matcher, error) {
	switch s.peek() {
	case '"':
		text, err := s.quoted()
		return matcher{text: text}, err
	case '%':
		re, err := s.regex()
		return matcher{regex: re}, err
	}
	start := s.at
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) < 0 {
		s.at++
	}
	if start == s.at {
		return matcher{}, errPattern
	}
	return matcher{text: s.text[start:s.at]}, nil
}

// quoted reads "…", in which \" and \\ are escapes.
func (s *scanner) quoted() (string, error) {
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return b.String(), nil
		case c == '\\' && s.at+1 < len(s.text) && (s.text[s.at+1] == '"' || s.text[s.at+1] == '\\'):
			s.at++
			c = s.text[s.at]
		}
		b.WriteByte(c)
	}
	return "", errPattern
}

func (s *scanner) regex() (*regexp.Regexp, error) {
	end := strings.IndexByte(s.text[s.at+1:], '%')
	if end <= 0 {
		return nil, errPattern
	}
	text := s.text[s.at+1 : s.at+1+end]
	s.at += end + 2
	if s.regexes++; s.regexes > regexMax {
		return nil, fmt.Errorf("at most %d regular expressions are allowed in one pattern", regexMax)
	}
	if strings.ContainsAny(text, "()") {
		return nil, errors.New("groups are not supported in regular expressions")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %w", err)
	}
	return re, nil
}
