package cloudformation

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack"
)

// CreateStackInput asks for a new stack.
type CreateStackInput struct {
	StackName          string `wire:",required" min:"1" max:"128"`
	TemplateBody       string `wire:",sensitive"`
	TemplateURL        string `max:"5120"`
	Parameters         []Parameter
	DisableRollback    *bool
	OnFailure          string `enum:"DO_NOTHING|ROLLBACK|DELETE"`
	Capabilities       []string
	RoleARN            string `max:"2048"`
	Tags               []Tag  `max:"50"`
	ClientRequestToken string `max:"128"`
}

// StackOutput names a stack.
type StackOutput struct{ StackId string }

func (d *Door) needCreateStack(_ context.Context, from rouse.Origin, in *CreateStackInput) ([]rouse.Need, error) {
	return append([]rouse.Need{{Action: "cloudformation:CreateStack",
		Resource: d.arn(from.Principal.Account, in.StackName)}}, pass(in.RoleARN)...), nil
}

func (d *Door) createStack(ctx context.Context, from rouse.Origin, in *CreateStackInput) (*StackOutput, error) {
	src, err := d.source(ctx, in.TemplateBody, in.TemplateURL, false)
	if err != nil {
		return nil, err
	}
	ps, err := parameters(in.Parameters)
	if err != nil {
		return nil, err
	}
	if in.DisableRollback != nil && in.OnFailure != "" {
		return nil, invalid("You can specify either DisableRollback or OnFailure, but not both.")
	}
	onFailure := in.OnFailure
	if in.DisableRollback != nil && *in.DisableRollback {
		onFailure = stack.OnFailureNothing
	}
	id, err := d.cfg.Stacks.Create(ctx, from, stack.Request{Name: in.StackName, Source: src, Parameters: ps,
		Tags: tagMap(in.Tags), RoleARN: in.RoleARN,
		Capabilities: in.Capabilities, OnFailure: onFailure, Token: in.ClientRequestToken})
	if err != nil {
		return nil, err
	}
	d.rest(ctx, from.Principal.Account, id)
	return &StackOutput{id}, nil
}

// UpdateStackInput asks for a stack to change.
type UpdateStackInput struct {
	StackName           string `wire:",required" min:"1"`
	TemplateBody        string `wire:",sensitive"`
	TemplateURL         string `max:"5120"`
	UsePreviousTemplate bool
	Parameters          []Parameter
	Capabilities        []string
	RoleARN             string `max:"2048"`
	Tags                []Tag  `max:"50"`
	ClientRequestToken  string `max:"128"`
}

func (d *Door) needUpdateStack(_ context.Context, from rouse.Origin, in *UpdateStackInput) ([]rouse.Need, error) {
	return append([]rouse.Need{{Action: "cloudformation:UpdateStack",
		Resource: d.arn(from.Principal.Account, in.StackName)}}, pass(in.RoleARN)...), nil
}

func (d *Door) updateStack(ctx context.Context, from rouse.Origin, in *UpdateStackInput) (*StackOutput, error) {
	src, err := d.source(ctx, in.TemplateBody, in.TemplateURL, in.UsePreviousTemplate)
	if err != nil {
		return nil, err
	}
	ps, err := parameters(in.Parameters)
	if err != nil {
		return nil, err
	}
	id, err := d.cfg.Stacks.Update(ctx, from, stack.Request{Name: in.StackName, Source: src,
		UsePrevious: in.UsePreviousTemplate, Parameters: ps,
		Tags: tagMap(in.Tags), RoleARN: in.RoleARN, Capabilities: in.Capabilities, Token: in.ClientRequestToken})
	if err != nil {
		return nil, err
	}
	d.rest(ctx, from.Principal.Account, id)
	return &StackOutput{id}, nil
}

// DeleteStackInput names a stack to delete.
type DeleteStackInput struct {
	StackName          string `wire:",required" min:"1"`
	RetainResources    []string
	RoleARN            string `max:"2048"`
	ClientRequestToken string `max:"128"`
}

// None is an answer without content.
type None struct{}

func (d *Door) needDeleteStack(_ context.Context, from rouse.Origin, in *DeleteStackInput) ([]rouse.Need, error) {
	return append([]rouse.Need{{Action: "cloudformation:DeleteStack",
		Resource: d.arn(from.Principal.Account, in.StackName)}}, pass(in.RoleARN)...), nil
}

func (d *Door) deleteStack(ctx context.Context, from rouse.Origin, in *DeleteStackInput) (*None, error) {
	err := d.cfg.Stacks.Delete(ctx, from, in.StackName,
		stack.Deletion{Retain: in.RetainResources, RoleARN: in.RoleARN, Token: in.ClientRequestToken})
	if err != nil {
		return nil, err
	}
	d.rest(ctx, from.Principal.Account, in.StackName)
	return nil, nil
}

// restMax is how long an answer is held for its stack; AWS takes about as long to answer.
const restMax = time.Second

// rest holds the answer until the stack rests, at most restMax. What it asked for is on disk and goes on in any case:
// an answer that comes when all is done only spares clients the wait until they look again.
func (d *Door) rest(ctx context.Context, account, name string) {
	ctx, cancel := context.WithTimeout(ctx, restMax)
	defer cancel()
	_, _ = d.cfg.Stacks.Wait(ctx, account, name) // a stack that is gone or still at work: the client will see
}
