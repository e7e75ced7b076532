// Package streams is the door of Amazon DynamoDB Streams: the API by which programs read the changes of tables.
//
// It translates: a stream's ARN, shards and iterators are table's own, and so are order, retention and durability of the
// records. Permissions are asked for on the stream's ARN, for GetRecords on that of the iterator's stream. It speaks as
// the door of DynamoDB does (dynamodb.Speak) under a target prefix of its own.
//
// The door keeps nothing and is safe for concurrent use. Enhanced fan-out and shards that split are not there: a stream
// has one shard, which closes when the stream is turned off.
package streams

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/dynamodb"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
)

// Door answers the DynamoDB Streams API.
type Door struct {
	tables *table.Tables
	region string
}

// New makes the door.
func New(t *table.Tables, region string) *Door { return &Door{t, region} }

// Service is the table.
func (d *Door) Service() wire.Service {
	s := dynamodb.Speak("dynamodbstreams", "Amazon DynamoDB Streams", "DynamoDBStreams_20120810")
	s.Operations = []wire.Operation{
		wire.Op("ListStreams", "", d.needList, d.list),
		wire.Op("DescribeStream", "", d.needDescribe, d.describe, wire.Differs("a stream has one shard")),
		wire.Op("GetShardIterator", "", d.needIterator, d.iterator),
		wire.Op("GetRecords", "", d.needRecords, d.records),
	}
	return s
}

func account(from rouse.Origin) string { return from.Principal.Account }

// Stream names a stream.
type Stream struct {
	StreamArn string `wire:",required" min:"37" max:"1024"`
}

func (s *Stream) needs(action string) []rouse.Need {
	return []rouse.Need{{Action: "dynamodb:" + action, Resource: s.StreamArn}}
}

const (
	listMax    = 100
	recordsMax = 1000
)

// ListStreamsInput selects streams.
type ListStreamsInput struct {
	TableName               string `min:"3" max:"1024" pattern:"[a-zA-Z0-9_.:/-]+"`
	Limit                   *int   `min:"1" max:"100"`
	ExclusiveStartStreamArn string `min:"37" max:"1024"`

	arn string // as the table was given; "" for a name
}

// ListStreamsOutput is a page of streams.
type ListStreamsOutput struct {
	Streams                []StreamSummary
	LastEvaluatedStreamArn string
}

// StreamSummary is a stream in the list.
type StreamSummary struct{ StreamArn, TableName, StreamLabel string }

// Prepare takes the name out of an ARN.
func (in *ListStreamsInput) Prepare() error {
	if a, err := rouse.ParseARN(in.TableName); err == nil && strings.HasPrefix(a.Resource, "table/") {
		in.arn, in.TableName = in.TableName, strings.TrimPrefix(a.Resource, "table/")
	}
	return nil
}

func (d *Door) needList(_ context.Context, from rouse.Origin, in *ListStreamsInput) ([]rouse.Need, error) {
	if in.arn != "" && in.arn != d.tables.ARN(account(from), in.TableName) {
		return nil, rouse.Errorf(rouse.NotFound, "Requested resource not found: Table: %s not found", in.arn).
			WithCode("ResourceNotFoundException")
	}
	return []rouse.Need{{Action: "dynamodb:ListStreams", Resource: "*"}}, nil
}

func (d *Door) list(ctx context.Context, from rouse.Origin, in *ListStreamsInput) (*ListStreamsOutput, error) {
	limit := listMax
	if in.Limit != nil {
		limit = *in.Limit
	}
	list, last, err := d.tables.Streams(ctx, account(from), in.TableName, in.ExclusiveStartStreamArn, limit)
	if err != nil {
		return nil, err
	}
	out := &ListStreamsOutput{Streams: []StreamSummary{}, LastEvaluatedStreamArn: last}
	for _, s := range list {
		out.Streams = append(out.Streams, StreamSummary{s.ARN, s.Table, s.Label})
	}
	return out, nil
}

// DescribeStreamInput asks for a page of a stream's shards.
type DescribeStreamInput struct {
	Stream
	Limit                 *int   `min:"1" max:"100"`
	ExclusiveStartShardId string `min:"28" max:"65"`
	ShardFilter           *ShardFilter
}

// ShardFilter selects the children of a shard; there are none.
type ShardFilter struct {
	Type    string `enum:"CHILD_SHARDS"`
	ShardId string `min:"28" max:"65"`
}

// DescribeStreamOutput is the stream.
type DescribeStreamOutput struct{ StreamDescription *StreamDescription }

// StreamDescription is a stream as AWS shows it.
type StreamDescription struct {
	StreamArn               string
	StreamLabel             string
	StreamStatus            string
	StreamViewType          string
	CreationRequestDateTime time.Time
	TableName               string
	KeySchema               []dynamodb.KeySchemaElement
	Shards                  []Shard
	LastEvaluatedShardId    string
}

// Shard is a part of a stream.
type Shard struct {
	ShardId             string
	SequenceNumberRange SequenceNumberRange
	ParentShardId       string
}

// SequenceNumberRange is what a shard holds.
type SequenceNumberRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string
}

