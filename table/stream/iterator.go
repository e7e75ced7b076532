package stream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// An iterator is text that anybody can hold and nobody can make: the stream's ARN, a version, and in base 64 the table's
// number, the position, a flag, the time at which it expires, and an HMAC over all of it.

// IteratorAge is how long an iterator can be used.
const IteratorAge = 15 * time.Minute

const (
	iteratorVersion = "1"
	iteratorBody    = 8 + 20 + 1 + 8
	iteratorMAC     = 16
)

// Iterator is what an iterator says.
type Iterator struct {
	Stream  string // ARN
	Number  uint64 // of the table
	Pos     kv.Pos // records after it are read
	Horizon bool   // Pos is the beginning, wherever that is by now
}

// Signer makes and checks iterators. Safe for concurrent use.
type Signer struct{ Secret []byte }

func errIterator() error {
	return rouse.Errorf(rouse.Invalid, "Invalid ShardIterator").WithCode("ValidationException")
}

// Sign writes an iterator that can be used for IteratorAge from now on.
func (s Signer) Sign(it Iterator, now time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, iteratorBody+iteratorMAC), it.Number)
	b = append(b, it.Pos[:]...)
	if it.Horizon {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(now.Add(IteratorAge).UnixMilli()))
	b = append(b, s.mac(it.Stream, b)...)
	return it.Stream + "|" + iteratorVersion + "|" + base64.URLEncoding.EncodeToString(b)
}

func (s Signer) mac(arn string, body []byte) []byte {
	h := hmac.New(sha256.New, s.Secret)
	fmt.Fprintf(h, "%s|%s|", iteratorVersion, arn)
	h.Write(body)
	return h.Sum(nil)[:iteratorMAC]
}

// Parse reads an iterator and checks that it was made with the secret and is not too old.
func (s Signer) Parse(text string, now time.Time) (it Iterator, err error) {
	arn, rest, ok := strings.Cut(text, "|")
	version, body, ok2 := strings.Cut(rest, "|")
	if !ok || !ok2 || version != iteratorVersion {
		return it, errIterator()
	}
	b, err := base64.URLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) != iteratorBody+iteratorMAC {
		return it, errIterator()
	}
	if !hmac.Equal(s.mac(arn, b[:iteratorBody]), b[iteratorBody:]) {
		return it, errIterator()
	}
	if expires := time.UnixMilli(int64(binary.BigEndian.Uint64(b[29:]))); now.After(expires) {
		return it, rouse.Errorf(rouse.Invalid, "Shard iterator has expired").WithCode("ExpiredIteratorException")
	}
	it = Iterator{Stream: arn, Number: binary.BigEndian.Uint64(b), Horizon: b[28] == 1}
	copy(it.Pos[:], b[8:28])
	return it, nil
}
