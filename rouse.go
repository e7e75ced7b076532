// Package rouse holds the words that every room of Rouse shares: who asks (Principal, Origin), what is needed to be
// allowed (Need), what runs (Invocation, Result, Sink), what can be named (ARN), and how things go wrong (Error, Kind).
// It has no I/O and imports nothing of Rouse; everything else imports it.
//
// # Glossary
//
// One word per idea. AWS's own words at the doors, these inside.
//
//	function, version, alias, layer   as in Lambda
//	invocation                        one call of a function
//	event, result                     its input; its output, or the function's own error
//	attempt                           one try of an invocation
//	sandbox                           an isolated place where code can run; empty until specialised, never reused for another function
//	instance                          a sandbox that has become one version of one function
//	guest                             the code inside an instance, and the protocol to talk with it
//	pool                              the instances of a function on this node and the ready-made sandboxes behind them
//	target, delivery                  what an ARN names and can take a payload; handing it one
//	trigger                           what turns a change into deliveries
//	execution                         one run of a state machine; never used for invocations
//	stack                             what a template created
//	node                              one rouse process
//	principal, origin                 who asks; who asks on whose behalf, and how many hops away
//
// # The three doors inside
//
// Invoker is the one way to run a function: every cause of a run, from an HTTP request to a timer, ends there.
// Caller is the one way from one service to another: it decodes, authorises, handles and audits exactly as the network
// door does. Deliverer hands a payload to whatever an ARN names.
package rouse

import (
	"context"
	"io"
	"time"
)

// Account and region that a node uses when nothing else is configured. The account is the one that every emulator and
// many test suites expect.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
)

// HopsMax is how often one cause may lead to another before the platform breaks the loop: as Lambda's recursion
// detection, which stops a chain after about 16 invocations.
const HopsMax = 16

// Principal is who asks.
type Principal struct {
	Account string // 12 digits
	ARN     string // arn:aws:iam::A:root, …:user/NAME, arn:aws:sts::A:assumed-role/ROLE/SESSION
	UserID  string // AIDA…, AROA…:SESSION; the account for root
	Service string // set instead of ARN when a service of the platform asks for itself: "apigateway.amazonaws.com"
}

// IsZero reports whether nobody asks.
func (p Principal) IsZero() bool { return p.ARN == "" && p.Service == "" }

// Origin is who asks, on whose behalf, and how far from the first cause. It is passed as an argument, never in a
// context. The zero Origin is denied everything.
type Origin struct {
	Principal Principal
	Root      bool      // the account's root user: policies of the account do not bind it
	AccessKey string    // the access key that signed, for audit and GetCallerIdentity; "" inside the platform
	RoleARN   string    // for an assumed role, arn:aws:iam::A:role/NAME: where its policies are found
	Issued    time.Time // when the temporary credentials that signed were issued (aws:TokenIssueTime); zero for all others
	SourceARN string    // the resource that caused the call (aws:SourceArn), e.g. the route of an API
	SourceIP  string    // the client's address; "" inside the platform
	UserAgent string
	Secure    bool   // arrived by TLS (aws:SecureTransport)
	Hops      int    // causes since the first one; above HopsMax the call is refused
	Trace     string // X-Amzn-Trace-Id; "" starts a new one
}

// IsZero reports whether the origin names nobody.
func (o Origin) IsZero() bool { return o.Principal.IsZero() }

// Need is one permission that an operation requires: may the origin do Action to Resource?
type Need struct {
	Action     string              // "lambda:InvokeFunction"
	Resource   string              // an ARN, or "*" for operations without one
	Conditions map[string][]string // condition keys that this call adds: "lambda:FunctionArn", "iam:PassedToService"
	Policy     string              // the resource's own policy as JSON; "" when it has none
}

// Authorizer decides. nil means allowed; the error is of Kind Denied and carries AWS's text.
// Safe for concurrent use.
type Authorizer interface {
	Authorize(ctx context.Context, from Origin, needs []Need) error
}

// Caller reaches any operation of any service, authorised as from. service is the signing name ("lambda", "logs"),
// operation its API name ("CreateFunction"), input the operation's JSON shape whatever the service's wire protocol;
// body is for operations that carry a payload beside it (Invoke) and may be nil. output is the JSON shape of the answer,
// reply its payload: nil when there is none, else closed by the caller. Errors carry the Kind and the AWS code.
// Safe for concurrent use.
type Caller interface {
	Call(ctx context.Context, from Origin, service, operation string, input []byte, body io.Reader) (output []byte, reply io.ReadCloser, err error)
}

// Delivery is a payload on its way to a target, as a room writes it into the outbox: everything that the target's side
// needs to know of it.
type Delivery struct {
	ID       string    `json:"id"`       // UUID; stays the same when the delivery is repeated
	From     Origin    `json:"from"`     // on whose behalf: a service of the platform with its SourceARN, or a role
	Cause    Cause     `json:"cause"`    // what an invocation that comes of it shows as its cause
	Accepted time.Time `json:"accepted"` // when the cause happened
	Payload  []byte    `json:"payload"`
}

// Deliverer hands a payload to a target: a function, a queue, a topic, a bus, a state machine, a log group. nil means
// that the target has it durably. Safe for concurrent use.
type Deliverer interface {
	Deliver(ctx context.Context, from Origin, target ARN, payload []byte) error
}
