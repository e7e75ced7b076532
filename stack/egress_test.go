package stack_test

import (
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

const closed = `
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Handler: index.handler, Runtime: nodejs22.x}}
Resources:
  Closed:
    Type: AWS::Serverless::Function
    Metadata: {"rouse:egress": "allow:api.example.com:443", BuildMethod: nodejs22.x}
    Properties: {FunctionName: closed, Tags: {team: blue}, InlineCode: "exports.handler = async () => 1"}
  Open:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: open, InlineCode: "exports.handler = async () => 1"}
`

// TestEgressOfAFunction: metadata says what a function reaches, and so becomes a tag.
func TestEgressOfAFunction(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	e.want(e.deploy(closed), stack.CreateComplete)
	dump := c.dump()
	if want := `"rouse:egress":"allow:api.example.com:443"`; strings.Count(dump, want) != 1 || !strings.Contains(dump, `"team":"blue"`) {
		t.Errorf("got functions\n%s\nwant one tagged with %s and its team", dump, want)
	}
}
