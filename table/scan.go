package table

import (
	"context"
	"math/bits"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
)

// Scan reads a page of a table or an index, or of a segment of it.
func (t *Tables) Scan(ctx context.Context, account string, r ScanRequest) (page Page, err error) {
	err = t.with(ctx, account, r.Table, func(s *handle) error {
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
func (s *handle) scan(r *ScanRequest) (*walk, error) {
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
	if err := w.checkSelect(); err != nil {
		return nil, err
	}
	if r.Start != nil {
		if err := s.checkStartKey(r.Start); err != nil {
			return nil, err
		}
	}
	prefix := s.ItemPrefix
	if x != nil {
		prefix = x.Prefix
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
	if err := w.checkProjection(); err != nil {
		return nil, err
	}
	return w, w.checkFilter()
}

// checkScanStart checks a starting key as far as it belongs to what is walked.
func (s *handle) checkScanStart(x *schema.Secondary, start item.Item) error {
	if len(start) != len(s.startNames(x)) {
		if x != nil {
			return invalid(textStart)
		}
		return invalid(textStart + ": " + schema.TextKeySchema)
	}
	if x == nil {
		return nil
	}
	for _, p := range x.Parts() {
		if err := checkStartPart(start, p); err != nil {
			return err
		}
	}
	return nil
}

// segment is a part of all keys that begin with prefix, by the first 8 bytes of the hash that follows.
func segment(prefix []byte, i, n int) kv.Range {
	r := layout.Below(prefix)
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
