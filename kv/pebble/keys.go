package pebble

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// Pebble's keys, by first byte:
//
//	m  what the store knows of itself
//	k  keys of the callers
//	l  records: length of the log's name, name, position
//	t  the position up to which a log was trimmed: name
const (
	kindMeta = 'm'
	kindKey  = 'k'
	kindLog  = 'l'
	kindTrim = 't'
)

var (
	keyFormat   = []byte{kindMeta, 'f'} // number
	keyReserved = []byte{kindMeta, 'r'} // commit numbers and clock, see Store.reserve
	keyEpoch    = []byte{kindMeta, 'e'} // number; absent: 0
)

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseNumber(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func reserved(commit uint64, until time.Time) []byte {
	return binary.BigEndian.AppendUint64(number(commit), uint64(until.UnixNano()))
}

func parseReserved(b []byte) (commit uint64, until time.Time) {
	if len(b) < 16 {
		return 0, time.Time{}
	}
	return parseNumber(b), time.Unix(0, int64(parseNumber(b[8:]))).UTC()
}

func userKey(key []byte) []byte { return append([]byte{kindKey}, key...) }

// userRange is r in Pebble's keys. A nil To means the end.
func userRange(r kv.Range) (from, to []byte) {
	if r.To == nil {
		return userKey(r.From), []byte{kindKey + 1}
	}
	return userKey(r.From), userKey(r.To)
}

func logPrefix(log []byte) []byte {
	return append(binary.AppendUvarint([]byte{kindLog}, uint64(len(log))), log...)
}

func logKey(log []byte, pos kv.Pos) []byte { return append(logPrefix(log), pos[:]...) }

func trimKey(log []byte) []byte { return append([]byte{kindTrim}, log...) }

// position is that of the i-th Append of a commit: 4 bytes of epoch (how often the store was restored), the commit's number,
// the index.
func (s *Store) position(commit, i uint64) (p kv.Pos) {
	binary.BigEndian.PutUint32(p[:], s.epoch)
	binary.BigEndian.PutUint64(p[4:], commit)
	binary.BigEndian.PutUint64(p[12:], i)
	return p
}

// above is the smallest position after p; the last one stays.
func above(p kv.Pos) kv.Pos {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]++; p[i] != 0 {
			return p
		}
	}
	return kv.Pos(bytes.Repeat([]byte{0xff}, len(p)))
}

func inRange[T string | []byte](key T, r kv.Range) bool {
	return string(key) >= string(r.From) && (r.To == nil || string(key) < string(r.To))
}
