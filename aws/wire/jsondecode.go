package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"reflect"
	"strconv"
)

// jsonDecoder fills structs from a JSON document. With names set it reads Caller's JSON: members are named as in the
// API, those of headers and labels too, and text and numbers may stand for each other, since a template's parameters
// are all text.
type jsonDecoder struct {
	jsonScanner
	op       string
	names    bool
	classes  string // Service.Classes; "" for everyday texts
	elements int
}

// decodeJSON fills v, a struct, from the document doc. An empty document is an empty object, except to Java.
func (e *Entry) decodeJSON(doc []byte, v reflect.Value, pl *plan, rf *refuseNode, names bool) error {
	d := jsonDecoder{jsonScanner: jsonScanner{b: doc}, op: e.Name, names: names, classes: e.table.Service.Classes}
	if names {
		d.classes = "" // Caller's JSON is lenient
	}
	if d.peek() == 0 && d.i == len(doc) {
		if d.classes != "" {
			return malformed("") // Java's decoder wants a document, and has no words for none
		}
		return nil
	}
	if d.peek() != '{' && d.peek() != 'n' {
		return d.mismatch("a structure")
	}
	if err := d.object(v, pl, rf); err != nil {
		return err
	}
	return d.end()
}

func (d *jsonDecoder) object(v reflect.Value, pl *plan, rf *refuseNode) error {
	if null, err := d.null(); null || err != nil {
		return err
	}
	lookup := pl.body
	if d.names {
		lookup = pl.named
	}
	return d.members(func(name []byte) error {
		f := lookup[string(name)]
		var sub *refuseNode
		switch {
		case rf == nil:
		case f != nil:
			sub = rf.child(f.wire)
		default:
			sub = rf.child(string(name))
		}
		if f != nil && f.unsupported != "" {
			sub = tagged(d.op, f)
		}
		if f == nil || sub != nil && sub.refused {
			at := d.i
			raw, err := d.skip()
			if err != nil {
				return err
			}
			if sub != nil {
				if err := sub.json(raw); err != nil {
					return err
				}
			}
			if f == nil || f.unsupported != "" {
				return nil
			}
			d.i = at
		}
		return d.value(f.of(v), f.shape, sub, false)
	})
}

// value decodes the next value into v. null leaves v as it is. inside tells that it is an item of a list or map.
func (d *jsonDecoder) value(v reflect.Value, s *shape, rf *refuseNode, inside bool) error {
	if null, err := d.null(); null || err != nil {
		return err
	}
	if s.ptr {
		if v.IsNil() {
			v.Set(reflect.New(s.typ))
		}
		v = v.Elem()
	}
	switch s.kind {
	case kindStruct:
		if d.peek() != '{' {
			return d.wrong("a structure", s, inside)
		}
		return d.object(v, s.fields, rf)
	case kindList:
		if d.peek() != '[' {
			return d.wrong("a list", s, inside)
		}
		return d.list(v, s, rf)
	case kindMap:
		if d.peek() != '{' {
			return d.wrong("a map", s, inside)
		}
		return d.mapping(v, s, rf)
	case kindSelf:
		return d.self(v, s, inside)
	case kindRaw:
		raw, err := d.skip()
		v.SetBytes(raw)
		return err
	case kindAny:
		raw, err := d.skip()
		if err != nil {
			return err
		}
		var x any
		if err := json.Unmarshal(raw, &x); err != nil {
			return malformed("%v", err)
		}
		v.Set(reflect.ValueOf(x))
		return nil
	case kindBlob, kindReader:
		return d.blob(v, s)
	case kindStream:
		return malformed("a stream cannot be given")
	}
	if d.classes != "" {
		return d.javaScalar(v, s)
	}
	return d.scalar(v, s)
}

func (d *jsonDecoder) element() error {
	if d.elements++; d.elements > elementsMax {
		return malformed("The request has more than %d list items and map entries", elementsMax)
	}
	return nil
}

func (d *jsonDecoder) list(v reflect.Value, s *shape, rf *refuseNode) error {
	v.Set(reflect.MakeSlice(s.typ, 0, 4))
	return d.items(func() error {
		if err := d.element(); err != nil {
			return err
		}
		n := v.Len()
		if n == v.Cap() {
			v.Grow(n)
		}
		v.SetLen(n + 1)
		return d.value(v.Index(n), s.elem, rf, true)
	})
}

func (d *jsonDecoder) mapping(v reflect.Value, s *shape, rf *refuseNode) error {
	out := reflect.MakeMap(s.typ)
	err := d.members(func(name []byte) error {
		if err := d.element(); err != nil {
			return err
		}
		key := reflect.ValueOf(string(name)).Convert(s.typ.Key())
		item := reflect.New(s.typ.Elem()).Elem()
		null, err := d.null()
		if err != nil {
			return err
		}
		if !null {
			if err := d.value(item, s.elem, rf, true); err != nil {
				return err
			}
		}
		out.SetMapIndex(key, item)
		return nil
	})
	v.Set(out)
	return err
}

