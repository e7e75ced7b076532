"""Keeps items in a table by boto3, told nothing but the environment."""
import os
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def denied(call, **given):
    try:
        call(**given)
    except ClientError as e:
        return f"{e.response['Error']['Code']}: {e.response['Error']['Message']}"
    return "allowed"


def handler(event, context):
    table.put_item(Item={"owner": "mine", "n": 1, "price": Decimal("1.50"), "tags": {"a", "b"}, "raw": b"\x00\x01"})
    table.update_item(Key={"owner": "mine", "n": 1}, UpdateExpression="SET seen = if_not_exists(seen, :zero) + :one",
                      ExpressionAttributeValues={":zero": 0, ":one": 1})
    item = table.get_item(Key={"owner": "mine", "n": 1})["Item"]
    found = table.query(KeyConditionExpression=Key("owner").eq("mine") & Key("n").gte(1))["Items"]
    return {
        "price": str(item["price"]), "tags": sorted(item["tags"]), "raw": bytes(item["raw"]).hex(), "seen": int(item["seen"]),
        "found": len(found),
        "other": denied(table.put_item, Item={"owner": "yours", "n": 1}),
        "delete": denied(table.delete_item, Key={"owner": "mine", "n": 1}),
    }
