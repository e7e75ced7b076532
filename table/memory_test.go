package table_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// cached is a cache table of 1 MiB with an index.
func cached(name string) table.Definition {
	d := definition(name)
	d.Tags = map[string]string{table.CacheTag: "1MiB"}
	d.Attributes = append(d.Attributes, table.Attribute{Name: "user", Type: item.TypeString})
	d.Global = []table.IndexDefinition{{Name: "by-user", Key: table.Key{Hash: "user"}, Projection: table.Projection{Kind: table.ProjectAll}}}
	return d
}

func (e *engine) byUser(name, user string) []item.Item {
	e.t.Helper()
	text := "#u = :u"
	b, err := expr.NewCache(1).Bind(expr.Request{KeyCondition: &text, Names: map[string]string{"#u": "user"}, Values: item.Item{":u": str(user)}})
	e.must(err)
	page, err := e.Query(e.t.Context(), account, table.QueryRequest{Table: name, Index: "by-user", KeyCondition: b.KeyCondition})
	e.must(err)
	return page.Items
}

// TestCacheTable: a cache table answers as others do, never writes its items down, keeps within its bound, and is empty
// after a restart.
func TestCacheTable(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		e.create(cached("sessions"))
		d, err := e.Describe(t.Context(), account, "sessions")
		if e.must(err); d.CacheBytes != 1<<20 {
			t.Errorf("CacheBytes: got %d, want %d", d.CacheBytes, 1<<20)
		}
		session := func(i int) item.Item {
			it := in(fmt.Sprint("s", i), time.Hour)
			it["user"], it["body"] = str(fmt.Sprint("u", i%2)), str(strings.Repeat("b", 1000))
			return it
		}
		e.put("sessions", session(0))
		e.put("sessions", session(1))
		if got := e.byUser("sessions", "u1"); len(got) != 1 || !got[0].Equal(session(1)) {
			t.Errorf("by-user: got %d items, want the one", len(got))
		}
		kept := 0
		for i := range 2000 {
			e.put("sessions", session(i))
			e.has("sessions", "s0") // stays, because it is used
		}
		for i := range 2000 {
			if e.has("sessions", fmt.Sprint("s", i)) {
				kept++
			}
		}
		if !e.has("sessions", "s0") || !e.has("sessions", "s1999") || e.has("sessions", "s1") {
			t.Error("got the wrong items: want what was used last")
		}
		if kept < 200 || kept > 600 {
			t.Errorf("kept %d items of 2 KB with their entries in 1 MiB, want some hundreds", kept)
		}
		if got := len(e.byUser("sessions", "u0")) + len(e.byUser("sessions", "u1")); got != kept {
			t.Errorf("index: got %d entries, want %d", got, kept)
		}
		if d, err = e.Describe(t.Context(), account, "sessions"); err != nil || d.Items != int64(kept) || d.GlobalIndexes[0].Items != int64(kept) {
			t.Errorf("Describe: got %d items, %d entries, %v; want %d", d.Items, d.GlobalIndexes[0].Items, err, kept)
		}
		e.must(e.store.View(t.Context(), func(v kv.View) error {
			for p, err := range v.Scan(kv.Range{}, 0) {
				if err != nil || strings.Contains(string(p.Value), "bbbbbbbb") {
					t.Errorf("the store has an item of a cache table at %q, %v", p.Key, err)
				}
			}
			return nil
		}))
		again, err := table.Open(t.Context(), table.Config{Store: e.store, Region: "eu-test-1"})
		e.must(err)
		if page, err := again.Scan(t.Context(), account, table.ScanRequest{Table: "sessions"}); err != nil || page.Count != 0 {
			t.Errorf("after a restart: got %d items, %v; want none", page.Count, err)
		}
	})
}

