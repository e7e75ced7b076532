package stream

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
)

// Record is one change of one item.
type Record struct {
	ID        string // 32 hexadecimal digits
	Event     string // "INSERT", "MODIFY" or "REMOVE"
	Created   time.Time
	Keys      item.Item
	New, Old  item.Item // as View says; nil: none
	Sequence  string
	SizeBytes int
	View      schema.StreamView
	Service   bool   // done by the service itself: the item's time had come
	Stream    string // ARN
}

var errRecord = errors.New("not a stream record")

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

// Event is what happened to an item.
type Event byte

// The events.
const (
	Insert Event = 1 + iota
	Modify
	Remove
)

func (e Event) String() string {
	switch e {
	case Insert:
		return "INSERT"
	case Modify:
		return "MODIFY"
	case Remove:
		return "REMOVE"
	}
	return ""
}

func appendChunkHead(dst []byte, flags byte, now time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(dst, flags), uint64(now.UnixMilli()))
}

func parseChunk(b []byte) (flags byte, created time.Time, body []byte, err error) {
	if len(b) < chunkHead {
		return 0, time.Time{}, nil, errRecord
	}
	return b[0], time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))).UTC(), b[chunkHead:], nil
}

// Change is what a record says, with items as item.Append wrote them.
type Change struct {
	Event    Event
	Service  bool // done by the service itself
	Keys     []byte
	New, Old []byte // empty: not said
}

// Append appends the record of a change to a log.
func (c *Change) Append(tx kv.Tx, log []byte) {
	body := c.body()
	for flags := byte(0); ; flags = chunkContinues {
		n := min(len(body), kv.ValueMax-chunkHead)
		if n < len(body) {
			flags |= chunkMore
		}
		tx.Append(log, append(appendChunkHead(make([]byte, 0, chunkHead+n), flags, tx.Now()), body[:n]...))
		if body = body[n:]; len(body) == 0 {
			return
		}
	}
}

// AppendEnd appends the last record of a log: its stream is turned off.
func AppendEnd(tx kv.Tx, log []byte) { tx.Append(log, appendChunkHead(nil, chunkEnd, tx.Now())) }

func (c *Change) body() []byte {
	parts := [][]byte{c.Keys, c.New, c.Old}
	n := 2
	for _, p := range parts {
		n += len(p) + binary.MaxVarintLen32
	}
	b := append(make([]byte, 0, n), byte(c.Event), 0)
	if c.Service {
		b[1] = 1
	}
	for _, p := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return b
}

// parseRecord reads a body. What it answers shares the memory of b.
func parseRecord(b []byte) (r Record, err error) {
	if len(b) < 2 || Event(b[0]).String() == "" {
		return r, errRecord
	}
	r.Event, r.Service = Event(b[0]).String(), b[1] == 1
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
