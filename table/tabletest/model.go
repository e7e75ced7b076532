package tabletest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// testModel: random calls answer as plain maps would, indexes hold exactly what they should, and the stream tells exactly
// what happened.
func testModel(t *testing.T, open Open) {
	b := fresh(t, open)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := &model{rt: rt, b: b, name: fmt.Sprintf("model-%d", round), items: map[string]item.Item{}}
		m.create()
		defer func() {
			if _, err := b.db.Delete(b.t.Context(), Account, m.name); err != nil {
				t.Errorf("delete: %v", err)
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"put":      m.put,
			"update":   m.update,
			"delete":   m.delete,
			"batch":    m.batch,
			"transact": m.transact,
			"get":      m.get,
			"query":    m.query,
			"scan":     m.scan,
			"":         func(*rapid.T) {},
		})
		m.checkIndexes()
		m.checkStream()
	})
}

// model is a table and what it should hold.
type model struct {
	rt      *rapid.T
	b       *bench
	name    string
	items   map[string]item.Item // by key
	changes []change
}

// change is what a stream record should say.
type change struct {
	event    string
	new, old item.Item
}

// The indexes: a local one by number, a global one with some attributes, a global one with a sort key and all.
const byLevel, byGroup, byBoth = "by-level", "by-group", "by-both"

func (m *model) create() {
	d := definition(m.name, "p", "r")
	d.Attributes = append(d.Attributes, table.Attribute{Name: "level", Type: item.TypeNumber}, table.Attribute{Name: "group", Type: item.TypeString})
	d.Local = []table.IndexDefinition{{Name: byLevel, Key: table.Key{Hash: "p", Range: "level"}, Projection: table.Projection{Kind: table.ProjectKeys}}}
	d.Global = []table.IndexDefinition{
		{Name: byGroup, Key: table.Key{Hash: "group"}, Projection: table.Projection{Kind: table.ProjectInclude, Attributes: []string{"x"}}},
		{Name: byBoth, Key: table.Key{Hash: "group", Range: "level"}, Projection: table.Projection{Kind: table.ProjectAll}},
	}
	d.Stream = table.NewAndOldImages
	if _, err := m.b.db.Create(m.b.t.Context(), Account, d); err != nil {
		m.rt.Fatalf("create: %v", err)
	}
}

var (
	genPart  = rapid.SampledFrom([]string{"a", "b", "c\x00", "\u00fc"})
	genSort  = rapid.SampledFrom([]string{"1", "12", "123456789", "12345678", "\x00", "\xff\xff", "z"})
	genLevel = rapid.IntRange(-3, 12)
	genGroup = rapid.SampledFrom([]string{"red", "green", "red\x00"})
)

func keyString(it item.Item) string { return it["p"].Str() + "|" + it["r"].Str() }

func genKey(t *rapid.T) item.Item {
	return item.Item{"p": s(genPart.Draw(t, "p")), "r": s(genSort.Draw(t, "r"))}
}

func genItem(t *rapid.T) item.Item {
	it := genKey(t)
	if rapid.Bool().Draw(t, "has level") {
		it["level"] = n(genLevel.Draw(t, "level"))
	}
	if rapid.Bool().Draw(t, "has group") {
		it["group"] = s(genGroup.Draw(t, "group"))
	}
	if rapid.Bool().Draw(t, "has x") {
		it["x"] = s(rapid.StringN(0, 20, 20).Draw(t, "x"))
	}
	it["y"] = n(rapid.IntRange(0, 2).Draw(t, "y"))
	return it
}

// apply makes the model's item it; nil deletes.
func (m *model) apply(key string, it item.Item) {
	old := m.items[key]
	switch {
	case old == nil && it == nil, old != nil && it != nil && old.Equal(it):
		return
	case old == nil:
		m.changes = append(m.changes, change{"INSERT", it, nil})
	case it == nil:
		m.changes = append(m.changes, change{"REMOVE", nil, old})
	default:
		m.changes = append(m.changes, change{"MODIFY", it, old})
	}
	if it == nil {
		delete(m.items, key)
	} else {
		m.items[key] = it
	}
}

// condition draws a condition on whether the item is there, and says whether it holds.
func (m *model) condition(t *rapid.T, key string) (c *expr.Condition, holds bool) {
	_, there := m.items[key]
	switch rapid.IntRange(0, 2).Draw(t, "condition") {
	case 1:
		text := "attribute_exists(p)"
		return m.b.bind(expr.Request{Condition: &text}).Condition, there
	case 2:
		text := "attribute_not_exists(p)"
		return m.b.bind(expr.Request{Condition: &text}).Condition, !there
	}
	return nil, true
}

