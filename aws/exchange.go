package aws

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
)

// exchange is one request and its answer. It is the ResponseWriter of the latter, to know when the head goes out. One
// goroutine's.
type exchange struct {
	http.ResponseWriter
	d    *Door
	r    *http.Request
	from Arrival
	id   string

	table *wire.Table // that answers, errors too
	op    string      // for the log; "" until known
	sent  bool        // the head has gone out
	held  int64       // bytes taken from the door's memory for bodies of strangers
}

// WriteHeader notes that errors cannot be answered any more.
func (x *exchange) WriteHeader(status int) {
	x.sent = true
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController flush.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) serve() error {
	claim, unsigned := sigv4.Parse(x.r)
	if err := x.pick(claim); err != nil {
		return err
	}
	if unsigned != nil {
		return unsigned
	}
	if x.table.Service.Protocol == wire.Query {
		return x.serveForm(claim)
	}
	m, err := x.table.Route(x.r)
	if err != nil { // what is implemented and what is not is nothing for those who have no key
		if _, _, denied := x.authenticate(claim, wire.Match{}); denied != nil {
			return denied
		}
		return err
	}
	x.op = m.Name
	origin, in, err := x.authenticate(claim, m)
	if err != nil {
		return m.TooLarge(err)
	}
	return x.answer(origin, m, in)
}

// serveForm serves a query request: only its body says which operation it means.
func (x *exchange) serveForm(claim *sigv4.Claim) error {
	origin, in, err := x.authenticate(claim, wire.Match{})
	if err != nil {
		return err
	}
	m, err := x.routeForm(&in)
	if err != nil {
		return err
	}
	return x.answer(origin, m, in)
}

// answer runs the operation and writes what it says.
func (x *exchange) answer(origin rouse.Origin, m wire.Match, in wire.Input) error {
	ctx := wire.WithRequestID(x.r.Context(), x.id)
	input, err := m.Decode(in)
	if err != nil {
		return err
	}
	out, err := x.d.run(ctx, origin, m.Entry, x.table, input)
	if err != nil {
		return err
	}
	_, err = m.Encode(x, out, x.id)
	return err
}

// authenticate verifies the signature and returns who signed, and the body: read, or to be read while it is checked.
// m is empty where the operation is not known yet.
func (x *exchange) authenticate(claim *sigv4.Claim, m wire.Match) (rouse.Origin, wire.Input, error) {
	in := wire.Input{HTTP: x.r}
	defer x.letGo()
	limit := x.table.Service.BodyMax
	if m.Entry != nil {
		limit = m.BodyMax()
	}
	if err := x.checkScope(claim); err != nil {
		return rouse.Origin{}, in, err
	}
	key, err := x.d.cfg.Keys.Credentials(x.r.Context(), claim.AccessKeyID, claim.SessionToken, KeySource(x.r, x.from.SourceIP))
	if err != nil {
		return rouse.Origin{}, in, err
	}
	declared, ok := claim.PayloadHash()
	if ok {
		if err := x.d.verifier.Verify(x.r, claim, key.Secret, declared); err != nil {
			return rouse.Origin{}, in, err
		}
		if m.Entry != nil && m.Streams() {
			in.Stream = sigv4.Body(&limited{r: x.r.Body, left: limit, max: limit}, declared)
			return x.place(key.Origin), in, x.checkLength(limit)
		}
	}
	if in.Body, err = x.read(limit, ok); err != nil {
		return rouse.Origin{}, in, err
	}
	if !ok {
		err = x.d.verifier.Verify(x.r, claim, key.Secret, sigv4.HashPayload(in.Body))
	} else if sum := sigv4.HashPayload(in.Body); declared != sigv4.Unsigned &&
		subtle.ConstantTimeCompare([]byte(sum), []byte(declared)) != 1 {
		err = sigv4.ErrPayload()
	}
	if err != nil {
		return rouse.Origin{}, in, err
	}
	return x.place(key.Origin), in, nil
}

