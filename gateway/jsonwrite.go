package gateway

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := decodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, `\ufffd`...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// decodeRune is utf8.DecodeRune for both kinds of text, without a copy.
func decodeRune[T string | []byte](s T) (rune, int) {
	var head [utf8.UTFMax]byte
	n := copy(head[:], s)
	return utf8.DecodeRune(head[:n])
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendLower appends the name of a header, in lower case, as a JSON string.
func appendLower(b []byte, name string) []byte {
	if !validName(name) { // servers refuse such names before they come here
		return appendString(b, strings.ToLower(name))
	}
	b = append(b, '"')
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// appendJoined appends the values as one JSON string with commas between.
func appendJoined(b []byte, values []string) []byte {
	if len(values) == 1 {
		return appendString(b, values[0])
	}
	for i, v := range values {
		if i > 0 {
			b[len(b)-1] = ',' // in place of the quote that ended the value before
		}
		at := len(b)
		b = appendString(b, v)
		if i > 0 {
			b = append(b[:at], b[at+1:]...) // without its own first quote
		}
	}
	if len(values) == 0 {
		return append(b, `""`...)
	}
	return b
}

// appendList appends the values as a JSON list of strings.
func appendList(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v)
	}
	return append(b, ']')
}

// appendMap appends m as a JSON object, null when it is empty.
func appendMap(b []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return append(b, "null"...)
	}
	sep := byte('{')
	for k, v := range m {
		b = appendString(append(b, sep), k)
		b = appendString(append(b, ':'), v)
		sep = ','
	}
	return append(b, '}')
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}
