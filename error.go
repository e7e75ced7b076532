package rouse

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about an error. Doors turn kinds into status codes, each in one table.
type Kind uint8

// The kinds, and who can mend it.
const (
	Internal        Kind = iota // us: a fault of the platform; details go to the log, never to the client
	Invalid                     // the caller: the request breaks a documented rule
	NotFound                    // the caller: it names something that is not there
	Exists                      // the caller: the name is taken
	Conflict                    // the caller, later: the resource is in the wrong state or changed meanwhile
	Unauthenticated             // the caller: no, unknown or expired credentials, or a bad signature
	Denied                      // an administrator: known, but not allowed
	TooLarge                    // the caller: the payload exceeds a limit
	Throttled                   // the caller, later: a rate or concurrency limit
	Limit                       // an administrator: a quota is used up
	Timeout                     // the caller, perhaps later: it took too long
	Unavailable                 // us, soon: the part that answers is not up
	Unsupported                 // nobody today: Rouse does not implement it, and says so
	kindEnd
)

// KindCount is the number of kinds; tests of door tables walk all of them.
const KindCount = int(kindEnd)

var kindNames = [...]string{"internal", "invalid", "not found", "exists", "conflict", "unauthenticated", "denied",
	"too large", "throttled", "limit", "timeout", "unavailable", "unsupported"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error is an error that a caller or client acts on.
type Error struct {
	Kind    Kind
	Code    string // AWS's error code where the kind alone does not give it: "CodeStorageExceededException"; usually ""
	Message string // for the client: what and where, in AWS's words where AWS has words for it
	Err     error  // the cause, for the log; may be nil
}

// Errorf makes an Error of kind. A %w verb keeps its operand as the cause.
func Errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithCode returns a copy of e that carries AWS's code.
func (e *Error) WithCode(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
