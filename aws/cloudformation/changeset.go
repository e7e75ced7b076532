package cloudformation

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack"
)

// CreateChangeSetInput plans a change of a stack.
type CreateChangeSetInput struct {
	StackName           string `wire:",required" min:"1"`
	TemplateBody        string `wire:",sensitive"`
	TemplateURL         string `max:"5120"`
	UsePreviousTemplate bool
	Parameters          []Parameter
	Capabilities        []string
	RoleARN             string `max:"2048"`
	Tags                []Tag  `max:"50"`
	ChangeSetName       string `wire:",required" min:"1" max:"128"`
	ClientToken         string `max:"128"`
	Description         string `max:"1024"`
	ChangeSetType       string `enum:"CREATE|UPDATE|IMPORT"`
	OnStackFailure      string `enum:"DO_NOTHING|ROLLBACK|DELETE"`
}

// CreateChangeSetOutput names a change set and its stack.
type CreateChangeSetOutput struct{ Id, StackId string }

func (d *Door) needCreateChangeSet(_ context.Context, from rouse.Origin, in *CreateChangeSetInput) ([]rouse.Need,
	error) {
	return append([]rouse.Need{{Action: "cloudformation:CreateChangeSet",
		Resource: d.arn(from.Principal.Account, in.StackName)}}, pass(in.RoleARN)...), nil
}

func (d *Door) createChangeSet(ctx context.Context, from rouse.Origin,
	in *CreateChangeSetInput) (*CreateChangeSetOutput, error) {
	src, err := d.source(ctx, in.TemplateBody, in.TemplateURL, in.UsePreviousTemplate)
	if err != nil {
		return nil, err
	}
	ps, err := parameters(in.Parameters)
	if err != nil {
		return nil, err
	}
	c, err := d.cfg.Stacks.CreateChangeSet(ctx, from, in.ChangeSetName, in.ChangeSetType, in.Description,
		stack.Request{Name: in.StackName, Source: src,
			UsePrevious: in.UsePreviousTemplate, Parameters: ps, Tags: tagMap(in.Tags), RoleARN: in.RoleARN,
			Capabilities: in.Capabilities,
			OnFailure:    in.OnStackFailure, Token: in.ClientToken})
	if err != nil {
		return nil, err
	}
	return &CreateChangeSetOutput{c.ID, c.StackID}, nil
}

// ChangeSetInput names a change set: by its ARN, or by its name and that of its stack.
type ChangeSetInput struct {
	ChangeSetName string `wire:",required" min:"1" max:"1600"`
	StackName     string
	NextToken     string `max:"1024"`
}

func (in *ChangeSetInput) changeSet() (stack, name string) { return in.StackName, in.ChangeSetName }

// changeSetNamed is an input about one change set.
type changeSetNamed[In any] interface {
	*In
	changeSet() (stack, name string)
}

// needChangeSet is the permission to do the operation to the stack that a change set belongs to, also where only the
// change set is named: what a policy denies for a stack must hold either way. One that is not there belongs to no stack.
func needChangeSet[In any, P changeSetNamed[In]](d *Door, operation string) func(context.Context, rouse.Origin,
	*In) ([]rouse.Need, error) {
	return func(ctx context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		account := from.Principal.Account
		name, set := P(in).changeSet()
		if name == "" {
			switch c, err := d.cfg.Stacks.ChangeSet(ctx, account, "", set); {
			case err == nil:
				name = c.StackID
			case rouse.KindOf(err) != rouse.NotFound && rouse.KindOf(err) != rouse.Invalid:
				return nil, err
			}
		}
		return []rouse.Need{{Action: "cloudformation:" + operation, Resource: d.arn(account, name)}}, nil
	}
}

// Target is what a detail of a change is about.
type Target struct{ Attribute, Name, RequiresRecreation string }

// Detail is why a resource changes.
type Detail struct {
	Target       Target
	Evaluation   string
	ChangeSource string
}

// ResourceChange is what happens to a resource.
type ResourceChange struct {
	PolicyAction                          string
	Action                                string
	LogicalResourceId, PhysicalResourceId string
	ResourceType                          string
	Replacement                           string
	Scope                                 []string
	Details                               []Detail
}

// Change is an entry of a change set.
type Change struct {
	Type           string
	ResourceChange ResourceChange
}

// DescribeChangeSetOutput is a change set.
type DescribeChangeSetOutput struct {
	ChangeSetName, ChangeSetId string
	StackId, StackName         string
	Description                string
	Parameters                 []Parameter
	CreationTime               time.Time
	ExecutionStatus            string
	Status, StatusReason       string
	NotificationARNs           []string
	Capabilities               []string
	Tags                       []Tag
	Changes                    []Change
	NextToken                  string
	IncludeNestedStacks        bool
}