// TestCacheTablesTogether: cache tables keep within the bound of the node together, each has what it needs as long as there is
// room, what was not used for longest goes first whichever table it is in, and a dropped table gives its room back.
func TestCacheTablesTogether(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		const tables, perTable = 12, 200
		name := func(n int) string { return fmt.Sprint("sessions-", n) }
		has := func(n int) (items int) {
			for i := range perTable {
				if e.has(name(n), fmt.Sprint(i)) {
					items++
				}
			}
			return items
		}
		fill := func(n int) {
			for i := range perTable {
				it := key(fmt.Sprint(i))
				it["user"], it["body"] = str("u"), str(strings.Repeat("b", 1500)) // 4 KB with the entry: a table has 800 KB
				e.put(name(n), it)
			}
		}
		for n := range tables {
			e.create(cached(name(n)))
			fill(n)
			if got := has(n); got != perTable {
				t.Errorf("table %d, just filled: got %d items, want %d", n, got, perTable)
			}
			if got := has(0); got != perTable {
				t.Errorf("table 0, in use: got %d items when %d tables were filled, want %d", got, n+1, perTable)
			}
		}
		sum := int64(0)
		for n := range tables {
			d, err := e.Describe(t.Context(), account, name(n))
			e.must(err)
			sum += d.SizeBytes + d.GlobalIndexes[0].SizeBytes
		}
		if sum > cacheBytes || sum < cacheBytes/2 {
			t.Errorf("%d tables hold %d bytes of items and entries together, want some less than %d", tables, sum, cacheBytes)
		}
		if first, last := has(1), has(tables-2); first != 0 || last != perTable {
			t.Errorf("got %d items in the table not used for longest and %d in one used lately, want 0 and %d", first, last, perTable)
		}
		for n := range tables - 1 {
			_, err := e.Delete(t.Context(), account, name(n+1))
			e.must(err)
		}
		e.create(cached(name(1)))
		fill(1)
		if got := has(0) + has(1); got != 2*perTable {
			t.Errorf("after the others were dropped: got %d items, want %d", got, 2*perTable)
		}
	})
}

// TestCacheExpiry: items of cache tables expire; the entries go with them.
func TestCacheExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		e.create(cached("sessions"))
		e.must(e.SetTTL(t.Context(), account, "sessions", "ends", true))
		it := in("a", time.Minute)
		it["user"] = str("ann")
		e.put("sessions", it)
		e.put("sessions", in("b", time.Hour))
		pass(2 * time.Minute)
		if e.has("sessions", "a") || !e.has("sessions", "b") || len(e.byUser("sessions", "ann")) != 0 {
			t.Error("got the wrong items after two minutes: want the second alone")
		}
	})
}

// TestCacheLimits: what a cache table cannot do is refused, and another shape or name finds it empty.
func TestCacheLimits(t *testing.T) {
	bubble(t, func(t *testing.T, e *engine) {
		for _, size := range []string{"1KiB", "65GiB", "many", "-1", "1MB", "99999999999999999999GiB"} {
			d := cached("bad")
			d.Tags[table.CacheTag] = size
			if _, err := e.Create(t.Context(), account, d); rouse.KindOf(err) != rouse.Invalid {
				t.Errorf("a cache of %s: got %v, want it refused", size, err)
			}
		}
		d := cached("bad")
		d.Stream = table.KeysOnly
		if _, err := e.Create(t.Context(), account, d); rouse.KindOf(err) != rouse.Unsupported {
			t.Errorf("a stream: got %v, want it unsupported", err)
		}
		e.create(cached("c"))
		view := table.KeysOnly
		if _, err := e.Update(t.Context(), account, "c", table.Change{Stream: &view}); rouse.KindOf(err) != rouse.Unsupported {
			t.Errorf("a stream later: got %v, want it unsupported", err)
		}
		w := table.WriteRequest{Table: "c", Kind: table.Put, Item: key("x")}
		if _, err := e.TransactWrite(t.Context(), account, table.TransactRequest{Writes: []table.WriteRequest{w}}); rouse.KindOf(err) != rouse.Unsupported {
			t.Errorf("TransactWrite: got %v, want it unsupported", err)
		}
		if _, err := e.TransactGet(t.Context(), account, []table.GetRequest{{Table: "c", Key: key("x")}}); rouse.KindOf(err) != rouse.Unsupported {
			t.Errorf("TransactGet: got %v, want it unsupported", err)
		}
		if err := e.Tag(t.Context(), account, "c", map[string]string{table.CacheTag: "2MiB"}); rouse.KindOf(err) != rouse.Unsupported {
			t.Errorf("another bound: got %v, want it unsupported", err)
		}
		e.put("c", key("x"))
		_, err := e.Update(t.Context(), account, "c", table.Change{Indexes: []table.IndexChange{{Delete: "by-user"}}})
		if e.must(err); e.has("c", "x") {
			t.Error("after an index was dropped: got the item, want the table empty")
		}
		e.put("c", key("x"))
		if _, err = e.Delete(t.Context(), account, "c"); err != nil {
			t.Errorf("Delete: got %v, want nil", err)
		}
		e.create(cached("c"))
		if e.has("c", "x") {
			t.Error("a new table of the name has an item of the old one")
		}
	})
}
