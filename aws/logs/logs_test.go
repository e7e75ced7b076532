package logs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	door "github.com/rouse-dev/rouse/aws/logs"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/logs"
)

const (
	acc     = "123456789012"
	arnBase = "arn:aws:logs:us-east-1:123456789012:log-group:"
)

type house struct {
	t    *testing.T
	door *door.Door
}

func open(t *testing.T) *house {
	t.Helper()
	room, err := logs.Open(t.Context(), logs.Config{Store: kvtest.Memory(t)})
	if err != nil {
		t.Fatal(err)
	}
	return &house{t, door.New(room)}
}

type in = map[string]any

var root = rouse.Origin{Root: true, Principal: rouse.Principal{Account: acc, ARN: "arn:aws:iam::" + acc + ":root"}}

// send calls an operation as a client does.
func (h *house) send(operation string, input in) (int, map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		h.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	resp := wiretest.Roundtrip(h.t, h.door.Service(), root, r)
	text, _ := io.ReadAll(resp.Body)
	var m map[string]any
	if len(text) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.UseNumber()
		if err := dec.Decode(&m); err != nil {
			h.t.Fatalf("%s: got %q, want JSON", operation, text)
		}
	}
	return resp.StatusCode, m
}

func (h *house) ok(operation string, input in) map[string]any {
	h.t.Helper()
	status, m := h.send(operation, input)
	if status != 200 {
		h.t.Fatalf("%s %v: got %d %v, want 200", operation, input, status, m)
	}
	return m
}

func (h *house) fails(operation string, input in, code, text string) {
	h.t.Helper()
	status, m := h.send(operation, input)
	if status < 400 || !strings.Contains(at(m, "__type"), code) || !strings.Contains(at(m, "message"), text) {
		h.t.Errorf("%s %v: got %d %v, want %s %q", operation, input, status, m, code, text)
	}
}

// at follows a path such as "logGroups.0.arn".
func at(v any, path string) string {
	for p := range strings.SplitSeq(path, ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[p]
		case []any:
			var i int
			if _, err := fmt.Sscan(p, &i); err != nil || i >= len(t) {
				return "<none>"
			}
			v = t[i]
		}
	}
	if v == nil {
		return "<none>"
	}
	return fmt.Sprint(v)
}

func want(t *testing.T, v any, paths map[string]string) {
	t.Helper()
	for path, w := range paths {
		if got := at(v, path); got != w {
			t.Errorf("%s: got %s, want %s", path, got, w)
		}
	}
}

func TestTable(t *testing.T) {
	s := open(t).door.Service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "logs/2014-03-28")
}

