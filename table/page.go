package table

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/capacity"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
)

// PageMax is how many bytes of items, as DynamoDB counts them and before the filter, end a page of Query or Scan.
const PageMax = 1 << 20

// walk is a Query or a Scan of one page.
type walk struct {
	s          *handle
	x          *schema.Secondary // nil: the table itself
	r          kv.Range
	filter     *expr.Condition
	projection *expr.Projection
	choice     Select
	limit      int
	consistent bool
	measure    bool
	fetch      bool // the items themselves are wanted, and the index does not carry all of each
}

// DynamoDB's texts about starting keys.
const textStart = "The provided starting key is invalid"

// source finds the index that is asked for; nil: the table.
func (s *handle) source(name string, consistent bool) (*schema.Secondary, error) {
	if name == "" {
		return nil, nil
	}
	for i := range s.Indexes {
		x := &s.Indexes[i]
		if x.Name != name {
			continue
		}
		if x.Status == Creating {
			return nil, invalid("Cannot read from backfilling global secondary index: %s", name)
		}
		if x.Global && consistent {
			return nil, invalid("Consistent reads are not supported on global secondary indexes")
		}
		return x, nil
	}
	return nil, invalid("The table does not have the specified index: %s", name)
}

// startNames are the attributes of a starting key: the table's key and the index's.
func (s *handle) startNames(x *schema.Secondary) []string {
	names := s.Key.Names()
	if x == nil {
		return names
	}
	for _, n := range x.Key.Names() {
		if n != s.Key.Hash && n != s.Key.Range {
			names = append(names, n)
		}
	}
	return names
}

// place is where the item of a starting key stands.
func (s *handle) place(x *schema.Secondary, start item.Item) []byte {
	if x == nil {
		return s.ItemKey(start)
	}
	return s.EntryKey(x, start)
}

// checkStartKey checks the table's part of a starting key.
func (s *handle) checkStartKey(start item.Item) error {
	own := item.Item{}
	for _, n := range s.Key.Names() {
		if v, ok := start[n]; ok {
			own[n] = v
		}
	}
	if err := s.CheckKey(own); err != nil {
		return invalid(textStart+": %s", err.Error())
	}
	return nil
}

// after makes the walk begin behind a key that was answered already.
func (w *walk) after(key []byte) {
	if w.r.Reverse {
		w.r.To = key
	} else {
		w.r.From = append(key, 0)
	}
}

