package table

import (
	"context"
	"errors"
	"slices"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
	"github.com/rouse-dev/rouse/table/token"
)

// Limits of transactions (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html).
const (
	TransactMax     = 100     // items
	TransactSizeMax = 4 << 20 // bytes of all items
)

// transactRate is how many units a transaction takes for one: it prepares, then commits.
const transactRate = 2

// TransactGet reads up to TransactMax items as they are at one moment.
func (t *Tables) TransactGet(ctx context.Context, account string, rs []GetRequest) (res TransactResult, err error) {
	names := make([]string, 0, len(rs))
	for i := range rs {
		if !slices.Contains(names, rs[i].Table) {
			names = append(names, rs[i].Table)
		}
	}
	err = t.several(ctx, account, names, func(schemas map[string]*handle) error {
		if err := noneCached(schemas); err != nil {
			return err
		}
		keys, err := transactKeys(schemas, rs)
		if err != nil {
			return err
		}
		values, err := t.readTogether(ctx, schemas, keys)
		if err != nil {
			return err
		}
		res, err = answerTogether(schemas, rs, values)
		return err
	})
	return res, err
}

// transactKeys checks the keys of a transaction's reads. Each that does not fit is a reason to cancel.
func transactKeys(schemas map[string]*handle, rs []GetRequest) ([][]byte, error) {
	keys := make([][]byte, len(rs))
	seen := make(map[string]bool, len(rs))
	reasons := newReasons(len(rs))
	failed := false
	for i := range rs {
		key, err := schemas[rs[i].Table].readKey(rs[i].Leading, rs[i].Key, rs[i].Projection)
		if err != nil {
			if !reasons.refuse(i, err) {
				return nil, err
			}
			failed = true
			continue
		}
		if seen[string(key)] {
			return nil, invalid(textOneItem)
		}
		seen[string(key)] = true
		keys[i] = key
	}
	if failed {
		return nil, &Cancelled{reasons}
	}
	return keys, nil
}

func (t *Tables) readTogether(ctx context.Context, schemas map[string]*handle, keys [][]byte) (values [][]byte, err error) {
	err = t.cfg.Store.View(ctx, func(v kv.View) error {
		values = nil
		for _, s := range schemas {
			if err := s.confirm(v); err != nil {
				return err
			}
		}
		size := 0
		for chunk := range slices.Chunk(keys, fetchChunk) {
			some, err := v.GetAll(chunk)
			if err != nil {
				return err
			}
			for _, value := range some {
				if value == nil {
					continue
				}
				n, err := item.SizeOf(value)
				if err != nil {
					return err
				}
				if size += n; size > TransactSizeMax {
					return errTransactSize()
				}
			}
			values = append(values, some...)
		}
		return nil
	})
	return values, err
}

func errTransactSize() error {
	return invalid("Member must satisfy constraint: Total size of items in the transaction exceeds the limit of %d bytes", TransactSizeMax)
}

func answerTogether(schemas map[string]*handle, rs []GetRequest, values [][]byte) (res TransactResult, err error) {
	res.Items = make([]item.Item, len(rs))
	for i := range rs {
		one, err := schemas[rs[i].Table].answer(values[i], rs[i].Projection, true, rs[i].Measure)
		if err != nil {
			return res, err
		}
		res.Items[i] = one.Item
		if one.Capacity == nil {
			continue
		}
		one.Capacity.Scale(transactRate)
		at := slices.IndexFunc(res.Capacity, func(c Capacity) bool { return c.Table == rs[i].Table })
		if at < 0 {
			res.Capacity = append(res.Capacity, *one.Capacity)
		} else {
			res.Capacity[at].Add(one.Capacity)
		}
	}
	return res, nil
}

const textOneItem = "Transaction request cannot include multiple operations on one item"

// reasons say what each part of a transaction had to say.
type reasons []Reason

func newReasons(n int) reasons {
	rs := make(reasons, n)
	for i := range rs {
		rs[i].Code = ReasonNone
	}
	return rs
}

// refuse notes that part i did not fit, and reports whether err says so: other errors are no reasons.
func (rs reasons) refuse(i int, err error) bool {
	var failed *ConditionFailed
	if errors.As(err, &failed) {
		rs[i] = Reason{Code: ReasonCondition, Message: failed.Error(), Item: failed.Item}
		return true
	}
	if rouse.KindOf(err) != rouse.Invalid || schema.IsEmptyKey(err) {
		return false
	}
	rs[i] = Reason{Code: ReasonInvalid, Message: err.Error()}
	return true
}

