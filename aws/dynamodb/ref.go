package dynamodb

import (
	"strings"

	"github.com/rouse-dev/rouse"
)

// ItemsTable names the table of an operation on items, by name or ARN.
type ItemsTable struct {
	TableName *string `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`

	arn string // as it was given; "" for a name
}

// Prepare takes the name out of an ARN, so that the constraints are about the name.
func (t *ItemsTable) Prepare() error {
	t.arn = nameOf(t.TableName)
	return nil
}

// table is the table's name; "" before the input is validated.
func (t *ItemsTable) table() string {
	if t.TableName == nil {
		return ""
	}
	return *t.TableName
}

// NamedTable names the table of an operation on tables, whose constraints are worded differently.
type NamedTable struct {
	TableName *string `pattern:"[a-zA-Z0-9_.-]+"`

	arn string
}

// Prepare checks the name as these operations do.
func (t *NamedTable) Prepare() error {
	if t.TableName == nil {
		return invalid("The parameter 'TableName' is required but was not present in the request")
	}
	t.arn = nameOf(t.TableName)
	if n := len(*t.TableName); n < 3 || n > 255 {
		return invalid("TableName must be at least 3 characters long and at most 255 characters long")
	}
	return nil
}

func (t *NamedTable) table() string { return *t.TableName }

// tableResource is how the ARN of a table goes on.
const tableResource = "table/"

// nameOf replaces a table's ARN by its name and returns the ARN; "" for what is none.
func nameOf(name *string) string {
	if name == nil || !strings.HasPrefix(*name, "arn:") {
		return ""
	}
	a, err := rouse.ParseARN(*name)
	rest, ok := strings.CutPrefix(a.Resource, tableResource)
	if err != nil || a.Service != "dynamodb" || !ok || strings.Contains(rest, "/") {
		return ""
	}
	arn := *name
	*name = rest
	return arn
}

// arnOf is the ARN of a table of from's account.
func (d *Door) arnOf(from rouse.Origin, name string) string {
	return "arn:aws:dynamodb:" + d.region + ":" + account(from) + ":table/" + name
}

// own refuses an ARN of another account or region: no table there has a policy that lets anybody in from here.
func (d *Door) own(from rouse.Origin, arn, name string) error {
	if arn != "" && arn != d.arnOf(from, name) {
		return notFound("Requested resource not found: Table: " + arn + " not found")
	}
	return nil
}
