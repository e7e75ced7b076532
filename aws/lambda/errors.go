package lambda

import (
	"errors"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

func errorTable() wire.Errors {
	return wire.RESTJSONErrors().
		With(rouse.Invalid, "InvalidParameterValueException", 400).
		With(rouse.Limit, "InvalidParameterValueException", 400).
		With(rouse.TooLarge, "RequestEntityTooLargeException", 413). // Invoke has its own
		With(rouse.Timeout, "ServiceException", 500).
		With(rouse.Unavailable, "ServiceException", 503)
}

// statuses of codes that do not follow their kind.
func statuses() map[string]int {
	return map[string]int{
		"CodeStorageExceededException": 400, "InvalidParameterValueException": 400,
		"InvalidRequestContentException": 400, "RecursiveInvocationException": 400,
		"PolicyLengthExceededException": 400, "PreconditionFailedException": 412, "RequestEntityTooLargeException": 413,
		"ResourceNotReadyException": 502, "InvalidRuntimeException": 502, "ValidationException": 400,
		"UnsupportedMediaTypeException": 415,
	}
}

// errorMembers adds what Lambda writes into errors beside their text. Some of its exceptions spell it "Message".
func errorMembers(code string, err *rouse.Error) map[string]any {
	m := map[string]any{"Type": "User"}
	switch code {
	case "ValidationException":
		return nil
	case "AccessDeniedException", "UnrecognizedClientException":
		return map[string]any{"Message": err.Message, "message": nil}
	case "ServiceException":
		return map[string]any{"Type": "Service", "Message": err.Message, "message": nil}
	case "ResourceNotFoundException", "InvalidRuntimeException":
		m["Message"], m["message"] = err.Message, nil
	case "TooManyRequestsException":
		m["Reason"] = reasonOf(err)
	}
	return m
}

// throttle says which limit stopped an invocation.
type throttle struct {
	reason string
	cause  error
}

func (t *throttle) Error() string { return t.cause.Error() }
func (t *throttle) Unwrap() error { return t.cause }

const (
	reasonAccount  = "ConcurrentInvocationLimitExceeded"
	reasonReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
)

func reasonOf(err error) string {
	var t *throttle
	if errors.As(err, &t) {
		return t.reason
	}
	return "CallerRateLimitExceeded"
}

// throttled is Lambda's answer to an invocation above a limit. The Invoker may name the limit by its code; else it is the
// function's if that has one.
func throttled(err error, reserved bool) error {
	t := &throttle{reason: reasonAccount, cause: err}
	if reserved {
		t.reason = reasonReserved
	}
	var e *rouse.Error
	if errors.As(err, &e) && (e.Code == reasonAccount || e.Code == reasonReserved) {
		t.reason = e.Code
	}
	out := rouse.Errorf(rouse.Throttled, "Rate Exceeded.").WithCode("TooManyRequestsException")
	out.Err = t
	return out
}
