package wire

import (
	"context"
	"io"
	"reflect"
	"strings"

	"github.com/rouse-dev/rouse"
)

// None is the Out of an operation that answers nothing: an empty body, and in XML no result element.
type None struct{}

// Stream is the type of an output's payload that is written while the client reads: it runs once the head has been sent,
// and every Write is flushed. An error breaks the connection off, as the status has been sent already.
type Stream func(w io.Writer) error

// Operation is one row of a service's table; made by Op.
type Operation struct {
	Name  string // the API's name: "CreateFunction"
	Route string // as given to Op

	method, path string
	status       int
	in, out      reflect.Type

	newIn  func() any
	needs  func(ctx context.Context, from rouse.Origin, in any) ([]rouse.Need, error)
	handle func(ctx context.Context, from rouse.Origin, in any) (any, error)

	refused  []refusal
	differs  string
	bodyMax  int64
	tooLarge string // code; "" for the service's
	audited  bool
}

// Op declares an operation. route is "" for JSON and query services, and "METHOD /path/{label}/{greedy+}?key=value
// STATUS" for REST ones; the query, which must then match, and the status, 200 by default, may be left out.
//
// needs names the permissions that in asks for, and may read what it must to name them; NoNeeds where AWS asks for none.
// handle does it. Both get an input that was decoded and validated, and may keep it. A nil *Out is an empty answer.
func Op[In, Out any](
	name, route string,
	needs func(ctx context.Context, from rouse.Origin, in *In) ([]rouse.Need, error),
	handle func(ctx context.Context, from rouse.Origin, in *In) (*Out, error),
	options ...Option,
) Operation {
	op := Operation{Name: name, Route: route, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out]()}
	op.method, op.path, op.status = parseRoute(route)
	op.audited = !readOnly(name)
	op.newIn = func() any { return new(In) }
	if needs != nil {
		op.needs = func(ctx context.Context, from rouse.Origin, in any) ([]rouse.Need, error) {
			return needs(ctx, from, in.(*In))
		}
	}
	if handle != nil {
		op.handle = func(ctx context.Context, from rouse.Origin, in any) (any, error) {
			out, err := handle(ctx, from, in.(*In))
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = new(Out)
			}
			return out, nil
		}
	}
	for _, o := range options {
		o(&op)
	}
	return op
}

// NoNeeds is the needs of an operation that every authenticated caller may use, such as sts:GetCallerIdentity.
func NoNeeds[In any](context.Context, rouse.Origin, *In) ([]rouse.Need, error) { return nil, nil }

// Option adds a property to an operation.
type Option func(*Operation)

// Refuse declares members that AWS has and Rouse does not implement: set to anything but null, "", false, [] or {}, they
// are refused by Kind Unsupported, by name. A path such as "Code.ImageUri" reaches into structs, and through lists and
// maps of them. Members are named as on the wire; Caller knows a header X-Amz-Some-Name as SomeName, other headers need the
// tag unsupported to be refused there too.
func Refuse(paths ...string) Option {
	return func(op *Operation) {
		for _, p := range paths {
			op.refused = append(op.refused, refusal{path: p})
		}
	}
}

// RefuseExcept declares a member of which Rouse implements only some values, usually AWS's default:
// RefuseExcept("TracingConfig.Mode", "PassThrough"). Numbers and booleans are written as in JSON. A list is allowed when
// all its items are.
func RefuseExcept(path string, allowed ...string) Option {
	return func(op *Operation) { op.refused = append(op.refused, refusal{path: path, allowed: allowed}) }
}

// Differs says for COMPATIBILITY.md how the operation differs from AWS's; several are joined.
func Differs(how string) Option {
	return func(op *Operation) {
		if op.differs != "" {
			op.differs += "; "
		}
		op.differs += how
	}
}

// BodyMax limits the operation's body in bytes; beyond it Kind TooLarge is answered.
func BodyMax(bytes int64) Option { return func(op *Operation) { op.bodyMax = bytes } }

// TooLargeCode is the code of a body beyond the operation's limit, where that is not the service's of Kind TooLarge.
func TooLargeCode(code string) Option { return func(op *Operation) { op.tooLarge = code } }

// Unaudited spares calls the audit event, which all leave but those whose names begin as reading ones do (Get, List,
// Describe, …): for operations on data that leave a record of their own, as Invoke, where CloudTrail writes none either
// unless told.
func Unaudited() Option { return func(op *Operation) { op.audited = false } }

type refusal struct {
	path    string
	allowed []string
}

// readOnly tells by its name that an operation changes nothing.
func readOnly(name string) bool {
	for _, p := range []string{"Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Filter", "Simulate",
		"Validate", "Query", "Scan", "Select", "Estimate", "Detect", "Test", "StartLiveTail", "Decode"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// RequestID is the id of the request that ctx serves: what the client gets as x-amzn-RequestId. "" outside a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID puts id into ctx; for the door.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

type requestIDKey struct{}
