package tabletest

import (
	"errors"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

const wrong = "One or more parameter values were invalid: "

// library makes a table with both kinds of indexes: books by author and title.
func (b *bench) library() {
	b.t.Helper()
	d := definition("books", "author", "title")
	d.Attributes = append(d.Attributes, table.Attribute{Name: "year", Type: item.TypeNumber}, table.Attribute{Name: "genre", Type: item.TypeString})
	d.Local = []table.IndexDefinition{{Name: "by-year", Key: table.Key{Hash: "author", Range: "year"}, Projection: table.Projection{Kind: table.ProjectKeys}}}
	d.Global = []table.IndexDefinition{{Name: "by-genre", Key: table.Key{Hash: "genre", Range: "year"},
		Projection: table.Projection{Kind: table.ProjectInclude, Attributes: []string{"pages"}}}}
	b.create(d)
}

func book(author, title string) item.Item { return item.Item{"author": s(author), "title": s(title)} }

func with(it item.Item, name string, v item.Value) item.Item {
	it = it.Clone()
	it[name] = v
	return it
}

func without(it item.Item, name string) item.Item {
	it = it.Clone()
	delete(it, name)
	return it
}

// testWriteTexts: writes that do not fit are refused in DynamoDB's words.
func testWriteTexts(t *testing.T, open Open) {
	b := fresh(t, open)
	b.library()
	it := book("Lem", "Solaris")
	put := func(it item.Item) table.WriteRequest {
		return table.WriteRequest{Table: "books", Kind: table.Put, Item: it}
	}
	update := func(text string, values item.Item) table.WriteRequest {
		u := b.bind(expr.Request{Update: &text, Values: values, Names: namesIn(text)})
		return table.WriteRequest{Table: "books", Kind: table.Update, Key: it, Update: u.Update}
	}
	for _, c := range []struct {
		what string
		w    table.WriteRequest
		text string
	}{
		{"no hash key", put(without(it, "author")), wrong + "Missing the key author in the item"},
		{"no sort key", put(without(it, "title")), wrong + "Missing the key title in the item"},
		{"type of a key", put(with(it, "title", n(1))), wrong + "Type mismatch for key title expected: S actual: N"},
		{"empty key", put(with(it, "author", s(""))), "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: author"},
		{"type of an index key", put(with(it, "genre", n(1))), wrong + "Type mismatch for Index Key genre Expected: S Actual: N IndexName: by-genre"},
		{"empty index key", put(with(it, "genre", s(""))), "One or more parameter values are not valid. A value specified for a secondary index key is not supported. " +
			"The AttributeValue for a key attribute cannot contain an empty string value. IndexName: by-genre, IndexKey: genre"},
		{"key without a part", table.WriteRequest{Table: "books", Kind: table.Delete, Key: without(it, "title")}, "The provided key element does not match the schema"},
		{"key with more", table.WriteRequest{Table: "books", Kind: table.Update, Key: with(it, "x", n(1))}, "The provided key element does not match the schema"},
		{"key of another type", table.WriteRequest{Table: "books", Kind: table.Delete, Key: with(it, "title", n(1))}, "The provided key element does not match the schema"},
		{"update of a key", update("SET title = :v", item.Item{":v": s("x")}), wrong + "Cannot update attribute title. This attribute is part of the key"},
		{"update of an index key", update("SET genre = :v", item.Item{":v": n(1)}), wrong + "Type mismatch for Index Key genre Expected: S Actual: N IndexName: by-genre"},
		{"update into an index key", update("SET genre.a = :v", item.Item{":v": n(1)}), "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: genre"},
		{"update of an index key by another", update("SET genre = author, #y = title", nil), "The update expression attempted to update the secondary index key to unsupported type"},
	} {
		_, err := b.db.Write(b.t.Context(), Account, c.w)
		refuses(t, c.what, err, validation, c.text)
	}
	_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "none", Kind: table.Put, Item: it})
	refuses(t, "no table", err, "ResourceNotFoundException", "Requested resource not found")
}