// blob decodes base64. In Caller's JSON a payload may also be given as JSON itself: anything but a string is taken
// as the payload's text.
func (d *jsonDecoder) blob(v reflect.Value, s *shape) error {
	var data []byte
	if d.peek() != '"' {
		if !d.names {
			return d.wrong("a blob", s, false)
		}
		raw, err := d.skip()
		if err != nil {
			return err
		}
		data = raw
	} else {
		text, err := d.text()
		if err != nil {
			return err
		}
		data = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(data, text)
		if err != nil {
			return malformed("A blob is not valid base64: %v", err)
		}
		data = data[:n]
	}
	if s.kind == kindReader {
		v.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(data))))
		return nil
	}
	v.SetBytes(data)
	return nil
}

func (d *jsonDecoder) scalar(v reflect.Value, s *shape) error {
	switch c := d.peek(); {
	case c == '"':
		text, err := d.text()
		if err != nil {
			return err
		}
		if s.kind == kindString {
			v.SetString(string(text))
			return nil
		}
		if !d.names && s.kind != kindTime {
			return malformed("STRING_VALUE can not be converted to %s", nameOf(s))
		}
		return setText(v, s, string(text))
	case c == 't' || c == 'f':
		word, err := d.word()
		if err != nil {
			return err
		}
		if s.kind == kindBool || d.names && s.kind == kindString {
			return setText(v, s, word)
		}
		return malformed("%s_VALUE can not be converted to %s", map[string]string{"true": "TRUE", "false": "FALSE"}[word],
			nameOf(s))
	case c == '{' || c == '[':
		return malformed("Start of structure or map found where not expected.")
	}
	num, err := d.number()
	if err != nil {
		return err
	}
	if s.kind == kindBool || s.kind == kindString && !d.names {
		return malformed("NUMBER_VALUE can not be converted to %s", nameOf(s))
	}
	return setText(v, s, string(num))
}

// wrong says that the next value is none of s, in the service's words.
func (d *jsonDecoder) wrong(want string, s *shape, inside bool) error {
	if d.classes != "" {
		return d.misfit(s, inside)
	}
	return d.mismatch(want)
}

// mismatch says that something else than want was found.
func (d *jsonDecoder) mismatch(want string) error {
	switch c := d.peek(); {
	case c == '{' || c == '[':
		return malformed("Start of structure or map found where not expected.")
	case c == '"' || c == 't' || c == 'f' || c == '-' || c >= '0' && c <= '9':
		return malformed("Unexpected field type: want %s at byte %d of the JSON document", want, d.i)
	}
	return d.unexpected()
}

func nameOf(s *shape) string {
	switch s.kind {
	case kindString:
		return "a String"
	case kindBool:
		return "a Boolean"
	case kindInt, kindUint:
		return "an Integer"
	case kindFloat:
		return "a Double"
	case kindTime:
		return "a Timestamp"
	}
	return "a Blob"
}

// setText sets the scalar v from text, as forms, headers, labels and lenient JSON carry it.
func setText(v reflect.Value, s *shape, text string) error {
	switch s.kind {
	case kindString:
		v.SetString(text)
	case kindBool:
		switch text {
		case "true", "True", "TRUE":
			v.SetBool(true)
		case "false", "False", "FALSE":
			v.SetBool(false)
		default:
			return malformed("%.64q can not be converted to a Boolean", text)
		}
	case kindInt, kindUint:
		return setInteger(v, s, text)
	case kindFloat:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || v.OverflowFloat(x) {
			return malformed("%.64q can not be converted to a Double", text)
		}
		v.SetFloat(x)
	case kindTime:
		t, err := parseTime(text)
		if err != nil {
			return malformed("%v", err)
		}
		v.Set(reflect.ValueOf(t))
	case kindBlob:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return malformed("A blob is not valid base64: %v", err)
		}
		v.SetBytes(data)
	default:
		return malformed("%.64q can not be converted to a structure", text)
	}
	return nil
}

// setInteger also takes 3.0 and 3e2, which some clients send, but no fractions.
func setInteger(v reflect.Value, s *shape, text string) error {
	if s.kind == kindUint {
		if u, err := strconv.ParseUint(text, 10, 64); err == nil && !v.OverflowUint(u) {
			v.SetUint(u)
			return nil
		}
		return malformed("%.64q can not be converted to an Integer", text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		x, ferr := strconv.ParseFloat(text, 64)
		n = int64(x)
		if ferr != nil || x < -1<<53 || x > 1<<53 || float64(n) != x {
			return malformed("%.64q can not be converted to an Integer", text)
		}
	}
	if v.OverflowInt(n) {
		return malformed("%.64q can not be converted to an Integer", text)
	}
	v.SetInt(n)
	return nil
}
