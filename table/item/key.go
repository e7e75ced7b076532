package item

import (
	"crypto/md5"
	"crypto/sha256"
)

// group is how many bytes of a string stand before each mark in a key.
const (
	group = 8
	more  = group + 1 // the mark after a group that others follow; at the end it is the number of bytes in the last one
)

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

// AppendKey appends v, which is S, N or B, so that keys compare as bytes as the values compare, and so that something
// else can follow. Strings and binaries stand in groups of eight bytes, the last filled with zeros, each followed by a
// mark: the number of bytes in the last group, 9 in those before. A number is its form and a zero byte, 22 bytes at most.
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

func mustBeKey(v Value) {
	if !v.t.IsKey() {
		panic("item: a key of type " + v.t.String())
	}
}
