package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Times and sizes of the queue.
const (
	claimMax   = 64               // entries taken in one transaction
	holdFor    = 30 * time.Second // how long an entry is out of sight of others before its worker must move it again
	moveEvery  = 10 * time.Second
	pollEvery  = time.Second // when no hint comes
	chunkBytes = 256 << 10   // an event is kept in values of at most this size
)

// wakeTopic is hinted at when an entry becomes due at once.
var wakeTopic = []byte("dispatch")

// entry is one accepted event. It is stored under its due time; its event's bytes stand apart, so that moving is cheap.
type entry struct {
	ID            string       `json:"id"`
	Function      string       `json:"function"` // ARN as asked for
	From          rouse.Origin `json:"from"`
	Cause         rouse.Cause  `json:"cause"`
	Received      time.Time    `json:"received"`
	Accepted      time.Time    `json:"accepted,omitzero"` // by this queue: an event's age counts from here
	ClientContext []byte       `json:"clientContext,omitempty"`
	Chunks        int          `json:"chunks"`
	Attempts      int          `json:"attempts"`         // begun
	Stalls        int          `json:"stalls"`           // tries that never reached the function, in a row
	Crowds        int          `json:"crowds,omitempty"` // times in a row that its function had its share of the workers
	Due           time.Time    `json:"due"`
	Held          bool         `json:"held,omitempty"` // somebody works on it until then

	doubts []time.Time // where it may stand instead of at Due: by moves of which nobody knows whether they were made
}

// The queue belongs to the platform, not to an account: one claim serves all.
func (d *Dispatcher) dueKey(due time.Time, id string) []byte {
	return tuple.Key("", d.cfg.Region, room, "due", due, id)
}

func (d *Dispatcher) chunkKey(id string, n int) []byte {
	return tuple.Key("", d.cfg.Region, room, "event", id, uint64(n))
}

// errStore says of an event that the store did not accept it, or did not say.
var errStore = errors.New("accept event")

// Enqueue accepts inv for later. nil means that it is on disk.
func (d *Dispatcher) Enqueue(ctx context.Context, inv rouse.Invocation) error {
	if _, err := d.cfg.Resolve(inv.Function); err != nil {
		return err
	}
	if err := d.cfg.Store.Update(ctx, func(tx kv.Tx) error { return d.Put(tx, inv) }); err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return nil
}

// Put accepts inv as part of a transaction: whoever moves an event here from elsewhere does both at once. inv.ID must be
// set outside the transaction, since the transaction may run twice.
func (d *Dispatcher) Put(tx kv.Tx, inv rouse.Invocation) error {
	if len(inv.Event) > rouse.EventAsyncMax {
		return rouse.Errorf(rouse.TooLarge, "%d byte payload is too large for the Event invocation type (limit %d bytes)",
			len(inv.Event), rouse.EventAsyncMax)
	}
	if err := checkHops(inv); err != nil {
		return err
	}
	e := entry{ID: inv.ID, Function: inv.Function.String(), From: inv.From, Cause: inv.Cause, Received: inv.Received,
		ClientContext: inv.ClientContext, Accepted: tx.Now(), Due: tx.Now()}
	for rest := inv.Event; len(rest) > 0; e.Chunks++ {
		n := min(len(rest), chunkBytes)
		tx.Set(d.chunkKey(e.ID, e.Chunks), rest[:n])
		rest = rest[n:]
	}
	if err := d.place(tx, e); err != nil {
		return err
	}
	tx.Wake(wakeTopic)
	return nil
}

func (d *Dispatcher) place(tx kv.Tx, e entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	tx.Set(d.dueKey(e.Due, e.ID), b)
	return nil
}

