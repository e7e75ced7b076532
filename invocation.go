package rouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Payload limits of Lambda (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const (
	EventMax      = 6 << 20     // bytes of a synchronous event
	EventAsyncMax = 1 << 20     // bytes of an asynchronous event
	ResultMax     = 6<<20 + 100 // bytes of a buffered result
	StreamMax     = 200 << 20   // bytes of a streamed result
	LogTailMax    = 4 << 10     // bytes of log that LogType=Tail answers with
)

// Cause says what made an invocation happen; it is shown in the record and in metrics.
type Cause string

// The causes that there are.
const (
	CauseInvoke   Cause = "invoke"   // the Lambda API, synchronously
	CauseAsync    Cause = "async"    // the Lambda API with InvocationType=Event
	CauseHTTP     Cause = "http"     // an HTTP or REST API
	CauseURL      Cause = "url"      // a function URL
	CauseSchedule Cause = "schedule" // a rule or schedule
)

// Invocation is one call of a function.
type Invocation struct {
	ID            string    // UUID; the request id that the function and the logs see
	Function      ARN       // unqualified, or with the version or alias that was asked for
	Event         []byte    // JSON; the receiver must not change it
	ClientContext []byte    // JSON of X-Amz-Client-Context; nil when absent
	From          Origin    // who caused it; already authorised
	Cause         Cause     // what caused it
	Received      time.Time // when the platform accepted it
	Attempt       int       // 1 for the first try
	Tail          bool      // answer with the last LogTailMax bytes of log
	Stream        bool      // the caller takes the body as it comes; false: at most ResultMax, delivered whole
	Timing        bool      // fill Result.Timing for a caller that shows it
}

// Result is how an invocation ended: the function's answer went to the Sink; Error is set when the function failed.
// An error beside a Result means that the platform failed instead.
type Result struct {
	Error   *FunctionError // nil: the function succeeded
	Version string         // that ran: "$LATEST" or a number
	Tail    []byte         // log lines, when asked for
	Timing  Timing
}

// FunctionError is a failure of the function itself: it threw, exited, timed out or ran out of memory. The Payload is
// the JSON that Lambda answers with: {"errorMessage":…,"errorType":…,"trace":[…]}. It is not written to the Sink, unless
// the failure came after the body began, when it travels as a trailer.
type FunctionError struct {
	Type    string // "Sandbox.Timedout", "Runtime.ExitError", or the exception's class
	Message string
	Payload []byte
}

// Unhandled makes the FunctionError of a failure that the runtime, not the handler, reports.
func Unhandled(typ, message string) *FunctionError {
	p, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{typ, message})
	return &FunctionError{Type: typ, Message: message, Payload: p}
}

// Start says how an attempt found its instance.
type Start string

// How an attempt came to its instance.
const (
	StartWarm Start = "warm" // an idle instance took it
	StartCold Start = "cold" // an instance was made for it
)

// Timing breaks an attempt down for its user. Zero phases did not happen.
type Timing struct {
	Start      Start
	Queued     time.Duration // waiting for an instance, a slot or the start limiter
	Sandbox    time.Duration // making or taking a sandbox
	Mount      time.Duration // putting code and layers into it
	Runtime    time.Duration // until the guest is up
	Init       time.Duration // the function's own initialisation
	Run        time.Duration // the handler
	Billed     time.Duration // Run, plus Init of a cold start, in whole milliseconds
	MemoryMB   int           // configured
	MemoryPeak int64         // bytes, highest seen of the instance
}

// Head is what precedes a streamed body: the metadata prelude of Lambda's response streaming.
type Head struct {
	ContentType string              // "" means application/json
	Status      int                 // HTTP status of a function URL or proxy response; 0 when not an HTTP answer
	Header      map[string][]string // HTTP headers, canonical names
	Cookies     []string
}

// Sink takes the body of a result as it comes. Head is called at most once and before any Write. The slice given to
// Write is the callee's only during the call. An error from either ends the invocation's output but not the function.
// Called from one goroutine at a time.
type Sink interface {
	Head(Head) error
	Write(p []byte) (int, error)
}

// Invoker runs functions. Everybody who causes a run holds one. Safe for concurrent use.
type Invoker interface {
	// Invoke runs inv once and returns when the body has ended. Errors are the platform's: Kind NotFound (no such
	// function or version), Throttled, TooLarge, Conflict (the function is not in a state to run), Unavailable, Internal.
	Invoke(ctx context.Context, inv Invocation, out Sink) (Result, error)

	// Enqueue accepts inv to be run later, with retries. nil means that it is on disk: it will run at least once even if
	// the node dies now.
	Enqueue(ctx context.Context, inv Invocation) error
}

// ErrResultTooLarge is what a Buffer answers when the result outgrows its limit.
var ErrResultTooLarge = errors.New("rouse: result exceeds the limit")

// Buffer is a Sink that keeps the whole result, at most Max bytes (ResultMax when 0). The zero value is ready.
type Buffer struct {
	bytes.Buffer
	Max  int
	Meta Head
}

// Head keeps the head.
func (b *Buffer) Head(h Head) error { b.Meta = h; return nil }

// Write appends p, or answers ErrResultTooLarge and keeps nothing of it.
func (b *Buffer) Write(p []byte) (int, error) {
	limit := b.Max
	if limit == 0 {
		limit = ResultMax
	}
	if b.Len()+len(p) > limit {
		return 0, ErrResultTooLarge
	}
	return b.Buffer.Write(p)
}

var _ Sink = (*Buffer)(nil)
