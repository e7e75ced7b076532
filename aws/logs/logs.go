// Package logs is the door of Amazon CloudWatch Logs over the room of the same name.
//
// # What it does itself
//
// Translate. Names and ARNs of groups are read, pages and tokens passed through, times written in milliseconds. Needs name
// the resources as CloudWatch does: an action on a group asks for "…:log-group:NAME:log-stream:", one on a stream for the
// stream's ARN, so that the policies people have, "…:log-group:NAME:*" above all, decide as they do on AWS.
//
// # What is not there
//
// Queries (Logs Insights), metric and subscription filters, exports, deliveries, anomaly detectors and data protection;
// they are listed under NotImplemented. Their lists that tools ask for are empty (absent.go). Following a log works by polling FilterLogEvents, as `aws logs tail --follow` does.
//
// # Promises
//
// The door keeps nothing and is safe for concurrent use. What PutLogEvents acknowledged is on disk and readable.
package logs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/logs"
)

// Door answers the CloudWatch Logs API.
type Door struct{ logs *logs.Logs }

// New makes the door.
func New(l *logs.Logs) *Door { return &Door{logs: l} }

// Service is the table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "logs", Title: "Amazon CloudWatch Logs", Protocol: wire.JSON11, TargetPrefix: "Logs_20140328",
		Errors: wire.JSONErrors().
			With(rouse.Invalid, "InvalidParameterException", 400).
			With(rouse.Conflict, "OperationAbortedException", 400).
			With(rouse.TooLarge, "InvalidParameterException", 400),
		Validation: "InvalidParameterException",
		// The messages of a full batch, each byte escaped in JSON as \u00XX.
		BodyMax: 8 << 20,
		Operations: slices.Concat(d.groupOperations(), d.streamOperations(), d.eventOperations(), d.tagOperations(),
			d.absentOperations()),
		NotImplemented: notImplemented(),
	}
}

func notImplemented() []string {
	return strings.Fields(`AssociateKmsKey AssociateSourceToS3TableIntegration CancelExportTask CancelImportTask CreateDelivery
		CreateExportTask CreateImportTask CreateLogAnomalyDetector CreateLookupTable CreateScheduledQuery DeleteAccountPolicy
		DeleteDataProtectionPolicy DeleteDelivery DeleteDeliveryDestination DeleteDeliveryDestinationPolicy
		DeleteDeliverySource DeleteDestination DeleteIndexPolicy DeleteIntegration DeleteLogAnomalyDetector DeleteLookupTable
		DeleteMetricFilter DeleteQueryDefinition DeleteResourcePolicy DeleteScheduledQuery DeleteSubscriptionFilter
		DeleteTransformer DescribeAccountPolicies DescribeConfigurationTemplates DescribeDeliveries
		DescribeDeliveryDestinations DescribeDeliverySources DescribeDestinations DescribeExportTasks DescribeFieldIndexes
		DescribeImportTaskBatches DescribeImportTasks DescribeIndexPolicies DescribeLookupTables
		DescribeQueries DescribeQueryDefinitions DisassociateKmsKey
		DisassociateSourceFromS3TableIntegration GetDataProtectionPolicy GetDelivery GetDeliveryDestination
		GetDeliveryDestinationPolicy GetDeliverySource GetIntegration GetLogAnomalyDetector GetLogFields GetLogGroupFields
		GetLogObject GetLogRecord GetLookupTable GetQueryResults GetScheduledQuery GetScheduledQueryHistory GetTransformer
		ListAggregateLogGroupSummaries ListAnomalies ListIntegrations ListLogAnomalyDetectors ListLogGroups
		ListLogGroupsForQuery ListScheduledQueries ListSourcesForS3TableIntegration PutAccountPolicy
		PutBearerTokenAuthentication PutDataProtectionPolicy PutDeliveryDestination PutDeliveryDestinationPolicy
		PutDeliverySource PutDestination PutDestinationPolicy PutIndexPolicy PutIntegration PutLogGroupDeletionProtection
		PutMetricFilter PutQueryDefinition PutResourcePolicy PutSubscriptionFilter PutTransformer StartLiveTail StartQuery
		StopQuery TestMetricFilter TestTransformer UpdateAnomaly UpdateDeliveryConfiguration UpdateLogAnomalyDetector
		UpdateLookupTable UpdateScheduledQuery`)
}

// groupNamed is an input about a group.
type groupNamed interface {
	group(d *Door, account string) (string, error)
}

