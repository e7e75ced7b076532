package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Input is what a door has read of a request.
type Input struct {
	HTTP   *http.Request // the head; its Body is not used
	Form   url.Values    // of a query service
	Body   []byte        // the whole body, when Stream is nil
	Stream io.Reader     // else the body still to be read, its limit and hash being checked on the way
}

// bytes returns the whole body, read now if need be.
func (in *Input) bytes() ([]byte, error) {
	if in.Stream == nil {
		return in.Body, nil
	}
	b, err := io.ReadAll(in.Stream)
	if err != nil {
		var e *rouse.Error
		if errors.As(err, &e) {
			return nil, err
		}
		return nil, rouse.Errorf(rouse.Invalid, "The request's body could not be read: %w", err).WithCode("IncompleteBody")
	}
	return b, nil
}

// Decode reads the operation's input and validates it: a pointer to its In. It may keep parts of Body.
func (m Match) Decode(from Input) (any, error) {
	p, err := m.plans()
	if err != nil {
		return nil, err
	}
	in := m.newIn()
	v := reflect.ValueOf(in).Elem()
	switch m.table.Service.Protocol {
	case Query:
		err = m.decodeForm(from.Form, v, p.in)
	case RESTJSON:
		err = m.decodeREST(from, v, p.in)
	default:
		var doc []byte
		if doc, err = from.bytes(); err == nil {
			err = m.decodeJSON(doc, v, p.in, m.refuse, false)
		}
	}
	if err == nil {
		err = m.check(in, v, p.in)
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// check holds a decoded input against its constraints.
func (e *Entry) check(in any, v reflect.Value, pl *plan) error {
	if p, ok := in.(Preparer); ok {
		if err := p.Prepare(); err != nil {
			return err
		}
	}
	return validate(v, pl, e.table.Service.Validation)
}

// DecodeJSON reads the input as Caller gives it: the API's JSON shape, and the payload beside it or nil.
func (e *Entry) DecodeJSON(input []byte, body io.Reader) (any, error) {
	p, err := e.plans()
	if err != nil {
		return nil, err
	}
	in := e.newIn()
	v := reflect.ValueOf(in).Elem()
	if err := e.decodeJSON(input, v, p.in, e.refuse, true); err != nil {
		return nil, err
	}
	if body != nil {
		if p.in.payload == nil {
			return nil, rouse.Errorf(rouse.Invalid, "%s takes no payload", e.Name)
		}
		from := Input{Stream: &limitReader{r: body, e: e, left: e.bodyMax}}
		if err := e.decodePayload(from, v, p.in.payload); err != nil {
			return nil, err
		}
	}
	if err := e.check(in, v, p.in); err != nil {
		return nil, err
	}
	return in, nil
}

func (e *Entry) decodeForm(form url.Values, v reflect.Value, pl *plan) error {
	tree, err := formTree(form)
	if err != nil {
		return err
	}
	d := formDecoder{op: e.Name}
	return d.object(tree, v, pl, e.refuse)
}

func (m Match) decodeREST(from Input, v reflect.Value, pl *plan) error {
	var query url.Values
	if from.HTTP.URL.RawQuery != "" {
		query = from.HTTP.URL.Query()
	}
	if err := m.decodeHead(from.HTTP.Header, query, v, pl); err != nil {
		return err
	}
	if err := m.refuseHead(from.HTTP.Header, query); err != nil {
		return err
	}
	switch {
	case pl.payload != nil:
		return m.decodePayload(from, v, pl.payload)
	case pl.onBody || m.refuse != nil:
		doc, err := from.bytes()
		if err != nil {
			return err
		}
		return m.decodeJSON(doc, v, pl, m.refuse, false)
	}
	return nil
}

// decodeHead fills the members of path, query string and headers.
func (m Match) decodeHead(head http.Header, query url.Values, v reflect.Value, pl *plan) error {
	for _, f := range pl.fields {
		var err error
		switch f.in {
		case inURI:
			err = m.setLabel(v, f)
		case inQuery:
			err = m.setQuery(query, v, pl, f)
		case inHeader:
			err = m.setHeader(head, v, f)
		case inPrefix:
			setPrefixed(head, f.of(v), f)
		}
		if err != nil {
			return within(f.name, err)
		}
	}
	return nil
}

// within names the member that cannot be read.
func within(name string, err error) error {
	var e *rouse.Error
	if !errors.As(err, &e) || e.Kind != rouse.Invalid {
		return err
	}
	c := *e
	c.Message = name + ": " + e.Message
	return &c
}

func (m Match) setLabel(v reflect.Value, f *field) error {
	for i, name := range m.route.labels {
		if name == f.wire {
			return setText(settable(f.of(v), f.shape), f.shape, m.labels[i])
		}
	}
	return fmt.Errorf("label %q is not in the route", f.wire)
}

// settable follows v's pointer, making what it points to.
func settable(v reflect.Value, s *shape) reflect.Value {
	if !s.ptr {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(s.typ))
	}
	return v.Elem()
}

func (m Match) setQuery(query url.Values, v reflect.Value, pl *plan, f *field) error {
	if f.shape.kind == kindMap {
		return setRest(query, f.of(v), pl, f)
	}
	values, ok := query[f.wire]
	if !ok {
		return nil
	}
	if f.unsupported != "" {
		return tagged(m.Name, f).text(strings.Join(values, ","))
	}
	if f.shape.kind == kindList {
		return setTexts(f.of(v), f.shape, values)
	}
	return setText(settable(f.of(v), f.shape), f.shape, values[0])
}

// setRest gives a map the parameters that no other member takes.
func setRest(query url.Values, v reflect.Value, pl *plan, f *field) error {
	out := reflect.MakeMap(f.shape.typ)
	for name, values := range query {
		if pl.query[name] != nil && pl.query[name] != f || strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		item := reflect.New(f.shape.typ.Elem()).Elem()
		if err := setText(settable(item, f.shape.elem), f.shape.elem, values[0]); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(f.shape.typ.Key()), item)
	}
	if out.Len() > 0 {
		v.Set(out)
	}
	return nil
}

