package stack_test

import (
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

// doTable runs the operations of tables. The caller holds mu.
func (c *cloud) doTable(operation string, in map[string]any) (map[string]any, error) {
	table := "table " + str(in, "TableName")
	switch operation {
	case "CreateTable":
		return map[string]any{"TableDescription": in}, c.make(table, in, "TableName")
	case "DescribeTable":
		if c.things[table] == nil {
			return nil, missing(table)
		}
		return map[string]any{"Table": map[string]any{"TableStatus": "ACTIVE",
			"StreamSpecification": c.things[table]["StreamSpecification"]}}, nil
	case "DeleteTable":
		return map[string]any{}, c.drop(table)
	}
	return nil, rouse.Errorf(rouse.Unsupported, "the test's cloud has no %s of dynamodb", operation)
}

const sessions = `
Transform: AWS::Serverless-2016-10-31
Parameters:
  Cache: {Type: String, Default: 64MiB}
Resources:
  Sessions:
    Type: AWS::Serverless::SimpleTable
    Metadata: {"rouse:cache": !Ref Cache}
  Accounts:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
      SSESpecification: {SSEEnabled: true}
`

// TestTables: metadata makes a cache of a table; encryption that is not there is noted; a retained table outlives the
// stack.
func TestTables(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	plan, err := e.Plan(t.Context(), account, request(sessions))
	if err != nil {
		t.Fatal(err)
	}
	if want := "t.yaml:16:7: Accounts: SSESpecification: there is no KMS: the table is encrypted if the node's disk is"; len(
		plan.Warnings) != 1 || plan.Warnings[0] != want {
		t.Errorf("got warnings %q, want %q", plan.Warnings, want)
	}
	e.want(e.deploy(sessions), stack.CreateComplete)
	dump := c.dump()
	if want := `"Tags":[{"Key":"rouse:cache","Value":"64MiB"}]`; strings.Count(dump, want) != 1 {
		t.Errorf("got tables\n%s\nwant one with %s", dump, want)
	}
	if strings.Contains(dump, "SSE") {
		t.Errorf("got tables\n%s\nwant none that is told to be encrypted", dump)
	}
	plan, err = e.Plan(t.Context(), account, request(strings.Replace(sessions, "    Metadata: {\"rouse:cache\": !Ref Cache}\n", "", 1)))
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Replacement != "True" {
		t.Errorf("got %+v, error %v for a cache that becomes a table, want a replacement", plan.Changes, err)
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err != nil {
		t.Fatal(err)
	}
	st, err := e.Stack(t.Context(), account, "shop")
	if err == nil {
		e.want(e.wait(st.ID), stack.DeleteComplete)
	}
	if got := c.dump(); !strings.HasPrefix(got, "table shop-Accounts-") || strings.Contains(got, "\n") {
		t.Errorf("got left behind\n%s\nwant the table Accounts", got)
	}
}

// TestNoSuchAttribute: what a resource could have and has not fails the deployment instead of becoming a text.
func TestNoSuchAttribute(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	st := e.deploy(sessions + `
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !GetAtt Accounts.StreamArn}}
`)
	e.want(st, stack.RollbackComplete)
	if got := e.events(st.ID); !strings.Contains(got, "Group CREATE_FAILED t.yaml") ||
		!strings.Contains(got, "Attribute 'StreamArn' does not exist") {
		t.Errorf("got events\n%s\nwant that the attribute StreamArn does not exist", got)
	}
}
