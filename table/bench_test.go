package table_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// Sketch: a Get is one View with one GetAll of the head and the item, the hash of the key and the item decoded. A Put is
// one Update with one GetAll and one commit: no index, no stream. An Update adds decoding, applying and encoding.

func benchTables(b *testing.B, d table.Definition) *table.Tables {
	b.Helper()
	db, err := table.Open(b.Context(), table.Config{Store: kvtest.Memory(b), Region: "eu-test-1"})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.Create(b.Context(), account, d); err != nil {
		b.Fatal(err)
	}
	return db
}

// user is an item of ten attributes and about 500 bytes.
func user(i int) item.Item {
	it := key(fmt.Sprintf("user-%06d", i))
	for j := range 8 {
		it[fmt.Sprint("attribute-", j)] = str(strings.Repeat("v", 40))
	}
	it["n"] = num(int64(i))
	return it
}

const users = 1000

func fill(b *testing.B, db *table.Tables) {
	b.Helper()
	for i := range users {
		if _, err := db.Write(b.Context(), account, table.WriteRequest{Table: "users", Kind: table.Put, Item: user(i)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	db := benchTables(b, definition("users"))
	fill(b, db)
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := key(fmt.Sprintf("user-%06d", n.Add(1)%users))
			if res, err := db.Get(b.Context(), account, table.GetRequest{Table: "users", Key: k}); err != nil || res.Item == nil {
				b.Fatalf("got %v, %v", res.Item, err)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	db := benchTables(b, definition("users"))
	fill(b, db)
	items := make([]item.Item, users)
	for i := range items {
		items[i] = user(i)
		items[i]["n"] = num(-1)
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			it := items[i%users].Clone()
			it["n"] = num(i)
			if _, err := db.Write(b.Context(), account, table.WriteRequest{Table: "users", Kind: table.Put, Item: it}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	db := benchTables(b, definition("users"))
	fill(b, db)
	text := "SET n = n + :one"
	u, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Values: item.Item{":one": num(1)}})
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := key(fmt.Sprintf("user-%06d", n.Add(1)%users))
			if _, err := db.Write(b.Context(), account, table.WriteRequest{Table: "users", Kind: table.Update, Key: k, Update: u.Update}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkQuery100(b *testing.B) {
	d := definition("users")
	d.Key.Range = "sort"
	d.Attributes = append(d.Attributes, table.Attribute{Name: "sort", Type: item.TypeNumber})
	db := benchTables(b, d)
	for i := range users {
		it := user(i)
		it["id"], it["sort"] = str("all"), num(int64(i))
		if _, err := db.Write(b.Context(), account, table.WriteRequest{Table: "users", Kind: table.Put, Item: it}); err != nil {
			b.Fatal(err)
		}
	}
	text := "id = :id AND #s >= :s"
	k, err := expr.NewCache(1).Bind(expr.Request{KeyCondition: &text, Names: map[string]string{"#s": "sort"}, Values: item.Item{":id": str("all"), ":s": num(300)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		page, err := db.Query(b.Context(), account, table.QueryRequest{Table: "users", KeyCondition: k.KeyCondition, Limit: 100})
		if err != nil || page.Count != 100 {
			b.Fatalf("got %d, %v", page.Count, err)
		}
	}
}
