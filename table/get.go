package table

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/capacity"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// Get reads one item.
func (t *Tables) Get(ctx context.Context, account string, r GetRequest) (res GetResult, err error) {
	err = t.with(ctx, account, r.Table, func(s *handle) error {
		key, err := s.readKey(r.Leading, r.Key, r.Projection)
		if err != nil {
			return err
		}
		keys := [][]byte{s.headKey, key}
		var value []byte
		err = s.store.View(ctx, func(v kv.View) error {
			values, err := v.GetAll(keys[s.skipHead():])
			if err != nil {
				return err
			}
			if !s.cached() && !s.head.is(values[0]) {
				return errStale
			}
			value = values[len(values)-1]
			return nil
		})
		if err != nil {
			return err
		}
		res, err = s.answer(value, r.Projection, r.Consistent, r.Measure)
		return err
	})
	return res, err
}

// readKey checks a request for one item and answers with the item's place.
func (s *handle) readKey(leading *string, key item.Item, p *expr.Projection) ([]byte, error) {
	if err := ledBy(leading, s.Key); err != nil {
		return nil, err
	}
	if err := s.CheckKey(key); err != nil {
		return nil, err
	}
	if p != nil {
		if err := s.CheckPaths(p.Paths()); err != nil {
			return nil, err
		}
	}
	return s.ItemKey(key), nil
}

// answer makes a result of what was found; nil: nothing.
func (s *handle) answer(value []byte, p *expr.Projection, consistent, measure bool) (res GetResult, err error) {
	size := 0
	if value != nil {
		if res.Item, err = project(value, p); err != nil {
			return res, fmt.Errorf("table %s: read an item: %w", s.Name, err)
		}
	}
	if !measure {
		return res, nil
	}
	if value != nil {
		if size, err = item.SizeOf(value); err != nil {
			return res, fmt.Errorf("table %s: read an item: %w", s.Name, err)
		}
	}
	n := capacity.Units(size, capacity.ReadUnit)
	if !consistent {
		n /= 2
	}
	res.Capacity = &Capacity{Table: s.Name, Read: true, Units: n, Own: n}
	return res, nil
}

// project decodes what a projection needs of an item, and applies it.
func project(value []byte, p *expr.Projection) (item.Item, error) {
	if p == nil {
		return item.Decode(value)
	}
	it, err := item.DecodeSorted(value, p.Sorted())
	if err != nil {
		return nil, err
	}
	return p.Of(it), nil
}
