package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"github.com/rouse-dev/rouse/node"
)

const lambdaTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// start is Open with a context that may end.
func start(ctx context.Context, flags map[string]string) (*node.Node, error) {
	cfg, err := node.Load(true, flags, noEnvironment, "", false)
	if err != nil {
		return nil, err
	}
	return node.Open(ctx, cfg, os.LookupEnv, slog.New(slog.DiscardHandler))
}

// function is the input of CreateFunction for a Node handler of role r.
func function(t testing.TB, name, code string) map[string]any {
	return map[string]any{"FunctionName": name, "Runtime": "nodejs22.x", "Handler": "index.handler", "Role": "arn:aws:iam::000000000000:role/r",
		"Code": map[string]any{"ZipFile": zipped(t, "index.js", code)}}
}

func zipped(t testing.TB, name, text string) string {
	return base64.StdEncoding.EncodeToString(archive(t, name, text))
}

// makeFunction makes a role and a function.
func makeFunction(t testing.TB, c *client, name, code string) {
	t.Helper()
	c.send(t, "rouse", "POST", "/_rouse/api/call/iam/CreateRole", `{"RoleName":"r","AssumeRolePolicyDocument":`+quote(lambdaTrust)+`}`)
	c.call(t, "lambda", "CreateFunction", function(t, name, code))
	c.awaitActive(t, name)
}

// awaitActive waits until a function can be called.
func (c *client) awaitActive(t testing.TB, name string) {
	t.Helper()
	until(t, name+" becomes active", func() bool {
		return c.call(t, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": name})["State"] == "Active"
	})
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
