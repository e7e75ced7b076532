package wire

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// xmlEncoder appends the answers of query services.
type xmlEncoder struct{ b []byte }

func (e *xmlEncoder) open(name string) {
	e.b = append(e.b, '<')
	e.b = append(e.b, name...)
	e.b = append(e.b, '>')
}

func (e *xmlEncoder) close(name string) {
	e.b = append(e.b, '<', '/')
	e.b = append(e.b, name...)
	e.b = append(e.b, '>')
}

func (e *xmlEncoder) element(name, text string) {
	e.open(name)
	e.text(text)
	e.close(name)
}

// text escapes s. What XML cannot hold becomes U+FFFD.
func (e *xmlEncoder) text(s string) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			e.b = append(e.b, "&amp;"...)
		case r == '<':
			e.b = append(e.b, "&lt;"...)
		case r == '>':
			e.b = append(e.b, "&gt;"...)
		case r == '"':
			e.b = append(e.b, "&quot;"...)
		case r == '\r':
			e.b = append(e.b, "&#xD;"...)
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			e.b = append(e.b, "\uFFFD"...)
		default:
			e.b = append(e.b, s[i:i+n]...)
		}
		i += n
	}
}

func (e *xmlEncoder) object(v reflect.Value, pl *plan) {
	for _, f := range pl.fields {
		if fv := f.of(v); f.in == inBody && f.unsupported == "" && !absent(fv, f) {
			e.member(fv, f)
		}
	}
}

func (e *xmlEncoder) member(v reflect.Value, f *field) {
	s := f.shape
	if s.ptr {
		v = v.Elem()
	}
	if f.flat && s.kind == kindList {
		for i := range v.Len() {
			e.named(f.wire, v.Index(i), s.elem, f)
		}
		return
	}
	if f.flat && s.kind == kindMap {
		e.entries(f.wire, v, s, f)
		return
	}
	e.named(f.wire, v, s, f)
}

// named writes v as the element name. s is v's shape; a pointer within lists and maps is followed here.
func (e *xmlEncoder) named(name string, v reflect.Value, s *shape, f *field) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	e.open(name)
	switch s.kind {
	case kindStruct:
		e.object(v, s.fields)
	case kindList:
		for i := range v.Len() {
			e.named(f.item, v.Index(i), s.elem, &inner)
		}
	case kindMap:
		e.entries("entry", v, s, f)
	default:
		e.scalar(v, s, f.format)
	}
	e.close(name)
}

func (e *xmlEncoder) entries(name string, v reflect.Value, s *shape, f *field) {
	for _, k := range sortedKeys(v) {
		e.open(name)
		e.element(f.key, k.String())
		e.named(f.value, v.MapIndex(k), s.elem, &inner)
		e.close(name)
	}
}

func (e *xmlEncoder) scalar(v reflect.Value, s *shape, format timeFormat) {
	switch s.kind {
	case kindBool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case kindInt:
		e.b = strconv.AppendInt(e.b, v.Int(), 10)
	case kindTime:
		if format == formatDefault {
			format = formatISO
		}
		e.b = appendTime(e.b, v.Interface().(time.Time), format)
	case kindBlob:
		e.b = base64.StdEncoding.AppendEncode(e.b, v.Bytes())
	default:
		e.text(textOf(v, s, formatISO))
	}
}

// textOf writes a scalar as headers, query strings and XML have it.
func textOf(v reflect.Value, s *shape, format timeFormat) string {
	switch s.kind {
	case kindString:
		return v.String()
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	case kindUint:
		return strconv.FormatUint(v.Uint(), 10)
	case kindFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case kindTime:
		return string(appendTime(nil, v.Interface().(time.Time), format))
	case kindBlob, kindRaw:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return ""
}