// onGroup makes the needs of an action on a group.
func onGroup[In any, P interface {
	*In
	groupNamed
}](d *Door, action string) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		g, err := P(in).group(d, from.Principal.Account)
		if err != nil {
			return nil, err
		}
		return []rouse.Need{{Action: "logs:" + action, Resource: d.logs.StreamARN(from.Principal.Account, g, "")}}, nil
	}
}

// onStream makes the needs of an action on a stream.
func onStream[In any, P interface {
	*In
	groupNamed
	stream() string
}](d *Door, action string) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		g, err := P(in).group(d, from.Principal.Account)
		if err != nil {
			return nil, err
		}
		return []rouse.Need{{Action: "logs:" + action, Resource: d.logs.StreamARN(from.Principal.Account, g, P(in).stream())}}, nil
	}
}

// GroupInput names a group.
type GroupInput struct {
	LogGroupName string `wire:"logGroupName,required" min:"1" max:"512" pattern:"[\\.\\-_/#A-Za-z0-9]+"`
}

func (in *GroupInput) group(*Door, string) (string, error) { return in.LogGroupName, nil }

// AnyGroupInput names a group by name, or by name or ARN.
type AnyGroupInput struct {
	LogGroupName       string `wire:"logGroupName" min:"1" max:"512" pattern:"[\\.\\-_/#A-Za-z0-9]+"`
	LogGroupIdentifier string `wire:"logGroupIdentifier" min:"1" max:"2048" pattern:"[\\w#+=/:,.@-]*"`
}

func (in *AnyGroupInput) group(d *Door, account string) (string, error) {
	switch {
	case in.LogGroupName != "" && in.LogGroupIdentifier != "":
		return "", invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters.")
	case in.LogGroupName != "":
		return in.LogGroupName, nil
	case strings.HasPrefix(in.LogGroupIdentifier, "arn:"):
		return d.groupOfARN(account, in.LogGroupIdentifier)
	case in.LogGroupIdentifier != "":
		return in.LogGroupIdentifier, nil
	}
	return "", invalid("At least one of logGroupName or logGroupIdentifier must be specified.")
}

// groupARN is arn:aws:logs:REGION:ACCOUNT:log-group:NAME.
func (d *Door) groupARN(account, group string) string {
	return strings.TrimSuffix(d.logs.StreamARN(account, group, ""), ":log-stream:")
}

// groupOfARN reads a group's ARN, with or without ":*". Groups of other accounts and regions are not here.
func (d *Door) groupOfARN(account, arn string) (string, error) {
	a, err := rouse.ParseARN(arn)
	name, ok := strings.CutPrefix(a.Resource, "log-group:")
	name = strings.TrimSuffix(name, ":*")
	if err != nil || !ok || a.Service != "logs" || name == "" || strings.Contains(name, ":") {
		return "", invalid("Invalid ARN of a log group: %s", arn)
	}
	if strings.TrimSuffix(arn, ":*") != d.groupARN(account, name) {
		return "", rouse.Errorf(rouse.NotFound, "The specified log group does not exist.").WithCode("ResourceNotFoundException")
	}
	return name, nil
}

// StreamInput names a stream of a group.
type StreamInput struct {
	GroupInput
	LogStreamName string `wire:"logStreamName,required" min:"1" max:"512" pattern:"[^:*]*"`
}

func (in *StreamInput) stream() string { return in.LogStreamName }

func invalid(text string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, text, args...).WithCode("InvalidParameterException")
}

const listMax = 50

// limitOf is the size of a page of groups or streams.
func limitOf(n *int) int {
	if n == nil {
		return listMax
	}
	return *n
}

// bookmark is where a list goes on; opaque to clients.
type bookmark struct {
	Name string
	Last int64 `json:",omitempty"`
}

func (b bookmark) token() string {
	j, err := json.Marshal(b)
	if err != nil {
		panic("logs: a bookmark does not marshal: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(j)
}

func parseBookmark(token string) (b bookmark, err error) {
	j, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(j, &b)
	}
	if err != nil || b.Name == "" {
		return b, invalid("The specified nextToken is invalid.")
	}
	return b, nil
}

// timeOf is a time given in milliseconds.
func timeOf(ms *int64) *time.Time {
	if ms == nil {
		return nil
	}
	t := time.UnixMilli(*ms)
	return &t
}

func millisOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