func (d *Door) needDescribe(_ context.Context, _ rouse.Origin, in *DescribeStreamInput) ([]rouse.Need, error) {
	return in.needs("DescribeStream"), nil
}

func (d *Door) describe(ctx context.Context, from rouse.Origin, in *DescribeStreamInput) (*DescribeStreamOutput, error) {
	s, err := d.tables.Stream(ctx, account(from), in.StreamArn)
	if err != nil {
		return nil, err
	}
	out := &StreamDescription{StreamArn: s.ARN, StreamLabel: s.Label, StreamStatus: string(s.Status), StreamViewType: string(s.View),
		CreationRequestDateTime: s.Created, TableName: s.Table, KeySchema: dynamodb.KeySchema(s.Key), Shards: []Shard{}}
	limit := listMax
	if in.Limit != nil {
		limit = *in.Limit
	}
	for _, sh := range s.Shards {
		if in.ShardFilter != nil || sh.ID <= in.ExclusiveStartShardId {
			continue
		}
		if len(out.Shards) == limit {
			out.LastEvaluatedShardId = out.Shards[limit-1].ShardId
			break
		}
		out.Shards = append(out.Shards, Shard{ShardId: sh.ID, SequenceNumberRange: SequenceNumberRange{sh.First, sh.Last}})
	}
	return &DescribeStreamOutput{out}, nil
}

// GetShardIteratorInput says where to begin reading.
type GetShardIteratorInput struct {
	Stream
	ShardId           string `wire:",required" min:"28" max:"65"`
	ShardIteratorType string `wire:",required" enum:"AFTER_SEQUENCE_NUMBER|LATEST|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
	SequenceNumber    string `min:"21" max:"40"`
}

// GetShardIteratorOutput is the place.
type GetShardIteratorOutput struct{ ShardIterator string }

func (d *Door) needIterator(_ context.Context, _ rouse.Origin, in *GetShardIteratorInput) ([]rouse.Need, error) {
	return in.needs("GetShardIterator"), nil
}

func (d *Door) iterator(ctx context.Context, from rouse.Origin, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	it, err := d.tables.Iterator(ctx, account(from), table.IteratorRequest{Stream: in.StreamArn, Shard: in.ShardId,
		Kind: table.IteratorKind(in.ShardIteratorType), Sequence: in.SequenceNumber})
	if err != nil {
		return nil, err
	}
	return &GetShardIteratorOutput{it}, nil
}

// GetRecordsInput asks for a page of changes.
type GetRecordsInput struct {
	ShardIterator string `wire:",required" min:"1" max:"2048"`
	Limit         *int   `min:"1" max:"1000"`
}

// GetRecordsOutput is the page.
type GetRecordsOutput struct {
	Records           []Record
	NextShardIterator string
}

// Record is a change.
type Record struct {
	AwsRegion    string        `wire:"awsRegion"`
	Dynamodb     *StreamRecord `wire:"dynamodb"`
	EventID      string        `wire:"eventID"`
	EventName    string        `wire:"eventName"`
	EventSource  string        `wire:"eventSource"`
	EventVersion string        `wire:"eventVersion"`
	UserIdentity *Identity     `wire:"userIdentity"`
}

// StreamRecord is what changed.
type StreamRecord struct {
	ApproximateCreationDateTime time.Time
	Keys                        attr.Item
	NewImage                    attr.Item
	OldImage                    attr.Item
	SequenceNumber              string
	SizeBytes                   int
	StreamViewType              string
}

// Identity is who changed it, where that was the service itself.
type Identity struct{ PrincipalId, Type string }

// needRecords asks for the stream that the iterator reads. One that cannot be read names none, and fails when it is used.
func (d *Door) needRecords(_ context.Context, _ rouse.Origin, in *GetRecordsInput) ([]rouse.Need, error) {
	arn, err := d.tables.IteratorStream(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	return []rouse.Need{{Action: "dynamodb:GetRecords", Resource: arn}}, nil
}

func (d *Door) records(ctx context.Context, from rouse.Origin, in *GetRecordsInput) (*GetRecordsOutput, error) {
	limit := recordsMax
	if in.Limit != nil {
		limit = *in.Limit
	}
	page, err := d.tables.Records(ctx, account(from), in.ShardIterator, limit)
	if err != nil {
		return nil, err
	}
	out := &GetRecordsOutput{Records: make([]Record, 0, len(page.Records)), NextShardIterator: page.Next}
	for _, r := range page.Records {
		out.Records = append(out.Records, d.record(r))
	}
	return out, nil
}

// record shows a change.
func (d *Door) record(r table.StreamRecord) Record {
	out := Record{AwsRegion: d.region, EventID: r.ID, EventName: r.Event, EventSource: "aws:dynamodb", EventVersion: "1.1",
		Dynamodb: &StreamRecord{ApproximateCreationDateTime: r.Created.Truncate(time.Second), Keys: attr.Item(r.Keys), NewImage: attr.Item(r.New),
			OldImage: attr.Item(r.Old), SequenceNumber: r.Sequence, SizeBytes: r.SizeBytes, StreamViewType: string(r.View)}}
	if r.Service {
		out.UserIdentity = &Identity{"dynamodb.amazonaws.com", "Service"}
	}
	return out
}