// checkScope holds the region of the signature against the node's.
func (x *exchange) checkScope(c *sigv4.Claim) error {
	want := x.d.cfg.Region
	if want == "" || c.Region == want || x.table.Service.Global && c.Region == rouse.DefaultRegion {
		return nil
	}
	return rouse.Errorf(rouse.Unauthenticated, "Credential should be scoped to a valid region, not '%.64s'. This node is %s.",
		c.Region, want).WithCode(sigv4.CodeMismatch)
}

// place adds to o where the request came from.
func (x *exchange) place(o rouse.Origin) rouse.Origin {
	o.SourceIP, o.Secure = x.from.SourceIP, x.from.Secure
	o.UserAgent = x.r.UserAgent()
	o.Trace = x.r.Header.Get("X-Amzn-Trace-Id")
	o.Hops = hopsOf(o.Trace)
	return o
}

// hopsOf reads how many causes a traced request has behind it. Lambda's recursion detection keeps the count in the trace
// header, as Lineage=HASH:COUNT|HASH:COUNT, and SDKs pass it on. Whoever leaves it out only loses the protection.
func hopsOf(trace string) int {
	_, lineage, ok := strings.Cut(trace, "Lineage=")
	if !ok {
		return 0
	}
	lineage, _, _ = strings.Cut(lineage, ";")
	hops := 0
	for _, part := range strings.Split(lineage, "|") {
		if n, err := strconv.Atoi(part[strings.LastIndexByte(part, ':')+1:]); err == nil && n > 0 {
			hops += min(n, rouse.HopsMax+1)
		}
	}
	return min(hops, rouse.HopsMax+1)
}

// routeForm finds the operation of a query request: in the body's form, or in the URL for presigned ones.
func (x *exchange) routeForm(in *wire.Input) (wire.Match, error) {
	text := string(in.Body)
	if x.r.URL.RawQuery != "" {
		text = strings.TrimPrefix(text+"&"+x.r.URL.RawQuery, "&")
	}
	var err error
	if in.Form, err = wire.ParseForm(text); err != nil {
		return wire.Match{}, err
	}
	m, err := x.table.RouteForm(in.Form)
	if err != nil {
		return m, err
	}
	x.op = m.Name
	if int64(len(in.Body)) > m.BodyMax() {
		return m, m.TooLarge(wire.TooLarge(m.BodyMax()))
	}
	return m, nil
}

// fail answers an error, or breaks the connection off when the answer has begun.
func (x *exchange) fail(err error) {
	f := x.d.fault(x.table, err, x.id)
	x.d.log(x.r.Context(), x.table, x.op, x.id, f)
	if x.sent {
		panic(http.ErrAbortHandler)
	}
	h := x.Header()
	for k := range h {
		h.Del(k)
	}
	x.table.EncodeError(x, f, x.id)
}

// recover ends a handler's panic here: the stack to the log, a request id to the client.
func (x *exchange) recover() {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	x.d.cfg.Logger.Error("handler panicked", "service", x.table.Service.Name, "operation", x.op, "request", x.id,
		"panic", p, "stack", string(debug.Stack()))
	if x.sent {
		panic(http.ErrAbortHandler)
	}
	x.table.EncodeError(x, x.d.fault(x.table, errPanicked, x.id), x.id)
}

var errPanicked = errors.New("handler panicked")

// log writes down what is ours to mend.
func (d *Door) log(ctx context.Context, t *wire.Table, op, id string, f *rouse.Error) {
	if f.Kind != rouse.Internal || ctx.Err() != nil {
		return
	}
	d.cfg.Logger.Error("request failed", "service", t.Service.Name, "operation", op, "request", id, "err", f.Err)
}

// hostOf is the address without its port.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

// newRequestID makes a random UUID.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var t [36]byte
	hex.Encode(t[0:8], b[0:4])
	hex.Encode(t[9:13], b[4:6])
	hex.Encode(t[14:18], b[6:8])
	hex.Encode(t[19:23], b[8:10])
	hex.Encode(t[24:36], b[10:16])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return string(t[:])
}

// formOf is the query string as a form, for telling services apart; nil when it cannot be read.
func formOf(r *http.Request) url.Values {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil
	}
	return v
}
