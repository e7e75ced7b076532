package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/apigateway"
	"github.com/rouse-dev/rouse/aws/apigatewayv2"
	"github.com/rouse-dev/rouse/aws/cloudformation"
	"github.com/rouse-dev/rouse/aws/dynamodb"
	"github.com/rouse-dev/rouse/aws/dynamodb/streams"
	"github.com/rouse-dev/rouse/aws/events"
	"github.com/rouse-dev/rouse/aws/iam"
	"github.com/rouse-dev/rouse/aws/lambda"
	awslogs "github.com/rouse-dev/rouse/aws/logs"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/sts"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/console"
	"github.com/rouse-dev/rouse/gateway"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// keys lets the doors check who signed.
type keys struct {
	identity *identity.Identity
	local    users // who may use keys that are good on loopback only
}

// Credentials finds a key and asks whether it may be used from where the request came, and by whom.
func (k keys) Credentials(ctx context.Context, id, token, sourceIP string) (aws.Key, error) {
	key, err := k.identity.Credentials(ctx, id, token)
	if err == nil {
		err = key.Permits(sourceIP)
	}
	if err == nil && key.LoopbackOnly {
		err = k.local.permits(ctx)
	}
	if err != nil {
		return aws.Key{}, err
	}
	return aws.Key{Secret: key.Secret, Origin: key.Origin}, nil
}

// doors opens the doors and says who answers which request.
func (n *Node) doors(p *parts) error {
	p.account, p.mode, p.region = n.cfg.Account, n.mode(), n.cfg.Region
	p.gateway = gateway.New(gateway.Config{API: p.apis, Region: n.cfg.Region, Invoker: p.dispatch, Authorize: p.identity,
		Policy: p.catalog.Policy, Trusts: func(role string) bool { return p.identity.Assumable(role, "apigateway.amazonaws.com") }, URLs: p.url, Verify: n.verifier(p), Observe: p.observe, Log: n.log})
	own := console.New(console.Config{Region: n.cfg.Region, Meter: p.meter, Assets: p.kept, Caller: lateCaller{p}, Feed: p.feed,
		Status: func() console.Status { return n.status(p) }, Runtimes: p.listRuntimes,
		Add: p.runtimes.Add, Stop: n.ask,
		Backup: func(ctx context.Context, w io.Writer) error { return n.backup(ctx, p, w) }})
	region := n.cfg.Region
	if n.cfg.Dev {
		region = "" // whatever a developer's tools are set to
	}
	functions, err := lambda.New(lambda.Config{Catalog: p.catalog, Invoker: p.dispatch, Region: n.cfg.Region, Secret: p.seal, BaseURL: n.url,
		FunctionURL: n.functionURL})
	if err != nil {
		return err
	}
	p.codeLinks = functions.CodeHandler()
	_, endpoint, _ := strings.Cut(n.url, "://")
	tables := dynamodb.New(dynamodb.Config{Tables: p.tables, Region: n.cfg.Region, Endpoint: endpoint}).Service()
	changes := streams.New(p.tables, n.cfg.Region).Service()
	p.door, err = aws.New(aws.Config{Keys: keys{p.identity, n.users}, Authorize: p.identity, Audit: n.audit, Logger: n.log, Region: region,
		Services: []wire.Service{functions.Service(), iam.New(p.identity).Service(), sts.New(p.identity).Service(),
			awslogs.New(p.logs).Service(), apigatewayv2.New(p.apis).Service(), apigateway.New(p.apis).Service(),
			cloudformation.New(cloudformation.Config{Stacks: p.stack, Region: n.cfg.Region, Fetch: p.template}).Service(), events.New(p.bus).Service(),
			tables, changes, own.Service()}})
	if err != nil {
		return err
	}
	p.front = dynamodb.Front(p.door, n.cfg.Region, tables, changes)
	n.gauges(p)
	p.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath && n.cfg.Metrics != "" { // they tell of functions and costs, and each look has its price
			http.Error(w, "Metrics have an address of their own here: the node's setting metrics.", http.StatusNotFound)
			return
		}
		p.outside(w, r)
	})
	p.plain = p.gateway.Plain(nil)
	if loopback(n.cfg.Plain) {
		p.plain = ownNames(p.plain, "--plain")
	}
	p.metrics = p.meter.Handler()
	if loopback(cmp.Or(n.cfg.Metrics, n.cfg.Listen)) {
		p.metrics = ownNames(p.metrics, "--metrics")
	}
	return nil
}

// Services are the tables of all doors: what docs/COMPATIBILITY.md is made from.
func (n *Node) Services() []wire.Service { return n.parts.door.Services() }

// lateCaller is the door, which is made after the services that call through it.
type lateCaller struct{ p *parts }

