// Package aws is the door that AWS's clients knock at: one http.Handler for all services, and the Caller by which the
// platform's own parts reach the same operations without a network.
//
// # A request's way
//
//	        HTTP                                      Call
//	which service?   signature's scope, target,         given
//	                 path, host, Action
//	which operation? wire.Table                         given
//	who?             Keys, sigv4                        given: an Origin
//	   └──────────────── decode, validate ────────────────┘
//	                     hops ≤ rouse.HopsMax
//	                     needs → Authorize
//	                     handle
//	                     audit
//	   ┌──────────────── encode ──────────────────────────┐
//	wire's protocol                                     JSON
//
// Everything between the brackets is one function, run, so that no way around a permission or an audit event exists.
// A request without a signature is refused, unless the operation says that it may be called so; the zero Origin is
// denied. The body of a request that declares its hash is checked while it is read; any other is read whole, within its
// limit, before its signature can be checked, but never before the access key is known; all such bodies together have a
// limit of memory.
//
// # Promises
//
// A Door is safe for concurrent use. It starts nothing and stores nothing. An error of Kind Internal, or of
// none, is logged here, once, with the request id that the client gets instead of the details. A panic of a handler is
// logged with its stack and answered as internal; if the answer had begun, the connection is broken off. Neither log nor
// audit event holds a secret, a signature or a payload.
//
// Left to others: keys and policies (identity), the operations themselves (the service packages), listeners and TLS
// (node), health pages, CORS, and telling AWS's requests from those to an API of the gateway.
package aws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
)

// Key is what a signature is checked with, and who signed if it is good.
type Key struct {
	Secret string
	Origin rouse.Origin // Principal, Root, AccessKey, RoleARN; the door adds where the request came from
}

// Keys finds keys. sourceIP is the address of the client's socket as KeySource has it, "" for requests from inside a sandbox
// or, perhaps, of a web page: some keys are good on loopback only. Errors are of Kind Unauthenticated. Safe for concurrent use.
type Keys interface {
	Credentials(ctx context.Context, accessKeyID, sessionToken, sourceIP string) (Key, error)
}

// Config makes a Door.
type Config struct {
	Services  []wire.Service   // at least one; names and routes are unique
	Keys      Keys             // required
	Authorize rouse.Authorizer // required
	Audit     func(AuditEvent) // called for audited operations, from their goroutine; nil: nobody wants to know
	Logger    *slog.Logger     // nil: silent
	Now       func() time.Time // the clock that signatures are held against; nil: time.Now
	Region    string           // that signatures must be scoped to; "" takes any
	// StrangersMax is how many bytes of bodies may be held at once whose signature is not checked yet; 0: 512 MiB. Beyond
	// it requests are throttled.
	StrangersMax int64
	BodyPatience time.Duration // how long the next piece of a request's body may take to come; 0: 30 s
}

// Door serves all services. Make it with New.
type Door struct {
	cfg       Config
	verifier  *sigv4.Verifier
	tables    map[string]*wire.Table   // by name
	signing   map[string][]*wire.Table // by signing name
	order     []*wire.Table            // as configured
	strangers map[wire.Protocol]*wire.Table
	strange   memory
}

var (
	_ http.Handler = (*Door)(nil)
	_ rouse.Caller = (*Door)(nil)
)

// New makes a Door. The error names what is wrong with a table.
func New(cfg Config) (*Door, error) {
	if cfg.Keys == nil || cfg.Authorize == nil || len(cfg.Services) == 0 {
		return nil, errors.New("aws: Config needs Services, Keys and Authorize")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.StrangersMax == 0 {
		cfg.StrangersMax = 512 << 20
	}
	if cfg.BodyPatience == 0 {
		cfg.BodyPatience = 30 * time.Second
	}
	d := &Door{cfg: cfg, verifier: sigv4.New(cfg.Now), tables: map[string]*wire.Table{}, signing: map[string][]*wire.Table{},
		strangers: map[wire.Protocol]*wire.Table{},
		strange:   memory{max: cfg.StrangersMax}}
	for _, s := range cfg.Services {
		t, err := wire.Compile(s)
		if err != nil {
			return nil, err
		}
		name, signing := t.Service.Name, t.Service.SigningName
		if d.tables[name] != nil {
			return nil, errors.New("aws: two services are called " + name)
		}
		d.tables[name] = t
		d.signing[signing] = append(d.signing[signing], t)
		d.order = append(d.order, t)
	}
	return d, d.addStrangers()
}

// addStrangers makes the tables that speak for services which Rouse does not have.
func (d *Door) addStrangers() error {
	for _, s := range []wire.Service{
		{Name: "aws", Protocol: wire.JSON11, TargetPrefix: "-", Errors: wire.JSONErrors()},
		{Name: "aws", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors()},
		{Name: "aws", Protocol: wire.Query, Version: "-", Namespace: "https://rouse.dev/", Errors: wire.QueryErrors()},
	} {
		t, err := wire.Compile(s)
		if err != nil {
			return err
		}
		d.strangers[s.Protocol] = t
	}
	return nil
}

// Services returns the tables in the order of the configuration, for documentation and doctor.
func (d *Door) Services() []wire.Service { return d.cfg.Services }

// Arrival says how a request reached the node, where the request itself cannot be believed.
type Arrival struct {
	SourceIP string // of the client's socket, or of the proxy's client if the proxy is trusted; "" inside a sandbox
	Secure   bool   // by TLS
}

// ServeHTTP serves a request that arrived as its RemoteAddr and TLS say.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.Serve(w, r, Arrival{SourceIP: hostOf(r.RemoteAddr), Secure: r.TLS != nil})
}

// Serve serves a request that arrived as from says: the endpoints inside sandboxes, and listeners behind a proxy, know
// better than the socket's address.
func (d *Door) Serve(w http.ResponseWriter, r *http.Request, from Arrival) {
	x := &exchange{ResponseWriter: w, d: d, r: r, from: from, id: newRequestID(), table: d.strangers[wire.RESTJSON]}
	defer x.recover()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}
