package table

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// PageMax is how many bytes of items, as DynamoDB counts them and before the filter, end a page of Query or Scan.
const PageMax = 1 << 20

// walk is a Query or a Scan of one page.
type walk struct {
	s          *schema
	x          *index // nil: the table itself
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
func (s *schema) source(name string, consistent bool) (*index, error) {
	if name == "" {
		return nil, nil
	}
	for i := range s.indexes {
		x := &s.indexes[i]
		if x.Name != name {
			continue
		}
		if x.Status == Creating {
			return nil, invalid("Cannot read from backfilling global secondary index: %s", name)
		}
		if x.global && consistent {
			return nil, invalid("Consistent reads are not supported on global secondary indexes")
		}
		return x, nil
	}
	return nil, invalid("The table does not have the specified index: %s", name)
}

// startNames are the attributes of a starting key: the table's key and the index's.
func (s *schema) startNames(x *index) []string {
	names := s.Key.names()
	if x == nil {
		return names
	}
	for _, n := range x.Key.names() {
		if n != s.Key.Hash && n != s.Key.Range {
			names = append(names, n)
		}
	}
	return names
}

// place is where the item of a starting key stands.
func (s *schema) place(x *index, start item.Item) []byte {
	if x == nil {
		return s.itemKey(start)
	}
	return s.entryKey(x, start)
}

// checkStartKey checks the table's part of a starting key.
func (s *schema) checkStartKey(start item.Item) error {
	own := item.Item{}
	for _, n := range s.Key.names() {
		if v, ok := start[n]; ok {
			own[n] = v
		}
	}
	if err := s.checkKey(own); err != nil {
		return invalid(textStart+": %s", err.Error())
	}
	return nil
}

// Query reads a page of one partition.
func (t *Tables) Query(ctx context.Context, account string, r QueryRequest) (page Page, err error) {
	err = t.with(ctx, account, r.Table, func(s *schema) error {
		w, err := s.query(&r)
		if err != nil {
			return err
		}
		page, err = w.page(ctx)
		return err
	})
	return page, err
}

// query checks a QueryRequest, in DynamoDB's order.
func (s *schema) query(r *QueryRequest) (*walk, error) {
	x, err := s.source(r.Index, r.Consistent)
	if err != nil {
		return nil, err
	}
	parts := s.parts()
	if x != nil {
		parts = x.parts()
	}
	if r.Start != nil && len(r.Start) != len(s.startNames(x)) {
		return nil, invalid(textStart)
	}
	q, err := s.keyRange(r.KeyCondition, r.Start, parts)
	if err != nil {
		return nil, err
	}
	if r.Start != nil {
		if err := s.checkBounds(r.Start, parts, q); err != nil {
			return nil, err
		}
	}
	w := &walk{s: s, x: x, filter: r.Filter, projection: r.Projection, choice: r.Select, limit: r.Limit,
		consistent: r.Consistent, measure: r.Measure}
	if err := w.check(r.Index); err != nil {
		return nil, err
	}
	if r.Filter != nil {
		if err := checkFilterNames(r, parts); err != nil {
			return nil, err
		}
	}
	w.r = s.rangeOf(x, parts, q)
	w.r.Reverse = r.Reverse
	if r.Start != nil {
		w.after(s.place(x, r.Start))
	}
	return w, nil
}

// checkStartPart checks an attribute of a starting key that belongs to what is walked.
func checkStartPart(start item.Item, p part) error {
	if _, ok := start[p.name]; !ok {
		return invalid(textStart)
	}
	return checkPart(start, p.name, p.kind, p.hash)
}

// keyRange is what a key condition says about a key. The starting key, nil if there is none, is checked in between.
func (s *schema) keyRange(c *expr.KeyCondition, start item.Item, parts []part) (q expr.KeyRange, err error) {
	if c == nil {
		return q, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	as := make([]expr.KeyAttribute, 2)
	for i, p := range parts {
		as[i] = expr.KeyAttribute{Name: p.name, Type: p.kind}
		if start != nil {
			if err := checkStartPart(start, p); err != nil {
				return q, err
			}
		}
		if i == 0 {
			err = c.CheckHash(as[0], len(parts) == 2)
		} else {
			err = c.CheckRange(as[1])
		}
		if err != nil {
			return q, err
		}
	}
	return c.ForKey(as[0], as[1])
}

// checkBounds refuses a starting key that the query would never have answered with.
func (s *schema) checkBounds(start item.Item, parts []part, q expr.KeyRange) error {
	if err := s.checkStartKey(start); err != nil {
		return err
	}
	inside := start[parts[0].name].Equal(q.Hash)
	if len(parts) == 1 || q.Op == expr.RangeAll {
		if !inside {
			return invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
		return nil
	}
	if !q.InRange(start[parts[1].name]) {
		return invalid("The provided starting key does not match the range key predicate")
	}
	if !inside {
		return invalid("The query can return at most one row and cannot be restarted")
	}
	return nil
}

// checkFilterNames refuses a query's filter on the key of what is walked.
func checkFilterNames(r *QueryRequest, parts []part) error {
	what := "Filter Expression"
	if r.Legacy {
		what = "QueryFilter"
	}
	for _, p := range parts {
		for _, name := range r.Filter.Names() {
			if name == p.name {
				return invalid("%s can only contain non-primary key attributes: Primary key attribute: %s", what, name)
			}
		}
	}
	return nil
}

// rangeOf is where the keys of a query stand. In an index, other things follow the sort key, so that one value is the
// range of all keys that begin with it; in the table nothing does, and a key that begins with it is another's.
func (s *schema) rangeOf(x *index, parts []part, q expr.KeyRange) kv.Range {
	prefix := s.items
	encode := item.AppendKeyTail
	beyond := func(key []byte) []byte { return append(key, 0) }
	if x != nil {
		prefix, encode, beyond = x.prefix, item.AppendKey, behind
	}
	h := item.KeyHash(q.Hash)
	base := append(append(make([]byte, 0, len(prefix)+len(h)+64), prefix...), h[:]...)
	r := below(base)
	at := func(v item.Value) []byte { return encode(base[:len(base):len(base)], v) }
	switch q.Op {
	case expr.RangeEQ:
		r.From = at(q.Low)
		r.To = beyond(at(q.Low))
	case expr.RangeLT:
		r.To = at(q.Low)
	case expr.RangeLE:
		r.To = beyond(at(q.Low))
	case expr.RangeGT:
		r.From = beyond(at(q.Low))
	case expr.RangeGE:
		r.From = at(q.Low)
	case expr.RangeBetween:
		r.From, r.To = at(q.Low), beyond(at(q.High))
	case expr.RangeBeginsWith:
		if x != nil {
			encode = item.AppendKeyPrefix
		}
		r = below(at(q.Low))
	}
	return r
}

// after makes the walk begin behind a key that was answered already.
func (w *walk) after(key []byte) {
	if w.r.Reverse {
		w.r.To = key
	} else {
		w.r.From = append(key, 0)
	}
}

// Scan reads a page of a table or an index, or of a segment of it.
func (t *Tables) Scan(ctx context.Context, account string, r ScanRequest) (page Page, err error) {
	err = t.with(ctx, account, r.Table, func(s *schema) error {
		w, err := s.scan(&r)
		if err != nil {
			return err
		}
		page, err = w.page(ctx)
		return err
	})
	return page, err
}

// scan checks a ScanRequest, in DynamoDB's order.
func (s *schema) scan(r *ScanRequest) (*walk, error) {
	x, err := s.source(r.Index, r.Consistent)
	if err != nil {
		return nil, err
	}
	w := &walk{s: s, x: x, filter: r.Filter, projection: r.Projection, choice: r.Select, limit: r.Limit,
		consistent: r.Consistent, measure: r.Measure}
	if r.Start != nil {
		if err := s.checkScanStart(x, r.Start); err != nil {
			return nil, err
		}
	}
	prefix := s.items
	if x != nil {
		prefix = x.prefix
	}
	w.r = segment(prefix, r.Segment, r.Segments)
	if r.Start != nil {
		key := s.place(x, r.Start)
		if r.Segments > 1 && (string(key) < string(w.r.From) || string(key) >= string(w.r.To)) {
			return nil, invalid(textStart+": Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "+
				"TotalSegments: %d Segment: %d", r.Segments, r.Segment)
		}
		w.after(key)
	}
	return w, w.check(r.Index)
}

func (s *schema) checkScanStart(x *index, start item.Item) error {
	if len(start) != len(s.startNames(x)) {
		if x != nil {
			return invalid(textStart)
		}
		return invalid(textStart + ": " + textKeySchema)
	}
	if x != nil {
		for _, p := range x.parts() {
			if err := checkStartPart(start, p); err != nil {
				return err
			}
		}
	}
	return s.checkStartKey(start)
}

// segment is a part of all keys that begin with prefix, by the first 8 bytes of the hash that follows.
func segment(prefix []byte, i, n int) kv.Range {
	r := below(prefix)
	if n <= 1 {
		return r
	}
	bound := func(i int) []byte { // ceil(i × 2^64 ÷ n)
		q, rest := bits.Div64(uint64(i), 0, uint64(n))
		if rest > 0 {
			q++
		}
		b := append(make([]byte, 0, len(prefix)+8), prefix...)
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(q>>shift))
		}
		return b
	}
	if i > 0 {
		r.From = bound(i)
	}
	if i+1 < n {
		r.To = bound(i + 1)
	}
	return r
}

// check checks what Query and Scan have in common, and settles what is read.
func (w *walk) check(indexName string) error {
	whole := w.x == nil || w.x.carries == nil
	if w.choice == SelectAll && !whole {
		if w.x.global {
			return invalidValue("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL",
				indexName)
		}
		w.fetch = true
	}
	if w.projection != nil {
		if err := w.s.checkPaths(w.projection.Paths()); err != nil {
			return err
		}
	}
	if w.filter != nil {
		if err := w.s.checkPaths(w.filter.Paths()); err != nil {
			return err
		}
	}
	if whole {
		return nil
	}
	var missing []string
	for _, n := range w.names() {
		if !w.x.carries[n] {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 && w.x.global {
		return invalidValue("Global secondary index %s does not project %s", indexName, bracketed(missing))
	}
	w.fetch = w.fetch || len(missing) > 0
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
func (s *schema) confirm(v kv.View) error {
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
			it, err := item.DecodeSome(e, w.s.Key.names()...)
			if err != nil {
				return nil, 0, err
			}
			keys[i] = w.s.itemKey(it)
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
		c.Own = units(size, readUnit) * rate
		c.Units = c.Own
		return c
	}
	if own > 0 {
		c.Own = units(own, readUnit) * rate
		c.Units = c.Own
	}
	c.index(w.x, units(size, readUnit)*rate)
	return c
}
