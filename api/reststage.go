package api

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RESTStage is a stage of a REST API.
type RESTStage struct {
	StageName       string                   `wire:"stageName"`
	DeploymentID    string                   `wire:"deploymentId"`
	Description     string                   `wire:"description"`
	CacheEnabled    bool                     `wire:"cacheClusterEnabled"`
	CacheStatus     string                   `wire:"cacheClusterStatus"`
	MethodSettings  map[string]MethodSetting `wire:"methodSettings"`
	Variables       map[string]string        `wire:"variables"`
	TracingEnabled  bool                     `wire:"tracingEnabled"`
	Tags            map[string]string        `wire:"tags"`
	CreatedDate     time.Time                `wire:"createdDate"`
	LastUpdatedDate time.Time                `wire:"lastUpdatedDate"`
}

// MethodSetting is a stage's setting for "PATH/METHOD", or for all by "*/*".
type MethodSetting struct {
	MetricsEnabled       bool    `wire:"metricsEnabled"`
	LoggingLevel         string  `wire:"loggingLevel"`
	DataTraceEnabled     bool    `wire:"dataTraceEnabled"`
	ThrottlingBurstLimit int     `wire:"throttlingBurstLimit"`
	ThrottlingRateLimit  float64 `wire:"throttlingRateLimit"`
	CachingEnabled       bool    `wire:"cachingEnabled"`
	CacheTTLSeconds      int     `wire:"cacheTtlInSeconds"`
	CacheDataEncrypted   bool    `wire:"cacheDataEncrypted"`
	CacheAuthorization   bool    `wire:"requireAuthorizationForCacheControl"`
	CacheStrategy        string  `wire:"unauthorizedCacheControlHeaderStrategy"`

	Throttled bool `wire:"-"` // the limits were set, and do not just show the account's
}

// RESTStageInput is what CreateStage says.
type RESTStageInput struct {
	StageName      string            `wire:"stageName"`
	DeploymentID   string            `wire:"deploymentId"`
	Description    string            `wire:"description"`
	Variables      map[string]string `wire:"variables"`
	TracingEnabled bool              `wire:"tracingEnabled"`
	Tags           map[string]string `wire:"tags"`
}

// RESTDeployment is a deployment of a REST API.
type RESTDeployment struct {
	ID          string    `wire:"id"`
	Description string    `wire:"description"`
	CreatedDate time.Time `wire:"createdDate"`
}

// RESTDeploymentInput is what CreateDeployment says.
type RESTDeploymentInput struct {
	StageName        string            `wire:"stageName"` // serve it there; a stage that is not there is made
	StageDescription string            `wire:"stageDescription"`
	Description      string            `wire:"description"`
	Variables        map[string]string `wire:"variables"`
	TracingEnabled   *bool             `wire:"tracingEnabled"`
}

func noRESTDeployment() error { return notFound("Invalid Deployment identifier specified") }

func (d *restDocument) stage(name string) int {
	return slices.IndexFunc(d.Stages, func(s RESTStage) bool { return s.StageName == name })
}

func (d *restDocument) deployment(id string) int {
	return slices.IndexFunc(d.Deployments, func(x RESTDeployment) bool { return x.ID == id })
}

// deployable refuses an API that has nothing to serve.
func (d *restDocument) deployable() error {
	some := false
	for _, r := range d.Resources {
		for _, m := range r.Methods {
			if some = true; m.Integration == nil {
				return bad("No integration defined for method")
			}
		}
	}
	if !some {
		return bad("The REST API doesn't contain any methods")
	}
	return nil
}

// addStage makes a stage on a deployment.
func (e *edit) addStage(in RESTStageInput) error {
	d := e.REST
	if !stageName.MatchString(in.StageName) {
		return bad("Stage name only allows a-zA-Z0-9_-")
	}
	if d.stage(in.StageName) >= 0 {
		return conflict("Stage already exists")
	}
	if len(d.Stages) >= stagesMax {
		return overLimit("Maximum number of stages for this API has been reached: %d", stagesMax)
	}
	if d.deployment(in.DeploymentID) < 0 {
		return bad("Deployment id does not exist")
	}
	if err := checkVariables(in.Variables); err != nil {
		return err
	}
	s := RESTStage{StageName: in.StageName, DeploymentID: in.DeploymentID, Description: in.Description,
		CacheStatus: "NOT_AVAILABLE", MethodSettings: map[string]MethodSetting{}, Variables: in.Variables,
		TracingEnabled: in.TracingEnabled, CreatedDate: e.now, LastUpdatedDate: e.now}
	if err := setTags(&s.Tags, in.Tags); err != nil {
		return err
	}
	d.Stages = append(d.Stages, s)
	return nil
}

