package table

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/schema"
)

// room is the third part of the keys of an account. The package page draws them all.
const room = "table"

// owner is the first part of keys that belong to no account.
const owner = "rouse"

// headKey is what every call reads; its value is a head.
func (t *Tables) headKey(account, name string) []byte {
	return tuple.Key(account, t.cfg.Region, room, "head", name)
}

// descriptionKey holds a descriptor in JSON.
func (t *Tables) descriptionKey(account, name string) []byte {
	return tuple.Key(account, t.cfg.Region, room, "description", name)
}

// numberKey leads from a table's number to its account and name.
func (t *Tables) numberKey(number uint64) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "number", number)
}

// streamKey holds a stream's record. Streams outlive their tables.
func (t *Tables) streamKey(account, table, label string) []byte {
	return tuple.Key(account, t.cfg.Region, room, "stream", table, label)
}

// streamListKey names a stream for those who trim all of them.
func (t *Tables) streamListKey(account, table, label string) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "streams", account, table, label)
}

// workKey is a back-fill that is under way: of an index, or with index 0 of the time to live.
func (t *Tables) workKey(number uint64, index uint32) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "work", number, uint64(index))
}

// graveKey is what is left of a table, or with an index above 0 of an index.
func (t *Tables) graveKey(number uint64, index uint32) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "grave", number, uint64(index))
}

// tokenKey remembers a transaction.
func (t *Tables) tokenKey(account, token string) []byte {
	return tuple.Key(account, t.cfg.Region, room, "token", token)
}

// tokenDueKey says when to forget it.
func (t *Tables) tokenDueKey(due time.Time, account, token string) []byte {
	return tuple.Key(owner, t.cfg.Region, room, "tokens", due, account, token)
}

// dueKeys are the keys of all items by the second in which they expire.
func (t *Tables) dueKeys() []byte { return tuple.Key(owner, t.cfg.Region, room, "due") }

// upkeepDuty is the lease of whoever does the upkeep, and what wakes it.
func (t *Tables) upkeepDuty() []byte { return tuple.Key(owner, t.cfg.Region, room, "upkeep") }

// secretKey holds what signs iterators.
func (t *Tables) secretKey() []byte { return tuple.Key(owner, t.cfg.Region, room, "secret") }

// tablePrefix begins all data of a table.
func tablePrefix(account, region string, number uint64) []byte {
	return tuple.Key(account, region, room, "data", number)
}

// dueKey is where the item of the given key stands among those that expire.
func (s *handle) dueKey(t *Tables, second int64, itemKey []byte) []byte {
	key := t.dueKeys()
	key = binary.BigEndian.AppendUint64(key, uint64(second)^1<<63)
	key = binary.BigEndian.AppendUint64(key, s.Number)
	return append(key, itemKey[len(s.ItemPrefix):]...)
}

// parseDueKey takes a key of dueKey apart: rest is the item's key without the table's prefix.
func (t *Tables) parseDueKey(key []byte) (second int64, number uint64, rest []byte, ok bool) {
	b, ok := bytes.CutPrefix(key, t.dueKeys())
	if !ok || len(b) < 16+schema.HashSize {
		return 0, 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63), binary.BigEndian.Uint64(b[8:]), b[16:], true
}

// below is the range of all keys that begin with prefix, which does not consist of 0xff alone.
func below(prefix []byte) kv.Range { return kv.Range{From: prefix, To: behind(prefix)} }

// behind is the smallest key above all keys that begin with prefix.
func behind(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			to := bytes.Clone(prefix[:i+1])
			to[i]++
			return to
		}
	}
	return nil
}
