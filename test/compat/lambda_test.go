package compat

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// testFunction takes one function from its creation to its end.
func testFunction(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-function")
	in := c.function(t, *name, pythonEcho)
	in.Description, in.MemorySize, in.Tags = aws.String("says what it hears"), aws.Int32(256),
		map[string]string{"team": "shop"}
	made := c.create(t, in)
	arn := "arn:aws:lambda:" + region + ":" + account + ":function:go-function"
	want(t, aws.ToString(made.FunctionArn), arn, "ARN")
	sum := sha256.Sum256(in.Code.ZipFile)
	want(t, aws.ToString(made.CodeSha256), base64.StdEncoding.EncodeToString(sum[:]), "CodeSha256")
	want(t, made.CodeSize, int64(len(in.Code.ZipFile)), "CodeSize")
	want(t, aws.ToString(made.Version), "$LATEST", "Version")

	got, err := c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(arn)})
	check(t, err, "get function by ARN")
	want(t, got.Configuration.State, types.StateActive, "State")
	want(t, got.Configuration.LastUpdateStatus, types.LastUpdateStatusSuccessful, "LastUpdateStatus")
	want(t, got.Configuration.PackageType, types.PackageTypeZip, "PackageType")
	want(t, aws.ToInt32(got.Configuration.EphemeralStorage.Size), 512, "EphemeralStorage")
	want(t, got.Configuration.TracingConfig.Mode, types.TracingModePassThrough, "TracingConfig")
	want(t, got.Tags["team"], "shop", "tag team")
	want(t, aws.ToString(got.Configuration.LoggingConfig.LogGroup), "/aws/lambda/go-function", "LogGroup")
	code := download(t, c, aws.ToString(got.Code.Location))
	want(t, string(code) == string(in.Code.ZipFile), true, "the code that Code.Location serves is what was uploaded")

	_, err = c.lambda.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: name, MemorySize: aws.Int32(512),
		Environment: &types.Environment{Variables: map[string]string{"STAGE": "second"}},
	})
	check(t, err, "update configuration")
	get := &lambda.GetFunctionInput{FunctionName: name}
	check(t, lambda.NewFunctionUpdatedV2Waiter(c.lambda).Wait(ctx, get, waitMax), "wait until updated")
	contains(t, c.invoke(t, *name, `{}`), `"stage": "second"`, "answer after the update")

	updated, err := c.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: name, ZipFile: archive(t, "index.py", "def handler(event, context):\n    return 'new'\n"),
		Publish: true,
	})
	check(t, err, "update code")
	want(t, aws.ToString(updated.Version), "1", "version that UpdateFunctionCode published")
	check(t, lambda.NewFunctionUpdatedV2Waiter(c.lambda).Wait(ctx, get, waitMax), "wait until updated")
	want(t, c.invoke(t, *name, `{}`), `"new"`, "answer of the new code")

	_, err = c.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: name, ZipFile: in.Code.ZipFile, RevisionId: made.RevisionId,
	})
	typed[*types.PreconditionFailedException](t, err, "update with an old revision")
	dry, err := c.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: name,
		ZipFile: in.Code.ZipFile, DryRun: true})
	check(t, err, "update code as a dry run")
	want(t, aws.ToString(dry.CodeSha256), aws.ToString(made.CodeSha256), "CodeSha256 of a dry run")
	want(t, c.invoke(t, *name, `{}`), `"new"`, "answer after a dry run")

	_, err = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: name})
	check(t, err, "delete function")
	_, err = c.lambda.GetFunction(ctx, get)
	typed[*types.ResourceNotFoundException](t, err, "get a deleted function")
}

// download reads a URL as it stands.
func download(t *testing.T, c *goClients, url string) []byte {
	t.Helper()
	resp, err := c.node.http.Get(url)
	check(t, err, "get "+url)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err, "read "+url)
	want(t, resp.StatusCode, http.StatusOK, "status of "+url)
	return b
}

