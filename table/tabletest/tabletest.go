// Package tabletest holds the database's engine to its promises, on any store.
//
// Run is the suite that package table passes on each driver of kv: what the calls answer, DynamoDB's texts, a model test
// of random calls against plain maps with indexes and streams compared, contention, histories checked for linearizability
// and serialisability, back-fills under writes, keys at DynamoDB's limits, and what is left after crashes. A driver that
// loses no promise of kv passes it; one that does is found out here by what users would see.
//
// The suite needs nothing but an opener of fresh stores, and takes a few seconds on a store in memory. What depends on
// time (expiry, iterators, tokens, retention) is tested by package table itself inside testing/synctest, where time can
// pass; a store that talks to a server cannot live there.
package tabletest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// Open makes a fresh store for a test and closes it with the test. crash, nil if the driver has none, loses power: it
// answers with what comes up again. The store from before plays the process that died.
type Open func(t testing.TB) (store kv.Store, crash func() kv.Store)

// Run holds the engine to its promises on a driver's stores.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Tables", testTables},
		{"Items", testItems},
		{"WriteTexts", testWriteTexts},
		{"ReadTexts", testReadTexts},
		{"Conditions", testConditions},
		{"Transactions", testTransactions},
		{"Capacity", testCapacity},
		{"Keys", testKeys},
		{"Sizes", testSizes},
		{"Prefixes", testPrefixes},
		{"Fetch", testFetch},
		{"Work", testWork},
		{"Quotas", testQuotas},
		{"Model", testModel},
		{"Filters", testFilters},
		{"Changes", testChanges},
		{"Nodes", testNodes},
		{"Counter", testCounter},
		{"Transfers", testTransfers},
		{"Backfill", testBackfill},
		{"Linearizable", testLinearizable},
		{"Serializable", testSerializable},
		{"Crash", testCrash},
		{"BackfillCrash", testBackfillCrash},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

// Account and Region are those of the suite.
const (
	Account = "123456789012"
	Region  = "eu-test-1"
)

// patience is how long a test waits for what has to happen.
const patience = 30 * time.Second

// bench is an engine under test.
type bench struct {
	t  testing.TB
	db *table.Tables

	filled atomic.Pointer[chan struct{}]
	cache  *expr.Cache
}

// fresh opens an engine on a fresh store; Run runs until the test ends.
func fresh(t testing.TB, open Open) *bench {
	t.Helper()
	store, _ := open(t)
	b := on(t, store)
	b.run()
	return b
}

// on opens an engine on a store.
func on(t testing.TB, store kv.Store) *bench {
	t.Helper()
	b := &bench{t: t, cache: expr.NewCache(100)}
	var err error
	b.db, err = table.Open(t.Context(), table.Config{Store: store, Region: Region, Moments: table.Moments{Backfilled: b.fills}})
	if err != nil {
		t.Fatalf("open tables: %v", err)
	}
	return b
}

// fills is told that items were looked at.
func (b *bench) fills(int) {
	if c := b.filled.Load(); c != nil && *c != nil {
		select {
		case *c <- struct{}{}:
		default:
		}
	}
}

// run runs the upkeep until the test ends.
func (b *bench) run() { b.t.Cleanup(b.runUntil(nil)) }

// runUntil runs the upkeep until stop is called. filled gets a hint whenever items were looked at for a new index.
func (b *bench) runUntil(filled chan struct{}) (stop func()) {
	b.filled.Store(&filled)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.db.Run(ctx); !errors.Is(err, context.Canceled) {
			b.t.Errorf("Run: got %v, want %v", err, context.Canceled)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// bind binds an expression request.
func (b *bench) bind(r expr.Request) *expr.Bound {
	b.t.Helper()
	bound, err := b.cache.Bind(r)
	if err != nil {
		b.t.Fatalf("bind %+v: %v", r, err)
	}
	return bound
}

// must fails the test at an error.
func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("got error %v, want nil", err)
	}
}

// refuses expects an error with a code and a text.
func refuses(t testing.TB, what string, err error, code, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) || e.Code != code || err.Error() != text {
		got := ""
		if e != nil {
			got = e.Code
		}
		t.Errorf("%s:\n got %s: %v\nwant %s: %s", what, got, err, code, text)
	}
}

const validation = "ValidationException"

// s, n and bin make values.
func s(v string) item.Value   { return item.NewString(v) }
func bin(v string) item.Value { return item.NewBinary([]byte(v)) }
func n(v any) item.Value {
	num, err := item.ParseNumber(fmt.Sprint(v))
	if err != nil {
		panic(err)
	}
	return item.NewNumber(num)
}

func (b *bench) create(d table.Definition) *table.Description {
	b.t.Helper()
	got, err := b.db.Create(b.t.Context(), Account, d)
	b.must(err)
	return got
}

func (b *bench) put(name string, it item.Item) {
	b.t.Helper()
	_, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: name, Kind: table.Put, Item: it})
	b.must(err)
}

func (b *bench) get(name string, key item.Item) item.Item {
	b.t.Helper()
	res, err := b.db.Get(b.t.Context(), Account, table.GetRequest{Table: name, Key: key})
	b.must(err)
	return res.Item
}

// update updates an item by an expression over :v and answers with what Return says.
func (b *bench) update(name string, key item.Item, text string, values item.Item, rv table.ReturnValues) (item.Item, error) {
	u := b.bind(expr.Request{Update: &text, Values: values})
	res, err := b.db.Write(b.t.Context(), Account, table.WriteRequest{Table: name, Kind: table.Update, Key: key, Update: u.Update, Return: rv})
	return res.Attributes, err
}

// definition is a table of string keys, billed per request.
func definition(name string, keys ...string) table.Definition {
	d := table.Definition{Name: name, Billing: table.PayPerRequest, Key: table.Key{Hash: keys[0]}}
	d.Attributes = []table.Attribute{{Name: keys[0], Type: item.TypeString}}
	if len(keys) > 1 {
		d.Key.Range = keys[1]
		d.Attributes = append(d.Attributes, table.Attribute{Name: keys[1], Type: item.TypeString})
	}
	return d
}

// same compares items.
func same(t testing.TB, what string, got, want item.Item) {
	t.Helper()
	if (got == nil) != (want == nil) || !got.Equal(want) {
		t.Errorf("%s: got %s, want %s", what, show(got), show(want))
	}
}
