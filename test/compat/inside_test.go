package compat

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// nodeCaller is a function that calls the platform by AWS's SDK, configured by nothing but what a function finds in its
// environment.
const nodeCaller = `
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { LambdaClient, InvokeCommand, ListFunctionsCommand } from '@aws-sdk/client-lambda';

const lambda = new LambdaClient({});

export const handler = async ({ callee }) => {
  const { Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
  const out = await lambda.send(new InvokeCommand({ FunctionName: callee, Payload: JSON.stringify({ from: 'inside' }) }));
  let denied = 'nothing';
  try {
    await lambda.send(new ListFunctionsCommand({}));
  } catch (error) {
    denied = error.name;
  }
  return { arn: Arn, said: JSON.parse(Buffer.from(out.Payload)).event, denied };
};
`

// testInside lets a function reach another one through AWS's own SDK, with its role and no more.
func testInside(t *testing.T, c *goClients) {
	callee := c.create(t, c.function(t, "js-inside-callee", pythonEcho))
	layer, err := c.lambda.PublishLayerVersion(t.Context(), &lambda.PublishLayerVersionInput{
		LayerName: aws.String("js-inside-sdk"), Content: &types.LayerVersionContentInput{ZipFile: sdkLayer(t)},
	})
	check(t, err, "publish the SDK as a layer")
	t.Cleanup(func() {
		_, err := c.lambda.DeleteLayerVersion(context.Background(), &lambda.DeleteLayerVersionInput{
			LayerName: layer.LayerArn, VersionNumber: aws.Int64(layer.Version)})
		if err != nil {
			t.Errorf("delete layer: %v", err)
		}
	})
	role := c.makeRole(t, "js-inside", "lambda.amazonaws.com")
	c.rolePolicy(t, "js-inside",
		allow("lambda:InvokeFunction", *callee.FunctionArn))
	in := c.nodeFunction(t, "js-inside", nodeCaller)
	in.Role, in.Layers, in.MemorySize, in.Timeout = aws.String(role), []string{*layer.LayerVersionArn}, aws.Int32(512),
		aws.Int32(30)
	c.create(t, in)
	var got struct {
		Arn, Denied string
		Said        map[string]string
	}
	check(t, json.Unmarshal([]byte(c.invoke(t, "js-inside", `{"callee":"js-inside-callee"}`)), &got), "read the answer")
	want(t, got.Arn, "arn:aws:sts::000000000000:assumed-role/js-inside/js-inside", "who the function is")
	want(t, got.Said["from"], "inside", "what the other function heard")
	want(t, got.Denied, "AccessDeniedException", "what the role does not allow")
}

// sdkLayer packs what js/node_modules has of the two clients and what they need.
func sdkLayer(t *testing.T) []byte {
	t.Helper()
	root := filepath.Join("js", "node_modules")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(p)
		if d.IsDir() {
			client := strings.HasPrefix(name, "js/node_modules/@aws-sdk/client-")
			if client && !strings.HasSuffix(name, "-sts") && !strings.HasSuffix(name, "-lambda") && strings.Count(name,
				"/") == 3 ||
				d.Name() == "dist-types" || d.Name() == ".bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		w, err := z.Create("nodejs/" + strings.TrimPrefix(name, "js/"))
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	})
	check(t, err, "pack the SDK")
	check(t, z.Close(), "end archive")
	return b.Bytes()
}
