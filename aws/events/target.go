package events

import (
	"context"
	"sort"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/bus"
)

// Target is who gets a rule's event.
type Target struct {
	Id      string `wire:",required" min:"1" max:"64" pattern:"[.\\-_A-Za-z0-9]+"`
	Arn     string `wire:",required" min:"1" max:"1600"`
	RoleArn string `max:"1600"`
	Input   string `max:"8192"`
}

// PutTargetsInput adds targets to a rule.
type PutTargetsInput struct {
	Rule    string   `wire:",required" min:"1" max:"64" pattern:"[.\\-_A-Za-z0-9]+"`
	Targets []Target `wire:",required" min:"1" max:"100"`
}

// TargetsOutput says which entries failed: none, since a call is taken whole or not at all.
type TargetsOutput struct {
	FailedEntryCount int
	FailedEntries    []struct{}
}

func (d *Door) needPutTargets(_ context.Context, from rouse.Origin, in *PutTargetsInput) ([]rouse.Need, error) {
	needs := []rouse.Need{{Action: "events:PutTargets", Resource: d.bus.ARN(from.Principal.Account, in.Rule)}}
	for _, t := range in.Targets {
		needs[0].Conditions = map[string][]string{"events:TargetArn": append(needs[0].Conditions["events:TargetArn"], t.Arn)}
		needs = append(needs, pass(t.RoleArn)...)
	}
	return needs, nil
}

func (d *Door) putTargets(ctx context.Context, from rouse.Origin, in *PutTargetsInput) (*TargetsOutput, error) {
	targets := make([]bus.Target, len(in.Targets))
	for i, t := range in.Targets {
		targets[i] = bus.Target{ID: t.Id, ARN: t.Arn, Role: t.RoleArn, Input: t.Input}
	}
	if err := d.bus.PutTargets(ctx, from.Principal.Account, in.Rule, targets); err != nil {
		return nil, err
	}
	return &TargetsOutput{FailedEntries: []struct{}{}}, nil
}

// RemoveTargetsInput names targets of a rule.
type RemoveTargetsInput struct {
	Rule         string   `wire:",required" min:"1" max:"64" pattern:"[.\\-_A-Za-z0-9]+"`
	Ids          []string `wire:",required" min:"1" max:"100"`
	EventBusName string   `enum:"default"`
	Force        bool
}

func (in *RemoveTargetsInput) resource(d *Door, account string) string {
	return d.bus.ARN(account, in.Rule)
}

func (d *Door) removeTargets(ctx context.Context, from rouse.Origin, in *RemoveTargetsInput) (*TargetsOutput, error) {
	if err := d.bus.RemoveTargets(ctx, from.Principal.Account, in.Rule, in.Ids); err != nil {
		return nil, err
	}
	return &TargetsOutput{FailedEntries: []struct{}{}}, nil
}

// ListTargetsInput names a rule.
type ListTargetsInput struct {
	Rule         string `wire:",required" min:"1" max:"64"`
	EventBusName string `enum:"default"`
	Page
}

func (in *ListTargetsInput) resource(d *Door, account string) string {
	return d.bus.ARN(account, in.Rule)
}

// ListTargetsOutput holds all targets: a rule has few.
type ListTargetsOutput struct{ Targets []Target }

func (d *Door) listTargets(ctx context.Context, from rouse.Origin, in *ListTargetsInput) (*ListTargetsOutput, error) {
	r, err := d.bus.Rule(ctx, from.Principal.Account, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &ListTargetsOutput{Targets: []Target{}}
	for _, t := range r.Targets {
		out.Targets = append(out.Targets, Target{Id: t.ID, Arn: t.ARN, RoleArn: t.Role, Input: t.Input})
	}
	return out, nil
}

// ListByTargetInput names a target.
type ListByTargetInput struct {
	TargetArn    string `wire:",required" min:"1" max:"1600"`
	EventBusName string `enum:"default"`
	Page
}

func (in *ListByTargetInput) resource(d *Door, account string) string { return d.bus.ARN(account, "*") }

// ListByTargetOutput is one page.
type ListByTargetOutput struct {
	RuleNames []string
	NextToken string
}

func (d *Door) listByTarget(ctx context.Context, from rouse.Origin, in *ListByTargetInput) (*ListByTargetOutput, error) {
	after, limit, err := in.after()
	if err != nil {
		return nil, err
	}
	names, err := d.bus.RulesOf(ctx, from.Principal.Account, in.TargetArn)
	if err != nil {
		return nil, err
	}
	names = names[sort.Search(len(names), func(i int) bool { return names[i] > after }):]
	out := &ListByTargetOutput{RuleNames: append([]string{}, names...)}
	if len(names) > limit {
		out.RuleNames = names[:limit]
		out.NextToken = token(names[limit-1])
	}
	return out, nil
}

// ListTagsInput names a rule by its ARN.
type ListTagsInput struct {
	ResourceARN string `wire:",required" min:"1" max:"1600"`
}

func (in *ListTagsInput) resource(*Door, string) string { return in.ResourceARN }

// rule is the name of the rule that the ARN names: one of this account and region, whose ARN is the resource that was
// authorised.
func (in *ListTagsInput) rule(d *Door, account string) (string, error) {
	name, ok := strings.CutPrefix(in.ResourceARN, d.bus.ARN(account, ""))
	if ok && name != "" {
		return name, nil
	}
	return "", rouse.Errorf(rouse.Invalid, "Parameter %s is not valid. Reason: Provided Arn is not in correct format.", in.ResourceARN)
}

// ListTagsOutput holds the tags by key.
type ListTagsOutput struct{ Tags []Tag }

func (d *Door) listTags(ctx context.Context, from rouse.Origin, in *ListTagsInput) (*ListTagsOutput, error) {
	name, err := in.rule(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	r, err := d.bus.Rule(ctx, from.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	out := &ListTagsOutput{Tags: []Tag{}}
	for k, v := range r.Tags {
		out.Tags = append(out.Tags, Tag{k, v})
	}
	sort.Slice(out.Tags, func(i, j int) bool { return out.Tags[i].Key < out.Tags[j].Key })
	return out, nil
}

// TagInput adds tags.
type TagInput struct {
	ListTagsInput
	Tags []Tag `wire:",required"`
}

func (d *Door) tag(ctx context.Context, from rouse.Origin, in *TagInput) (*wire.None, error) {
	name, err := in.rule(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	add := map[string]string{}
	for _, t := range in.Tags {
		add[t.Key] = t.Value
	}
	return nil, d.bus.Tag(ctx, from.Principal.Account, name, add, nil)
}

// UntagInput removes tags by key.
type UntagInput struct {
	ListTagsInput
	TagKeys []string `wire:",required"`
}

func (d *Door) untag(ctx context.Context, from rouse.Origin, in *UntagInput) (*wire.None, error) {
	name, err := in.rule(d, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	return nil, d.bus.Tag(ctx, from.Principal.Account, name, nil, in.TagKeys)
}
