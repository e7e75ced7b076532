package tabletest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// crashes is how often testCrash loses power. RunCrashes does it as often as one likes.
const crashes = 15

func testCrash(t *testing.T, open Open) { RunCrashes(t, open, crashes) }

// RunCrashes loses power n times in the middle of work. Each time there is everything that was acknowledged and everything
// that anybody was shown; every item has exactly its index entries and its whole story in the stream.
func RunCrashes(t *testing.T, open Open, n int) {
	store, crash := open(t)
	if crash == nil {
		t.Skip("the driver does not crash")
	}
	w := &witness{t: t}
	w.prepare(on(t, store))
	for round := range n {
		b := on(t, store)
		var wg sync.WaitGroup
		w.work(&wg, b, round)
		for range witnessItems * 3 { // until there is something to lose
			<-w.acks
		}
		seen := w.remember()
		next := crash()
		close(w.stop)
		wg.Wait()
		if err := store.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close: %v", err)
		}
		store = next
		if w.check(on(t, store), seen, round); t.Failed() {
			return
		}
	}
}

const witnessItems = 8

// witness raises the numbers of items, each by one goroutine, some by transactions of two, and remembers what it was told.
type witness struct {
	t    *testing.T
	acks chan struct{}
	stop chan struct{}

	mu      sync.Mutex
	told    [witnessItems]int64 // guarded by mu: the highest number of each item that was acknowledged or shown
	records []string            // guarded by mu: sequence numbers of what was read from the stream
}

func (w *witness) prepare(b *bench) {
	d := definition("witness", "id")
	d.Attributes = append(d.Attributes, table.Attribute{Name: "n", Type: item.TypeNumber}, table.Attribute{Name: "parity", Type: item.TypeString})
	d.Global = []table.IndexDefinition{{Name: "by-parity", Key: table.Key{Hash: "parity", Range: "n"}, Projection: table.Projection{Kind: table.ProjectAll}}}
	d.Stream = table.NewAndOldImages
	b.create(d)
}

func witnessKey(i int) item.Item { return item.Item{"id": s(fmt.Sprint("witness-", i))} }

// work starts all that happens until stop.
func (w *witness) work(wg *sync.WaitGroup, b *bench, round int) {
	w.acks, w.stop = make(chan struct{}, 1<<16), make(chan struct{})
	loop := func(do func(rng *rand.Rand) error, seed int) {
		stop := w.stop
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(seed)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(rng); err != nil {
					if !errors.Is(err, kv.ErrClosed) {
						w.t.Errorf("round %d: got %v, want nil", round, err)
					}
					return
				}
			}
		})
	}
	for i := 0; i < witnessItems; i += 2 {
		loop(func(rng *rand.Rand) error { return w.raise(b, i, rng) }, i)
	}
	loop(func(rng *rand.Rand) error { return w.look(b, rng.IntN(witnessItems)) }, 100)
	loop(func(*rand.Rand) error { return w.tail(b) }, 101)
}

// raise raises item i, or i and i+1 in one transaction. It is the only one who does.
func (w *witness) raise(b *bench, i int, rng *rand.Rand) error {
	text := "ADD n :one SET parity = :p"
	write := func(i int) table.WriteRequest {
		parity := []string{"even", "odd"}[rng.IntN(2)]
		u := b.bind(expr.Request{Update: &text, Values: item.Item{":one": n(1), ":p": s(parity)}}).Update
		return table.WriteRequest{Table: "witness", Kind: table.Update, Key: witnessKey(i), Update: u, Return: table.AllNew}
	}
	if rng.IntN(2) == 0 {
		res, err := b.db.Write(b.t.Context(), Account, write(i))
		if err == nil {
			w.tell(i, numberOf(res.Attributes))
		}
		return err
	}
	w.mu.Lock()
	before := [2]int64{w.told[i], w.told[i+1]}
	w.mu.Unlock()
	_, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{write(i), write(i + 1)}})
	if err == nil {
		w.tell(i, before[0]+1)
		w.tell(i+1, before[1]+1)
	}
	return err
}

func numberOf(it item.Item) int64 {
	v, _ := it["n"].Number().Int64()
	return v
}

func (w *witness) tell(i int, v int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[i] = max(w.told[i], v)
	w.acks <- struct{}{}
}

// look reads an item.
func (w *witness) look(b *bench, i int) error {
	res, err := b.db.Get(b.t.Context(), Account, table.GetRequest{Table: "witness", Key: witnessKey(i)})
	if err == nil && res.Item != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told[i] = max(w.told[i], numberOf(res.Item))
	}
	return err
}

