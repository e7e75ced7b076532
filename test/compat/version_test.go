package compat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func testVersion(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-version")
	c.create(t, c.function(t, *name, "def handler(event, context):\n    return context.function_version + ' one'\n"))
	first, err := c.lambda.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name,
		Description: aws.String("the first")})
	check(t, err, "publish")
	want(t, aws.ToString(first.Version), "1", "Version")
	want(t, aws.ToString(first.FunctionArn), "arn:aws:lambda:us-east-1:000000000000:function:go-version:1",
		"FunctionArn")
	check(t, lambda.NewPublishedVersionActiveWaiter(c.lambda).Wait(ctx,
		&lambda.GetFunctionConfigurationInput{FunctionName: name, Qualifier: first.Version}, waitMax),
		"wait for the version")
	again, err := c.lambda.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name})
	check(t, err, "publish what has not changed")
	want(t, aws.ToString(again.Version), "1", "Version of what has not changed")

	_, err = c.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: name, ZipFile: archive(t, "index.py",
			"def handler(event, context):\n    return context.function_version + ' two'\n"),
	})
	check(t, err, "update code")
	check(t, lambda.NewFunctionUpdatedV2Waiter(c.lambda).Wait(ctx, &lambda.GetFunctionInput{FunctionName: name},
		waitMax), "wait")
	_, err = c.lambda.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name, CodeSha256: first.CodeSha256})
	typed[*types.InvalidParameterValueException](t, err, "publish with another code's hash")
	_, err = c.lambda.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name})
	check(t, err, "publish again")
	want(t, c.invoke(t, *name+":1", ``), `"1 one"`, "answer of version 1")
	want(t, c.invoke(t, *name+":2", ``), `"2 two"`, "answer of version 2")
	want(t, c.invoke(t, *name, ``), `"$LATEST two"`, "answer of $LATEST")

	var versions []string
	pages := lambda.NewListVersionsByFunctionPaginator(c.lambda,
		&lambda.ListVersionsByFunctionInput{FunctionName: name, MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, v := range page.Versions {
			versions = append(versions, *v.Version)
		}
	}
	want(t, strings.Join(versions, " "), "$LATEST 1 2", "versions")
	testAlias(t, c, name)

	_, err = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: name, Qualifier: aws.String("1")})
	check(t, err, "delete version 1")
	_, err = c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: name, Qualifier: aws.String("1")})
	typed[*types.ResourceNotFoundException](t, err, "get version 1")
}

// testAlias points an alias at the versions 1 and 2 of name.
func testAlias(t *testing.T, c *goClients, name *string) {
	ctx, live := t.Context(), aws.String("live")
	made, err := c.lambda.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: name, Name: live,
		FunctionVersion: aws.String("1")})
	check(t, err, "create alias")
	want(t, aws.ToString(made.AliasArn), "arn:aws:lambda:us-east-1:000000000000:function:go-version:live", "AliasArn")
	_, err = c.lambda.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: name, Name: live,
		FunctionVersion: aws.String("1")})
	typed[*types.ResourceConflictException](t, err, "create the alias twice")
	_, err = c.lambda.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: name, Name: aws.String("dead"),
		FunctionVersion: aws.String("9")})
	typed[*types.ResourceNotFoundException](t, err, "create an alias of a version that is not there")
	want(t, c.invoke(t, *name+":live", ``), `"1 one"`, "answer of the alias")
	_, err = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: name, Qualifier: aws.String("1")})
	typed[*types.ResourceConflictException](t, err, "delete a version that an alias names")

	up, err := c.lambda.UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: name, Name: live,
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.5}},
	})
	check(t, err, "give the alias weights")
	want(t, fmt.Sprint(up.RoutingConfig.AdditionalVersionWeights), "map[2:0.5]", "weights")
	seen := map[string]bool{}
	for range 60 {
		out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Qualifier: live})
		check(t, err, "invoke the alias")
		contains(t, string(out.Payload), `"`+aws.ToString(out.ExecutedVersion)+" ", "answer and ExecutedVersion")
		seen[aws.ToString(out.ExecutedVersion)] = true
		if len(seen) == 2 {
			break
		}
	}
	want(t, len(seen), 2, "versions that an alias with equal weights ran in 60 calls")

	_, err = c.lambda.UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: name, Name: live, FunctionVersion: aws.String("2"),
		RoutingConfig: &types.AliasRoutingConfiguration{},
	})
	check(t, err, "point the alias at version 2")
	want(t, c.invoke(t, *name+":live", ``), `"2 two"`, "answer of the alias")
	list, err := c.lambda.ListAliases(ctx, &lambda.ListAliasesInput{FunctionName: name,
		FunctionVersion: aws.String("2")})
	check(t, err, "list aliases")
	want(t, len(list.Aliases), 1, "aliases of version 2")
	_, err = c.lambda.DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: name, Name: live})
	check(t, err, "delete alias")
	_, err = c.lambda.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: name, Name: live})
	typed[*types.ResourceNotFoundException](t, err, "get a deleted alias")
}

