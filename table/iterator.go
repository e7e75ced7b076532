package table

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
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

// iteratorState is what an iterator says.
type iteratorState struct {
	arn     string
	number  uint64
	pos     kv.Pos // records after it are read
	horizon bool   // pos is the beginning, wherever that is by now
}

func errIterator() error { return invalid("Invalid ShardIterator") }

// Iterator makes an iterator over a shard.
func (t *Tables) Iterator(ctx context.Context, account string, r IteratorRequest) (string, error) {
	s, err := t.stream(ctx, account, r.Stream)
	if err != nil {
		return "", err
	}
	if r.Shard != s.shard() {
		return "", notFound("Requested resource not found: Shard does not exist")
	}
	it := iteratorState{arn: r.Stream, number: s.Number}
	switch r.Kind {
	case TrimHorizon:
		it.horizon = true
	case Latest:
		end, err := t.search(ctx, s.log(t.cfg.Region), s.trimmed(), func(kv.Record) bool { return true })
		if err != nil {
			return "", err
		}
		it.pos = end.last()
	case AtSequence, AfterSequence:
		if it.pos, err = s.position(r); err != nil {
			return "", err
		}
	default:
		return "", invalid("1 validation error detected: Value '%s' at 'shardIteratorType' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]", r.Kind)
	}
	return t.iterator(it), nil
}

// position is where an iterator by sequence number begins.
func (s *stream) position(r IteratorRequest) (kv.Pos, error) {
	p, ok := parseSequence(r.Sequence)
	if !ok {
		return p, invalid("Invalid SequenceNumber: %s", r.Sequence)
	}
	if trimmed := s.trimmed(); string(p[:]) <= string(trimmed[:]) && trimmed != (kv.Pos{}) {
		return p, errTrimmed()
	}
	if r.Kind == AtSequence {
		p = before(p)
	}
	return p, nil
}

// iterator writes and signs an iterator.
func (t *Tables) iterator(it iteratorState) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, iteratorBody+iteratorMAC), it.number)
	b = append(b, it.pos[:]...)
	if it.horizon {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(t.cfg.Store.Now().Add(IteratorAge).UnixMilli()))
	b = append(b, t.mac(it.arn, b)...)
	return it.arn + "|" + iteratorVersion + "|" + base64.URLEncoding.EncodeToString(b)
}

func (t *Tables) mac(arn string, body []byte) []byte {
	h := hmac.New(sha256.New, t.secret)
	fmt.Fprintf(h, "%s|%s|", iteratorVersion, arn)
	h.Write(body)
	return h.Sum(nil)[:iteratorMAC]
}

// parseIterator reads an iterator and checks that it was made here and is not too old.
func (t *Tables) parseIterator(text string) (it iteratorState, err error) {
	arn, rest, ok := strings.Cut(text, "|")
	version, body, ok2 := strings.Cut(rest, "|")
	if !ok || !ok2 || version != iteratorVersion {
		return it, errIterator()
	}
	b, err := base64.URLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) != iteratorBody+iteratorMAC {
		return it, errIterator()
	}
	if !hmac.Equal(t.mac(arn, b[:iteratorBody]), b[iteratorBody:]) {
		return it, errIterator()
	}
	if expires := time.UnixMilli(int64(binary.BigEndian.Uint64(b[29:]))); t.cfg.Store.Now().After(expires) {
		return it, rouse.Errorf(rouse.Invalid, "Shard iterator has expired").WithCode("ExpiredIteratorException")
	}
	it = iteratorState{arn: arn, number: binary.BigEndian.Uint64(b), horizon: b[28] == 1}
	copy(it.pos[:], b[8:28])
	return it, nil
}

// IteratorStream is the ARN of the stream that an iterator says it reads. Records checks whether that is true.
func (t *Tables) IteratorStream(iterator string) (arn string, err error) {
	arn, _, ok := strings.Cut(iterator, "|")
	if _, _, _, isStream := ParseStreamARN(arn); !ok || !isStream {
		return "", errIterator()
	}
	return arn, nil
}

// loadSecret reads what signs iterators, which all nodes share; the first one draws it.
func (t *Tables) loadSecret(ctx context.Context) error {
	fresh := make([]byte, sha256.Size)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	return t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		value, ok, err := tx.Get(t.secretKey())
		if err != nil {
			return err
		}
		if !ok {
			tx.Set(t.secretKey(), fresh)
			value = fresh
		}
		t.secret = value
		return nil
	})
}
