// Package events is the door of Amazon EventBridge: it speaks JSON 1.1 as AWSEvents and knows the room bus.
//
// Implemented is what runs on time: rules with a ScheduleExpression on the default bus, and their targets. Everything
// else that the service has is refused by name: event patterns, PutEvents and custom buses (there is no bus to put events
// on yet), input paths and transformers, retry policies and dead-letter queues of targets.
//
// Permissions are AWS's: events:PutRule and the like on the rule's ARN; handing a rule or target a role needs iam:PassRole.
package events

import (
	"context"
	"encoding/base64"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/bus"
)

// Door is the service; it holds no state of its own and is safe for concurrent use.
type Door struct{ bus *bus.Bus }

// New makes the door of b.
func New(b *bus.Bus) *Door { return &Door{b} }

// pageMax is the most that one page of a list holds.
const pageMax = 100

// Service is the operation table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "events", Title: "Amazon EventBridge", Protocol: wire.JSON11, TargetPrefix: "AWSEvents",
		Errors: wire.JSONErrors().
			With(rouse.Internal, "InternalException", 500).
			With(rouse.Conflict, "ConcurrentModificationException", 400),
		Operations: append([]wire.Operation{
			wire.Op("PutRule", "", d.needPutRule, d.putRule, wire.Refuse("EventPattern"), wire.RefuseExcept("EventBusName", "default")),
			wire.Op("DescribeRule", "", need[NameInput]("events:DescribeRule", d), d.describeRule),
			wire.Op("DeleteRule", "", need[DeleteRuleInput]("events:DeleteRule", d), d.deleteRule),
			wire.Op("ListRules", "", need[ListRulesInput]("events:ListRules", d), d.listRules),
			wire.Op("EnableRule", "", need[NameInput]("events:EnableRule", d), d.enableRule),
			wire.Op("DisableRule", "", need[NameInput]("events:DisableRule", d), d.disableRule),
			wire.Op("PutTargets", "", d.needPutTargets, d.putTargets, wire.RefuseExcept("EventBusName", "default"),
				wire.Refuse("Targets.InputPath", "Targets.InputTransformer", "Targets.KinesisParameters", "Targets.RunCommandParameters",
					"Targets.EcsParameters", "Targets.BatchParameters", "Targets.SqsParameters", "Targets.HttpParameters",
					"Targets.RedshiftDataParameters", "Targets.SageMakerPipelineParameters", "Targets.DeadLetterConfig",
					"Targets.RetryPolicy", "Targets.AppSyncParameters"),
				wire.Differs("targets are functions")),
			wire.Op("RemoveTargets", "", need[RemoveTargetsInput]("events:RemoveTargets", d), d.removeTargets),
			wire.Op("ListTargetsByRule", "", need[ListTargetsInput]("events:ListTargetsByRule", d), d.listTargets),
			wire.Op("ListRuleNamesByTarget", "", need[ListByTargetInput]("events:ListRuleNamesByTarget", d), d.listByTarget),
			wire.Op("TagResource", "", need[TagInput]("events:TagResource", d), d.tag),
			wire.Op("UntagResource", "", need[UntagInput]("events:UntagResource", d), d.untag),
			wire.Op("ListTagsForResource", "", need[ListTagsInput]("events:ListTagsForResource", d), d.listTags),
		}, d.busOperations()...),
		NotImplemented: []string{"ActivateEventSource", "CancelReplay", "CreateApiDestination", "CreateArchive", "CreateConnection",
			"CreateEndpoint", "CreateEventBus", "CreatePartnerEventSource", "DeactivateEventSource", "DeauthorizeConnection",
			"DeleteApiDestination", "DeleteArchive", "DeleteConnection", "DeleteEndpoint", "DeleteEventBus", "DeletePartnerEventSource",
			"DescribeApiDestination", "DescribeArchive", "DescribeConnection", "DescribeEndpoint", "DescribeEventSource",
			"DescribePartnerEventSource", "DescribeReplay", "ListApiDestinations", "ListArchives", "ListConnections", "ListEndpoints",
			"ListEventSources", "ListPartnerEventSourceAccounts", "ListPartnerEventSources", "ListReplays", "PutEvents",
			"PutPartnerEvents", "PutPermission", "RemovePermission", "StartReplay", "TestEventPattern", "UpdateApiDestination",
			"UpdateArchive", "UpdateConnection", "UpdateEndpoint", "UpdateEventBus"},
	}
}

// named is an input that names what it needs a permission on.
type named[In any] interface {
	*In
	resource(d *Door, account string) string
}

// need is the permission to do action to the resource that the input names.
func need[In any, P named[In]](action string, d *Door) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		return []rouse.Need{{Action: action, Resource: P(in).resource(d, from.Principal.Account)}}, nil
	}
}

// NameInput names a rule.
type NameInput struct {
	Name         string `wire:",required" min:"1" max:"64" pattern:"[.\\-_A-Za-z0-9]+"`
	EventBusName string `enum:"default"`
}

func (in *NameInput) resource(d *Door, account string) string { return d.bus.ARN(account, in.Name) }

// PutRuleInput is a rule without its targets.
type PutRuleInput struct {
	Name               string `wire:",required" min:"1" max:"64" pattern:"[.\\-_A-Za-z0-9]+"`
	ScheduleExpression string `max:"256"`
	State              string `enum:"ENABLED|DISABLED"`
	Description        string `max:"512"`
	RoleArn            string `max:"1600"`
	Tags               []Tag
}

