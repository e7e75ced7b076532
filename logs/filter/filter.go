// Package filter reads CloudWatch Logs filter patterns and matches log messages against them.
//
// Three languages share one field, told apart by the first character:
//
//	ERROR "two words" -exclude ?any ?of %regex%     terms: all that are plain, none that are excluded; or any of the ?
//	{ $.level = "error" && $.took > 500 }           the message is JSON
//	[ip, user, ..., status = 4*, bytes > 1000]      the message is fields between spaces, "…" and […] each one field
//
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. Matching is case-sensitive and
// terms match anywhere, inside words too. As AWS documents, ?terms are ignored beside other terms, a JSON selector has to
// reach a string, number, boolean or null, and regular expressions have no groups and are at most two in one pattern.
//
// A Filter is immutable and safe for concurrent use. Parse takes hostile input: it is bounded by PatternMax and depth, and
// regular expressions run in linear time.
package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Limits.
const (
	PatternMax = 1024 // bytes, as AWS
	depthMax   = 16   // of parentheses
	regexMax   = 2    // regular expressions in one pattern
)

// Filter is a compiled pattern. The zero value matches everything.
type Filter struct {
	include, exclude, any []matcher
	object                node // JSON
	fields                *delimited
}

// matcher looks for one term in a text.
type matcher struct {
	text  string
	regex *regexp.Regexp
}

func (m *matcher) in(s string) bool {
	if m.regex != nil {
		return m.regex.MatchString(s)
	}
	return strings.Contains(s, m.text)
}

// Parse compiles pattern; "" matches everything.
func Parse(pattern string) (*Filter, error) {
	if len(pattern) > PatternMax {
		return nil, fmt.Errorf("the pattern has %d bytes, at most %d are allowed", len(pattern), PatternMax)
	}
	s := &scanner{text: pattern}
	s.space()
	f := &Filter{}
	var err error
	switch s.peek() {
	case '{':
		f.object, err = s.object()
	case '[':
		f.fields, err = s.delimited()
	default:
		err = f.terms(s)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Filter) terms(s *scanner) error {
	for s.space(); s.at < len(s.text); s.space() {
		list := &f.include
		switch s.peek() {
		case '-':
			list = &f.exclude
			s.at++
			s.space() // AWS's own examples write - "Exiting"
		case '?':
			list = &f.any
			s.at++
		}
		m, err := s.term()
		if err != nil {
			return err
		}
		*list = append(*list, m)
	}
	return nil
}

// Match reports whether message fits.
func (f *Filter) Match(message string) bool {
	switch {
	case f.object != nil:
		return f.matchJSON(message)
	case f.fields != nil:
		return f.fields.match(splitFields(message))
	}
	for i := range f.include {
		if !f.include[i].in(message) {
			return false
		}
	}
	for i := range f.exclude {
		if f.exclude[i].in(message) {
			return false
		}
	}
	if len(f.any) == 0 || len(f.include) > 0 || len(f.exclude) > 0 {
		return true
	}
	for i := range f.any {
		if f.any[i].in(message) {
			return true
		}
	}
	return false
}

func (f *Filter) matchJSON(message string) bool {
	message = strings.TrimSpace(message)
	if message == "" || message[0] != '{' && message[0] != '[' {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(message)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return false
	}
	return f.object.holds(v)
}

// splitFields splits at white space; what stands between [ and ] or between two " is one field, without them.
func splitFields(s string) []string {
	var out []string
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return out
		}
		var end byte
		switch s[0] {
		case '"':
			end = '"'
		case '[':
			end = ']'
		}
		if end != 0 {
			if i := strings.IndexByte(s[1:], end); i >= 0 {
				out, s = append(out, s[1:1+i]), s[2+i:]
				continue
			}
		}
		i := strings.IndexAny(s, " \t\r\n")
		if i < 0 {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i:]
	}
}
