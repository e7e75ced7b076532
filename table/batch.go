package table

import (
	"context"
	"errors"
	"slices"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
)

// Limits of batches (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
const (
	BatchGetMax   = 100
	BatchWriteMax = 25
	answerMax     = 16 << 20 // bytes of items in one answer
)

// textTwice is DynamoDB's text about a batch that names an item twice.
const textTwice = "Provided list of item keys contains duplicates"

// several runs fn with the schemas of several tables, as with does with one.
func (t *Tables) several(ctx context.Context, account string, names []string, fn func(map[string]*handle) error) error {
	schemas := make(map[string]*handle, len(names))
	for range staleMax {
		for _, name := range names {
			if schemas[name] != nil {
				continue
			}
			s, err := t.known(ctx, account, name)
			if err == nil && s.cached() {
				s, err = t.fresh(ctx, account, name)
			}
			if err != nil {
				return err
			}
			schemas[name] = s
		}
		failed := fn(schemas)
		if !errors.Is(failed, errStale) && !refused(failed) {
			return failed
		}
		changed := false
		for _, name := range names {
			s, err := t.fresh(ctx, account, name)
			if err != nil {
				return err
			}
			changed = changed || s != schemas[name]
			schemas[name] = s
		}
		if !changed {
			return failed
		}
	}
	return kv.ErrConflict
}