func setTexts(v reflect.Value, s *shape, texts []string) error {
	out := reflect.MakeSlice(s.typ, len(texts), len(texts))
	for i, t := range texts {
		if err := setText(settable(out.Index(i), s.elem), s.elem, t); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (m Match) setHeader(head http.Header, v reflect.Value, f *field) error {
	values := head.Values(f.wire)
	if len(values) == 0 {
		return nil
	}
	if f.unsupported != "" {
		return tagged(m.Name, f).text(strings.Join(values, ","))
	}
	if f.shape.kind == kindList {
		return setTexts(f.of(v), f.shape, cutList(strings.Join(values, ",")))
	}
	return setText(settable(f.of(v), f.shape), f.shape, values[0])
}

func setPrefixed(head http.Header, v reflect.Value, f *field) {
	prefix := http.CanonicalHeaderKey(f.wire)
	for name, values := range head {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || rest == "" {
			continue
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(f.shape.typ))
		}
		key := reflect.ValueOf(strings.ToLower(rest)).Convert(f.shape.typ.Key())
		v.SetMapIndex(key, reflect.ValueOf(values[0]).Convert(f.shape.typ.Elem()))
	}
}

// refuseHead looks for refused members among query string and headers.
func (m Match) refuseHead(head http.Header, query url.Values) error {
	if m.refuse == nil {
		return nil
	}
	for name, values := range query {
		if err := m.refuse.child(name).text(values[0]); err != nil {
			return err
		}
	}
	for _, r := range m.refused {
		if v := head.Get(r.path); v != "" {
			if err := m.refuse.child(r.path).text(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodePayload fills the member that is the body itself.
func (e *Entry) decodePayload(from Input, v reflect.Value, f *field) error {
	s := f.shape
	if s.kind == kindReader {
		r := from.Stream
		if r == nil {
			r = bytes.NewReader(from.Body)
		}
		rc, ok := r.(io.ReadCloser)
		if !ok {
			rc = io.NopCloser(r)
		}
		f.of(v).Set(reflect.ValueOf(rc))
		return nil
	}
	data, err := from.bytes()
	if err != nil || len(data) == 0 {
		return err
	}
	target := settable(f.of(v), s)
	switch s.kind {
	case kindBlob:
		target.SetBytes(data)
	case kindString:
		target.SetString(string(data))
	case kindRaw:
		if !json.Valid(data) {
			return malformed("The body is not valid JSON")
		}
		target.SetBytes(data)
	case kindStruct:
		return e.decodeJSON(data, target, s.fields, e.refuse.child(f.wire), false)
	default:
		return malformed("The body cannot be read into %s", f.name)
	}
	return nil
}

// limitReader answers Kind TooLarge when more than left bytes come.
type limitReader struct {
	r    io.Reader
	e    *Entry
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, l.e.TooLarge(TooLarge(l.e.bodyMax))
	}
	return n, err
}

// TooLarge names the operation in an error of Kind TooLarge, such as TooLarge returns for those that do not know it. Other
// errors are returned as they are.
func (e *Entry) TooLarge(err error) error {
	if rouse.KindOf(err) != rouse.TooLarge {
		return err
	}
	return rouse.Errorf(rouse.TooLarge, "Request must be smaller than %d bytes for the %s operation", e.bodyMax, e.Name).
		WithCode(e.tooLarge)
}

// TooLarge is the error of a body that exceeds its limit.
func TooLarge(most int64) error {
	return rouse.Errorf(rouse.TooLarge, "Request must be smaller than %d bytes for the operation", most)
}