// write draws a write, and what it makes of the model's item.
func (m *model) write(t *rapid.T, kind table.WriteKind) (w table.WriteRequest, next item.Item, holds bool) {
	w = table.WriteRequest{Table: m.name, Kind: kind, Return: table.AllOld}
	switch kind {
	case table.Put:
		w.Item = genItem(t)
		w.Condition, holds = m.condition(t, keyString(w.Item))
		return w, w.Item, holds
	case table.Delete:
		w.Key = genKey(t)
		w.Condition, holds = m.condition(t, keyString(w.Key))
		return w, nil, holds
	}
	w.Key = genKey(t)
	old := m.items[keyString(w.Key)]
	next = w.Key.Clone()
	if old != nil {
		next = old.Clone()
	}
	var sets, removes []string
	values := item.Item{}
	if level := genLevel.Draw(t, "level"); level > 0 {
		sets = append(sets, "#level = :level")
		values[":level"], next["level"] = n(level), n(level)
	} else if level < 0 {
		removes = append(removes, "#level")
		delete(next, "level")
	}
	if group := rapid.SampledFrom([]string{"", "red", "green"}).Draw(t, "group"); group != "" {
		sets = append(sets, "#group = :group")
		values[":group"], next["group"] = s(group), s(group)
	}
	sets = append(sets, "n = if_not_exists(n, :zero) + :one")
	values[":zero"], values[":one"] = n(0), n(1)
	count, err := next["n"].Number().Add(n(1).Number())
	m.must(err)
	next["n"] = item.NewNumber(count)
	text := "SET " + strings.Join(sets, ", ")
	if len(removes) > 0 {
		text += " REMOVE " + strings.Join(removes, ", ")
	}
	w.Update = m.b.bind(expr.Request{Update: &text, Values: values, Names: usedNames(text)}).Update
	w.Condition, holds = m.condition(t, keyString(w.Key))
	return w, next, holds
}

func usedNames(text string) map[string]string {
	var names map[string]string
	for _, n := range []string{"level", "group"} {
		if strings.Contains(text, "#"+n) {
			if names == nil {
				names = map[string]string{}
			}
			names["#"+n] = n
		}
	}
	return names
}

func keyOf(w table.WriteRequest) string {
	if w.Kind == table.Put {
		return keyString(w.Item)
	}
	return keyString(w.Key)
}

func (m *model) one(t *rapid.T, kind table.WriteKind) {
	w, next, holds := m.write(t, kind)
	res, err := m.b.db.Write(m.b.t.Context(), Account, w)
	if !holds {
		if _, failed := err.(*table.ConditionFailed); !failed {
			t.Fatalf("write %v of %q: got %v, want a failed condition", kind, keyOf(w), err)
		}
		return
	}
	m.must(err)
	if old := m.items[keyOf(w)]; (old == nil) != (res.Attributes == nil) || !old.Equal(res.Attributes) {
		t.Fatalf("write %v of %q: got the old item %s, want %s", kind, keyOf(w), show(res.Attributes), show(old))
	}
	m.apply(keyOf(w), next)
}

func (m *model) put(t *rapid.T)    { m.one(t, table.Put) }
func (m *model) update(t *rapid.T) { m.one(t, table.Update) }
func (m *model) delete(t *rapid.T) { m.one(t, table.Delete) }

func (m *model) must(err error) {
	if err != nil {
		m.rt.Helper()
		m.rt.Fatalf("got error %v, want nil", err)
	}
}

// draws is several writes of different items.
func (m *model) draws(t *rapid.T, kinds ...table.WriteKind) (ws []table.WriteRequest, nexts []item.Item, holds bool) {
	seen := map[string]bool{}
	holds = true
	for range rapid.IntRange(1, 6).Draw(t, "writes") {
		w, next, ok := m.write(t, rapid.SampledFrom(kinds).Draw(t, "kind"))
		if seen[keyOf(w)] {
			continue
		}
		seen[keyOf(w)] = true
		holds = holds && ok
		ws, nexts = append(ws, w), append(nexts, next)
	}
	return ws, nexts, holds
}

