package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
)

// position is an event's place in its group: events are ordered by time, then by batch, then within the batch.
type position struct {
	time  int64  // Unix milliseconds
	seq   uint64 // of the block
	index uint32 // within the block
}

func (p position) compare(q position) int {
	switch {
	case p.time != q.time:
		return order(p.time < q.time)
	case p.seq != q.seq:
		return order(p.seq < q.seq)
	case p.index != q.index:
		return order(p.index < q.index)
	}
	return 0
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}

const positionDigits = 56

// String is p as a decimal number of positionDigits digits, as CloudWatch's ids and tokens look.
func (p position) String() string {
	var b [20]byte
	binary.BigEndian.PutUint64(b[:], uint64(p.time))
	binary.BigEndian.PutUint64(b[8:], p.seq)
	binary.BigEndian.PutUint32(b[16:], p.index)
	s := new(big.Int).SetBytes(b[:]).String()
	return strings.Repeat("0", positionDigits-len(s)) + s
}

func parsePosition(s string) (p position, ok bool) {
	if len(s) != positionDigits || strings.Trim(s, "0123456789") != "" {
		return p, false
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.BitLen() > 160 {
		return p, false
	}
	var b [20]byte
	n.FillBytes(b[:])
	p.time = int64(binary.BigEndian.Uint64(b[:]))
	p.seq = binary.BigEndian.Uint64(b[8:])
	p.index = binary.BigEndian.Uint32(b[16:])
	return p, p.time >= 0
}

// line is an event before it has a place.
type line struct {
	time    int64 // Unix milliseconds
	message string
}

// block is a run of lines of one stream, encoded once, before the transaction that stores it.
type block struct {
	first, last int64
	seq         uint64
	count       int
	bytes       int64 // messages and EventCost
	payload     []byte
	lines       []line // for Tail
}

// encodeBlocks cuts lines, which are ordered by time, into blocks.
func encodeBlocks(lines []line, next func() uint64) []*block {
	var out []*block
	for len(lines) > 0 {
		n, size := 0, 0
		for n < len(lines) && n < blockEvents && lines[n].time-lines[0].time <= spanMax.Milliseconds() {
			size += len(lines[n].message)
			if n > 0 && size > blockMax {
				break
			}
			n++
		}
		out = append(out, encodeBlock(lines[:n], next()))
		lines = lines[n:]
	}
	return out
}

func encodeBlock(lines []line, seq uint64) *block {
	b := &block{first: lines[0].time, last: lines[len(lines)-1].time, seq: seq, count: len(lines), lines: lines}
	size := 0
	for _, l := range lines {
		size += len(l.message) + 2*binary.MaxVarintLen64
	}
	raw := make([]byte, 0, size)
	at := b.first
	for _, l := range lines {
		raw = binary.AppendUvarint(raw, uint64(l.time-at))
		raw = binary.AppendUvarint(raw, uint64(len(l.message)))
		raw = append(raw, l.message...)
		at = l.time
		b.bytes += int64(len(l.message)) + EventCost
	}
	b.payload = s2.EncodeBetter(nil, raw)
	return b
}

// header is what stands before a block's payload.
type header struct {
	stream   uint64 // id
	name     string // of the stream
	ingested int64  // Unix milliseconds
	bytes    int64
	count    int
}

const blockFormat = 1

func (h *header) seal(payload []byte) []byte {
	b := make([]byte, 0, len(h.name)+len(payload)+40)
	b = append(b, blockFormat)
	b = binary.BigEndian.AppendUint64(b, h.stream)
	b = binary.AppendUvarint(b, uint64(len(h.name)))
	b = append(b, h.name...)
	b = binary.AppendUvarint(b, uint64(h.ingested))
	b = binary.AppendUvarint(b, uint64(h.bytes))
	b = binary.AppendUvarint(b, uint64(h.count))
	return append(b, payload...)
}

var errBlock = errors.New("logs: a block is damaged")

// openHeader reads the header and leaves the payload.
func openHeader(b []byte) (h header, payload []byte, err error) {
	if len(b) < 9 || b[0] != blockFormat {
		return h, nil, errBlock
	}
	h.stream = binary.BigEndian.Uint64(b[1:])
	r := reader{b: b[9:]}
	h.name = string(r.take(r.uvarint()))
	h.ingested, h.bytes, h.count = int64(r.uvarint()), int64(r.uvarint()), int(r.uvarint())
	if r.bad || h.count < 1 || h.count > blockEvents {
		return h, nil, errBlock
	}
	return h, r.b, nil
}

// openLines decodes the payload of a block whose first event is at first.
func openLines(payload []byte, first int64, count int) ([]line, error) {
	if n, err := s2.DecodedLen(payload); err != nil || n > blockMax+EventMax+blockEvents*2*binary.MaxVarintLen64 {
		return nil, errBlock
	}
	raw, err := s2.Decode(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	text := string(raw) // one string that all messages share
	r := reader{b: raw}
	lines := make([]line, 0, count)
	at := first
	for range count {
		at += int64(r.uvarint())
		n := r.uvarint()
		start := len(raw) - len(r.b)
		if r.take(n); r.bad {
			return nil, errBlock
		}
		lines = append(lines, line{time: at, message: text[start : start+int(n)]})
	}
	if len(r.b) != 0 {
		return nil, errBlock
	}
	return lines, nil
}

// reader consumes bytes; bad once they did not suffice.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<62 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// indexed is a block seen from its stream: what its deletion takes off the group's counters.
type indexed struct{ bytes, disk int64 }

func (i indexed) encode() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(i.bytes)), uint64(i.disk))
}

func openIndexed(b []byte) (i indexed, err error) {
	r := reader{b: b}
	i.bytes, i.disk = int64(r.uvarint()), int64(r.uvarint())
	if r.bad {
		return i, errBlock
	}
	return i, nil
}

func millis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