// claim takes due entries and moves each out of sight. One that cannot be read is kept for who may find out why, where it is in
// nobody's way.
func (d *Dispatcher) claim(ctx context.Context, limit int) ([]entry, error) {
	now := d.cfg.Store.Now()
	due := tuple.Prefix("", d.cfg.Region, room, "due")
	due.To = tuple.Key("", d.cfg.Region, room, "due", now.Add(time.Millisecond))
	var taken []entry
	_, err := d.cfg.Store.Claim(ctx, due, limit, func(tx kv.Tx, pairs []kv.Pair) error {
		taken = taken[:0]
		for _, p := range pairs {
			var e entry
			if err := json.Unmarshal(p.Value, &e); err != nil {
				d.cfg.Logger.Error("async queue: set an unreadable entry aside", "key", fmt.Sprintf("%q", p.Key), "err", err)
				tx.Set(tuple.Key("", d.cfg.Region, room, "unreadable", p.Key), p.Value)
				continue
			}
			e.Due, e.Held = tx.Now().Add(holdFor), true
			if err := d.place(tx, e); err != nil {
				return err
			}
			taken = append(taken, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// untilDue says how long the queue has nothing to do, at most pollEvery. It looks at what comes after now only: a claim that
// found nothing has just said that all before is empty, and a scan over what was deleted there is slow.
func (d *Dispatcher) untilDue(ctx context.Context) time.Duration {
	wait := pollEvery
	now := d.cfg.Store.Now()
	later := tuple.Prefix("", d.cfg.Region, room, "due")
	later.From = tuple.Key("", d.cfg.Region, room, "due", now)
	_ = d.cfg.Store.View(ctx, func(v kv.View) error { // an error here shows again at the next claim
		for p, err := range v.Scan(later, 1) {
			if err != nil {
				return err
			}
			var e entry
			if err := json.Unmarshal(p.Value, &e); err != nil {
				return err
			}
			wait = min(wait, e.Due.Sub(now))
		}
		return nil
	})
	return max(wait, time.Millisecond)
}

// event reads the bytes of an entry's event.
func (d *Dispatcher) event(ctx context.Context, e entry) ([]byte, error) {
	if e.Chunks == 0 {
		return nil, nil
	}
	keys := make([][]byte, e.Chunks)
	for i := range keys {
		keys[i] = d.chunkKey(e.ID, i)
	}
	var event []byte
	err := d.cfg.Store.View(ctx, func(v kv.View) error {
		event = event[:0]
		values, err := v.GetAll(keys)
		for i, b := range values {
			if b == nil {
				return fmt.Errorf("event %s: part %d of %d is missing", e.ID, i+1, e.Chunks)
			}
			event = append(event, b...)
		}
		return err
	})
	return event, err
}

// places are the keys of which one is the entry's, unless somebody else has it by now.
func (d *Dispatcher) places(e entry) [][]byte {
	keys := [][]byte{d.dueKey(e.Due, e.ID)}
	for _, due := range e.doubts {
		keys = append(keys, d.dueKey(due, e.ID))
	}
	return keys
}

// take removes an entry from where it stands. false: somebody else has it by now.
func (d *Dispatcher) take(tx kv.Tx, e entry) (held bool, err error) {
	places := d.places(e)
	values, err := tx.GetAll(places)
	if err != nil {
		return false, err
	}
	for i, key := range places {
		if values[i] != nil {
			tx.Delete(key)
			held = true
		}
	}
	return held, nil
}

// move puts an entry under another due time. false: somebody else has it by now.
func (d *Dispatcher) move(ctx context.Context, e entry, to entry) (bool, error) {
	held := false
	err := d.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
		if held, err = d.take(tx, e); err != nil || !held {
			return err
		}
		return d.place(tx, to)
	})
	return held, err
}

// finish removes an entry and its event, unless somebody else has it by now.
func (d *Dispatcher) finish(ctx context.Context, e entry) error {
	return d.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if held, err := d.take(tx, e); err != nil || !held {
			return err
		}
		for i := range e.Chunks {
			tx.Delete(d.chunkKey(e.ID, i))
		}
		return nil
	})
}

// NewID makes the id of an invocation.
func NewID() string { return uuid.NewString() }
