package dynamodb_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
)

// TestNeeds holds what each operation asks for, with the condition keys of fine-grained access, as AWS documents them:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
func TestNeeds(t *testing.T) {
	_, door, changes := open(t)
	send(t, door, root, "CreateTable", `{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"},{"AttributeName":"n","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST",
		"GlobalSecondaryIndexes":[{"IndexName":"byN","KeySchema":[{"AttributeName":"n","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`)
	const tab = "arn:aws:dynamodb:us-east-1:123456789012:table/tab"
	user := rouse.Origin{Principal: rouse.Principal{Account: acc, ARN: "arn:aws:iam::" + acc + ":user/u"}}
	for _, c := range []struct{ operation, input, want string }{
		{"DescribeTable", `{"TableName":"tab"}`, "DescribeTable " + tab},
		{"DescribeTable", `{"TableName":"` + tab + `"}`, "DescribeTable " + tab},
		{"ListTables", `{}`, "ListTables *"},
		{"CreateTable", `{"TableName":"new","AttributeDefinitions":[],"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"Tags":[{"Key":"k","Value":"v"}]}`,
			"CreateTable arn:aws:dynamodb:us-east-1:123456789012:table/new; TagResource arn:aws:dynamodb:us-east-1:123456789012:table/new"},
		{"TagResource", `{"ResourceArn":"` + tab + `","Tags":[{"Key":"k","Value":"v"}]}`, "TagResource " + tab},
		{"DescribeLimits", `{}`, "DescribeLimits *"},
		{"GetItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}},"ReturnConsumedCapacity":"TOTAL"}`,
			"GetItem " + tab + " Attributes=a LeadingKeys=u1 ReturnConsumedCapacity=TOTAL Select=ALL_ATTRIBUTES"},
		{"GetItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}},"ProjectionExpression":"b.c, #d[0]","ExpressionAttributeNames":{"#d":"d"}}`,
			"GetItem " + tab + " Attributes=a,b,d LeadingKeys=u1 Select=SPECIFIC_ATTRIBUTES"},
		{"PutItem", `{"TableName":"tab","Item":{"a":{"S":"u1"},"b":{"S":"x"}},"ConditionExpression":"attribute_not_exists(c)","ReturnValues":"ALL_OLD"}`,
			"PutItem " + tab + " Attributes=a,b,c LeadingKeys=u1 ReturnValues=ALL_OLD"},
		{"UpdateItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}},"UpdateExpression":"SET b = c + :v REMOVE d.e","ExpressionAttributeValues":{":v":{"N":"1"}},"ReturnValues":"UPDATED_NEW"}`,
			"UpdateItem " + tab + " Attributes=a,b,c,d LeadingKeys=u1 ReturnValues=UPDATED_NEW"},
		{"DeleteItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}}}`, "DeleteItem " + tab + " Attributes=a LeadingKeys=u1"},
		{"DeleteItem", `{"TableName":"none","Key":{"a":{"S":"u1"}}}`, "DeleteItem arn:aws:dynamodb:us-east-1:123456789012:table/none Attributes=a"},
		{"Query", `{"TableName":"tab","KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"u1"}}}`,
			"Query " + tab + " Attributes=a LeadingKeys=u1 Select=ALL_ATTRIBUTES"},
		{"Query", `{"TableName":"tab","IndexName":"byN","KeyConditionExpression":"n = :n","ExpressionAttributeValues":{":n":{"N":"1.50"}},"ProjectionExpression":"b"}`,
			"Query " + tab + "/index/byN Attributes=b,n LeadingKeys=1.5 Select=SPECIFIC_ATTRIBUTES"},
		{"Scan", `{"TableName":"tab","FilterExpression":"b = :b","ExpressionAttributeValues":{":b":{"S":"x"}},"Select":"COUNT"}`,
			"Scan " + tab + " Attributes=b Select=COUNT"},
		{"Scan", `{"TableName":"tab","IndexName":"byN"}`, "Scan " + tab + "/index/byN Select=ALL_PROJECTED_ATTRIBUTES"},
		{"BatchGetItem", `{"RequestItems":{"tab":{"Keys":[{"a":{"S":"u1"}},{"a":{"S":"u2"}}]},"two":{"Keys":[{"x":{"S":"1"}}]}}}`,
			"BatchGetItem " + tab + " Attributes=a LeadingKeys=u1,u2 Select=ALL_ATTRIBUTES; BatchGetItem arn:aws:dynamodb:us-east-1:123456789012:table/two Attributes=x Select=ALL_ATTRIBUTES"},
		{"BatchWriteItem", `{"RequestItems":{"tab":[{"PutRequest":{"Item":{"a":{"S":"u1"},"b":{"S":"x"}}}},{"DeleteRequest":{"Key":{"a":{"S":"u2"}}}}]}}`,
			"BatchWriteItem " + tab + " Attributes=a,b LeadingKeys=u1,u2"},
		{"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab","Key":{"a":{"S":"u1"}}}}]}`,
			"GetItem " + tab + " Attributes=a EnclosingOperation=TransactGetItems LeadingKeys=u1 Select=ALL_ATTRIBUTES"},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"tab","Item":{"a":{"S":"u1"}}}},{"ConditionCheck":{"TableName":"tab","Key":{"a":{"S":"u2"}},"ConditionExpression":"attribute_exists(b)"}}]}`,
			"PutItem " + tab + " Attributes=a EnclosingOperation=TransactWriteItems LeadingKeys=u1; " +
				"ConditionCheckItem " + tab + " Attributes=a,b EnclosingOperation=TransactWriteItems LeadingKeys=u2"},
		{"UpdateItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}},"ReturnValues":"UPDATED_NEW","ConditionExpression":"attribute_exists(a)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`,
			"UpdateItem " + tab + " Attributes=a LeadingKeys=u1 ReturnValues=ALL_OLD"},
		{"UpdateItem", `{"TableName":"tab","Key":{"a":{"S":"u1"}},"ReturnValues":"ALL_NEW","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`,
			"UpdateItem " + tab + " Attributes=a LeadingKeys=u1 ReturnValues=ALL_NEW"},
		{"TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"tab","Key":{"a":{"S":"u1"}},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}]}`,
			"DeleteItem " + tab + " Attributes=a EnclosingOperation=TransactWriteItems LeadingKeys=u1 ReturnValues=ALL_OLD"},
		// An empty name or value beside others must not take them out of a policy's sight.
		{"Scan", `{"TableName":"tab","AttributesToGet":["","secret"]}`, "Scan " + tab + " Attributes=,secret Select=SPECIFIC_ATTRIBUTES"},
		{"Scan", `{"TableName":"tab","ScanFilter":{"":{"ComparisonOperator":"NULL"}}}`, "Scan " + tab + " Attributes= Select=ALL_ATTRIBUTES"},
		{"BatchWriteItem", `{"RequestItems":{"tab":[{"DeleteRequest":{"Key":{"a":{"S":""}}}},{"DeleteRequest":{"Key":{"a":{"S":"u2"}}}}]}}`,
			"BatchWriteItem " + tab + " Attributes=a LeadingKeys=,u2"},
		{"ListStreams", `{"TableName":"` + tab + `"}`, "ListStreams *"},
		{"DescribeStream", `{"StreamArn":"` + tab + `/stream/2026-01-01T00:00:00.000"}`, "DescribeStream " + tab + "/stream/2026-01-01T00:00:00.000"},
		{"ListStreams", `{}`, "ListStreams *"},
	} {
		s := door
		if strings.HasSuffix(c.operation, "Stream") || strings.HasSuffix(c.operation, "Streams") {
			s = changes
		}
		e, err := compiled(t, s).Operation(c.operation)
		if err != nil {
			t.Fatal(err)
		}
		in, err := e.DecodeJSON([]byte(c.input), nil)
		if err != nil {
			t.Fatalf("%s %s: %v", c.operation, c.input, err)
		}
		needs, err := e.Needs(t.Context(), user, in)
		if err != nil {
			t.Fatalf("%s %s: %v", c.operation, c.input, err)
		}
		if got := written(needs); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.operation, c.input, got, c.want)
		}
	}
}

