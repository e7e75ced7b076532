package compat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go/middleware"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
)

// echo is what pythonEcho answers.
type echo struct {
	Event                                      json.RawMessage
	Name, Version, Arn, Memory, Request, Stage string
	Custom                                     map[string]string
}

func testInvoke(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-invoke")
	c.create(t, c.function(t, *name, pythonEcho))
	client := base64.StdEncoding.EncodeToString([]byte(`{"client":{"app_title":"t"},"custom":{"colour":"blue"},"env":{}}`))
	out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: name, Payload: []byte(`{"zażółć":"gęślą"}`), LogType: types.LogTypeTail,
		ClientContext: aws.String(client),
	})
	check(t, err, "invoke")
	want(t, out.StatusCode, 200, "StatusCode")
	want(t, aws.ToString(out.ExecutedVersion), "$LATEST", "ExecutedVersion")
	var e echo
	check(t, json.Unmarshal(out.Payload, &e), "read the answer")
	var event map[string]string
	check(t, json.Unmarshal(e.Event, &event), "read the event") // Python escapes it or not, by its version
	want(t, event["zażółć"], "gęślą", "event")
	want(t, e.Name, *name, "function_name")
	want(t, e.Version, "$LATEST", "function_version")
	want(t, e.Arn, "arn:aws:lambda:us-east-1:000000000000:function:go-invoke", "invoked_function_arn")
	want(t, e.Memory, "128", "memory_limit_in_mb")
	want(t, e.Custom["colour"], "blue", "client context")
	want(t, e.Request, requestID(out.ResultMetadata), "aws_request_id")
	log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	check(t, err, "decode LogResult")
	for _, line := range []string{"START RequestId: " + e.Request + " Version: $LATEST", "saw {", "END RequestId: " +
		e.Request,
		"REPORT RequestId: " + e.Request, "Billed Duration: ", "Memory Size: 128 MB", "Max Memory Used: "} {
		contains(t, string(log), line, "LogResult")
	}

	out, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, InvocationType: types.InvocationTypeDryRun})
	check(t, err, "dry run")
	want(t, out.StatusCode, 204, "StatusCode of a dry run")
	out, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, InvocationType: types.InvocationTypeEvent,
		Payload: []byte(`{}`)})
	check(t, err, "invoke as an event")
	want(t, out.StatusCode, 202, "StatusCode of an event")
	want(t, len(out.Payload), 0, "bytes of the answer to an event")

	big := `{"big":"` + strings.Repeat("x", 1<<20) + `"}`
	if got := c.invoke(t, *name, big); len(got) < 1<<20 {
		t.Errorf("invoke with 1 MiB: got %d bytes back, want more", len(got))
	}
	for _, payload := range []string{`null`, `"text"`, `17`, `[1,2]`} {
		if got := c.invoke(t, *name, payload); !bytes.Contains([]byte(strings.ReplaceAll(got, " ", "")),
			[]byte(`"event":`+payload)) {
			t.Errorf("invoke with %s: got %s, want the event back", payload, got)
		}
	}
}

func requestID(m middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	return id
}

func testInvokeErrors(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-invoke-errors")
	in := c.function(t, *name, pythonEcho)
	in.Timeout = aws.Int32(1)
	c.create(t, in)
	for act, wants := range map[string][]string{
		"raise": {`"errorMessage": "no such coupon"`, `"errorType": "ValueError"`, `"stackTrace"`, `"requestId"`},
		"exit":  {`Runtime exited with error: exit status 3`, `Runtime.ExitError`},
		"sleep": {`Task timed out after 1.00 seconds`},
	} {
		out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name,
			Payload: []byte(`{"act":"` + act + `"}`)})
		check(t, err, "invoke "+act)
		want(t, out.StatusCode, 200, "StatusCode of "+act)
		want(t, aws.ToString(out.FunctionError), "Unhandled", "FunctionError of "+act)
		for _, part := range wants {
			contains(t, string(out.Payload), part, "payload of "+act)
		}
	}
	contains(t, c.invoke(t, *name, `{}`), `"stage": "first"`, "answer after failures")

	_, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Payload: []byte(`{"open":`)})
	e := typed[*types.InvalidRequestContentException](t, err, "invoke with broken JSON")
	contains(t, e.ErrorMessage(), "Could not parse request body into json", "message")
	_, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name,
		Payload: []byte(`"` + strings.Repeat("x", 6<<20) + `"`)})
	typed[*types.RequestTooLargeException](t, err, "invoke with more than 6 MB")
	_, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: name, InvocationType: types.InvocationTypeEvent,
		Payload: []byte(`"` + strings.Repeat("x", 1<<20) + `"`),
	})
	typed[*types.RequestTooLargeException](t, err, "invoke as an event with more than 1 MB")
	_, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Qualifier: aws.String("7")})
	typed[*types.ResourceNotFoundException](t, err, "invoke a version that is not there")
	_, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("go-nobody")})
	typed[*types.ResourceNotFoundException](t, err, "invoke what is not there")
}

