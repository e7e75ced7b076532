package table

import (
	"context"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
)

// Query reads a page of one partition.
func (t *Tables) Query(ctx context.Context, account string, r QueryRequest) (page Page, err error) {
	err = t.with(ctx, account, r.Table, func(s *handle) error {
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
func (s *handle) query(r *QueryRequest) (*walk, error) {
	x, err := s.source(r.Index, r.Consistent)
	if err != nil {
		return nil, err
	}
	parts, key := s.Parts(), s.Key
	if x != nil {
		parts, key = x.Parts(), x.Key
	}
	if err := ledBy(r.Leading, key); err != nil {
		return nil, err
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
	if r.Filter != nil {
		if err := checkFilterNames(r, parts); err != nil {
			return nil, err
		}
	}
	for _, check := range []func() error{w.checkSelect, w.checkProjection, w.checkFilter} {
		if err := check(); err != nil {
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
func checkStartPart(start item.Item, p schema.Part) error {
	if _, ok := start[p.Name]; !ok {
		return invalid(textStart)
	}
	return schema.CheckPart(start, p.Name, p.Type, p.Hash)
}

// keyRange is what a key condition says about a key. The starting key, nil if there is none, is checked in between.
func (s *handle) keyRange(c *expr.KeyCondition, start item.Item, parts []schema.Part) (q expr.KeyRange, err error) {
	if c == nil {
		return q, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	as := make([]expr.KeyAttribute, 2)
	for i, p := range parts {
		as[i] = expr.KeyAttribute{Name: p.Name, Type: p.Type}
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
func (s *handle) checkBounds(start item.Item, parts []schema.Part, q expr.KeyRange) error {
	if err := s.checkStartKey(start); err != nil {
		return err
	}
	inside := start[parts[0].Name].Equal(q.Hash)
	if len(parts) == 1 || q.Op == expr.RangeAll {
		if !inside {
			return invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
		return nil
	}
	if !q.InRange(start[parts[1].Name]) {
		return invalid("The provided starting key does not match the range key predicate")
	}
	if !inside {
		return invalid("The query can return at most one row and cannot be restarted")
	}
	return nil
}

// checkFilterNames refuses a query's filter on the key of what is walked.
func checkFilterNames(r *QueryRequest, parts []schema.Part) error {
	what := "Filter Expression"
	if r.Legacy {
		what = "QueryFilter"
	}
	for _, p := range parts {
		for _, name := range r.Filter.Names() {
			if name == p.Name {
				return invalid("%s can only contain non-primary key attributes: Primary key attribute: %s", what, name)
			}
		}
	}
	return nil
}

// rangeOf is where the keys of a query stand. In an index, other things follow the sort key, so that one value is the
// range of all keys that begin with it; in the table nothing does, and a key that begins with it is another's.
func (s *handle) rangeOf(x *schema.Secondary, parts []schema.Part, q expr.KeyRange) kv.Range {
	prefix := s.ItemPrefix
	encode := item.AppendKeyTail
	beyond := func(key []byte) []byte { return append(key, 0) }
	if x != nil {
		prefix, encode, beyond = x.Prefix, item.AppendKey, layout.Behind
	}
	h := item.KeyHash(q.Hash)
	base := append(append(make([]byte, 0, len(prefix)+len(h)+64), prefix...), h[:]...)
	r := layout.Below(base)
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
		r = layout.Below(at(q.Low))
		if x != nil {
			r = layout.Below(item.AppendKeyPrefix(base, q.Low))
			r.From = at(q.Low)
		}
	}
	return r
}
