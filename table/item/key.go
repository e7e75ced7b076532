package item

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// group is how many bytes of a string stand before each mark in a key.
const (
	group = 8
	more  = group + 1 // the mark after a group that others follow; at the end it is the number of bytes in the last one
)

var errKey = errors.New("item: not a key's encoding")

// KeyHash is the place of a partition key: the first eight bytes of the hash that orders DynamoDB's own scans, then
// 24 bytes of SHA-256, which keep different keys apart. v is S, N or B.
func KeyHash(v Value) [32]byte {
	const salt = "Outliers"
	mustBeKey(v)
	raw := v.raw()
	var b [len(salt) + 256]byte // on the stack unless the key is longer
	salted := append(append(b[:0], salt...), raw...)
	order, rest := md5.Sum(salted), sha256.Sum256(salted[len(salt):])
	var h [32]byte
	copy(h[:8], order[:])
	copy(h[8:], rest[:])
	return h
}

// KeySize is the number of bytes that AppendKey appends for a value of n bytes of S or B; a number takes at most 22.
func KeySize(n int) int { return max(1, (n+group-1)/group) * (group + 1) }

// AppendKey appends v, which is S, N or B, so that keys compare as bytes as the values compare, and so that something
// else can follow. Strings and binaries stand in groups of eight bytes, the last filled with zeros, each followed by a
// mark: the number of bytes in the last group, 9 in those before. A number is its form and a zero byte.
func AppendKey(dst []byte, v Value) []byte {
	mustBeKey(v)
	raw := v.raw()
	if v.t == TypeNumber {
		return append(append(dst, raw...), 0)
	}
	for len(raw) > group {
		dst = append(append(dst, raw[:group]...), more)
		raw = raw[group:]
	}
	dst = append(dst, raw...)
	dst = append(dst, make([]byte, group-len(raw))...)
	return append(dst, byte(len(raw)))
}

// AppendKeyPrefix appends what the AppendKey of every S or B that begins with v begins with. Those keys are the ones with
// that prefix that are not below the AppendKey of v itself: "a" is filled up like the beginning of "a\x00", and below it.
func AppendKeyPrefix(dst []byte, v Value) []byte {
	if v.t != TypeString && v.t != TypeBinary {
		panic("item: a prefix of type " + v.t.String())
	}
	raw := v.raw()
	for len(raw) > group {
		dst = append(append(dst, raw[:group]...), more)
		raw = raw[group:]
	}
	return append(dst, raw...)
}

// AppendKeyTail appends v, which is S, N or B, so that keys compare as bytes as the values compare. Nothing may follow.
// The tails of the S or B that begin with a value begin with its tail.
func AppendKeyTail(dst []byte, v Value) []byte {
	mustBeKey(v)
	return append(dst, v.raw()...)
}

// CutKey reads the value of type t, S, N or B, that AppendKey wrote at the beginning of key, and returns what follows.
// A number shares the memory of key.
func CutKey(key []byte, t Type) (v Value, rest []byte, err error) {
	if t == TypeNumber {
		for i := 1; i <= formMax+1 && i < len(key); i++ { // the first byte of a form may be zero
			if key[i] == 0 {
				v, err = CutKeyTail(key[:i], t)
				return v, key[i+1:], err
			}
		}
		return Value{}, nil, errKey
	}
	if t != TypeString && t != TypeBinary {
		return Value{}, nil, errKey
	}
	var raw []byte
	for len(key) > group {
		g, mark := key[:group], key[group]
		key = key[group+1:]
		if mark == more {
			raw = append(raw, g...)
			continue
		}
		if mark > group || binary.BigEndian.Uint64(g)<<(8*mark) != 0 && mark < group || len(raw) > 0 && mark == 0 {
			return Value{}, nil, errKey
		}
		v, err = CutKeyTail(append(raw, g[:mark]...), t)
		return v, key, err
	}
	return Value{}, nil, errKey
}

// CutKeyTail reads the value of type t that AppendKeyTail wrote. It shares the memory of tail.
func CutKeyTail(tail []byte, t Type) (Value, error) {
	v := slice(t, tail)
	if !t.IsKey() || t == TypeNumber && !validForm(v.raw()) {
		return Value{}, errKey
	}
	return v, nil
}

func mustBeKey(v Value) {
	if !v.t.IsKey() {
		panic("item: a key of type " + v.t.String())
	}
}
