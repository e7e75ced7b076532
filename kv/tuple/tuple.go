// Package tuple makes keys: it encodes a list of parts so that keys compare, byte by byte, as their parts compare, one
// after the other.
//
// # Encoding
//
// Each part is a tag and its value; tags lie between 0x01 and 0x06, so that what follows a shorter key always sorts
// after it and below the key with 0xff at its end:
//
//	[]byte     0x01  bytes, 0x00 written as 0x00 0xff   0x00
//	string     0x02  as []byte                          0x00
//	int64      0x03  8 bytes, big endian, sign flipped
//	uint64     0x04  8 bytes, big endian
//	time.Time  0x05  Unix milliseconds as int64
//
// A shorter key is a prefix of the keys that continue it: Key("a") < Key("a", "b") < Key("a\x00"). Parts of different
// types at one place sort by tag.
//
// # Limits
//
// A key may not exceed kv.KeyMax. Whatever a client names (object keys, item keys) can be longer or full of zero bytes,
// each of which takes two: put it through Hashed and keep the original in the value.
//
// All functions are pure and safe for concurrent use.
package tuple

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

const (
	tagBytes  = 0x01
	tagString = 0x02
	tagInt    = 0x03
	tagUint   = 0x04
	tagTime   = 0x05
	tagEnd    = 0xff // above every tag: where the keys under a prefix end
)

// errShort is what a cut key is told.
var errShort = errors.New("tuple: key ends within a part")

// Key encodes parts, each a string, []byte, uint64, int64 or time.Time (whole milliseconds; the zone and what is finer
// are dropped). Any other type panics: it is a mistake of the program.
func Key(parts ...any) []byte {
	n := 0
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			n += len(p) + 4
		case []byte:
			n += len(p) + 4
		default:
			n += 9
		}
	}
	return Append(make([]byte, 0, n), parts...)
}

// Append appends the encoding of parts to key, as Key does.
func Append(key []byte, parts ...any) []byte {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			key = append(escaped(append(key, tagString), p), 0)
		case []byte:
			key = append(escaped(append(key, tagBytes), p), 0)
		case int64:
			key = binary.BigEndian.AppendUint64(append(key, tagInt), uint64(p)^1<<63)
		case uint64:
			key = binary.BigEndian.AppendUint64(append(key, tagUint), p)
		case time.Time:
			key = binary.BigEndian.AppendUint64(append(key, tagTime), uint64(p.UnixMilli())^1<<63)
		default:
			panic(fmt.Sprintf("tuple: part of type %T; want string, []byte, int64, uint64 or time.Time", p))
		}
	}
	return key
}

func escaped[T string | []byte](key []byte, s T) []byte {
	for i := range len(s) {
		key = append(key, s[i])
		if s[i] == 0 {
			key = append(key, 0xff)
		}
	}
	return key
}

// Prefix is the range of all keys that continue parts with at least one part more. Key(parts...) itself is not in it.
func Prefix(parts ...any) kv.Range {
	from := Key(parts...)
	to := append(bytes.Clone(from), tagEnd)
	return kv.Range{From: append(from, tagBytes), To: to}
}

// Starting is the range of all keys that begin with parts and go on with a string that starts with s: names by prefix.
// With s empty it holds every key that goes on with a string.
func Starting(s string, parts ...any) kv.Range {
	from := escaped(append(Key(parts...), tagString), s)
	return kv.Range{From: from, To: successor(from)}
}

// successor is the smallest key above all keys that begin with p; p holds a byte below 0xff, its tag if nothing else.
func successor(p []byte) []byte {
	for i := len(p) - 1; ; i-- {
		if p[i] < 0xff {
			to := bytes.Clone(p[:i+1])
			to[i]++
			return to
		}
	}
}

// After is the smallest key above key: the From of the page that follows it.
func After(key []byte) []byte { return append(bytes.Clone(key), 0) }

// Parse decodes what Key encoded. Times come back in UTC.
func Parse(key []byte) ([]any, error) {
	var parts []any
	for len(key) > 0 {
		part, rest, err := next(key)
		if err != nil {
			return nil, err
		}
		parts, key = append(parts, part), rest
	}
	return parts, nil
}

func next(key []byte) (part any, rest []byte, err error) {
	tag, key := key[0], key[1:]
	switch tag {
	case tagBytes, tagString:
		b, rest, err := unescaped(key)
		if err != nil || tag == tagBytes {
			return b, rest, err
		}
		return string(b), rest, nil
	case tagInt, tagUint, tagTime:
		if len(key) < 8 {
			return nil, nil, errShort
		}
		n := binary.BigEndian.Uint64(key)
		switch tag {
		case tagInt:
			part = int64(n ^ 1<<63)
		case tagUint:
			part = n
		default:
			part = time.UnixMilli(int64(n ^ 1<<63)).UTC()
		}
		return part, key[8:], nil
	}
	return nil, nil, fmt.Errorf("tuple: unknown tag %#02x", tag)
}

func unescaped(key []byte) (b, rest []byte, err error) {
	b = []byte{}
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 {
			return nil, nil, errShort
		}
		b = append(b, key[:i]...)
		if i+1 == len(key) || key[i+1] != 0xff {
			return b, key[i+1:], nil
		}
		b, key = append(b, 0), key[i+2:]
	}
}

// HashedMin is the least most that Hashed takes: a mark and a SHA-256 in base64.
const HashedMin = 1 + 43

// Hashed is s if its encoding takes fewer than most bytes, else a stand-in whose encoding takes exactly most: the beginning
// of s, "~" once or more, and the SHA-256 of all of s. Stand-ins and short strings therefore never meet, and two strings
// share a stand-in only if their hashes collide. It panics if most is below HashedMin. Tag and end add 2 bytes.
func Hashed(s string, most int) string {
	if most < HashedMin {
		panic(fmt.Sprintf("tuple: Hashed with most %d; want at least %d", most, HashedMin))
	}
	if len(s)+strings.Count(s, "\x00") < most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	room, keep := most-HashedMin, 0
	for ; keep < len(s); keep++ {
		n := 1
		if s[keep] == 0 {
			n = 2
		}
		if n > room {
			break
		}
		room -= n
	}
	return s[:keep] + strings.Repeat("~", room+1) + base64.RawURLEncoding.EncodeToString(sum[:])
}
