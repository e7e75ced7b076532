package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// jsonEncoder appends values as JSON. With names set, members are named as Caller's JSON has them, and those of headers
// are written too.
type jsonEncoder struct {
	b     []byte
	names bool
	err   error // the first; only any and RawMessage can fail
}

func (e *jsonEncoder) object(v reflect.Value, pl *plan) {
	e.b = append(e.b, '{')
	start := len(e.b)
	for _, f := range pl.fields {
		if !e.writes(f) || f.unsupported != "" {
			continue
		}
		fv := f.of(v)
		if absent(fv, f) {
			continue
		}
		if len(e.b) > start {
			e.b = append(e.b, ',')
		}
		if e.names {
			e.b = appendString(e.b, f.name)
		} else {
			e.b = appendString(e.b, f.wire)
		}
		e.b = append(e.b, ':')
		e.value(fv, f.shape, f.format)
	}
	e.b = append(e.b, '}')
}

// writes reports whether f belongs into the document.
func (e *jsonEncoder) writes(f *field) bool {
	if !e.names || f.in == inBody {
		return f.in == inBody
	}
	return f.in != inPayload || f.shape.kind == kindStruct
}

// absent reports whether an output leaves f out: nil, the zero time, an empty string unless it is kept, and any zero
// where the tag says omitempty.
func absent(v reflect.Value, f *field) bool {
	switch {
	case f.shape.ptr, f.shape.kind == kindList, f.shape.kind == kindMap, f.shape.kind == kindBlob,
		f.shape.kind == kindRaw, f.shape.kind == kindAny, f.shape.kind == kindReader, f.shape.kind == kindStream:
		return v.IsNil() || f.omitempty && !f.shape.ptr && v.Kind() != reflect.Interface && v.Len() == 0
	case f.shape.kind == kindString:
		return v.Len() == 0 && !f.keep
	case f.shape.kind == kindTime:
		return v.IsZero()
	case f.shape.kind == kindSelf:
		return selfAbsent(v)
	}
	return f.omitempty && v.IsZero()
}

func (e *jsonEncoder) value(v reflect.Value, s *shape, format timeFormat) {
	if s.ptr {
		if v.IsNil() {
			e.b = append(e.b, "null"...)
			return
		}
		v = v.Elem()
	}
	switch s.kind {
	case kindString:
		e.b = appendString(e.b, v.String())
	case kindBool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case kindInt:
		e.b = strconv.AppendInt(e.b, v.Int(), 10)
	case kindUint:
		e.b = strconv.AppendUint(e.b, v.Uint(), 10)
	case kindFloat:
		e.float(v.Float())
	case kindBlob:
		e.b = append(e.b, '"')
		e.b = base64.StdEncoding.AppendEncode(e.b, v.Bytes())
		e.b = append(e.b, '"')
	case kindTime:
		e.time(v.Interface().(time.Time), format)
	case kindRaw:
		e.raw(v.Bytes())
	case kindAny:
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			e.fail(err)
		}
		e.b = append(e.b, raw...)
	case kindStruct:
		e.object(v, s.fields)
	case kindList:
		e.list(v, s, format)
	case kindMap:
		e.mapping(v, s, format)
	case kindSelf:
		e.self(v)
	}
}

func (e *jsonEncoder) float(x float64) {
	switch {
	case math.IsNaN(x):
		e.b = append(e.b, `"NaN"`...)
	case math.IsInf(x, 1):
		e.b = append(e.b, `"Infinity"`...)
	case math.IsInf(x, -1):
		e.b = append(e.b, `"-Infinity"`...)
	default:
		e.b = strconv.AppendFloat(e.b, x, 'g', -1, 64)
	}
}

func (e *jsonEncoder) time(t time.Time, f timeFormat) {
	if f == formatISO || f == formatHTTP {
		e.b = append(e.b, '"')
		e.b = appendTime(e.b, t, f)
		e.b = append(e.b, '"')
		return
	}
	e.b = appendTime(e.b, t, formatEpoch)
}

func (e *jsonEncoder) raw(raw []byte) {
	switch {
	case len(raw) == 0:
		e.b = append(e.b, "null"...)
	case !json.Valid(raw):
		e.fail(fmt.Errorf("a json.RawMessage of %d bytes is not JSON", len(raw)))
	default:
		e.b = append(e.b, raw...)
	}
}

func (e *jsonEncoder) list(v reflect.Value, s *shape, format timeFormat) {
	e.b = append(e.b, '[')
	for i := range v.Len() {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.value(v.Index(i), s.elem, format)
	}
	e.b = append(e.b, ']')
}

func (e *jsonEncoder) mapping(v reflect.Value, s *shape, format timeFormat) {
	e.b = append(e.b, '{')
	for i, k := range sortedKeys(v) {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = appendString(e.b, k.String())
		e.b = append(e.b, ':')
		e.value(v.MapIndex(k), s.elem, format)
	}
	e.b = append(e.b, '}')
}

func (e *jsonEncoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// sortedKeys makes answers the same every time.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	return keys
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
				b = append(b, s[start:i]...)
				b = append(b, "\uFFFD"...)
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
