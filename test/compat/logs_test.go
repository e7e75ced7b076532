package compat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// makeGroup makes a log group and removes it when t ends.
func (c *goClients) makeGroup(t *testing.T, name string) *string {
	t.Helper()
	_, err := c.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name),
		Tags: map[string]string{"team": "shop"}})
	check(t, err, "create log group "+name)
	t.Cleanup(func() {
		var gone *types.ResourceNotFoundException
		_, err := c.logs.DeleteLogGroup(context.Background(),
			&cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(name)})
		if err != nil && !errors.As(err, &gone) {
			t.Errorf("delete log group %s: %v", name, err)
		}
	})
	return aws.String(name)
}

// groupsNamed asks for the groups of a prefix.
func groupsNamed(prefix string) *cloudwatchlogs.DescribeLogGroupsInput {
	return &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(prefix)}
}

func testLogs(t *testing.T, c *goClients) {
	ctx := t.Context()
	for i := range 4 {
		c.makeGroup(t, fmt.Sprintf("go/logs/%d", i))
	}
	var names []string
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(c.logs, &cloudwatchlogs.DescribeLogGroupsInput{
		LogGroupNamePrefix: aws.String("go/logs/"), Limit: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
			want(t, aws.ToString(g.Arn), "arn:aws:logs:us-east-1:000000000000:log-group:"+*g.LogGroupName+":*", "Arn")
		}
	}
	want(t, strings.Join(names, " "), "go/logs/0 go/logs/1 go/logs/2 go/logs/3", "groups")
	group := aws.String("go/logs/0")
	_, err := c.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: group,
		RetentionInDays: aws.Int32(7)})
	check(t, err, "put retention")
	got, err := c.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: group})
	check(t, err, "describe group")
	want(t, aws.ToInt32(got.LogGroups[0].RetentionInDays), 7, "RetentionInDays")
	_, err = c.logs.DeleteRetentionPolicy(ctx, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: group})
	check(t, err, "delete retention")
	arn := aws.String("arn:aws:logs:us-east-1:000000000000:log-group:go/logs/0")
	_, err = c.logs.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: arn,
		Tags: map[string]string{"stage": "test"}})
	check(t, err, "tag")
	_, err = c.logs.UntagResource(ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}})
	check(t, err, "untag")
	tags, err := c.logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: arn})
	check(t, err, "list tags")
	want(t, fmt.Sprint(tags.Tags), "map[stage:test]", "tags")

	for i := range 5 {
		_, err := c.logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group,
			LogStreamName: aws.String(fmt.Sprintf("s%d", i))})
		check(t, err, "create stream")
	}
	count := 0
	streams := cloudwatchlogs.NewDescribeLogStreamsPaginator(c.logs,
		&cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, Limit: aws.Int32(2)})
	for streams.HasMorePages() {
		page, err := streams.NextPage(ctx)
		check(t, err, "next page")
		count += len(page.LogStreams)
	}
	want(t, count, 5, "streams on all pages")
	_, err = c.logs.DeleteLogStream(ctx, &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: group,
		LogStreamName: aws.String("s0")})
	check(t, err, "delete stream")
}

