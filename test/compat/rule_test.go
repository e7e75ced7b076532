package compat

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// scheduleMax is until the next full minute, and a little.
const scheduleMax = 75 * time.Second

// makeRule makes a rule that runs a function, and removes both parts when t ends.
func (c *goClients) makeRule(t *testing.T, name, schedule string, targets ...types.Target) string {
	t.Helper()
	rule, err := c.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String(name),
		ScheduleExpression: aws.String(schedule)})
	check(t, err, "put rule "+name)
	t.Cleanup(func() {
		ids := []string{}
		for _, target := range targets {
			ids = append(ids, *target.Id)
		}
		if len(ids) > 0 {
			_, err := c.events.RemoveTargets(context.Background(),
				&eventbridge.RemoveTargetsInput{Rule: aws.String(name), Ids: ids})
			if err != nil {
				t.Errorf("remove targets: %v", err)
			}
		}
		if _, err := c.events.DeleteRule(context.Background(),
			&eventbridge.DeleteRuleInput{Name: aws.String(name)}); err != nil {
			t.Errorf("delete rule: %v", err)
		}
	})
	if len(targets) > 0 {
		put, err := c.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String(name),
			Targets: targets})
		check(t, err, "put targets")
		want(t, put.FailedEntryCount, int32(0), "failed targets")
	}
	return aws.ToString(rule.RuleArn)
}

// startSchedule makes a rule that runs a function at the next minute, twice: with the event and with an input. What it
// returns waits for both; much else can be done meanwhile.
func startSchedule(t *testing.T, c *goClients) func(*testing.T) {
	t.Helper()
	ctx := t.Context()
	fn := c.create(t, c.function(t, "go-schedule", pythonEcho))
	arn := c.makeRule(t, "go-schedule", "cron(* * * * ? *)", types.Target{Id: aws.String("event"), Arn: fn.FunctionArn},
		types.Target{Id: aws.String("input"), Arn: fn.FunctionArn, Input: aws.String(`{"kind":"constant"}`)})
	_, err := c.lambda.AddPermission(ctx, &lambda.AddPermissionInput{FunctionName: fn.FunctionName,
		StatementId: aws.String("rule"),
		Action:      aws.String("lambda:InvokeFunction"), Principal: aws.String("events.amazonaws.com"),
		SourceArn: aws.String(arn)})
	check(t, err, "permit the rule")
	return func(t *testing.T) { c.waitForSchedule(t, arn) }
}

func (c *goClients) waitForSchedule(t *testing.T, arn string) {
	for _, part := range []string{`"Scheduled Event"`, `"constant"`} {
		var event string
		until(t, scheduleMax, "the rule's "+part, func() bool {
			out, err := c.logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
				LogGroupName: aws.String("/aws/lambda/go-schedule"), FilterPattern: aws.String(part)})
			if err != nil || len(out.Events) == 0 {
				return false // the group comes with the first run
			}
			event = *out.Events[0].Message
			return true
		})
		if part == `"Scheduled Event"` {
			for _, field := range []string{`"source": "aws.events"`, `"account": "000000000000"`, `"resources": ["` +
				arn + `"]`, `"detail": {}`, `:00Z"`} {
				contains(t, event, field, "event")
			}
		}
	}
}

func testRule(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-rule")
	arn := c.makeRule(t, *name, "rate(5 minutes)")
	want(t, arn, "arn:aws:events:us-east-1:000000000000:rule/go-rule", "RuleArn")
	_, err := c.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: name,
		ScheduleExpression: aws.String("rate(7 days)"), Description: aws.String("weekly"),
		State: types.RuleStateDisabled})
	check(t, err, "change the rule")
	got, err := c.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: name})
	check(t, err, "describe rule")
	want(t, fmt.Sprint(aws.ToString(got.ScheduleExpression), " ", got.State, " ", aws.ToString(got.Description)),
		"rate(7 days) DISABLED weekly", "rule")
	_, err = c.events.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: name})
	check(t, err, "enable rule")
	for i := range 3 {
		c.makeRule(t, fmt.Sprintf("go-rule-page-%d", i), "rate(1 hour)")
	}
	seen, next := 0, (*string)(nil)
	for {
		page, err := c.events.ListRules(ctx, &eventbridge.ListRulesInput{NamePrefix: aws.String("go-rule-page-"),
			Limit: aws.Int32(2), NextToken: next})
		check(t, err, "list rules")
		seen += len(page.Rules)
		if next = page.NextToken; next == nil {
			break
		}
	}
	want(t, seen, 3, "rules on all pages")
	fn := c.create(t, c.function(t, "go-rule", pythonEcho))
	_, err = c.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: name,
		Targets: []types.Target{{Id: aws.String("t"), Arn: fn.FunctionArn}}})
	check(t, err, "put targets")
	by, err := c.events.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: fn.FunctionArn})
	check(t, err, "list rules by target")
	want(t, fmt.Sprint(by.RuleNames), "[go-rule]", "rules of the target")
	_, err = c.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: name})
	wantCode(t, err, "ValidationException", "delete a rule with targets")
	_, err = c.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"t"}})
	check(t, err, "remove targets")

	_, err = c.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String("go-nobody")})
	e := typed[*types.ResourceNotFoundException](t, err, "describe what is not there")
	want(t, e.ErrorMessage(), "Rule go-nobody does not exist on EventBus default.", "message")
	_, err = c.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("go-nobody"),
		Targets: []types.Target{{Id: aws.String("t"), Arn: fn.FunctionArn}}})
	typed[*types.ResourceNotFoundException](t, err, "put targets of what is not there")
	for _, bad := range []string{"rate(1 minutes)", "rate(0 minutes)", "cron(* * * * * *)", "every day"} {
		_, err := c.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("go-bad"),
			ScheduleExpression: aws.String(bad)})
		wantCode(t, err, "ValidationException", "put a rule "+bad)
		contains(t, err.Error(), "Parameter ScheduleExpression is not valid.", "message")
	}
}
