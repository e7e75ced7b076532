package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table/item"
)

// list joins what one makes of 0 to n-1.
func list(n int, one func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = one(i)
	}
	return strings.Join(all, ",")
}

// TestLimits: as much as a request may ask for, and not one more.
func TestLimits(t *testing.T) {
	_, door, _ := open(t)
	const create = `{"TableName":"%s","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],%s}`
	const onDemand = `"BillingMode":"PAY_PER_REQUEST"`
	for _, name := range []string{"one", "two"} {
		if status, body := send(t, door, root, "CreateTable", fmt.Sprintf(create, name, onDemand)); status != 200 {
			t.Fatalf("create %s: got %d %s", name, status, body)
		}
	}
	key := func(i int) string { return fmt.Sprintf(`{"a":{"S":"%d"}}`, i) }
	drop := func(i int) string { return `{"DeleteRequest":{"Key":` + key(i) + `}}` }
	sized := func(id string, bytes int) string { // by names and values
		return `{"a":{"S":"` + id + `"},"v":{"S":"` + strings.Repeat("x", bytes-len("a"+id+"v")) + `"}}`
	}
	large := func(kind string) string {
		return `{"TransactItems":[` + list(11, func(i int) string {
			if kind == "Put" {
				return `{"Put":{"TableName":"one","Item":` + sized(fmt.Sprint(i), 390<<10) + `}}`
			}
			return `{"` + kind + `":{"TableName":"one","Key":` + key(i) + `}}`
		}) + `]}`
	}
	tags := func(n int, k, v string) string {
		return `"Tags":[` + list(n, func(i int) string { return fmt.Sprintf(`{"Key":"%s%02d","Value":"%s"}`, k, i, v) }) + `]`
	}
	nested := func(depth int) string {
		return strings.Repeat(`{"L":[`, depth-1) + `{"S":"x"}` + strings.Repeat(`]}`, depth-1)
	}
	deep := func(depth int) string {
		return `{"TableName":"one","Key":{"a":{"S":"deep"}},"UpdateExpression":"SET m = :m","ExpressionAttributeValues":{":m":` + nested(depth) + `}}`
	}
	for _, c := range []struct{ what, operation, input, want string }{
		{"keys of a batch", "BatchGetItem", `{"RequestItems":{"one":{"Keys":[` + list(50, key) + `]},"two":{"Keys":[` + list(50, key) + `]}}}`, ""},
		{"too many keys of a batch", "BatchGetItem", `{"RequestItems":{"one":{"Keys":[` + list(50, key) + `]},"two":{"Keys":[` + list(51, key) + `]}}}`,
			"Too many items requested for the BatchGetItem call"},
		{"writes of a batch", "BatchWriteItem", `{"RequestItems":{"one":[` + list(12, drop) + `],"two":[` + list(13, drop) + `]}}`, ""},
		{"too many writes of a batch", "BatchWriteItem", `{"RequestItems":{"one":[` + list(13, drop) + `],"two":[` + list(13, drop) + `]}}`,
			"Too many items requested for the BatchWriteItem call"},
		{"an item", "PutItem", `{"TableName":"one","Item":` + sized("i", item.SizeMax) + `}`, ""},
		{"too large an item", "PutItem", `{"TableName":"one","Item":` + sized("i", item.SizeMax+1) + `}`, "Item size has exceeded the maximum allowed size"},
		{"too large an item of a batch", "BatchWriteItem", `{"RequestItems":{"one":[{"PutRequest":{"Item":` + sized("i", item.SizeMax+1) + `}}]}}`,
			"Item size has exceeded the maximum allowed size"},
		{"too large a transaction", "TransactWriteItems", large("Put"), "Total size of items in the transaction exceeds the limit of 4194304 bytes"},
		{"half of it", "BatchWriteItem", `{"RequestItems":{"one":[` + list(6, func(i int) string { return `{"PutRequest":{"Item":` + sized(fmt.Sprint(i), 390<<10) + `}}` }) + `]}}`, ""},
		{"the other half", "BatchWriteItem", `{"RequestItems":{"one":[` + list(5, func(i int) string { return `{"PutRequest":{"Item":` + sized(fmt.Sprint(i+6), 390<<10) + `}}` }) + `]}}`, ""},
		{"too large a transaction by what was there", "TransactWriteItems", large("Delete"), "Total size of items in the transaction exceeds the limit of 4194304 bytes"},
		{"too large a transaction that reads", "TransactGetItems", large("Get"), "Total size of items in the transaction exceeds the limit of 4194304 bytes"},
		{"tags", "CreateTable", fmt.Sprintf(create, "tagged", onDemand+","+tags(50, strings.Repeat("k", 126), strings.Repeat("v", 256))), ""},
		{"too many tags", "CreateTable", fmt.Sprintf(create, "more", onDemand+","+tags(51, "k", "v")), "Number of Tags exceed the current limit"},
		{"too long a tag", "CreateTable", fmt.Sprintf(create, "long", onDemand+","+tags(1, strings.Repeat("k", 127), "v")), "at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{"too long a tag's value", "CreateTable", fmt.Sprintf(create, "long", onDemand+","+tags(1, "k", strings.Repeat("v", 257))), "at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256"},
		{"too much to read", "CreateTable", fmt.Sprintf(create, "fast", `"ProvisionedThroughput":{"ReadCapacityUnits":1000000000001,"WriteCapacityUnits":1}`),
			"Given value 1000000000001 for ReadCapacityUnits is out of bounds"},
		{"too much to write", "CreateTable", fmt.Sprintf(create, "fast", `"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1000000000001}`),
			"Given value 1000000000001 for WriteCapacityUnits is out of bounds"},
		{"a deep value", "UpdateItem", deep(item.DepthMax + 1), ""},
		{"too deep a value", "UpdateItem", deep(item.DepthMax + 2), "Nesting Levels have exceeded supported limits"},
	} {
		status, body := send(t, door, root, c.operation, c.input)
		if c.want == "" && status != 200 || c.want != "" && (status != 400 || !strings.Contains(body, c.want)) {
			t.Errorf("%s: got %d %.300s, want %q", c.what, status, body, c.want)
		}
	}
}
