package table

import (
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/item"
)

// ConditionFailed is the error of a write whose condition did not hold. Its Kind is Conflict.
type ConditionFailed struct {
	Item item.Item // what the condition met, if the request wanted it and it is there
}

func (e *ConditionFailed) Error() string { return "The conditional request failed" }

// Unwrap gives it its kind and code.
func (e *ConditionFailed) Unwrap() error {
	return rouse.Errorf(rouse.Conflict, "%s", e.Error()).WithCode("ConditionalCheckFailedException")
}

// Reason says what one part of a cancelled transaction had to say.
type Reason struct {
	Code    string // "None" or what was wrong
	Message string // "" for None
	Item    item.Item
}

// Codes of a Reason.
const (
	ReasonNone      = "None"
	ReasonCondition = "ConditionalCheckFailed"
	ReasonConflict  = "TransactionConflict"
	ReasonInvalid   = "ValidationError"
)

// Cancelled is the error of a transaction of which nothing was done. Its Kind is Conflict.
type Cancelled struct{ Reasons []Reason }

func (e *Cancelled) Error() string {
	codes := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		codes[i] = r.Code
	}
	return "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
}

// Unwrap gives it its kind and code.
func (e *Cancelled) Unwrap() error {
	return rouse.Errorf(rouse.Conflict, "%s", e.Error()).WithCode("TransactionCanceledException")
}

// invalid is DynamoDB's ValidationException.
func invalid(format string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode("ValidationException")
}

// invalidValue is how most of its texts about a request's values begin.
func invalidValue(format string, args ...any) error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

// errNoTable is what calls about items say of a table that is not there.
func errNoTable() error {
	return rouse.Errorf(rouse.NotFound, "Requested resource not found").WithCode("ResourceNotFoundException")
}

// errNoTableNamed is what calls about tables say.
func errNoTableNamed(name string) error {
	return rouse.Errorf(rouse.NotFound, "Requested resource not found: Table: %s not found", name).
		WithCode("ResourceNotFoundException")
}

// ledBy refuses a key with another partition key than the one by which a caller was let in: the table, or its index, was
// dropped and made anew while the call was on its way. When it is made again, permissions are asked for by the new one.
func ledBy(leading *string, k Key) error {
	if leading == nil || *leading == k.Hash {
		return nil
	}
	return rouse.Errorf(rouse.Throttled, "The table is being changed").WithCode("ThrottlingException")
}

// notFound is DynamoDB's ResourceNotFoundException.
func notFound(format string, args ...any) error {
	return rouse.Errorf(rouse.NotFound, format, args...).WithCode("ResourceNotFoundException")
}

func errInUse(format string, args ...any) error {
	return rouse.Errorf(rouse.Exists, format, args...).WithCode("ResourceInUseException")
}

func errLimit(format string, args ...any) error {
	return rouse.Errorf(rouse.Limit, format, args...).WithCode("LimitExceededException")
}