// namesIn are the names of expressions that cannot be written as they are.
func namesIn(text string) map[string]string {
	for i := range len(text) - 1 {
		if text[i:i+2] == "#y" {
			return map[string]string{"#y": "year"}
		}
	}
	return nil
}

// testConditions: what conditions decide, and what is answered.
func testConditions(t *testing.T, open Open) {
	b := fresh(t, open)
	b.create(definition("c", "id"))
	key := item.Item{"id": s("x")}
	absent, newer := "attribute_not_exists(id)", "v < :v"
	put := func(v int, cond string) error {
		r := expr.Request{Condition: &cond}
		if cond == newer {
			r.Values = item.Item{":v": n(v)}
		}
		_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "c", Kind: table.Put, Item: with(key, "v", n(v)),
			Condition: b.bind(r).Condition, ReturnOnFail: true})
		return err
	}
	b.must(put(1, absent))
	b.must(put(2, newer))
	for _, cond := range []string{absent, newer} {
		err := put(2, cond)
		refuses(t, cond, err, "ConditionalCheckFailedException", "The conditional request failed")
		var failed *table.ConditionFailed
		if errors.As(err, &failed) {
			same(t, "the item of "+cond, failed.Item, with(key, "v", n(2)))
		}
	}
	for _, c := range []struct {
		rv   table.ReturnValues
		want item.Item
	}{
		{table.ReturnNone, nil},
		{table.AllOld, item.Item{"id": s("x"), "v": n(3), "w": n(1)}},
		{table.AllNew, item.Item{"id": s("x"), "v": n(4), "w": n(1)}},
		{table.UpdatedOld, item.Item{"v": n(3)}},
		{table.UpdatedNew, item.Item{"v": n(4)}},
	} {
		b.put("c", with(with(key, "v", n(3)), "w", n(1)))
		got, err := b.update("c", key, "ADD v :v", item.Item{":v": n(1)}, c.rv)
		b.must(err)
		same(t, "update returning "+string(c.rv), got, c.want)
	}
	got, err := b.update("c", item.Item{"id": s("nobody")}, "REMOVE v", nil, table.AllNew)
	if b.must(err); got != nil {
		t.Errorf("REMOVE of nothing: got %s, want nothing", show(got))
	}
	if got := b.get("c", item.Item{"id": s("nobody")}); got != nil {
		t.Errorf("after REMOVE of nothing: got %s, want nothing", show(got))
	}
	_, err = b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "c", Kind: table.Update, Key: item.Item{"id": s("bare")}})
	b.must(err)
	same(t, "an update that says nothing", b.get("c", item.Item{"id": s("bare")}), item.Item{"id": s("bare")})
}

