package compat

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// capabilities are what a SAM template needs.
var capabilities = []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityAutoExpand}

const plainStack = `{"Resources":{"Group":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":"NAME"}}},
"Outputs":{"Group":{"Value":{"Ref":"Group"}}}}`

// brokenStack makes a log group and then a function that cannot be made.
const brokenStack = `
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: NAME
  Broken:
    Type: AWS::Lambda::Function
    DependsOn: Group
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Role: arn:aws:iam::000000000000:role/go-nobody
      Code:
        ZipFile: "def handler(event, context): pass"
      Environment:
        Variables:
          AWS_REGION: reserved
`

// quick makes the SDK's waiters ask more often than every 30 seconds.
func quick[T any](set func(*T, time.Duration)) func(*T) {
	return func(o *T) { set(o, 100*time.Millisecond) }
}

func (c *goClients) stackCreated(t *testing.T, name string) error {
	t.Helper()
	w := cloudformation.NewStackCreateCompleteWaiter(c.stacks,
		quick(func(o *cloudformation.StackCreateCompleteWaiterOptions, d time.Duration) {
			o.MinDelay, o.MaxDelay = d, d
		}))
	return w.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, waitMax)
}

func (c *goClients) stackUpdated(t *testing.T, name string) error {
	t.Helper()
	w := cloudformation.NewStackUpdateCompleteWaiter(c.stacks,
		quick(func(o *cloudformation.StackUpdateCompleteWaiterOptions, d time.Duration) {
			o.MinDelay, o.MaxDelay = d, d
		}))
	return w.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, waitMax)
}

// deleteStack removes a stack and waits until it is gone.
func (c *goClients) deleteStack(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitMax)
	defer cancel()
	if _, err := c.stacks.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String(name)}); err != nil {
		t.Errorf("delete stack %s: %v", name, err)
	}
	w := cloudformation.NewStackDeleteCompleteWaiter(c.stacks,
		quick(func(o *cloudformation.StackDeleteCompleteWaiterOptions, d time.Duration) {
			o.MinDelay, o.MaxDelay = d, d
		}))
	if err := w.Wait(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, waitMax); err != nil {
		t.Errorf("wait until stack %s is gone: %v", name, err)
	}
}

func (c *goClients) describeStack(t *testing.T, name string) types.Stack {
	t.Helper()
	out, err := c.stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)})
	check(t, err, "describe stack "+name)
	want(t, len(out.Stacks), 1, "stacks")
	return out.Stacks[0]
}

func output(s types.Stack, key string) string {
	for _, o := range s.Outputs {
		if *o.OutputKey == key {
			return *o.OutputValue
		}
	}
	return ""
}

func samTemplate(t *testing.T) *string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "stack.yaml"))
	check(t, err, "read template")
	return aws.String(string(b))
}

func testStack(t *testing.T, c *goClients) {
	ctx, name := t.Context(), "go-stack"
	in := &cloudformation.CreateStackInput{StackName: aws.String(name), TemplateBody: samTemplate(t),
		Capabilities: capabilities,
		Tags:         []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}
	made, err := c.stacks.CreateStack(ctx, in)
	check(t, err, "create stack")
	t.Cleanup(func() { c.deleteStack(t, name) })
	contains(t, aws.ToString(made.StackId), "arn:aws:cloudformation:us-east-1:000000000000:stack/go-stack/", "StackId")
	check(t, c.stackCreated(t, name), "wait until created")
	s := c.describeStack(t, *made.StackId)
	want(t, s.StackStatus, types.StackStatusCreateComplete, "StackStatus")
	want(t, output(s, "Arn"), "arn:aws:lambda:us-east-1:000000000000:function:"+output(s, "Name"), "output Arn")
	contains(t, output(s, "Name"), "go-stack-Greeter-", "output Name")
	contains(t, c.invoke(t, output(s, "Name"), `{}`), `hello nobody`, "answer of the function")
	got := c.node.send(t, request(t, "GET", c.node.url+"/_aws/execute-api/"+output(s, "Api")+"/$default/greet/ada", ""))
	want(t, got.body, "hello ada", "answer of the API")

	_, err = c.stacks.CreateStack(ctx, in)
	typed[*types.AlreadyExistsException](t, err, "create it twice")
	update := &cloudformation.UpdateStackInput{StackName: in.StackName, UsePreviousTemplate: aws.Bool(true),
		Capabilities: capabilities,
		Parameters:   []types.Parameter{{ParameterKey: aws.String("Word"), ParameterValue: aws.String("loud")}},
		Tags:         in.Tags}
	_, err = c.stacks.UpdateStack(ctx, update)
	check(t, err, "update stack")
	check(t, c.stackUpdated(t, name), "wait until updated")
	contains(t, c.invoke(t, output(s, "Name"), `{}`), `HELLO nobody`, "answer after the update")
	_, err = c.stacks.UpdateStack(ctx, update)
	wantCode(t, err, "ValidationError", "update with nothing new")
	contains(t, err.Error(), "No updates are to be performed.", "message")

	kinds := map[string]int{}
	pages := cloudformation.NewListStackResourcesPaginator(c.stacks,
		&cloudformation.ListStackResourcesInput{StackName: in.StackName})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, r := range page.StackResourceSummaries {
			kinds[*r.ResourceType]++
		}
	}
	for kind, count := range map[string]int{"AWS::Lambda::Function": 1, "AWS::IAM::Role": 1,
		"AWS::ApiGatewayV2::Api": 1, "AWS::ApiGatewayV2::Stage": 1,
		"AWS::Lambda::Permission": 2, "AWS::Events::Rule": 1} {
		want(t, kinds[kind], count, "resources of type "+kind)
	}
	events, err := c.stacks.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: in.StackName})
	check(t, err, "describe events")
	want(t, events.StackEvents[0].ResourceStatus, types.ResourceStatusUpdateComplete, "the newest event")
	text, err := c.stacks.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: in.StackName,
		TemplateStage: types.TemplateStageOriginal})
	check(t, err, "get template")
	want(t, aws.ToString(text.TemplateBody), *in.TemplateBody, "TemplateBody")
	exports, err := c.stacks.ListExports(ctx, &cloudformation.ListExportsInput{})
	check(t, err, "list exports")
	found := false
	for _, e := range exports.Exports {
		found = found || *e.Name == "go-stack-arn" && *e.Value == output(s, "Arn")
	}
	want(t, found, true, "go-stack-arn is exported")
}