func (m *model) batch(t *rapid.T) {
	ws, nexts, _ := m.draws(t, table.Put, table.Delete)
	for i := range ws {
		ws[i].Condition, ws[i].Return = nil, table.ReturnNone
	}
	res, err := m.b.db.BatchWrite(m.b.t.Context(), Account, ws)
	if m.must(err); len(res.Unprocessed) > 0 {
		t.Fatalf("BatchWrite: got %d unprocessed, want none", len(res.Unprocessed))
	}
	for i, w := range ws {
		m.apply(keyOf(w), nexts[i])
	}
}

func (m *model) transact(t *rapid.T) {
	ws, nexts, holds := m.draws(t, table.Put, table.Delete, table.Update)
	_, err := m.b.db.TransactWrite(m.b.t.Context(), Account, table.TransactRequest{Writes: ws})
	if !holds {
		if _, cancelled := err.(*table.Cancelled); !cancelled {
			t.Fatalf("TransactWrite: got %v, want it cancelled", err)
		}
		return
	}
	m.must(err)
	for i, w := range ws {
		m.apply(keyOf(w), nexts[i])
	}
}

func (m *model) get(t *rapid.T) {
	key := genKey(t)
	res, err := m.b.db.Get(m.b.t.Context(), Account, table.GetRequest{Table: m.name, Key: key})
	m.must(err)
	if want := m.items[keyString(key)]; (want == nil) != (res.Item == nil) || !want.Equal(res.Item) {
		t.Fatalf("get %q: got %s, want %s", keyString(key), show(res.Item), show(want))
	}
}

// sorted are the items that fit, in the order of an attribute. Items that share it are in no certain order.
func (m *model) sorted(by string, fits func(item.Item) bool) (list []item.Item) {
	for _, it := range m.items {
		if fits(it) {
			list = append(list, it)
		}
	}
	slices.SortFunc(list, func(a, b item.Item) int {
		o, _ := item.Compare(a[by], b[by])
		return cmp.Or(o, strings.Compare(keyString(a), keyString(b)))
	})
	return list
}

// query draws a range of a partition, of the table or the local index, and reads it by pages.
func (m *model) query(t *rapid.T) {
	part := genPart.Draw(t, "p")
	by, index := "r", ""
	value := func() item.Value { return s(genSort.Draw(t, "bound")) }
	if rapid.Bool().Draw(t, "by index") {
		by, index = "level", byLevel
		value = func() item.Value { return n(genLevel.Draw(t, "bound")) }
	}
	op := rapid.SampledFrom([]string{"", "=", "<", "<=", ">", ">=", "between", "begins"}).Draw(t, "op")
	values := item.Item{":p": s(part)}
	text := "p = :p"
	in := func(item.Value) bool { return true }
	if op != "" {
		v := value()
		values[":v"] = v
		switch op {
		case "between":
			w := value()
			if o, _ := item.Compare(v, w); o > 0 {
				values[":v"], v, w = w, w, v
			}
			values[":w"] = w
			text += " AND #by BETWEEN :v AND :w"
			in = func(x item.Value) bool { return compares(x, ">=", v) && compares(x, "<=", w) }
		case "begins":
			if by == "level" {
				return
			}
			text += " AND begins_with(#by, :v)"
			in = func(x item.Value) bool { return strings.HasPrefix(x.Str(), v.Str()) }
		default:
			text += " AND #by " + op + " :v"
			in = func(x item.Value) bool { return compares(x, op, v) }
		}
	}
	r := expr.Request{KeyCondition: &text, Values: values}
	if op != "" {
		r.Names = map[string]string{"#by": by}
	}
	want := m.sorted(by, func(it item.Item) bool {
		_, has := it[by]
		return has && it["p"].Str() == part && in(it[by])
	})
	q := table.QueryRequest{Table: m.name, Index: index, KeyCondition: m.b.bind(r).KeyCondition,
		Reverse: rapid.Bool().Draw(t, "reverse"), Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Consistent: true}
	if index != "" {
		q.Select = table.SelectAll
	}
	var got []item.Item
	for {
		page, err := m.b.db.Query(m.b.t.Context(), Account, q)
		m.must(err)
		got = append(got, page.Items...)
		if q.Start = page.Last; q.Start == nil {
			break
		}
	}
	if q.Reverse {
		slices.Reverse(got)
	}
	m.compare(fmt.Sprintf("query %s with %v", text, show(values)), got, want, by)
}

