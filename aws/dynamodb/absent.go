package dynamodb

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// What tools ask for whenever they look at a table, and Rouse does not have: the answers say that there is none. Making
// such a thing is refused.
func (d *Door) absentOperations() []wire.Operation {
	never := wire.Differs("there never are any")
	off := wire.Differs("it is never enabled")
	return []wire.Operation{
		wire.Op("DescribeLimits", "", everywhere[None](d, "DescribeLimits"), d.describeLimits, wire.Differs("AWS's figures; nothing is limited by them")),
		wire.Op("DescribeEndpoints", "", everywhere[None](d, "DescribeEndpoints"), d.describeEndpoints),
		wire.Op("DescribeContinuousBackups", "", named[DescribeContinuousBackupsInput](d, "DescribeContinuousBackups"), d.continuousBackups, off),
		wire.Op("UpdateContinuousBackups", "", named[UpdateContinuousBackupsInput](d, "UpdateContinuousBackups"), d.updateBackups,
			wire.Refuse("PointInTimeRecoverySpecification.RecoveryPeriodInDays"),
			wire.RefuseExcept("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", "false")),
		wire.Op("DescribeContributorInsights", "", named[InsightsInput](d, "DescribeContributorInsights"), d.insights, off),
		wire.Op("DescribeKinesisStreamingDestination", "", named[DestinationInput](d, "DescribeKinesisStreamingDestination"), d.destinations, never),
		wire.Op("GetResourcePolicy", "", d.needPolicy, d.policy, never),
		wire.Op("ListBackups", "", everywhere[ListBackupsInput](d, "ListBackups"), empty[ListBackupsInput](&ListBackupsOutput{[]Absent{}}), never),
		wire.Op("ListExports", "", everywhere[ListExportsInput](d, "ListExports"), empty[ListExportsInput](&ListExportsOutput{[]Absent{}}), never),
		wire.Op("ListImports", "", everywhere[ListImportsInput](d, "ListImports"), empty[ListImportsInput](&ListImportsOutput{[]Absent{}}), never),
		wire.Op("ListGlobalTables", "", everywhere[ListGlobalTablesInput](d, "ListGlobalTables"),
			empty[ListGlobalTablesInput](&ListGlobalTablesOutput{[]Absent{}}), never),
		wire.Op("ListContributorInsights", "", everywhere[ListInsightsInput](d, "ListContributorInsights"),
			empty[ListInsightsInput](&ListInsightsOutput{[]Absent{}}), never),
	}
}

// everywhere makes the needs of an operation on no table.
func everywhere[In any](_ *Door, action string) needsOf[In] {
	return func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
		return []rouse.Need{{Action: "dynamodb:" + action, Resource: "*"}}, nil
	}
}

// empty is the handler of a list that is always empty.
func empty[In, Out any](out *Out) func(context.Context, rouse.Origin, *In) (*Out, error) {
	return func(context.Context, rouse.Origin, *In) (*Out, error) { return out, nil }
}

// None is an input without members.
type None struct{}

// Absent is an item of a list that is always empty.
type Absent struct{}

// Limits are AWS's quotas of capacity in a new account.
type Limits struct {
	AccountMaxReadCapacityUnits  int64
	AccountMaxWriteCapacityUnits int64
	TableMaxReadCapacityUnits    int64
	TableMaxWriteCapacityUnits   int64
}

func (d *Door) describeLimits(context.Context, rouse.Origin, *None) (*Limits, error) {
	return &Limits{80000, 80000, 40000, 40000}, nil
}

// Endpoints are where to reach the service.
type Endpoints struct{ Endpoints []Endpoint }

// Endpoint is where, and for how long that holds.
type Endpoint struct {
	Address              string
	CachePeriodInMinutes int64
}

func (d *Door) describeEndpoints(context.Context, rouse.Origin, *None) (*Endpoints, error) {
	return &Endpoints{[]Endpoint{{d.endpoint, 1440}}}, nil
}

// DescribeContinuousBackupsInput names a table.
type DescribeContinuousBackupsInput struct{ ItemsTable }

// UpdateContinuousBackupsInput turns off what is off.
type UpdateContinuousBackupsInput struct {
	ItemsTable
	PointInTimeRecoverySpecification *PointInTimeRecoverySpecification `wire:",required"`
}

// PointInTimeRecoverySpecification is what is asked for.
type PointInTimeRecoverySpecification struct {
	PointInTimeRecoveryEnabled *bool `wire:",required"`
}

// BackupsOutput says that nothing is backed up.
type BackupsOutput struct {
	ContinuousBackupsDescription *ContinuousBackupsDescription
}

// ContinuousBackupsDescription is the state of backups.
type ContinuousBackupsDescription struct {
	ContinuousBackupsStatus        string
	PointInTimeRecoveryDescription *PointInTimeRecoveryDescription
}

