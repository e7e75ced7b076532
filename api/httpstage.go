package api

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"time"
)

// HTTPStage is a stage of an HTTP API.
type HTTPStage struct {
	StageName            string                   `wire:"stageName" name:"StageName"`
	Description          string                   `wire:"description" name:"Description"`
	DeploymentID         string                   `wire:"deploymentId" name:"DeploymentId"`
	AutoDeploy           bool                     `wire:"autoDeploy" name:"AutoDeploy"`
	StageVariables       map[string]string        `wire:"stageVariables" name:"StageVariables"`
	DefaultRouteSettings *RouteSettings           `wire:"defaultRouteSettings" name:"DefaultRouteSettings"`
	RouteSettings        map[string]RouteSettings `wire:"routeSettings" name:"RouteSettings"`
	Tags                 map[string]string        `wire:"tags" name:"Tags"`
	CreatedDate          time.Time                `wire:"createdDate,iso8601" name:"CreatedDate"`
	LastUpdatedDate      time.Time                `wire:"lastUpdatedDate,iso8601" name:"LastUpdatedDate"`
	LastDeployment       string                   `wire:"lastDeploymentStatusMessage" name:"LastDeploymentStatusMessage"`
	Managed              bool                     `wire:"apiGatewayManaged,omitempty" name:"ApiGatewayManaged"` // made by quick create
}

// RouteSettings are the settings of a stage's routes.
type RouteSettings struct {
	DetailedMetricsEnabled *bool    `wire:"detailedMetricsEnabled" name:"DetailedMetricsEnabled"`
	DataTraceEnabled       *bool    `wire:"dataTraceEnabled" name:"DataTraceEnabled"`
	LoggingLevel           *string  `wire:"loggingLevel" name:"LoggingLevel" enum:"ERROR|INFO|OFF"`
	ThrottlingBurstLimit   *int     `wire:"throttlingBurstLimit" name:"ThrottlingBurstLimit"` // requests
	ThrottlingRateLimit    *float64 `wire:"throttlingRateLimit" name:"ThrottlingRateLimit"`   // requests a second
}

// HTTPStageInput is what CreateStage and UpdateStage say; nil members are left as they are.
type HTTPStageInput struct {
	Description          *string                  `wire:"description" name:"Description"`
	DeploymentID         *string                  `wire:"deploymentId" name:"DeploymentId"`
	AutoDeploy           *bool                    `wire:"autoDeploy" name:"AutoDeploy"`
	StageVariables       map[string]string        `wire:"stageVariables" name:"StageVariables"`
	DefaultRouteSettings *RouteSettings           `wire:"defaultRouteSettings" name:"DefaultRouteSettings"`
	RouteSettings        map[string]RouteSettings `wire:"routeSettings" name:"RouteSettings"`
}

// HTTPDeployment is a deployment of an HTTP API.
type HTTPDeployment struct {
	DeploymentID string    `wire:"deploymentId" name:"DeploymentId"`
	AutoDeployed bool      `wire:"autoDeployed" name:"AutoDeployed"`
	Status       string    `wire:"deploymentStatus" name:"DeploymentStatus"`
	Description  string    `wire:"description" name:"Description"`
	CreatedDate  time.Time `wire:"createdDate,iso8601" name:"CreatedDate"`
}

var (
	stageName     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	variableName  = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)
	variableValue = regexp.MustCompile(`^[A-Za-z0-9\-._~:/?#&=,@]{0,512}$`)
)

func noStage() error { return notFound("Invalid stage identifier specified") }

func noDeployment() error { return notFound("Invalid Deployment identifier specified") }

func checkVariables(vars map[string]string) error {
	for k, v := range vars {
		if !variableName.MatchString(k) {
			return bad("Invalid stage variable name %q: it must match [A-Za-z0-9_]+ and have at most 64 characters", k)
		}
		if !variableValue.MatchString(v) {
			return bad("Invalid stage variable value for %s: it must match [A-Za-z0-9-._~:/?#&=,]+ and have at most 512 characters", k)
		}
	}
	return nil
}

func (d *httpDocument) stage(name string) int {
	return slices.IndexFunc(d.Stages, func(s HTTPStage) bool { return s.StageName == name })
}

func (d *httpDocument) deployment(id string) int {
	return slices.IndexFunc(d.Deployments, func(x HTTPDeployment) bool { return x.DeploymentID == id })
}