func (d *Door) describeChangeSet(ctx context.Context, from rouse.Origin,
	in *ChangeSetInput) (*DescribeChangeSetOutput, error) {
	c, err := d.cfg.Stacks.ChangeSet(ctx, from.Principal.Account, in.StackName, in.ChangeSetName)
	if err != nil {
		return nil, err
	}
	out := &DescribeChangeSetOutput{ChangeSetName: c.Name, ChangeSetId: c.ID, StackId: c.StackID,
		StackName: c.StackName, Description: c.Description,
		Parameters: parameterList(c.Parameters), CreationTime: c.Created, ExecutionStatus: c.Execution,
		Status: c.Status, StatusReason: c.Reason,
		NotificationARNs: c.Notifications, Capabilities: c.Capabilities, Tags: tagList(c.Tags), Changes: []Change{}}
	list, next := page(c.Plan.Changes, in.NextToken, listPage, func(ch stack.Change) string { return ch.LogicalID })
	out.NextToken = next
	for _, ch := range list {
		out.Changes = append(out.Changes, Change{"Resource", resourceChange(ch)})
	}
	return out, nil
}

func resourceChange(ch stack.Change) ResourceChange {
	r := ResourceChange{Action: ch.Action, LogicalResourceId: ch.LogicalID, PhysicalResourceId: ch.PhysicalID,
		ResourceType: ch.Type,
		Replacement:  ch.Replacement, PolicyAction: map[string]string{"Remove": "Delete"}[ch.Action]}
	if ch.Policy != "" {
		r.PolicyAction = ch.Policy
	}
	if ch.Replacement == "True" {
		r.PolicyAction = "ReplaceAndDelete"
	}
	for _, p := range ch.Details {
		attribute := "Properties"
		if p.Property == "Tags" {
			attribute = "Tags"
		}
		t := Target{Attribute: attribute, Name: p.Property, RequiresRecreation: "Never"}
		dt := Detail{Target: t, Evaluation: "Static", ChangeSource: "DirectModification"}
		if p.Replace {
			dt.Target.RequiresRecreation = "Always"
		}
		if p.Unknown {
			dt.Evaluation, dt.ChangeSource = "Dynamic", "ResourceAttribute"
			if p.Replace {
				dt.Target.RequiresRecreation = "Conditionally"
			}
		}
		r.Details = append(r.Details, dt)
		if !strings.Contains(strings.Join(r.Scope, " "), attribute) {
			r.Scope = append(r.Scope, attribute)
		}
	}
	return r
}

// ExecuteChangeSetInput names a change set to carry out.
type ExecuteChangeSetInput struct {
	ChangeSetName      string `wire:",required" min:"1" max:"1600"`
	StackName          string
	ClientRequestToken string `max:"128"`
}

func (in *ExecuteChangeSetInput) changeSet() (stack, name string) {
	return in.StackName, in.ChangeSetName
}

func (d *Door) executeChangeSet(ctx context.Context, from rouse.Origin, in *ExecuteChangeSetInput) (*None, error) {
	account := from.Principal.Account
	c, err := d.cfg.Stacks.ChangeSet(ctx, account, in.StackName, in.ChangeSetName)
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Stacks.ExecuteChangeSet(ctx, from, in.StackName, in.ChangeSetName,
		in.ClientRequestToken); err != nil {
		return nil, err
	}
	d.rest(ctx, account, c.StackID)
	return nil, nil
}

func (d *Door) deleteChangeSet(ctx context.Context, from rouse.Origin, in *ChangeSetInput) (*None, error) {
	return nil, d.cfg.Stacks.DeleteChangeSet(ctx, from, in.StackName, in.ChangeSetName)
}

// ChangeSetSummary is a change set in a list.
type ChangeSetSummary struct {
	StackId, StackName         string
	ChangeSetId, ChangeSetName string
	ExecutionStatus            string
	Status, StatusReason       string
	CreationTime               time.Time
	Description                string
}

// ListChangeSetsOutput is a page of change sets.
type ListChangeSetsOutput struct {
	Summaries []ChangeSetSummary
	NextToken string
}

func (d *Door) listChangeSets(ctx context.Context, from rouse.Origin,
	in *DescribeStackEventsInput) (*ListChangeSetsOutput, error) {
	list, err := d.cfg.Stacks.ChangeSets(ctx, from.Principal.Account, in.StackName)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.NextToken, listPage, func(c stack.ChangeSet) string { return c.Name })
	out := &ListChangeSetsOutput{Summaries: []ChangeSetSummary{}, NextToken: next}
	for _, c := range list {
		out.Summaries = append(out.Summaries, ChangeSetSummary{c.StackID, c.StackName, c.ID, c.Name, c.Execution,
			c.Status, c.Reason, c.Created, c.Description})
	}
	return out, nil
}
