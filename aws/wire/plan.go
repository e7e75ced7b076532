package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// shapeKind is what a Go type means on the wire.
type shapeKind uint8

const (
	kindString shapeKind = iota
	kindBool
	kindInt
	kindUint
	kindFloat
	kindBlob
	kindTime
	kindRaw // json.RawMessage
	kindAny
	kindStruct
	kindList
	kindMap
	kindReader // io.Reader or io.ReadCloser, payload only
	kindStream // Stream, payload of outputs only
	kindSelf   // decodes and appends itself: Decoder, Appender
)

// location is the part of an HTTP request or answer that holds a member. Only REST services look beyond the body.
type location uint8

const (
	inBody location = iota
	inURI
	inQuery
	inHeader
	inPrefix
	inPayload
	inStatus
)

// timeFormat is how a timestamp is written; formatDefault leaves it to protocol and location.
type timeFormat uint8

const (
	formatDefault timeFormat = iota
	formatEpoch
	formatISO
	formatHTTP
)

// shape describes a type: pointers are counted and taken off.
type shape struct {
	kind   shapeKind
	ptr    bool // one pointer above the type
	typ    reflect.Type
	elem   *shape // of lists and maps
	fields *plan  // of structs
}

// plan is the compiled form of a struct type. Immutable once built.
type plan struct {
	typ     reflect.Type
	fields  []*field
	body    map[string]*field // members of the body by wire name
	named   map[string]*field // all members by the names that Caller's JSON may use
	query   map[string]*field // members of the query string
	payload *field
	checked bool // some member here or below has a constraint
	onBody  bool // there are members of the body
}

// field is one member of a struct.
type field struct {
	index  []int
	wire   string // on the wire
	name   string // in Caller's JSON
	label  string // in validation errors: name with a small first letter
	in     location
	shape  *shape
	format timeFormat

	item, key, value string
	flat             bool
	required         bool
	omitempty, keep  bool
	sensitive        bool
	rule, each       *rule
	values           *rule // of a map's values
	unsupported      string
}

// of returns f's value within the struct v. Embedded structs hold no pointers, so it always exists.
func (f *field) of(v reflect.Value) reflect.Value {
	if len(f.index) == 1 {
		return v.Field(f.index[0])
	}
	return v.FieldByIndex(f.index)
}

// planner compiles types once per table. Safe for concurrent use.
type planner struct {
	mu    sync.Mutex
	plans map[reflect.Type]*plan // guarded by mu
	err   error                  // guarded by mu; the first mistake spoils the table: recursive types share plans
}

// plan returns the plan of the struct type t.
func (p *planner) plan(t reflect.Type) (*plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	pl, err := p.build(t)
	if err != nil {
		p.err = err
		return nil, err
	}
	markChecked(p.plans)
	return pl, nil
}

// markChecked spreads checked upwards until nothing changes, as types may be recursive.
func markChecked(plans map[reflect.Type]*plan) {
	for changed := true; changed; {
		changed = false
		for _, pl := range plans {
			if pl.checked {
				continue
			}
			for _, f := range pl.fields {
				s := f.shape
				for s.elem != nil {
					s = s.elem
				}
				if f.required || f.rule != nil || f.each != nil || f.values != nil || (s.fields != nil && s.fields.checked) {
					pl.checked, changed = true, true
					break
				}
			}
		}
	}
}

