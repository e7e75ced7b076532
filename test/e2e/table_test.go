package e2e

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTablesInFunctions: functions reach a table by AWS's own SDKs through the endpoint inside their sandbox, without
// configuration, as their roles: what the role allows, down to the partition key, and nothing else, with AWS's text.
func TestTablesInFunctions(t *testing.T) {
	t.Parallel()
	r := launch(t)
	r.call(t, "dynamodb", "CreateTable", m{"TableName": "kept", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []m{{"AttributeName": "owner", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}},
		"KeySchema":            []m{{"AttributeName": "owner", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}}}, nil)
	until(t, "the table is active", func() bool {
		var out struct{ Table struct{ TableStatus string } }
		r.call(t, "dynamodb", "DescribeTable", m{"TableName": "kept"}, &out)
		return out.Table.TableStatus == "ACTIVE"
	})
	role := r.role(t, "keeper")
	policy, _ := json.Marshal(m{"Version": "2012-10-17", "Statement": []m{{"Effect": "Allow", "Resource": "arn:aws:dynamodb:*:*:table/kept",
		"Action":    []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"},
		"Condition": m{"ForAllValues:StringEquals": m{"dynamodb:LeadingKeys": []string{"mine"}}}}}})
	r.call(t, "iam", "PutRolePolicy", m{"RoleName": "keeper", "PolicyName": "own", "PolicyDocument": string(policy)}, nil)

	t.Run("boto3", func(t *testing.T) {
		r.keeps(t, fn{Name: "py", File: "table.py", Role: role, More: m{"Runtime": r.boto3(t)}})
	})
	t.Run("javascript", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if out, err := r.command(ctx, "runtime", "add", "sdk-js"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI needs the SDK: %v\n%s", err, out)
			}
			t.Skipf("the SDK cannot be had: %s", out)
		}
		r.keeps(t, fn{Name: "js", File: "table.js", Role: role})
	})
}

// keeps runs a function that works on the table and wants what it saw.
func (r *rouse) keeps(t *testing.T, f fn) {
	t.Helper()
	f.Timeout, f.Memory = 60, 256
	if f.More == nil {
		f.More = m{}
	}
	f.More["Environment"] = m{"Variables": m{"TABLE": "kept"}}
	r.make(t, f)
	var got struct {
		Price, Raw, Other, Delete, Cancelled, Describe string
		Tags                                           []string
		Seen, Found                                    int
	}
	r.probe(t, f.Name, m{}, &got)
	if got.Price != "1.5" && got.Price != "1.50" || strings.Join(got.Tags, "") != "ab" || got.Raw != "0001" || got.Seen != 1 || got.Found < 1 {
		t.Errorf("the item: got %+v, want what was put", got)
	}
	who := "User: arn:aws:sts::000000000000:assumed-role/keeper/" + f.Name + " is not authorized to perform: dynamodb:"
	const where = " on resource: arn:aws:dynamodb:us-east-1:000000000000:table/kept because no identity-based policy allows the dynamodb:"
	for _, c := range []struct{ got, action string }{{got.Other, "PutItem"}, {got.Delete, "DeleteItem"}} {
		if want := "AccessDeniedException: " + who + c.action + where + c.action + " action"; c.got != want {
			t.Errorf("%s: got %s, want %s", c.action, c.got, want)
		}
	}
	if f.Name == "js" && (got.Cancelled != "None,ConditionalCheckFailed" || got.Describe != "AccessDeniedException") {
		t.Errorf("got a transaction that ended with %q and a description with %q, want None,ConditionalCheckFailed and AccessDeniedException",
			got.Cancelled, got.Describe)
	}
}
