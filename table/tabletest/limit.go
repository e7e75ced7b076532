package tabletest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// testKeys: keys as long as DynamoDB has them, of zero bytes or of 0xff, in the table and both kinds of indexes: read,
// queried from both ends, paged and told by the stream.
func testKeys(t *testing.T, open Open) {
	b := fresh(t, open)
	d := table.Definition{Name: "long", Billing: table.PayPerRequest, Key: table.Key{Hash: "p", Range: "r"}, Stream: table.KeysOnly}
	for _, name := range []string{"p", "r", "l", "g", "h"} {
		d.Attributes = append(d.Attributes, table.Attribute{Name: name, Type: item.TypeBinary})
	}
	all := table.Projection{Kind: table.ProjectAll}
	d.Local = []table.IndexDefinition{{Name: "local", Key: table.Key{Hash: "p", Range: "l"}, Projection: all}}
	d.Global = []table.IndexDefinition{{Name: "global", Key: table.Key{Hash: "g", Range: "h"}, Projection: table.Projection{Kind: table.ProjectKeys}}}
	b.create(d)
	var items []item.Item
	for i, fill := range []string{"\x00", "\x01", "k", "\xff"} {
		long, short := strings.Repeat(fill, item.PartitionKeyMax), strings.Repeat(fill, item.SortKeyMax)
		for _, end := range []string{"\x01", "shorter", "\x7f"} {
			it := item.Item{"p": bin(long), "r": bin(short[1:] + end[:1]), "l": bin(short), "g": bin(long), "h": bin(short), "x": n(i)}
			if end == "shorter" {
				it["r"] = bin(short[:len(short)-1])
			}
			items = append(items, it)
			b.put("long", it)
		}
	}
	for i, it := range items {
		same(t, fmt.Sprintf("item %d", i), b.get("long", item.Item{"p": it["p"], "r": it["r"]}), it)
	}
	for _, index := range []string{"", "local", "global"} {
		if got := b.scanAll(table.ScanRequest{Table: "long", Index: index, Limit: 1}); len(got) != len(items) {
			t.Errorf("scan of %q by one: got %d, want %d", index, len(got), len(items))
		}
		for i := 0; i < len(items); i += 3 {
			for _, reverse := range []bool{false, true} {
				if got := b.queryLong(items[i], index, reverse); len(got) != 3 {
					t.Errorf("query of %q, reverse %v, item %d: got %d, want 3", index, reverse, i, len(got))
				}
			}
		}
	}
	if got := b.readStream("long"); len(got) != len(items) {
		t.Errorf("stream: got %d records, want %d", len(got), len(items))
	}
	over := items[0].Clone()
	over["p"] = bin(strings.Repeat("p", item.PartitionKeyMax+1))
	_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "long", Kind: table.Put, Item: over})
	refuses(t, "long partition key", err, validation, "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")
	over = items[0].Clone()
	over["r"] = bin(strings.Repeat("r", item.SortKeyMax+1))
	_, err = b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "long", Kind: table.Put, Item: over})
	refuses(t, "long sort key", err, validation, "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	for _, it := range items {
		_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "long", Kind: table.Delete, Key: item.Item{"p": it["p"], "r": it["r"]}})
		b.must(err)
	}
	for _, index := range []string{"", "local", "global"} {
		if got := b.scanAll(table.ScanRequest{Table: "long", Index: index}); len(got) != 0 {
			t.Errorf("scan of %q after all was deleted: got %d, want none", index, len(got))
		}
	}
}

// queryLong reads the partition of an item by pages of one.
func (b *bench) queryLong(it item.Item, index string, reverse bool) (all []item.Item) {
	b.t.Helper()
	hash, sort := "p", "r"
	switch index {
	case "local":
		sort = "l"
	case "global":
		hash, sort = "g", "h"
	}
	text := "#h = :h AND begins_with(#s, :s)"
	r := expr.Request{KeyCondition: &text, Names: map[string]string{"#h": hash, "#s": sort},
		Values: item.Item{":h": it[hash], ":s": item.NewBinary(it[sort].Bytes()[:len(it[sort].Bytes())-2])}}
	q := table.QueryRequest{Table: "long", Index: index, KeyCondition: b.bind(r).KeyCondition, Limit: 1, Reverse: reverse}
	for {
		page, err := b.db.Query(b.t.Context(), Account, q)
		b.must(err)
		all = append(all, page.Items...)
		if q.Start = page.Last; q.Start == nil {
			return all
		}
	}
}