// Call calls through the door.
func (l lateCaller) Call(ctx context.Context, from rouse.Origin, service, operation string, input []byte,
	body io.Reader) ([]byte, io.ReadCloser, error) {
	return l.p.door.Call(ctx, from, service, operation, input, body)
}

// functionURL is the address of a function URL's id.
func (n *Node) functionURL(id string) string { return n.subdomain(id+".lambda-url") + "/" }

// url finds a function URL for the gateway.
func (p *parts) url(id string) (gateway.URLConfig, bool) {
	u, err := p.catalog.ResolveURL(id)
	if err != nil {
		return gateway.URLConfig{}, false
	}
	c := gateway.URLConfig{Function: u.Function, IAM: u.AuthType == catalog.AuthIAM, Stream: u.InvokeMode == catalog.InvokeStream}
	if u.CORS != nil {
		cors := api.CORS(*u.CORS)
		c.CORS = &cors
	}
	return c, true
}

// listRuntimes says which interpreters there are and which names they serve.
func (p *parts) listRuntimes(_ context.Context, others []string) ([]console.Runtime, error) {
	var out []console.Runtime
	for _, e := range p.runtimes.List() {
		out = append(out, console.Runtime{Name: e.Interpreter.String(), Path: e.Host, Modules: e.SDKs()})
	}
	for _, name := range append(slices.Clone(runtimeNames), others...) {
		c, err := p.runtimes.For(name)
		if err != nil {
			continue // no interpreter of that language
		}
		for i := range out {
			if out[i].Path != c.Given.Host || slices.Contains(out[i].Serves, name) {
				continue
			}
			out[i].Serves = append(out[i].Serves, name)
			if c.Exact {
				out[i].Exact = append(out[i].Exact, name)
			}
		}
	}
	return out, nil
}

// runtimeNames are the names of AWS's runtimes that an interpreter can serve, newest first.
var runtimeNames = []string{"nodejs24.x", "nodejs22.x", "nodejs20.x", "nodejs18.x", "nodejs16.x", "python3.14", "python3.13", "python3.12",
	"python3.11", "python3.10", "python3.9", "python3.8"}

// metricsPath is where the doors of development show metrics; an address of their own shows nothing else.
const metricsPath = "/_rouse/metrics"

// outside answers requests to the node's address.
func (p *parts) outside(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/_rouse/health" || r.URL.Path == "/_localstack/health":
		p.health(w, r)
	case r.URL.Path == metricsPath:
		p.metrics.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, lambda.CodePath):
		p.codeLinks.ServeHTTP(w, r)
	case p.gateway.Match(r.Host, r.URL.Path):
		p.gateway.ServeHTTP(w, r)
	default:
		p.front.ServeHTTP(w, r)
	}
}

// ownNames refuses requests by a name that a site of the internet may have: one that resolves to 127.0.0.1 for the browser
// on this machine would let that site's pages read what h answers. flag is how it listens for others.
func ownNames(h http.Handler, flag string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if aws.LocalHost(r.Host) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "Forbidden: this address answers to localhost and 127.0.0.1 only. " +
			"Let a tunnel or proxy send one of these as Host, or listen for others with " + flag + " HOST:PORT."})
	})
}

// fromSandbox stands for the address of code in a sandbox. Its socket's own is a loopback address, of the sandbox's network;
// taken for this machine's, it would make the development key good for every function.
const fromSandbox = "0.0.0.0:0"

// inside answers requests that code in a sandbox makes: the same doors, without the pages for operators.
func (p *parts) inside(w http.ResponseWriter, r *http.Request) {
	r.RemoteAddr = fromSandbox
	if p.gateway.Match(r.Host, r.URL.Path) {
		p.gateway.ServeHTTP(w, r)
		return
	}
	p.door.Serve(w, r, aws.Arrival{})
}

// health says that the node is ready, and which services it has in the words of tools that ask.
func (p *parts) health(w http.ResponseWriter, r *http.Request) {
	if !p.announced.Load() {
		starting(w, r)
		return
	}
	services := map[string]string{}
	for _, s := range p.door.Services() {
		services[s.Name] = "running"
	}
	w.Header().Set("Content-Type", "application/json")
	status := "ready"
	if p.store.health() != nil { // why is for the log: whoever asks here has no key
		w.WriteHeader(http.StatusServiceUnavailable)
		status = "store away"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "version": Version(), "services": services,
		"mode": p.mode, "region": p.region})
}

