package tables

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// kind is a type of DynamoDB by its letters.
type kind string

const (
	kString  kind = "S"
	kNumber  kind = "N"
	kBinary  kind = "B"
	kBool    kind = "BOOL"
	kNull    kind = "NULL"
	kList    kind = "L"
	kMap     kind = "M"
	kStrings kind = "SS"
	kNumbers kind = "NS"
	kBlobs   kind = "BS"
)

// value is an attribute's value. As JSON it is DynamoDB's own form, {"S": "x"}; plain makes the readable one.
type value struct {
	kind  kind
	text  string // of S, N and B, B in base 64
	on    bool   // of BOOL
	texts []string
	list  []value
	m     item
}

// item is a table's item, or a map in one.
type item map[string]value

// Markers of the readable form: the only member of an object that is no map.
const (
	setMark    = "$set"
	binaryMark = "$binary"
	mapMark    = "$map"
)

func isMark(name string) bool { return name == setMark || name == binaryMark || name == mapMark }

// MarshalJSON writes DynamoDB's own form.
func (v value) MarshalJSON() ([]byte, error) {
	var content any
	switch v.kind {
	case kString, kNumber, kBinary:
		content = v.text
	case kBool:
		content = v.on
	case kNull:
		content = true
	case kList:
		content = orEmpty(v.list)
	case kMap:
		content = v.m
		if v.m == nil {
			content = item{}
		}
	default:
		content = orEmpty(v.texts)
	}
	return raw(map[kind]any{v.kind: content})
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// raw is JSON without the escapes that only browsers need.
func raw(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// UnmarshalJSON reads DynamoDB's own form.
func (v *value) UnmarshalJSON(b []byte) error {
	var m map[kind]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || len(m) != 1 {
		return fmt.Errorf(`%s is not a value of DynamoDB's own form, such as {"S":"text"} or {"N":"1"}`, brief(b))
	}
	for k, content := range m {
		*v = value{kind: k}
		var into any
		switch k {
		case kString, kNumber, kBinary:
			into = &v.text
		case kBool:
			into = &v.on
		case kNull:
			into = new(bool)
		case kList:
			into = &v.list
		case kMap:
			into = &v.m
		case kStrings, kNumbers, kBlobs:
			into = &v.texts
		default:
			return fmt.Errorf("%q is no type of DynamoDB; want S, N, B, BOOL, NULL, L, M, SS, NS or BS", k)
		}
		if err := json.Unmarshal(content, into); err != nil {
			return err
		}
	}
	return nil
}

// brief is the beginning of a text, for errors.
func brief(b []byte) string {
	const most = 60
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}

// readItem reads one item: in the readable form, or in DynamoDB's own.
func readItem(b []byte, own bool) (item, error) {
	if own {
		var it item
		if err := json.Unmarshal(b, &it); err != nil {
			return nil, err
		}
		if it == nil {
			return nil, errNoItem
		}
		return it, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the item")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errNoItem
	}
	return plainMap(m)
}

var errNoItem = errors.New(`want an item, such as {"id":"1","name":"Ada"}`)

func plainMap(m map[string]any) (item, error) {
	it := make(item, len(m))
	for k, e := range m {
		v, err := fromPlain(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		it[k] = v
	}
	return it, nil
}

// fromPlain reads a value of the readable form.
func fromPlain(e any) (value, error) {
	switch e := e.(type) {
	case nil:
		return value{kind: kNull}, nil
	case bool:
		return value{kind: kBool, on: e}, nil
	case string:
		return value{kind: kString, text: e}, nil
	case json.Number:
		return value{kind: kNumber, text: e.String()}, nil
	case []any:
		v := value{kind: kList}
		for i, x := range e {
			one, err := fromPlain(x)
			if err != nil {
				return v, fmt.Errorf("[%d]: %w", i, err)
			}
			v.list = append(v.list, one)
		}
		return v, nil
	case map[string]any:
		if len(e) == 1 {
			for k, content := range e {
				if isMark(k) {
					return marked(k, content)
				}
			}
		}
		m, err := plainMap(e)
		return value{kind: kMap, m: m}, err
	}
	return value{}, fmt.Errorf("%T is not JSON", e)
}

// marked reads what stands behind a marker.
func marked(mark string, content any) (value, error) {
	switch mark {
	case mapMark:
		m, ok := content.(map[string]any)
		if !ok {
			return value{}, fmt.Errorf("%s: want an object", mark)
		}
		it, err := plainMap(m)
		return value{kind: kMap, m: it}, err
	case binaryMark:
		text, ok := content.(string)
		if !ok {
			return value{}, fmt.Errorf("%s: want a text in base 64", mark)
		}
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return value{}, fmt.Errorf("%s: want base 64: %w", mark, err)
		}
		return value{kind: kBinary, text: text}, nil
	}
	list, ok := content.([]any)
	if !ok || len(list) == 0 {
		return value{}, fmt.Errorf("%s: want a list of texts, of numbers or of {%q: …}, not an empty one", mark, binaryMark)
	}
	sets := map[kind]kind{kString: kStrings, kNumber: kNumbers, kBinary: kBlobs}
	var v value
	for _, e := range list {
		one, err := fromPlain(e)
		if err != nil {
			return v, err
		}
		set := sets[one.kind]
		if set == "" || v.kind != "" && v.kind != set {
			return v, fmt.Errorf("%s: a set holds texts, or numbers, or binaries, of one kind", mark)
		}
		v.kind, v.texts = set, append(v.texts, one.text)
	}
	return v, nil
}

// appendPlain appends the readable form.
func (v value) appendPlain(b []byte) []byte {
	switch v.kind {
	case kNull:
		return append(b, "null"...)
	case kBool:
		return fmt.Append(b, v.on)
	case kString:
		return appendText(b, v.text)
	case kNumber:
		return append(b, v.text...)
	case kBinary:
		return append(appendText(append(b, `{"`+binaryMark+`":`...), v.text), '}')
	case kList:
		b = append(b, '[')
		for i, e := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.appendPlain(b)
		}
		return append(b, ']')
	case kMap:
		if len(v.m) == 1 && isMark(slices.Collect(maps.Keys(v.m))[0]) {
			return append(v.m.appendPlain(append(b, `{"`+mapMark+`":`...)), '}')
		}
		return v.m.appendPlain(b)
	}
	b = append(b, `{"`+setMark+`":[`...)
	one := map[kind]kind{kStrings: kString, kNumbers: kNumber, kBlobs: kBinary}[v.kind]
	for i, t := range v.texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = value{kind: one, text: t}.appendPlain(b)
	}
	return append(b, "]}"...)
}

func appendText(b []byte, s string) []byte {
	text, err := raw(s)
	if err != nil {
		panic("tables: a string is always JSON: " + err.Error())
	}
	return append(b, text...)
}

// appendPlain appends the readable form: the named attributes first, the rest in their order.
func (it item) appendPlain(b []byte, first ...string) []byte {
	b = append(b, '{')
	for i, name := range it.names(first...) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = it[name].appendPlain(b)
	}
	return append(b, '}')
}

// names are the attributes' names: those named first first, the rest in their order.
func (it item) names(first ...string) []string {
	var out []string
	for _, f := range first {
		if _, ok := it[f]; ok {
			out = append(out, f)
		}
	}
	return append(out, slices.DeleteFunc(slices.Sorted(maps.Keys(it)), func(n string) bool {
		return slices.Contains(first, n)
	})...)
}

// cell is a value where there is little room: texts as they are, unless they look like something else or like nothing.
func (v value) cell() string {
	if v.kind == kString {
		t := v.text
		if t != "" && strings.TrimSpace(t) == t && !json.Valid([]byte(t)) && !strings.ContainsFunc(t, func(r rune) bool {
			return r < 0x20 || r == 0x7f
		}) {
			return t
		}
	}
	return string(v.appendPlain(nil))
}