// written writes needs on one line.
func written(needs []rouse.Need) string {
	var list []string
	for _, n := range needs {
		line := strings.TrimPrefix(n.Action, "dynamodb:") + " " + n.Resource
		for _, k := range slices.Sorted(maps.Keys(n.Conditions)) {
			values := slices.Clone(n.Conditions[k])
			slices.Sort(values)
			line += fmt.Sprintf(" %s=%s", strings.TrimPrefix(k, "dynamodb:"), strings.Join(values, ","))
		}
		list = append(list, line)
	}
	return strings.Join(list, "; ")
}

// TestAudit holds which calls leave an event: those on tables, not those on data.
func TestAudit(t *testing.T) {
	_, door, _ := open(t)
	audited := map[string]bool{"CreateTable": true, "UpdateTable": true, "DeleteTable": true, "TagResource": true, "UntagResource": true,
		"UpdateTimeToLive": true, "UpdateContinuousBackups": true}
	for _, op := range door.Operations {
		e, err := compiled(t, door).Operation(op.Name)
		if err != nil {
			t.Fatal(err)
		}
		if e.Audited() != audited[op.Name] {
			t.Errorf("%s: got audited %v, want %v", op.Name, e.Audited(), audited[op.Name])
		}
	}
}

// TestElsewhere: tables and streams of other accounts and regions are not here, whoever asks, and one table has one name
// in a batch.
func TestElsewhere(t *testing.T) {
	tables, door, changes := open(t)
	send(t, door, root, "CreateTable", `{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST",
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`)
	desc, err := tables.Describe(t.Context(), acc, "tab")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := tables.Stream(t.Context(), acc, desc.StreamARN)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(desc.StreamARN, "us-east-1", "eu-west-1", 1)
	const mine, foreign = "arn:aws:dynamodb:us-east-1:123456789012:table/tab", "arn:aws:dynamodb:us-east-1:999999999999:table/tab"
	put := func(id string) string { return `[{"PutRequest":{"Item":{"a":{"S":"` + id + `"}}}}]` }
	keys := `{"Keys":[{"a":{"S":"1"}}]}`
	for _, c := range []struct {
		on               wire.Service
		operation, input string
		code             string
	}{
		{changes, "DescribeStream", `{"StreamArn":"` + other + `"}`, "ResourceNotFoundException"},
		{changes, "GetShardIterator", `{"StreamArn":"` + other + `","ShardId":"` + stream.Shards[0].ID + `","ShardIteratorType":"TRIM_HORIZON"}`,
			"ResourceNotFoundException"},
		{changes, "DescribeStream", `{"StreamArn":"` + strings.Replace(desc.StreamARN, "arn:aws:", "arn:aws-cn:", 1) + `"}`, "ResourceNotFoundException"},
		{changes, "ListStreams", `{"TableName":"` + foreign + `"}`, "ResourceNotFoundException"},
		{changes, "ListStreams", `{"TableName":"` + mine + `"}`, ""},
		{door, "BatchWriteItem", `{"RequestItems":{"tab":` + put("1") + `,"` + mine + `":` + put("2") + `}}`, "ValidationException"},
		{door, "BatchWriteItem", `{"RequestItems":{"` + foreign + `":` + put("1") + `,"` + mine + `":` + put("2") + `}}`, "ValidationException"},
		{door, "BatchGetItem", `{"RequestItems":{"tab":` + keys + `,"` + mine + `":` + keys + `}}`, "ValidationException"},
		{door, "BatchGetItem", `{"RequestItems":{"` + foreign + `":` + keys + `}}`, "ResourceNotFoundException"},
		{door, "GetItem", `{"TableName":"` + foreign + `","Key":{"a":{"S":"1"}}}`, "ResourceNotFoundException"},
	} {
		status, body := send(t, c.on, root, c.operation, c.input)
		if c.code == "" && status != 200 || c.code != "" && !strings.Contains(body, "#"+c.code) {
			t.Errorf("%s %s: got %d %s, want %q", c.operation, c.input, status, body, c.code)
		}
	}
}

