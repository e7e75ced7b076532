package expr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// model is a condition that a test understands by itself.
type model struct {
	op   string // "and", "or", "not", or a comparator
	kids []model
	x, y string // attributes, of a comparator
}

func drawModel(t *rapid.T, depth int) model {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		names := rapid.Permutation([]string{"a", "b", "c", "d"}).Draw(t, "attributes")
		op := rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="}).Draw(t, "comparator")
		return model{op: op, x: names[0], y: names[1]}
	}
	m := model{op: rapid.SampledFrom([]string{"and", "or", "not"}).Draw(t, "op")}
	n := 1
	if m.op != "not" {
		n = rapid.IntRange(2, 3).Draw(t, "kids")
	}
	for range n {
		m.kids = append(m.kids, drawModel(t, depth-1))
	}
	return m
}

// level is how tightly an operator binds.
func (m model) level() int {
	return max(0, slices.Index([]string{"or", "and", "not"}, m.op)) + map[bool]int{true: 3}[m.kids == nil]
}

// text writes the condition with no more parentheses than it needs.
func (m model) text() string {
	if m.kids == nil {
		return m.x + " " + m.op + " " + m.y
	}
	parts := make([]string, len(m.kids))
	for i, k := range m.kids {
		if parts[i] = k.text(); k.level() < m.level() || k.level() == m.level() && m.op != "not" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	if m.op == "not" {
		return "NOT " + parts[0]
	}
	return strings.Join(parts, " "+strings.ToUpper(m.op)+" ")
}

func (m model) holds(it map[string]int) bool {
	switch m.op {
	case "and":
		return !slices.ContainsFunc(m.kids, func(k model) bool { return !k.holds(it) })
	case "or":
		return slices.ContainsFunc(m.kids, func(k model) bool { return k.holds(it) })
	case "not":
		return !m.kids[0].holds(it)
	}
	x, okX := it[m.x]
	y, okY := it[m.y]
	if !okX || !okY {
		return m.op == "<>"
	}
	switch m.op {
	case "=":
		return x == y
	case "<>":
		return x != y
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	}
	return x >= y
}

// Conditions mean what a plain reading of their tree means, with only the parentheses that precedence asks for.
func TestConditionsFollowTheirModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t, 4)
		text := m.text()
		bound, err := expr.NewCache(1).Bind(expr.Request{Condition: &text})
		if err != nil {
			if strings.Contains(err.Error(), "too many operators") || strings.Contains(err.Error(), "maximum allowed size") {
				t.Skip("too long")
			}
			t.Fatalf("%s: got %v, want no error", text, err)
		}
		numbers := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.IntRange(0, 2), 0, 4).Draw(t, "item")
		it := item.Item{}
		for name, n := range numbers {
			it[name] = item.NewNumber(item.Int(int64(n)))
		}
		if got, _ := bound.Condition.Match(it); got != m.holds(numbers) {
			t.Errorf("%s of %s: got %v, want %v", text, writeItem(it), got, !got)
		}
	})
}

// What SET writes is found at its path, what REMOVE takes is not, and a projection of a path finds what the path does.
func TestUpdatesAreFoundWhereTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &source{data: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")}
		old := s.item(0)
		var paths []string
		for name, v := range old {
			paths = append(paths, leaves(name, v)...)
		}
		slices.Sort(paths)
		if len(paths) == 0 {
			t.Skip("an empty item")
		}
		paths = rapid.Permutation(paths).Draw(t, "order")
		n := rapid.IntRange(1, len(paths)).Draw(t, "paths")
		set, remove := []string{"z = :v"}, []string{"y"}
		for i, p := range paths[:n] {
			if i%2 == 0 {
				set = append(set, p+" = :v")
			} else if !strings.Contains(p, "[") { // a removal moves its neighbours
				remove = append(remove, p)
			}
		}
		text := "SET " + strings.Join(set, ", ") + " REMOVE " + strings.Join(remove, ", ")
		v := item.NewString("written")
		bound, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Values: item.Item{":v": v}})
		if err != nil {
			t.Fatalf("%s: got %v, want no error", text, err)
		}
		it, err := bound.Update.Apply(old)
		if err != nil {
			t.Fatalf("%s of %s: got %v, want no error", text, writeItem(old), err)
		}
		for i, p := range bound.Update.Paths() {
			got, ok := it.At(p)
			if isSet := i < len(set); ok != isSet || isSet && !got.Equal(v) {
				t.Errorf("%s of %s, at %s: got %s, want set %v", text, writeItem(old), p, write(got), isSet)
			}
		}
		if again, err := bound.Update.Apply(it); len(remove) == 1 && (err != nil || !again.Equal(it)) {
			t.Errorf("%s twice: got %s, %v, want %s", text, writeItem(again), err, writeItem(it))
		}
	})
}

// leaves are the paths of all scalars and sets in v, and of empty containers.
func leaves(path string, v item.Value) []string {
	var out []string
	for i, e := range v.List() {
		out = append(out, leaves(fmt.Sprintf("%s[%d]", path, i), e)...)
	}
	for name, e := range v.Map() {
		out = append(out, leaves(path+"."+name, e)...)
	}
	if out == nil {
		return []string{path}
	}
	return out
}

// A projection of several paths has what each of them alone has, and nothing else.
func TestProjectionsAreTheirPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &source{data: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")}
		it := s.item(0)
		var paths []string
		for name, v := range it {
			paths = append(paths, leaves(name, v)...)
		}
		slices.Sort(paths)
		if len(paths) == 0 {
			t.Skip("an empty item")
		}
		bind := func(paths []string) item.Item {
			text := strings.Join(paths, ", ")
			b, err := expr.NewCache(1).Bind(expr.Request{Projection: &text})
			if err != nil {
				t.Fatalf("%s: got %v, want no error", text, err)
			}
			return b.Projection.Of(it)
		}
		if got := bind(paths); !got.Equal(it) {
			t.Errorf("all of %v: got %s, want %s", paths, writeItem(got), writeItem(it))
		}
		for _, p := range paths {
			one := bind([]string{p})
			var found []string
			for name, v := range one {
				found = append(found, leaves(name, v)...)
			}
			if len(found) != 1 {
				t.Errorf("%s of %s: got %s, want one leaf", p, writeItem(it), writeItem(one))
			}
		}
	})
}