// check checks what Query and Scan have in common, and settles what is read.
func (w *walk) check(indexName string) error {
	if err := w.checkSelect(indexName); err != nil {
		return err
	}
	whole := w.whole()
	w.fetch = w.choice == SelectAll && !whole
	if w.projection != nil {
		if err := w.s.CheckPaths(w.projection.Paths()); err != nil {
			return err
		}
	}
	if w.filter != nil {
		if err := w.s.CheckPaths(w.filter.Paths()); err != nil {
			return err
		}
	}
	if whole {
		return nil
	}
	var missing []string
	for _, n := range w.names() {
		if !w.x.Carries[n] {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 && w.x.Global {
		return invalidValue("Global secondary index %s does not project %s", indexName, bracketed(missing))
	}
	w.fetch = w.fetch || len(missing) > 0
	return nil
}

// whole reports whether what is walked has all attributes.
func (w *walk) whole() bool { return w.x == nil || w.x.Carries == nil }

// checkSelect refuses all attributes of a global index that has not all.
func (w *walk) checkSelect(indexName string) error {
	if w.choice == SelectAll && !w.whole() && w.x.Global {
		return invalidValue("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL",
			indexName)
	}
	return nil
}

func bracketed(names []string) string {
	out := "["
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out + "]"
}

// found is an item as it stands in the store.
type found struct {
	value []byte    // of the item, or of the entry
	key   item.Item // where the next page would start; only of the last one
}

// page walks.
func (w *walk) page(ctx context.Context) (page Page, err error) {
	var values [][]byte
	var own, sizes int
	var full bool
	err = w.s.store.View(ctx, func(v kv.View) error {
		values, own, sizes, full = nil, 0, 0, false
		if err := w.s.confirm(v); err != nil {
			return err
		}
		for p, err := range v.Scan(w.r, w.limit) {
			if err != nil {
				return err
			}
			n, err := item.SizeOf(p.Value)
			if err != nil {
				return fmt.Errorf("table %s: read an item: %w", w.s.Name, err)
			}
			values = append(values, p.Value)
			if sizes += n; sizes >= PageMax || w.limit > 0 && len(values) >= w.limit {
				full = true
				break
			}
		}
		if full {
			if page.Last, err = w.lastKey(values[len(values)-1]); err != nil {
				return err
			}
		}
		if w.fetch {
			values, own, err = w.fetchAll(v, values)
		}
		return err
	})
	if err != nil {
		return Page{}, err
	}
	page.Scanned = len(values)
	if err := w.choose(&page, values); err != nil {
		return Page{}, fmt.Errorf("table %s: read an item: %w", w.s.Name, err)
	}
	if w.measure {
		page.Capacity = w.capacity(sizes, own)
	}
	return page, nil
}

// confirm answers errStale when the table is not any more what the schema says.
func (s *handle) confirm(v kv.View) error {
	if s.cached() {
		return nil
	}
	value, _, err := v.Get(s.headKey)
	if err == nil && !s.head.is(value) {
		err = errStale
	}
	return err
}

// lastKey is the starting key behind an item.
func (w *walk) lastKey(value []byte) (item.Item, error) {
	return item.DecodeSome(value, w.s.startNames(w.x)...)
}

// fetchChunk is how many items are read at once: 10 MB at most.
const fetchChunk = 25

// fetchAll reads the items of entries.
func (w *walk) fetchAll(v kv.View, entries [][]byte) (values [][]byte, size int, err error) {
	for len(entries) > 0 {
		n := min(fetchChunk, len(entries))
		keys := make([][]byte, n)
		for i, e := range entries[:n] {
			it, err := item.DecodeSome(e, w.s.Key.Names()...)
			if err != nil {
				return nil, 0, err
			}
			keys[i] = w.s.ItemKey(it)
		}
		items, err := v.GetAll(keys)
		if err != nil {
			return nil, 0, err
		}
		for i, value := range items {
			if value == nil {
				return nil, 0, fmt.Errorf("table %s: index %s has an entry without its item (%x)", w.s.Name, w.x.Name, keys[i])
			}
			n, err := item.SizeOf(value)
			if err != nil {
				return nil, 0, err
			}
			size += n
			values = append(values, value)
		}
		entries = entries[n:]
	}
	return values, size, nil
}

// choose filters and projects.
func (w *walk) choose(page *Page, values [][]byte) error {
	if w.choice == SelectCount && w.filter == nil {
		page.Count = len(values)
		return nil
	}
	if w.choice != SelectCount {
		page.Items = make([]item.Item, 0, len(values))
	}
	for _, value := range values {
		it, err := w.decode(value)
		if err != nil {
			return err
		}
		if w.filter != nil {
			ok, err := w.filter.Match(it)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		page.Count++
		if w.choice == SelectCount {
			continue
		}
		if w.projection != nil {
			it = w.projection.Of(it)
		}
		page.Items = append(page.Items, it)
	}
	return nil
}

// decode reads what filter and projection need of an item.
func (w *walk) decode(value []byte) (item.Item, error) {
	switch {
	case w.choice == SelectCount:
		return item.DecodeSome(value, w.filter.Names()...)
	case w.projection == nil:
		return item.Decode(value)
	case w.filter == nil:
		return item.DecodeSome(value, w.projection.Names()...)
	}
	return item.DecodeSome(value, w.names()...)
}

// names are the attributes that projection and filter name.
func (w *walk) names() (names []string) {
	if w.projection != nil {
		names = append(names, w.projection.Names()...)
	}
	if w.filter != nil {
		names = append(names, w.filter.Names()...)
	}
	return names
}

// capacity counts what was read: entries (or items) and the items fetched for them.
func (w *walk) capacity(size, own int) *Capacity {
	rate := 0.5
	if w.consistent {
		rate = 1
	}
	c := &Capacity{Table: w.s.Name, Read: true}
	if w.x == nil {
		c.Own = capacity.Units(size, capacity.ReadUnit) * rate
		c.Units = c.Own
		return c
	}
	if own > 0 {
		c.Own = capacity.Units(own, capacity.ReadUnit) * rate
		c.Units = c.Own
	}
	c.AddIndex(w.x.Name, w.x.Global, capacity.Units(size, capacity.ReadUnit)*rate)
	return c
}