// Tag is a key and its value.
type Tag struct {
	Key   string `wire:",required" min:"1" max:"128"`
	Value string `wire:",keep" max:"256"`
}

// PutRuleOutput names the rule.
type PutRuleOutput struct{ RuleArn string }

func (d *Door) needPutRule(_ context.Context, from rouse.Origin, in *PutRuleInput) ([]rouse.Need, error) {
	return append([]rouse.Need{{Action: "events:PutRule", Resource: d.bus.ARN(from.Principal.Account, in.Name)}}, pass(in.RoleArn)...), nil
}

// pass is the permission to hand a role to EventBridge.
func pass(role string) []rouse.Need {
	if role == "" {
		return nil
	}
	return []rouse.Need{{Action: "iam:PassRole", Resource: role,
		Conditions: map[string][]string{"iam:PassedToService": {"events.amazonaws.com"}}}}
}

func (d *Door) putRule(ctx context.Context, from rouse.Origin, in *PutRuleInput) (*PutRuleOutput, error) {
	if in.ScheduleExpression == "" {
		return nil, rouse.Errorf(rouse.Invalid, "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	r := bus.Rule{Name: in.Name, Description: in.Description, Schedule: in.ScheduleExpression, Enabled: in.State != "DISABLED",
		RoleARN: in.RoleArn}
	if in.Tags != nil {
		r.Tags = map[string]string{}
		for _, t := range in.Tags {
			r.Tags[t.Key] = t.Value
		}
	}
	account := from.Principal.Account
	if err := d.bus.PutRule(ctx, account, r); err != nil {
		return nil, err
	}
	return &PutRuleOutput{RuleArn: d.bus.ARN(account, in.Name)}, nil
}

// Rule is a rule as lists show it.
type Rule struct {
	Name, Arn, State, Description, ScheduleExpression, RoleArn, EventBusName string
}

func (d *Door) rule(account string, r bus.Rule) Rule {
	state := "DISABLED"
	if r.Enabled {
		state = "ENABLED"
	}
	return Rule{Name: r.Name, Arn: d.bus.ARN(account, r.Name), State: state, Description: r.Description,
		ScheduleExpression: r.Schedule, RoleArn: r.RoleARN, EventBusName: "default"}
}

// DescribeRuleOutput is a rule and who made it.
type DescribeRuleOutput struct {
	Rule
	CreatedBy string
}

func (d *Door) describeRule(ctx context.Context, from rouse.Origin, in *NameInput) (*DescribeRuleOutput, error) {
	r, err := d.bus.Rule(ctx, from.Principal.Account, in.Name)
	if err != nil {
		return nil, err
	}
	return &DescribeRuleOutput{Rule: d.rule(from.Principal.Account, r), CreatedBy: from.Principal.Account}, nil
}

// DeleteRuleInput names a rule. Force is for rules that AWS itself manages; there are none.
type DeleteRuleInput struct {
	NameInput
	Force bool
}

func (d *Door) deleteRule(ctx context.Context, from rouse.Origin, in *DeleteRuleInput) (*wire.None, error) {
	return nil, d.bus.DeleteRule(ctx, from.Principal.Account, in.Name)
}

func (d *Door) enableRule(ctx context.Context, from rouse.Origin, in *NameInput) (*wire.None, error) {
	return nil, d.bus.SetEnabled(ctx, from.Principal.Account, in.Name, true)
}

func (d *Door) disableRule(ctx context.Context, from rouse.Origin, in *NameInput) (*wire.None, error) {
	return nil, d.bus.SetEnabled(ctx, from.Principal.Account, in.Name, false)
}

// Page is where a list goes on and how much of it to show.
type Page struct {
	NextToken string `max:"2048"`
	Limit     int    `min:"1" max:"100"`
}

// after is the name that the page before ended with; tokens are that name, encoded so that nobody builds on it.
func (p Page) after() (name string, limit int, err error) {
	b, err := base64.RawURLEncoding.DecodeString(p.NextToken)
	if err != nil {
		return "", 0, rouse.Errorf(rouse.Invalid, "Provided nextToken is not valid.")
	}
	if p.Limit == 0 {
		p.Limit = pageMax
	}
	return string(b), p.Limit, nil
}

func token(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// ListRulesInput filters rules by the start of their names.
type ListRulesInput struct {
	NamePrefix   string `max:"64"`
	EventBusName string `enum:"default"`
	Page
}

func (in *ListRulesInput) resource(d *Door, account string) string { return d.bus.ARN(account, "*") }

// ListRulesOutput is one page.
type ListRulesOutput struct {
	Rules     []Rule
	NextToken string
}

func (d *Door) listRules(ctx context.Context, from rouse.Origin, in *ListRulesInput) (*ListRulesOutput, error) {
	after, limit, err := in.after()
	if err != nil {
		return nil, err
	}
	rules, err := d.bus.Rules(ctx, from.Principal.Account, in.NamePrefix, after, limit+1)
	if err != nil {
		return nil, err
	}
	out := &ListRulesOutput{Rules: []Rule{}}
	if len(rules) > limit {
		rules = rules[:limit]
		out.NextToken = token(rules[limit-1].Name)
	}
	for _, r := range rules {
		out.Rules = append(out.Rules, d.rule(from.Principal.Account, r))
	}
	return out, nil
}