// testSizes: items of 400 KB, alone, in every index and on both sides of a stream record; pages of 1 MB; answers of 16 MB.
func testSizes(t *testing.T, open Open) {
	b := fresh(t, open)
	d := definition("big", "id")
	d.Attributes = append(d.Attributes, table.Attribute{Name: "g", Type: item.TypeString})
	d.Global = []table.IndexDefinition{{Name: "all", Key: table.Key{Hash: "g"}, Projection: table.Projection{Kind: table.ProjectAll}}}
	d.Stream = table.NewAndOldImages
	b.create(d)
	full := func(id string, fill string) item.Item {
		it := item.Item{"id": s(id), "g": s("x"), "body": s("")}
		it["body"] = s(strings.Repeat(fill, item.SizeMax-it.Size()))
		return it
	}
	old, it := full("a", "o"), full("a", "n")
	b.put("big", old)
	b.put("big", it)
	same(t, "an item of 400 KB", b.get("big", item.Item{"id": s("a")}), it)
	rs := b.readStream("big")
	if len(rs) != 2 {
		t.Fatalf("stream: got %d records, want 2", len(rs))
	}
	same(t, "new image", rs[1].New, it)
	same(t, "old image", rs[1].Old, old)
	over := full("b", "x")
	over["more"] = s("")
	_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "big", Kind: table.Put, Item: over})
	refuses(t, "too large", err, validation, "Item size has exceeded the maximum allowed size")
	_, err = b.update("big", item.Item{"id": s("a")}, "SET more = :v", item.Item{":v": s("")}, table.ReturnNone)
	refuses(t, "too large by an update", err, validation, "Item size to update has exceeded the maximum allowed size")

	var ws []table.WriteRequest
	for i := range 45 {
		ws = append(ws, table.WriteRequest{Table: "big", Kind: table.Put, Item: full(fmt.Sprintf("%02d", i), "z")})
	}
	for len(ws) > 0 {
		k := min(len(ws), table.BatchWriteMax)
		_, err := b.db.BatchWrite(b.t.Context(), Account, ws[:k])
		b.must(err)
		ws = ws[k:]
	}
	page, err := b.db.Scan(b.t.Context(), Account, table.ScanRequest{Table: "big", Measure: true})
	if b.must(err); page.Scanned != 3 || page.Last == nil || page.Capacity.Units != 150 {
		t.Errorf("page: got %d items, last %s, %v units; want 3, more, and 150", page.Scanned, show(page.Last), page.Capacity.Units)
	}
	var r table.BatchGetRequest
	r.Table = "big"
	for i := range 45 {
		r.Keys = append(r.Keys, item.Item{"id": s(fmt.Sprintf("%02d", i))})
	}
	res, err := b.db.BatchGet(b.t.Context(), Account, []table.BatchGetRequest{r}, false)
	if b.must(err); len(res[0].Items) != 40 || len(res[0].Unprocessed) != 5 {
		t.Errorf("BatchGet of 18 MB: got %d and %d unprocessed, want 40 and 5", len(res[0].Items), len(res[0].Unprocessed))
	}
	var gets []table.GetRequest
	for _, k := range r.Keys[:11] {
		gets = append(gets, table.GetRequest{Table: "big", Key: k})
	}
	if _, err := b.db.TransactGet(b.t.Context(), Account, gets[:10]); err != nil {
		t.Errorf("TransactGet of 4 MB: got %v, want nil", err)
	}
	if _, err := b.db.TransactGet(b.t.Context(), Account, gets); err == nil {
		t.Error("TransactGet of more than 4 MB: got nil, want an error")
	}
}

// testQuotas: tables, indexes, tags and transactions end where DynamoDB's do.
func testQuotas(t *testing.T, open Open) {
	b := fresh(t, open)
	d := definition("wide", "id", "r")
	all := table.Projection{Kind: table.ProjectAll}
	d.Attributes = append(d.Attributes, table.Attribute{Name: "g", Type: item.TypeString})
	for i := range table.GlobalIndexesMax + 1 {
		d.Global = append(d.Global, table.IndexDefinition{Name: fmt.Sprint("g-", i), Key: table.Key{Hash: "g"}, Projection: all})
	}
	_, err := b.db.Create(b.t.Context(), Account, d)
	refuses(t, "21 global indexes", err, validation, "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of 20")
	d.Global = d.Global[:table.GlobalIndexesMax]
	for i := range table.LocalIndexesMax + 1 {
		d.Local = append(d.Local, table.IndexDefinition{Name: fmt.Sprint("l-", i), Key: table.Key{Hash: "id", Range: "g"}, Projection: all})
	}
	_, err = b.db.Create(b.t.Context(), Account, d)
	refuses(t, "6 local indexes", err, validation, "One or more parameter values were invalid: Number of LocalSecondaryIndexes exceeds per-table limit of 5")
	d.Local = d.Local[:table.LocalIndexesMax]
	d.Stream = table.NewAndOldImages
	b.create(d)
	var ws []table.WriteRequest
	for i := range table.TransactMax {
		it := item.Item{"id": s(fmt.Sprint(i)), "r": s("r"), "g": s("g"), "body": s(strings.Repeat("b", 1000))}
		ws = append(ws, table.WriteRequest{Table: "wide", Kind: table.Put, Item: it})
	}
	for range 2 { // the second time each old entry goes
		if _, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: ws}); err != nil {
			t.Fatalf("100 items with 25 indexes: got %v, want nil", err)
		}
		for i := range ws {
			ws[i].Item = ws[i].Item.Clone()
			ws[i].Item["g"] = s("h")
		}
	}
	for _, index := range []string{"g-0", "g-19", "l-4"} {
		if got := b.scanAll(table.ScanRequest{Table: "wide", Index: index}); len(got) != table.TransactMax {
			t.Errorf("index %s: got %d entries, want %d", index, len(got), table.TransactMax)
		}
	}
	tags := map[string]string{}
	for i := range table.TagsMax {
		tags[fmt.Sprint("tag-", i)] = "v"
	}
	b.must(b.db.Tag(b.t.Context(), Account, "wide", tags))
	err = b.db.Tag(b.t.Context(), Account, "wide", map[string]string{"one": "more"})
	refuses(t, "51 tags", err, validation, "Number of Tags exceed the current limit for the provided ResourceArn")
	b.must(b.db.Untag(b.t.Context(), Account, "wide", []string{"tag-0", "none"}))
	got, err := b.db.Tags(b.t.Context(), Account, "wide")
	if b.must(err); len(got) != table.TagsMax-1 {
		t.Errorf("Tags: got %d, want %d", len(got), table.TagsMax-1)
	}
}
