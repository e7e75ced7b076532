package compat

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// account is the one that the key test/test belongs to.
const account = "000000000000"

// trustLambda lets Lambda take a role.
const trustLambda = `{"Version":"2012-10-17","Statement":[` +
	`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// allow is a policy of one permission.
func allow(action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}]}`
}

// waitMax is the most that any waiter is given.
const waitMax = 30 * time.Second

// goClients are the Go SDK's clients of one key.
type goClients struct {
	node   *node
	cfg    aws.Config
	role   string // ARN of a role that Lambda may take and that allows nothing
	lambda *lambda.Client
	iam    *iam.Client
	sts    *sts.Client
	logs   *cloudwatchlogs.Client
	rest   *apigateway.Client
	http   *apigatewayv2.Client
	stacks *cloudformation.Client
	events *eventbridge.Client
}

func newClients(n *node, cfg aws.Config) *goClients {
	return &goClients{
		node: n, cfg: cfg, lambda: lambda.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg),
		logs: cloudwatchlogs.NewFromConfig(cfg), rest: apigateway.NewFromConfig(cfg),
		http:   apigatewayv2.NewFromConfig(cfg),
		stacks: cloudformation.NewFromConfig(cfg), events: eventbridge.NewFromConfig(cfg),
	}
}

func goSuite(t *testing.T, c *goClients) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, *goClients)
	}{
		{"function", testFunction}, {"function errors", testFunctionErrors}, {"function pages", testFunctionPages},
		{"invoke", testInvoke}, {"invoke errors", testInvokeErrors}, {"invoke async", testInvokeAsync},
		{"stream", testStream},
		{"invoke limits", testInvokeLimits}, {"race", testRace}, {"names", testNames},
		{"concurrency", testConcurrency}, {"version", testVersion}, {"layer", testLayer},
		{"permission", testPermission},
		{"url", testURL}, {"url signed", testURLSigned}, {"function tags", testFunctionTags},
		{"event config", testEventConfig},
		{"logs", testLogs}, {"log events", testLogEvents}, {"log errors", testLogErrors},
		{"function logs", testFunctionLogs},
		{"role", testRole}, {"policy", testPolicy}, {"user", testUser}, {"identity", testIdentity},
		{"instance role", testInstanceRole},
		{"http api", testHTTPAPI}, {"http api pages", testHTTPAPIPages}, {"rest api", testRESTAPI}, {"rule", testRule},
		{"stack", testStack}, {"change set", testChangeSet}, {"rollback", testRollback},
		{"stack errors", testStackErrors},
		{"table", testTable}, {"table errors", testTableErrors}, {"table stream", testTableStream},
		{"region", testRegion},
	} {
		t.Run(part.name, func(t *testing.T) { t.Parallel(); part.run(t, c) })
	}
}

// makeRole makes a role that service may take, and removes it when t ends.
func (c *goClients) makeRole(t *testing.T, name, service string) string {
	t.Helper()
	out, err := c.iam.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(strings.Replace(trustLambda,
			"lambda.amazonaws.com", service, 1)),
	})
	check(t, err, "create role "+name)
	t.Cleanup(func() {
		if _, err := c.iam.DeleteRole(context.Background(),
			&iam.DeleteRoleInput{RoleName: aws.String(name)}); err != nil {
			t.Errorf("delete role %s: %v", name, err)
		}
	})
	check(t, iam.NewRoleExistsWaiter(c.iam).Wait(t.Context(), &iam.GetRoleInput{RoleName: aws.String(name)}, waitMax),
		"wait for role")
	return aws.ToString(out.Role.Arn)
}

// function is the input for a Python function that runs source as index.handler.
func (c *goClients) function(t *testing.T, name, source string) *lambda.CreateFunctionInput {
	t.Helper()
	return &lambda.CreateFunctionInput{
		FunctionName: aws.String(name), Role: aws.String(c.role), Runtime: lambdatypes.RuntimePython313,
		Handler: aws.String("index.handler"), Code: &lambdatypes.FunctionCode{ZipFile: archive(t, "index.py", source)},
		Timeout: aws.Int32(10), Environment: &lambdatypes.Environment{Variables: map[string]string{"STAGE": "first"}},
	}
}

// nodeFunction is function for JavaScript.
func (c *goClients) nodeFunction(t *testing.T, name, source string) *lambda.CreateFunctionInput {
	t.Helper()
	in := c.function(t, name, "")
	in.Runtime, in.Code = lambdatypes.RuntimeNodejs22x, &lambdatypes.FunctionCode{ZipFile: archive(t, "index.mjs",
		source)}
	return in
}

// create makes a function, waits until it is active, and removes it when t ends.
func (c *goClients) create(t *testing.T, in *lambda.CreateFunctionInput) *lambda.CreateFunctionOutput {
	t.Helper()
	out, err := c.lambda.CreateFunction(t.Context(), in)
	check(t, err, "create function "+*in.FunctionName)
	t.Cleanup(func() {
		var gone *lambdatypes.ResourceNotFoundException
		_, err := c.lambda.DeleteFunction(context.Background(),
			&lambda.DeleteFunctionInput{FunctionName: in.FunctionName})
		if err != nil && !errors.As(err, &gone) {
			t.Errorf("delete function %s: %v", *in.FunctionName, err)
		}
	})
	get := &lambda.GetFunctionInput{FunctionName: in.FunctionName}
	check(t, lambda.NewFunctionActiveV2Waiter(c.lambda).Wait(t.Context(), get, waitMax), "wait until active")
	return out
}

// invoke runs a function with payload and fails t unless it succeeds.
func (c *goClients) invoke(t *testing.T, name, payload string) string {
	t.Helper()
	out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(name),
		Payload: []byte(payload)})
	check(t, err, "invoke "+name)
	if out.FunctionError != nil {
		t.Fatalf("invoke %s: got the function error %s %s, want success", name, *out.FunctionError, out.Payload)
	}
	return string(out.Payload)
}

// noSuchRole reports whether err says that IAM does not know the name.
func noSuchEntity(err error) bool {
	var e *iamtypes.NoSuchEntityException
	return errors.As(err, &e)
}
