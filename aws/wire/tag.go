package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// rule is the constraints of one value.
type rule struct {
	min, max       float64
	hasMin, hasMax bool
	pattern        *regexp.Regexp
	patternText    string // as the tag has it, for the error
	enum           []string
}

// field compiles the tags of sf.
func (p *planner) field(sf reflect.StructField) (*field, error) {
	f := &field{wire: sf.Name, item: "member", key: "key", value: "value", unsupported: sf.Tag.Get("unsupported")}
	items := strings.Split(sf.Tag.Get("wire"), ",")
	if items[0] != "" {
		f.wire = items[0]
	}
	for _, o := range items[1:] {
		if err := f.option(o); err != nil {
			return nil, err
		}
	}
	f.name = f.wire
	if f.in != inBody {
		f.name = sf.Name
	}
	if n := sf.Tag.Get("name"); n != "" {
		f.name = n
	}
	f.label = lowerFirst(f.name)
	var err error
	if f.shape, err = p.shape(sf.Type); err != nil {
		return nil, err
	}
	if f.rule, err = parseRule(sf.Tag, ""); err != nil {
		return nil, err
	}
	if f.each, err = parseRule(sf.Tag, "each"); err != nil {
		return nil, err
	}
	if f.values, err = parseRule(sf.Tag, "value"); err != nil {
		return nil, err
	}
	return f, f.check()
}

// option applies one option of the wire tag.
func (f *field) option(o string) error {
	k, v, _ := strings.Cut(o, "=")
	switch k {
	case "uri":
		f.in, f.required = inURI, true
	case "query":
		f.in = inQuery
	case "header":
		f.in = inHeader
	case "prefix":
		f.in = inPrefix
	case "payload":
		f.in = inPayload
	case "status":
		f.in = inStatus
	case "required":
		f.required = true
	case "flat":
		f.flat = true
	case "item":
		f.item = v
	case "key":
		f.key = v
	case "value":
		f.value = v
	case "iso8601":
		f.format = formatISO
	case "epoch":
		f.format = formatEpoch
	case "http":
		f.format = formatHTTP
	case "omitempty":
		f.omitempty = true
	case "keep":
		f.keep = true
	case "sensitive":
		f.sensitive = true
	default:
		return fmt.Errorf("unknown option %q in the wire tag", o)
	}
	return nil
}

// check finds the combinations that no request can carry.
func (f *field) check() error {
	s := f.shape
	scalar := s.kind <= kindTime && s.kind != kindBlob
	switch f.in {
	case inURI:
		if !scalar {
			return fmt.Errorf("a label of the path is a scalar, not %s", s.typ)
		}
	case inHeader:
		if !scalar && !(s.kind == kindList && s.elem.kind <= kindTime) {
			return fmt.Errorf("a header is a scalar or a list of them, not %s", s.typ)
		}
	case inQuery:
		ok := scalar || ((s.kind == kindList || s.kind == kindMap) && s.elem.kind < kindBlob)
		if !ok {
			return fmt.Errorf("a query parameter is a scalar, a list of them or a map[string]string, not %s", s.typ)
		}
	case inPrefix:
		if s.kind != kindMap || s.elem.kind != kindString {
			return fmt.Errorf("headers with a prefix are a map[string]string, not %s", s.typ)
		}
	case inStatus:
		if s.kind != kindInt {
			return fmt.Errorf("a status is an int, not %s", s.typ)
		}
	case inPayload:
		if s.kind == kindList || s.kind == kindMap || s.kind < kindBlob && s.kind != kindString {
			return fmt.Errorf("a payload is []byte, string, io.Reader, a struct or a Stream, not %s", s.typ)
		}
	case inBody:
		if s.kind == kindReader || s.kind == kindStream {
			return fmt.Errorf("%s can only be a payload", s.typ)
		}
	}
	if number := s.kind >= kindBool && s.kind <= kindFloat; f.required && number && !s.ptr {
		if f.in != inURI {
			return fmt.Errorf("a required %s is a pointer, so that 0 and false can be told from absent", s.typ)
		}
		f.required = false // a label is always there
	}
	if f.values != nil && s.kind != kindMap {
		return fmt.Errorf("value… tags belong to maps, not to %s", s.typ)
	}
	if f.each != nil && s.kind != kindList && s.kind != kindMap {
		return fmt.Errorf("each… tags belong to lists and maps, not to %s", s.typ)
	}
	return nil
}

// parseRule reads the constraint tags that begin with prefix; nil when there are none.
func parseRule(tag reflect.StructTag, prefix string) (*rule, error) {
	var r rule
	var err error
	found := false
	if v, ok := tag.Lookup(prefix + "min"); ok {
		found, r.hasMin = true, true
		if r.min, err = strconv.ParseFloat(v, 64); err != nil {
			return nil, fmt.Errorf("%smin:%q is not a number", prefix, v)
		}
	}
	if v, ok := tag.Lookup(prefix + "max"); ok {
		found, r.hasMax = true, true
		if r.max, err = strconv.ParseFloat(v, 64); err != nil {
			return nil, fmt.Errorf("%smax:%q is not a number", prefix, v)
		}
	}
	if v, ok := tag.Lookup(prefix + "pattern"); ok {
		found, r.patternText = true, v
		if r.pattern, err = regexp.Compile(`^(?s:` + v + `)$`); err != nil {
			return nil, fmt.Errorf("%spattern: %w", prefix, err)
		}
	}
	if v, ok := tag.Lookup(prefix + "enum"); ok {
		found, r.enum = true, strings.Split(v, "|")
	}
	if !found {
		return nil, nil
	}
	return &r, nil
}
