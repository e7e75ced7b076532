package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	names      []string // of the attributes that filter and projection need, ascending
	fetch      bool     // the items themselves are wanted, and the index does not carry all of each
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

// checkSelect refuses all attributes of a global index that does not carry them, and settles what is read.
func (w *walk) checkSelect() error {
	if w.choice != SelectAll || w.whole() {
		return nil
	}
	if w.x.Global {
		return invalidValue("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL",
			w.x.Name)
	}
	w.fetch = true
	return nil
}

// whole reports whether what is walked carries all attributes.
func (w *walk) whole() bool { return w.x == nil || w.x.Carries == nil }

// checkProjection checks a projection against the keys and what the index carries. A local index lacks nothing: the items
// are read as well.
func (w *walk) checkProjection() error {
	if w.projection == nil {
		return nil
	}
	if err := w.s.CheckPaths(w.projection.Paths()); err != nil || w.whole() {
		return err
	}
	missing := w.lacks(w.projection.Names())
	if len(missing) > 0 && w.x.Global {
		return invalidValue("Global secondary index %s does not project [%s]", w.x.Name, strings.Join(missing, ", "))
	}
	w.fetch = w.fetch || len(missing) > 0
	return nil
}

// checkFilter checks a filter. In a global index it does not see what the index does not carry.
func (w *walk) checkFilter() error {
	if w.filter == nil {
		return nil
	}
	if err := w.s.CheckPaths(w.filter.Paths()); err != nil || w.whole() {
		return err
	}
	w.fetch = w.fetch || !w.x.Global && len(w.lacks(w.filter.Names())) > 0
	return nil
}

// lacks are the names that entries do not have.
func (w *walk) lacks(names []string) (missing []string) {
	for _, n := range names {
		if !w.x.Carries[n] {
			missing = append(missing, n)
		}
	}
	return missing
}

// page walks.
func (w *walk) page(ctx context.Context) (page Page, err error) {
	var entries, values [][]byte
	var full bool
	err = w.s.store.View(ctx, func(v kv.View) error {
		if err := w.s.confirm(v); err != nil {
			return err
		}
		if entries, full, err = w.entries(v); err != nil {
			return err
		}
		if values = entries; w.fetch {
			values, err = w.fetchAll(v, entries)
		}
		return err
	})
	if err != nil {
		return Page{}, err
	}
	if page.Scanned, err = w.choose(ctx, &page, values); err == nil && (full || page.Scanned < len(entries)) {
		page.Last, err = w.lastKey(entries[page.Scanned-1])
	}
	if err == nil && w.measure {
		page.Capacity, err = w.capacity(entries[:page.Scanned], values[:page.Scanned])
	}
	if err != nil {
		return Page{}, fmt.Errorf("table %s: read an item: %w", w.s.Name, err)
	}
	return page, nil
}

// entries reads the items, or entries of the index, that are a page. full says that there may be more.
func (w *walk) entries(v kv.View) (list [][]byte, full bool, err error) {
	size := 0
	for p, err := range v.Scan(w.r, w.limit) {
		if err != nil {
			return nil, false, err
		}
		n, err := item.SizeOf(p.Value)
		if err != nil {
			return nil, false, fmt.Errorf("table %s: read an item: %w", w.s.Name, err)
		}
		list = append(list, p.Value)
		if size += n; size >= PageMax || w.limit > 0 && len(list) >= w.limit {
			return list, true, nil
		}
	}
	return list, false, nil
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

// sizeOf is the size of items together.
func sizeOf(values [][]byte) (size int, err error) {
	for _, value := range values {
		n, err := item.SizeOf(value)
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

// fetchAll reads the items of entries, of the first ones as many as make a page: a page of small entries may be of items
// that are gigabytes.
func (w *walk) fetchAll(v kv.View, entries [][]byte) (values [][]byte, err error) {
	size := 0
	for len(entries) > 0 {
		n := min(fetchChunk, len(entries))
		keys := make([][]byte, n)
		for i, e := range entries[:n] {
			it, err := item.DecodeSome(e, w.s.Key.Names()...)
			if err != nil {
				return nil, err
			}
			keys[i] = w.s.ItemKey(it)
		}
		items, err := v.GetAll(keys)
		if err != nil {
			return nil, err
		}
		for i, value := range items {
			if value == nil {
				return nil, fmt.Errorf("table %s: index %s has an entry without its item (%x)", w.s.Name, w.x.Name, keys[i])
			}
			n, err := item.SizeOf(value)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
			if size += n; size >= PageMax {
				return values, nil
			}
		}
		entries = entries[n:]
	}
	return values, nil
}

// workMax is how many operands of filters are looked at for one page: about a second of one core. A filter of thousands
// over hundreds of thousands of small items gets shorter pages.
const workMax = 20_000_000

// lookEach is how many items are looked at until it is asked whether somebody still waits.
const lookEach = 256

// choose filters and projects, and answers with how many items it has looked at: all, unless that is too much work.
func (w *walk) choose(ctx context.Context, page *Page, values [][]byte) (int, error) {
	if w.choice == SelectCount && w.filter == nil {
		page.Count = len(values)
		return len(values), nil
	}
	if w.filter != nil {
		values = values[:min(len(values), max(1, workMax/max(1, w.filter.Operands())))]
	}
	w.names = w.wanted()
	if w.choice != SelectCount {
		page.Items = make([]item.Item, 0, len(values))
	}
	for i, value := range values {
		if i%lookEach == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		it, err := w.decode(value)
		if err != nil {
			return 0, err
		}
		if w.filter != nil {
			ok, err := w.filter.Match(it)
			if err != nil {
				return 0, err
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
	return len(values), nil
}

// decode reads what filter and projection need of an item.
func (w *walk) decode(value []byte) (item.Item, error) {
	if w.choice != SelectCount && w.projection == nil {
		return item.Decode(value)
	}
	return item.DecodeSorted(value, w.names)
}

// wanted are the attributes that projection and filter name, in ascending order.
func (w *walk) wanted() (names []string) {
	switch {
	case w.filter == nil && w.projection != nil:
		return w.projection.Sorted()
	case w.projection != nil:
		names = append(names, w.projection.Names()...)
	}
	if w.filter != nil {
		names = append(names, w.filter.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// capacity counts what was read: entries (or items), and the items fetched for them.
func (w *walk) capacity(entries, items [][]byte) (*Capacity, error) {
	rate := 0.5
	if w.consistent {
		rate = 1
	}
	c := &Capacity{Table: w.s.Name, Read: true}
	size, err := sizeOf(entries)
	if err != nil {
		return nil, err
	}
	n := capacity.Units(size, capacity.ReadUnit) * rate
	if w.x == nil {
		c.Own, c.Units = n, n
		return c, nil
	}
	if w.fetch && len(items) > 0 {
		own, err := sizeOf(items)
		if err != nil {
			return nil, err
		}
		c.Own = capacity.Units(own, capacity.ReadUnit) * rate
		c.Units = c.Own
	}
	c.AddIndex(w.x.Name, w.x.Global, n)
	return c, nil
}
