package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/schema"
	"github.com/rouse-dev/rouse/table/tally"
)

// A table has two keys: the head, 16 bytes that every call reads, and the description, which is read when the head is not
// one that is known already. Whoever changes a table writes both in one transaction. So an update that has read the head
// is validated against the table as a whole, and no write can miss an index that was added meanwhile.

// head is the value of headKey: which table, and which state of it.
type head [16]byte

func newHead(number, revision uint64) (h head) {
	binary.BigEndian.PutUint64(h[:], number)
	binary.BigEndian.PutUint64(h[8:], revision)
	return h
}

func (h head) is(value []byte) bool { return bytes.Equal(h[:], value) }

// handle is a table as calls about items use it. Immutable and shared.
type handle struct {
	*schema.Schema
	account string
	head    head
	headKey []byte
	store   ground // where the items are
	log     []byte // of the stream; nil: none
	topic   []byte // that wakes its readers
	gains   *tally.Gains
}

// newHandle makes a handle of a table as it is stored.
func (t *Tables) newHandle(account string, d *schema.Record) *handle {
	data := t.at.Data(account, d.Number)
	s := &handle{
		Schema:  schema.New(&d.Description, data),
		account: account,
		head:    newHead(d.Number, d.Revision),
		headKey: t.at.Head(account, d.Name),
		store:   t.cfg.Store,
		gains:   t.tally.Of(d.Number),
	}
	if s.cached() {
		s.store = t.caches.of(t, s)
	}
	if d.Stream != "" {
		s.log, s.topic = schema.Log(data, d.StreamLabel), []byte(d.StreamARN)
	}
	return s
}

// rest is the key of an item below the table's.
func (s *handle) rest(itemKey []byte) []byte { return itemKey[len(s.ItemPrefix):] }

// handles keeps tables by name. What it answers may be out of date: who acts on it compares heads.
type handles struct {
	mu    sync.RWMutex
	known map[tableName]*handle // guarded by mu
}

type tableName struct{ account, table string }

// handlesMax is how many schemas are kept. Beyond it, all are forgotten: who has so many does not use them all the time.
const handlesMax = 20_000

func (c *handles) get(account, name string) *handle {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[tableName{account, name}]
}

func (c *handles) put(s *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= handlesMax {
		c.known = map[tableName]*handle{}
	}
	c.known[tableName{s.account, s.Name}] = s
}

func (c *handles) forget(account, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, tableName{account, name})
}

// errStale is what a transaction answers that met another head than its schema's: nothing is lost, and a fresh schema
// may do.
var errStale = errors.New("table: schema out of date")

// staleMax is how often in a row a schema may be out of date before the call gives up.
const staleMax = 16

// known is the schema of a table, perhaps an old one.
func (t *Tables) known(ctx context.Context, account, name string) (*handle, error) {
	if s := t.handles.get(account, name); s != nil {
		return s, nil
	}
	return t.fresh(ctx, account, name)
}

// fresh reads the schema of a table, or confirms the known one.
func (t *Tables) fresh(ctx context.Context, account, name string) (*handle, error) {
	known := t.handles.get(account, name)
	var d *schema.Record
	confirmed := false
	headKey := t.at.Head(account, name)
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, ok, err := v.Get(headKey)
		if err != nil || !ok {
			return err
		}
		if confirmed = known != nil && known.head.is(value); confirmed {
			return nil
		}
		description, _, err := v.Get(t.at.Description(account, name))
		if err != nil {
			return err
		}
		d, err = decodeRecord(value, description)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read table %s: %w", name, err)
	case confirmed:
		return known, nil
	case d == nil:
		t.handles.forget(account, name)
		return nil, errNoTable()
	}
	s := t.newHandle(account, d)
	t.handles.put(s)
	return s, nil
}

// decodeRecord reads a description and asserts that it belongs to its head.
func decodeRecord(headValue, value []byte) (*schema.Record, error) {
	d := &schema.Record{}
	if err := json.Unmarshal(value, d); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	if h := newHead(d.Number, d.Revision); !h.is(headValue) {
		return nil, fmt.Errorf("description of table %s has head %x; its head is %x", d.Name, h, headValue)
	}
	return d, nil
}

// read is a table within a transaction; nil when there is none.
func (t *Tables) read(tx kv.Tx, account, name string) (*schema.Record, error) {
	values, err := tx.GetAll([][]byte{t.at.Head(account, name), t.at.Description(account, name)})
	if err != nil || values[0] == nil {
		return nil, err
	}
	return decodeRecord(values[0], values[1])
}

// write stores a table's next state.
func (t *Tables) write(tx kv.Tx, account string, d *schema.Record) error {
	d.Revision++
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("description of table %s: %w", d.Name, err)
	}
	if len(value) > kv.ValueMax {
		return errLimit("The description of table %s is too large", d.Name)
	}
	h := newHead(d.Number, d.Revision)
	tx.Set(t.at.Head(account, d.Name), h[:])
	tx.Set(t.at.Description(account, d.Name), value)
	return nil
}

// with runs fn with the schema of a table, again with a fresh one as long as fn finds it out of date: by errStale, or by a
// refusal that a fresh schema might not give, if there turns out to be one. A table in memory has no head beside its items,
// so that its schema is confirmed first.
func (t *Tables) with(ctx context.Context, account, name string, fn func(*handle) error) error {
	s, err := t.known(ctx, account, name)
	for range staleMax {
		if err == nil && s.cached() {
			s, err = t.fresh(ctx, account, name)
		}
		if err != nil {
			return err
		}
		failed := fn(s)
		if !errors.Is(failed, errStale) && !refused(failed) {
			return failed
		}
		was := s
		if s, err = t.fresh(ctx, account, name); err == nil && s == was {
			return failed
		}
	}
	return kv.ErrConflict
}

// refused reports whether err says that a request does not fit its table.
func refused(err error) bool {
	if err == nil {
		return false
	}
	var c *Cancelled
	if errors.As(err, &c) {
		return slices.ContainsFunc(c.Reasons, func(r Reason) bool { return r.Code == ReasonInvalid })
	}
	var e *rouse.Error
	return errors.As(err, &e) && (e.Kind == rouse.Invalid || e.Kind == rouse.NotFound)
}
