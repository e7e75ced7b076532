package expr_test

import (
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// What it should cost: a parse a few allocations per operand and no more than some microseconds, since a cache saves it;
// a bind the slots and the parts, well under a microsecond for a usual write; a match nothing but map look-ups; an
// update one copy of each map and list on the way to what it writes.
const (
	benchUpdate     = "SET #s = :s, updated = :t, hits = if_not_exists(hits, :zero) + :one REMOVE meta.draft"
	benchCondition  = "attribute_exists(id) AND #s <> :s AND (hits < :max OR attribute_not_exists(hits))"
	benchProjection = "id, meta.tags[0], hits"
)

func benchItem() item.Item {
	it := item.Item{"id": item.NewString("a"), "status": item.NewString("old"), "updated": item.NewString("then"),
		"hits": item.NewNumber(item.Int(41)), "meta": item.NewMap(item.Item{"draft": item.NewBool(true),
			"tags": item.NewList([]item.Value{item.NewString("x"), item.NewString("y")})})}
	for i := range 10 {
		it[fmt.Sprintf("other%d", i)] = item.NewString("value")
	}
	return it
}

func benchRequest() expr.Request {
	update, condition := benchUpdate, benchCondition
	return expr.Request{Update: &update, Condition: &condition, Names: map[string]string{"#s": "status"},
		Values: item.Item{":s": item.NewString("new"), ":t": item.NewString("now"), ":zero": item.NewNumber(item.Int(0)),
			":one": item.NewNumber(item.Int(1)), ":max": item.NewNumber(item.Int(100))}}
}

func bind(b testing.TB, r expr.Request) *expr.Bound {
	bound, err := expr.NewCache(8).Bind(r)
	if err != nil {
		b.Fatal(err)
	}
	return bound
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	c := expr.NewCache(0)
	text := benchProjection
	r := benchRequest()
	for b.Loop() {
		if _, err := c.Bind(r); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Bind(expr.Request{Projection: &text}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBind(b *testing.B) {
	projection, key, filter := benchProjection, "id = :id AND begins_with(sk, :p)", "hits > :id"
	values := item.Item{":id": item.NewString("a"), ":p": item.NewString("b")}
	for name, r := range map[string]expr.Request{
		"write":      benchRequest(),
		"projection": {Projection: &projection},
		"query":      {KeyCondition: &key, Filter: &filter, Values: values},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := expr.NewCache(8)
			for b.Loop() {
				if _, err := c.Bind(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		c := expr.NewCache(8)
		b.RunParallel(func(pb *testing.PB) {
			r := benchRequest()
			for pb.Next() {
				if _, err := c.Bind(r); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	c, it := bind(b, benchRequest()).Condition, benchItem()
	for b.Loop() {
		if ok, err := c.Match(it); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	b.ReportAllocs()
	u, it := bind(b, benchRequest()).Update, benchItem()
	for b.Loop() {
		if _, err := u.Apply(it); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProject(b *testing.B) {
	b.ReportAllocs()
	text := benchProjection
	p, it := bind(b, expr.Request{Projection: &text}).Projection, benchItem()
	for b.Loop() {
		if got := p.Of(it); len(got) != 3 {
			b.Fatal(got)
		}
	}
}

// A match does not allocate, whatever it asks; only size() makes a number.
func TestMatchAllocatesNothing(t *testing.T) {
	text := benchCondition + " AND contains(meta.tags, :x) AND begins_with(updated, :x) " +
		"OR hits IN (:one, :zero) OR hits BETWEEN :zero AND :max"
	r := benchRequest()
	r.Update, r.Condition = nil, &text
	delete(r.Values, ":t")
	r.Values[":x"] = item.NewString("x")
	c, it := bind(t, r).Condition, benchItem()
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Match(it) }); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
