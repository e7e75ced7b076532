package attr

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// DynamoDB's texts for values that are none. Those of numbers and sets are item's.
const (
	textEmpty   = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	textMany    = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
	textNull    = "One or more parameter values were invalid: Null attribute value types must have the value of true"
	textNullSet = "One or more parameter values were invalid: An string set  may not have a null string as a member"
	textDepth   = "Nesting Levels have exceeded supported limits: Attributes have nested levels beyond supported limit"
	textCount   = "Item size has exceeded the maximum allowed size"
)

// DynamoDB's texts for JSON of the wrong type.
const (
	textField     = "Unexpected field type"
	textPayload   = "Unexpected value type in payload"
	textStructure = "Start of structure or map found where not expected"
	textBase64    = "only base-64-encoded strings are convertible to bytes"
	textToken     = "Unexpected token received from parser"
	textMapOf     = "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"
	textValue     = "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"
	textCast      = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class " +
		"java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module " +
		"java.base of loader 'bootstrap')"
)

// content is what one value's structure holds: of several datatypes the first by rank gives the error.
type content struct {
	value item.Value
	count int
	rank  item.Type
	err   error
}

// rankOf orders the datatypes as DynamoDB looks at them.
var rankOf = [...]item.Type{item.TypeString: 1, item.TypeBinary: 2, item.TypeNumber: 3, item.TypeBool: 4, item.TypeNull: 5,
	item.TypeBinarySet: 6, item.TypeNumberSet: 7, item.TypeStringSet: 8, item.TypeList: 9, item.TypeMap: 10}

// took notes one datatype.
func (c *content) took(t item.Type, v item.Value, invalid error) {
	c.count++
	c.value = v
	if r := rankOf[t]; invalid != nil && (c.err == nil || r < c.rank) {
		c.err, c.rank = invalid, r
	}
}

// value reads an attribute value. bad is what makes it none; err what makes it no JSON of this type.
func (d *decoder) value(depth int, inside bool) (v item.Value, bad, err error) {
	switch c := d.peek(); c {
	case '{':
	case 'n':
		if err := d.word("null"); err != nil {
			return v, nil, err
		}
		return v, invalid(textEmpty), nil
	case '[':
		return v, nil, malformed(textValue)
	default:
		return v, nil, d.scalarFor(textPayload, textField, inside)
	}
	if depth > nestMax {
		return v, nil, malformed(textDepth)
	}
	var c content
	err = d.members(func(name string) error { return d.datatype(&c, name, depth) })
	switch {
	case err != nil:
		return item.Value{}, nil, err
	case c.err != nil:
		return item.Value{}, c.err, nil
	case c.count == 0:
		return item.Value{}, invalid(textEmpty), nil
	case c.count > 1:
		return item.Value{}, invalid(textMany), nil
	}
	return c.value, nil, nil
}

// datatype reads the member called name of a value's structure.
func (d *decoder) datatype(c *content, name string, depth int) error {
	t, ok := typeOf(name)
	if !ok {
		return d.skip(0)
	}
	if d.peek() == 'n' {
		return d.word("null")
	}
	var v item.Value
	var bad, err error
	switch t {
	case item.TypeString, item.TypeNumber, item.TypeBinary:
		v, bad, err = d.scalar(t)
	case item.TypeBool, item.TypeNull:
		var b bool
		if b, err = d.bool(); t == item.TypeBool {
			v = item.NewBool(b)
		} else if v = item.NewNull(); !b && err == nil {
			bad = invalid(textNull)
		}
	case item.TypeList:
		v, bad, err = d.list(depth)
	case item.TypeMap:
		v, bad, err = d.mapping(depth)
	default:
		v, bad, err = d.set(t)
	}
	if err != nil {
		return err
	}
	c.took(t, v, bad)
	return nil
}

// typeOf is item.ParseType without its loop.
func typeOf(name string) (item.Type, bool) {
	switch name {
	case "S":
		return item.TypeString, true
	case "N":
		return item.TypeNumber, true
	case "B":
		return item.TypeBinary, true
	case "BOOL":
		return item.TypeBool, true
	case "NULL":
		return item.TypeNull, true
	case "L":
		return item.TypeList, true
	case "M":
		return item.TypeMap, true
	case "SS":
		return item.TypeStringSet, true
	case "NS":
		return item.TypeNumberSet, true
	case "BS":
		return item.TypeBinarySet, true
	}
	return 0, false
}

