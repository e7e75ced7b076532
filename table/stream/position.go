package stream

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/rouse-dev/rouse/kv"
)

// RecordID is the name of a record, the same whenever it is read.
func RecordID(number uint64, seq string) string {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, number), seq...))
	return hex.EncodeToString(sum[:16])
}

// Sequence writes a position as a decimal number of fixed width: 1, ten digits of epoch, twenty of the commit, five of the
// index within it. Read as numbers they order as positions do.
func Sequence(p kv.Pos) string {
	index := min(binary.BigEndian.Uint64(p[12:]), indexMax)
	return fmt.Sprintf("1%010d%020d%05d", binary.BigEndian.Uint32(p[:]), binary.BigEndian.Uint64(p[4:]), index)
}

const (
	sequenceDigits = 36
	indexMax       = 99_999 // a transaction has fewer records (kv.TxKeysMax)
)

// ParseSequence is the inverse of Sequence.
func ParseSequence(s string) (p kv.Pos, ok bool) {
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

// Above is the smallest position after p; the last one stays.
func Above(p kv.Pos) kv.Pos {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]++; p[i] != 0 {
			return p
		}
	}
	return p
}

// Before is the greatest position before p; the first one stays.
func Before(p kv.Pos) kv.Pos {
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
