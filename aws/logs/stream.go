package logs

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/logs"
)

func (d *Door) streamOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateLogStream", "", onStream[StreamInput](d, "CreateLogStream"), d.createStream),
		wire.Op("DeleteLogStream", "", onStream[StreamInput](d, "DeleteLogStream"), d.deleteStream),
		wire.Op("DescribeLogStreams", "", onGroup[DescribeLogStreamsInput](d, "DescribeLogStreams"), d.describeStreams),
	}
}

func (d *Door) createStream(ctx context.Context, from rouse.Origin, in *StreamInput) (*wire.None, error) {
	return nil, d.logs.CreateStream(ctx, from.Principal.Account, in.LogGroupName, in.LogStreamName)
}

func (d *Door) deleteStream(ctx context.Context, from rouse.Origin, in *StreamInput) (*wire.None, error) {
	return nil, d.logs.DeleteStream(ctx, from.Principal.Account, in.LogGroupName, in.LogStreamName)
}

// DescribeLogStreamsInput selects streams of a group.
type DescribeLogStreamsInput struct {
	AnyGroupInput
	LogStreamNamePrefix string `wire:"logStreamNamePrefix" min:"1" max:"512" pattern:"[^:*]*"`
	OrderBy             string `wire:"orderBy" enum:"LogStreamName|LastEventTime"`
	Descending          bool   `wire:"descending"`
	NextToken           string `wire:"nextToken" min:"1"`
	Limit               *int   `wire:"limit" min:"1" max:"50"`
}

// Stream as CloudWatch shows it.
type Stream struct {
	LogStreamName       string `wire:"logStreamName"`
	CreationTime        *int64 `wire:"creationTime"`
	FirstEventTimestamp *int64 `wire:"firstEventTimestamp"`
	LastEventTimestamp  *int64 `wire:"lastEventTimestamp"`
	LastIngestionTime   *int64 `wire:"lastIngestionTime"`
	UploadSequenceToken string `wire:"uploadSequenceToken"`
	Arn                 string `wire:"arn"`
	StoredBytes         int64  `wire:"storedBytes"` // 0 for streams, as on AWS since 2019
}

// DescribeLogStreamsOutput is a page of streams.
type DescribeLogStreamsOutput struct {
	LogStreams []Stream `wire:"logStreams"`
	NextToken  string   `wire:"nextToken"`
}

func (d *Door) describeStreams(ctx context.Context, from rouse.Origin, in *DescribeLogStreamsInput) (*DescribeLogStreamsOutput, error) {
	group, err := in.group(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	q := logs.StreamQuery{Account: from.Principal.Account, Group: group, Prefix: in.LogStreamNamePrefix,
		ByTime: in.OrderBy == "LastEventTime", Descending: in.Descending, Limit: limitOf(in.Limit)}
	if q.ByTime && q.Prefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	if in.NextToken != "" {
		b, err := parseBookmark(in.NextToken)
		if err != nil {
			return nil, err
		}
		q.After = &logs.Stream{Name: b.Name}
		if b.Last != 0 {
			q.After.Last = time.UnixMilli(b.Last)
		}
	}
	list, more, err := d.logs.Streams(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &DescribeLogStreamsOutput{LogStreams: []Stream{}}
	for _, s := range list {
		out.LogStreams = append(out.LogStreams, Stream{
			LogStreamName: s.Name, CreationTime: millisOf(s.Created), FirstEventTimestamp: millisOf(s.First),
			LastEventTimestamp: millisOf(s.Last), LastIngestionTime: millisOf(s.Ingested), UploadSequenceToken: sequenceToken,
			Arn: d.logs.StreamARN(q.Account, group, s.Name),
		})
	}
	if more {
		last := list[len(list)-1]
		b := bookmark{Name: last.Name}
		if ms := millisOf(last.Last); ms != nil {
			b.Last = *ms
		}
		out.NextToken = b.token()
	}
	return out, nil
}

// sequenceToken is given to clients that still want one; CloudWatch has ignored it since 2023, and so does Rouse.
const sequenceToken = "49590302989603129024104404960000000000000000000000000000"

func (d *Door) eventOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("PutLogEvents", "", onStream[PutLogEventsInput](d, "PutLogEvents"), d.putEvents, wire.Unaudited(),
			wire.Refuse("entity")),
		wire.Op("GetLogEvents", "", onStream[GetLogEventsInput](d, "GetLogEvents"), d.getEvents),
		wire.Op("FilterLogEvents", "", onGroup[FilterLogEventsInput](d, "FilterLogEvents"), d.filterEvents),
	}
}

// InputEvent is an event that a client brings.
type InputEvent struct {
	Timestamp *int64 `wire:"timestamp,required" min:"0"`
	Message   string `wire:"message,required" min:"1"`
}

// PutLogEventsInput stores events.
type PutLogEventsInput struct {
	StreamInput
	LogEvents     []InputEvent `wire:"logEvents,required" min:"1" max:"10000"`
	SequenceToken string       `wire:"sequenceToken" min:"1"`
}

// RejectedInfo says which events were not stored, by index.
type RejectedInfo struct {
	TooNewLogEventStartIndex *int `wire:"tooNewLogEventStartIndex"`
	TooOldLogEventEndIndex   *int `wire:"tooOldLogEventEndIndex"`
	ExpiredLogEventEndIndex  *int `wire:"expiredLogEventEndIndex"`
}

// PutLogEventsOutput says what became of them.
type PutLogEventsOutput struct {
	NextSequenceToken     string        `wire:"nextSequenceToken"`
	RejectedLogEventsInfo *RejectedInfo `wire:"rejectedLogEventsInfo"`
}