func testChangeSet(t *testing.T, c *goClients) {
	ctx, name := t.Context(), "go-change-set"
	wait := cloudformation.NewChangeSetCreateCompleteWaiter(c.stacks,
		quick(func(o *cloudformation.ChangeSetCreateCompleteWaiterOptions, d time.Duration) {
			o.MinDelay, o.MaxDelay = d, d
		}))
	describe := func(set string) *cloudformation.DescribeChangeSetInput {
		return &cloudformation.DescribeChangeSetInput{StackName: aws.String(name), ChangeSetName: aws.String(set)}
	}
	body := aws.String(strings.Replace(plainStack, "NAME", "go/change-set", 1))
	_, err := c.stacks.CreateChangeSet(ctx, &cloudformation.CreateChangeSetInput{StackName: aws.String(name),
		ChangeSetName: aws.String("first"),
		ChangeSetType: types.ChangeSetTypeCreate, TemplateBody: body})
	check(t, err, "create change set")
	t.Cleanup(func() { c.deleteStack(t, name) })
	check(t, wait.Wait(ctx, describe("first"), waitMax), "wait for the change set")
	want(t, c.describeStack(t, name).StackStatus, types.StackStatusReviewInProgress, "StackStatus")
	set, err := c.stacks.DescribeChangeSet(ctx, describe("first"))
	check(t, err, "describe change set")
	want(t, len(set.Changes), 1, "changes")
	want(t, set.Changes[0].ResourceChange.Action, types.ChangeActionAdd, "Action")
	want(t, set.ExecutionStatus, types.ExecutionStatusAvailable, "ExecutionStatus")
	_, err = c.stacks.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{StackName: aws.String(name),
		ChangeSetName: aws.String("first")})
	check(t, err, "execute change set")
	check(t, c.stackCreated(t, name), "wait until created")
	want(t, output(c.describeStack(t, name), "Group"), "go/change-set", "output Group")

	_, err = c.stacks.CreateChangeSet(ctx, &cloudformation.CreateChangeSetInput{StackName: aws.String(name),
		ChangeSetName: aws.String("same"), TemplateBody: body})
	check(t, err, "create a change set without changes")
	if err := wait.Wait(ctx, describe("same"), waitMax); err == nil {
		t.Error("wait for a change set without changes: got success, want a failure")
	}
	set, err = c.stacks.DescribeChangeSet(ctx, describe("same"))
	check(t, err, "describe change set")
	want(t, set.Status, types.ChangeSetStatusFailed, "Status")
	contains(t, aws.ToString(set.StatusReason), "The submitted information didn't contain changes.", "StatusReason")
	_, err = c.stacks.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{StackName: aws.String(name),
		ChangeSetName: aws.String("same")})
	check(t, err, "delete change set")
	_, err = c.stacks.DescribeChangeSet(ctx, describe("same"))
	typed[*types.ChangeSetNotFoundException](t, err, "describe a deleted change set")
	list, err := c.stacks.ListChangeSets(ctx, &cloudformation.ListChangeSetsInput{StackName: aws.String(name)})
	check(t, err, "list change sets")
	for _, s := range list.Summaries {
		want(t, aws.ToString(s.ChangeSetName), "first", "the change set that is left")
	}
}

