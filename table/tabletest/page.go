package tabletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// testPrefixes: begins_with finds exactly what begins so, in tables and in indexes, whatever bytes keys end with.
func testPrefixes(t *testing.T, open Open) {
	b := fresh(t, open)
	d := table.Definition{Name: "t", Billing: table.PayPerRequest, Key: table.Key{Hash: "p", Range: "r"}}
	for _, name := range []string{"p", "r", "l"} {
		d.Attributes = append(d.Attributes, table.Attribute{Name: name, Type: item.TypeBinary})
	}
	d.Local = []table.IndexDefinition{{Name: "local", Key: table.Key{Hash: "p", Range: "l"}, Projection: table.Projection{Kind: table.ProjectAll}}}
	b.create(d)
	var sorts []string
	for _, begin := range []string{"a", "1234567", "12345678", "\xff"} {
		for _, end := range []string{"", "\x00", "\x00\x00", "\x00\x01", "\x01", "b", "\xff", "\xff\xff\x00"} {
			sorts = append(sorts, begin+end)
		}
	}
	slices.Sort(sorts)
	for _, sort := range sorts {
		b.put("t", item.Item{"p": bin("p"), "r": bin(sort), "l": bin(sort)})
	}
	for _, prefix := range sorts {
		var want []string
		for _, sort := range sorts {
			if strings.HasPrefix(sort, prefix) {
				want = append(want, sort)
			}
		}
		for index, name := range map[string]string{"": "r", "local": "l"} {
			text := "p = :p AND begins_with(" + name + ", :b)"
			c := b.bind(expr.Request{KeyCondition: &text, Values: item.Item{":p": bin("p"), ":b": bin(prefix)}})
			page, err := b.db.Query(t.Context(), Account, table.QueryRequest{Table: "t", Index: index, KeyCondition: c.KeyCondition})
			b.must(err)
			var got []string
			for _, it := range page.Items {
				got = append(got, string(it[name].Bytes()))
			}
			if !slices.Equal(got, want) {
				t.Errorf("begins_with(%q) of %q: got %q, want %q", prefix, index, got, want)
			}
		}
	}
}

// testWork: a filter that takes much work for each item gets shorter pages, which together are all items.
func testWork(t *testing.T, open Open) {
	b := fresh(t, open)
	b.create(definition("t", "p"))
	const items = 12
	for i := range items {
		b.put("t", item.Item{"p": s(fmt.Sprint(i)), "v": n(i)})
	}
	list := make([]item.Value, 4_000_000) // operands; a page has room for twenty millions
	minus := n(-1)
	for i := range list {
		list[i] = minus
	}
	list[len(list)-1] = n(7)
	c, err := expr.BindFilter(map[string]expr.Comparison{"v": {Operator: "IN", List: list}}, "")
	b.must(err)
	r := table.ScanRequest{Table: "t", Filter: c, Measure: true}
	pages, found, scanned := 0, 0, 0
	for {
		page, err := b.db.Scan(t.Context(), Account, r)
		b.must(err)
		pages, found, scanned = pages+1, found+page.Count, scanned+page.Scanned
		if r.Start = page.Last; r.Start == nil {
			break
		}
		if page.Scanned > 4 || pages > items {
			t.Fatalf("page %d: got %d items, want 4 at most", pages, page.Scanned)
		}
	}
	if pages < 3 || found != 1 || scanned != items {
		t.Errorf("got %d pages, %d found of %d, want 3 or 4, 1 and %d", pages, found, scanned, items)
	}
}

// testFetch: a page of a local index that has to read the items too is bounded by their size as well as by that of its
// entries, and the pages are all of them, each once.
func testFetch(t *testing.T, open Open) {
	b := fresh(t, open)
	d := definition("t", "p", "r")
	d.Attributes = append(d.Attributes, table.Attribute{Name: "l", Type: item.TypeString})
	d.Local = []table.IndexDefinition{{Name: "local", Key: table.Key{Hash: "p", Range: "l"}, Projection: table.Projection{Kind: table.ProjectKeys}}}
	b.create(d)
	const items, size = 10, 300 << 10
	for i := range items {
		b.put("t", item.Item{"p": s("p"), "r": s(fmt.Sprint(i)), "l": s(fmt.Sprint(items - i)), "body": s(strings.Repeat("x", size))})
	}
	text := "p = :p"
	c := b.bind(expr.Request{KeyCondition: &text, Values: item.Item{":p": s("p")}})
	for _, reverse := range []bool{false, true} {
		seen := map[string]bool{}
		r := table.QueryRequest{Table: "t", Index: "local", KeyCondition: c.KeyCondition, Select: table.SelectAll, Reverse: reverse, Measure: true}
		for pages := 1; ; pages++ {
			page, err := b.db.Query(t.Context(), Account, r)
			b.must(err)
			total := 0
			for _, it := range page.Items {
				total += it.Size()
				if id := it["r"].Str(); seen[id] {
					t.Errorf("reverse %v: got item %s twice", reverse, id)
				} else {
					seen[id] = true
				}
			}
			if total > table.PageMax+item.SizeMax {
				t.Errorf("reverse %v: got a page of %d bytes, want about %d at most", reverse, total, table.PageMax)
			}
			if page.Scanned != len(page.Items) || page.Capacity.Own == 0 {
				t.Errorf("reverse %v: got %d scanned and capacity %+v, want %d and some of the table", reverse, page.Scanned, *page.Capacity, len(page.Items))
			}
			if r.Start = page.Last; r.Start == nil {
				break
			}
			if pages > items {
				t.Fatalf("reverse %v: got more than %d pages", reverse, items)
			}
		}
		if len(seen) != items {
			t.Errorf("reverse %v: got %d items, want %d", reverse, len(seen), items)
		}
	}
}
