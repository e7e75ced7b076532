package postgres

import (
	"bytes"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// stripeCount is how many locks keys are hashed to: every node must agree, and the table of absent keys' versions has as many rows.
const stripeCount = 4096

// stripe is the lock of a key.
func stripe(key []byte) int32 {
	h := fnv.New64a()
	h.Write(key)
	sum := h.Sum64()
	return int32((sum ^ sum>>32) % stripeCount)
}

// wants is a set of stripes: true for exclusive.
type wants map[int32]bool

func (w wants) add(stripe int32, exclusive bool) { w[stripe] = w[stripe] || exclusive }

// codes are the stripes as the server takes them, in the order in which everybody locks them: twice the number, plus one for
// exclusive. The lock of the many comes before all: it keeps transactions that need more locks than their share of the
// server's table one after another.
func (w wants) codes() []int32 {
	codes := make([]int32, 0, len(w)+1)
	for s, exclusive := range w {
		c := s * 2
		if exclusive {
			c++
		}
		codes = append(codes, c)
	}
	if len(codes) > locksMany {
		codes = append(codes, -1)
	}
	slices.Sort(codes)
	return codes
}

// locksMany is how many locks a transaction takes as it likes: max_locks_per_transaction, which a server's lock table has room
// for on each connection, as it comes. The lock that orders those with more is stripe -1.
const locksMany = 64

// tx is a kv.Tx: one try of one function. Several may work on one attempt, one after another.
type tx struct {
	a     *attempt
	now   time.Time
	began time.Time
	over  bool
	err   error // the first limit that was broken, or read that failed; nothing is committed after it
	dirty bool  // it has read what an earlier function of the attempt wrote

	keys   map[string]bool // read or written → read
	writes []write
	index  map[string]int // key → its place in writes
	logs   []record
	topics [][]byte
	size   int // bytes of keys and values to be written
	count  int // keys read plus written, records included
}

// write is the last word on a key.
type write struct {
	key    string
	value  []byte
	delete bool
}

type record struct{ log, value []byte }

func (a *attempt) begin() *tx {
	return &tx{a: a, now: a.now(), began: time.Now(), keys: map[string]bool{}}
}

// Now is constant within the attempt.
func (t *tx) Now() time.Time { return t.now }

func (t *tx) check() error {
	switch {
	case t.err != nil:
		return t.err
	case t.over:
		return errOver
	case time.Since(t.began) > kv.TxTimeMax && time.Since(t.a.began) > kv.TxTimeMax: // waiting for a session does not count
		return kv.ErrTooOld
	}
	return nil
}

func (t *tx) Get(key []byte) (value []byte, ok bool, err error) {
	rows, err := t.read([][]byte{key})
	if err != nil {
		return nil, false, err
	}
	return rows[0].value, rows[0].there, nil
}

func (t *tx) GetAll(keys [][]byte) ([][]byte, error) {
	rows, err := t.read(keys)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i := range rows {
		values[i] = rows[i].value
	}
	return values, nil
}

// read answers from the transaction's own writes, from those of the functions before it, and from the snapshot.
func (t *tx) read(keys [][]byte) ([]row, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	rows := make([]row, len(keys))
	var rest [][]byte
	var places []int
	for i, k := range keys {
		if w, ok := t.index[string(k)]; ok {
			rows[i] = t.writes[w].row()
			continue
		}
		if len(k) > kv.KeyMax {
			t.spoil(kv.ErrTooLarge)
			return nil, t.err
		}
		if t.touch(k, true) != nil {
			return nil, t.err
		}
		if w, ok := t.a.overlay[string(k)]; ok {
			rows[i], t.dirty = w.row(), true
			continue
		}
		rest, places = append(rest, k), append(places, i)
	}
	got, err := t.a.fetch(rest)
	if err != nil {
		t.spoil(err) // who overlooks it cannot commit on what was not read
		return nil, err
	}
	for i, g := range got {
		g.value = bytes.Clone(g.value)
		rows[places[i]] = g
	}
	return rows, nil
}

func (w write) row() row {
	if w.delete {
		return row{}
	}
	return row{there: true, value: append([]byte{}, w.value...)}
}

func (t *tx) Set(key, value []byte) { t.write(key, append([]byte{}, value...), false) }

func (t *tx) Delete(key []byte) { t.write(key, nil, true) }

func (t *tx) write(key, value []byte, del bool) {
	if len(key) > kv.KeyMax || len(value) > kv.ValueMax {
		t.spoil(kv.ErrTooLarge)
		return
	}
	if i, ok := t.index[string(key)]; ok {
		w := &t.writes[i]
		t.grow(len(value) - len(w.value))
		w.value, w.delete = value, del
		return
	}
	if t.touch(key, false) != nil {
		return
	}
	t.grow(len(key) + len(value))
	if t.index == nil {
		t.index = map[string]int{}
	}
	k := string(key)
	t.index[k] = len(t.writes)
	t.writes = append(t.writes, write{k, value, del})
}

func (t *tx) Append(log, value []byte) {
	if len(log) > kv.KeyMax || len(value) > kv.ValueMax {
		t.spoil(kv.ErrTooLarge)
		return
	}
	if t.more() != nil {
		return
	}
	t.grow(len(log) + len(value) + len(kv.Pos{}))
	t.logs = append(t.logs, record{append([]byte{}, log...), append([]byte{}, value...)})
}

func (t *tx) Wake(topic []byte) { t.topics = append(t.topics, bytes.Clone(topic)) }

// touch notes a key that is read or written.
func (t *tx) touch(key []byte, read bool) error {
	was, known := t.keys[string(key)]
	if known && (was || !read) {
		return t.err
	}
	t.keys[string(key)] = was || read
	if t.a.hot != nil && t.a.hot(stripe(key)) {
		t.spoil(errHot)
	}
	if known {
		return t.err
	}
	return t.more()
}

// more counts one key.
func (t *tx) more() error {
	if t.count++; t.count > kv.TxKeysMax {
		t.spoil(kv.ErrTooLarge)
	}
	return t.err
}

func (t *tx) grow(bytes int) {
	if t.size += bytes; t.size > kv.TxBytesMax {
		t.spoil(kv.ErrTooLarge)
	}
}

func (t *tx) spoil(err error) {
	if t.err == nil {
		t.err = err
	}
}

// end is what became of fn, which answered err.
func (t *tx) end(err error) error {
	if err == nil {
		err = t.check()
	} else if t.err != nil && !errors.Is(t.err, kv.ErrTooLarge) { // what fn made of a lost snapshot is of no interest
		err = t.err
	}
	t.over = true
	return err
}

// writesAnything reports whether there is something to commit.
func (t *tx) writesAnything() bool { return len(t.writes) > 0 || len(t.logs) > 0 }

// touched is the stripes of what was read and written.
func (t *tx) touched() wants {
	w := wants{}
	for k := range t.keys {
		w.add(stripe([]byte(k)), false)
	}
	for _, x := range t.writes {
		w.add(stripe([]byte(x.key)), true)
	}
	return w
}