func TestGroups(t *testing.T) {
	h := open(t)
	for _, n := range []string{"/aws/lambda/a", "/aws/lambda/b", "other"} {
		want(t, h.ok("CreateLogGroup", in{"logGroupName": n, "tags": in{"k": n}}), nil)
	}
	h.fails("CreateLogGroup", in{"logGroupName": "other"}, "ResourceAlreadyExistsException", "The specified log group already exists")
	h.fails("CreateLogGroup", in{"logGroupName": "a b"}, "InvalidParameterException", "logGroupName")
	h.fails("CreateLogGroup", in{}, "InvalidParameterException", "Member must not be null")
	h.fails("CreateLogGroup", in{"logGroupName": "x", "kmsKeyId": "k"}, "NotImplemented", "kmsKeyId")
	h.fails("CreateLogGroup", in{"logGroupName": "x", "logGroupClass": "INFREQUENT_ACCESS"}, "NotImplemented", "logGroupClass")
	h.ok("CreateLogGroup", in{"logGroupName": "x", "logGroupClass": "STANDARD"})
	h.ok("DeleteLogGroup", in{"logGroupName": "x"})
	m := h.ok("DescribeLogGroups", in{"limit": 2})
	want(t, m, map[string]string{"logGroups.0.logGroupName": "/aws/lambda/a", "logGroups.0.arn": arnBase + "/aws/lambda/a:*",
		"logGroups.0.logGroupArn": arnBase + "/aws/lambda/a", "logGroups.0.storedBytes": "0", "logGroups.0.retentionInDays": "<none>"})
	want(t, h.ok("DescribeLogGroups", in{"limit": 2, "nextToken": at(m, "nextToken")}),
		map[string]string{"logGroups.0.logGroupName": "other", "nextToken": "<none>"})
	want(t, h.ok("DescribeLogGroups", in{"logGroupNamePrefix": "/aws"}), map[string]string{"logGroups.1.logGroupName": "/aws/lambda/b", "logGroups.2": "<none>"})
	want(t, h.ok("DescribeLogGroups", in{"logGroupNamePattern": "HER"}), map[string]string{"logGroups.0.logGroupName": "other"})
	h.fails("DescribeLogGroups", in{"logGroupNamePattern": "a", "logGroupNamePrefix": "b"}, "InvalidParameterException", "mutually exclusive")
	h.fails("DescribeLogGroups", in{"nextToken": "?"}, "InvalidParameterException", "The specified nextToken is invalid.")
	h.fails("DescribeLogGroups", in{"limit": 51}, "InvalidParameterException", "limit")
	h.ok("PutRetentionPolicy", in{"logGroupName": "other", "retentionInDays": 14})
	want(t, h.ok("DescribeLogGroups", in{"logGroupNamePrefix": "other"}), map[string]string{"logGroups.0.retentionInDays": "14"})
	h.fails("PutRetentionPolicy", in{"logGroupName": "other", "retentionInDays": 2}, "InvalidParameterException", "enum value set")
	h.ok("DeleteRetentionPolicy", in{"logGroupName": "other"})
	h.fails("DeleteRetentionPolicy", in{"logGroupName": "none"}, "ResourceNotFoundException", "The specified log group does not exist.")

	h.ok("TagLogGroup", in{"logGroupName": "other", "tags": in{"a": "1"}})
	h.ok("TagResource", in{"resourceArn": arnBase + "other", "tags": in{"b": "2"}})
	h.ok("UntagLogGroup", in{"logGroupName": "other", "tags": []string{"k"}})
	want(t, h.ok("ListTagsLogGroup", in{"logGroupName": "other"}), map[string]string{"tags.a": "1", "tags.b": "2", "tags.k": "<none>"})
	h.ok("UntagResource", in{"resourceArn": arnBase + "other", "tagKeys": []string{"a", "b"}})
	want(t, h.ok("ListTagsForResource", in{"resourceArn": arnBase + "other"}), map[string]string{"tags": "map[]"})
	h.fails("ListTagsForResource", in{"resourceArn": "arn:aws:s3:::bucket"}, "InvalidParameterException", "Invalid ARN")
	h.fails("ListTagsForResource", in{"resourceArn": strings.Replace(arnBase, acc, "111122223333", 1) + "other"}, "ResourceNotFoundException", "log group")
	h.fails("StartQuery", in{}, "NotImplemented", "StartQuery")
}