// testReadTexts: queries and scans that do not fit are refused in DynamoDB's words.
func testReadTexts(t *testing.T, open Open) {
	b := fresh(t, open)
	b.library()
	const startText = "The provided starting key is invalid"
	query := func(index, cond string, values item.Item, change func(*table.QueryRequest)) func() error {
		return func() error {
			k := b.bind(expr.Request{KeyCondition: &cond, Values: values, Names: namesIn(cond)}).KeyCondition
			r := table.QueryRequest{Table: "books", Index: index, KeyCondition: k}
			if change != nil {
				change(&r)
			}
			_, err := b.db.Query(b.t.Context(), Account, r)
			return err
		}
	}
	scan := func(r table.ScanRequest) func() error {
		return func() error {
			r.Table = "books"
			_, err := b.db.Scan(b.t.Context(), Account, r)
			return err
		}
	}
	start := func(it item.Item) func(*table.QueryRequest) { return func(r *table.QueryRequest) { r.Start = it } }
	lem := item.Item{":a": s("Lem")}
	pages, blurb, filter := "pages", "blurb", "author = :a"
	for _, c := range []struct {
		what string
		do   func() error
		text string
	}{
		{"no such index", query("none", "author = :a", lem, nil), "The table does not have the specified index: none"},
		{"consistent on a global index", query("by-genre", "genre = :a", lem, func(r *table.QueryRequest) { r.Consistent = true }),
			"Consistent reads are not supported on global secondary indexes"},
		{"type of a key", query("", "author = :a", item.Item{":a": n(1)}, nil), wrong + "Condition parameter type does not match schema type"},
		{"missing hash", query("", "title = :a", lem, nil), "Query condition missed key schema element: author"},
		{"start without a part", query("", "author = :a", lem, start(without(book("Lem", "x"), "title"))), startText},
		{"start of another type", query("", "author = :a", lem, start(with(book("Lem", "x"), "title", n(1)))), "The provided key element does not match the schema"},
		{"start elsewhere", query("", "author = :a", lem, start(book("Dick", "x"))), "The provided starting key is outside query boundaries based on provided conditions"},
		{"start outside the range", query("", "author = :a AND title > :t", item.Item{":a": s("Lem"), ":t": s("m")}, start(book("Lem", "a"))),
			"The provided starting key does not match the range key predicate"},
		{"all of a global index", query("by-genre", "genre = :a", lem, func(r *table.QueryRequest) { r.Select = table.SelectAll }),
			wrong + "Select type ALL_ATTRIBUTES is not supported for global secondary index by-genre because its projection type is not ALL"},
		{"what a global index has not", query("by-genre", "genre = :a", lem, func(r *table.QueryRequest) {
			both := pages + ", " + blurb
			r.Projection = b.bind(expr.Request{Projection: &both}).Projection
		}), wrong + "Global secondary index by-genre does not project [blurb]"},
		{"filter on a key", query("", "author = :a", lem, func(r *table.QueryRequest) {
			r.Filter = b.bind(expr.Request{Filter: &filter, Values: lem}).Filter
		}), "Filter Expression can only contain non-primary key attributes: Primary key attribute: author"},
		{"scan start without a part", scan(table.ScanRequest{Start: item.Item{"author": s("x")}}), startText + ": The provided key element does not match the schema"},
		{"scan of an index, start without a part", scan(table.ScanRequest{Index: "by-genre", Start: book("a", "b")}), startText},
		{"scan of no index", scan(table.ScanRequest{Index: "none"}), "The table does not have the specified index: none"},
	} {
		refuses(t, c.what, c.do(), validation, c.text)
	}
	wrongSegment := 0
	for i := range 4 {
		if err := scan(table.ScanRequest{Start: book("a", "b"), Segments: 4, Segment: i})(); err != nil {
			wrongSegment++
		}
	}
	if wrongSegment != 3 {
		t.Errorf("a starting key in four segments: got %d refusals, want 3", wrongSegment)
	}
}

// testTransactions: reasons, in their places.
func testTransactions(t *testing.T, open Open) {
	b := fresh(t, open)
	b.library()
	b.put("books", book("Lem", "Solaris"))
	absent := "attribute_not_exists(author)"
	cond := b.bind(expr.Request{Condition: &absent}).Condition
	w := func(it item.Item) table.WriteRequest {
		return table.WriteRequest{Table: "books", Kind: table.Put, Item: it}
	}
	failing := w(book("Lem", "Solaris"))
	failing.Condition, failing.ReturnOnFail = cond, true
	_, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{w(book("Dick", "Ubik")), failing}})
	refuses(t, "a failed condition", err, "TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]")
	var c *table.Cancelled
	if errors.As(err, &c) {
		same(t, "the item of the reason", c.Reasons[1].Item, book("Lem", "Solaris"))
	}
	if got := b.get("books", book("Dick", "Ubik")); got != nil {
		t.Errorf("after a cancelled transaction: got %s, want nothing", show(got))
	}
	_, err = b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{w(book("a", "b")), w(book("a", "b"))}})
	refuses(t, "one item twice", err, validation, "Transaction request cannot include multiple operations on one item")
	_, err = b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{w(with(book("a", "b"), "genre", n(1)))}})
	refuses(t, "an index key's type", err, "TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]")
	check := table.WriteRequest{Table: "books", Kind: table.Check, Key: book("Lem", "Solaris"), Condition: cond}
	_, err = b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{check, w(book("a", "b"))}})
	refuses(t, "a check", err, "TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None]")
	check.Key = book("nobody", "nothing")
	res, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{check, w(book("a", "b"))}, Measure: true})
	if b.must(err); len(res.Capacity) != 1 || res.Capacity[0].Units != 4 {
		t.Errorf("capacity: got %+v, want 4 units of one table", res.Capacity)
	}
	_, err = b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{{Table: "none", Kind: table.Put, Item: book("a", "b")}}})
	refuses(t, "no table", err, "ResourceNotFoundException", "Requested resource not found")
	_, err = b.db.BatchWrite(b.t.Context(), Account, []table.WriteRequest{w(book("a", "b")), w(book("a", "b"))})
	refuses(t, "a batch with an item twice", err, validation, "Provided list of item keys contains duplicates")
	_, err = b.db.BatchGet(b.t.Context(), Account, []table.BatchGetRequest{{Table: "books", Keys: []item.Item{book("a", "b"), book("a", "b")}}}, false)
	refuses(t, "a batch that reads an item twice", err, validation, "Provided list of item keys contains duplicates")
}