// TransactWrite changes up to TransactMax items at one moment, or none of them. A request that comes again with its token
// within token.Age is answered as if it had been done again, and is not.
func (t *Tables) TransactWrite(ctx context.Context, account string, r TransactRequest) (res TransactResult, err error) {
	r.Writes = slices.Clone(r.Writes)
	for i := range r.Writes {
		w := &r.Writes[i]
		w.Measure, w.Collection = true, w.Collection || r.Collection
	}
	var done []*effect
	var again *token.Token
	err = t.several(ctx, account, tablesOf(r.Writes), func(schemas map[string]*handle) error {
		if err := noneCached(schemas); err != nil {
			return err
		}
		plans, err := planTransact(schemas, r.Writes)
		if err != nil {
			return err
		}
		tr := &transaction{t: t, account: account, r: &r, plans: plans}
		err = t.cfg.Store.Update(ctx, tr.run)
		done, again = tr.done, tr.again
		return err
	})
	if errors.Is(err, kv.ErrConflict) {
		return res, conflicted(len(r.Writes))
	}
	if err != nil {
		return res, busy(err)
	}
	if again != nil {
		res.Capacity = again.Capacity
		for i := range res.Capacity {
			res.Capacity[i].Read = true
		}
	} else {
		for _, e := range done {
			e.count()
		}
		res.Capacity, res.Collections = summarize(done, transactRate)
	}
	if !r.Measure {
		res.Capacity = nil
	}
	return res, nil
}

// conflicted is what a transaction is told that lost against others too often.
func conflicted(n int) error {
	rs := newReasons(n)
	for i := range rs {
		rs[i] = Reason{Code: ReasonConflict, Message: "Transaction is ongoing for the item"}
	}
	return &Cancelled{rs}
}

// planTransact plans the writes of a transaction. Each that does not fit its table is a reason to cancel.
func planTransact(schemas map[string]*handle, ws []WriteRequest) ([]*plan, error) {
	plans := make([]*plan, len(ws))
	seen := make(map[string]bool, len(ws))
	reasons := newReasons(len(ws))
	failed := false
	size := 0
	for i := range ws {
		p, err := schemas[ws[i].Table].plan(&ws[i])
		if err != nil {
			if !reasons.refuse(i, err) {
				return nil, err
			}
			failed = true
			continue
		}
		if seen[string(p.key)] {
			return nil, invalid(textOneItem)
		}
		seen[string(p.key)] = true
		size += p.size
		plans[i] = p
	}
	switch {
	case failed:
		return nil, &Cancelled{reasons}
	case size > TransactSizeMax:
		return nil, errTransactSize()
	}
	return plans, nil
}

// transaction is a TransactWrite within the store's.
type transaction struct {
	t       *Tables
	account string
	r       *TransactRequest
	plans   []*plan

	done  []*effect
	again *token.Token // the request was done before
}

// run is one attempt.
func (tr *transaction) run(tx kv.Tx) error {
	tr.done, tr.again = make([]*effect, 0, len(tr.plans)), nil
	heads, keys := keysOf(tr.plans)
	if tr.r.Token != "" {
		keys = append(keys, tr.t.at.Token(tr.account, tr.r.Token))
	}
	values, err := tx.GetAll(keys)
	if err != nil {
		return err
	}
	for i, s := range heads {
		if !s.head.is(values[i]) {
			return errStale
		}
	}
	values = values[len(heads):]
	if tr.r.Token != "" {
		if tr.again, err = token.Recall(tx, values[len(tr.plans)], tr.r.Digest); err != nil || tr.again != nil {
			return err
		}
	}
	if err := tr.perform(values); err != nil {
		return err
	}
	for _, e := range tr.done {
		e.write(tr.t, tx, false)
	}
	if tr.r.Token == "" {
		return nil
	}
	capacity, _ := summarize(tr.copies(), transactRate)
	return token.Remember(tx, tr.t.at, tr.account, tr.r.Token, tr.r.Digest, capacity)
}

// copies are the effects with capacities of their own, because adding them up changes them.
func (tr *transaction) copies() []*effect {
	list := make([]*effect, len(tr.done))
	for i, e := range tr.done {
		c := *e
		if e.capacity != nil {
			units := Capacity{Table: e.capacity.Table}
			units.Add(e.capacity)
			c.capacity = &units
		}
		list[i] = &c
	}
	return list
}

// perform finds out what all writes do, or why they cannot.
func (tr *transaction) perform(values [][]byte) error {
	reasons := newReasons(len(tr.plans))
	failed := false
	size := 0
	for i, p := range tr.plans {
		e, err := p.perform(values[i])
		if err != nil {
			if !reasons.refuse(i, err) {
				return err
			}
			failed = true
			continue
		}
		size += max(e.oldSize, e.newSize)
		tr.done = append(tr.done, e)
	}
	switch {
	case failed:
		return &Cancelled{reasons}
	case size > TransactSizeMax:
		return errTransactSize()
	}
	return nil
}
