package api

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api/route"
)

// Kind says which of the two an API is.
type Kind string

// The kinds.
const (
	KindHTTP Kind = "HTTP"
	KindREST Kind = "REST"
)

func (d *document) kind() Kind {
	if d.HTTP != nil {
		return KindHTTP
	}
	return KindREST
}

// DefaultStage is the stage of an HTTP API that is served without its name in the path.
const DefaultStage = "$default"

// Snapshot is every API as it is served. Immutable; its parts are shared with snapshots before and after it.
type Snapshot struct {
	byID map[string]*API
	all  []*API // oldest first
}

func newSnapshot(all []*API) *Snapshot {
	s := &Snapshot{byID: make(map[string]*API, len(all)), all: all}
	for _, a := range all {
		s.byID[a.ID] = a
	}
	return s
}

// API is the API of that id; nil when there is none.
func (s *Snapshot) API(id string) *API { return s.byID[id] }

// All lists the APIs, oldest first. Not to be changed.
func (s *Snapshot) All() []*API { return s.all }

func (s *Snapshot) with(a *API) *Snapshot {
	all := slices.DeleteFunc(slices.Clone(s.all), func(o *API) bool { return o.ID == a.ID })
	at, _ := slices.BinarySearchFunc(all, a, func(x, y *API) int {
		if n := x.Created.Compare(y.Created); n != 0 {
			return n
		}
		return strings.Compare(x.ID, y.ID)
	})
	return newSnapshot(slices.Insert(all, at, a))
}

func (s *Snapshot) without(id string) *Snapshot {
	return newSnapshot(slices.DeleteFunc(slices.Clone(s.all), func(o *API) bool { return o.ID == id }))
}

// API is one API as it is served.
type API struct {
	ID      string
	Account string
	Name    string
	Kind    Kind
	Created time.Time
	Stages  map[string]*Stage

	revision uint64
}

// Stage is one stage as it is served.
type Stage struct {
	API        *API
	Name       string
	Deployment string            // id; "" when nothing is deployed: every request is answered as not found
	Variables  map[string]string // stage variables; nil when none
	Disabled   bool              // the default endpoint is switched off
	CORS       *CORS             // HTTP APIs; nil: the integration answers for itself
	// BinaryMediaTypes are those of a REST API whose bodies are passed in base64: "image/png", "*/*".
	BinaryMediaTypes []string
	// MinimumCompression is the size in bytes from which a REST API compresses its answers; negative: never.
	MinimumCompression int
	// GatewayResponses replace a REST API's own errors, by type: "DEFAULT_4XX".
	GatewayResponses map[string]GatewayResponse
	// Routes finds the route of a request by method and path within the stage.
	Routes route.Table[*Route]

	design *design
	cause  string // which settings it was compiled from, to tell whether it can be kept
}

// Route is one route of a stage as it is served.
type Route struct {
	Stage       *Stage
	Key         string   // "GET /pets/{id}", "$default"
	Method      string   // "GET", "ANY"; "" of $default
	Path        string   // "/pets/{id}", "$default"
	Names       []string // of the path variables, in the order of route.Table's values
	ResourceID  string   // of a REST API's resource
	Integration *Integration
	// Limiter holds the route's throttle on this node; nil when none is set.
	Limiter *rate.Limiter
}

// IntegrationType says what answers a route.
type IntegrationType uint8

// The types.
const (
	Broken IntegrationType = iota // nothing can: Integration.Why says it
	Lambda
	HTTPProxy
	Mock
)

// Integration is what answers a route, ready to be used.
type Integration struct {
	Type     IntegrationType
	Function rouse.ARN     // Lambda: with its version or alias, if any
	ARN      string        // of Function
	Role     string        // ARN of the role to act as; "": the function's own policy must allow the call
	Format2  bool          // Lambda: payload format 2.0
	Timeout  time.Duration // never 0
	URL      string        // HTTPProxy: with {param}s to fill in
	Method   string        // HTTPProxy: "" or "ANY" takes the request's
	// Params are path parameters of the URL by the route's path variable that fills them; a name that is missing stands
	// for itself.
	Params map[string]string
	Mock   *MockAnswer
	Why    string // Broken: for the log
}

// MockAnswer is a mock integration's table: the request's content type gives a status, the status an answer.
type MockAnswer struct {
	Status    map[string]int // by content type of the request, without parameters
	Responses []MockResponse // those with a pattern first
}

// MockResponse is one answer of a mock.
type MockResponse struct {
	Pattern     *regexp.Regexp // matches the whole status; nil matches any
	Status      int
	Header      [][2]string
	ContentType string
	Body        string
}

// Answer chooses the answer for a status.
func (m *MockAnswer) Answer(status string) (MockResponse, bool) {
	for _, r := range m.Responses {
		if r.Pattern == nil || r.Pattern.MatchString(status) {
			return r, true
		}
	}
	return MockResponse{}, false
}
