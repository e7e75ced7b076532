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
	"github.com/rouse-dev/rouse/table/item"
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

// descriptor is the value of descriptionKey.
type descriptor struct {
	Description
	Revision  uint64 `json:"revision"`
	NextIndex uint32 `json:"nextIndex"` // the number that the next index gets; they begin with 1
}

// index is an index of a schema, with what is needed to keep it.
type index struct {
	*Index
	global             bool
	prefix             []byte
	hashType, rangType item.Type
	carries            map[string]bool // names of the attributes of an entry; nil: all
}

// schema is a decoded descriptor: all that a call has to know about a table. Immutable and shared.
type schema struct {
	*Description
	account string
	head    head
	headKey []byte
	store   ground // where the items are

	hashType, rangType item.Type
	items              []byte  // prefix of the items
	indexes            []index // local ones first
	log                []byte  // of the stream; nil: none
	topic              []byte  // that wakes its readers
	counts             *counts
}

// newSchema decodes what the two keys hold.
func (t *Tables) newSchema(account string, d *descriptor) *schema {
	s := &schema{
		Description: &d.Description,
		account:     account,
		head:        newHead(d.Number, d.Revision),
		headKey:     t.headKey(account, d.Name),
		store:       t.cfg.Store,
		hashType:    d.TypeOf(d.Key.Hash),
		rangType:    d.TypeOf(d.Key.Range),
		counts:      t.counts.of(d.Number),
	}
	data := tablePrefix(account, t.cfg.Region, d.Number)
	s.items = append(bytes.Clone(data), kindItem)
	for i := range d.LocalIndexes {
		s.indexes = append(s.indexes, newIndex(d, data, &d.LocalIndexes[i], false))
	}
	for i := range d.GlobalIndexes {
		s.indexes = append(s.indexes, newIndex(d, data, &d.GlobalIndexes[i], true))
	}
	if s.cached() {
		s.store = t.caches.of(t, s)
	}
	if d.Stream != "" {
		s.log = streamLog(account, t.cfg.Region, d.Number, d.StreamLabel)
		s.topic = []byte(d.StreamARN)
	}
	return s
}

func newIndex(d *descriptor, data []byte, x *Index, global bool) index {
	n := index{Index: x, global: global, hashType: d.TypeOf(x.Key.Hash), rangType: d.TypeOf(x.Key.Range)}
	n.prefix = indexPrefix(data, x.Number)
	if x.Projection.Kind != ProjectAll {
		n.carries = map[string]bool{d.Key.Hash: true, x.Key.Hash: true}
		for _, name := range append([]string{d.Key.Range, x.Key.Range}, x.Projection.Attributes...) {
			if name != "" {
				n.carries[name] = true
			}
		}
	}
	return n
}

func indexPrefix(data []byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(bytes.Clone(data), kindIndex), number)
}

func streamLog(account, region string, number uint64, label string) []byte {
	return append(append(tablePrefix(account, region, number), kindStream), label...)
}

// schemas keeps decoded descriptors by name. What it answers may be out of date: who acts on it compares heads.
type schemas struct {
	mu    sync.RWMutex
	known map[schemaName]*schema // guarded by mu
}

type schemaName struct{ account, table string }

// schemasMax is how many schemas are kept. Beyond it, all are forgotten: who has so many does not use them all the time.
const schemasMax = 20_000

func (c *schemas) get(account, name string) *schema {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[schemaName{account, name}]
}

func (c *schemas) put(s *schema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= schemasMax {
		c.known = map[schemaName]*schema{}
	}
	c.known[schemaName{s.account, s.Name}] = s
}

func (c *schemas) forget(account, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, schemaName{account, name})
}

// errStale is what a transaction answers that met another head than its schema's: nothing is lost, and a fresh schema
// may do.
var errStale = errors.New("table: schema out of date")

// staleMax is how often in a row a schema may be out of date before the call gives up.
const staleMax = 16

// known is the schema of a table, perhaps an old one.
func (t *Tables) known(ctx context.Context, account, name string) (*schema, error) {
	if s := t.schemas.get(account, name); s != nil {
		return s, nil
	}
	return t.fresh(ctx, account, name)
}

// fresh reads the schema of a table, or confirms the known one.
func (t *Tables) fresh(ctx context.Context, account, name string) (*schema, error) {
	known := t.schemas.get(account, name)
	var d *descriptor
	confirmed := false
	headKey := t.headKey(account, name)
	err := t.cfg.Store.View(ctx, func(v kv.View) error {
		value, ok, err := v.Get(headKey)
		if err != nil || !ok {
			return err
		}
		if confirmed = known != nil && known.head.is(value); confirmed {
			return nil
		}
		description, _, err := v.Get(t.descriptionKey(account, name))
		if err != nil {
			return err
		}
		d, err = decodeDescriptor(value, description)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read table %s: %w", name, err)
	case confirmed:
		return known, nil
	case d == nil:
		t.schemas.forget(account, name)
		return nil, errNoTable()
	}
	s := t.newSchema(account, d)
	t.schemas.put(s)
	return s, nil
}

// decodeDescriptor reads a description and asserts that it belongs to its head.
func decodeDescriptor(headValue, value []byte) (*descriptor, error) {
	d := &descriptor{}
	if err := json.Unmarshal(value, d); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	if h := newHead(d.Number, d.Revision); !h.is(headValue) {
		return nil, fmt.Errorf("description of table %s has head %x; its head is %x", d.Name, h, headValue)
	}
	return d, nil
}

// read is a table within a transaction; nil when there is none.
func (t *Tables) read(tx kv.Tx, account, name string) (*descriptor, error) {
	values, err := tx.GetAll([][]byte{t.headKey(account, name), t.descriptionKey(account, name)})
	if err != nil || values[0] == nil {
		return nil, err
	}
	return decodeDescriptor(values[0], values[1])
}

// write stores a table's next state.
func (t *Tables) write(tx kv.Tx, account string, d *descriptor) error {
	d.Revision++
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("description of table %s: %w", d.Name, err)
	}
	if len(value) > kv.ValueMax {
		return errLimit("The description of table %s is too large", d.Name)
	}
	h := newHead(d.Number, d.Revision)
	tx.Set(t.headKey(account, d.Name), h[:])
	tx.Set(t.descriptionKey(account, d.Name), value)
	return nil
}

// with runs fn with the schema of a table, again with a fresh one as long as fn finds it out of date: by errStale, or by a
// refusal that a fresh schema might not give, if there turns out to be one. A table in memory has no head beside its items,
// so that its schema is confirmed first.
func (t *Tables) with(ctx context.Context, account, name string, fn func(*schema) error) error {
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
	var c *Cancelled
	if errors.As(err, &c) {
		return slices.ContainsFunc(c.Reasons, func(r Reason) bool { return r.Code == ReasonInvalid })
	}
	var e *rouse.Error
	return errors.As(err, &e) && (e.Kind == rouse.Invalid || e.Kind == rouse.NotFound)
}
