package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

const (
	typeSync   = "RequestResponse"
	typeEvent  = "Event"
	typeDryRun = "DryRun"
	logTail    = "Tail"

	clientContextMax = 3583 // bytes of it in base64, says Lambda
)

func (d *Door) invokeOperations() []wire.Operation {
	const invoke = "/2015-03-31/functions/{FunctionName}/invocations"
	const stream = "/2021-11-15/functions/{FunctionName}/response-streaming-invocations"
	refused, tooLarge := wire.Refuse("X-Amz-Tenant-Id"), wire.TooLargeCode("RequestTooLargeException")
	return []wire.Operation{
		op(d, "Invoke", "POST "+invoke, "lambda:InvokeFunction", d.invoke, wire.BodyMax(invokeMax), wire.Unaudited(),
			wire.Refuse("X-Amz-Durable-Execution-Name"), refused, tooLarge),
		op(d, "InvokeAsync", "POST /2014-11-13/functions/{FunctionName}/invoke-async 202", "lambda:InvokeAsync", d.invokeAsync,
			wire.BodyMax(invokeMax), wire.Unaudited(), tooLarge),
		op(d, "InvokeWithResponseStream", "POST "+stream, "lambda:InvokeFunction", d.invokeStream, wire.BodyMax(invokeMax),
			wire.Unaudited(), refused, tooLarge,
			wire.Differs("X-Amz-Executed-Version of an alias with weights is its main version")),
	}
}

// Call is the part of inputs that invokes a function.
type Call struct {
	Qualified
	LogType       string `wire:"X-Amz-Log-Type,header" enum:"None|Tail"`
	ClientContext string `wire:"X-Amz-Client-Context,header"`
	Payload       []byte `wire:",payload,sensitive"`
}

// InvokeInput of Invoke.
type InvokeInput struct {
	Call
	InvocationType string `wire:"X-Amz-Invocation-Type,header" enum:"RequestResponse|Event|DryRun"`
}

// InvokeOutput of Invoke.
type InvokeOutput struct {
	StatusCode      int    `wire:",status"`
	FunctionError   string `wire:"X-Amz-Function-Error,header"`
	LogResult       string `wire:"X-Amz-Log-Result,header"`
	ExecutedVersion string `wire:"X-Amz-Executed-Version,header"`
	RequestID       string `wire:"X-Amzn-Requestid,header"` // the invocation's, so that client and log share it
	ContentType     string `wire:"Content-Type,header"`
	Payload         []byte `wire:",payload"`
}

func (d *Door) invoke(ctx context.Context, from rouse.Origin, in *InvokeInput) (*InvokeOutput, error) {
	kind := in.InvocationType
	if kind == "" {
		kind = typeSync
	}
	inv, v, err := d.invocation(from, &in.Call, kind)
	if err != nil {
		return nil, err
	}
	switch kind {
	case typeDryRun:
		return &InvokeOutput{StatusCode: 204, ExecutedVersion: v.Number}, nil
	case typeEvent:
		if err := d.cfg.Invoker.Enqueue(ctx, inv); err != nil {
			return nil, invokeError(err, v)
		}
		return &InvokeOutput{StatusCode: 202, RequestID: inv.ID}, nil
	}
	var body rouse.Buffer
	res, err := d.cfg.Invoker.Invoke(ctx, inv, &body)
	if err != nil {
		return nil, invokeError(err, v)
	}
	out := &InvokeOutput{
		StatusCode: 200, ExecutedVersion: res.Version, RequestID: inv.ID, ContentType: "application/json", Payload: body.Bytes(),
	}
	if in.LogType == logTail {
		out.LogResult = base64.StdEncoding.EncodeToString(lastBytes(res.Tail))
	}
	if res.Error != nil {
		out.FunctionError, out.Payload = "Unhandled", res.Error.Payload
	}
	return out, nil
}

// lastBytes keeps what Lambda answers of a log.
func lastBytes(b []byte) []byte { return b[max(0, len(b)-rouse.LogTailMax):] }