// testFunctionErrors walks what CreateFunction and its neighbours refuse.
func testFunctionErrors(t *testing.T, c *goClients) {
	ctx := t.Context()
	_, err := c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("go-nobody")})
	e := typed[*types.ResourceNotFoundException](t, err, "get what is not there")
	want(t, e.ErrorMessage(), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:go-nobody", "message")
	want(t, aws.ToString(e.Type), "User", "Type")

	in := c.function(t, "go-errors", pythonEcho)
	c.create(t, in)
	_, err = c.lambda.CreateFunction(ctx, in)
	conflict := typed[*types.ResourceConflictException](t, err, "create it twice")
	want(t, conflict.ErrorMessage(), "Function already exist: go-errors", "message")

	for _, bad := range []struct {
		what   string
		change func(*lambda.CreateFunctionInput)
	}{
		{"a handler without code", func(in *lambda.CreateFunctionInput) { in.Code = &types.FunctionCode{} }},
		{"code that is no archive",
			func(in *lambda.CreateFunctionInput) { in.Code = &types.FunctionCode{ZipFile: []byte("no zip")} }},
		{"a role that is not there",
			func(in *lambda.CreateFunctionInput) { in.Role = aws.String("arn:aws:iam::000000000000:role/go-nobody") }},
		{"a reserved variable", func(in *lambda.CreateFunctionInput) {
			in.Environment = &types.Environment{Variables: map[string]string{"AWS_REGION": "x"}}
		}},
	} {
		in := c.function(t, "go-bad", pythonEcho)
		bad.change(in)
		_, err := c.lambda.CreateFunction(ctx, in)
		if err == nil {
			_, _ = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: in.FunctionName})
		}
		t.Run(bad.what, func(t *testing.T) { typed[*types.InvalidParameterValueException](t, err, "create function") })
	}
	for _, bad := range []struct {
		what   string
		change func(*lambda.CreateFunctionInput)
	}{
		{"a timeout above the limit", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(901) }},
		{"memory below the limit", func(in *lambda.CreateFunctionInput) { in.MemorySize = aws.Int32(64) }},
		{"a runtime that is not one", func(in *lambda.CreateFunctionInput) { in.Runtime = "cobol60" }},
		{"two architectures", func(in *lambda.CreateFunctionInput) {
			in.Architectures = []types.Architecture{types.ArchitectureArm64, types.ArchitectureX8664}
		}},
		{"a name with a space", func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String("go bad") }},
	} {
		in := c.function(t, "go-bad", pythonEcho)
		bad.change(in)
		_, err := c.lambda.CreateFunction(ctx, in)
		if err == nil {
			_, _ = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: in.FunctionName})
		}
		t.Run(bad.what, func(t *testing.T) { constraint(t, err) })
	}
}

// constraint fails t unless err is what Lambda answers to a value outside the model's constraints: a ValidationException,
// or for values that it checks itself an InvalidParameterValueException.
func constraint(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("got success, want an error")
	}
	if s := err.Error(); !strings.Contains(s, "ValidationException") && !strings.Contains(s,
		"InvalidParameterValueException") {
		t.Fatalf("got %v, want ValidationException or InvalidParameterValueException", err)
	}
}

// testFunctionPages lists more functions than fit on a page.
func testFunctionPages(t *testing.T, c *goClients) {
	const count = 7
	for i := range count {
		c.create(t, c.function(t, fmt.Sprintf("go-page-%d", i), pythonEcho))
	}
	pages, seen := lambda.NewListFunctionsPaginator(c.lambda, &lambda.ListFunctionsInput{MaxItems: aws.Int32(3)}), 0
	for n := 0; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		check(t, err, "next page")
		if len(page.Functions) > 3 {
			t.Fatalf("got a page of %d functions, want at most 3", len(page.Functions))
		}
		for _, f := range page.Functions {
			if strings.HasPrefix(*f.FunctionName, "go-page-") {
				seen++
			}
		}
	}
	want(t, seen, count, "functions on all pages")
	_, err := c.lambda.ListFunctions(t.Context(), &lambda.ListFunctionsInput{Marker: aws.String("made up")})
	typed[*types.InvalidParameterValueException](t, err, "list from a made up marker")
}

func testFunctionTags(t *testing.T, c *goClients) {
	ctx := t.Context()
	arn := c.create(t, c.function(t, "go-tags", pythonEcho)).FunctionArn
	_, err := c.lambda.TagResource(ctx, &lambda.TagResourceInput{Resource: arn,
		Tags: map[string]string{"a": "1", "b c": "2/3"}})
	check(t, err, "tag")
	_, err = c.lambda.UntagResource(ctx, &lambda.UntagResourceInput{Resource: arn, TagKeys: []string{"a", "zzz"}})
	check(t, err, "untag")
	tags, err := c.lambda.ListTags(ctx, &lambda.ListTagsInput{Resource: arn})
	check(t, err, "list tags")
	want(t, fmt.Sprint(tags.Tags), "map[b c:2/3]", "tags")
	_, err = c.lambda.ListTags(ctx, &lambda.ListTagsInput{Resource: aws.String(*arn + "-nobody")})
	typed[*types.ResourceNotFoundException](t, err, "list the tags of nothing")
}