// tail reads on in the stream.
func (w *witness) tail(b *bench) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, err := b.db.Schema(b.t.Context(), Account, "witness")
	if err != nil {
		return err
	}
	desc, err := b.db.Stream(b.t.Context(), Account, d.StreamARN)
	if err != nil {
		return err
	}
	r := table.IteratorRequest{Stream: d.StreamARN, Shard: desc.Shards[0].ID, Kind: table.TrimHorizon}
	if k := len(w.records); k > 0 {
		r.Kind, r.Sequence = table.AfterSequence, w.records[k-1]
	}
	it, err := b.db.Iterator(b.t.Context(), Account, r)
	if err != nil {
		return err
	}
	page, err := b.db.Records(b.t.Context(), Account, it, 10)
	for _, r := range page.Records {
		w.records = append(w.records, r.Sequence)
	}
	return err
}

// testimony is what a witness knew at one moment.
type testimony struct {
	told    [witnessItems]int64
	records []string
}

func (w *witness) remember() testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	return testimony{w.told, w.records[:len(w.records):len(w.records)]}
}

// check compares what came up with what was known, and makes the witness believe it.
func (w *witness) check(b *bench, seen testimony, round int) {
	w.t.Helper()
	entries := map[string]item.Item{}
	for _, it := range b.scanAll(table.ScanRequest{Table: "witness", Index: "by-parity"}) {
		if entries[it["id"].Str()] != nil {
			w.t.Errorf("round %d: two entries of %s", round, it["id"].Str())
		}
		entries[it["id"].Str()] = it
	}
	last, count := map[string]item.Item{}, map[string]int64{}
	var sequences []string
	for _, r := range b.readStream("witness") {
		id := r.Keys["id"].Str()
		sequences = append(sequences, r.Sequence)
		if count[id]++; numberOf(r.New) != count[id] {
			w.t.Errorf("round %d: record of %s: got number %d, want %d: none lost, torn or out of order", round, id, numberOf(r.New), count[id])
		}
		if old := last[id]; !old.Equal(r.Old) {
			w.t.Errorf("round %d: record of %s: got old image %s, want %s", round, id, show(r.Old), show(old))
		}
		last[id] = r.New
	}
	for i := range witnessItems {
		key := witnessKey(i)
		it, id := b.get("witness", key), key["id"].Str()
		if got := numberOf(it); got < seen.told[i] {
			w.t.Errorf("round %d: %s: got %d, want at least %d, which was acknowledged or shown", round, id, got, seen.told[i])
		}
		same(w.t, fmt.Sprintf("round %d: entry of %s", round, id), entries[id], it)
		same(w.t, fmt.Sprintf("round %d: last record of %s", round, id), last[id], it)
		w.told[i] = numberOf(it)
	}
	for i, seq := range seen.records {
		if i >= len(sequences) || sequences[i] != seq {
			w.t.Errorf("round %d: record %d, which was shown, is not there any more", round, i)
			break
		}
	}
	for i := 0; i < witnessItems; i += 2 { // what one transaction raised, it raised together: never more of the second
		if w.told[i+1] > w.told[i] {
			w.t.Errorf("round %d: item %d is at %d, item %d at %d: half a transaction", round, i, w.told[i], i+1, w.told[i+1])
		}
	}
	w.records = sequences
}

// testBackfillCrash: power is lost while an index is filled, again and again. It is finished by whoever comes next, and
// holds exactly what it should.
func testBackfillCrash(t *testing.T, open Open) {
	const items = 400
	store, crash := open(t)
	if crash == nil {
		t.Skip("the driver does not crash")
	}
	b := on(t, store)
	b.create(definition("live", "id"))
	for i := range items {
		it := item.Item{"id": s(fmt.Sprint(i)), "kind": s(fmt.Sprint("kind-", i%3))}
		if i%4 == 0 {
			delete(it, "kind")
		}
		b.put("live", it)
	}
	x := table.IndexDefinition{Name: "extra", Key: table.Key{Hash: "kind"}, Projection: table.Projection{Kind: table.ProjectAll}}
	_, err := b.db.Update(b.t.Context(), Account, "live", table.Change{Indexes: []table.IndexChange{{Create: &x}},
		Attributes: []table.Attribute{{Name: "kind", Type: item.TypeString}}})
	b.must(err)
	active := func(b *bench) bool {
		d, err := b.db.Describe(b.t.Context(), Account, "live")
		b.must(err)
		return d.GlobalIndexes[0].Status == table.Active
	}
	for range 4 {
		looked := make(chan struct{}, items)
		b := on(t, store)
		stop := b.runUntil(looked)
		b.await("something filled", func() bool { return len(looked) > 0 || active(b) })
		next := crash()
		stop()
		if err := store.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close: %v", err)
		}
		store = next
	}
	b = on(t, store)
	b.run()
	b.await("index active", func() bool { return active(b) })
	got := b.scanAll(table.ScanRequest{Table: "live", Index: "extra"})
	for _, it := range got {
		same(t, "the item of an entry", b.get("live", item.Item{"id": it["id"]}), it)
	}
	if len(got) != items*3/4 {
		t.Errorf("index: got %d entries, want %d", len(got), items*3/4)
	}
}