// CreateDeployment freezes the present design and, with a stage name, serves it there.
func (r REST) CreateDeployment(ctx context.Context, account, id string, in RESTDeploymentInput) (x RESTDeployment, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		d := e.REST
		if err := d.deployable(); err != nil {
			return err
		}
		if len(d.Deployments) >= deploymentsMax {
			return overLimit("Maximum number of deployments for this API has been reached: %d", deploymentsMax)
		}
		x = RESTDeployment{ID: e.newID(6), Description: in.Description, CreatedDate: e.now}
		d.Deployments = append(d.Deployments, x)
		e.designs[x.ID] = d.design()
		if in.StageName == "" {
			return nil
		}
		at := d.stage(in.StageName)
		if at < 0 {
			return e.addStage(RESTStageInput{StageName: in.StageName, DeploymentID: x.ID, Description: in.StageDescription,
				Variables: in.Variables, TracingEnabled: in.TracingEnabled != nil && *in.TracingEnabled})
		}
		s := &d.Stages[at]
		s.DeploymentID, s.LastUpdatedDate = x.ID, e.now
		if in.StageDescription != "" {
			s.Description = in.StageDescription
		}
		if in.TracingEnabled != nil {
			s.TracingEnabled = *in.TracingEnabled
		}
		if err := checkVariables(in.Variables); err != nil {
			return err
		}
		if s.Variables == nil {
			s.Variables = map[string]string{}
		}
		maps.Copy(s.Variables, in.Variables)
		return nil
	})
	return x, err
}

// UpdateDeployment applies patch operations to a deployment.
func (r REST) UpdateDeployment(ctx context.Context, account, id, deployment string, ops []Patch) (x RESTDeployment, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		at := e.REST.deployment(deployment)
		if at < 0 {
			return noRESTDeployment()
		}
		for _, op := range ops {
			if err := op.choose("/description"); err != nil {
				return err
			}
			e.REST.Deployments[at].Description = op.Value
		}
		x = e.REST.Deployments[at]
		return nil
	})
	return x, err
}

// Deployment reads a deployment.
func (r REST) Deployment(ctx context.Context, account, id, deployment string) (RESTDeployment, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return RESTDeployment{}, err
	}
	at := d.deployment(deployment)
	if at < 0 {
		return RESTDeployment{}, noRESTDeployment()
	}
	return d.Deployments[at], nil
}

// Deployments lists the deployments in the order in which they were made.
func (r REST) Deployments(ctx context.Context, account, id string) ([]RESTDeployment, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return d.Deployments, nil
}

// DeleteDeployment removes a deployment that no stage serves.
func (r REST) DeleteDeployment(ctx context.Context, account, id, deployment string) error {
	return r.change(ctx, account, id, func(e *edit) error {
		at := e.REST.deployment(deployment)
		if at < 0 {
			return noRESTDeployment()
		}
		if slices.ContainsFunc(e.REST.Stages, func(s RESTStage) bool { return s.DeploymentID == deployment }) {
			return bad("Active stages pointing to this deployment must be moved or deleted")
		}
		e.REST.Deployments = slices.Delete(e.REST.Deployments, at, at+1)
		e.dropped = append(e.dropped, deployment)
		return nil
	})
}

// CreateStage makes a stage that serves a deployment.
func (r REST) CreateStage(ctx context.Context, account, id string, in RESTStageInput) (s RESTStage, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		if err := e.addStage(in); err != nil {
			return err
		}
		s = e.REST.Stages[len(e.REST.Stages)-1]
		return nil
	})
	return s, err
}

// Stage reads a stage.
func (r REST) Stage(ctx context.Context, account, id, name string) (RESTStage, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return RESTStage{}, err
	}
	at := d.stage(name)
	if at < 0 {
		return RESTStage{}, noStage()
	}
	return d.Stages[at], nil
}

// Stages lists the stages, those that serve deployment when it is not "".
func (r REST) Stages(ctx context.Context, account, id, deployment string) ([]RESTStage, error) {
	d, err := r.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(d.Stages, func(s RESTStage) bool { return deployment != "" && s.DeploymentID != deployment }), nil
}

// DeleteStage removes a stage.
func (r REST) DeleteStage(ctx context.Context, account, id, name string) error {
	return r.change(ctx, account, id, func(e *edit) error {
		at := e.REST.stage(name)
		if at < 0 {
			return noStage()
		}
		e.REST.Stages = slices.Delete(e.REST.Stages, at, at+1)
		return nil
	})
}

// UpdateStage applies patch operations to a stage.
func (r REST) UpdateStage(ctx context.Context, account, id, name string, ops []Patch) (s RESTStage, err error) {
	err = r.change(ctx, account, id, func(e *edit) error {
		at := e.REST.stage(name)
		if at < 0 {
			return noStage()
		}
		for _, op := range ops {
			if err := e.REST.patchStage(&e.REST.Stages[at], op); err != nil {
				return err
			}
		}
		e.REST.Stages[at].LastUpdatedDate = e.now
		s = e.REST.Stages[at]
		return nil
	})
	return s, err
}