func (r *RouteSettings) check(d *httpDocument, key string) error {
	if r == nil {
		return nil
	}
	if key != "" && !slices.ContainsFunc(d.Routes, func(r HTTPRoute) bool { return r.RouteKey == key }) {
		return notFound("Unable to find Route by key %s within the provided RouteSettings", key)
	}
	if r.DataTraceEnabled != nil && *r.DataTraceEnabled || r.LoggingLevel != nil && *r.LoggingLevel != "OFF" {
		return unsupported("execution logging of stages (loggingLevel, dataTraceEnabled)")
	}
	if r.ThrottlingBurstLimit != nil && *r.ThrottlingBurstLimit < 0 || r.ThrottlingRateLimit != nil && *r.ThrottlingRateLimit < 0 {
		return bad("Throttling limits must not be negative")
	}
	return nil
}

// applyStage sets what in says on the stage at index at.
func (e *edit) applyStage(at int, in HTTPStageInput) error {
	d := e.HTTP
	s := &d.Stages[at]
	if in.Description != nil {
		s.Description = *in.Description
	}
	if in.AutoDeploy != nil {
		s.AutoDeploy = *in.AutoDeploy
	}
	if in.DeploymentID != nil && *in.DeploymentID != "" {
		if s.AutoDeploy {
			return bad("Deployment ID cannot be set on stage '%s' because auto-deploy is enabled", s.StageName)
		}
		if d.deployment(*in.DeploymentID) < 0 {
			return noDeployment()
		}
		s.DeploymentID = *in.DeploymentID
	}
	if in.StageVariables != nil {
		if err := checkVariables(in.StageVariables); err != nil {
			return err
		}
		s.StageVariables = maps.Clone(in.StageVariables)
		maps.DeleteFunc(s.StageVariables, func(_, v string) bool { return v == "" })
	}
	if in.DefaultRouteSettings != nil {
		if err := in.DefaultRouteSettings.check(d, ""); err != nil {
			return err
		}
		s.DefaultRouteSettings = in.DefaultRouteSettings
	}
	if in.RouteSettings != nil && s.RouteSettings == nil {
		s.RouteSettings = map[string]RouteSettings{}
	}
	for key, r := range in.RouteSettings {
		if err := r.check(d, key); err != nil {
			return err
		}
		s.RouteSettings[key] = r
	}
	s.LastUpdatedDate = e.now
	return nil
}

// CreateStage adds a stage.
func (h HTTP) CreateStage(ctx context.Context, account, id, name string, in HTTPStageInput,
	tags map[string]string) (s HTTPStage, err error) {
	if name != DefaultStage && !stageName.MatchString(name) {
		return s, bad("Stage name only allows alphanumeric characters, hyphens, and underscores, or $default")
	}
	err = h.change(ctx, account, id, func(e *edit) error {
		d := e.HTTP
		if d.stage(name) >= 0 {
			return conflict("Stage already exists")
		}
		if len(d.Stages) >= stagesMax {
			return overLimit("Maximum number of stages for this API has been reached: %d", stagesMax)
		}
		d.Stages = append(d.Stages, HTTPStage{StageName: name, CreatedDate: e.now})
		at := len(d.Stages) - 1
		if err := setTags(&d.Stages[at].Tags, tags); err != nil {
			return err
		}
		if err := e.applyStage(at, in); err != nil {
			return err
		}
		e.autoDeploy()
		s = d.Stages[at]
		return nil
	})
	return s, err
}

// UpdateStage changes what in says.
func (h HTTP) UpdateStage(ctx context.Context, account, id, name string, in HTTPStageInput) (s HTTPStage, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.stage(name)
		if at < 0 {
			return noStage()
		}
		if err := e.applyStage(at, in); err != nil {
			return err
		}
		e.autoDeploy()
		s = e.HTTP.Stages[at]
		return nil
	})
	return s, err
}

// Stage reads a stage.
func (h HTTP) Stage(ctx context.Context, account, id, name string) (HTTPStage, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return HTTPStage{}, err
	}
	at := d.stage(name)
	if at < 0 {
		return HTTPStage{}, noStage()
	}
	return d.Stages[at], nil
}

// Stages lists the stages in the order in which they were made.
func (h HTTP) Stages(ctx context.Context, account, id string) ([]HTTPStage, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	return d.Stages, nil
}

// DeleteStage removes a stage.
func (h HTTP) DeleteStage(ctx context.Context, account, id, name string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.stage(name)
		if at < 0 {
			return noStage()
		}
		e.HTTP.Stages = slices.Delete(e.HTTP.Stages, at, at+1)
		return nil
	})
}