func testLayer(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-layer")
	publish := func(text string) *lambda.PublishLayerVersionOutput {
		out, err := c.lambda.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{
			LayerName: name, Description: aws.String(text), CompatibleRuntimes: []types.Runtime{types.RuntimePython313},
			LicenseInfo: aws.String("MIT"), Content: &types.LayerVersionContentInput{
				ZipFile: archive(t, "greeting.txt", text, "python/shopkit.py", "WORD = '"+text+" module'\n"),
			},
		})
		check(t, err, "publish layer")
		return out
	}
	one, two := publish("hello"), publish("goodbye")
	want(t, one.Version, int64(1), "first version")
	want(t, aws.ToString(two.LayerVersionArn), "arn:aws:lambda:us-east-1:000000000000:layer:go-layer:2",
		"LayerVersionArn")

	in := c.function(t, "go-layered",
		"import shopkit\ndef handler(event, context):\n    return open('/opt/greeting.txt').read() + ', ' + shopkit.WORD\n")
	in.Layers = []string{*one.LayerVersionArn}
	made := c.create(t, in)
	want(t, len(made.Layers), 1, "layers of the function")
	want(t, c.invoke(t, "go-layered", ``), `"hello, hello module"`, "answer with the first layer")
	_, err := c.lambda.UpdateFunctionConfiguration(ctx,
		&lambda.UpdateFunctionConfigurationInput{FunctionName: in.FunctionName, Layers: []string{*two.LayerVersionArn}})
	check(t, err, "take the second layer")
	check(t, lambda.NewFunctionUpdatedV2Waiter(c.lambda).Wait(ctx,
		&lambda.GetFunctionInput{FunctionName: in.FunctionName}, waitMax), "wait")
	want(t, c.invoke(t, "go-layered", ``), `"goodbye, goodbye module"`, "answer with the second layer")

	layers, err := c.lambda.ListLayers(ctx, &lambda.ListLayersInput{CompatibleRuntime: types.RuntimePython313})
	check(t, err, "list layers")
	found := false
	for _, l := range layers.Layers {
		if *l.LayerName == *name {
			found = l.LatestMatchingVersion.Version == 2
		}
	}
	want(t, found, true, "version 2 of the layer is listed")
	pages, versions := lambda.NewListLayerVersionsPaginator(c.lambda,
		&lambda.ListLayerVersionsInput{LayerName: name, MaxItems: aws.Int32(1)}), ""
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, v := range page.LayerVersions {
			versions += fmt.Sprint(v.Version)
		}
	}
	want(t, versions, "21", "versions, newest first")
	got, err := c.lambda.GetLayerVersionByArn(ctx, &lambda.GetLayerVersionByArnInput{Arn: one.LayerVersionArn})
	check(t, err, "get layer by ARN")
	want(t, aws.ToString(got.LicenseInfo), "MIT", "LicenseInfo")
	want(t, int64(len(download(t, c, aws.ToString(got.Content.Location)))), got.Content.CodeSize,
		"bytes of Content.Location")
	for _, v := range []int64{1, 2} {
		_, err := c.lambda.DeleteLayerVersion(ctx, &lambda.DeleteLayerVersionInput{LayerName: name,
			VersionNumber: aws.Int64(v)})
		check(t, err, "delete layer version")
	}
	_, err = c.lambda.GetLayerVersion(ctx, &lambda.GetLayerVersionInput{LayerName: name, VersionNumber: aws.Int64(1)})
	typed[*types.ResourceNotFoundException](t, err, "get a deleted layer version")
	want(t, c.invoke(t, "go-layered", ``), `"goodbye, goodbye module"`, "answer after the layer was deleted")
}
