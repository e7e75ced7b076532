package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What the clients work on: items of their own, counters and accounts that they share, and items that expire.
const (
	kept, cached  = "kept", "cached" // tables
	hands         = 3                // clients that write
	ownItems      = 8
	counters      = 3
	accounts      = 5
	balance       = 1000 // of each account, in the beginning
	longMax       = 350 << 10
	expiresWithin = 3 // seconds
	pauseAway     = 20 * time.Millisecond
)

// hand is a client that writes, one request at a time.
type hand struct {
	*client
	*ledger
	id     int
	random *rand.Rand
	known  [ownItems]string // ops of its own items, as far as it knows
	open   []*deed          // transactions that are to be sent again
	due    int
	stays  bool // a node that answers 5xx goes on living: so does the client
	stop   <-chan struct{}
}

// work changes items until it is told to stop or the node is gone.
func (h *hand) work() {
	for !stopped(h.stop) {
		away := h.repeat()
		if !away {
			away = h.step()
		}
		if away && !h.stays {
			return
		}
		if away {
			select {
			case <-h.stop:
			case <-time.After(pauseAway):
			}
		}
	}
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// repeat sends transactions again whose answer did not come. Their tokens let them happen once.
func (h *hand) repeat() (away bool) {
	for len(h.open) > 0 {
		if away = h.transact(h.open[0]); away {
			return true
		}
		h.open = h.open[1:]
	}
	return false
}

func (h *hand) step() (away bool) {
	n := h.random.IntN(200)
	sk := h.random.IntN(ownItems)
	switch {
	case n < 50:
		return h.single(h.put(sk, h.random.IntN(100)), "ALL_OLD")
	case n < 51:
		return h.single(h.put(sk, h.random.IntN(longMax)), "NONE")
	case n < 70:
		return h.single(h.update(sk), "ALL_NEW")
	case n < 85:
		return h.single(&change{key: h.own(sk)}, "ALL_OLD")
	case n < 105:
		return h.batch()
	case n < 140:
		return h.count()
	case n < 175:
		return h.transfer()
	case n < 190:
		return h.swap(sk)
	}
	return h.expire()
}

func (h *hand) own(sk int) m { return itemKey(fmt.Sprintf("own-%d", h.id), sk) }

// put makes a change that puts one of the client's own items. Some have no entries in the indexes.
func (h *hand) put(sk, long int) *change {
	c := &change{key: h.own(sk), op: h.name(h.id)}
	c.put = m{"pk": c.key["pk"], "sk": c.key["sk"], "op": str(c.op), "pad": str(padding(c.op, long)),
		"deep": m{"M": m{"list": m{"L": []any{m{"BOOL": true}, m{"NULL": true}, num(int64(long))}}}}}
	if h.random.IntN(4) > 0 {
		c.put["mood"] = h.mood()
	}
	if h.random.IntN(4) > 0 {
		c.put["n"] = num(h.random.Int64N(1000))
	}
	return c
}

func (h *hand) mood() m { return str([]string{"glad", "sad", "calm"}[h.random.IntN(3)]) }

// padding is a text that could not be another's.
func padding(op string, long int) string { return strings.Repeat(op+".", long/(len(op)+1)) }

func (h *hand) update(sk int) *change {
	c := &change{key: h.own(sk), op: h.name(h.id), set: m{"mood": h.mood()}}
	c.set["op"] = str(c.op)
	if h.random.IntN(2) == 0 {
		c.drop = []string{"n", "pad"}
	} else {
		c.add = 1 + h.random.Int64N(9)
	}
	return c
}

// request asks for changes, and says what is known of them after the answer. away: the node or its store gave none.
func (h *hand) request(operation string, in m) (a answer, f fate, away bool) {
	a, err := h.dynamo(operation, in)
	f, away, ok := judge(a, err)
	if !ok || a.Status >= 500 && !h.stays {
		h.fault("%s: got %s", operation, a)
	}
	return a, f, away
}

// single sends one change by its own operation.
func (h *hand) single(c *change, returns string) (away bool) {
	kind, in := c.request(kept)
	in["ReturnValues"] = returns
	d := h.enter(c)
	a, f, away := h.request(kind+"Item", in)
	h.settle(d, f)
	if f == done {
		var out struct{ Attributes m }
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			h.fault("%sItem answered %q: %v", kind, a.Body, err)
		}
		c.answer, c.empty = out.Attributes, out.Attributes == nil && returns == "ALL_OLD"
		if c.op == "" {
			h.saw(c.key, nil, d.began)
		}
	}
	h.learn(c, f)
	return away
}

