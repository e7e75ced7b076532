package pebble

import (
	"bytes"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// tx is a kv.Tx: one attempt.
type tx struct {
	snapshot
	now  time.Time
	need uint64 // the commit that has to be on disk before anything follows from what was read
	err  error  // the first limit that was broken, or read that failed; nothing is committed after it

	hashes map[uint64]bool // of the keys read and written → read
	writes []write
	index  map[string]int // key → its place in writes
	logs   []logRecord
	topics [][]byte
	size   int // bytes of keys and values to be written
	count  int // keys read plus written, records included
}

// write is the last word on a key.
type write struct {
	key    string
	value  []byte
	delete bool
	hash   uint64
}

type logRecord struct{ log, value []byte }

func (s *Store) begin() *tx {
	return &tx{snapshot: s.snapshot(), now: s.clock.now(), hashes: map[uint64]bool{}}
}

// Now is constant within the attempt.
func (t *tx) Now() time.Time { return t.now }

func (t *tx) Get(key []byte) (value []byte, ok bool, err error) {
	if t.err != nil {
		return nil, false, t.err
	}
	if i, ok := t.index[string(key)]; ok {
		if err := t.check(); err != nil {
			return nil, false, err
		}
		return bytes.Clone(t.writes[i].value), !t.writes[i].delete, nil
	}
	hash := t.s.stripes.hash(key)
	value, ok, need, err := t.get(key, hash)
	if err == nil {
		err = t.touch(hash, true)
	}
	if err != nil {
		t.spoil(err) // who overlooks it cannot commit on what was not read
		return nil, false, err
	}
	t.need = max(t.need, need)
	return value, ok, nil
}

func (t *tx) GetAll(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		v, _, err := t.Get(k)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (t *tx) Set(key, value []byte) {
	if value == nil {
		value = []byte{}
	}
	t.write(key, bytes.Clone(value), false)
}

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
	hash := t.s.stripes.hash(key)
	if t.touch(hash, false) != nil {
		return
	}
	t.grow(len(key) + len(value))
	if t.index == nil {
		t.index = map[string]int{}
	}
	k := string(key)
	t.index[k] = len(t.writes)
	t.writes = append(t.writes, write{k, value, del, hash})
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
	t.logs = append(t.logs, logRecord{bytes.Clone(log), bytes.Clone(value)})
}

func (t *tx) Wake(topic []byte) { t.topics = append(t.topics, bytes.Clone(topic)) }

// touch notes a key that was read or written.
func (t *tx) touch(hash uint64, read bool) error {
	was, known := t.hashes[hash]
	t.hashes[hash] = was || read
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

// writesAnything reports whether there is something to commit.
func (t *tx) writesAnything() bool { return len(t.writes) > 0 || len(t.logs) > 0 }

// touched is the stripes to lock: shared for what was only read, exclusive for what is written.
func (t *tx) touched() map[uint64]bool {
	m := make(map[uint64]bool, len(t.hashes))
	for h := range t.hashes {
		if _, ok := m[h%stripeCount]; !ok {
			m[h%stripeCount] = false
		}
	}
	for _, w := range t.writes {
		m[w.hash%stripeCount] = true
	}
	return m
}

// valid reports whether all that was read still stands and nobody relies on what will be written. The caller holds the
// commit lock.
func (t *tx) valid(h *holding) bool {
	if t.seen != nil {
		for hash, read := range t.hashes {
			if read && t.s.stripes.version(hash) > t.from() {
				return false
			}
		}
	}
	for _, w := range t.writes {
		if !h.mayWrite(w.hash % stripeCount) {
			return false
		}
	}
	return true
}
