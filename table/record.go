package table

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
)

// A stream record as it is stored: one or more chunks that follow each other in one commit. A chunk is a byte of flags,
// the time in milliseconds, and its part of the body:
//
//	event  service  keys  new image  old image      images and keys: length, item.Append; a missing image has length 0
const (
	chunkHead      = 9
	chunkMore      = 1 // another chunk follows
	chunkContinues = 2 // an earlier chunk went before
	chunkEnd       = 4 // not a record: the stream was turned off
)

const (
	eventInsert = 1
	eventModify = 2
	eventRemove = 3
)

var eventNames = [...]string{eventInsert: "INSERT", eventModify: "MODIFY", eventRemove: "REMOVE"}

func appendChunkHead(dst []byte, flags byte, now time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(dst, flags), uint64(now.UnixMilli()))
}

func parseChunk(b []byte) (flags byte, created time.Time, body []byte, err error) {
	if len(b) < chunkHead {
		return 0, time.Time{}, nil, errRecord
	}
	return b[0], time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))).UTC(), b[chunkHead:], nil
}

func appendRecord(dst []byte, event byte, service bool, parts ...[]byte) []byte {
	n := len(dst) + 2
	for _, p := range parts {
		n += len(p) + binary.MaxVarintLen32
	}
	dst = append(append(make([]byte, 0, n), dst...), event, 0)
	if service {
		dst[len(dst)-1] = 1
	}
	for _, p := range parts {
		dst = append(binary.AppendUvarint(dst, uint64(len(p))), p...)
	}
	return dst
}

// parseRecord reads a body. What it answers shares the memory of b.
func parseRecord(b []byte) (r StreamRecord, err error) {
	if len(b) < 2 || int(b[0]) >= len(eventNames) || eventNames[b[0]] == "" {
		return r, errRecord
	}
	r.Event, r.Service = eventNames[b[0]], b[1] == 1
	b = b[2:]
	for _, to := range []*item.Item{&r.Keys, &r.New, &r.Old} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return r, errRecord
		}
		part := b[used : used+int(n)]
		b = b[used+int(n):]
		if n == 0 {
			continue
		}
		if *to, err = item.Decode(part); err != nil {
			return r, err
		}
		r.SizeBytes += to.Size()
	}
	if len(b) > 0 || r.Keys == nil {
		return r, errRecord
	}
	return r, nil
}

// recordID is the name of a record, the same whenever it is read.
func recordID(number uint64, seq string) string {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, number), seq...))
	return hex.EncodeToString(sum[:16])
}

// sequence writes a position as a decimal number of fixed width: 1, ten digits of epoch, twenty of the commit, five of the
// index within it. Read as numbers they order as positions do.
func sequence(p kv.Pos) string {
	index := min(binary.BigEndian.Uint64(p[12:]), indexMax)
	return fmt.Sprintf("1%010d%020d%05d", binary.BigEndian.Uint32(p[:]), binary.BigEndian.Uint64(p[4:]), index)
}

const (
	sequenceDigits = 36
	indexMax       = 99_999 // a transaction has fewer records (kv.TxKeysMax)
)

// parseSequence is the inverse of sequence.
func parseSequence(s string) (p kv.Pos, ok bool) {
	if len(s) != sequenceDigits || s[0] != '1' {
		return p, false
	}
	epoch, err1 := strconv.ParseUint(s[1:11], 10, 32)
	commit, err2 := strconv.ParseUint(s[11:31], 10, 64)
	index, err3 := strconv.ParseUint(s[31:], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return p, false
	}
	binary.BigEndian.PutUint32(p[:], uint32(epoch))
	binary.BigEndian.PutUint64(p[4:], commit)
	binary.BigEndian.PutUint64(p[12:], index)
	return p, true
}

// above is the smallest position after p, below the smallest before it; the ends stay.
func above(p kv.Pos) kv.Pos {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]++; p[i] != 0 {
			return p
		}
	}
	return p
}

func before(p kv.Pos) kv.Pos {
	if p == (kv.Pos{}) {
		return p
	}
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]--; p[i] != 0xff {
			break
		}
	}
	return p
}

// spot is a position without the index: a commit. Arithmetic is that of 128-bit numbers.
type spot struct{ epoch, commit uint64 }

// spotEnd is above all commits.
var spotEnd = spot{1 << 32, 0}

func spotOf(p kv.Pos) spot {
	return spot{uint64(binary.BigEndian.Uint32(p[:])), binary.BigEndian.Uint64(p[4:])}
}

// first is the position of the commit's first record, last is behind its last.
func (s spot) first() (p kv.Pos) {
	binary.BigEndian.PutUint32(p[:], uint32(min(s.epoch, math.MaxUint32)))
	binary.BigEndian.PutUint64(p[4:], s.commit)
	return p
}

func (s spot) last() kv.Pos {
	p := s.first()
	binary.BigEndian.PutUint64(p[12:], math.MaxUint64)
	return p
}

func (s spot) less(o spot) bool {
	return s.epoch < o.epoch || s.epoch == o.epoch && s.commit < o.commit
}

func (s spot) plus(o spot) (sum spot, over bool) {
	var carry uint64
	sum.commit, carry = bits.Add64(s.commit, o.commit, 0)
	sum.epoch, carry = bits.Add64(s.epoch, o.epoch, carry)
	return sum, carry > 0
}

func (s spot) minus(o spot) (d spot) {
	var borrow uint64
	d.commit, borrow = bits.Sub64(s.commit, o.commit, 0)
	d.epoch, _ = bits.Sub64(s.epoch, o.epoch, borrow)
	return d
}

// middle is between s and a greater spot: s itself when they follow each other.
func (s spot) middle(o spot) spot {
	d := o.minus(s)
	half := spot{d.epoch >> 1, d.commit>>1 | d.epoch<<63}
	m, _ := s.plus(half)
	return m
}