// invocation checks a call and makes the invocation of it. The version is the one that it would run now.
func (d *Door) invocation(from rouse.Origin, in *Call, kind string) (rouse.Invocation, *catalog.Version, error) {
	var none rouse.Invocation
	r, err := d.ref(from, in)
	if err != nil {
		return none, nil, err
	}
	fn := d.catalog.ARN(r)
	v, err := d.catalog.Resolve(fn)
	if err != nil {
		return none, nil, err
	}
	if err := checkSize(len(in.Payload), kind); err != nil {
		return none, nil, err
	}
	event, err := checkEvent(in.Payload)
	if err != nil {
		return none, nil, err
	}
	client, err := clientContext(in.ClientContext)
	if err != nil {
		return none, nil, err
	}
	inv := rouse.Invocation{
		ID: uuid.NewString(), Function: fn, Event: event, ClientContext: client, From: from, Cause: rouse.CauseInvoke,
		Received: time.Now(), Attempt: 1, Tail: in.LogType == logTail,
	}
	if kind == typeEvent {
		inv.Cause, inv.Tail = rouse.CauseAsync, false
	}
	return inv, v, nil
}

func checkSize(n int, kind string) error {
	limit := rouse.EventMax
	if kind == typeEvent {
		limit = rouse.EventAsyncMax
	}
	if n <= limit {
		return nil
	}
	if kind == typeEvent {
		return rouse.Errorf(rouse.TooLarge, "%d byte payload is too large for the Event invocation type (limit %d bytes)", n, limit).
			WithCode("RequestTooLargeException")
	}
	return rouse.Errorf(rouse.TooLarge, "Request must be smaller than %d bytes for the InvokeFunction operation", limit).
		WithCode("RequestTooLargeException")
}

// checkEvent refuses what is not JSON in UTF-8. No event at all is an empty object.
func checkEvent(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return []byte("{}"), nil
	}
	if json.Valid(b) && utf8.Valid(b) {
		return b, nil
	}
	return nil, rouse.Errorf(rouse.Invalid, "Could not parse request body into json: Could not parse payload into json: %s",
		whatIsWrong(b)).WithCode("InvalidRequestContentException")
}

// whatIsWrong says it in the words of the parser that Lambda uses.
func whatIsWrong(b []byte) string {
	at := len(b)
	var syntax *json.SyntaxError
	var v json.RawMessage
	if err := json.Unmarshal(b, &v); errors.As(err, &syntax) {
		at = max(0, int(syntax.Offset)-1)
	}
	what := "Unexpected end-of-input"
	if bad := invalidUTF8(b); bad < len(b) && bad <= at {
		at = bad
		what = fmt.Sprintf("Invalid UTF-8 start byte 0x%02x", b[at])
	} else if at < len(b) && syntax.Error() != "unexpected end of JSON input" {
		what = fmt.Sprintf("Unexpected character (%s): expected a valid value (JSON String, Number, Array, Object or token "+
			"'null', 'true' or 'false')", charName(b[at:]))
	}
	line := 1 + bytes.Count(b[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(b[:at], '\n')
	return fmt.Sprintf("%s\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]",
		what, line, column)
}

// invalidUTF8 is where b stops being UTF-8, len(b) when it does not.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

func charName(b []byte) string {
	r, _ := utf8.DecodeRune(b)
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return fmt.Sprintf("(CTRL-CHAR, code %d)", r)
	}
	return fmt.Sprintf("'%c' (code %d)", r, r)
}

// clientContext decodes the header: JSON in base64.
func clientContext(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(s) > clientContextMax || !json.Valid(b) {
		return nil, rouse.Errorf(rouse.Invalid, "Client context must be a valid Base64-encoded JSON object of at most %d bytes.",
			clientContextMax).WithCode("InvalidRequestContentException")
	}
	return b, nil
}

// invokeError gives the platform's errors the shapes of the Invoke API.
func invokeError(err error, v *catalog.Version) error {
	if rouse.KindOf(err) == rouse.Throttled {
		return throttled(err, v.Reserved != nil)
	}
	return err
}

// InvokeAsyncInput of InvokeAsync.
type InvokeAsyncInput struct {
	Name
	InvokeArgs []byte `wire:",payload,sensitive"`
}

// InvokeAsyncOutput of InvokeAsync.
type InvokeAsyncOutput struct {
	Status int `wire:",status"`
}

func (d *Door) invokeAsync(ctx context.Context, from rouse.Origin, in *InvokeAsyncInput) (*InvokeAsyncOutput, error) {
	call := Call{Qualified: Qualified{FunctionName: in.FunctionName}, Payload: in.InvokeArgs}
	inv, v, err := d.invocation(from, &call, typeEvent)
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Invoker.Enqueue(ctx, inv); err != nil {
		return nil, invokeError(err, v)
	}
	return &InvokeAsyncOutput{202}, nil
}