// learn remembers what one of the client's own items is now.
func (h *hand) learn(c *change, f fate) {
	if f == done && strings.HasPrefix(text(c.key, "pk"), "own-") {
		sk, _ := number(c.key, "sk")
		h.known[sk] = c.op
	}
}

// batch puts and deletes some of the client's own items: each by itself, in any order.
func (h *hand) batch() (away bool) {
	var requests []m
	var all []*change
	for _, sk := range h.random.Perm(ownItems)[:2+h.random.IntN(4)] {
		c := &change{key: h.own(sk)}
		if h.random.IntN(3) > 0 {
			c = h.put(sk, h.random.IntN(100))
			requests = append(requests, m{"PutRequest": m{"Item": c.put}})
		} else {
			requests = append(requests, m{"DeleteRequest": m{"Key": c.key}})
		}
		h.enter(c)
		all = append(all, c)
	}
	a, f, away := h.request("BatchWriteItem", m{"RequestItems": m{kept: requests}})
	var out struct{ UnprocessedItems map[string][]map[string]m }
	if f == done {
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			h.fault("BatchWriteItem answered %q: %v", a.Body, err)
		}
	}
	left := map[string]bool{}
	for _, r := range out.UnprocessedItems[kept] {
		for _, name := range []string{"Item", "Key"} {
			for _, request := range r {
				if it, ok := request[name].(m); ok {
					left[at(it)] = true
				}
			}
		}
	}
	for _, c := range all {
		f := f
		if left[at(c.key)] {
			f = refused
		}
		h.settle(c.deed, f)
		h.learn(c, f)
		if f == done && c.op == "" {
			h.saw(c.key, nil, c.deed.began)
		}
	}
	return away
}

// count raises a counter: by what it finds there, or only if it still is what was read.
func (h *hand) count() (away bool) {
	c := &change{key: itemKey("counter", h.random.IntN(counters)), op: h.name(h.id), add: 1}
	c.set = m{"op": str(c.op)}
	if h.random.IntN(2) == 0 {
		it, err := h.look(c.key)
		if err != nil {
			return true
		}
		from, _ := number(it, "n")
		c.condition, c.values = "#n = :from", m{":from": num(from)}
		c.holds = func(old m) bool { n, ok := number(old, "n"); return ok && n == from }
	}
	return h.single(c, "ALL_NEW")
}

// look reads an item and notes what it was.
func (h *hand) look(key m) (m, error) {
	var out struct{ Item m }
	began := h.clock.Add(1)
	err := h.learns("GetItem", m{"TableName": kept, "Key": key, "ConsistentRead": true}, &out)
	if err == nil {
		h.saw(key, out.Item, began)
	}
	return out.Item, err
}

// learns is read, and knows which refusals are none.
func (h *hand) learns(operation string, in m, out any) error {
	a, err := h.dynamo(operation, in)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		if a.Status < 500 && !strings.Contains(a.Body, "TransactionConflict") {
			h.fault("%s: got %s", operation, a)
		}
		return errors.New(a.String())
	}
	return json.Unmarshal([]byte(a.Body), out)
}

// transfer moves an amount from one account to another.
func (h *hand) transfer() (away bool) {
	pair := h.random.Perm(accounts)[:2]
	amount := 1 + h.random.Int64N(300)
	var sides []*change
	for i, by := range []int64{-amount, amount} {
		c := &change{key: itemKey("account", pair[i]), op: h.name(h.id), add: by}
		c.set = m{"op": str(c.op)}
		sides = append(sides, c)
	}
	sides[0].condition, sides[0].values = "#n >= :least", m{":least": num(amount)}
	sides[0].holds = func(old m) bool { n, ok := number(old, "n"); return ok && n >= amount }
	d := h.enter(sides...)
	d.token = sides[0].op
	return h.once(d)
}

// swap puts one of the client's own items and deletes another, if that is the one it knows.
func (h *hand) swap(sk int) (away bool) {
	other := slices.IndexFunc(h.known[:], func(op string) bool { return op != "" })
	if other < 0 || other == sk {
		return false
	}
	was := h.known[other]
	gone := &change{key: h.own(other), was: was, condition: "#op = :was", values: m{":was": str(was)}}
	d := h.enter(h.put(sk, h.random.IntN(100)), gone)
	if away = h.once(d); d.fate == refused {
		h.known[other] = "" // what it knew was of before a crash
	}
	return away
}

// once sends a transaction, and makes sure that it is sent again if no answer comes and it has a token.
func (h *hand) once(d *deed) (away bool) {
	away = h.transact(d)
	if d.fate == doubted && d.token != "" {
		h.open = append(h.open, d)
	}
	return away
}