func (d *restDocument) patchStage(s *RESTStage, op Patch) error {
	path := op.path()
	switch {
	case len(path) == 1 && path[0] == "deploymentId":
		if d.deployment(op.Value) < 0 {
			return bad("Deployment id does not exist")
		}
		s.DeploymentID = op.Value
		return op.only("replace")
	case len(path) == 1 && path[0] == "description":
		return op.text(&s.Description)
	case len(path) == 1 && path[0] == "tracingEnabled":
		return op.boolean(&s.TracingEnabled)
	case len(path) == 1 && path[0] == "cacheClusterEnabled":
		if op.Value == "true" {
			return unsupported("caching (cacheClusterEnabled)")
		}
	case len(path) == 2 && path[0] == "variables":
		if op.Op != "remove" {
			if err := checkVariables(map[string]string{path[1]: op.Value}); err != nil {
				return err
			}
		}
		s.Variables = maps.Clone(s.Variables)
		return op.entry(&s.Variables, path[1], nil)
	case path[0] == "accessLogSettings":
		if op.Op != "remove" {
			return unsupported("access logs of stages (accessLogSettings)")
		}
	case path[0] == "canarySettings":
		return unsupported("canary releases (canarySettings)")
	case path[0] == "cacheClusterSize", path[0] == "clientCertificateId", path[0] == "webAclArn", path[0] == "documentationVersion":
		return unsupported("%s of stages", path[0])
	case len(path) == 2 && op.Op == "remove", len(path) == 4:
		return s.patchMethod(path, op)
	default:
		return bad("Invalid method setting path: %s. Must be one of: [/deploymentId, /description, /variables/{variable_name}, "+
			"/tracingEnabled, /{resourcePath}/{httpMethod}/throttling/burstLimit, /{resourcePath}/{httpMethod}/throttling/rateLimit, "+
			"/{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/loglevel]", op.Path)
	}
	return nil
}

// patchMethod sets one of a method's settings: /~1pets/GET/throttling/rateLimit, /*/*/metrics/enabled.
func (s *RESTStage) patchMethod(path []string, op Patch) error {
	key := strings.TrimPrefix(path[0], "/") + "/" + path[1]
	m, there := s.MethodSettings[key]
	s.MethodSettings = maps.Clone(s.MethodSettings)
	if s.MethodSettings == nil {
		s.MethodSettings = map[string]MethodSetting{}
	}
	if len(path) == 2 {
		if !there {
			return bad("Cannot remove method setting %s because there is no method setting for this method ", key)
		}
		delete(s.MethodSettings, key)
		return nil
	}
	if !there {
		m = MethodSetting{ThrottlingBurstLimit: burstDefault, ThrottlingRateLimit: 2 * burstDefault, CacheTTLSeconds: 300,
			CacheAuthorization: true, CacheStrategy: "SUCCEED_WITH_RESPONSE_HEADER"}
	}
	var err error
	switch path[2] + "/" + path[3] {
	case "throttling/burstLimit":
		m.ThrottlingBurstLimit, err = op.integer()
		m.Throttled = true
	case "throttling/rateLimit":
		m.ThrottlingRateLimit, err = strconv.ParseFloat(op.Value, 64)
		m.Throttled = true
	case "metrics/enabled":
		err = op.boolean(&m.MetricsEnabled)
	case "logging/loglevel":
		if m.LoggingLevel = op.Value; op.Value != "OFF" {
			return unsupported("execution logging of stages (loggingLevel %s)", op.Value)
		}
	case "logging/dataTrace":
		if err = op.boolean(&m.DataTraceEnabled); m.DataTraceEnabled {
			return unsupported("execution logging of stages (dataTraceEnabled)")
		}
	case "caching/enabled":
		if err = op.boolean(&m.CachingEnabled); m.CachingEnabled {
			return unsupported("caching (cachingEnabled)")
		}
	default:
		return unsupported("the method setting %s/%s", path[2], path[3])
	}
	if err != nil || m.ThrottlingBurstLimit < 0 || !(m.ThrottlingRateLimit >= 0) {
		return bad("Invalid value %q for %s", op.Value, op.Path)
	}
	s.MethodSettings[key] = m
	return nil
}

// settingRoute turns the key of a method setting, "pets/{id}/GET" or "*/*", into that of a route: "GET /pets/{id}", "".
func settingRoute(key string) string {
	at := strings.LastIndexByte(key, '/')
	path, method := key[:at], key[at+1:]
	if path == "*" && method == "*" {
		return ""
	}
	return method + " /" + path
}
