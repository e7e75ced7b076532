package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api/route"
)

// compile makes what the gateway serves of a document. Stages whose settings and deployment are as before are taken over
// from the present snapshot, limiters included.
func (c *core) compile(ctx context.Context, d *document, designs map[string]*design) (*API, error) {
	live := &API{ID: d.ID, Account: d.Account, Kind: d.kind(), Stages: map[string]*Stage{}, revision: d.Revision}
	before := c.Snapshot().API(d.ID)
	var stages []stageSettings
	if d.HTTP != nil {
		live.Name, live.Created = d.HTTP.API.Name, d.HTTP.API.CreatedDate
		stages = httpStages(d.HTTP)
	} else {
		live.Name, live.Created = d.REST.API.Name, d.REST.API.CreatedDate
		stages = restStages(d.REST)
	}
	for _, s := range stages {
		cause, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		var old *Stage
		if before != nil {
			old = before.Stages[s.Name]
		}
		st := &Stage{API: live, Name: s.Name, Deployment: s.Deployment, Variables: s.Variables, MinimumCompression: -1,
			cause: string(cause)}
		switch {
		case s.Deployment == "":
		case designs[s.Deployment] != nil:
			st.design = designs[s.Deployment]
		case old != nil && old.design != nil && old.Deployment == s.Deployment:
			st.design = old.design
		default:
			if st.design, err = c.loadDesign(ctx, d.Account, d.ID, s.Deployment); err != nil {
				return nil, err
			}
		}
		st.compile(s, old)
		live.Stages[s.Name] = st
	}
	return live, nil
}

// stageSettings is what a stage adds to its deployment, the same for both kinds of API.
type stageSettings struct {
	Name       string
	Deployment string
	Variables  map[string]string
	// Throttle finds the limits of a route by "METHOD /path", of all routes by "".
	Throttle map[string]throttle
}

type throttle struct {
	Rate  *float64
	Burst *int
}

func (st *Stage) compile(s stageSettings, old *Stage) {
	limiters := map[string]*rate.Limiter{}
	if old != nil && old.cause == st.cause {
		limiters = old.limiters()
	}
	add := func(r *Route) {
		r.Stage = st
		if r.Limiter = limiters[r.Key]; r.Limiter == nil {
			r.Limiter = s.limiter(r.Key)
		}
		if r.Path == DefaultStage {
			st.Routes.Default(r)
			return
		}
		// Names and clashes were checked when the route was made; what is left cannot be reached and harms nobody.
		_ = st.Routes.Add(r.Method, r.Path, r)
	}
	switch {
	case st.design == nil:
	case st.design.HTTP != nil:
		st.CORS, st.Disabled = st.design.HTTP.CORS, st.design.HTTP.DisableEndpoint
		for _, r := range st.design.HTTP.routes(s.Variables) {
			add(r)
		}
	default:
		ds := st.design.REST
		st.Routes.Loose, st.Disabled = true, ds.DisableEndpoint
		st.BinaryMediaTypes, st.GatewayResponses = ds.BinaryMediaTypes, ds.GatewayResponses
		if ds.MinimumCompression != nil {
			st.MinimumCompression = *ds.MinimumCompression
		}
		for _, r := range ds.routes(s.Variables) {
			add(r)
		}
	}
}

// limiters are those in use, by route.
func (st *Stage) limiters() map[string]*rate.Limiter {
	m := map[string]*rate.Limiter{}
	for r := range st.Routes.All() {
		if r.Limiter != nil {
			m[r.Key] = r.Limiter
		}
	}
	return m
}

// limiter makes the limiter that the settings ask for; nil when they ask for none.
func (s *stageSettings) limiter(key string) *rate.Limiter {
	t, ok := s.Throttle[key]
	if !ok {
		_, path, _ := strings.Cut(key, " ")
		if t, ok = s.Throttle["* "+path]; !ok {
			t = s.Throttle[""]
		}
	}
	if t.Rate == nil && t.Burst == nil {
		return nil
	}
	limit, burst := rate.Inf, burstDefault
	if t.Rate != nil {
		limit = rate.Limit(*t.Rate)
	}
	if t.Burst != nil {
		burst = *t.Burst
	}
	return rate.NewLimiter(limit, burst)
}

// burstDefault is an account's burst limit on AWS.
const burstDefault = 5000

func httpStages(d *httpDocument) []stageSettings {
	var all []stageSettings
	for _, s := range d.Stages {
		st := stageSettings{Name: s.StageName, Deployment: s.DeploymentID, Variables: s.StageVariables, Throttle: map[string]throttle{}}
		if r := s.DefaultRouteSettings; r != nil {
			st.Throttle[""] = throttle{r.ThrottlingRateLimit, r.ThrottlingBurstLimit}
		}
		for key, r := range s.RouteSettings {
			st.Throttle[key] = throttle{r.ThrottlingRateLimit, r.ThrottlingBurstLimit}
		}
		all = append(all, st)
	}
	return all
}

func restStages(d *restDocument) []stageSettings {
	var all []stageSettings
	for _, s := range d.Stages {
		st := stageSettings{Name: s.StageName, Deployment: s.DeploymentID, Variables: s.Variables, Throttle: map[string]throttle{}}
		for key, m := range s.MethodSettings {
			if !m.Throttled {
				continue
			}
			rateLimit, burst := m.ThrottlingRateLimit, m.ThrottlingBurstLimit
			st.Throttle[settingRoute(key)] = throttle{&rateLimit, &burst}
		}
		all = append(all, st)
	}
	return all
}

