// Package layout says where the tables of a region stand in the store: it makes the keys and takes them apart.
//
// The page of package table draws them. Three rules hold for all:
//
//   - What belongs to an account begins with the account and the region. What is found by time, or by a table's number,
//     across accounts, begins with "rouse" and the region.
//   - A table's data is named by its number, which is never used again, and not by its name: so a table can be dropped in
//     one small transaction, and a new one of its name begins empty.
//   - Below a table's number a byte says what follows (package schema): items, entries of an index, or the name of a log.
//
// Everything here is pure and safe for concurrent use. The keys of items and entries themselves are package schema's,
// because they depend on what the table looks like.
package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Room is the third part of all keys.
const Room = "table"

// shared is the first part of keys that belong to no account.
const shared = "rouse"

// Layout makes the keys of a region.
type Layout struct{ Region string }

// Head is what every call reads.
func (l Layout) Head(account, name string) []byte {
	return tuple.Key(account, l.Region, Room, "head", name)
}

// Heads are those of an account, by name.
func (l Layout) Heads(account string) kv.Range { return tuple.Prefix(account, l.Region, Room, "head") }

// ParseHead is the name in a Head.
func (l Layout) ParseHead(key []byte) (name string, err error) {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) != 5 {
		return "", fmt.Errorf("table: %x is no head", key)
	}
	name, _ = parts[4].(string)
	return name, nil
}

// Description holds a schema.Record in JSON.
func (l Layout) Description(account, name string) []byte {
	return tuple.Key(account, l.Region, Room, "description", name)
}

// Data begins all data of a table.
func (l Layout) Data(account string, number uint64) []byte {
	return tuple.Key(account, l.Region, Room, "data", number)
}

// Number leads from a table's number to its name; see Name.
func (l Layout) Number(number uint64) []byte {
	return tuple.Key(shared, l.Region, Room, "number", number)
}

// Name is the value of a Number.
func Name(account, name string) []byte { return tuple.Key(account, name) }

// ParseName is the inverse of Name.
func ParseName(value []byte) (account, name string, err error) {
	parts, err := tuple.Parse(value)
	if err != nil || len(parts) != 2 {
		return "", "", fmt.Errorf("table: %x is no name", value)
	}
	account, _ = parts[0].(string)
	name, _ = parts[1].(string)
	return account, name, nil
}

// Sums holds the tally of a table.
func (l Layout) Sums(number uint64) []byte { return tuple.Key(shared, l.Region, Room, "count", number) }

// Stream holds what is known about a stream. Streams outlive their tables.
func (l Layout) Stream(account, table, label string) []byte {
	return tuple.Key(account, l.Region, Room, "stream", table, label)
}

// Streams are those of a table, or with table "" of the account.
func (l Layout) Streams(account, table string) kv.Range {
	if table == "" {
		return tuple.Prefix(account, l.Region, Room, "stream")
	}
	return tuple.Prefix(account, l.Region, Room, "stream", table)
}

// Trim names a stream for who trims all of them.
func (l Layout) Trim(account, table, label string) []byte {
	return tuple.Key(shared, l.Region, Room, "streams", account, table, label)
}

// Trims are all of them.
func (l Layout) Trims() kv.Range { return tuple.Prefix(shared, l.Region, Room, "streams") }

// ParseTrim is the inverse of Trim.
func (l Layout) ParseTrim(key []byte) (account, table, label string, err error) {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) != 7 {
		return "", "", "", fmt.Errorf("table: %x names no stream", key)
	}
	account, _ = parts[4].(string)
	table, _ = parts[5].(string)
	label, _ = parts[6].(string)
	return account, table, label, nil
}

// Work is a back-fill that is under way: of an index, or with index 0 of the time to live.
func (l Layout) Work(number uint64, index uint32) []byte {
	return tuple.Key(shared, l.Region, Room, "work", number, uint64(index))
}

// Works are all of them.
func (l Layout) Works() kv.Range { return tuple.Prefix(shared, l.Region, Room, "work") }

// Grave is what is left of a table, or with an index above 0 of an index. Its value is GraveOf.
func (l Layout) Grave(number uint64, index uint32) []byte {
	return tuple.Key(shared, l.Region, Room, "grave", number, uint64(index))
}

// Graves are all of them.
func (l Layout) Graves() kv.Range { return tuple.Prefix(shared, l.Region, Room, "grave") }

// GraveOf is the value of a Grave.
func GraveOf(account string) []byte { return tuple.Key(account) }

// ParseGrave takes a Grave apart.
func (l Layout) ParseGrave(p kv.Pair) (account string, number uint64, index uint32, err error) {
	parts, err := tuple.Parse(p.Key)
	value, err2 := tuple.Parse(p.Value)
	if err != nil || err2 != nil || len(parts) != 6 || len(value) != 1 {
		return "", 0, 0, fmt.Errorf("table: %x is no dropped table", p.Key)
	}
	account, _ = value[0].(string)
	number, _ = parts[4].(uint64)
	i, _ := parts[5].(uint64)
	return account, number, uint32(i), nil
}

// Token remembers a transaction.
func (l Layout) Token(account, token string) []byte {
	return tuple.Key(account, l.Region, Room, "token", token)
}

// TokenDue says when to forget it.
func (l Layout) TokenDue(due time.Time, account, token string) []byte {
	return tuple.Key(shared, l.Region, Room, "tokens", due, account, token)
}

// TokensDue are those that are due at a time.
func (l Layout) TokensDue(now time.Time) kv.Range {
	return kv.Range{From: tuple.Key(shared, l.Region, Room, "tokens"), To: tuple.Key(shared, l.Region, Room, "tokens", now)}
}

// ParseTokenDue is the inverse of TokenDue, without the time.
func (l Layout) ParseTokenDue(key []byte) (account, token string, err error) {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) != 7 {
		return "", "", fmt.Errorf("table: %x is no token", key)
	}
	account, _ = parts[5].(string)
	token, _ = parts[6].(string)
	return account, token, nil
}

// Due is where an item stands among those that expire: by second, then by table. rest is its key below the table's items.
func (l Layout) Due(second int64, number uint64, rest []byte) []byte {
	key := binary.BigEndian.AppendUint64(l.due(), uint64(second)^1<<63)
	return append(binary.BigEndian.AppendUint64(key, number), rest...)
}

func (l Layout) due() []byte { return tuple.Key(shared, l.Region, Room, "due") }

// Dues are those below a second.
func (l Layout) Dues(second int64) kv.Range {
	return kv.Range{From: l.due(), To: binary.BigEndian.AppendUint64(l.due(), uint64(second)^1<<63)}
}

// ParseDue is the inverse of Due.
func (l Layout) ParseDue(key []byte) (second int64, number uint64, rest []byte, ok bool) {
	b, ok := bytes.CutPrefix(key, l.due())
	if !ok || len(b) < 16 {
		return 0, 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63), binary.BigEndian.Uint64(b[8:]), b[16:], true
}

// Upkeep is the lease of whoever does the upkeep, and the topic that wakes it.
func (l Layout) Upkeep() []byte { return tuple.Key(shared, l.Region, Room, "upkeep") }

// Secret holds what signs iterators.
func (l Layout) Secret() []byte { return tuple.Key(shared, l.Region, Room, "secret") }

// Below is the range of all keys that begin with prefix.
func Below(prefix []byte) kv.Range { return kv.Range{From: prefix, To: Behind(prefix)} }

// Behind is the smallest key above all keys that begin with prefix; nil if that is 0xff alone.
func Behind(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			to := bytes.Clone(prefix[:i+1])
			to[i]++
			return to
		}
	}
	return nil
}