func compares(x item.Value, op string, v item.Value) bool {
	o, _ := item.Compare(x, v)
	switch op {
	case "=":
		return o == 0
	case "<":
		return o < 0
	case "<=":
		return o <= 0
	case ">":
		return o > 0
	}
	return o >= 0
}

// compare compares lists, the order of an attribute included.
func (m *model) compare(what string, got, want []item.Item, by string) {
	m.rt.Helper()
	for i := 1; i < len(got); i++ {
		if o, _ := item.Compare(got[i-1][by], got[i][by]); by != "" && o > 0 {
			m.rt.Fatalf("%s: got %s before %s", what, show(got[i-1]), show(got[i]))
		}
	}
	texts := func(list []item.Item) (out []string) {
		for _, it := range list {
			out = append(out, show(it))
		}
		slices.Sort(out)
		return out
	}
	if g, w := texts(got), texts(want); !slices.Equal(g, w) {
		m.rt.Fatalf("%s:\n got %s\nwant %s", what, strings.Join(g, "\n     "), strings.Join(w, "\n     "))
	}
}

// scan reads everything, by segments and pages.
func (m *model) scan(t *rapid.T) {
	segments := rapid.IntRange(1, 4).Draw(t, "segments")
	limit := rapid.IntRange(0, 4).Draw(t, "limit")
	var got []item.Item
	for i := range segments {
		got = append(got, m.scanAll(table.ScanRequest{Table: m.name, Segment: i, Segments: segments, Limit: limit})...)
	}
	m.compare("scan", got, m.sorted("", func(item.Item) bool { return true }), "")
}

func (m *model) scanAll(r table.ScanRequest) (all []item.Item) {
	for {
		page, err := m.b.db.Scan(m.b.t.Context(), Account, r)
		m.must(err)
		all = append(all, page.Items...)
		if r.Start = page.Last; r.Start == nil {
			return all
		}
	}
}

// checkIndexes compares what all indexes hold.
func (m *model) checkIndexes() {
	for _, x := range []struct {
		name  string
		keys  []string
		shows []string // nil: all
	}{
		{byLevel, []string{"level"}, []string{"p", "r", "level"}},
		{byGroup, []string{"group"}, []string{"p", "r", "group", "x"}},
		{byBoth, []string{"group", "level"}, nil},
	} {
		var want []item.Item
		for _, it := range m.items {
			entry := it
			if x.shows != nil {
				entry = item.Item{}
				for _, name := range x.shows {
					if v, ok := it[name]; ok {
						entry[name] = v
					}
				}
			}
			if !slices.ContainsFunc(x.keys, func(k string) bool { return it[k].IsAbsent() }) {
				want = append(want, entry)
			}
		}
		m.compare("index "+x.name, m.scanAll(table.ScanRequest{Table: m.name, Index: x.name, Limit: 3}), want, "")
	}
}

// checkStream compares the stream with what happened.
func (m *model) checkStream() {
	records := m.b.readStream(m.name)
	if len(records) != len(m.changes) {
		m.rt.Fatalf("stream: got %d records, want %d", len(records), len(m.changes))
	}
	for i, r := range records {
		w := m.changes[i]
		if r.Event != w.event || !r.New.Equal(w.new) || !r.Old.Equal(w.old) {
			m.rt.Fatalf("record %d: got %s new %s old %s\nwant %s new %s old %s", i, r.Event, show(r.New), show(r.Old), w.event, show(w.new), show(w.old))
		}
		it := w.new
		if it == nil {
			it = w.old
		}
		if want := (item.Item{"p": it["p"], "r": it["r"]}); !r.Keys.Equal(want) {
			m.rt.Fatalf("record %d: got keys %s, want %s", i, show(r.Keys), show(want))
		}
	}
}

// readStream reads all of a table's stream.
func (b *bench) readStream(name string) (all []table.StreamRecord) {
	b.t.Helper()
	d, err := b.db.Describe(b.t.Context(), Account, name)
	b.must(err)
	desc, err := b.db.Stream(b.t.Context(), Account, d.StreamARN)
	b.must(err)
	it, err := b.db.Iterator(b.t.Context(), Account, table.IteratorRequest{Stream: d.StreamARN, Shard: desc.Shards[0].ID, Kind: table.TrimHorizon})
	b.must(err)
	for {
		page, err := b.db.Records(b.t.Context(), Account, it, 7)
		b.must(err)
		if all = append(all, page.Records...); len(page.Records) == 0 {
			return all
		}
		it = page.Next
	}
}
