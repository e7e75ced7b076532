package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// form is the rule by which a function's answer becomes a response.
type form uint8

const (
	formREST  form = iota // REST APIs: {statusCode, headers, multiValueHeaders, body, isBase64Encoded} and nothing else
	formHTTP1             // HTTP APIs with payload format 1.0: the same, statusCode required
	formHTTP2             // format 2.0 and function URLs: with cookies, without multiValueHeaders, inferred where no statusCode is
)

// errMalformed says that a function's answer does not have the form that its integration wants.
var errMalformed = errors.New("malformed answer of the function")

// field is one header line.
type field struct{ name, value string }

// answer is what a function answered. Its body is valid until the next parse.
type answer struct {
	status   int
	header   []field
	cookies  []string
	body     []byte
	base64   bool // the function says that body is in base64
	inferred bool // the answer was no proxy response: all of it is the body
	json     reader
	places   [memberCount]int
}

// members of a proxy response, as indexes of answer.places.
const (
	memberStatus = iota
	memberMulti  // before headers, whose values follow
	memberHeaders
	memberCookies
	memberBody
	memberBase64
	memberCount
)

var memberNames = [memberCount]string{"statusCode", "multiValueHeaders", "headers", "cookies", "body", "isBase64Encoded"}

func memberOf(key []byte) int {
	switch string(key) {
	case "statusCode":
		return memberStatus
	case "headers":
		return memberHeaders
	case "multiValueHeaders":
		return memberMulti
	case "cookies":
		return memberCookies
	case "body":
		return memberBody
	case "isBase64Encoded":
		return memberBase64
	}
	return -1
}

// parse reads text by the rule of f.
func (a *answer) parse(text []byte, f form) error {
	a.status, a.body, a.base64, a.inferred = 200, nil, false, false
	a.header, a.cookies = a.header[:0], a.cookies[:0]
	a.json.reset(text)
	err := a.locate(f)
	if f == formHTTP2 && (err != nil || a.places[memberStatus] == 0) {
		return a.infer(text)
	}
	if err != nil {
		return fmt.Errorf("%w: it is not the JSON that a proxy integration wants", errMalformed)
	}
	if f == formHTTP1 && a.places[memberStatus] == 0 {
		return fmt.Errorf("%w: it has no statusCode", errMalformed)
	}
	for m, at := range a.places {
		if at == 0 {
			continue
		}
		a.json.at = at
		if err := a.member(m, f); err != nil {
			return fmt.Errorf("%w: its %s", errMalformed, memberNames[m])
		}
	}
	return nil
}

// locate walks the object once and notes where its members are.
func (a *answer) locate(f form) error {
	a.places = [memberCount]int{}
	r := &a.json
	err := r.object(func(key []byte) error {
		m := memberOf(key)
		if m < 0 || f == formREST && m == memberCookies {
			if f == formREST {
				return errMalformed
			}
		} else {
			a.places[m] = r.at
		}
		return r.skip(0)
	})
	if err == nil && !r.ended() {
		err = errJSON
	}
	return err
}

// infer takes the whole answer as the body of a 200. AWS does not ask whether it is JSON; a JSON string is unquoted.
func (a *answer) infer(text []byte) error {
	a.inferred, a.body = true, text
	a.json.reset(text)
	if a.json.peek() == '"' {
		if s, err := a.json.str(); err == nil && a.json.ended() {
			a.body = s
		}
	}
	return nil
}

func (a *answer) member(m int, f form) error {
	r := &a.json
	if r.peek() == 'n' { // null is as good as absent, but for the status
		if _, err := r.word(); err != nil || m == memberStatus && f != formREST {
			return errMalformed
		}
		return nil
	}
	switch m {
	case memberStatus:
		return a.readStatus()
	case memberHeaders:
		return r.object(func(key []byte) error {
			value, err := r.scalar()
			if err != nil {
				return err
			}
			return a.add(string(key), value)
		})
	case memberMulti:
		if f == formHTTP2 {
			return nil // not part of the format
		}
		return r.object(func(key []byte) error {
			name := string(key)
			return r.list(func() error {
				value, err := r.scalar()
				if err != nil {
					return err
				}
				return a.add(name, value)
			})
		})
	case memberCookies:
		if f != formHTTP2 {
			return nil
		}
		return r.list(func() error {
			s, err := r.str()
			if err != nil || !validValue(string(s)) {
				return errMalformed
			}
			a.cookies = append(a.cookies, string(s))
			return nil
		})
	case memberBody:
		s, err := r.str()
		a.body = s
		return err
	}
	w, err := r.word()
	a.base64 = string(w) == "true"
	if err == nil && !a.base64 && string(w) != "false" {
		err = errMalformed
	}
	return err
}

// readStatus takes 200, and "200" as well.
func (a *answer) readStatus() error {
	var text []byte
	var err error
	if a.json.peek() == '"' {
		text, err = a.json.str()
	} else {
		text, err = a.json.word()
	}
	if err != nil {
		return err
	}
	a.status, err = strconv.Atoi(string(text))
	if err != nil || a.status < 200 || a.status > 599 {
		return errMalformed
	}
	return nil
}

// scalar consumes a string, number or boolean; null is "".
func (r *reader) scalar() (string, error) {
	switch r.peek() {
	case '"':
		s, err := r.str()
		return string(s), err
	case '{', '[':
		return "", errMalformed
	}
	w, err := r.word()
	if string(w) == "null" {
		return "", err
	}
	return string(w), err
}

// add keeps a header. A value that multiValueHeaders and headers both give stands once.
func (a *answer) add(name, value string) error {
	if !validName(name) || !validValue(value) {
		return errMalformed
	}
	for _, h := range a.header {
		if h.value == value && strings.EqualFold(h.name, name) {
			return nil
		}
	}
	if len(a.header) >= headersMax {
		return errMalformed
	}
	a.header = append(a.header, field{name, value})
	return nil
}

// get is the first value of a header, "" when there is none.
func (a *answer) get(name string) string {
	for _, h := range a.header {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

// decode turns a body in base64 into what it stands for.
func (a *answer) decode() error {
	body := bytes.TrimRight(a.body, "\r\n")
	out := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := base64.StdEncoding.Decode(out, body)
	if err != nil {
		return errMalformed
	}
	a.body = out[:n]
	return nil
}

// headersMax is how many header lines a function may answer with.
const headersMax = 500

// validName reports whether name is a token, as HTTP wants header names.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return name != ""
}

func validValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
