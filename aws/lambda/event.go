package lambda

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) eventOperations() []wire.Operation {
	const config = "/2019-09-25/functions/{FunctionName}/event-invoke-config"
	only := wire.Differs("destinations can be functions only")
	return []wire.Operation{
		op(d, "PutFunctionEventInvokeConfig", "PUT "+config, "lambda:PutFunctionEventInvokeConfig", d.putEvent, only),
		op(d, "UpdateFunctionEventInvokeConfig", "POST "+config, "lambda:UpdateFunctionEventInvokeConfig", d.updateEvent, only),
		op(d, "GetFunctionEventInvokeConfig", "GET "+config, "lambda:GetFunctionEventInvokeConfig", d.getEvent),
		op(d, "DeleteFunctionEventInvokeConfig", "DELETE "+config+" 204", "lambda:DeleteFunctionEventInvokeConfig", d.deleteEvent),
		op(d, "ListFunctionEventInvokeConfigs", "GET "+config+"/list", "lambda:ListFunctionEventInvokeConfigs", d.listEvents),
	}
}

// DestinationConfig of asynchronous invocations.
type DestinationConfig struct {
	OnSuccess *Destination
	OnFailure *Destination
}

// Destination is an ARN.
type Destination struct {
	Destination string `max:"350"`
}

// EventInvokeConfig is the part of inputs that says how asynchronous invocations are retried.
type EventInvokeConfig struct {
	Qualified
	MaximumRetryAttempts     *int `min:"0" max:"2"`
	MaximumEventAgeInSeconds *int `min:"60" max:"21600"`
	DestinationConfig        *DestinationConfig
}

func (in *EventInvokeConfig) change() catalog.EventChange {
	ch := catalog.EventChange{Retries: in.MaximumRetryAttempts, AgeSeconds: in.MaximumEventAgeInSeconds}
	if c := in.DestinationConfig; c != nil {
		if c.OnSuccess != nil {
			ch.OnSuccess = &c.OnSuccess.Destination
		}
		if c.OnFailure != nil {
			ch.OnFailure = &c.OnFailure.Destination
		}
	}
	return ch
}

// PutFunctionEventInvokeConfigInput of PutFunctionEventInvokeConfig.
type PutFunctionEventInvokeConfigInput struct{ EventInvokeConfig }

// UpdateFunctionEventInvokeConfigInput of UpdateFunctionEventInvokeConfig.
type UpdateFunctionEventInvokeConfigInput struct{ EventInvokeConfig }

// FunctionEventInvokeConfig is how Lambda shows the configuration.
type FunctionEventInvokeConfig struct {
	LastModified             time.Time
	FunctionArn              string
	MaximumRetryAttempts     *int
	MaximumEventAgeInSeconds *int
	DestinationConfig        *DestinationConfig
}

func event(e *catalog.EventConfig) *FunctionEventInvokeConfig {
	return &FunctionEventInvokeConfig{
		LastModified: e.Modified, FunctionArn: e.Function.String(), MaximumRetryAttempts: e.Retries,
		MaximumEventAgeInSeconds: e.AgeSeconds,
		DestinationConfig:        &DestinationConfig{&Destination{e.OnSuccess}, &Destination{e.OnFailure}},
	}
}

func (d *Door) setEvent(ctx context.Context, from rouse.Origin, in *EventInvokeConfig, keep bool) (
	*FunctionEventInvokeConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	e, err := d.catalog.PutEventConfig(ctx, r, in.change(), keep)
	if err != nil {
		return nil, err
	}
	return event(e), nil
}

func (d *Door) putEvent(ctx context.Context, from rouse.Origin, in *PutFunctionEventInvokeConfigInput) (
	*FunctionEventInvokeConfig, error) {
	return d.setEvent(ctx, from, &in.EventInvokeConfig, false)
}

func (d *Door) updateEvent(ctx context.Context, from rouse.Origin, in *UpdateFunctionEventInvokeConfigInput) (
	*FunctionEventInvokeConfig, error) {
	return d.setEvent(ctx, from, &in.EventInvokeConfig, true)
}

// GetFunctionEventInvokeConfigInput of GetFunctionEventInvokeConfig.
type GetFunctionEventInvokeConfigInput struct{ Qualified }

func (d *Door) getEvent(_ context.Context, from rouse.Origin, in *GetFunctionEventInvokeConfigInput) (
	*FunctionEventInvokeConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	e, err := d.catalog.EventConfig(r)
	if err != nil {
		return nil, err
	}
	return event(e), nil
}

// DeleteFunctionEventInvokeConfigInput of DeleteFunctionEventInvokeConfig.
type DeleteFunctionEventInvokeConfigInput struct{ Qualified }

func (d *Door) deleteEvent(ctx context.Context, from rouse.Origin, in *DeleteFunctionEventInvokeConfigInput) (
	*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.DeleteEventConfig(ctx, r)
}

// ListFunctionEventInvokeConfigsInput of ListFunctionEventInvokeConfigs.
type ListFunctionEventInvokeConfigsInput struct {
	Name
	ShortPaging
}

// ListFunctionEventInvokeConfigsOutput of ListFunctionEventInvokeConfigs.
type ListFunctionEventInvokeConfigsOutput struct {
	FunctionEventInvokeConfigs []FunctionEventInvokeConfig
	NextMarker                 string
}

func (d *Door) listEvents(_ context.Context, from rouse.Origin, in *ListFunctionEventInvokeConfigsInput) (
	*ListFunctionEventInvokeConfigsOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	after, err := afterQualifier(in.Marker)
	if err != nil {
		return nil, err
	}
	es, more, err := d.catalog.EventConfigs(r, after, page(value(in.MaxItems)))
	if err != nil {
		return nil, err
	}
	out := &ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []FunctionEventInvokeConfig{}}
	for _, e := range es {
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *event(e))
	}
	if more {
		out.NextMarker = markQualifier(es[len(es)-1].Qualifier)
	}
	return out, nil
}
