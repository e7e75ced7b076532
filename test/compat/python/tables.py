"""boto3 makes tables, keeps items in them and reads their streams."""

from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from cases import ACCOUNT, OFTEN, REGION, case, client, equal, inside, later, main, raises

db, streams = client("dynamodb"), client("dynamodbstreams")
NAME = "py-orders"


def resource():
    return boto3.resource("dynamodb", endpoint_url=db.meta.endpoint_url).Table(NAME)


@case
def create():
    made = db.create_table(
        TableName=NAME,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("user", "S"), ("at", "N"), ("total", "N"), ("state", "S"))],
        KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        LocalSecondaryIndexes=[
            {
                "IndexName": "byTotal",
                "KeySchema": [{"AttributeName": "user", "KeyType": "HASH"}, {"AttributeName": "total", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        GlobalSecondaryIndexes=[
            {"IndexName": "byState", "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        Tags=[{"Key": "team", "Value": "shop"}],
    )["TableDescription"]
    later(db.delete_table, TableName=NAME)
    equal(made["TableArn"], f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}", "TableArn")
    db.get_waiter("table_exists").wait(TableName=NAME, WaiterConfig=OFTEN)
    equal(db.list_tags_of_resource(ResourceArn=made["TableArn"])["Tags"], [{"Key": "team", "Value": "shop"}], "Tags")
    return made["LatestStreamArn"]


@case
def batches():
    with resource().batch_writer() as batch:
        for i in range(60):
            batch.put_item(Item={"user": "ada", "at": i, "total": Decimal(i) / 4, "state": "open" if i % 2 else "done", "photo": b"\x00\xff", "tags": {"a", "b"}})
    got = db.batch_get_item(RequestItems={NAME: {"Keys": [{"user": {"S": "ada"}, "at": {"N": str(i)}} for i in range(3)]}})
    equal((len(got["Responses"][NAME]), got["UnprocessedKeys"]), (3, {}), "batch")


@case
def items():
    got = resource().get_item(Key={"user": "ada", "at": 7}, ConsistentRead=True)["Item"]
    equal((got["total"], got["photo"].value, got["tags"]), (Decimal("1.75"), b"\x00\xff", {"a", "b"}), "item")
    changed = resource().update_item(
        Key={"user": "ada", "at": 7},
        UpdateExpression="SET #n = if_not_exists(#n, :zero) + :one ADD tags :more REMOVE photo",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":zero": 0, ":one": Decimal("0.1"), ":more": {"c"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    equal((changed["n"], changed["tags"], "photo" in changed), (Decimal("0.1"), {"a", "b", "c"}, False), "changed item")


@case
def pages():
    found = db.get_paginator("query").paginate(
        TableName=NAME,
        IndexName="byTotal",
        KeyConditionExpression="#u = :u AND #t < :t",
        ExpressionAttributeNames={"#u": "user", "#t": "total"},
        ExpressionAttributeValues={":u": {"S": "ada"}, ":t": {"N": "5"}},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": 7},
    )
    ats = [int(i["at"]["N"]) for p in found for i in p["Items"]]
    equal(ats, list(range(19, -1, -1)), "queried items")
    found = db.get_paginator("scan").paginate(TableName=NAME, FilterExpression="#s = :s", ExpressionAttributeNames={"#s": "state"}, ExpressionAttributeValues={":s": {"S": "done"}}, PaginationConfig={"PageSize": 11})
    equal(sum(p["Count"] for p in found), 30, "scanned items")
    got = resource().query(IndexName="byState", KeyConditionExpression=Key("state").eq("open"), FilterExpression=Attr("at").gt(50), Select="COUNT")
    equal(got["Count"], 5, "counted items")
    segments = [resource().scan(Segment=i, TotalSegments=4)["Count"] for i in range(4)]
    equal(sum(segments), 60, "items of all segments")


@case
def typed_errors():
    again = dict(TableName=NAME, Item={"user": {"S": "ada"}, "at": {"N": "1"}}, ConditionExpression="attribute_not_exists(#u)", ExpressionAttributeNames={"#u": "user"})
    with raises(db.exceptions.ConditionalCheckFailedException) as r:
        db.put_item(**again)
    equal(r.message, "The conditional request failed", "message")
    with raises(db.exceptions.TransactionCanceledException) as r:
        db.transact_write_items(TransactItems=[{"Put": again}, {"Delete": {"TableName": NAME, "Key": {"user": {"S": "ada"}, "at": {"N": "2"}}}}])
    equal([c["Code"] for c in r.response["CancellationReasons"]], ["ConditionalCheckFailed", "None"], "reasons")
    with raises(db.exceptions.ResourceNotFoundException):
        db.describe_table(TableName="py-none")
    with raises(ClientError, "ValidationException") as r:
        db.put_item(TableName=NAME, Item={"user": {"S": "ada"}})
    inside("Missing the key at in the item", r.message, "message")


@case
def stream(create):
    shard = streams.describe_stream(StreamArn=create)["StreamDescription"]["Shards"][0]["ShardId"]
    at = streams.get_shard_iterator(StreamArn=create, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = []
    for _ in range(10):
        page = streams.get_records(ShardIterator=at, Limit=25)
        records += page["Records"]
        at = page["NextShardIterator"]
    equal([r["eventName"] for r in records], ["INSERT"] * 60 + ["MODIFY"], "events")
    equal(records[-1]["dynamodb"]["Keys"]["at"], {"N": "7"}, "changed key")
    numbers = [int(r["dynamodb"]["SequenceNumber"]) for r in records]
    equal(numbers, sorted(numbers), "sequence numbers")


@case
def delete():
    db.create_table(
        TableName="py-short", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "B"}], KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}]
    )
    equal(db.delete_table(TableName="py-short")["TableDescription"]["TableStatus"], "DELETING", "TableStatus")
    db.get_waiter("table_not_exists").wait(TableName="py-short", WaiterConfig=OFTEN)



main()