// PointInTimeRecoveryDescription is the state of recovery.
type PointInTimeRecoveryDescription struct{ PointInTimeRecoveryStatus string }

func (d *Door) noBackups(ctx context.Context, from rouse.Origin, t *ItemsTable) (*BackupsOutput, error) {
	if _, err := d.tables.Schema(ctx, account(from), t.table()); err != nil {
		if rouse.KindOf(err) == rouse.NotFound {
			return nil, rouse.Errorf(rouse.NotFound, "Table not found: %s", t.table()).WithCode("TableNotFoundException")
		}
		return nil, err
	}
	return &BackupsOutput{&ContinuousBackupsDescription{"DISABLED", &PointInTimeRecoveryDescription{"DISABLED"}}}, nil
}

func (d *Door) continuousBackups(ctx context.Context, from rouse.Origin, in *DescribeContinuousBackupsInput) (*BackupsOutput, error) {
	return d.noBackups(ctx, from, &in.ItemsTable)
}

func (d *Door) updateBackups(ctx context.Context, from rouse.Origin, in *UpdateContinuousBackupsInput) (*BackupsOutput, error) {
	return d.noBackups(ctx, from, &in.ItemsTable)
}

// InsightsInput names a table or an index.
type InsightsInput struct {
	ItemsTable
	IndexName string `min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
}

// InsightsOutput says that there are none.
type InsightsOutput struct {
	TableName                 string
	IndexName                 string
	ContributorInsightsStatus string
}

func (d *Door) insights(ctx context.Context, from rouse.Origin, in *InsightsInput) (*InsightsOutput, error) {
	if _, err := d.tables.Schema(ctx, account(from), in.table()); err != nil {
		return nil, err
	}
	return &InsightsOutput{in.table(), in.IndexName, "DISABLED"}, nil
}

// DestinationInput names a table.
type DestinationInput struct{ ItemsTable }

// DestinationOutput is empty.
type DestinationOutput struct {
	TableName                     string
	KinesisDataStreamDestinations []Absent
}

func (d *Door) destinations(ctx context.Context, from rouse.Origin, in *DestinationInput) (*DestinationOutput, error) {
	if _, err := d.tables.Schema(ctx, account(from), in.table()); err != nil {
		return nil, err
	}
	return &DestinationOutput{in.table(), []Absent{}}, nil
}

// PolicyInput names a table or a stream by ARN.
type PolicyInput struct {
	ResourceArn *string `wire:",required" min:"1" max:"1283"`
}

func (d *Door) needPolicy(_ context.Context, _ rouse.Origin, in *PolicyInput) ([]rouse.Need, error) {
	return []rouse.Need{{Action: "dynamodb:GetResourcePolicy", Resource: *in.ResourceArn}}, nil
}

func (d *Door) policy(ctx context.Context, from rouse.Origin, in *PolicyInput) (*wire.None, error) {
	arn := *in.ResourceArn
	if name, ok := strings.CutPrefix(arn, d.arnOf(from, "")); ok && !strings.Contains(name, "/") {
		if _, err := d.tables.Describe(ctx, account(from), name); err != nil {
			return nil, err
		}
	}
	return nil, rouse.Errorf(rouse.NotFound, "Resource-based policy not found for the provided ResourceArn: %s", arn).
		WithCode("PolicyNotFoundException")
}

// ListBackupsInput selects backups.
type ListBackupsInput struct {
	TableName               string
	Limit                   *int `min:"1" max:"100"`
	TimeRangeLowerBound     *time.Time
	TimeRangeUpperBound     *time.Time
	ExclusiveStartBackupArn string
	BackupType              string `enum:"USER|SYSTEM|AWS_BACKUP|ALL"`
}

// ListBackupsOutput is empty.
type ListBackupsOutput struct{ BackupSummaries []Absent }

// ListExportsInput selects exports.
type ListExportsInput struct {
	TableArn   string
	MaxResults *int `min:"1" max:"25"`
	NextToken  string
}

// ListExportsOutput is empty.
type ListExportsOutput struct{ ExportSummaries []Absent }

// ListImportsInput selects imports.
type ListImportsInput struct {
	TableArn  string
	PageSize  *int `min:"1" max:"25"`
	NextToken string
}

// ListImportsOutput is empty.
type ListImportsOutput struct{ ImportSummaryList []Absent }

// ListGlobalTablesInput selects tables of the first kind of replication.
type ListGlobalTablesInput struct {
	ExclusiveStartGlobalTableName string
	Limit                         *int `min:"1"`
	RegionName                    string
}

// ListGlobalTablesOutput is empty.
type ListGlobalTablesOutput struct{ GlobalTables []Absent }

// ListInsightsInput selects contributor insights.
type ListInsightsInput struct {
	TableName  string
	NextToken  string
	MaxResults *int `max:"100"`
}

// ListInsightsOutput is empty.
type ListInsightsOutput struct{ ContributorInsightsSummaries []Absent }
