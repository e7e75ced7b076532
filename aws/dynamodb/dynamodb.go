// Package dynamodb is the door of Amazon DynamoDB over the room table.
//
// # A request's way
//
// DynamoDB checks a request in an order of its own, which programs and tests know by its texts:
//
//	is it JSON of the right types?       wire and table/attr       SerializationException
//	are members there and long enough?   the tags of the inputs    "2 validation errors detected: …"
//	do parameters go together?           parse, in this order      ValidationException, one text
//	  expressions beside old ones, values, sizes, expressions
//	may the caller?                      needs
//	does the table know this?            table                     texts about keys, indexes and schemas
//
// Needs runs first after decoding, so that it is what calls parse: the permissions name attributes, keys and indexes,
// which expressions have to be understood for. What it found stays in the input for the handler.
//
// # What it does itself
//
// Table names given as ARNs, both generations of parameters, the forms of capacity and collection metrics, the condition
// keys of fine-grained access (dynamodb:LeadingKeys, Attributes, Select, ReturnValues, ReturnConsumedCapacity,
// EnclosingOperation), and the truth about what is not there: no backups, no replicas, no insights.
//
// # Promises
//
// The door keeps nothing but a cache of parsed expressions and is safe for concurrent use. What a write answered is
// durable; the room says the rest. Answers carry x-amz-crc32 over exactly the bytes that are sent.
//
// Left to others: what a table does (table), the change streams' own API (dynamodb/streams), signatures and policies.
package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
)

// Config makes a Door.
type Config struct {
	Tables   *table.Tables // required
	Region   string        // required
	Endpoint string        // host and port that DescribeEndpoints answers; "" for AWS's name in the region
}

// Door answers the DynamoDB API.
type Door struct {
	tables      *table.Tables
	region      string
	endpoint    string
	expressions *expr.Cache
}

// expressionsMax is how many parsed expressions are kept: programs have tens, generators of them thousands.
const expressionsMax = 4096

// bodyMax is DynamoDB's limit of a request.
const bodyMax = 16 << 20

// New makes the door.
func New(cfg Config) *Door {
	if cfg.Endpoint == "" {
		cfg.Endpoint = "dynamodb." + cfg.Region + ".amazonaws.com"
	}
	return &Door{tables: cfg.Tables, region: cfg.Region, endpoint: cfg.Endpoint, expressions: expr.NewCache(expressionsMax)}
}

// Service is the table.
func (d *Door) Service() wire.Service {
	s := Speak("dynamodb", "Amazon DynamoDB", "DynamoDB_20120810")
	s.Operations = slices.Concat(d.tableOperations(), d.itemOperations(), d.pageOperations(), d.batchOperations(),
		d.transactOperations(), d.tagOperations(), d.absentOperations())
	s.NotImplemented = strings.Fields(`BatchExecuteStatement CreateBackup CreateGlobalTable DeleteBackup DeleteResourcePolicy
		DescribeBackup DescribeExport DescribeGlobalTable DescribeGlobalTableSettings DescribeImport
		DescribeTableReplicaAutoScaling DisableKinesisStreamingDestination EnableKinesisStreamingDestination ExecuteStatement
		ExecuteTransaction ExportTableToPointInTime ImportTable PutResourcePolicy RestoreTableFromBackup
		RestoreTableToPointInTime UpdateContributorInsights UpdateGlobalTable UpdateGlobalTableSettings
		UpdateKinesisStreamingDestination UpdateTableReplicaAutoScaling`)
	return s
}

// Speak is a service that speaks as DynamoDB does: its errors, its checksum, its decoder's words.
func Speak(name, title, target string) wire.Service {
	return wire.Service{
		Name: name, Title: title, Protocol: wire.JSON10, TargetPrefix: target, SigningName: "dynamodb",
		Errors: wire.JSONErrors().
			With(rouse.Exists, "ResourceInUseException", 400).
			With(rouse.Conflict, "TransactionConflictException", 400).
			With(rouse.Timeout, "RequestTimeoutException", 408),
		CRC32: true, FormID: formID, Classes: classes, BodyMax: bodyMax, ErrorMembers: errorMembers,
	}
}

const classes = "com.amazonaws.dynamodb.v20120810"

// errorMembers gives errors the form of DynamoDB's: the code with the name of its model, which old clients match, and
// the data of those that have some.
func errorMembers(code string, err *rouse.Error) map[string]any {
	m := map[string]any{"__type": modelOf(code) + "#" + code}
	if code == "SerializationException" || code == "AccessDeniedException" {
		if m["message"] = nil; err.Message != "" {
			m["Message"] = err.Message
		}
	}
	if code == "UnknownOperationException" {
		m["message"] = nil // AWS has no words for it
	}
	var failed *table.ConditionFailed
	var cancelled *table.Cancelled
	switch {
	case errors.As(err.Err, &failed):
		if failed.Item != nil {
			m["Item"] = json.RawMessage(attr.AppendItem(nil, failed.Item))
		}
	case errors.As(err.Err, &cancelled):
		m["CancellationReasons"] = reasons(cancelled)
		m["Message"], m["message"] = err.Message, nil
	}
	return m
}

// modelOf is the model that an error code belongs to.
func modelOf(code string) string {
	switch code {
	case "ValidationException":
		return "com.amazon.coral.validate"
	case "ThrottlingException":
		return "com.amazon.coral.availability"
	case "SerializationException", "UnknownOperationException", "AccessDeniedException", "UnrecognizedClientException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException",
		"ExpiredTokenException", "NotImplementedException":
		return "com.amazon.coral.service"
	}
	return classes
}

// reasons writes what each part of a cancelled transaction had to say.
func reasons(c *table.Cancelled) []map[string]any {
	list := make([]map[string]any, len(c.Reasons))
	for i, r := range c.Reasons {
		list[i] = map[string]any{"Code": r.Code}
		if r.Message != "" {
			list[i]["Message"] = r.Message
		}
		if r.Item != nil {
			list[i]["Item"] = json.RawMessage(attr.AppendItem(nil, r.Item))
		}
	}
	return list
}

// invalid is a ValidationException with a text of its own.
func invalid(format string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode("ValidationException")
}

// invalidValue is how many of them begin.
func invalidValue(format string, args ...any) error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

func notFound(text string) error {
	return rouse.Errorf(rouse.NotFound, "%s", text).WithCode("ResourceNotFoundException")
}

// account is whose tables a call is about.
func account(from rouse.Origin) string { return from.Principal.Account }

// needsOf makes the needs of an operation from one function that parses and checks its input.
type needsOf[In any] = func(context.Context, rouse.Origin, *In) ([]rouse.Need, error)
