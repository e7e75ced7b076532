package compat

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// order is an item as a program has it.
type order struct {
	User  string   `dynamodbav:"user"`
	At    int      `dynamodbav:"at"`
	State string   `dynamodbav:"state,omitempty"`
	Tags  []string `dynamodbav:"tags,stringset,omitempty"`
	Photo []byte   `dynamodbav:"photo,omitempty"`
}

// newTable makes a table of orders with a global index and a stream, and removes it when t ends.
func newTable(t *testing.T, c *dynamodb.Client, name string) *types.TableDescription {
	t.Helper()
	out, err := c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String(name), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("user"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("at"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("state"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("user"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("at"), KeyType: types.KeyTypeRange}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("byState"),
			KeySchema:  []types.KeySchemaElement{{AttributeName: aws.String("state"), KeyType: types.KeyTypeHash}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	})
	check(t, err, "create table")
	describe := &dynamodb.DescribeTableInput{TableName: aws.String(name)}
	t.Cleanup(func() {
		if _, err := c.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)}); err != nil {
			t.Errorf("delete table: %v", err)
			return
		}
		if err := dynamodb.NewTableNotExistsWaiter(c).Wait(context.Background(), describe, waitMax); err != nil {
			t.Errorf("wait until it is gone: %v", err)
		}
	})
	check(t, dynamodb.NewTableExistsWaiter(c).Wait(t.Context(), describe, waitMax), "wait until active")
	return out.TableDescription
}

// key is the key of an order.
func key(user string, at int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"user": &types.AttributeValueMemberS{Value: user},
		"at": &types.AttributeValueMemberN{Value: strconv.Itoa(at)}}
}

// testTable keeps items by the SDK's own marshaller and reads them on pages.
func testTable(t *testing.T, all *goClients) {
	c := dynamodb.NewFromConfig(all.cfg)
	name := aws.String(*newTable(t, c, "go-orders").TableName)
	for i := range 5 {
		it, err := attributevalue.MarshalMap(order{User: "ada", At: i, State: "open", Tags: []string{"a", "b"}, Photo: []byte{0, 255}})
		check(t, err, "marshal")
		_, err = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: it})
		check(t, err, "put item")
	}
	got, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: name, Key: key("ada", 3), ConsistentRead: aws.Bool(true)})
	check(t, err, "get item")
	var o order
	check(t, attributevalue.UnmarshalMap(got.Item, &o), "unmarshal")
	want(t, o.At, 3, "at")
	want(t, string(o.Photo), "\x00\xff", "photo")
	want(t, len(o.Tags), 2, "tags")

	query := &dynamodb.QueryInput{TableName: name, KeyConditionExpression: aws.String("#u = :u AND #t >= :t"), Limit: aws.Int32(2),
		ExpressionAttributeNames:  map[string]string{"#u": "user", "#t": "at"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":u": key("ada", 1)["user"], ":t": key("ada", 1)["at"]}}
	pages, items := 0, 0
	for p := dynamodb.NewQueryPaginator(c, query); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		check(t, err, "query")
		items += len(page.Items)
	}
	want(t, items, 4, "queried items")
	want(t, pages > 1, true, "several pages")
	items = 0
	for p := dynamodb.NewScanPaginator(c, &dynamodb.ScanInput{TableName: name, IndexName: aws.String("byState"), Limit: aws.Int32(3)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		check(t, err, "scan")
		items += len(page.Items)
	}
	want(t, items, 5, "scanned items")
	list := dynamodb.NewListTablesPaginator(c, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	found := false
	for list.HasMorePages() {
		page, err := list.NextPage(t.Context())
		check(t, err, "list tables")
		for _, n := range page.TableNames {
			found = found || n == *name
		}
	}
	want(t, found, true, "the table is listed")
}

// testTableErrors wants exceptions with their data.
func testTableErrors(t *testing.T, all *goClients) {
	c := dynamodb.NewFromConfig(all.cfg)
	name := aws.String(*newTable(t, c, "go-errors").TableName)
	put := &dynamodb.PutItemInput{TableName: name, Item: key("ada", 1), ConditionExpression: aws.String("attribute_not_exists(#u)"),
		ExpressionAttributeNames: map[string]string{"#u": "user"}, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
	_, err := c.PutItem(t.Context(), put)
	check(t, err, "put item")
	_, err = c.PutItem(t.Context(), put)
	failed := typed[*types.ConditionalCheckFailedException](t, err, "put again")
	want(t, len(failed.Item), 2, "attributes of the item in the exception")

	transact := &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{TableName: name, Key: key("ada", 2), UpdateExpression: aws.String("SET n = :n"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: "1"}}}},
		{Put: &types.Put{TableName: name, Item: put.Item, ConditionExpression: put.ConditionExpression,
			ExpressionAttributeNames: put.ExpressionAttributeNames}}}}
	_, err = c.TransactWriteItems(t.Context(), transact)
	cancelled := typed[*types.TransactionCanceledException](t, err, "transaction")
	want(t, len(cancelled.CancellationReasons), 2, "reasons")
	want(t, *cancelled.CancellationReasons[0].Code, "None", "first reason")
	want(t, *cancelled.CancellationReasons[1].Code, "ConditionalCheckFailed", "second reason")

	transact.TransactItems, transact.ClientRequestToken = transact.TransactItems[:1], aws.String("once")
	_, err = c.TransactWriteItems(t.Context(), transact)
	check(t, err, "transaction")
	transact.TransactItems[0].Update.UpdateExpression = aws.String("SET m = :n")
	_, err = c.TransactWriteItems(t.Context(), transact)
	typed[*types.IdempotentParameterMismatchException](t, err, "another transaction of that token")

	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("go-none"), Key: key("ada", 1)})
	typed[*types.ResourceNotFoundException](t, err, "no table")
	_, err = c.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("a"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("a"), KeyType: types.KeyTypeHash}}})
	typed[*types.ResourceInUseException](t, err, "the same table again")
	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: name, Key: map[string]types.AttributeValue{}})
	wantCode(t, err, "ValidationException", "no key")
	_, err = c.ExecuteStatement(t.Context(), &dynamodb.ExecuteStatementInput{Statement: aws.String("SELECT * FROM x")})
	var e interface{ ErrorMessage() string }
	if !errors.As(err, &e) {
		t.Fatalf("PartiQL: got %v, want an error of the service", err)
	}
	contains(t, e.ErrorMessage(), "Rouse does not implement ExecuteStatement", "PartiQL")
}

// testTableStream reads changes in order.
func testTableStream(t *testing.T, all *goClients) {
	c, s := dynamodb.NewFromConfig(all.cfg), dynamodbstreams.NewFromConfig(all.cfg)
	made := newTable(t, c, "go-stream")
	_, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: made.TableName, Item: key("ada", 1)})
	check(t, err, "put item")
	_, err = c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: made.TableName, Key: key("ada", 1)})
	check(t, err, "delete item")
	stream, err := s.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: made.LatestStreamArn})
	check(t, err, "describe stream")
	it, err := s.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{StreamArn: made.LatestStreamArn,
		ShardId: stream.StreamDescription.Shards[0].ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon})
	check(t, err, "get shard iterator")
	page, err := s.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it.ShardIterator})
	check(t, err, "get records")
	want(t, len(page.Records), 2, "records")
	want(t, page.Records[0].EventName, streamtypes.OperationTypeInsert, "first event")
	want(t, page.Records[1].EventName, streamtypes.OperationTypeRemove, "second event")
	want(t, len(page.Records[1].Dynamodb.OldImage), 2, "attributes of the old image")
	want(t, page.NextShardIterator != nil, true, "a next iterator")
}
