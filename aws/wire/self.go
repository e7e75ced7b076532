package wire

import "reflect"

// Decoder is a type of the JSON protocols that reads itself from the request's bytes, for data whose form only its own
// package knows. Its pointer implements this.
type Decoder interface {
	// DecodeWire reads the JSON value at the start of doc, which is not null and has no space before it, and returns its
	// length. inside tells that it is an item of a list or of a map, of which some services speak in other words. It may
	// keep parts of doc, and must bound how deep it goes. Errors are of Kind Invalid, with the code
	// SerializationException where doc is no JSON or of the wrong type.
	DecodeWire(doc []byte, inside bool) (n int, err error)
}

// Appender is a type of the JSON protocols that writes itself. One that is nil, or zero where it is no map, slice or
// pointer, is left out.
type Appender interface {
	// AppendWire appends the value as JSON to dst.
	AppendWire(dst []byte) []byte
}

// Preparer is an input that has something to do between decoding and the check of its constraints: to bring itself into
// the form that they are about, or to answer before them. Its pointer implements this.
type Preparer interface{ Prepare() error }

// selfAbsent reports whether a value that decodes or appends itself is not there.
func selfAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer, reflect.Interface:
		return v.IsNil()
	}
	return v.IsZero()
}

// self lets v, a settable value, read itself.
func (d *jsonDecoder) self(v reflect.Value, s *shape, inside bool) error {
	dec, ok := v.Addr().Interface().(Decoder)
	if !ok {
		return malformed("%s is no input", s.typ.Name())
	}
	n, err := dec.DecodeWire(d.b[d.i:], inside)
	d.i += n
	return err
}

// self lets v write itself.
func (e *jsonEncoder) self(v reflect.Value) {
	x := v
	if v.CanAddr() {
		x = v.Addr() // a struct need not be copied
	}
	if a, ok := x.Interface().(Appender); ok {
		e.b = a.AppendWire(e.b)
		return
	}
	e.b = append(e.b, "null"...)
}
