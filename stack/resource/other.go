package resource

import (
	"context"
	"slices"
	"strings"
)

// otherTypes are those of services with one type or two.
func otherTypes() []*Type {
	return []*Type{{Name: "AWS::Logs::LogGroup", naming: naming{property: "LogGroupName", max: 512}, tags: "Tags",
		Attributes: []string{"Arn"},
		Properties: properties(`
BearerTokenAuthenticationEnabled no
DataProtectionPolicy no
DeletionProtectionEnabled no
FieldIndexPolicies no
KmsKeyId no
LogGroupClass string only=STANDARD
LogGroupName string replace
ResourcePolicyDocument no
RetentionInDays int
Tags list object {
  Key string required
  Value string required
}
`), create: createLogGroup, update: updateLogGroup, find: findLogGroup,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "logs", "DeleteLogGroup", map[string]any{"logGroupName": r.Physical}, nil)
		},
	}, ruleType()}
}

func logGroupState(r *Request) State {
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": r.arn("logs", "log-group:"+r.Physical+":*")}}
}

func createLogGroup(ctx context.Context, c Client, r *Request) (State, error) {
	in := map[string]any{"logGroupName": r.Physical}
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
		in["tags"] = tags
	}
	if err := c.Call(ctx, "logs", "CreateLogGroup", in, nil); err != nil {
		return State{}, err
	}
	return logGroupState(r), retention(ctx, c, r)
}

func retention(ctx context.Context, c Client, r *Request) error {
	if !changed(r, "RetentionInDays") {
		return nil
	}
	in := map[string]any{"logGroupName": r.Physical}
	if days, ok := r.Props["RetentionInDays"]; ok {
		in["retentionInDays"] = days
		return c.Call(ctx, "logs", "PutRetentionPolicy", in, nil)
	}
	return c.Call(ctx, "logs", "DeleteRetentionPolicy", in, nil)
}

func updateLogGroup(ctx context.Context, c Client, r *Request) (State, error) {
	if err := retention(ctx, c, r); err != nil {
		return logGroupState(r), err
	}
	arn := r.arn("logs", "log-group:"+r.Physical)
	return logGroupState(r), retag(r, func(set map[string]string) error {
		return c.Call(ctx, "logs", "TagResource", map[string]any{"resourceArn": arn, "tags": set}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "logs", "UntagResource", map[string]any{"resourceArn": arn, "tagKeys": keys}, nil)
	})
}

func findLogGroup(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out struct {
		LogGroups []struct {
			LogGroupName string `json:"logGroupName"`
		} `json:"logGroups"`
	}
	err := c.Call(ctx, "logs", "DescribeLogGroups", map[string]any{"logGroupNamePrefix": r.Physical}, &out)
	for _, g := range out.LogGroups {
		if g.LogGroupName == r.Physical {
			return logGroupState(r), true, err
		}
	}
	return State{}, false, err
}

func ruleType() *Type {
	return &Type{Name: "AWS::Events::Rule", naming: naming{property: "Name", max: 64}, tags: "Tags",
		Attributes: []string{"Arn"},
		Note:       "schedules only", Properties: properties(`
Description string
EventBusName string only=default
EventPattern no -- rules that match events
Name string replace
RoleArn string
ScheduleExpression string
State string only=ENABLED|DISABLED
Tags list object {
  Key string
  Value string
}
Targets list object {
  AppSyncParameters no
  Arn string required
  BatchParameters no
  DeadLetterConfig no
  EcsParameters no
  HttpParameters no
  Id string required
  Input string
  InputPath no
  InputTransformer no
  KinesisParameters no
  RedshiftDataParameters no
  RetryPolicy no
  RoleArn string
  RunCommandParameters no
  SageMakerPipelineParameters no
  SqsParameters no
}
`), create: createRule, update: updateRule, find: findRule,
		remove: func(ctx context.Context, c Client, r *Request) error {
			if ids := targetIDs(r.Props, nil); len(ids) > 0 {
				if err := gone(c.Call(ctx, "events", "RemoveTargets", map[string]any{"Rule": r.Physical, "Ids": ids},
					nil)); err != nil {
					return err
				}
			}
			return c.Call(ctx, "events", "DeleteRule", map[string]any{"Name": r.Physical}, nil)
		},
	}
}

// targetIDs are the ids of a rule's targets that are not in keep.
func targetIDs(props map[string]any, keep []string) []string {
	var out []string
	list, _ := props["Targets"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		if id := text(m, "Id"); !slices.Contains(keep, id) {
			out = append(out, id)
		}
	}
	return out
}

func putRule(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "ScheduleExpression State Description RoleArn")
	in["Name"] = r.Physical
	if tags := tagsOf(r.Props); len(tags) > 0 && r.Old == nil {
		in["Tags"] = tags
	}
	var out struct{ RuleArn string }
	if err := c.Call(ctx, "events", "PutRule", in, &out); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": out.RuleArn}}, nil
}

func putTargets(ctx context.Context, c Client, r *Request) error {
	if list, _ := r.Props["Targets"].([]any); len(list) > 0 {
		return c.Call(ctx, "events", "PutTargets", map[string]any{"Rule": r.Physical, "Targets": list}, nil)
	}
	return nil
}

func createRule(ctx context.Context, c Client, r *Request) (State, error) {
	s, err := putRule(ctx, c, r)
	if err != nil {
		return s, err
	}
	return s, putTargets(ctx, c, r)
}

func updateRule(ctx context.Context, c Client, r *Request) (State, error) {
	s, err := putRule(ctx, c, r)
	if err != nil {
		return State{Physical: r.Physical, Attrs: r.Attrs}, err
	}
	if drop := targetIDs(r.Old, targetIDs(r.Props, nil)); len(drop) > 0 {
		if err := gone(c.Call(ctx, "events", "RemoveTargets", map[string]any{"Rule": r.Physical, "Ids": drop},
			nil)); err != nil {
			return s, err
		}
	}
	if err := putTargets(ctx, c, r); err != nil {
		return s, err
	}
	arn := s.Attrs["Arn"]
	return s, retag(r, func(set map[string]string) error {
		return c.Call(ctx, "events", "TagResource", map[string]any{"ResourceARN": arn, "Tags": keyValues(set)}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "events", "UntagResource", map[string]any{"ResourceARN": arn, "TagKeys": keys}, nil)
	})
}

func findRule(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out struct{ Arn string }
	err := c.Call(ctx, "events", "DescribeRule", map[string]any{"Name": r.Physical}, &out)
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": out.Arn}}, err == nil &&
		strings.Contains(out.Arn, r.Physical), err
}
