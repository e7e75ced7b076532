package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse"
)

// Call is one invocation as the function sees it.
type Call struct {
	ID            string    // the request id
	Event         []byte    // JSON; not changed
	Deadline      time.Time // what the function is told; ctx is what holds
	ARN           string    // as it was invoked, alias or version included
	Trace         string    // X-Amzn-Trace-Id; "" for none
	ClientContext []byte    // JSON; nil for none
	Identity      []byte    // Cognito identity as JSON; nil for none
	Stream        bool      // web handlers: answer with a Head and the body as it comes, not with payload 2.0's JSON
}

// State is what a guest is good for after a Load or an Invoke.
type State uint8

// The states.
const (
	Alive  State = iota // ready for the next invocation
	Exited              // its process ended, or is about to
	Broken              // it does not speak the protocol, or was left in the middle of an answer: to be killed
)

var stateNames = [...]string{"alive", "exited", "broken"}

func (s State) String() string { return stateNames[s] }

// Reply is how a call ended. The body went to the sink.
type Reply struct {
	Error    *rouse.FunctionError // nil: the function succeeded
	State    State                // whether the guest can take another call
	Duration time.Duration        // from handing over the event until the answer was whole
	Streamed bool                 // the function streamed its answer
}

// InitError is the function's failure to initialise: the error of Load when nothing is wrong with the platform.
type InitError struct {
	Function *rouse.FunctionError
	State    State // Exited or Broken; a guest whose function did not load is of no use in any case
}

func (e *InitError) Error() string {
	return "initialise function: " + e.Function.Type + ": " + e.Function.Message
}

// ErrGuest is in the chain of errors that the guest's runtime itself caused before a function was involved: Boot's.
var ErrGuest = errors.New("guest: runtime did not start")

// functionError reads what a guest sends when a function fails. The payload is passed on as it is when it is JSON; typ is
// for one that does not say its type.
func functionError(payload []byte, typ string) *rouse.FunctionError {
	if typ == "" {
		typ = "Runtime.Unknown"
	}
	if !json.Valid(payload) {
		return rouse.Unhandled(typ, "the function failed without saying why")
	}
	var e struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(payload, &e) // JSON of another shape keeps its payload and gets the type
	if e.Type == "" {
		e.Type = typ
	}
	return &rouse.FunctionError{Type: e.Type, Message: e.Message, Payload: payload}
}

// exitError is Lambda's text for a process that ended instead of answering. how is "exit status 1" or "signal: killed";
// "" and "exit status 0" give no reason.
func exitError(request, how string) *rouse.FunctionError {
	msg := "Error: Runtime exited without providing a reason"
	if how != "" && how != "exit status 0" {
		msg = "Error: Runtime exited with error: " + how
	}
	if request != "" {
		msg = fmt.Sprintf("RequestId: %s %s", request, msg)
	}
	return rouse.Unhandled("Runtime.ExitError", msg)
}

// tooLarge is Lambda's text for a result beyond the limit.
func tooLarge() *rouse.FunctionError {
	return rouse.Unhandled("Function.ResponseSizeTooLarge",
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", rouse.ResultMax))
}
