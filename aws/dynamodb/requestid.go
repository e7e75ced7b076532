package dynamodb

import (
	"crypto/rand"
	"strings"
)

// requestIDLen is the length of DynamoDB's request ids, which are of capitals and digits.
const requestIDLen = 52

// formID is a request's id in DynamoDB's form: the digits of the one in the log, and again as many as are missing.
func formID(id string) string {
	digits := strings.ToUpper(strings.ReplaceAll(id, "-", ""))
	if digits == "" {
		return id
	}
	return strings.Repeat(digits, 1+requestIDLen/len(digits))[:requestIDLen]
}

// newRequestID makes the id of a request that the door does not see.
func newRequestID() string { return formID(rand.Text()) }
