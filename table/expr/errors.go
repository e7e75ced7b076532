package expr

import (
	"fmt"

	"github.com/rouse-dev/rouse"
)

// The texts with which DynamoDB refuses an update when it meets the item.
const (
	textOperandType = "An operand in the update expression has an incorrect data type"
	textPath        = "The document path provided in the update expression is invalid for update"
	textMissing     = "The provided expression refers to an attribute that does not exist in the item"
	textLegacyType  = "Type mismatch for attribute to update"
	textTooLarge    = "Item size to update has exceeded the maximum allowed size"
	textTooDeep     = "Nesting Levels have exceeded supported limits: " +
		"Attributes in the item have nested levels beyond supported limit"
)

// invalidParameters begins many of the texts.
const invalidParameters = "One or more parameter values were invalid: "

// problem is what is wrong with an expression, in DynamoDB's words.
func problem(format string, args ...any) error {
	return &rouse.Error{Kind: rouse.Invalid, Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// within puts the name of the expression in front of a problem.
func within(name string, err error) error {
	if err == nil {
		return nil
	}
	return problem("Invalid %s: %s", name, err)
}