func (d *Door) putEvents(ctx context.Context, from rouse.Origin, in *PutLogEventsInput) (*PutLogEventsOutput, error) {
	events := make([]logs.Put, len(in.LogEvents))
	for i, e := range in.LogEvents {
		events[i] = logs.Put{Time: time.UnixMilli(*e.Timestamp), Message: e.Message}
	}
	rejected, err := d.logs.Put(ctx, from.Principal.Account, in.LogGroupName, in.LogStreamName, events)
	if err != nil {
		return nil, err
	}
	out := &PutLogEventsOutput{NextSequenceToken: sequenceToken}
	info := RejectedInfo{index(rejected.TooNew), index(rejected.TooOld), index(rejected.Expired)}
	if info != (RejectedInfo{}) {
		out.RejectedLogEventsInfo = &info
	}
	return out, nil
}

func index(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// GetLogEventsInput asks for a page of a stream.
type GetLogEventsInput struct {
	AnyGroupInput
	LogStreamName string `wire:"logStreamName,required" min:"1" max:"512" pattern:"[^:*]*"`
	StartTime     *int64 `wire:"startTime" min:"0"`
	EndTime       *int64 `wire:"endTime" min:"0"`
	NextToken     string `wire:"nextToken" min:"1"`
	Limit         int    `wire:"limit" min:"1" max:"10000"`
	StartFromHead bool   `wire:"startFromHead"`
	Unmask        bool   `wire:"unmask"` // nothing is masked
}

func (in *GetLogEventsInput) stream() string { return in.LogStreamName }

// OutputEvent is an event of a stream.
type OutputEvent struct {
	Timestamp     int64  `wire:"timestamp"`
	Message       string `wire:"message"`
	IngestionTime int64  `wire:"ingestionTime"`
}

// GetLogEventsOutput is a page of a stream.
type GetLogEventsOutput struct {
	Events            []OutputEvent `wire:"events"`
	NextForwardToken  string        `wire:"nextForwardToken"`
	NextBackwardToken string        `wire:"nextBackwardToken"`
}

func (d *Door) getEvents(ctx context.Context, from rouse.Origin, in *GetLogEventsInput) (*GetLogEventsOutput, error) {
	group, err := in.group(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	p, err := d.logs.Events(ctx, logs.Query{Account: from.Principal.Account, Group: group, Stream: in.LogStreamName,
		Start: timeOf(in.StartTime), End: timeOf(in.EndTime), Limit: in.Limit, FromHead: in.StartFromHead, Token: in.NextToken})
	if err != nil {
		return nil, err
	}
	out := &GetLogEventsOutput{Events: []OutputEvent{}, NextForwardToken: p.Forward, NextBackwardToken: p.Backward}
	for _, e := range p.Events {
		out.Events = append(out.Events, OutputEvent{e.Time.UnixMilli(), text(e.Message), e.Ingested.UnixMilli()})
	}
	return out, nil
}

// text is a message as JSON can hold it: a function may have printed any bytes.
func text(message string) string { return strings.ToValidUTF8(message, "\uFFFD") }

// FilterLogEventsInput searches a group.
type FilterLogEventsInput struct {
	AnyGroupInput
	LogStreamNames      []string `wire:"logStreamNames" min:"1" max:"100"`
	LogStreamNamePrefix string   `wire:"logStreamNamePrefix" min:"1" max:"512" pattern:"[^:*]*"`
	StartTime           *int64   `wire:"startTime" min:"0"`
	EndTime             *int64   `wire:"endTime" min:"0"`
	FilterPattern       string   `wire:"filterPattern" max:"1024"`
	NextToken           string   `wire:"nextToken" min:"1"`
	Limit               int      `wire:"limit" min:"1" max:"10000"`
	Interleaved         bool     `wire:"interleaved"` // always so, as on AWS since 2019
	Unmask              bool     `wire:"unmask"`      // nothing is masked
}

// FoundEvent is an event of a group.
type FoundEvent struct {
	LogStreamName string `wire:"logStreamName"`
	Timestamp     int64  `wire:"timestamp"`
	Message       string `wire:"message"`
	IngestionTime int64  `wire:"ingestionTime"`
	EventId       string `wire:"eventId"`
}

// SearchedStream is never sent: AWS leaves the list empty.
type SearchedStream struct {
	LogStreamName      string `wire:"logStreamName"`
	SearchedCompletely bool   `wire:"searchedCompletely"`
}

// FilterLogEventsOutput is a page of a search.
type FilterLogEventsOutput struct {
	Events             []FoundEvent     `wire:"events"`
	SearchedLogStreams []SearchedStream `wire:"searchedLogStreams"`
	NextToken          string           `wire:"nextToken"`
}

func (d *Door) filterEvents(ctx context.Context, from rouse.Origin, in *FilterLogEventsInput) (*FilterLogEventsOutput, error) {
	group, err := in.group(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "" {
		return nil, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
	}
	f, err := d.logs.Search(ctx, logs.Search{Account: from.Principal.Account, Group: group, Streams: in.LogStreamNames,
		StreamPrefix: in.LogStreamNamePrefix, Start: timeOf(in.StartTime), End: timeOf(in.EndTime), Pattern: in.FilterPattern,
		Limit: in.Limit, Token: in.NextToken})
	if err != nil {
		return nil, err
	}
	out := &FilterLogEventsOutput{Events: []FoundEvent{}, SearchedLogStreams: []SearchedStream{}, NextToken: f.Token}
	for _, e := range f.Events {
		out.Events = append(out.Events, FoundEvent{e.Stream, e.Time.UnixMilli(), text(e.Message), e.Ingested.UnixMilli(), e.ID()})
	}
	return out, nil
}
