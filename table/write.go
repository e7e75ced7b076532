package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/capacity"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
)

// Write changes one item, with its index entries, its place among those that expire and its stream record: in one
// transaction of the store.
func (t *Tables) Write(ctx context.Context, account string, r WriteRequest) (WriteResult, error) {
	var done *effect
	var s *handle
	err := t.with(ctx, account, r.Table, func(fresh *handle) error {
		s = fresh
		p, err := s.plan(&r)
		if err != nil {
			return err
		}
		keys := [][]byte{s.headKey, p.key}
		return s.store.Update(ctx, func(tx kv.Tx) error {
			values, err := tx.GetAll(keys[s.skipHead():])
			if err != nil {
				return err
			}
			if !s.cached() && !s.head.is(values[0]) {
				return errStale
			}
			if done, err = p.perform(values[len(values)-1]); err != nil {
				return err
			}
			done.write(t, tx, false)
			return nil
		})
	})
	if err != nil {
		return WriteResult{}, busy(err)
	}
	done.count()
	return done.result(&r), nil
}

// busy makes the store's refusal after many conflicts something that SDKs try again.
func busy(err error) error {
	if errors.Is(err, kv.ErrConflict) {
		return rouse.Errorf(rouse.Throttled, "The level of configured provisioned throughput for the table was exceeded. "+
			"Consider increasing your provisioning level with the UpdateTable API.").WithCode("ProvisionedThroughputExceededException")
	}
	if errors.Is(err, kv.ErrTooLarge) {
		return invalid("The request is too large for one transaction")
	}
	return err
}

// plan is a request that fits its table, and where its item stands.
type plan struct {
	s       *handle
	r       *WriteRequest
	key     []byte
	encoded []byte // the item of a Put
	size    int    // of it
	decodes bool   // the item that is there has to be decoded: for more than its size
}

// plan checks what can be said before the item is read.
func (s *handle) plan(r *WriteRequest) (*plan, error) {
	if err := ledBy(r.Leading, s.Key); err != nil {
		return nil, err
	}
	p := &plan{s: s, r: r}
	p.decodes = r.Kind != Put || r.Condition != nil || r.Return == AllOld || len(s.Indexes) > 0 || s.log != nil || s.TTL.On()
	if r.Kind == Put {
		if err := s.CheckItem(r.Item); err != nil {
			return nil, err
		}
		if p.size = r.Item.Size(); p.size > item.SizeMax {
			return nil, invalid(textTooLarge)
		}
		p.encoded = encode(r.Item, p.size)
		p.key = s.ItemKey(r.Item)
		return p, s.checkExpressions(r)
	}
	if err := s.CheckKey(r.Key); err != nil {
		return nil, err
	}
	p.key = s.ItemKey(r.Key)
	return p, s.checkExpressions(r)
}

// encode encodes an item of a size.
func encode(it item.Item, size int) []byte {
	return item.Append(make([]byte, 0, size+2*len(it)+32), it)
}

// DynamoDB's texts about items that are too large.
const (
	textTooLarge       = "Item size has exceeded the maximum allowed size"
	textUpdateTooLarge = "Item size to update has exceeded the maximum allowed size"
)

func (s *handle) checkExpressions(r *WriteRequest) error {
	if r.Update != nil {
		for _, name := range r.Update.Names() {
			if name == s.Key.Hash || name == s.Key.Range {
				return invalidValue("Cannot update attribute %s. This attribute is part of the key", name)
			}
		}
		if err := s.CheckTypes(r.Update); err != nil {
			return err
		}
		if err := s.CheckPaths(r.Update.Reads()); err != nil {
			return err
		}
	}
	if r.Condition != nil {
		return s.CheckPaths(r.Condition.Paths())
	}
	return nil
}

// effect is what a write does to an item.
type effect struct {
	*plan
	had              bool      // there was an item
	old, new         item.Item // nil: there is none; old is decoded only where the plan says so
	oldSize, newSize int
	oldValue         []byte // what old was decoded from
	encoded          []byte // of new; hides the plan's
	same             bool   // nothing changes
	capacity         *Capacity
	entries          []delta // what becomes of the indexes
}

// perform finds out what a planned write does to the item that is encoded in value; nil: there is none.
func (p *plan) perform(value []byte) (*effect, error) {
	e := &effect{plan: p, had: value != nil}
	if err := e.decode(value); err != nil {
		return nil, err
	}
	if c := p.r.Condition; c != nil {
		met := e.old
		if met == nil {
			met = item.Item{}
		}
		ok, err := c.Match(met)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, &ConditionFailed{Item: e.shown()}
		}
	}
	if err := e.apply(); err != nil {
		return nil, err
	}
	switch {
	case e.new == nil:
		e.same = !e.had
	case e.had && !e.same:
		e.same = bytes.Equal(value, e.encoded) || e.old != nil && e.old.Equal(e.new)
	}
	return e, nil
}