// build compiles t and what it reaches. The caller holds mu.
func (p *planner) build(t reflect.Type) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	if pl := p.plans[t]; pl != nil {
		return pl, nil
	}
	pl := &plan{typ: t, body: map[string]*field{}, named: map[string]*field{}, query: map[string]*field{}}
	if p.plans == nil {
		p.plans = map[reflect.Type]*plan{}
	}
	p.plans[t] = pl
	if err := p.addFields(pl, t, nil); err != nil {
		return nil, err
	}
	for _, f := range pl.fields {
		if err := pl.addNames(f); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

func (p *planner) addFields(pl *plan, t reflect.Type, above []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int(nil), above...), i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && sf.Tag.Get("wire") == "" && sf.Type != timeType {
			if err := p.addFields(pl, sf.Type, index); err != nil {
				return err
			}
			continue
		}
		if !sf.IsExported() || sf.Tag.Get("wire") == "-" {
			continue
		}
		f, err := p.field(sf)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, sf.Name, err)
		}
		f.index = index
		pl.fields = append(pl.fields, f)
	}
	return nil
}

// addNames enters f into the maps by which decoders look members up.
func (pl *plan) addNames(f *field) error {
	switch f.in {
	case inBody:
		if pl.body[f.wire] != nil {
			return fmt.Errorf("%s: two members of the body are called %q", pl.typ, f.wire)
		}
		pl.body[f.wire] = f
		pl.onBody = true
	case inQuery:
		pl.query[f.wire] = f
	case inPayload:
		if pl.payload != nil {
			return fmt.Errorf("%s: two payloads", pl.typ)
		}
		pl.payload = f
	}
	if f.in == inStatus {
		return nil
	}
	if pl.named[f.name] != nil {
		return fmt.Errorf("%s: two members are called %q", pl.typ, f.name)
	}
	pl.named[f.name] = f
	// Caller's JSON may be written with either case of the first letter: Step Functions and schedules always send
	// PascalCase, whatever the service's own spelling.
	for _, alias := range []string{lowerFirst(f.name), upperFirst(f.name)} {
		if pl.named[alias] == nil {
			pl.named[alias] = f
		}
	}
	return nil
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	rawType        = reflect.TypeFor[json.RawMessage]()
	readerType     = reflect.TypeFor[io.Reader]()
	readCloserType = reflect.TypeFor[io.ReadCloser]()
	streamType     = reflect.TypeFor[Stream]()
	decoderType    = reflect.TypeFor[Decoder]()
	appenderType   = reflect.TypeFor[Appender]()
)

func (p *planner) shape(t reflect.Type) (*shape, error) {
	s := &shape{typ: t}
	if t.Kind() == reflect.Pointer {
		s.ptr, t = true, t.Elem()
		s.typ = t
	}
	if reflect.PointerTo(t).Implements(decoderType) || t.Implements(appenderType) {
		s.kind = kindSelf
		return s, nil
	}
	switch t {
	case timeType:
		s.kind = kindTime
		return s, nil
	case rawType:
		s.kind = kindRaw
		return s, nil
	case readerType, readCloserType:
		s.kind = kindReader
		return s, nil
	case streamType:
		s.kind = kindStream
		return s, nil
	}
	var err error
	switch t.Kind() {
	case reflect.String:
		s.kind = kindString
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = kindUint
	case reflect.Float32, reflect.Float64:
		s.kind = kindFloat
	case reflect.Interface:
		if t.NumMethod() != 0 {
			return nil, fmt.Errorf("%s cannot travel", t)
		}
		s.kind = kindAny
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind = kindBlob
			return s, nil
		}
		s.kind = kindList
		s.elem, err = p.shape(t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s: keys of maps are strings", t)
		}
		s.kind = kindMap
		s.elem, err = p.shape(t.Elem())
	case reflect.Struct:
		s.kind = kindStruct
		s.fields, err = p.build(t)
	default:
		return nil, fmt.Errorf("%s cannot travel", t)
	}
	return s, err
}

func lowerFirst(s string) string { return mapFirst(s, unicode.ToLower) }
func upperFirst(s string) string { return mapFirst(s, unicode.ToUpper) }

func mapFirst(s string, to func(rune) rune) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || to(r) == r {
		return s
	}
	return string(to(r)) + s[n:]
}

// cutList splits a comma separated list into its trimmed items.
func cutList(s string) []string {
	items := strings.Split(s, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}
