package expr_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// Values are written in tests as JSON: strings, numbers, booleans, null, lists and maps mean themselves; {"$B": "…"} is a
// binary in base 64, {"$SS": […]}, {"$NS": […]} and {"$BS": […]} are sets.

// readItem reads an item.
func readItem(text string) (item.Item, error) {
	v, err := readValue(text)
	if err != nil {
		return nil, err
	}
	if v.Type() != item.TypeMap {
		return nil, fmt.Errorf("no item: %s", text)
	}
	return v.Map(), nil
}

func readValue(text string) (item.Value, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return item.Value{}, fmt.Errorf("%w in %s", err, text)
	}
	return valueOf(x)
}

func valueOf(x any) (item.Value, error) {
	switch x := x.(type) {
	case nil:
		return item.NewNull(), nil
	case bool:
		return item.NewBool(x), nil
	case string:
		return item.NewString(x), nil
	case json.Number:
		n, err := item.ParseNumber(string(x))
		return item.NewNumber(n), err
	case []any:
		list, err := valuesOf(x)
		return item.NewList(list), err
	}
	m := x.(map[string]any)
	for key, of := range m {
		switch key {
		case "$B":
			b, err := base64.StdEncoding.DecodeString(of.(string))
			return item.NewBinary(b), err
		case "$SS", "$NS", "$BS":
			if key == "$BS" {
				for i, e := range of.([]any) {
					of.([]any)[i] = map[string]any{"$B": e}
				}
			}
			t, _ := item.ParseType(key[1:])
			elems, err := valuesOf(of.([]any))
			if err != nil {
				return item.Value{}, err
			}
			return item.NewSet(t, elems)
		}
	}
	out := make(item.Item, len(m))
	for key, e := range m {
		v, err := valueOf(e)
		if err != nil {
			return item.Value{}, err
		}
		out[key] = v
	}
	return item.NewMap(out), nil
}

func valuesOf(list []any) ([]item.Value, error) {
	out := make([]item.Value, len(list))
	for i, e := range list {
		v, err := valueOf(e)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// write writes a value, or an item, as readValue reads it; names and the elements of sets are sorted.
func write(v item.Value) string {
	switch v.Type() {
	case item.TypeAbsent:
		return "absent"
	case item.TypeNull:
		return "null"
	case item.TypeBool:
		return strconv.FormatBool(v.Bool())
	case item.TypeNumber:
		return v.Number().String()
	case item.TypeString:
		return quote(v.Str())
	case item.TypeBinary:
		return `{"$B":` + quote(base64.StdEncoding.EncodeToString(v.Bytes())) + "}"
	case item.TypeList:
		return writeAll(v.List())
	case item.TypeMap:
		return writeItem(v.Map())
	}
	elems := slices.Clone(v.Elems())
	slices.SortFunc(elems, func(a, b item.Value) int { order, _ := item.Compare(a, b); return order })
	text := writeAll(elems)
	if v.Type() == item.TypeBinarySet {
		text = strings.NewReplacer(`{"$B":`, "", "}", "").Replace(text)
	}
	return `{"$` + v.Type().String() + `":` + text + "}"
}

func writeAll(list []item.Value) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = write(e)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func writeItem(it item.Item) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(it)) {
		parts = append(parts, quote(name)+":"+write(it[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
