package node_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/node"
)

// openWithKeys starts a node whose instances get keys that last so long.
func openWithKeys(t *testing.T, d time.Duration) *client {
	t.Helper()
	cfg, err := node.Load(true, settings(t.TempDir()), noEnvironment, "", false)
	must(t, err)
	t.Cleanup(func() { removable(t, cfg.Data) })
	n, err := node.Open(context.Background(), cfg.LastingKeys(d), os.LookupEnv, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { stop(t, n) })
	return developer(n)
}

// TestAWarmInstanceOutlivesItsKeys: an instance that stays warm has good keys in every invocation, also when those that it
// began with have expired and are refused.
func TestAWarmInstanceOutlivesItsKeys(t *testing.T) {
	c := openWithKeys(t, 2*time.Second)
	for name, code := range map[string]string{
		"warm-node": `exports.handler = async () => ({pid: process.pid, id: process.env.AWS_ACCESS_KEY_ID,
			secret: process.env.AWS_SECRET_ACCESS_KEY, token: process.env.AWS_SESSION_TOKEN})`,
		"warm-python": `
import os
def handler(event, context):
    e = os.environ
    return {"pid": os.getpid(), "id": e["AWS_ACCESS_KEY_ID"], "secret": e["AWS_SECRET_ACCESS_KEY"], "token": e["AWS_SESSION_TOKEN"]}
`} {
		t.Run(name, func(t *testing.T) {
			if name == "warm-node" {
				makeFunction(t, c, name, code)
			} else {
				makePython(t, c, name, code)
			}
			first, pid := keysOf(t, c, name)
			if a := whoAmI(t, first); a.Status != 200 {
				t.Fatalf("the instance's first keys: got %s, want them good", a)
			}
			until(t, "the first keys expire", func() bool { return whoAmI(t, first).Status == 403 })
			second, same := keysOf(t, c, name)
			if same != pid {
				t.Fatalf("the second invocation ran in process %d, the first in %d: it proves nothing", same, pid)
			}
			if a := whoAmI(t, second); a.Status != 200 {
				t.Errorf("the keys of the warm instance after its first expired: got %s, want new ones", a)
			}
		})
	}
}

// TestANativeInstanceGoesBeforeItsKeys: a process whose environment nobody can change is ended while its keys are still good,
// although it is idle and may stay as far as its keep-alive is concerned.
func TestANativeInstanceGoesBeforeItsKeys(t *testing.T) {
	c := openWithKeys(t, time.Hour+3*time.Second) // they are replaced an hour before their end
	in := function(t, "native", "")
	in["Runtime"], in["Handler"] = "provided.al2023", "bootstrap"
	in["Code"] = map[string]any{"ZipFile": archive(t, "bootstrap", `#!/usr/bin/env python3
import http.client, os
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
while True:
    c = http.client.HTTPConnection(api)
    c.request("GET", "/2018-06-01/runtime/invocation/next")
    r = c.getresponse()
    r.read()
    c.request("POST", "/2018-06-01/runtime/invocation/" + r.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", str(os.getpid()))
    c.getresponse().read()
`)}
	c.ask(t, "iam", "CreateRole", `{"RoleName":"r","AssumeRolePolicyDocument":`+quote(lambdaTrust)+`}`)
	c.call(t, "lambda", "CreateFunction", in)
	c.awaitActive(t, "native")
	a := c.invoke(t, "native", "{}")
	pid, err := strconv.Atoi(a.Body)
	if err != nil {
		t.Fatalf("invoke: got %s, want a process's number", a)
	}
	until(t, "the idle instance goes", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// makePython makes a Python function.
func makePython(t *testing.T, c *client, name, code string) {
	t.Helper()
	in := function(t, name, "")
	in["Runtime"], in["Handler"] = "python3.13", "index.handler"
	in["Code"] = map[string]any{"ZipFile": archive(t, "index.py", code)}
	c.ask(t, "iam", "CreateRole", `{"RoleName":"r","AssumeRolePolicyDocument":`+quote(lambdaTrust)+`}`)
	c.call(t, "lambda", "CreateFunction", in)
	c.awaitActive(t, name)
}

// keysOf asks a function for its keys, and for the process that has them.
func keysOf(t *testing.T, c *client, name string) (its *client, pid int) {
	t.Helper()
	a := c.invoke(t, name, "{}")
	var out struct {
		PID               int
		ID, Secret, Token string
	}
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
		t.Fatalf("%s answered %s: %v", name, a, err)
	}
	key := sigv4.Signer{AccessKeyID: out.ID, SecretAccessKey: out.Secret, SessionToken: out.Token, Region: "us-east-1"}
	return &client{url: c.url, key: key}, out.PID
}

// whoAmI asks STS with a client's keys.
func whoAmI(t *testing.T, c *client) answer {
	t.Helper()
	return c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", "Content-Type", "application/x-www-form-urlencoded")
}
