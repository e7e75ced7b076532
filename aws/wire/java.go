package wire

import (
	"reflect"
	"strings"
)

// What JSON of the wrong type is answered with where the service's own decoder is known by its words, which are those of
// Java's types: Service.Classes.

// castFailed is what it says of a scalar where a list or a map within another is expected.
const castFailed = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class " +
	"java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module " +
	"java.base of loader 'bootstrap')"

// misfit says in Java's words that the next value is none of s.
func (d *jsonDecoder) misfit(s *shape, inside bool) error {
	c := d.peek()
	token := ""
	switch {
	case c == '[':
		return malformed("Unrecognized collection type %s", d.class(s))
	case c == '{':
		return malformed("Start of structure or map found where not expected")
	case c == '"':
		token = "STRING"
	case c == 't':
		token = "TRUE"
	case c == 'f':
		token = "FALSE"
	case c == '-' || c >= '0' && c <= '9':
		num, err := d.number()
		if err != nil {
			return err
		}
		if token = "NUMBER"; strings.ContainsAny(string(num), ".eE") {
			token = "DECIMAL"
		}
	default:
		return d.unexpected()
	}
	switch s.kind {
	case kindStruct:
		if inside {
			return malformed("Unexpected value type in payload")
		}
		return malformed("Unexpected field type")
	case kindList, kindMap:
		if inside {
			return malformed(castFailed)
		}
		return malformed("Unexpected field type")
	case kindBlob:
		return malformed("only base-64-encoded strings are convertible to bytes")
	}
	return malformed("%s_VALUE cannot be converted to %s", token, scalarClass(s))
}

// class is the Java type of s as its class is printed.
func (d *jsonDecoder) class(s *shape) string {
	switch s.kind {
	case kindMap, kindList:
		return d.typeName(s)
	}
	return "class " + d.typeName(s)
}

func (d *jsonDecoder) typeName(s *shape) string {
	switch s.kind {
	case kindStruct, kindSelf:
		return d.classes + "." + s.typ.Name()
	case kindMap:
		return "java.util.Map<java.lang.String, " + d.typeName(s.elem) + ">"
	case kindList:
		return "java.util.List<" + d.typeName(s.elem) + ">"
	case kindBlob:
		return "java.nio.ByteBuffer"
	case kindTime:
		return "java.util.Date"
	}
	return "java.lang." + scalarClass(s)
}

func scalarClass(s *shape) string {
	switch s.kind {
	case kindBool:
		return "Boolean"
	case kindInt, kindUint:
		if s.typ.Kind() == reflect.Int64 {
			return "Long"
		}
		return "Integer"
	case kindFloat:
		return "Double"
	case kindTime:
		return "Date"
	}
	return "String"
}

// javaScalar reads what Java's decoder takes for s: words for booleans, fractions for integers, of which it drops the
// fraction.
func (d *jsonDecoder) javaScalar(v reflect.Value, s *shape) error {
	c := d.peek()
	quoted, word, digits := c == '"', c == 't' || c == 'f', c == '-' || c >= '0' && c <= '9'
	switch s.kind {
	case kindString:
		if !quoted {
			return d.misfit(s, false)
		}
		text, err := d.text()
		v.SetString(string(text))
		return err
	case kindBool:
		if word {
			w, err := d.word()
			v.SetBool(w == "true")
			return err
		}
		if !quoted {
			return d.misfit(s, false)
		}
		return d.javaBool(v)
	case kindInt, kindUint, kindFloat:
		if !digits {
			return d.misfit(s, false)
		}
		num, err := d.number()
		if err != nil {
			return err
		}
		if i := strings.IndexByte(string(num), '.'); i > 0 && s.kind != kindFloat && !strings.ContainsAny(string(num), "eE") {
			num = num[:i]
		}
		return setText(v, s, string(num))
	}
	return d.scalar(v, s)
}

func (d *jsonDecoder) javaBool(v reflect.Value) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	switch strings.ToLower(string(text)) {
	case "true", "1", "yes":
		v.SetBool(true)
	case "false", "0", "no":
		v.SetBool(false)
	default:
		return malformed("Unexpected token received from parser")
	}
	return nil
}