func testLogEvents(t *testing.T, c *goClients) {
	ctx, stream := t.Context(), aws.String("2026/shop")
	group := c.makeGroup(t, "go/events")
	_, err := c.logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group,
		LogStreamName: stream})
	check(t, err, "create stream")
	now := time.Now().UnixMilli()
	var events []types.InputLogEvent
	for i := range 25 {
		text := fmt.Sprintf("line %02d", i)
		if i%5 == 0 {
			text = fmt.Sprintf(`{"level":"ERROR","code":%d}`, i)
		}
		events = append(events, types.InputLogEvent{Message: aws.String(text),
			Timestamp: aws.Int64(now - 25 + int64(i))})
	}
	put, err := c.logs.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream,
		LogEvents: events})
	check(t, err, "put events")
	want(t, put.RejectedLogEventsInfo == nil, true, "nothing was rejected")

	count := 0
	pages := cloudwatchlogs.NewGetLogEventsPaginator(c.logs, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: group, LogStreamName: stream, StartFromHead: aws.Bool(true), Limit: aws.Int32(10),
	}, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, e := range page.Events {
			want(t, aws.ToString(e.Message), aws.ToString(events[count].Message), fmt.Sprintf("event %d", count))
			want(t, aws.ToInt64(e.Timestamp), aws.ToInt64(events[count].Timestamp),
				fmt.Sprintf("time of event %d", count))
			count++
		}
	}
	want(t, count, 25, "events on all pages of GetLogEvents")
	last, err := c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream,
		Limit: aws.Int32(3)})
	check(t, err, "get the last events")
	want(t, aws.ToString(last.Events[0].Message), "line 22", "first of the last three")

	for pattern, wants := range map[string]int{"": 25, "line": 20, `"line 07"`: 1, `{ $.code > 10 }`: 2,
		`{ $.level = "ERROR" }`: 5, "-line": 5, "?07 ?08": 2} {
		count := 0
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, Limit: aws.Int32(4)}
		if pattern != "" {
			in.FilterPattern = aws.String(pattern)
		}
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(c.logs, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			check(t, err, "next page")
			if len(page.Events) > 4 {
				t.Fatalf("got a page of %d events, want at most 4", len(page.Events))
			}
			count += len(page.Events)
		}
		want(t, count, wants, fmt.Sprintf("events that match %q", pattern))
	}
	some, err := c.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: group, LogStreamNamePrefix: aws.String("2026/"), StartTime: aws.Int64(now - 20),
		EndTime: aws.Int64(now - 16)})
	check(t, err, "filter by time")
	want(t, aws.ToString(some.Events[0].LogStreamName), *stream, "LogStreamName")
	if n := len(some.Events); n != 4 && n != 5 { // whether the end counts is documented both ways
		t.Errorf("events within 4 ms: got %d, want 4 or 5", n)
	}
}

func testLogErrors(t *testing.T, c *goClients) {
	ctx := t.Context()
	group, nobody := c.makeGroup(t, "go/errors"), aws.String("go/nobody")
	_, err := c.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	e := typed[*types.ResourceAlreadyExistsException](t, err, "create it twice")
	want(t, e.ErrorMessage(), "The specified log group already exists", "message")
	_, err = c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: nobody, LogStreamName: nobody})
	gone := typed[*types.ResourceNotFoundException](t, err, "get events of no group")
	want(t, gone.ErrorMessage(), "The specified log group does not exist.", "message")
	_, err = c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: nobody})
	gone = typed[*types.ResourceNotFoundException](t, err, "get events of no stream")
	want(t, gone.ErrorMessage(), "The specified log stream does not exist.", "message")
	_, err = c.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group,
		FilterPattern: aws.String("{ $.a = ")})
	typed[*types.InvalidParameterException](t, err, "filter by a broken pattern")
	_, err = c.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: group,
		RetentionInDays: aws.Int32(8)})
	typed[*types.InvalidParameterException](t, err, "keep for 8 days")
	_, err = c.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("go errors")})
	typed[*types.InvalidParameterException](t, err, "create a group with a space")
	_, err = c.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: nobody})
	typed[*types.ResourceNotFoundException](t, err, "delete no group")
}

// testFunctionLogs finds what a function printed where Lambda puts it.
func testFunctionLogs(t *testing.T, c *goClients) {
	ctx, group := t.Context(), aws.String("/aws/lambda/go-function-logs")
	c.create(t, c.function(t, "go-function-logs", pythonEcho))
	c.invoke(t, "go-function-logs", `{"needle":17}`)
	until(t, waitMax, "the lines", func() bool {
		out, err := c.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group,
			FilterPattern: aws.String("REPORT")})
		return err == nil && len(out.Events) == 1
	})
	streams, err := c.logs.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: group, OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)})
	check(t, err, "describe streams")
	want(t, len(streams.LogStreams), 1, "streams")
	contains(t, aws.ToString(streams.LogStreams[0].LogStreamName), time.Now().UTC().Format("2006/")[:5],
		"stream's name")
	contains(t, aws.ToString(streams.LogStreams[0].LogStreamName), "[$LATEST]", "stream's name")
	out, err := c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: group, LogStreamName: streams.LogStreams[0].LogStreamName, StartFromHead: aws.Bool(true)})
	check(t, err, "get events")
	var kinds []string
	for _, e := range out.Events {
		word, _, _ := strings.Cut(*e.Message, " ")
		kinds = append(kinds, word)
	}
	text := strings.Join(kinds, " ")
	want(t, strings.TrimPrefix(text, "INIT_START "), "START saw END REPORT", "first words of the lines")
	_, err = c.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: group})
	check(t, err, "delete the group")
}