// TestChangedMeanwhile: what permissions were asked for by another partition key is not done, though the table that came
// in the place of the other would do it.
func TestChangedMeanwhile(t *testing.T) {
	tables, door, _ := open(t)
	make := func(hash string) {
		send(t, door, root, "DeleteTable", `{"TableName":"tab"}`)
		status, body := send(t, door, root, "CreateTable", `{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"`+hash+`","AttributeType":"S"}],
			"KeySchema":[{"AttributeName":"`+hash+`","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`)
		if status != 200 {
			t.Fatalf("create: %s", body)
		}
	}
	user := rouse.Origin{Principal: rouse.Principal{Account: acc, ARN: "arn:aws:iam::" + acc + ":user/u"}}
	const both = `{"own":{"S":"me"},"theirs":{"S":"you"}}`
	for _, c := range []struct{ operation, input string }{
		{"GetItem", `{"TableName":"tab","Key":{"own":{"S":"me"}}}`},
		{"PutItem", `{"TableName":"tab","Item":` + both + `}`},
		{"Query", `{"TableName":"tab","KeyConditionExpression":"own = :v","ExpressionAttributeValues":{":v":{"S":"me"}}}`},
		{"BatchGetItem", `{"RequestItems":{"tab":{"Keys":[{"own":{"S":"me"}}]}}}`},
		{"BatchWriteItem", `{"RequestItems":{"tab":[{"PutRequest":{"Item":` + both + `}}]}}`},
		{"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab","Key":{"own":{"S":"me"}}}}]}`},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"tab","Item":` + both + `}}]}`},
	} {
		make("own")
		e, err := compiled(t, door).Operation(c.operation)
		if err != nil {
			t.Fatal(err)
		}
		in, err := e.DecodeJSON([]byte(c.input), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Needs(t.Context(), user, in); err != nil {
			t.Fatalf("%s: %v", c.operation, err)
		}
		make("theirs")
		if _, err := e.Handle(t.Context(), user, in); rouse.KindOf(err) != rouse.Throttled {
			t.Errorf("%s: got %v, want it throttled", c.operation, err)
		}
		page, err := tables.Scan(t.Context(), acc, table.ScanRequest{Table: "tab"})
		if err != nil || page.Scanned > 0 {
			t.Errorf("%s: got %d items and error %v, want none", c.operation, page.Scanned, err)
		}
	}
}
