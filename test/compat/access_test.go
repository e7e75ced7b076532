package compat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func testPermission(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-permission")
	c.create(t, c.function(t, *name, pythonEcho))
	_, err := c.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: name})
	typed[*types.ResourceNotFoundException](t, err, "get a policy that is not there")
	grant := &lambda.AddPermissionInput{
		FunctionName: name, StatementId: aws.String("from-bucket"), Action: aws.String("lambda:InvokeFunction"),
		Principal: aws.String("s3.amazonaws.com"), SourceArn: aws.String("arn:aws:s3:::photos"),
		SourceAccount: aws.String(account),
	}
	added, err := c.lambda.AddPermission(ctx, grant)
	check(t, err, "add permission")
	var s struct {
		Sid, Effect, Action, Resource string
		Principal                     map[string]string
		Condition                     map[string]map[string]string
	}
	check(t, json.Unmarshal([]byte(*added.Statement), &s), "read the statement")
	want(t, s.Resource, "arn:aws:lambda:us-east-1:000000000000:function:go-permission", "Resource")
	want(t, s.Principal["Service"], "s3.amazonaws.com", "Principal.Service")
	want(t, s.Condition["ArnLike"]["AWS:SourceArn"], "arn:aws:s3:::photos", "Condition ArnLike")
	want(t, s.Condition["StringEquals"]["AWS:SourceAccount"], account, "Condition StringEquals")
	_, err = c.lambda.AddPermission(ctx, grant)
	typed[*types.ResourceConflictException](t, err, "add the permission twice")
	policy, err := c.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: name})
	check(t, err, "get policy")
	contains(t, aws.ToString(policy.Policy), `"Sid":"from-bucket"`, "policy")
	_, err = c.lambda.RemovePermission(ctx, &lambda.RemovePermissionInput{FunctionName: name,
		StatementId: aws.String("nobody")})
	typed[*types.ResourceNotFoundException](t, err, "remove a permission that is not there")
	_, err = c.lambda.RemovePermission(ctx, &lambda.RemovePermissionInput{FunctionName: name,
		StatementId: grant.StatementId, RevisionId: policy.RevisionId})
	check(t, err, "remove permission")
	_, err = c.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: name})
	typed[*types.ResourceNotFoundException](t, err, "get the policy after its last statement")
}

// answer is an HTTP response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// send does a request that is meant for the node, whatever its host.
func (n *node) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := n.http.Do(r)
	check(t, err, r.Method+" "+r.URL.String())
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err, "read "+r.URL.String())
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	check(t, err, "make request")
	return r
}

// signed signs r with cfg's key for a service.
func signed(t *testing.T, cfg aws.Config, r *http.Request, service, body string) *http.Request {
	t.Helper()
	keys, err := cfg.Credentials.Retrieve(t.Context())
	check(t, err, "retrieve credentials")
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	check(t, v4.NewSigner().SignHTTP(t.Context(), keys, r, hash, service, region, time.Now()), "sign")
	return r
}

