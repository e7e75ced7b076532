package attr

import (
	"encoding/base64"
	"slices"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/table/item"
)

// AppendItem appends an item as JSON, names in order.
func AppendItem(dst []byte, it item.Item) []byte {
	var few [24]string // the names of most items, without an allocation
	names := few[:0]
	for name := range it {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, name), ':')
		dst = AppendValue(dst, it[name])
	}
	return append(dst, '}')
}

// AppendValue appends a value as JSON; an absent one as {}, which is none.
func AppendValue(dst []byte, v item.Value) []byte {
	t := v.Type()
	if t == item.TypeAbsent {
		return append(dst, '{', '}')
	}
	dst = append(dst, '{', '"')
	dst = append(append(dst, t.String()...), '"', ':')
	switch t {
	case item.TypeNull:
		dst = append(dst, "true"...)
	case item.TypeBool:
		if v.Bool() {
			dst = append(dst, "true"...)
		} else {
			dst = append(dst, "false"...)
		}
	case item.TypeList:
		dst = append(dst, '[')
		for i, e := range v.List() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendValue(dst, e)
		}
		dst = append(dst, ']')
	case item.TypeMap:
		dst = AppendItem(dst, v.Map())
	case item.TypeString, item.TypeNumber, item.TypeBinary:
		dst = appendScalar(dst, v)
	default:
		dst = append(dst, '[')
		for i, e := range v.Elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendScalar(dst, e)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendScalar appends the content of S, N or B.
func appendScalar(dst []byte, v item.Value) []byte {
	switch v.Type() {
	case item.TypeString:
		return appendString(dst, v.Str())
	case item.TypeNumber:
		return append(v.Number().AppendText(append(dst, '"')), '"')
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
	return append(dst, '"')
}

// appendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