func testConcurrency(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-concurrency")
	c.create(t, c.function(t, *name, pythonEcho))
	put, err := c.lambda.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: name,
		ReservedConcurrentExecutions: aws.Int32(0)})
	check(t, err, "reserve nothing")
	want(t, aws.ToInt32(put.ReservedConcurrentExecutions), 0, "reserved")
	_, err = c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name})
	e := typed[*types.TooManyRequestsException](t, err, "invoke what may not run")
	want(t, e.Reason, types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded, "Reason")
	_, err = c.lambda.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: name})
	check(t, err, "delete the reservation")
	got, err := c.lambda.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: name})
	check(t, err, "get concurrency")
	want(t, got.ReservedConcurrentExecutions == nil, true, "nothing is reserved")
	c.invoke(t, *name, `{}`)
	_, err = c.lambda.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: name,
		ReservedConcurrentExecutions: aws.Int32(100000)})
	typed[*types.InvalidParameterValueException](t, err, "reserve more than there is")
	settings, err := c.lambda.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	check(t, err, "account settings")
	want(t, settings.AccountLimit.ConcurrentExecutions, 1000, "ConcurrentExecutions")
}

func testEventConfig(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-event-config")
	c.create(t, c.function(t, *name, pythonEcho))
	_, err := c.lambda.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: name})
	typed[*types.ResourceNotFoundException](t, err, "get a configuration that is not there")
	put, err := c.lambda.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: name, MaximumRetryAttempts: aws.Int32(1), MaximumEventAgeInSeconds: aws.Int32(120),
	})
	check(t, err, "put configuration")
	contains(t, aws.ToString(put.FunctionArn), ":function:go-event-config", "FunctionArn")
	up, err := c.lambda.UpdateFunctionEventInvokeConfig(ctx, &lambda.UpdateFunctionEventInvokeConfigInput{
		FunctionName: name, MaximumRetryAttempts: aws.Int32(0),
	})
	check(t, err, "update configuration")
	want(t, aws.ToInt32(up.MaximumRetryAttempts), 0, "MaximumRetryAttempts")
	want(t, aws.ToInt32(up.MaximumEventAgeInSeconds), 120, "MaximumEventAgeInSeconds")
	list, err := c.lambda.ListFunctionEventInvokeConfigs(ctx,
		&lambda.ListFunctionEventInvokeConfigsInput{FunctionName: name})
	check(t, err, "list configurations")
	want(t, len(list.FunctionEventInvokeConfigs), 1, "configurations")
	_, err = c.lambda.DeleteFunctionEventInvokeConfig(ctx,
		&lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: name})
	check(t, err, "delete configuration")
}

// testRace makes one function from many sides at once: one succeeds, the others are told.
func testRace(t *testing.T, c *goClients) {
	const sides = 6
	in := c.function(t, "go-race", pythonEcho)
	results := make(chan error, sides)
	for range sides {
		go func() {
			_, err := c.lambda.CreateFunction(t.Context(), in)
			results <- err
		}()
	}
	made := 0
	for range sides {
		err := <-results
		if err == nil {
			made++
			continue
		}
		typed[*types.ResourceConflictException](t, err, "create what another makes")
	}
	want(t, made, 1, "creations that succeeded")
	_, err := c.lambda.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: in.FunctionName})
	check(t, err, "delete function")
}

// testNames calls one function by every form of its name, and by forms that contradict themselves.
func testNames(t *testing.T, c *goClients) {
	ctx, name := t.Context(), "go-names"
	c.create(t, c.function(t, name, pythonEcho))
	arn := "arn:aws:lambda:us-east-1:000000000000:function:" + name
	for _, form := range []string{name, name + ":$LATEST", arn, arn + ":$LATEST", account + ":function:" + name,
		account + ":" + name} {
		got, err := c.lambda.GetFunctionConfiguration(ctx,
			&lambda.GetFunctionConfigurationInput{FunctionName: aws.String(form)})
		check(t, err, "get "+form)
		want(t, aws.ToString(got.FunctionName), name, "name of "+form)
	}
	_, err := c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(name + ":1"),
		Qualifier: aws.String("2")})
	e := typed[*types.InvalidParameterValueException](t, err, "two qualifiers")
	want(t, e.ErrorMessage(), "The derived qualifier from the function name does not match the specified qualifier.",
		"message")
	_, err = c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(strings.Replace(arn, region,
		"eu-central-1", 1))})
	far := typed[*types.ResourceNotFoundException](t, err, "another region")
	want(t, far.ErrorMessage(), "Functions from 'eu-central-1' are not reachable in this region ('us-east-1')",
		"message")
	_, err = c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(strings.Replace(arn, account,
		"111111111111", 1))})
	wantCode(t, err, "AccessDeniedException", "another account")
	_, err = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String(name),
		Qualifier: aws.String("$LATEST")})
	typed[*types.InvalidParameterValueException](t, err, "delete $LATEST")
}
