package expr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// numbers is a set of so many numbers, from a first one upwards or downwards.
func numbers(t testing.TB, count int, down bool) item.Value {
	t.Helper()
	elems := make([]item.Value, count)
	for i := range elems {
		elems[i] = item.NewNumber(item.Int(int64(i)))
		if down {
			elems[i] = item.NewNumber(item.Int(int64(count - i - 1)))
		}
	}
	v, err := item.NewSet(item.TypeNumberSet, elems)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// allocs is how many allocations fn makes: what looking at a large set costs shows there, however busy the machine is.
func allocs(fn func()) float64 { return testing.AllocsPerRun(1, fn) }

// TestCost: however often an expression names large values, what it does with them it does a few times. With sets of
// 100,000 elements each of these took from ten seconds to minutes when it did so for each name.
func TestCost(t *testing.T) {
	const count = 10_000
	up, down := numbers(t, count, false), numbers(t, count, true)
	once := allocs(func() { up.Equal(down) })
	it := item.Item{"a": up, "l": item.NewList([]item.Value{up, up}), "m": item.NewMap(item.Item{"x": up})}
	values := item.Item{":v": down, ":m": item.NewMap(item.Item{"x": down})}
	repeat := func(what, between string, n int) string {
		return strings.TrimSuffix(strings.Repeat(what+between, n), between)
	}
	in := "IN (" + repeat(":v", ",", 90) + ")"
	for _, c := range []struct {
		text string
		want bool
	}{
		{repeat("a=:v", " AND ", 140) + " AND m=:m", true},
		{repeat("m<>:m", " OR ", 140) + " OR a<>:v", false},
		{repeat("contains(l,:v)", " AND ", 140) + " AND m=:m", true},
		{repeat("NOT a "+in, " OR ", 5) + " OR m=:m", true},
	} {
		b, err := expr.NewCache(1).Bind(expr.Request{Condition: &c.text, Values: values})
		if err != nil {
			t.Fatalf("%.40s: %v", c.text, err)
		}
		got := allocs(func() {
			if got, err := b.Condition.Match(it); err != nil || got != c.want {
				t.Errorf("%.40s: got %v, %v, want %v", c.text, got, err, c.want)
			}
		})
		if got > 3*once+20 {
			t.Errorf("%.40s: got %v allocations, want those of two comparisons, %v each", c.text, got, once)
		}
	}
}

// TestCostOfDelete: a set that is taken out of many is looked at once.
func TestCostOfDelete(t *testing.T) {
	old := item.Item{}
	var deletes []string
	for i := range 300 {
		name := fmt.Sprintf("s%d", i)
		old[name] = numbers(t, 3, false)
		deletes = append(deletes, name+" :v")
	}
	apply := func(text string) float64 {
		b, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Values: item.Item{":v": numbers(t, 20_000, true)}})
		if err != nil {
			t.Fatal(err)
		}
		return allocs(func() {
			if _, err := b.Update.Apply(old); err != nil {
				t.Error(err)
			}
		})
	}
	one, all := apply("DELETE s0 :v"), apply("DELETE "+strings.Join(deletes, ","))
	if all > one+3*float64(len(deletes)) {
		t.Errorf("DELETE from %d sets: got %v allocations, want about %v, those of one", len(deletes), all, one)
	}
}