// routes compiles the routes of an HTTP API for a stage's variables.
func (ds *httpDesign) routes(vars map[string]string) []*Route {
	targets := map[string]*Integration{}
	for i := range ds.Integrations {
		targets[ds.Integrations[i].IntegrationID] = ds.Integrations[i].compile(vars)
	}
	all := make([]*Route, 0, len(ds.Routes))
	for _, r := range ds.Routes {
		live := &Route{Key: r.RouteKey, Integration: targets[strings.TrimPrefix(r.Target, "integrations/")]}
		if live.Integration == nil {
			live.Integration = broken("the route has no integration")
		}
		var ok bool
		if live.Method, live.Path, ok = strings.Cut(r.RouteKey, " "); !ok {
			live.Method, live.Path = "", DefaultStage
		} else if p, err := route.Parse(live.Path); err == nil {
			live.Names = p.Names()
		}
		all = append(all, live)
	}
	return all
}

func (in *HTTPIntegration) compile(vars map[string]string) *Integration {
	live := &Integration{Role: in.CredentialsARN, Format2: in.PayloadFormatVersion == "2.0", Timeout: time.Duration(in.TimeoutInMillis) * time.Millisecond}
	switch in.IntegrationType {
	case "AWS_PROXY":
		live.lambda(in.IntegrationURI, vars)
	case "HTTP_PROXY":
		live.httpProxy(in.IntegrationURI, in.IntegrationMethod, vars)
	}
	return live
}

// routes compiles the methods of a REST API for a stage's variables.
func (ds *restDesign) routes(vars map[string]string) []*Route {
	var all []*Route
	for _, r := range ds.Resources {
		p, _ := route.Parse(r.Path)
		for _, name := range slices.Sorted(maps.Keys(r.Methods)) {
			m := r.Methods[name]
			live := &Route{Key: name + " " + r.Path, Method: name, Path: r.Path, Names: p.Names(), ResourceID: r.ID}
			if m.Integration == nil {
				live.Integration = broken("the method has no integration")
			} else {
				live.Integration = m.Integration.compile(vars)
			}
			all = append(all, live)
		}
	}
	return all
}

func (in *RESTIntegration) compile(vars map[string]string) *Integration {
	live := &Integration{Role: in.Credentials, Timeout: time.Duration(in.TimeoutInMillis) * time.Millisecond}
	switch in.Type {
	case "AWS_PROXY":
		if in.HTTPMethod != "POST" {
			return broken("the integration's HTTP method is %s, and Lambda is invoked by POST", in.HTTPMethod)
		}
		live.lambda(in.URI, vars)
	case "HTTP_PROXY":
		live.httpProxy(in.URI, in.HTTPMethod, vars)
		live.Params = map[string]string{}
		for to, from := range in.RequestParameters {
			live.Params[strings.TrimPrefix(to, "integration.request.path.")] = strings.TrimPrefix(from, "method.request.path.")
		}
	case "MOCK":
		mock, err := in.mock()
		if err != nil {
			return broken("%v", err)
		}
		live.Type, live.Mock = Mock, mock
	}
	return live
}

func (live *Integration) lambda(uri string, vars map[string]string) {
	fn, err := functionARN(substitute(uri, vars))
	if err != nil {
		*live = *broken("%v", err)
		return
	}
	live.Type, live.Function, live.ARN = Lambda, fn, fn.String()
}

func (live *Integration) httpProxy(uri, method string, vars map[string]string) {
	uri = substitute(uri, vars)
	if !webURL(uri) {
		*live = *broken("%q is not a URL", uri)
		return
	}
	live.Type, live.URL, live.Method = HTTPProxy, uri, method
}

func broken(why string, args ...any) *Integration {
	return &Integration{Type: Broken, Why: fmt.Sprintf(why, args...), Timeout: time.Second}
}

var (
	stageVariable = regexp.MustCompile(`\$\{stageVariables\.([A-Za-z0-9_]+)\}`)
	invocationURI = regexp.MustCompile(`^arn:[a-z-]+:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(.+)/invocations$`)
)

// substitute puts stage variables in place; one that is missing becomes nothing, as on AWS.
func substitute(s string, vars map[string]string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return stageVariable.ReplaceAllStringFunc(s, func(m string) string {
		return vars[stageVariable.FindStringSubmatch(m)[1]]
	})
}

// functionARN reads the two forms of an integration's URI: a function's ARN, or that within an invocation path.
func functionARN(uri string) (rouse.ARN, error) {
	if m := invocationURI.FindStringSubmatch(uri); m != nil {
		uri = m[1]
	}
	arn, err := rouse.ParseARN(uri)
	if err != nil {
		return rouse.ARN{}, err
	}
	if name, _, ok := arn.FunctionName(); !ok || strings.ContainsAny(name, "/ ") {
		return rouse.ARN{}, fmt.Errorf("%q does not name a function", uri)
	}
	return arn, nil
}

// webURL tells whether uri is an absolute http or https URL; braces stand for parameters.
func webURL(uri string) bool {
	u, err := url.Parse(strings.NewReplacer("{", "", "}", "", "+", "").Replace(uri))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