func TestStreamsAndEvents(t *testing.T) {
	h := open(t)
	const g = "/aws/lambda/a"
	h.ok("CreateLogGroup", in{"logGroupName": g})
	for _, n := range []string{"s1", "s2", "t"} {
		h.ok("CreateLogStream", in{"logGroupName": g, "logStreamName": n})
	}
	h.fails("CreateLogStream", in{"logGroupName": g, "logStreamName": "t"}, "ResourceAlreadyExistsException", "The specified log stream already exists")
	h.ok("DeleteLogStream", in{"logGroupName": g, "logStreamName": "t"})
	now := time.Now().UnixMilli()
	put := func(stream string, first int64, messages ...string) map[string]any {
		var events []in
		for i, m := range messages {
			events = append(events, in{"timestamp": first + int64(i), "message": m})
		}
		return h.ok("PutLogEvents", in{"logGroupName": g, "logStreamName": stream, "logEvents": events})
	}
	want(t, put("s1", now, "one", `{"level":"error"}`, "three"), map[string]string{"rejectedLogEventsInfo": "<none>", "nextSequenceToken": at(put("s2", now+1, "zwei"), "nextSequenceToken")})
	want(t, put("s1", now-20*24*3600e3, "old"), map[string]string{"rejectedLogEventsInfo.tooOldLogEventEndIndex": "1", "rejectedLogEventsInfo.tooNewLogEventStartIndex": "<none>"})
	h.fails("PutLogEvents", in{"logGroupName": g, "logStreamName": "s1", "logEvents": []in{}}, "InvalidParameterException", "logEvents")
	h.fails("PutLogEvents", in{"logGroupName": g, "logStreamName": "s1", "logEvents": []in{{"timestamp": now, "message": ""}}}, "InvalidParameterException", "message")
	h.fails("PutLogEvents", in{"logGroupName": g, "logStreamName": "s1", "logEvents": []in{{"timestamp": 5, "message": "b"}, {"timestamp": 4, "message": "a"}}},
		"InvalidParameterException", "chronological order")
	h.fails("PutLogEvents", in{"logGroupName": g, "logStreamName": "no", "logEvents": []in{{"timestamp": now, "message": "b"}}}, "ResourceNotFoundException", "log stream")

	m := h.ok("DescribeLogStreams", in{"logGroupName": g, "limit": 1})
	want(t, m, map[string]string{"logStreams.0.logStreamName": "s1", "logStreams.0.arn": arnBase + g + ":log-stream:s1",
		"logStreams.0.firstEventTimestamp": fmt.Sprint(now), "logStreams.0.lastEventTimestamp": fmt.Sprint(now + 2), "logStreams.0.storedBytes": "0"})
	want(t, h.ok("DescribeLogStreams", in{"logGroupIdentifier": arnBase + g, "limit": 1, "nextToken": at(m, "nextToken")}),
		map[string]string{"logStreams.0.logStreamName": "s2", "nextToken": "<none>"})
	want(t, h.ok("DescribeLogStreams", in{"logGroupName": g, "orderBy": "LastEventTime", "descending": true}), map[string]string{"logStreams.0.logStreamName": "s1"})
	h.fails("DescribeLogStreams", in{"logGroupName": g, "orderBy": "LastEventTime", "logStreamNamePrefix": "s"}, "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
	h.fails("DescribeLogStreams", in{}, "InvalidParameterException", "At least one of logGroupName or logGroupIdentifier")

	m = h.ok("GetLogEvents", in{"logGroupName": g, "logStreamName": "s1", "startFromHead": true, "limit": 2})
	want(t, m, map[string]string{"events.0.message": "one", "events.0.timestamp": fmt.Sprint(now), "events.1.message": `{"level":"error"}`})
	m = h.ok("GetLogEvents", in{"logGroupName": g, "logStreamName": "s1", "nextToken": at(m, "nextForwardToken")})
	want(t, m, map[string]string{"events.0.message": "three", "events.1": "<none>"})
	want(t, h.ok("GetLogEvents", in{"logGroupName": g, "logStreamName": "s1", "nextToken": at(m, "nextForwardToken")}),
		map[string]string{"events": "[]", "nextForwardToken": at(m, "nextForwardToken")})
	want(t, h.ok("GetLogEvents", in{"logGroupName": g, "logStreamName": "s1", "startTime": now + 1, "endTime": now + 2}),
		map[string]string{"events.0.message": `{"level":"error"}`, "events.1": "<none>"})

	m = h.ok("FilterLogEvents", in{"logGroupName": g, "limit": 3})
	want(t, m, map[string]string{"events.0.message": "one", "events.1.logStreamName": "s1", "events.2.message": "zwei", "searchedLogStreams": "[]"})
	want(t, h.ok("FilterLogEvents", in{"logGroupName": g, "nextToken": at(m, "nextToken")}), map[string]string{"events.0.message": "three", "nextToken": "<none>"})
	want(t, h.ok("FilterLogEvents", in{"logGroupName": g, "filterPattern": `{ $.level = "error" }`}), map[string]string{"events.0.timestamp": fmt.Sprint(now + 1), "events.1": "<none>"})
	want(t, h.ok("FilterLogEvents", in{"logGroupName": g, "logStreamNames": []string{"s2"}}), map[string]string{"events.0.message": "zwei", "events.1": "<none>"})
	h.fails("FilterLogEvents", in{"logGroupName": g, "filterPattern": "{"}, "InvalidParameterException", "Invalid filter pattern")
	h.fails("FilterLogEvents", in{"logGroupName": g, "logStreamNames": []string{"a"}, "logStreamNamePrefix": "b"}, "InvalidParameterException", "mutually exclusive")
}

// TestForeignGroups: an ARN of another account or region names none of our groups, whoever asks in whatever way.
// Tools ask for these when they read or delete a group.
func TestEmptyLists(t *testing.T) {
	h := open(t)
	h.ok("CreateLogGroup", in{"logGroupName": "/g"})
	want(t, h.ok("DescribeSubscriptionFilters", in{"logGroupName": "/g", "limit": 50}), map[string]string{"subscriptionFilters": "[]"})
	want(t, h.ok("DescribeMetricFilters", in{"logGroupName": "/g", "filterNamePrefix": "a"}), map[string]string{"metricFilters": "[]"})
	want(t, h.ok("DescribeMetricFilters", in{}), map[string]string{"metricFilters": "[]"})
	want(t, h.ok("DescribeResourcePolicies", in{}), map[string]string{"resourcePolicies": "[]"})
	h.fails("DescribeSubscriptionFilters", in{"logGroupName": "/none"}, "ResourceNotFoundException", "does not exist")
	h.fails("DescribeMetricFilters", in{"logGroupName": "/none"}, "ResourceNotFoundException", "does not exist")
	h.fails("DescribeSubscriptionFilters", in{}, "InvalidParameterException", "logGroupName")
	h.fails("PutSubscriptionFilter", in{"logGroupName": "/g"}, "NotImplementedException", "PutSubscriptionFilter")
}

func TestForeignGroups(t *testing.T) {
	h := open(t)
	h.ok("CreateLogGroup", in{"logGroupName": "g"})
	h.ok("CreateLogStream", in{"logGroupName": "g", "logStreamName": "s"})
	h.ok("GetLogEvents", in{"logGroupIdentifier": arnBase + "g", "logStreamName": "s"})
	for _, arn := range []string{strings.Replace(arnBase, acc, "111122223333", 1) + "g", strings.Replace(arnBase, "us-east-1", "eu-west-1", 1) + "g"} {
		h.fails("GetLogEvents", in{"logGroupIdentifier": arn, "logStreamName": "s"}, "ResourceNotFoundException", "log group")
		h.fails("FilterLogEvents", in{"logGroupIdentifier": arn}, "ResourceNotFoundException", "log group")
		h.fails("DescribeLogStreams", in{"logGroupIdentifier": arn}, "ResourceNotFoundException", "log group")
		h.fails("TagResource", in{"resourceArn": arn, "tags": in{"b": "2"}}, "ResourceNotFoundException", "log group")
		h.fails("UntagResource", in{"resourceArn": arn, "tagKeys": []string{"b"}}, "ResourceNotFoundException", "log group")
	}
}

// TestNeeds: the resources that policies are matched against.
func TestNeeds(t *testing.T) {
	got := map[string]string{}
	s := open(t).door.Service()
	inputs := map[string]string{
		"CreateLogGroup": `{"logGroupName":"g"}`, "DescribeLogGroups": `{}`, "CreateLogStream": `{"logGroupName":"g","logStreamName":"s"}`,
		"PutLogEvents":    `{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"m"}]}`,
		"FilterLogEvents": `{"logGroupIdentifier":"` + arnBase + `g"}`, "TagResource": `{"resourceArn":"` + arnBase + `g","tags":{"a":"b"}}`,
	}
	for op, body := range inputs {
		needs, err := needsOf(t, s, op, body)
		if err != nil {
			t.Fatalf("%s: got %v, want no error", op, err)
		}
		for _, n := range needs {
			got[op] = n.Action + " " + n.Resource
		}
	}
	for op, w := range map[string]string{
		"CreateLogGroup":    "logs:CreateLogGroup " + arnBase + "g:log-stream:",
		"DescribeLogGroups": "logs:DescribeLogGroups " + arnBase + ":log-stream:",
		"CreateLogStream":   "logs:CreateLogStream " + arnBase + "g:log-stream:s",
		"PutLogEvents":      "logs:PutLogEvents " + arnBase + "g:log-stream:s",
		"FilterLogEvents":   "logs:FilterLogEvents " + arnBase + "g:log-stream:",
		"TagResource":       "logs:TagResource " + arnBase + "g",
	} {
		if got[op] != w {
			t.Errorf("%s: got %q, want %q", op, got[op], w)
		}
	}
	if !slices.Contains(s.NotImplemented, "StartLiveTail") {
		t.Error("StartLiveTail is not listed as not implemented")
	}
}

// asked is an Authorizer that remembers what it was asked.
type asked struct{ needs []rouse.Need }

func (a *asked) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	a.needs = needs
	return rouse.Errorf(rouse.Denied, "asked enough")
}

func (a *asked) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{}, rouse.Errorf(rouse.Unauthenticated, "nobody signs here")
}

// needsOf calls an operation whose caller is denied, and returns what was asked.
func needsOf(t *testing.T, s wire.Service, operation, input string) ([]rouse.Need, error) {
	t.Helper()
	a := &asked{}
	d, err := aws.New(aws.Config{Services: []wire.Service{s}, Keys: a, Authorize: a})
	if err != nil {
		return nil, err
	}
	if _, _, err := d.Call(t.Context(), root, "logs", operation, []byte(input), nil); rouse.KindOf(err) != rouse.Denied {
		return nil, fmt.Errorf("got %w, want a refusal", err)
	}
	return a.needs, nil
}
