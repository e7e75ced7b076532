package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
	"github.com/rouse-dev/rouse/table/tally"
)

// work is the value of workKey: a back-fill, and how far it has come.
type work struct {
	Account string `json:"account"`
	Table   string `json:"table"`
	Number  uint64 `json:"number"`
	Index   uint32 `json:"index"` // 0: the time to live
	Cursor  []byte `json:"cursor,omitempty"`
}

// goesOn reports whether what is stored of a back-fill is as w knows it. Else it was called off, and perhaps begun anew:
// the time to live may be turned off and on again meanwhile, by another attribute, and then nothing is done yet.
func (w *work) goesOn(value []byte) bool {
	var is work
	return value != nil && json.Unmarshal(value, &is) == nil && bytes.Equal(is.Cursor, w.Cursor)
}

func (t *Tables) setWork(tx kv.Tx, account string, d *schema.Record, index uint32) error {
	tx.Wake(t.at.Upkeep())
	return setJSON(tx, t.at.Work(d.Number, index), work{Account: account, Table: d.Name, Number: d.Number, Index: index})
}

// fillAll goes on with all back-fills that there are, some pages each, and reports whether there is more to do.
func (t *Tables) fillAll(ctx context.Context, lease kv.Lease) (more bool, err error) {
	list, err := t.pairs(ctx, t.at.Works(), worksMax)
	if err != nil {
		return false, fmt.Errorf("list back-fills: %w", err)
	}
	var errs []error // one table in trouble holds up no other
	for _, p := range list {
		var w work
		some := false
		err := json.Unmarshal(p.Value, &w)
		if err == nil {
			some, err = t.fill(ctx, lease, p.Key, w)
		}
		if more = more || some; err != nil {
			errs = append(errs, fmt.Errorf("back-fill table %s: %w", w.Table, err))
		}
	}
	return more, errors.Join(errs...)
}

// Pages of a back-fill: so many items are listed in one View, and so many looked at in one Update.
const (
	fillPage  = 250
	fillChunk = 25
	fillPages = 8 // until another back-fill has its turn
)

// fill goes on with one back-fill. The items are listed in a View and read again in small Updates, with the head: so each entry
// is of the item as it is then, and from the moment on in which the index is there, writers keep it themselves.
func (t *Tables) fill(ctx context.Context, lease kv.Lease, key []byte, w work) (more bool, err error) {
	for range fillPages {
		s, err := t.fresh(ctx, w.Account, w.Table)
		if rouse.KindOf(err) == rouse.NotFound || err == nil && s.Number != w.Number {
			return false, t.drop(ctx, key) // the table is gone, and should have taken this along
		}
		if err != nil {
			return false, err
		}
		r := layout.Below(s.ItemPrefix)
		if w.Cursor != nil {
			r.From = append(bytes.Clone(w.Cursor), 0)
		}
		var keys [][]byte
		err = s.store.View(ctx, func(v kv.View) error {
			keys = keys[:0]
			size := 0
			for p, err := range v.Scan(r, fillPage) {
				if err != nil {
					return err
				}
				keys = append(keys, p.Key)
				if size += len(p.Value); size >= PageMax {
					break
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if len(keys) == 0 {
			return false, t.filled(ctx, lease, key, w)
		}
		for chunk := range slices.Chunk(keys, fillChunk) {
			gone, err := t.fillSome(ctx, lease, s, key, &w, chunk)
			if errors.Is(err, errStale) {
				break
			}
			if err != nil || gone {
				return false, err
			}
		}
	}
	return true, nil
}

// fillSome looks at the items of some keys. gone says that the work is not to go on.
func (t *Tables) fillSome(ctx context.Context, lease kv.Lease, s *handle, key []byte, w *work, keys [][]byte) (gone bool, err error) {
	i := slices.IndexFunc(s.Indexes, func(x schema.Secondary) bool { return x.Number == w.Index })
	if w.Index != 0 && i < 0 {
		return true, nil
	}
	next := *w
	next.Cursor = keys[len(keys)-1]
	var added tally.Sum
	err = t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		gone, added = false, tally.Sum{}
		if err := lease.Guard(tx); err != nil {
			return err
		}
		values, err := tx.GetAll(append([][]byte{s.headKey, key}, keys...))
		if err != nil {
			return err
		}
		if !s.head.is(values[0]) {
			return errStale
		}
		if gone = !w.goesOn(values[1]); gone {
			return nil
		}
		if w.Index == 0 {
			err = t.fillDue(tx, s, keys, values[2:])
		} else {
			added, err = s.fillIndex(tx, &s.Indexes[i], values[2:])
		}
		if err != nil {
			return err
		}
		return setJSON(tx, key, next)
	})
	if err != nil {
		return gone, err
	}
	*w = next
	s.gains.Add(w.Index, added)
	if f := t.cfg.Moments.Backfilled; f != nil {
		f(len(keys))
	}
	return gone, nil
}

// fillIndex adds the missing entries of items. An entry that is there was kept by whoever wrote the item.
func (s *handle) fillIndex(tx kv.Tx, x *schema.Secondary, values [][]byte) (added tally.Sum, err error) {
	var entries []schema.Entry
	var keys [][]byte
	for _, value := range values {
		if value == nil {
			continue
		}
		it, err := item.Decode(value)
		if err != nil {
			return added, err
		}
		if e := s.EntryOf(x, it); e.Item != nil {
			entries, keys = append(entries, e), append(keys, e.Key)
		}
	}
	there, err := tx.GetAll(keys)
	if err != nil {
		return added, err
	}
	for i, e := range entries {
		if there[i] != nil {
			continue
		}
		size := e.Item.Size()
		tx.Set(e.Key, encode(e.Item, size))
		added.Items++
		added.Bytes += int64(size)
	}
	return added, nil
}

// fillDue adds the places of items among those that expire.
func (t *Tables) fillDue(tx kv.Tx, s *handle, keys, values [][]byte) error {
	oldest := tx.Now().Add(-expiryAgeMax).Unix()
	for i, value := range values {
		if value == nil {
			continue
		}
		it, err := item.DecodeSome(value, s.TTL.Attribute)
		if err != nil {
			return err
		}
		if second, ok := s.Expiry(it); ok && second >= oldest {
			tx.Set(t.at.Due(second, s.Number, s.rest(keys[i])), nil)
		}
	}
	return nil
}

// filled ends a back-fill.
func (t *Tables) filled(ctx context.Context, lease kv.Lease, key []byte, w work) error {
	err := t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if err := lease.Guard(tx); err != nil {
			return err
		}
		value, _, err := tx.Get(key)
		if err != nil || !w.goesOn(value) {
			return err
		}
		tx.Delete(key)
		d, err := t.read(tx, w.Account, w.Table)
		if err != nil || d == nil || d.Number != w.Number {
			return err
		}
		if w.Index == 0 {
			d.TTL.Status = Enabled
			return t.write(tx, w.Account, d)
		}
		i := slices.IndexFunc(d.GlobalIndexes, func(x Index) bool { return x.Number == w.Index })
		if i < 0 {
			return nil
		}
		d.GlobalIndexes[i].Status, d.GlobalIndexes[i].Backfilling = Active, false
		return t.write(tx, w.Account, d)
	})
	t.handles.forget(w.Account, w.Table)
	return err
}
