package tabletest

import (
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// testNodes: what one node does to a table, another that knows the table from before minds with its next call.
func testNodes(t *testing.T, open Open) {
	store, _ := open(t)
	a, b := on(t, store), on(t, store)
	a.run()
	a.create(definition("shared", "id"))
	b.put("shared", item.Item{"id": s("old"), "kind": s("k")})
	x := table.IndexDefinition{Name: "by-kind", Key: table.Key{Hash: "kind"}, Projection: table.Projection{Kind: table.ProjectAll}}
	_, err := a.db.Update(t.Context(), Account, "shared", table.Change{Indexes: []table.IndexChange{{Create: &x}},
		Attributes: []table.Attribute{{Name: "kind", Type: item.TypeString}}})
	a.must(err)
	b.put("shared", item.Item{"id": s("new"), "kind": s("k")})
	_, err = b.db.Write(t.Context(), Account, table.WriteRequest{Table: "shared", Kind: table.Put, Item: item.Item{"id": s("bad"), "kind": n(1)}})
	refuses(t, "a key of the new index", err, validation, wrong+"Type mismatch for Index Key kind Expected: S Actual: N IndexName: by-kind")
	b.await("index active", func() bool {
		d, err := b.db.Describe(t.Context(), Account, "shared")
		b.must(err)
		return d.GlobalIndexes[0].Status == table.Active
	})
	if got := b.scanAll(table.ScanRequest{Table: "shared", Index: "by-kind"}); len(got) != 2 {
		t.Errorf("index: got %d entries, want 2", len(got))
	}
	_, err = a.db.Delete(t.Context(), Account, "shared")
	a.must(err)
	_, err = b.db.Write(t.Context(), Account, table.WriteRequest{Table: "shared", Kind: table.Put, Item: item.Item{"id": s("x")}})
	refuses(t, "put into what another node dropped", err, "ResourceNotFoundException", "Requested resource not found")
	a.create(definition("shared", "other"))
	_, err = b.db.Write(t.Context(), Account, table.WriteRequest{Table: "shared", Kind: table.Put, Item: item.Item{"id": s("x")}})
	refuses(t, "put into another table of the name", err, validation, wrong+"Missing the key other in the item")
	b.put("shared", item.Item{"other": s("x")})
	same(t, "the item of another node", a.get("shared", item.Item{"other": s("x")}), item.Item{"other": s("x")})
	cache := definition("memory", "id")
	cache.CacheBytes = 1 << 20
	a.create(cache)
	b.put("memory", item.Item{"id": s("x")})
	if got := a.get("memory", item.Item{"id": s("x")}); got != nil {
		t.Errorf("a cache table on another node: got %s, want nothing: each node has its own", show(got))
	}
	_, err = a.db.Delete(t.Context(), Account, "memory")
	a.must(err)
	_, err = b.db.Get(t.Context(), Account, table.GetRequest{Table: "memory", Key: item.Item{"id": s("x")}})
	refuses(t, "a cache table that another node dropped", err, "ResourceNotFoundException", "Requested resource not found")
}

// testChanges: what Update and Tag change of a table, and what protects it.
func testChanges(t *testing.T, open Open) {
	b := fresh(t, open)
	d := definition("t", "id")
	d.Billing, d.Throughput, d.DeletionProtection = table.Provisioned, &table.Throughput{Read: 5, Write: 5}, true
	b.create(d)
	update := func(c table.Change) (*table.Description, error) {
		return b.db.Update(t.Context(), Account, "t", c)
	}
	_, err := b.db.Delete(t.Context(), Account, "t")
	refuses(t, "delete what is protected", err, validation,
		"Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	_, err = update(table.Change{Throughput: &table.Throughput{Read: 5, Write: 5}})
	if err == nil {
		t.Error("the same throughput: got nil, want an error")
	}
	got, err := update(table.Change{Throughput: &table.Throughput{Read: 9, Write: 5}})
	if b.must(err); got.Status != table.Updating || got.Throughput.Read != 9 || got.Increased.IsZero() {
		t.Errorf("more throughput: got %+v, want it UPDATING with 9", got)
	}
	got, err = update(table.Change{Billing: table.PayPerRequest, Class: "STANDARD_INFREQUENT_ACCESS"})
	if b.must(err); got.Billing != table.PayPerRequest || got.Throughput.Read != 0 || got.BillingChanged.IsZero() || got.ClassChanged.IsZero() {
		t.Errorf("paid per request: got %+v", got)
	}
	view, off, no := table.NewImage, table.StreamView(""), false
	_, err = update(table.Change{Stream: &off})
	refuses(t, "turn off no stream", err, validation, "Table has no stream to disable: TableName: t")
	got, err = update(table.Change{Stream: &view, DeletionProtection: &no})
	if b.must(err); got.StreamARN == "" || got.Stream != view || got.DeletionProtection {
		t.Errorf("with a stream: got %+v", got)
	}
	first := got.StreamARN
	_, err = update(table.Change{Stream: &view})
	refuses(t, "turn it on again", err, validation, "Table already has an enabled stream: TableName: t")
	b.put("t", item.Item{"id": s("1")})
	_, err = update(table.Change{Stream: &off})
	b.must(err)
	b.put("t", item.Item{"id": s("2")})
	got, err = update(table.Change{Stream: &view})
	b.must(err)
	b.put("t", item.Item{"id": s("3")})
	if rs := b.readStream("t"); got.StreamARN == first || len(rs) != 1 || rs[0].Keys["id"].Str() != "3" {
		t.Errorf("the second stream: got %s with %d records, want another than %s, with one", got.StreamARN, len(rs), first)
	}
	list, _, err := b.db.Streams(t.Context(), Account, "t", "", 0)
	if b.must(err); len(list) != 2 {
		t.Errorf("Streams: got %d, want both", len(list))
	}
	page, last, err := b.db.Streams(t.Context(), Account, "", "", 1)
	if b.must(err); len(page) != 1 || last != page[0].ARN {
		t.Errorf("Streams by one: got %d, last %s", len(page), last)
	}
	page, last, err = b.db.Streams(t.Context(), Account, "t", last, 1)
	if b.must(err); len(page) != 1 || page[0].ARN != got.StreamARN || last != "" {
		t.Errorf("the second page of Streams: got %v, last %q; want %s and no more", page, last, got.StreamARN)
	}
	b.must(b.db.Tag(t.Context(), Account, "t", map[string]string{"a": "1"}))
	err = b.db.Tag(t.Context(), Account, "none", map[string]string{"a": "1"})
	refuses(t, "tag no table", err, "ResourceNotFoundException",
		"Requested resource not found: ResourcArn: arn:aws:dynamodb:"+Region+":"+Account+":table/none not found")
	_, err = b.db.Delete(t.Context(), Account, "t")
	b.must(err)
}

// testFilters: filters, projections and counts over pages.
func testFilters(t *testing.T, open Open) {
	b := fresh(t, open)
	b.library()
	for i := range 30 {
		it := book("Lem", fmt.Sprintf("book-%02d", i))
		it["year"], it["pages"], it["shelf"] = n(1950+i), n(i), item.NewMap(item.Item{"row": n(i % 3), "floor": n(1)})
		it["genre"] = s("sf")
		b.put("books", it)
	}
	filter, proj, cond := "shelf.#r = :r", "pages, shelf.#r", "author = :a"
	bound := func(global bool) *expr.Bound {
		r := expr.Request{KeyCondition: &cond, Filter: &filter, Projection: &proj, Names: map[string]string{"#r": "row"}}
		r.Values = item.Item{":a": s("Lem"), ":r": n(1)}
		if global {
			g := "genre = :a"
			r.KeyCondition = &g
			r.Values[":a"] = s("sf")
			p := "pages"
			r.Projection, r.Values[":r"] = &p, n(7)
			f := "pages = :r"
			r.Filter, r.Names = &f, nil
		}
		return b.bind(r)
	}
	x := bound(false)
	for _, index := range []string{"", "by-year"} {
		q := table.QueryRequest{Table: "books", Index: index, KeyCondition: x.KeyCondition, Filter: x.Filter, Projection: x.Projection, Limit: 7}
		items, pages, scanned := 0, 0, 0
		for {
			page, err := b.db.Query(t.Context(), Account, q)
			b.must(err)
			for _, it := range page.Items {
				if row := it["shelf"].Map()["row"]; len(it) != 2 || len(it["shelf"].Map()) != 1 || !row.Equal(n(1)) {
					t.Errorf("query of %q: got %s, want pages and the row", index, show(it))
				}
			}
			items, pages, scanned = items+page.Count, pages+1, scanned+page.Scanned
			if q.Start = page.Last; q.Start == nil {
				break
			}
		}
		if items != 10 || pages != 5 || scanned != 30 {
			t.Errorf("query of %q: got %d items of %d on %d pages, want 10 of 30 on 5", index, items, scanned, pages)
		}
	}
	y := bound(true)
	page, err := b.db.Query(t.Context(), Account, table.QueryRequest{Table: "books", Index: "by-genre", KeyCondition: y.KeyCondition, Filter: y.Filter, Projection: y.Projection})
	if b.must(err); page.Count != 1 || len(page.Items) != 1 || !page.Items[0].Equal(item.Item{"pages": n(7)}) {
		t.Errorf("query of a global index: got %d items %v, want the one with 7 pages", page.Count, page.Items)
	}
	page, err = b.db.Scan(t.Context(), Account, table.ScanRequest{Table: "books", Filter: x.Filter, Select: table.SelectCount})
	if b.must(err); page.Count != 10 || page.Scanned != 30 || page.Items != nil {
		t.Errorf("count with a filter: got %d of %d, items %v; want 10 of 30 and none", page.Count, page.Scanned, page.Items)
	}
	page, err = b.db.Scan(t.Context(), Account, table.ScanRequest{Table: "books", Select: table.SelectCount})
	if b.must(err); page.Count != 30 {
		t.Errorf("count: got %d, want 30", page.Count)
	}
	res, err := b.db.Get(t.Context(), Account, table.GetRequest{Table: "books", Key: book("Lem", "book-04"), Projection: x.Projection})
	b.must(err)
	same(t, "a projection", res.Item, item.Item{"pages": n(4), "shelf": item.NewMap(item.Item{"row": n(1)})})
	var r table.BatchGetRequest
	r.Table, r.Projection = "books", x.Projection
	for i := range 60 {
		r.Keys = append(r.Keys, book("Lem", fmt.Sprintf("book-%02d", i)))
	}
	got, err := b.db.BatchGet(t.Context(), Account, []table.BatchGetRequest{r}, true)
	if b.must(err); len(got[0].Items) != 30 || got[0].Capacity.Units != 30 || len(got[0].Items[0]) != 2 {
		t.Errorf("BatchGet: got %d items, %v units; want 30 and 30", len(got[0].Items), got[0].Capacity.Units)
	}
}
