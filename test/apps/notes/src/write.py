import os

import boto3
from botocore.exceptions import ClientError

notes = boto3.resource("dynamodb").Table(os.environ["NOTES"])


def handler(event, context):
    notes.put_item(Item={"ID": event["id"], "text": event["text"]})
    try:
        notes.get_item(Key={"ID": event["id"]})
    except ClientError as e:
        return e.response["Error"]["Code"]
    return "read"
