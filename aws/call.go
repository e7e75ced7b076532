package aws

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
)

// AuditEvent is the record of one call of an operation that changes something, whether it was allowed or not. It holds
// neither input nor output.
type AuditEvent struct {
	Time      time.Time
	Took      time.Duration
	RequestID string
	Service   string // name: "lambda"
	Operation string // "CreateFunction"
	Origin    rouse.Origin
	Resources []string // ARNs that the operation needed; "*" where it has none
	Code      string   // the error's code as the client got it; "" for success
	Kind      rouse.Kind
}

// run is the one way into an operation: hops, needs, authorisation, the handler, the audit event. in is decoded and
// validated.
func (d *Door) run(ctx context.Context, from rouse.Origin, e *wire.Entry, t *wire.Table, in any) (any, error) {
	if !e.Audited() || d.cfg.Audit == nil {
		if _, err := d.admit(ctx, from, e, in); err != nil {
			return nil, err
		}
		return e.Handle(ctx, from, in)
	}
	ev := AuditEvent{Time: d.cfg.Now(), RequestID: wire.RequestID(ctx), Service: t.Service.Name, Operation: e.Name,
		Origin: from}
	err := errPanicked // until the handler has returned: what panics leaves its event too
	defer func() {
		ev.Took = d.cfg.Now().Sub(ev.Time)
		if err != nil {
			f := d.fault(t, err, ev.RequestID)
			ev.Code, ev.Kind = f.Code, f.Kind
		}
		d.cfg.Audit(ev)
	}()
	needs, refused := d.admit(ctx, from, e, in)
	for _, n := range needs {
		ev.Resources = append(ev.Resources, n.Resource)
	}
	if refused != nil {
		err = refused
		return nil, err
	}
	out, failed := e.Handle(ctx, from, in)
	err = failed
	return out, err
}

// admit answers an error unless from may run e with in, and the needs as far as they are known.
func (d *Door) admit(ctx context.Context, from rouse.Origin, e *wire.Entry, in any) ([]rouse.Need, error) {
	if from.IsZero() {
		return nil, rouse.Errorf(rouse.Denied, "Nobody is not authorized to perform: %s", e.Name)
	}
	if from.Hops > rouse.HopsMax {
		return nil, rouse.Errorf(rouse.Limit, "Rouse has detected a recursive loop and stopped it: more than %d causes led "+
			"from one to the next", rouse.HopsMax).WithCode("RecursiveInvocationException")
	}
	needs, err := e.Needs(ctx, from, in)
	if err != nil || len(needs) == 0 {
		return needs, err
	}
	return needs, d.cfg.Authorize.Authorize(ctx, from, needs)
}

// Call reaches an operation as from; rouse.Caller says more. service is a table's name, or the signing name of one
// service only. Members of input may be written with either case of the first letter, and numbers and booleans as
// text. A payload may stand in input instead of body: base64, or JSON that is not a string.
func (d *Door) Call(ctx context.Context, from rouse.Origin, service, operation string, input []byte,
	body io.Reader) (output []byte, reply io.ReadCloser, err error) {
	t := d.tables[service]
	if s := d.signing[service]; t == nil && len(s) == 1 {
		t = s[0]
	}
	if t == nil {
		return nil, nil, rouse.Errorf(rouse.Unsupported, "Rouse does not implement the service %.64q", service)
	}
	id := wire.RequestID(ctx)
	if id == "" {
		id = newRequestID()
		ctx = wire.WithRequestID(ctx, id)
	}
	output, reply, err = d.call(ctx, from, t, operation, input, body)
	if err != nil {
		f := d.fault(t, err, id)
		d.log(ctx, t, operation, id, f)
		return nil, nil, f
	}
	return output, reply, nil
}

func (d *Door) call(ctx context.Context, from rouse.Origin, t *wire.Table, operation string, input []byte,
	body io.Reader) ([]byte, io.ReadCloser, error) {
	e, err := t.Operation(operation)
	if err != nil {
		return nil, nil, err
	}
	in, err := e.DecodeJSON(input, body)
	if err != nil {
		return nil, nil, err
	}
	out, err := d.run(ctx, from, e, t, in)
	if err != nil {
		return nil, nil, err
	}
	return e.EncodeJSON(out)
}

// fault phrases err for clients of t. Codes of authentication are spelled as the protocol does.
func (d *Door) fault(t *wire.Table, err error, id string) *rouse.Error {
	f := t.Fault(err, id)
	if f.Kind != rouse.Unauthenticated {
		return f
	}
	code := strings.TrimSuffix(f.Code, "Exception")
	switch code {
	case "UnrecognizedClient":
		code = sigv4.CodeUnknownKey
	case "InvalidSignature":
		code = sigv4.CodeMismatch
	}
	if t.Service.Protocol != wire.Query {
		code = sigv4.CodeFor(code)
	}
	return f.WithCode(code)
}