// testInvokeLimits outgrows the limits of a result and of memory.
func testInvokeLimits(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-invoke-limits")
	c.create(t, c.function(t, *name,
		"def handler(event, context):\n    return 'x' * event['result'] if 'result' in event else len(bytearray(event['memory']))\n"))
	out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Payload: []byte(`{"result":7000000}`)})
	check(t, err, "answer with 7 MB")
	want(t, aws.ToString(out.FunctionError), "Unhandled", "FunctionError of 7 MB")
	contains(t, string(out.Payload), `"errorType":"Function.ResponseSizeTooLarge"`, "payload of 7 MB")
	contains(t, string(out.Payload), "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
		"payload of 7 MB")
	if os.Geteuid() != 0 {
		t.Log("memory is not limited for an ordinary user's node everywhere: left out")
		return
	}
	out, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Payload: []byte(`{"memory":400000000}`)})
	check(t, err, "take 400 MB of 128")
	want(t, aws.ToString(out.FunctionError), "Unhandled", "FunctionError of too much memory")
	contains(t, string(out.Payload), "Runtime exited with error: signal: killed", "payload of too much memory")
	want(t, c.invoke(t, *name, `{"result":1}`), `"x"`, "answer after the instance was killed")
}

// testInvokeAsync follows a failed event to the function that takes its failures.
func testInvokeAsync(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-async")
	takes := c.create(t, c.function(t, "go-async-failures", pythonEcho))
	role := c.makeRole(t, "go-async", "lambda.amazonaws.com")
	c.rolePolicy(t, "go-async",
		allow("lambda:InvokeFunction", "*"))
	in := c.function(t, *name, pythonEcho)
	in.Role = aws.String(role)
	c.create(t, in)
	_, err := c.lambda.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: name, MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: takes.FunctionArn}},
	})
	check(t, err, "put event configuration")
	out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: name, InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"act":"raise","order":4711}`),
	})
	check(t, err, "invoke as an event")
	want(t, out.StatusCode, 202, "StatusCode")
	var seen string
	until(t, waitMax, "the failure's record", func() bool {
		page, err := c.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/go-async-failures"), FilterPattern: aws.String(`"RetriesExhausted"`),
		})
		if err != nil || len(page.Events) == 0 {
			return false // the group comes with the first run
		}
		seen = *page.Events[0].Message
		return true
	})
	for _, part := range []string{`"order": 4711`, `"condition": "RetriesExhausted"`, `"approximateInvokeCount": 1`,
		`"functionError": "Unhandled"`,
		`no such coupon`, requestID(out.ResultMetadata)} {
		contains(t, seen, part, "record of the failure")
	}
}

func testStream(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-stream")
	c.create(t, c.nodeFunction(t, *name, nodeStream))
	out, err := c.lambda.InvokeWithResponseStream(ctx, &lambda.InvokeWithResponseStreamInput{FunctionName: name,
		LogType: types.LogTypeTail})
	check(t, err, "invoke with a response stream")
	want(t, out.StatusCode, 200, "StatusCode")
	body, complete := readStream(t, out.GetStream())
	want(t, body, "one two three", "body")
	want(t, complete.ErrorCode == nil, true, "no error code at the end")
	log, err := base64.StdEncoding.DecodeString(aws.ToString(complete.LogResult))
	check(t, err, "decode LogResult")
	contains(t, string(log), "REPORT RequestId: ", "LogResult")

	out, err = c.lambda.InvokeWithResponseStream(ctx, &lambda.InvokeWithResponseStreamInput{FunctionName: name,
		Payload: []byte(`{"fail":true}`)})
	check(t, err, "invoke a stream that breaks off")
	body, complete = readStream(t, out.GetStream())
	contains(t, body, "one two ", "body before it broke off")
	want(t, aws.ToString(complete.ErrorCode), "Unhandled", "ErrorCode")
	contains(t, aws.ToString(complete.ErrorDetails), "broke off", "ErrorDetails")

	buffered := c.create(t, c.function(t, "go-stream-buffered", pythonEcho))
	out, err = c.lambda.InvokeWithResponseStream(ctx,
		&lambda.InvokeWithResponseStreamInput{FunctionName: buffered.FunctionName})
	check(t, err, "stream from a function that does not")
	body, complete = readStream(t, out.GetStream())
	contains(t, body, `"stage": "first"`, "body of a function that does not stream")
	want(t, complete.ErrorCode == nil, true, "no error code at the end")
	_, err = c.lambda.InvokeWithResponseStream(ctx,
		&lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("go-nobody")})
	typed[*types.ResourceNotFoundException](t, err, "stream from what is not there")
}

// readStream reads all chunks and the end.
func readStream(t *testing.T, s *lambda.InvokeWithResponseStreamEventStream) (string,
	types.InvokeWithResponseStreamCompleteEvent) {
	t.Helper()
	var body []byte
	var complete *types.InvokeWithResponseStreamCompleteEvent
	for e := range s.Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			body = append(body, e.Value.Payload...)
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			complete = &e.Value
		}
	}
	check(t, s.Err(), "read the stream")
	check(t, s.Close(), "close the stream")
	if complete == nil {
		t.Fatalf("the stream ended after %q without InvokeComplete", body)
	}
	return string(body), *complete
}
