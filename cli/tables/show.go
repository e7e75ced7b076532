package tables

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// line prints an item as a line of JSON.
func (t *table) line(it item) error {
	var b []byte
	if t.sh.JSON() {
		var err error
		if b, err = raw(it); err != nil {
			return err
		}
	} else {
		b = it.appendPlain(nil, t.keyNames()...)
	}
	_, err := fmt.Fprintf(t.sh.Out, "%s\n", b)
	return err
}

// show prints one item: an attribute a line on a terminal.
func (t *table) show(it item) error {
	if !t.sh.Terminal || t.sh.JSON() {
		return t.line(it)
	}
	width := 0
	for name := range it {
		width = max(width, utf8.RuneCountInString(t.sh.Safe(name)))
	}
	for _, name := range it.names(t.keyNames()...) {
		text := t.sh.Safe(name)
		fmt.Fprintf(t.sh.Out, "%s%s  %s\n", t.sh.Paint.Key(text), strings.Repeat(" ", width-utf8.RuneCountInString(text)),
			t.sh.Safe(it[name].broad(width+2)))
	}
	return nil
}

// broad is a value with room around it: what is nested goes over several lines, set in as far as the value stands.
func (v value) broad(indent int) string {
	if v.kind != kList && v.kind != kMap || len(v.list)+len(v.m) == 0 {
		return v.cell()
	}
	var out strings.Builder
	plain := json.RawMessage(v.appendPlain(nil))
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent(strings.Repeat(" ", indent), "  ")
	if err := enc.Encode(plain); err != nil {
		return v.cell()
	}
	return strings.TrimSpace(out.String())
}

// columnLeast is the room that a column needs at least for it to be one.
const columnLeast = 10

// columns prints items in columns: keys, then what at least half of them have and there is room for; the rest of each
// item stands at the end of its line.
func (t *table) columns(items []item, index string) {
	first := t.keyNames()
	if index != "" {
		hash, sort, _ := t.keys(index)
		for _, k := range []key{sort, hash} {
			if k.name != "" && !slices.Contains(first, k.name) {
				first = append([]string{k.name}, first...)
			}
		}
	}
	count := map[string]int{}
	for _, it := range items {
		for name := range it {
			count[name]++
		}
	}
	names := slices.Clone(first)
	room := len(count)
	if columns := t.sh.Columns(); columns > 0 {
		room = max(len(first)+1, columns/(columnLeast+2))
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if !slices.Contains(first, name) && 2*count[name] >= len(items) && len(names) < room {
			names = append(names, name)
		}
	}
	rest := len(count) > len(names)
	var rows [][]string
	for _, it := range items {
		var row []string
		for _, name := range names {
			cell := t.sh.Paint.Dim("–")
			if v, ok := it[name]; ok {
				cell = t.sh.Safe(v.cell())
			}
			row = append(row, cell)
		}
		if rest {
			row = append(row, t.sh.Safe(it.others(names)))
		}
		rows = append(rows, row)
	}
	header := make([]string, len(names))
	for i, name := range names {
		header[i] = t.sh.Safe(name)
	}
	var flexible []int
	if rest {
		header = append(header, "…")
		flexible = append(flexible, len(names))
	}
	for i := len(names) - 1; i >= 0; i-- {
		flexible = append(flexible, i)
	}
	t.sh.Table(t.sh.Out, header, rows, flexible...)
}

// others is what an item has besides the named attributes, in a line.
func (it item) others(names []string) string {
	var parts []string
	for _, name := range it.names() {
		if !slices.Contains(names, name) {
			parts = append(parts, name+"="+it[name].cell())
		}
	}
	return strings.Join(parts, " ")
}
