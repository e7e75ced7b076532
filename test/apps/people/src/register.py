import json
import os

import boto3

people = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    person = json.loads(event["body"])
    people.put_item(Item={"id": person["id"], "name": person["name"]})
    arn, stream = os.environ["TABLE_ARN"], os.environ["STREAM_ARN"]
    return {"statusCode": 201, "body": f"{arn.endswith(':table/' + people.name)} {stream.startswith(arn + '/stream/')}"}