// testCapacity: units as DynamoDB counts them.
func testCapacity(t *testing.T, open Open) {
	b := fresh(t, open)
	b.library()
	write := func(w table.WriteRequest) *table.Capacity {
		t.Helper()
		w.Table, w.Measure = "books", true
		res, err := b.db.Write(b.t.Context(), Account, w)
		b.must(err)
		return res.Capacity
	}
	units := func(what string, c *table.Capacity, total, own, local, global float64) {
		t.Helper()
		if c.Units != total || c.Own != own || c.Local["by-year"] != local || c.Global["by-genre"] != global {
			t.Errorf("%s: got %+v, want %v in all, %v of the table, %v local, %v global", what, *c, total, own, local, global)
		}
	}
	it := book("Lem", "Solaris")
	put := func(it item.Item) *table.Capacity { return write(table.WriteRequest{Kind: table.Put, Item: it}) }
	units("a small item", put(it), 1, 1, 0, 0)
	full := with(with(it, "year", n(1961)), "genre", s("sf"))
	units("with index keys", put(full), 3, 1, 1, 1)
	units("the same again", put(full), 1, 1, 0, 0)
	units("what no index carries", put(with(full, "text", s("t"))), 1, 1, 0, 0)
	units("what one index carries", put(with(full, "pages", n(204))), 2, 1, 0, 1)
	units("another index key", put(with(full, "genre", s("novel"))), 3, 1, 0, 2)
	units("a large one", put(with(full, "text", s(string(make([]byte, 1500))))), 4, 2, 0, 2)
	units("a delete", write(table.WriteRequest{Kind: table.Delete, Key: it}), 4, 2, 1, 1)
	units("a delete of nothing", write(table.WriteRequest{Kind: table.Delete, Key: it}), 1, 1, 0, 0)
	b.put("books", with(full, "text", s(string(make([]byte, 5000)))))
	get := func(consistent bool) float64 {
		res, err := b.db.Get(b.t.Context(), Account, table.GetRequest{Table: "books", Key: it, Consistent: consistent, Measure: true})
		b.must(err)
		return res.Capacity.Units
	}
	if got := [2]float64{get(false), get(true)}; got != [2]float64{1, 2} {
		t.Errorf("get of 5,000 bytes: got %v, want 1 and 2 units", got)
	}
	cond := "author = :a"
	k := b.bind(expr.Request{KeyCondition: &cond, Values: item.Item{":a": s("Lem")}}).KeyCondition
	page, err := b.db.Query(b.t.Context(), Account, table.QueryRequest{Table: "books", Index: "by-year", KeyCondition: k, Select: table.SelectAll, Measure: true})
	b.must(err)
	units("a local index and its items", page.Capacity, 1.5, 1, 0.5, 0)
	if page.Count != 1 || len(page.Items[0]) != 5 {
		t.Errorf("a local index with all attributes: got %d items of %d attributes, want one of 5", page.Count, len(page.Items[0]))
	}
	res, err := b.db.TransactGet(b.t.Context(), Account, []table.GetRequest{{Table: "books", Key: it, Measure: true}})
	if b.must(err); res.Capacity[0].Units != 4 {
		t.Errorf("TransactGet of 5,000 bytes: got %v units, want 4", res.Capacity[0].Units)
	}
}
