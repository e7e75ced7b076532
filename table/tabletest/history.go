package tabletest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// clients is how many there are in each life of a store, callsEach how many calls each does.
const clients, callsEach = 6, 20

// decided is how long a history may be thought about.
const decided = 10 * time.Second

// client is one of them.
type client struct{ life, id int }

// history is what clients did and were told, over several lives of a store.
type history struct {
	began time.Time

	mu   sync.Mutex
	ops  []porcupine.Operation // guarded by mu
	life int                   // guarded by mu: how many crashes there were; what an older life says does not count
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

// do runs one call and notes it. run answers with what the client was told; an error says that nobody knows whether it was
// done: such a call may take effect at any later time, or never. If it only reads, it says nothing at all.
func (h *history) do(c client, input interface{ reads() bool }, run func() (any, error)) error {
	call := h.now()
	output, err := run()
	h.mu.Lock()
	defer h.mu.Unlock()
	op := porcupine.Operation{ClientId: c.life*clients + c.id, Input: input, Call: call, Output: output, Return: h.now()}
	if err != nil || c.life != h.life {
		if input.reads() {
			return err
		}
		op.Output, op.Return = nil, math.MaxInt64
	}
	h.ops = append(h.ops, op)
	return err
}

// lives runs clients on a store through crashes, and checks their history against a model.
func lives(t *testing.T, open Open, crashes int, m porcupine.Model, prepare func(*bench), act func(b *bench, h *history, c client, rng *rand.Rand) error) {
	t.Helper()
	store, crash := open(t)
	if crash == nil {
		crashes = 0
	}
	h := &history{began: time.Now()}
	prepare(on(t, store))
	for life := 0; life <= crashes; life++ {
		b := on(t, store)
		var wg sync.WaitGroup
		half := make(chan struct{}, clients*callsEach)
		for id := range clients {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(life), uint64(id)))
				for range callsEach {
					if err := act(b, h, client{life, id}, rng); err != nil {
						if !errors.Is(err, kv.ErrClosed) {
							t.Errorf("client: got %v, want nil", err)
						}
						return
					}
					half <- struct{}{}
				}
			})
		}
		if life == crashes {
			wg.Wait()
			break
		}
		for range clients * callsEach / 2 {
			<-half
		}
		h.mu.Lock() // nobody is told anything between the crash and the new life
		next := crash()
		h.life++
		h.mu.Unlock()
		wg.Wait()
		if err := store.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close: %v", err)
		}
		store = next
	}
	switch res := porcupine.CheckOperationsTimeout(m, h.ops, decided); res {
	case porcupine.Illegal:
		t.Errorf("history of %d calls: no order of them explains what the clients were told", len(h.ops))
	case porcupine.Unknown:
		t.Logf("history of %d calls: not decided within %v", len(h.ops), decided)
	}
}

// call is what a client asks of one item, whose state is a number; 0 is absent.
type call struct {
	key  string
	kind string // "put", "get", "delete", "swap"
	old  int
	new  int
}

func (c call) reads() bool { return c.kind == "get" }

// told is what it was told.
type told struct {
	value int
	ok    bool
}

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		by := map[string][]porcupine.Operation{}
		for _, op := range history {
			by[op.Input.(call).key] = append(by[op.Input.(call).key], op)
		}
		for _, ops := range by {
			parts = append(parts, ops)
		}
		return parts
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		c, now := input.(call), state.(int)
		out, known := output.(told)
		switch c.kind {
		case "get":
			return !known || out.value == now, now
		case "put":
			return !known || out.value == now, c.new
		case "delete":
			return !known || out.value == now, 0
		}
		if now != c.old {
			return !known || !out.ok, now
		}
		return !known || out.ok, c.new
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " → ", out) },
}

// testLinearizable: calls on single items take effect one after the other, each between its beginning and its end, over
// crashes too.
func testLinearizable(t *testing.T, open Open) {
	prepare := func(b *bench) {
		d := definition("registers", "id")
		d.Stream = table.KeysOnly
		b.create(d)
	}
	lives(t, open, 4, registers, prepare, func(b *bench, h *history, who client, rng *rand.Rand) error {
		c := call{key: fmt.Sprint("k", rng.IntN(3)), kind: []string{"put", "get", "get", "delete", "swap", "swap"}[rng.IntN(6)],
			old: rng.IntN(4), new: 1 + rng.IntN(4)}
		return h.do(who, c, func() (any, error) { return b.register(c) })
	})
}

