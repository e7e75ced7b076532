package tabletest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// testCounter: a thousand writers add one to one item. None is lost, all get through, and the stream tells them in order.
func testCounter(t *testing.T, open Open) {
	const writers = 1000
	b := fresh(t, open)
	d := definition("counters", "id")
	d.Stream = table.NewImage
	b.create(d)
	text := "ADD n :one"
	u := b.bind(expr.Request{Update: &text, Values: item.Item{":one": n(1)}}).Update
	key := item.Item{"id": s("hot")}
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range writers {
		wg.Go(func() {
			res, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: "counters", Kind: table.Update, Key: key, Update: u, Return: table.UpdatedNew})
			if err != nil {
				t.Errorf("add: got %v, want nil", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if v := res.Attributes["n"].Number().String(); seen[v] {
				t.Errorf("two writers were told %s", v)
			} else {
				seen[v] = true
			}
		})
	}
	wg.Wait()
	same(t, "the counter", b.get("counters", key), item.Item{"id": s("hot"), "n": n(writers)})
	records := b.readStream("counters")
	if len(records) != writers {
		t.Fatalf("stream: got %d records, want %d", len(records), writers)
	}
	for i, r := range records {
		same(t, fmt.Sprintf("record %d", i), r.New, item.Item{"id": s("hot"), "n": n(i + 1)})
	}
}

// testTransfers: transactions that collide move amounts between few accounts. None is lost or made, nobody is stuck, and
// whoever reads all accounts at once always finds the same sum.
func testTransfers(t *testing.T, open Open) {
	const accounts, movers, moves, each = 5, 16, 25, 100
	b := fresh(t, open)
	b.create(definition("accounts", "id"))
	key := func(i int) item.Item { return item.Item{"id": s(fmt.Sprint("account-", i))} }
	for i := range accounts {
		it := key(i)
		it["balance"] = n(each)
		b.put("accounts", it)
	}
	take, give, has := "SET balance = balance - :v", "SET balance = balance + :v", "balance >= :v"
	var wg sync.WaitGroup
	var moved, refused atomic.Int64
	for m := range movers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(m), 1))
			for range moves {
				from, to := rng.IntN(accounts), rng.IntN(accounts-1)
				if to >= from {
					to++
				}
				v := item.Item{":v": n(rng.IntN(60))}
				w1 := b.bind(expr.Request{Update: &take, Condition: &has, Values: v})
				w2 := b.bind(expr.Request{Update: &give, Values: v})
				_, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{
					{Table: "accounts", Kind: table.Update, Key: key(from), Update: w1.Update, Condition: w1.Condition},
					{Table: "accounts", Kind: table.Update, Key: key(to), Update: w2.Update},
				}})
				var cancelled *table.Cancelled
				switch {
				case err == nil:
					moved.Add(1)
				case errors.As(err, &cancelled) && cancelled.Reasons[0].Code == table.ReasonCondition:
					refused.Add(1)
				default:
					t.Errorf("move: got %v, want nil or a failed condition", err)
				}
			}
		})
	}
	all := make([]table.GetRequest, accounts)
	for i := range all {
		all[i] = table.GetRequest{Table: "accounts", Key: key(i)}
	}
	sum := func() int64 {
		res, err := b.db.TransactGet(b.t.Context(), Account, all)
		b.must(err)
		total := int64(0)
		for _, it := range res.Items {
			v, _ := it["balance"].Number().Int64()
			total += v
		}
		return total
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if got := sum(); got != accounts*each {
					t.Errorf("sum of all accounts: got %d, want %d", got, accounts*each)
					return
				}
			}
		}
	})
	wg.Wait()
	close(stop)
	readers.Wait()
	if got := sum(); got != accounts*each {
		t.Errorf("sum at the end: got %d, want %d", got, accounts*each)
	}
	if got := moved.Load() + refused.Load(); got != movers*moves || moved.Load() == 0 {
		t.Errorf("got %d moves and %d refusals, want %d together", moved.Load(), refused.Load(), movers*moves)
	}
}