// BatchGet reads up to BatchGetMax items of any tables, each table once in rs. Each item is read as Get does; together they
// are of no one moment.
func (t *Tables) BatchGet(ctx context.Context, account string, rs []BatchGetRequest, measure bool) (out []BatchGetResult, err error) {
	names := make([]string, len(rs))
	for i := range rs {
		names[i] = rs[i].Table
	}
	err = t.several(ctx, account, names, func(schemas map[string]*handle) error {
		out = make([]BatchGetResult, len(rs))
		keys := make([][][]byte, len(rs))
		for i := range rs {
			if keys[i], err = schemas[rs[i].Table].batchKeys(&rs[i]); err != nil {
				return err
			}
		}
		room := answerMax
		for i := range rs {
			if err := schemas[rs[i].Table].batchGet(ctx, &rs[i], keys[i], &room, measure, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// batchKeys checks the keys of a batch.
func (s *handle) batchKeys(r *BatchGetRequest) ([][]byte, error) {
	keys := make([][]byte, len(r.Keys))
	seen := make(map[string]bool, len(keys))
	for i, k := range r.Keys {
		key, err := s.readKey(r.Leading, k, r.Projection)
		if err != nil {
			return nil, err
		}
		if seen[string(key)] {
			return nil, invalid(textTwice)
		}
		seen[string(key)] = true
		keys[i] = key
	}
	return keys, nil
}

// batchGet reads the items of one table, a chunk at a time, as long as there is room in the answer.
func (s *handle) batchGet(ctx context.Context, r *BatchGetRequest, keys [][]byte, room *int, measure bool, out *BatchGetResult) error {
	if measure {
		out.Capacity = &Capacity{Table: s.Name, Read: true}
	}
	for at := 0; at < len(keys); at += fetchChunk {
		end := min(at+fetchChunk, len(keys))
		if *room <= 0 {
			out.Unprocessed = append(out.Unprocessed, r.Keys[at:end]...)
			continue
		}
		var values [][]byte
		err := s.store.View(ctx, func(v kv.View) (err error) {
			if err = s.confirm(v); err == nil {
				values, err = v.GetAll(keys[at:end])
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, value := range values {
			size := 0
			if value != nil {
				if size, err = item.SizeOf(value); err != nil {
					return err
				}
			}
			if size > *room {
				*room = 0
				out.Unprocessed = append(out.Unprocessed, r.Keys[at+i])
				continue
			}
			*room -= size
			res, err := s.answer(value, r.Projection, r.Consistent, measure)
			if err != nil {
				return err
			}
			if res.Item != nil {
				out.Items = append(out.Items, res.Item)
			}
			if measure {
				out.Capacity.Add(res.Capacity)
			}
		}
	}
	return nil
}

// BatchWrite puts and deletes up to BatchWriteMax items of any tables. Each write is done or not, by itself; Unprocessed
// says which were not, because other writers were in the way.
func (t *Tables) BatchWrite(ctx context.Context, account string, ws []WriteRequest) (res BatchWriteResult, err error) {
	var done []*effect
	finished := make([]bool, len(ws)) // in an earlier round: what was done may have been overwritten since, and stays so
	err = t.several(ctx, account, tablesOf(ws), func(schemas map[string]*handle) error {
		plans, err := planBatch(schemas, ws)
		if err != nil {
			return err
		}
		for _, group := range groups(plans, finished) {
			some, err := t.writeAll(ctx, group.plans)
			if errors.Is(err, kv.ErrConflict) {
				res.Unprocessed = append(res.Unprocessed, group.places...)
				group.finish(finished)
				continue
			}
			if err != nil {
				return err
			}
			group.finish(finished)
			for _, e := range some {
				e.count()
			}
			done = append(done, some...)
		}
		return nil
	})
	if err != nil {
		return BatchWriteResult{}, busy(err)
	}
	res.Capacity, res.Collections = summarize(done, 1)
	return res, nil
}

func tablesOf(ws []WriteRequest) (names []string) {
	for i := range ws {
		if !slices.Contains(names, ws[i].Table) {
			names = append(names, ws[i].Table)
		}
	}
	return names
}

// planBatch plans the writes of a batch, in DynamoDB's words.
func planBatch(schemas map[string]*handle, ws []WriteRequest) ([]*plan, error) {
	plans := make([]*plan, len(ws))
	seen := make(map[string]bool, len(ws))
	for i := range ws {
		if err := schemas[ws[i].Table].checkPutKey(&ws[i]); err != nil {
			return nil, err
		}
		p, err := schemas[ws[i].Table].plan(&ws[i])
		if err != nil {
			return nil, err
		}
		if seen[string(p.key)] {
			return nil, invalid(textTwice)
		}
		seen[string(p.key)] = true
		plans[i] = p
	}
	return plans, nil
}

// checkPutKey checks the key of a put as batches word it: like one that a request gives.
func (s *handle) checkPutKey(w *WriteRequest) error {
	if w.Kind != Put {
		return nil
	}
	for _, p := range s.Parts() {
		if w.Item[p.Name].Type() != p.Type {
			return invalid(schema.TextKeySchema)
		}
	}
	return nil
}

// group is writes that go into one transaction of the store.
type group struct {
	plans  []*plan
	places []int
	size   int
}

// groupMax is how many bytes a group may write: half of what the store allows, because entries repeat names.
const groupMax = kv.TxBytesMax / 2

func (g *group) finish(finished []bool) {
	for _, i := range g.places {
		finished[i] = true
	}
}

// groups puts writes together that share a store and are not finished, as long as they stay small enough: one commit, one
// fsync.
func groups(plans []*plan, finished []bool) (list []*group) {
	open := map[*memory]*group{} // by cache table; nil: the room's own store
	for i, p := range plans {
		if finished[i] {
			continue
		}
		at, _ := p.s.store.(*memory)
		g := open[at]
		size := p.weight()
		if g == nil || g.size+size > groupMax {
			g = &group{}
			open[at] = g
			list = append(list, g)
		}
		g.plans, g.places, g.size = append(g.plans, p), append(g.places, i), g.size+size
	}
	return list
}

// weight is about how many bytes a planned put or delete writes: the item, its entries, its record with the item that
// was there before, of which nothing is known yet.
func (p *plan) weight() int {
	n := (p.size + 4096) * (1 + len(p.s.Indexes))
	if p.s.log != nil {
		n += p.size + item.SizeMax
	}
	return n
}

// writeAll does planned writes in one transaction of the store they share.
func (t *Tables) writeAll(ctx context.Context, plans []*plan) (done []*effect, err error) {
	store := plans[0].s.store
	heads, keys := keysOf(plans)
	err = store.Update(ctx, func(tx kv.Tx) error {
		done = make([]*effect, 0, len(plans))
		values, err := tx.GetAll(keys)
		if err != nil {
			return err
		}
		for i, s := range heads {
			if !s.head.is(values[i]) {
				return errStale
			}
		}
		for i, p := range plans {
			e, err := p.perform(values[len(heads)+i])
			if err != nil {
				return err
			}
			e.write(t, tx, false)
			done = append(done, e)
		}
		return nil
	})
	return done, err
}

// keysOf are the keys that planned writes read: the heads of the tables, each once, then the items.
func keysOf(plans []*plan) (heads []*handle, keys [][]byte) {
	for _, p := range plans {
		if !p.s.cached() && !slices.Contains(heads, p.s) {
			heads = append(heads, p.s)
			keys = append(keys, p.s.headKey)
		}
	}
	for _, p := range plans {
		keys = append(keys, p.key)
	}
	return heads, keys
}

// summarize adds up capacities by table, and collects item collections.
func summarize(done []*effect, rate float64) (list []Capacity, collections map[string][]item.Item) {
	for _, e := range done {
		res := e.result(e.r)
		if c := res.Capacity; c != nil {
			c.Scale(rate)
			i := slices.IndexFunc(list, func(o Capacity) bool { return o.Table == c.Table })
			if i < 0 {
				i = len(list)
				list = append(list, Capacity{Table: c.Table, Read: c.Read})
			}
			list[i].Add(c)
		}
		if res.Collection != nil {
			if collections == nil {
				collections = map[string][]item.Item{}
			}
			same := func(o item.Item) bool { return o.Equal(res.Collection) }
			if !slices.ContainsFunc(collections[e.s.Name], same) {
				collections[e.s.Name] = append(collections[e.s.Name], res.Collection)
			}
		}
	}
	return list, collections
}