// verifier checks the signatures of requests to function URLs.
func (n *Node) verifier(p *parts) func(*http.Request) (rouse.Origin, error) {
	check := sigv4.New(nil)
	return func(r *http.Request) (rouse.Origin, error) {
		claim, err := sigv4.Parse(r)
		if err != nil {
			return rouse.Origin{}, err
		}
		if claim.Service != "lambda" { // or else what S3 may leave unsigned would pass
			return rouse.Origin{}, rouse.Errorf(rouse.Unauthenticated, "Credential should be scoped to correct service: 'lambda'.")
		}
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		key, err := keys{p.identity, n.users}.Credentials(r.Context(), claim.AccessKeyID, claim.SessionToken, aws.KeySource(r, ip))
		if err != nil {
			return rouse.Origin{}, err
		}
		payload, ok := claim.PayloadHash()
		if !ok {
			if payload, err = hashBody(r); err != nil {
				return rouse.Origin{}, err
			}
		}
		if err := check.Verify(r, claim, key.Secret, payload); err != nil {
			return rouse.Origin{}, err
		}
		r.Body = io.NopCloser(sigv4.Body(r.Body, payload))
		from := key.Origin
		from.SourceIP, from.UserAgent, from.Secure = ip, r.UserAgent(), r.TLS != nil
		return from, nil
	}
}

// hashBody hashes a request's body and leaves it to be read again.
func hashBody(r *http.Request) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, gateway.BodyMax+1))
	if err != nil {
		return "", err
	}
	if len(b) > gateway.BodyMax {
		return "", rouse.Errorf(rouse.TooLarge, "Request Too Long")
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return sigv4.HashPayload(b), nil
}

// observe tells of a request that the gateway answered.
func (p *parts) observe(a gateway.Access) {
	if !p.feed.Watched() {
		return
	}
	m := &console.RequestMoment{Method: a.Method, Path: a.Path, Status: a.Status, Took: a.Took, Bytes: int64(a.BytesOut), Timing: a.Timing}
	if fn, err := rouse.ParseARN(a.Function); err == nil {
		m.Function, _, _ = fn.FunctionName()
	}
	var failed *gateway.FunctionFailure
	switch {
	case errors.As(a.Err, &failed):
		m.Error = failed.Type + ": " + failed.Message // whoever watches is the function's developer
	case a.Err != nil:
		m.Error = a.Err.Error()
	}
	p.feed.Tell(console.Moment{At: time.Now(), Account: p.account, Request: m})
}

// audit logs each change and who asked for it.
func (n *Node) audit(e aws.AuditEvent) {
	n.log.Info("audit", "service", e.Service, "operation", e.Operation, "principal", e.Origin.Principal.ARN, "source", e.Origin.SourceIP,
		"resources", e.Resources, "request", e.RequestID, "code", e.Code, "took", e.Took)
}

// gauges are metrics that are asked for when somebody scrapes them.
func (n *Node) gauges(p *parts) {
	p.meter.Gauge("instances_idle", "Idle instances.", func() float64 { return float64(p.pool.Counts().Idle) })
	p.meter.Gauge("instances_busy", "Instances that run an invocation.", func() float64 { return float64(p.pool.Counts().Busy) })
	p.meter.Gauge("instances_starting", "Instances being started.", func() float64 { return float64(p.pool.Counts().Starting) })
}

// status is what the node says of itself.
func (n *Node) status(p *parts) console.Status {
	c := p.pool.Counts()
	s := console.Status{Version: Version(), Mode: n.mode(), PID: os.Getpid(), Started: n.started, Region: n.cfg.Region, Account: n.cfg.Account,
		Listen: n.cfg.Listen, URL: n.url, Data: n.cfg.Data, Store: p.store.name, Isolation: isolation(p.driver.Report(), n.cfg.Egress),
		Instances: console.Instances{Idle: c.Idle, Busy: c.Busy, Starting: c.Starting},
		Memory:    console.MemoryUsed{Node: ownMemory(), Instances: c.MemoryBytes}}
	if n.cfg.Dev && n.cfg.Plain != "off" {
		s.Plain = reachable(n.cfg.Plain)
	}
	return s
}

// isolation puts a driver's report into words.
func isolation(r sandbox.Report, most egress.Policy) console.Isolation {
	out := console.Isolation{Driver: r.Driver}
	for _, c := range r.Checks {
		line := c.Name
		if line == sandbox.CheckEgress && c.State == sandbox.InForce && !most.All() && r.Driver != driver.Process {
			line += " to a list"
		}
		if c.State == sandbox.InForce {
			out.InForce = append(out.InForce, line)
			continue
		}
		if c.Detail != "" {
			line += ": " + c.Detail
		}
		if c.Lift != "" {
			line += " (" + c.Lift + ")"
		}
		out.Missing = append(out.Missing, line)
	}
	out.Summary = r.Driver + ": " + strings.Join(out.InForce, ", ")
	return out
}

// ownMemory is this process's resident memory in bytes, or the heap where the system does not say.
func ownMemory() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		var total, resident int64
		if _, err := fmt.Sscan(string(b), &total, &resident); err == nil {
			return resident * int64(os.Getpagesize())
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