func valueOf(it item.Item) int {
	v, _ := it["v"].Number().Int64()
	return int(v)
}

// register does a call.
func (b *bench) register(c call) (any, error) {
	key := item.Item{"id": s(c.key)}
	if c.kind == "get" {
		res, err := b.db.Get(b.t.Context(), Account, table.GetRequest{Table: "registers", Key: key})
		return told{value: valueOf(res.Item)}, err
	}
	w := table.WriteRequest{Table: "registers", Kind: table.Put, Item: item.Item{"id": s(c.key), "v": n(c.new)}, Return: table.AllOld}
	switch c.kind {
	case "delete":
		w.Kind, w.Key, w.Item = table.Delete, key, nil
	case "swap":
		text := "v = :old"
		if c.old == 0 {
			text = "attribute_not_exists(v)"
		}
		r := expr.Request{Condition: &text}
		if c.old != 0 {
			r.Values = item.Item{":old": n(c.old)}
		}
		w.Condition = b.bind(r).Condition
	}
	res, err := b.db.Write(b.t.Context(), Account, w)
	var failed *table.ConditionFailed
	if errors.As(err, &failed) {
		return told{ok: false}, nil
	}
	return told{value: valueOf(res.Attributes), ok: true}, err
}

// cells is how many items the transactions of testSerializable share.
const cells = 3

// move is a transaction: read all, or if cell i holds old then set i to new and j to other.
type move struct {
	read     bool
	i, j     int
	old, new int
	other    int
}

func (m move) reads() bool { return m.read }

type seen struct {
	all [cells]int
	ok  bool
}

var store3 = porcupine.Model{
	Init: func() any { return [cells]int{} },
	Step: func(state, input, output any) (bool, any) {
		m, now := input.(move), state.([cells]int)
		out, known := output.(seen)
		if m.read {
			return !known || out.all == now, now
		}
		if now[m.i] != m.old {
			return !known || !out.ok, now
		}
		next := now
		next[m.i], next[m.j] = m.new, m.other
		return !known || out.ok, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " → ", out) },
}

// testSerializable: transactions over several items take effect one after the other, each between its beginning and its
// end, over crashes too.
func testSerializable(t *testing.T, open Open) {
	prepare := func(b *bench) { b.create(definition("cells", "id")) }
	lives(t, open, 2, store3, prepare, func(b *bench, h *history, who client, rng *rand.Rand) error {
		m := move{read: rng.IntN(3) == 0, i: rng.IntN(cells), old: rng.IntN(3), new: 1 + rng.IntN(2), other: 1 + rng.IntN(2)}
		m.j = (m.i + 1 + rng.IntN(cells-1)) % cells
		return h.do(who, m, func() (any, error) { return b.move(m) })
	})
}

func cellKey(i int) item.Item { return item.Item{"id": s(strings.Repeat("c", i+1))} }

// move does a transaction.
func (b *bench) move(m move) (any, error) {
	if m.read {
		var rs []table.GetRequest
		for i := range cells {
			rs = append(rs, table.GetRequest{Table: "cells", Key: cellKey(i)})
		}
		res, err := b.db.TransactGet(b.t.Context(), Account, rs)
		out := seen{ok: true}
		for i, it := range res.Items {
			out.all[i] = valueOf(it)
		}
		return out, err
	}
	text := "v = :old"
	r := expr.Request{Condition: &text, Values: item.Item{":old": n(m.old)}}
	if m.old == 0 {
		text = "attribute_not_exists(v)"
		r.Values = nil
	}
	set := "SET v = :v"
	u := func(v int) *expr.Update {
		return b.bind(expr.Request{Update: &set, Values: item.Item{":v": n(v)}}).Update
	}
	_, err := b.db.TransactWrite(b.t.Context(), Account, table.TransactRequest{Writes: []table.WriteRequest{
		{Table: "cells", Kind: table.Update, Key: cellKey(m.i), Update: u(m.new), Condition: b.bind(r).Condition},
		{Table: "cells", Kind: table.Update, Key: cellKey(m.j), Update: u(m.other)},
	}})
	var cancelled *table.Cancelled
	if errors.As(err, &cancelled) && cancelled.Reasons[0].Code == table.ReasonCondition {
		return seen{ok: false}, nil
	}
	return seen{ok: true}, err
}