// DeleteRouteSettings removes a stage's settings of one route.
func (h HTTP) DeleteRouteSettings(ctx context.Context, account, id, name, key string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.stage(name)
		if at < 0 {
			return noStage()
		}
		delete(e.HTTP.Stages[at].RouteSettings, key)
		return nil
	})
}

// autoDeploy freezes the present design for the stages that follow it, and drops the automatic deployment before. It is
// called at the end of every edit, and by those that answer with the stage it makes.
func (e *edit) autoDeploy() {
	d := e.HTTP
	if d == nil || e.quiet || !slices.ContainsFunc(d.Stages, func(s HTTPStage) bool { return s.AutoDeploy }) {
		return
	}
	if e.auto == "" {
		e.auto = e.newID(6)
		d.Deployments = append(d.Deployments, HTTPDeployment{DeploymentID: e.auto, AutoDeployed: true, Status: "DEPLOYED",
			Description: "Automatic deployment triggered by changes to the Api configuration", CreatedDate: e.now})
	}
	e.designs[e.auto] = d.design()
	used := map[string]bool{}
	for i := range d.Stages {
		if d.Stages[i].AutoDeploy {
			d.Stages[i].DeploymentID = e.auto
			d.Stages[i].LastDeployment = "Successfully deployed stage with deployment ID '" + e.auto + "'"
		}
		used[d.Stages[i].DeploymentID] = true
	}
	d.Deployments = slices.DeleteFunc(d.Deployments, func(x HTTPDeployment) bool {
		unused := x.AutoDeployed && !used[x.DeploymentID]
		if unused {
			e.dropped = append(e.dropped, x.DeploymentID)
		}
		return unused
	})
}

// CreateDeployment freezes the present design and, with stage, serves it there.
func (h HTTP) CreateDeployment(ctx context.Context, account, id, stage, description string) (x HTTPDeployment, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		d := e.HTTP
		if len(d.Routes) == 0 {
			return bad("At least one route is required before deploying the Api.")
		}
		if len(d.Deployments) >= deploymentsMax {
			return overLimit("Maximum number of deployments for this API has been reached: %d", deploymentsMax)
		}
		x = HTTPDeployment{DeploymentID: e.newID(6), Status: "DEPLOYED", Description: description, CreatedDate: e.now}
		d.Deployments = append(d.Deployments, x)
		e.designs[x.DeploymentID] = d.design()
		if stage == "" {
			return nil
		}
		at := d.stage(stage)
		if at < 0 {
			return noStage()
		}
		if d.Stages[at].AutoDeploy {
			return bad("Deployment ID cannot be set on stage '%s' because auto-deploy is enabled", stage)
		}
		d.Stages[at].DeploymentID, d.Stages[at].LastUpdatedDate = x.DeploymentID, e.now
		return nil
	})
	return x, err
}

// UpdateDeployment changes a deployment's description.
func (h HTTP) UpdateDeployment(ctx context.Context, account, id, deployment string,
	description *string) (x HTTPDeployment, err error) {
	err = h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.deployment(deployment)
		if at < 0 {
			return noDeployment()
		}
		e.quiet = true
		if description != nil {
			e.HTTP.Deployments[at].Description = *description
		}
		x = e.HTTP.Deployments[at]
		return nil
	})
	return x, err
}

// Deployment reads a deployment.
func (h HTTP) Deployment(ctx context.Context, account, id, deployment string) (HTTPDeployment, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return HTTPDeployment{}, err
	}
	at := d.deployment(deployment)
	if at < 0 {
		return HTTPDeployment{}, noDeployment()
	}
	return d.Deployments[at], nil
}

// Deployments lists the deployments, newest first.
func (h HTTP) Deployments(ctx context.Context, account, id string) ([]HTTPDeployment, error) {
	d, err := h.document(ctx, account, id)
	if err != nil {
		return nil, err
	}
	slices.Reverse(d.Deployments)
	return d.Deployments, nil
}

// DeleteDeployment removes a deployment that no stage serves.
func (h HTTP) DeleteDeployment(ctx context.Context, account, id, deployment string) error {
	return h.change(ctx, account, id, func(e *edit) error {
		at := e.HTTP.deployment(deployment)
		if at < 0 {
			return noDeployment()
		}
		if slices.ContainsFunc(e.HTTP.Stages, func(s HTTPStage) bool { return s.DeploymentID == deployment }) {
			return bad("Active stages pointing to this deployment must be moved or deleted")
		}
		e.HTTP.Deployments = slices.Delete(e.HTTP.Deployments, at, at+1)
		e.dropped = append(e.dropped, deployment)
		return nil
	})
}