func testRollback(t *testing.T, c *goClients) {
	ctx, name := t.Context(), "go-rollback"
	body := aws.String(strings.Replace(brokenStack, "NAME", "go/rollback", 1))
	_, err := c.stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String(name),
		TemplateBody: body})
	check(t, err, "create a stack that fails")
	t.Cleanup(func() { c.deleteStack(t, name) })
	if err := c.stackCreated(t, name); err == nil {
		t.Error("wait for a stack that fails: got success, want a failure")
	}
	until(t, waitMax, "the rollback", func() bool {
		return c.describeStack(t,
			name).StackStatus == types.StackStatusRollbackComplete
	})
	events, err := c.stacks.DescribeStackEvents(ctx,
		&cloudformation.DescribeStackEventsInput{StackName: aws.String(name)})
	check(t, err, "describe events")
	said := ""
	for _, e := range events.StackEvents {
		if aws.ToString(e.LogicalResourceId) == "Broken" && e.ResourceStatus == types.ResourceStatusCreateFailed {
			said = aws.ToString(e.ResourceStatusReason)
		}
	}
	contains(t, said, "AWS_REGION", "reason of the failed resource")
	list, err := c.logs.DescribeLogGroups(ctx, groupsNamed("go/rollback"))
	check(t, err, "describe log groups")
	want(t, len(list.LogGroups), 0, "log groups that are left")
	_, err = c.stacks.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String(name),
		TemplateBody: aws.String(strings.Replace(plainStack, "NAME", "go/rollback", 1))})
	wantCode(t, err, "ValidationError", "update after the rollback")
	contains(t, err.Error(), "ROLLBACK_COMPLETE state and can not be updated", "message")

	name = "go-update-rollback"
	_, err = c.stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String(name),
		TemplateBody: aws.String(strings.Replace(plainStack, "NAME", "go/kept", 1))})
	check(t, err, "create stack")
	t.Cleanup(func() { c.deleteStack(t, "go-update-rollback") })
	check(t, c.stackCreated(t, name), "wait until created")
	_, err = c.stacks.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String(name),
		TemplateBody: aws.String(strings.Replace(brokenStack, "NAME", "go/other", 1))})
	check(t, err, "update a stack so that it fails")
	until(t, waitMax, "the rollback of the update", func() bool {
		return c.describeStack(t, name).StackStatus == types.StackStatusUpdateRollbackComplete
	})
	kept, err := c.logs.DescribeLogGroups(ctx, groupsNamed("go/kept"))
	check(t, err, "describe log groups")
	want(t, len(kept.LogGroups), 1, "the log group from before")
	other, err := c.logs.DescribeLogGroups(ctx, groupsNamed("go/other"))
	check(t, err, "describe log groups")
	want(t, len(other.LogGroups), 0, "the log group of the failed update")
}

func testStackErrors(t *testing.T, c *goClients) {
	ctx := t.Context()
	_, err := c.stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("go-nobody")})
	wantCode(t, err, "ValidationError", "describe what is not there")
	contains(t, err.Error(), "Stack with id go-nobody does not exist", "message")
	_, err = c.stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("go-bad"),
		TemplateBody: samTemplate(t)})
	typed[*types.InsufficientCapabilitiesException](t, err, "create without capabilities")
	for what, body := range map[string]string{
		"nonsense":            "Resources: [",
		"no resources":        "Description: nothing",
		"a missing reference": `{"Resources":{"A":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":{"Ref":"Nobody"}}}}}`,
		"a circle":            `{"Resources":{"A":{"Type":"AWS::Logs::LogGroup","DependsOn":"B"},"B":{"Type":"AWS::Logs::LogGroup","DependsOn":"A"}}}`,
		"a type that is none": `{"Resources":{"A":{"Type":"AWS::Logs::Nobody"}}}`,
		"a missing parameter": `{"Parameters":{"P":{"Type":"String"}},"Resources":{"A":{"Type":"AWS::Logs::LogGroup"}}}`,
	} {
		_, err := c.stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("go-bad"),
			TemplateBody: aws.String(body)})
		if err == nil {
			c.deleteStack(t, "go-bad")
		}
		wantCode(t, err, "ValidationError", "create from "+what)
	}
	got, err := c.stacks.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateBody: samTemplate(t)})
	check(t, err, "validate template")
	want(t, aws.ToString(got.Parameters[0].DefaultValue), "hello", "default of the parameter")
	want(t, len(got.Capabilities) > 0, true, "capabilities are asked for")
	_, err = c.stacks.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("go-nobody")})
	check(t, err, "delete what is not there")
	_, err = c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("go-bad-Greeter")})
	typed[*lambdatypes.ResourceNotFoundException](t, err, "get the function of a refused stack")
}
