package dynamodb

import (
	"crypto/rand"
)

// requestIDLen is the length of DynamoDB's request ids, which are of capitals and digits.
const requestIDLen = 52

// formID is a request's id in DynamoDB's form: the digits of the one in the log, and again as many as are missing.
func formID(id string) string {
	var b [requestIDLen]byte
	n := 0
	for i := 0; i < len(id) && n < len(b); i++ {
		c := id[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != '-' {
			b[n] = c
			n++
		}
	}
	if n == 0 {
		return id
	}
	for i := n; i < len(b); i++ {
		b[i] = b[i-n]
	}
	return string(b[:])
}

// newRequestID makes the id of a request that the door does not see.
func newRequestID() string { return formID(rand.Text()) }