// testBackfill: an index is added while items come, change and go. When it is active it holds exactly what it should; it
// can be dropped and its name used again, for another key.
func testBackfill(t *testing.T, open Open) {
	const items, writers = 600, 4
	b := fresh(t, open)
	b.create(definition("live", "id"))
	key := func(i int) item.Item { return item.Item{"id": s(fmt.Sprintf("%04d", i))} }
	random := func(rng *rand.Rand) item.Item {
		it := key(rng.IntN(items))
		it["kind"] = s(fmt.Sprint("kind-", rng.IntN(3)))
		switch rng.IntN(4) {
		case 0:
			delete(it, "kind")
		case 1:
			it["kind"] = n(1) // cannot be indexed, and is refused once there is the index
		}
		it["size"] = n(rng.IntN(10))
		return it
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for range items {
		b.put("live", random(rng))
	}
	stop := b.disturb(writers, func(rng *rand.Rand) table.WriteRequest {
		if rng.IntN(3) == 0 {
			return table.WriteRequest{Table: "live", Kind: table.Delete, Key: key(rng.IntN(items))}
		}
		return table.WriteRequest{Table: "live", Kind: table.Put, Item: random(rng)}
	})
	add := func(def table.IndexDefinition, as ...table.Attribute) {
		t.Helper()
		d, err := b.db.Update(b.t.Context(), Account, "live", table.Change{Attributes: as, Indexes: []table.IndexChange{{Create: &def}}})
		b.must(err)
		if d.Status != table.Updating || d.GlobalIndexes[0].Status != table.Creating || !d.GlobalIndexes[0].Backfilling {
			t.Errorf("Update: got %s and %+v, want UPDATING, CREATING and back-filling", d.Status, d.GlobalIndexes[0])
		}
		b.await("index active", func() bool {
			d, err := b.db.Describe(b.t.Context(), Account, "live")
			b.must(err)
			return d.GlobalIndexes[0].Status == table.Active
		})
	}
	add(table.IndexDefinition{Name: "extra", Key: table.Key{Hash: "kind"}, Projection: table.Projection{Kind: table.ProjectAll}},
		table.Attribute{Name: "kind", Type: item.TypeString})
	stop()
	check := func(name, attr string, of item.Type) {
		t.Helper()
		want := 0
		for _, it := range b.scanAll(table.ScanRequest{Table: "live"}) {
			if it[attr].Type() == of {
				want++
			}
		}
		got := b.scanAll(table.ScanRequest{Table: "live", Index: name})
		for _, it := range got {
			same(t, "the item of an entry", b.get("live", item.Item{"id": it["id"]}), it)
		}
		if len(got) != want || want == 0 {
			t.Errorf("index %s: got %d entries, want %d", name, len(got), want)
		}
	}
	check("extra", "kind", item.TypeString)
	_, err := b.db.Update(b.t.Context(), Account, "live", table.Change{Indexes: []table.IndexChange{{Delete: "extra"}}})
	b.must(err)
	_, err = b.db.Scan(b.t.Context(), Account, table.ScanRequest{Table: "live", Index: "extra"})
	refuses(t, "scan of a dropped index", err, validation, "The table does not have the specified index: extra")
	add(table.IndexDefinition{Name: "extra", Key: table.Key{Hash: "size"}, Projection: table.Projection{Kind: table.ProjectAll}},
		table.Attribute{Name: "size", Type: item.TypeNumber})
	check("extra", "size", item.TypeNumber)
}

// disturb writes what draw says until stop is called. Items whose kind is a number may be refused.
func (b *bench) disturb(writers int, draw func(*rand.Rand) table.WriteRequest) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for {
				select {
				case <-over:
					return
				default:
				}
				r := draw(rng)
				if _, err := b.db.Write(b.t.Context(), Account, r); err != nil && r.Item["kind"].Type() != item.TypeNumber {
					b.t.Errorf("write: got %v, want nil", err)
					return
				}
			}
		})
	}
	return func() {
		close(over)
		wg.Wait()
	}
}

// await waits until what has to happen has happened.
func (b *bench) await(what string, done func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			b.t.Fatalf("waited %v for: %s", patience, what)
		}
	}
}

// scanAll reads all pages.
func (b *bench) scanAll(r table.ScanRequest) (all []item.Item) {
	b.t.Helper()
	for {
		page, err := b.db.Scan(b.t.Context(), Account, r)
		b.must(err)
		all = append(all, page.Items...)
		if r.Start = page.Last; r.Start == nil {
			return all
		}
	}
}