// decode reads the item that is there, as far as it is needed.
func (e *effect) decode(value []byte) (err error) {
	if value == nil {
		return nil
	}
	e.oldValue = value
	if e.oldSize, err = item.SizeOf(value); err == nil && e.decodes {
		e.old, err = item.Decode(value)
	}
	if err != nil {
		return fmt.Errorf("table %s: read an item: %w", e.s.Name, err)
	}
	return nil
}

// shown is the item that a failed condition has met, if it is wanted.
func (e *effect) shown() item.Item {
	if e.r.ReturnOnFail {
		return e.old
	}
	return nil
}

// apply makes the new item.
func (e *effect) apply() (err error) {
	switch r := e.r; r.Kind {
	case Put:
		e.new, e.newSize, e.encoded = r.Item, e.size, e.plan.encoded
	case Check:
		e.new, e.newSize, e.same = e.old, e.oldSize, true
	case Update:
		if err := e.update(); err != nil || e.new == nil {
			return err
		}
		if e.newSize = e.new.Size(); e.newSize > item.SizeMax {
			return invalid(textUpdateTooLarge)
		}
		if e.new.Depth() > item.DepthMax {
			return invalid("Nesting Levels have exceeded supported limits")
		}
		e.encoded = encode(e.new, e.newSize)
	}
	return nil
}

// update makes the new item of an Update. One that only removes makes none where there is none.
func (e *effect) update() (err error) {
	u := e.r.Update
	switch {
	case u == nil && e.old == nil:
		e.new = e.r.Key
	case u == nil:
		e.new = e.old
	case e.old != nil:
		e.new, err = u.Apply(e.old)
	default:
		if e.new, err = u.Create(e.r.Key); u.RemovesOnly() {
			e.new = nil
		}
	}
	if err != nil || e.new == nil {
		return err
	}
	return e.s.CheckUpdated(e.old, e.new)
}

// write puts the effect into the transaction. service says that nobody asked for it.
func (e *effect) write(t *Tables, tx kv.Tx, service bool) {
	if e.r.Measure {
		e.capacity = &Capacity{Table: e.s.Name, Own: capacity.Units(max(e.oldSize, e.newSize), capacity.WriteUnit)}
		e.capacity.Units = e.capacity.Own
	}
	if e.same {
		return
	}
	if e.new != nil {
		tx.Set(e.key, e.encoded)
	} else {
		tx.Delete(e.key)
	}
	for i := range e.s.Indexes {
		e.index(tx, &e.s.Indexes[i])
	}
	if e.s.TTL.On() {
		e.expire(t, tx)
	}
	if e.s.log != nil {
		e.record(tx, service)
	}
}

// index brings the item's entry in x from old to new.
func (e *effect) index(tx kv.Tx, x *schema.Secondary) {
	was, is := e.s.EntryOf(x, e.old), e.s.EntryOf(x, e.new)
	d := delta{index: x.Number}
	n := 0.0
	wasSize, isSize := was.Item.Size(), is.Item.Size()
	moved := was.Item != nil && is.Item != nil && !bytes.Equal(was.Key, is.Key)
	if was.Item != nil && (is.Item == nil || moved) {
		tx.Delete(was.Key)
		n += capacity.Units(wasSize, capacity.WriteUnit)
	}
	changed := is.Item != nil && (was.Item == nil || moved || !was.Item.Equal(is.Item))
	if changed || is.Item != nil && x.Status == Creating { // what is being filled may lack an entry that has not changed
		value := e.encoded
		if x.Carries != nil {
			value = encode(is.Item, isSize)
		}
		tx.Set(is.Key, value)
	}
	if changed {
		if was.Item != nil && !moved {
			n += capacity.Units(max(isSize, wasSize), capacity.WriteUnit)
		} else {
			n += capacity.Units(isSize, capacity.WriteUnit)
		}
	}
	if was.Item != nil {
		d.sum.Items--
		d.sum.Bytes -= int64(wasSize)
	}
	if is.Item != nil {
		d.sum.Items++
		d.sum.Bytes += int64(isSize)
	}
	e.entries = append(e.entries, d)
	if n > 0 && e.capacity != nil {
		e.capacity.AddIndex(x.Name, x.Global, n)
	}
}

// result is the answer to r.
func (e *effect) result(r *WriteRequest) WriteResult {
	res := WriteResult{Attributes: e.returned(r.Return), Capacity: e.capacity}
	if r.Collection && len(e.s.LocalIndexes) > 0 {
		from := r.Key
		if r.Kind == Put {
			from = r.Item
		}
		res.Collection = item.Item{e.s.Key.Hash: from[e.s.Key.Hash]}
	}
	return res
}

func (e *effect) returned(which ReturnValues) item.Item {
	switch which {
	case AllOld:
		return e.old
	case AllNew:
		return e.new
	case UpdatedOld:
		if e.r.Update != nil && e.old != nil {
			return e.r.Update.Written(e.old)
		}
	case UpdatedNew:
		if e.r.Update != nil {
			return e.r.Update.Written(e.new)
		}
	}
	return nil
}