func testURL(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-url")
	c.create(t, c.nodeFunction(t, *name, nodeWeb))
	made, err := c.lambda.CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{
		FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone,
		Cors: &types.Cors{AllowOrigins: []string{"https://shop.example"}, AllowMethods: []string{"GET"},
			MaxAge: aws.Int32(60)},
	})
	check(t, err, "create URL")
	_, err = c.lambda.CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: name,
		AuthType: types.FunctionUrlAuthTypeNone})
	typed[*types.ResourceConflictException](t, err, "create the URL twice")
	url := aws.ToString(made.FunctionUrl)
	want(t, strings.HasSuffix(url, "/"), true, "the URL ends with a slash")
	got := c.node.send(t, request(t, "GET", url+"a%20b/c?q=1&q=2", ""))
	want(t, got.status, 403, "status without a permission")
	want(t, strings.TrimSpace(got.body), `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: `+
		`https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`, "body without a permission")
	// Since October 2025 both are needed.
	for _, action := range []string{"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} {
		sid := strings.ReplaceAll(action, ":", "-")
		in := &lambda.AddPermissionInput{FunctionName: name, StatementId: &sid, Action: aws.String(action), Principal: aws.String("*")}
		if action == "lambda:InvokeFunctionUrl" {
			in.FunctionUrlAuthType = types.FunctionUrlAuthTypeNone
		} else {
			in.InvokedViaFunctionUrl = aws.Bool(true)
		}
		_, err = c.lambda.AddPermission(ctx, in)
		check(t, err, "permit everybody "+action)
	}
	until(t, waitMax, "the permission takes effect", func() bool {
		got = c.node.send(t, request(t, "POST", url+"a%20b/c?q=1&q=2", "hello"))
		return got.status != 403
	})
	want(t, got.status, 200, "status")
	want(t, got.header.Get("X-Shape"), "2.0", "version of the event")
	for _, part := range []string{`"method":"POST"`, `"path":"/a%20b/c"`, `"route":"$default"`, `"q":"1,2"`,
		`"body":"hello"`} {
		contains(t, got.body, part, "body")
	}
	r := request(t, "OPTIONS", url, "")
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
	got = c.node.send(t, r)
	want(t, got.header.Get("Access-Control-Allow-Origin"), "https://shop.example", "Access-Control-Allow-Origin")
	want(t, got.header.Get("Access-Control-Max-Age"), "60", "Access-Control-Max-Age")

	up, err := c.lambda.UpdateFunctionUrlConfig(ctx, &lambda.UpdateFunctionUrlConfigInput{FunctionName: name,
		AuthType: types.FunctionUrlAuthTypeAwsIam})
	check(t, err, "update URL")
	want(t, aws.ToString(up.FunctionUrl), url, "URL after the update")
	list, err := c.lambda.ListFunctionUrlConfigs(ctx, &lambda.ListFunctionUrlConfigsInput{FunctionName: name})
	check(t, err, "list URLs")
	want(t, len(list.FunctionUrlConfigs), 1, "URLs")
	_, err = c.lambda.DeleteFunctionUrlConfig(ctx, &lambda.DeleteFunctionUrlConfigInput{FunctionName: name})
	check(t, err, "delete URL")
	_, err = c.lambda.GetFunctionUrlConfig(ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: name})
	typed[*types.ResourceNotFoundException](t, err, "get a deleted URL")
}

func testURLSigned(t *testing.T, c *goClients) {
	name := aws.String("go-url-signed")
	c.create(t, c.nodeFunction(t, *name, nodeStream))
	made, err := c.lambda.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{
		FunctionName: name, AuthType: types.FunctionUrlAuthTypeAwsIam, InvokeMode: types.InvokeModeResponseStream,
	})
	check(t, err, "create URL")
	url := aws.ToString(made.FunctionUrl)
	want(t, c.node.send(t, request(t, "GET", url, "")).status, 403, "status without a signature")
	bad := signed(t, c.cfg, request(t, "GET", url, ""), "lambda", "")
	bad.Header.Set("Authorization", strings.Replace(bad.Header.Get("Authorization"), "Signature=", "Signature=0", 1))
	want(t, c.node.send(t, bad).status, 403, "status with a bad signature")

	body := `{"a":1}`
	got := c.node.send(t, signed(t, c.cfg, request(t, "POST", url+"x?y=z", body), "lambda", body))
	want(t, got.status, 200, "status with a signature")
	want(t, got.body, "one two three", "body")
	want(t, got.header.Get("Content-Type"), "text/plain", "Content-Type")
	tampered := signed(t, c.cfg, request(t, "POST", url, body), "lambda", body)
	tampered.Body, tampered.ContentLength = io.NopCloser(bytes.NewReader([]byte(`{"a":2}`))), int64(len(body))
	if got := c.node.send(t, tampered); got.status != 403 && got.status != 400 {
		t.Errorf("status with another body than was signed: got %d %s, want 403", got.status, got.body)
	}
}
