package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The kinds of pairs that Snapshot yields: the first byte of the key.
const (
	EntryKey  = 'k'
	EntryLog  = 'l'
	EntryTrim = 't'
)

// Entry is one pair of a Snapshot, taken apart.
type Entry struct {
	Kind  byte
	Name  []byte // the key, or the name of a log
	Pos   Pos    // of a record; of EntryTrim up to where the log was trimmed
	Value []byte // of a key or record
}

// Pair is the entry as Snapshot yields it.
func (e Entry) Pair() Pair {
	key := append(make([]byte, 0, 1+binary.MaxVarintLen64+len(e.Name)+len(e.Pos)), e.Kind)
	switch e.Kind {
	case EntryLog:
		key = append(binary.AppendUvarint(key, uint64(len(e.Name))), e.Name...)
		return Pair{append(key, e.Pos[:]...), e.Value}
	case EntryTrim:
		return Pair{append(key, e.Name...), e.Pos[:]}
	}
	return Pair{append(key, e.Name...), e.Value}
}

// ParseEntry takes a pair of a Snapshot apart. It checks what a store relies on: pairs may come from a file.
func ParseEntry(p Pair) (e Entry, err error) {
	if len(p.Key) == 0 {
		return e, errors.New("kv: a pair without a kind")
	}
	e = Entry{Kind: p.Key[0], Name: p.Key[1:], Value: p.Value}
	switch e.Kind {
	case EntryKey:
	case EntryLog:
		n, w := binary.Uvarint(e.Name)
		if w <= 0 || n > uint64(len(e.Name)-w) || uint64(len(e.Name)-w)-n != uint64(len(e.Pos)) {
			return e, errors.New("kv: a record whose key is none")
		}
		e.Pos = Pos(e.Name[w+int(n):])
		e.Name = e.Name[w : w+int(n)]
	case EntryTrim:
		if len(p.Value) < len(e.Pos) {
			return e, errors.New("kv: a trimmed log without a position")
		}
		e.Pos, e.Value = Pos(p.Value[:len(e.Pos)]), nil
	default:
		return e, fmt.Errorf("kv: a pair of unknown kind %q", e.Kind)
	}
	if len(e.Name) > KeyMax || len(e.Value) > ValueMax {
		return e, ErrTooLarge
	}
	return e, nil
}

// Epoch is the first part of a position. That of new records is above that of all there were whenever the numbers after it
// may begin anew: after a restore or a copy.
func (p Pos) Epoch() uint32 { return binary.BigEndian.Uint32(p[:]) }

// EpochMax is the last epoch: 2^31 - 1 restores.
const EpochMax = 1<<31 - 1
