package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/item"
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
		if err := d.checkTTL(attribute, on); err != nil {
			return err
		}
		if !on {
			d.TTL = TTL{Attribute: attribute, Status: Disabled}
			tx.Delete(t.workKey(d.Number, 0))
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
		t.schemas.forget(account, name)
	}
	return err
}

func (d *descriptor) checkTTL(attribute string, on bool) error {
	switch {
	case d.TTL.On() && d.TTL.Attribute != attribute:
		return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", d.TTL.Attribute)
	case d.TTL.On() && on:
		return invalid("TimeToLive is already enabled")
	case !d.TTL.On() && !on:
		return invalid("TimeToLive is already disabled")
	}
	return nil
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

// expiry is the second in which an item expires.
func (s *schema) expiry(it item.Item) (second int64, ok bool) {
	v := it[s.TTL.Attribute]
	if v.Type() != item.TypeNumber {
		return 0, false
	}
	return v.Number().Int64()
}

// expire moves the item's place among those that expire.
func (e *effect) expire(t *Tables, tx kv.Tx, now time.Time) {
	was, had := e.s.expiry(e.old)
	is, has := e.s.expiry(e.new)
	if had && (!has || was != is) {
		tx.Delete(e.s.dueKey(t, was, e.key))
	}
	if has && (!had || was != is || e.s.TTL.Status == Enabling) && is >= now.Add(-expiryAgeMax).Unix() {
		tx.Set(e.s.dueKey(t, is, e.key), nil)
	}
}

// expiredMax is how many items one transaction removes.
const expiredMax = 25

// resolver finds the schemas of tables by number; those that are gone are missing.
type resolver func(tx kv.Tx, numbers map[uint64]bool) (map[uint64]*schema, error)

// sweepExpired removes what has expired in a store.
func (t *Tables) sweepExpired(ctx context.Context, store ground, resolve resolver) error {
	prefix := t.dueKeys()
	for {
		to := binary.BigEndian.AppendUint64(append([]byte{}, prefix...), uint64(store.Now().Unix())^1<<63)
		var done []*effect
		pairs, err := store.Claim(ctx, kv.Range{From: prefix, To: to}, expiredMax, func(tx kv.Tx, pairs []kv.Pair) (err error) {
			done, err = t.removeExpired(tx, pairs, resolve)
			return err
		})
		if err != nil {
			return fmt.Errorf("remove expired items: %w", err)
		}
		for _, e := range done {
			e.s.counts.add(e)
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
		if _, number, _, ok := t.parseDueKey(p.Key); ok {
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
		second, number, rest, ok := t.parseDueKey(p.Key)
		s := schemas[number]
		if !ok || s == nil || !s.TTL.On() {
			continue
		}
		key := append(append([]byte{}, s.items...), rest...)
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
		now := tx.Now()
		if second, ok := p.s.expiry(e.old); !ok || second != seconds[i] || second < now.Add(-expiryAgeMax).Unix() {
			continue
		}
		if err := e.write(t, tx, now, true); err != nil {
			return nil, err
		}
		done = append(done, e)
	}
	return done, nil
}

// resolve is the resolver of the store that all nodes share.
func (t *Tables) resolve(tx kv.Tx, numbers map[uint64]bool) (map[uint64]*schema, error) {
	out := make(map[uint64]*schema, len(numbers))
	for number := range numbers {
		value, ok, err := tx.Get(t.numberKey(number))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		parts, err := tuple.Parse(value)
		if err != nil || len(parts) != 2 {
			return nil, fmt.Errorf("name of table %d: %x", number, value)
		}
		account, _ := parts[0].(string)
		name, _ := parts[1].(string)
		if out[number], err = t.schemaIn(tx, account, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// schemaIn is the schema of a table within a transaction; nil when there is none.
func (t *Tables) schemaIn(tx kv.Tx, account, name string) (*schema, error) {
	h, ok, err := tx.Get(t.headKey(account, name))
	if err != nil || !ok {
		return nil, err
	}
	if s := t.schemas.get(account, name); s != nil && s.head.is(h) {
		return s, nil
	}
	d, err := t.read(tx, account, name)
	if err != nil || d == nil {
		return nil, err
	}
	return t.newSchema(account, d), nil
}
