package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
)

// apiPrincipal is who asks when an API invokes a function.
const apiPrincipal = "apigateway.amazonaws.com"

// allowedFor is how long a decision that allowed is remembered. Refusals are not: whoever mends a policy tries at once.
const allowedFor = 2 * time.Second

// memories remembers what was decided for the routes of one snapshot; another snapshot begins anew.
type memories struct {
	current atomic.Pointer[memory]
}

type memory struct {
	snapshot *api.Snapshot
	routes   sync.Map // *api.Route -> *routeMemory
}

type routeMemory struct {
	sync.Map // HTTP method -> time until which it may invoke
}

func (m *memories) of(s *api.Snapshot) *memory {
	now := m.current.Load()
	if now == nil || now.snapshot != s {
		now = &memory{snapshot: s}
		m.current.Store(now) // another request may do the same at once; either will do
	}
	return now
}

// authorize decides whether the route's API may invoke its function for this request's method.
func (x *exchange) authorize(origin rouse.Origin) error {
	m := x.g.memories.of(x.snapshot)
	at, ok := m.routes.Load(x.route)
	if !ok {
		at, _ = m.routes.LoadOrStore(x.route, new(routeMemory))
	}
	known := at.(*routeMemory)
	if until, ok := known.Load(x.r.Method); ok && x.started.Before(until.(time.Time)) {
		return nil
	}
	if role := x.route.Integration.Role; role != "" && !x.g.cfg.Trusts(role) {
		return rouse.Errorf(rouse.Denied, "API Gateway cannot assume %s: its trust policy does not name %s", role, apiPrincipal)
	}
	fn := x.route.Integration.Function
	need := rouse.Need{Action: "lambda:InvokeFunction", Resource: x.function, Policy: x.g.cfg.Policy(fn)}
	if err := x.g.cfg.Authorize.Authorize(x.r.Context(), origin, []rouse.Need{need}); err != nil {
		return err
	}
	if knownMethod(x.r.Method) { // methods are the client's to make up, and are not all remembered
		known.Store(x.r.Method, x.started.Add(allowedFor))
	}
	return nil
}

func knownMethod(m string) bool {
	switch m {
	case "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// origin is the API, at this route, or the role that its integration names.
func (x *exchange) origin() rouse.Origin {
	live, path := x.live, x.route.Path
	if path != "" && path[0] == '/' {
		path = path[1:]
	}
	source := "arn:aws:execute-api:" + x.g.cfg.Region + ":" + live.Account + ":" + live.ID + "/" + x.stage.Name
	if x.route.Method == "" {
		source += "/$default"
	} else {
		source += "/" + x.r.Method + "/" + path
	}
	o := rouse.Origin{Principal: rouse.Principal{Account: live.Account, Service: apiPrincipal}, SourceARN: source,
		SourceIP: x.sourceIP, UserAgent: x.r.UserAgent(), Secure: x.r.TLS != nil, Trace: x.trace}
	if role := x.route.Integration.Role; role != "" {
		o.Principal = assumed(role)
		o.RoleARN = role
	}
	return o
}

// assumed is the principal of a session of role, as API Gateway has them.
func assumed(role string) rouse.Principal {
	arn, err := rouse.ParseARN(role)
	if err != nil {
		return rouse.Principal{}
	}
	name := arn.Resource
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	return rouse.Principal{Account: arn.Account,
		ARN: "arn:aws:sts::" + arn.Account + ":assumed-role/" + name + "/BackplaneAssumeRoleSession"}
}

// errTimeout says that the integration took longer than it may.
var errTimeout = errors.New("the integration timed out")

// invoke runs the function on event, into x.result. An error is the platform's; a failure of the function is in the result.
func (x *exchange) invoke(inv rouse.Invocation, timeout time.Duration, out rouse.Sink) (rouse.Result, error) {
	inv.Received = x.started
	inv.Attempt = 1
	inv.Timing = x.g.cfg.Observe != nil || x.r.Header.Get(timingHeader) == "1"
	ctx := context.WithoutCancel(x.r.Context()) // a client that leaves does not end the run
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
		defer cancel()
	}
	res, err := x.g.cfg.Invoker.Invoke(ctx, inv, out)
	x.timing = res.Timing
	if err != nil {
		x.keep = true // the run may still be reading the event
		if errors.Is(context.Cause(ctx), errTimeout) {
			return res, errTimeout
		}
	}
	return res, err
}

// FunctionFailure is the Err of a request whose function failed. Its text leaves out the function's message, which may hold
// what a user sent; who is shown it besides the log decides for himself.
type FunctionFailure struct {
	Type    string // "Sandbox.Timedout", or the exception's class
	Message string
}

func (f *FunctionFailure) Error() string { return "the function failed: " + f.Type }

func functionError(e *rouse.FunctionError) error { return &FunctionFailure{e.Type, e.Message} }

// ofFunction reports whether a request failed by the function's doing: its developer reads that in the function's log.
func ofFunction(why error) bool {
	var f *FunctionFailure
	return errors.As(why, &f) || errors.Is(why, errMalformed)
}
