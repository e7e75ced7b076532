package table

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/layout"
)

// expiryAgeMax is how long ago an item may have expired to be removed: what is older is no time but a mistake.
const expiryAgeMax = 5 * 365 * 24 * time.Hour

// SetTTL turns the time to live of a table on or off. Items that are there already are looked at by Run.
func (t *Tables) SetTTL(ctx context.Context, account, name, attribute string, on bool) error {
	err := t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		d, err := t.read(tx, account, name)
		if err != nil {
			return err
		}
		if d == nil {
			return errNoTableNamed(name)
		}
		if err := d.CheckTTL(attribute, on); err != nil {
			return err
		}
		if !on {
			d.TTL = TTL{Attribute: attribute, Status: Disabled}
			tx.Delete(t.at.Work(d.Number, 0))
			return t.write(tx, account, d)
		}
		d.TTL = TTL{Attribute: attribute, Status: Enabling}
		if d.CacheBytes > 0 {
			d.TTL.Status = Enabled
		} else if err := t.setWork(tx, account, d, 0); err != nil {
			return err
		}
		return t.write(tx, account, d)
	})
	if err == nil {
		t.handles.forget(account, name)
	}
	return err
}

// TTL is a table's time to live. Its status is never "".
func (t *Tables) TTL(ctx context.Context, account, name string) (TTL, error) {
	s, err := t.fresh(ctx, account, name)
	if err != nil {
		return TTL{}, named(err, name)
	}
	ttl := s.TTL
	if !ttl.On() {
		ttl = TTL{Status: Disabled}
	}
	return ttl, nil
}

// expire moves the item's place among those that expire.
func (e *effect) expire(t *Tables, tx kv.Tx) {
	was, had := e.s.Expiry(e.old)
	is, has := e.s.Expiry(e.new)
	if had && (!has || was != is) {
		tx.Delete(t.at.Due(was, e.s.Number, e.s.rest(e.key)))
	}
	if has && (!had || was != is || e.s.TTL.Status == Enabling) && is >= tx.Now().Add(-expiryAgeMax).Unix() {
		tx.Set(t.at.Due(is, e.s.Number, e.s.rest(e.key)), nil)
	}
}

// expiredMax is how many items one transaction removes.
const expiredMax = 25

// resolver finds the schemas of tables by number; those that are gone are missing.
type resolver func(tx kv.Tx, numbers map[uint64]bool) (map[uint64]*handle, error)

// sweepExpired removes what has expired in a store.
func (t *Tables) sweepExpired(ctx context.Context, store ground, resolve resolver) error {
	for {
		var done []*effect
		pairs, err := store.Claim(ctx, t.at.Dues(store.Now().Unix()), expiredMax, func(tx kv.Tx, pairs []kv.Pair) (err error) {
			done, err = t.removeExpired(tx, pairs, resolve)
			return err
		})
		if err != nil {
			return fmt.Errorf("remove expired items: %w", err)
		}
		for _, e := range done {
			e.count()
		}
		if n := len(done); n > 0 && t.cfg.Moments.Expired != nil {
			t.cfg.Moments.Expired(n)
		}
		if len(pairs) < expiredMax {
			return nil
		}
	}
}

// removeExpired removes the items that due keys lead to, if they still say so.
func (t *Tables) removeExpired(tx kv.Tx, pairs []kv.Pair, resolve resolver) (done []*effect, err error) {
	numbers := map[uint64]bool{}
	for _, p := range pairs {
		if _, number, _, ok := t.at.ParseDue(p.Key); ok {
			numbers[number] = true
		}
	}
	schemas, err := resolve(tx, numbers)
	if err != nil {
		return nil, err
	}
	var plans []*plan
	var keys [][]byte
	var seconds []int64
	for _, p := range pairs {
		second, number, rest, ok := t.at.ParseDue(p.Key)
		s := schemas[number]
		if !ok || s == nil || !s.TTL.On() {
			continue
		}
		key := append(append([]byte{}, s.ItemPrefix...), rest...)
		plans = append(plans, &plan{s: s, r: &WriteRequest{Table: s.Name, Kind: Delete}, key: key, decodes: true})
		keys, seconds = append(keys, key), append(seconds, second)
	}
	values, err := tx.GetAll(keys)
	if err != nil {
		return nil, err
	}
	for i, p := range plans {
		if values[i] == nil {
			continue
		}
		e, err := p.perform(values[i])
		if err != nil {
			return nil, err
		}
		if second, ok := p.s.Expiry(e.old); !ok || second != seconds[i] || second < tx.Now().Add(-expiryAgeMax).Unix() {
			continue
		}
		e.write(t, tx, true)
		done = append(done, e)
	}
	return done, nil
}

// resolve is the resolver of the store that all nodes share.
func (t *Tables) resolve(tx kv.Tx, numbers map[uint64]bool) (map[uint64]*handle, error) {
	out := make(map[uint64]*handle, len(numbers))
	for number := range numbers {
		value, ok, err := tx.Get(t.at.Number(number))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		account, name, err := layout.ParseName(value)
		if err != nil {
			return nil, err
		}
		if out[number], err = t.handleIn(tx, account, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// handleIn is the schema of a table within a transaction; nil when there is none.
func (t *Tables) handleIn(tx kv.Tx, account, name string) (*handle, error) {
	h, ok, err := tx.Get(t.at.Head(account, name))
	if err != nil || !ok {
		return nil, err
	}
	if s := t.handles.get(account, name); s != nil && s.head.is(h) {
		return s, nil
	}
	d, err := t.read(tx, account, name)
	if err != nil || d == nil {
		return nil, err
	}
	return t.newHandle(account, d), nil
}