// transact sends a transaction.
func (h *hand) transact(d *deed) (away bool) {
	in := m{}
	var items []m
	for _, c := range d.changes {
		kind, request := c.request(kept)
		items = append(items, m{kind: request})
	}
	in["TransactItems"] = items
	if d.token != "" {
		in["ClientRequestToken"] = d.token
	}
	repeated := slices.Contains(h.open, d)
	a, f, away := h.request("TransactWriteItems", in)
	if repeated && f == refused && (away || strings.Contains(a.Body, "TransactionConflict")) {
		f, away = doubted, true // nothing was said about what was sent before
	}
	h.settle(d, f)
	for _, c := range d.changes {
		h.learn(c, f)
		if f == done && c.op == "" {
			h.saw(c.key, nil, d.began)
		}
	}
	return away
}

// expire puts an item that expires, a little earlier or later than now.
func (h *hand) expire() (away bool) {
	h.due++
	c := &change{key: itemKey(fmt.Sprintf("due-%d", h.id), h.due), op: h.name(h.id)}
	c.put = m{"pk": c.key["pk"], "sk": c.key["sk"], "op": str(c.op), "mood": h.mood(), "n": num(h.random.Int64N(1000)),
		"ttl": num(time.Now().Unix() + h.random.Int64N(expiresWithin+2) - 1)}
	return h.single(c, "NONE")
}

// crew is everybody who works on the tables.
type crew struct {
	*ledger
	hands  []*hand
	reader *hand
	story  *story
}

func newCrew(c *client, random *rand.Rand, l *ledger, s *story) *crew {
	w := &crew{ledger: l, story: s}
	for i := range hands + 1 {
		w.hands = append(w.hands, &hand{client: c, ledger: l, id: i, random: rand.New(rand.NewPCG(random.Uint64(), uint64(i)))})
	}
	w.reader, w.hands = w.hands[hands], w.hands[:hands]
	return w
}

// start lets everybody work. They end when stop is closed, or when the node does not answer, unless they stay.
func (w *crew) start(stays bool) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for _, h := range w.hands {
		h.stop, h.stays = end, stays
		all.Go(h.work)
	}
	w.reader.stop, w.reader.stays = end, stays
	all.Go(w.reader.watch)
	all.Go(func() { w.story.follow(end) })
	return func() {
		close(end)
		all.Wait()
	}
}

// watch reads until it is told to stop or the node is gone.
func (h *hand) watch() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		var err error
		switch n % 4 {
		case 0:
			err = h.sumByTransaction()
		case 1:
			err = h.sumByIndex()
		case 2:
			_, err = h.look(itemKey([]string{"counter", "account"}[h.random.IntN(2)], h.random.IntN(counters)))
		default:
			_, err = h.look(itemKey(fmt.Sprintf("own-%d", h.random.IntN(hands)), h.random.IntN(ownItems)))
		}
		if err != nil && !h.stays && !strings.Contains(err.Error(), "TransactionConflict") {
			return
		}
	}
}

// sumByTransaction reads all accounts at one moment.
func (h *hand) sumByTransaction() error {
	var gets []m
	for i := range accounts {
		gets = append(gets, m{"Get": m{"TableName": kept, "Key": itemKey("account", i)}})
	}
	began := h.clock.Add(1)
	var out struct{ Responses []struct{ Item m } }
	if err := h.learns("TransactGetItems", m{"TransactItems": gets}, &out); err != nil {
		return err
	}
	var items []m
	for i, r := range out.Responses {
		h.saw(itemKey("account", i), r.Item, began)
		items = append(items, r.Item)
	}
	h.sum("TransactGetItems", items)
	return nil
}

// sumByIndex reads them from an index, a page of which is of one moment.
func (h *hand) sumByIndex() error {
	var out struct{ Items []m }
	err := h.learns("Query", m{"TableName": kept, "IndexName": "by-mood", "KeyConditionExpression": "mood = :m",
		"ExpressionAttributeValues": m{":m": str("account")}}, &out)
	if err == nil {
		h.sum("Query of the index", out.Items)
	}
	return err
}

func (h *hand) sum(by string, items []m) {
	total := int64(0)
	for _, it := range items {
		n, _ := number(it, "n")
		total += n
	}
	if len(items) != accounts || total != accounts*balance {
		h.fault("%s: got %d accounts with %d in all, want %d with %d: %v", by, len(items), total, accounts, accounts*balance, items)
	}
}
