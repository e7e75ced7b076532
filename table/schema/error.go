package schema

import "github.com/rouse-dev/rouse"

// invalid is DynamoDB's ValidationException.
func invalid(format string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode("ValidationException")
}

// invalidValue is how most of its texts about a request's values begin.
func invalidValue(format string, args ...any) error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

// notFound is DynamoDB's ResourceNotFoundException.
func notFound(format string, args ...any) error {
	return rouse.Errorf(rouse.NotFound, format, args...).WithCode("ResourceNotFoundException")
}

func errLimit(format string, args ...any) error {
	return rouse.Errorf(rouse.Limit, format, args...).WithCode("LimitExceededException")
}