// scalar reads the content of S, N or B, or an element of a set of them.
func (d *decoder) scalar(t item.Type) (v item.Value, bad, err error) {
	if t == item.TypeBinary {
		b, err := d.binary()
		return item.NewBinary(b), nil, err
	}
	if d.peek() != '"' {
		return v, nil, d.mismatch("String")
	}
	s, err := d.text()
	if err != nil || t == item.TypeString {
		return item.NewString(s), nil, err
	}
	n, bad := item.ParseNumber(s)
	return item.NewNumber(n), bad, nil
}

// binary reads base64 and nothing that only looks like it.
func (d *decoder) binary() ([]byte, error) {
	switch d.peek() {
	case '"':
	case '[', '{':
		return nil, d.mismatch("nio.ByteBuffer")
	default:
		return nil, d.scalarFor(textBase64, textBase64, true)
	}
	s, err := d.text()
	if err != nil {
		return nil, err
	}
	if len(s)%4 != 0 {
		return nil, malformed("Base64 encoded length is expected a multiple of 4 bytes but found: " + strconv.Itoa(len(s)))
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, []byte(s))
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, malformed("Invalid last non-pad Base64 character dectected")
	}
	return b[:n:n], nil
}

// bool reads true and false, and the words that Java's decoder takes for them.
func (d *decoder) bool() (bool, error) {
	switch d.peek() {
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case '"':
		s, err := d.text()
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "true", "1", "yes":
			return true, nil
		case "false", "0", "no":
			return false, nil
		}
		return false, malformed(textToken)
	}
	return false, d.mismatch("Boolean")
}

// isList requires that a list comes next.
func (d *decoder) isList() error {
	switch d.peek() {
	case '[':
		return nil
	case '{':
		return malformed(textStructure)
	}
	return d.scalarFor(textField, textField, true)
}

// set reads SS, NS or BS.
func (d *decoder) set(t item.Type) (v item.Value, bad, err error) {
	if err := d.isList(); err != nil {
		return v, nil, err
	}
	elems := make([]item.Value, 0, 4)
	err = d.items(func() error {
		if d.peek() == 'n' {
			bad = first(bad, invalid(textNullSet))
			return d.word("null")
		}
		e, wrong, err := d.scalar(t.Elem())
		if err != nil {
			return err
		}
		if bad = first(bad, first(wrong, d.element())); bad == nil {
			elems = append(elems, e)
		}
		return nil
	})
	if err != nil || bad != nil {
		return v, bad, err
	}
	v, bad = item.NewSet(t, elems)
	return v, bad, nil
}

func (d *decoder) list(depth int) (v item.Value, bad, err error) {
	if err := d.isList(); err != nil {
		return v, nil, err
	}
	if depth >= item.DepthMax {
		bad = invalid(textDepth)
	}
	elems := make([]item.Value, 0, 4)
	err = d.items(func() error {
		e, wrong, err := d.value(depth+1, true)
		if err != nil {
			return err
		}
		if bad = first(bad, first(wrong, d.element())); bad == nil {
			elems = append(elems, e)
		}
		return nil
	})
	return item.NewList(elems), bad, err
}

func (d *decoder) mapping(depth int) (v item.Value, bad, err error) {
	if d.peek() != '{' {
		return v, nil, d.notMap(false)
	}
	if depth >= item.DepthMax {
		bad = invalid(textDepth)
	}
	m := item.Item{}
	err = d.members(func(name string) error {
		e, wrong, err := d.value(depth+1, true)
		if err != nil {
			return err
		}
		if bad = first(bad, first(wrong, d.element())); bad == nil {
			m[name] = e
		}
		return nil
	})
	return item.NewMap(m), bad, err
}

// element counts one more.
func (d *decoder) element() error {
	if d.elements++; d.elements > elementsMax {
		return invalid(textCount)
	}
	return nil
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// notMap says that what comes next is no map of values.
func (d *decoder) notMap(inside bool) error {
	if d.peek() == '[' {
		return malformed(textMapOf)
	}
	return d.scalarFor(textCast, textField, inside)
}

// scalarFor is the error of a scalar where a structure or a list should be; what is no JSON at all stays that.
func (d *decoder) scalarFor(inner, outer string, inside bool) error {
	if _, err := d.token(); err != nil {
		return err
	}
	if inside {
		return malformed(inner)
	}
	return malformed(outer)
}

// mismatch says that what comes next cannot become a scalar of the Java class.
func (d *decoder) mismatch(class string) error {
	switch d.peek() {
	case '[':
		if !strings.Contains(class, ".") {
			class = "lang." + class
		}
		return malformed("Unrecognized collection type class java." + class)
	case '{':
		return malformed(textStructure)
	}
	token, err := d.token()
	if err != nil {
		return err
	}
	return malformed(token + "_VALUE cannot be converted to " + class)
}
