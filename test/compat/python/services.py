"""boto3 and the services around functions: IAM, STS, logs, APIs, rules."""

import json
import time

import boto3
from botocore.exceptions import ClientError
from cases import ACCOUNT, OFTEN, REGION, TRUST, case, client, equal, inside, later, main, raises, role

iam, sts, logs = client("iam"), client("sts"), client("logs")
rest, http, events = client("apigateway"), client("apigatewayv2"), client("events")


@case
def who_am_i():
    who = sts.get_caller_identity()
    equal((who["Account"], who["Arn"]), (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"), "identity")


@case
def roles():
    equal(role("py-role"), f"arn:aws:iam::{ACCOUNT}:role/py-role", "Arn")
    iam.get_waiter("role_exists").wait(RoleName="py-role", WaiterConfig=OFTEN)
    got = iam.get_role(RoleName="py-role")["Role"]
    equal(got["AssumeRolePolicyDocument"], json.loads(TRUST), "AssumeRolePolicyDocument")
    equal(got["Path"], "/", "Path")
    iam.put_role_policy(RoleName="py-role", PolicyName="p", PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}')
    equal(iam.list_role_policies(RoleName="py-role")["PolicyNames"], ["p"], "PolicyNames")
    iam.delete_role_policy(RoleName="py-role", PolicyName="p")


@case
def roles_on_pages():
    for i in range(3):
        role(f"py-role-{i}")
    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    names = [r["RoleName"] for p in pages for r in p["Roles"]]
    equal([n for n in names if n.startswith("py-role-")], ["py-role-0", "py-role-1", "py-role-2"], "roles")
    equal(max(len(p["Roles"]) for p in pages), 2, "roles on a page")


@case
def typed_errors_of_iam():
    with raises(iam.exceptions.NoSuchEntityException) as r:
        iam.get_role(RoleName="py-nobody")
    equal(r.response["Error"]["Message"], "The role with name py-nobody cannot be found.", "message")
    equal(r.response["ResponseMetadata"]["HTTPStatusCode"], 404, "status")
    with raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="py-role", AssumeRolePolicyDocument=TRUST)
    with raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_role(RoleName="py-bad", AssumeRolePolicyDocument="{}")
    with raises(ClientError, "ValidationError"):
        iam.get_role(RoleName="py nobody")


@case
def assume_role():
    trust = TRUST.replace('"Service":"lambda.amazonaws.com"', f'"AWS":"{ACCOUNT}"')
    iam.update_assume_role_policy(RoleName="py-role", PolicyDocument=trust)
    got = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/py-role", RoleSessionName="boto")
    keys = got["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/py-role/boto"
    equal(client("sts", session).get_caller_identity()["Arn"], arn, "Arn")
    with raises(ClientError, "AccessDeniedException") as r:
        client("lambda", session).list_functions()
    inside(f"User: {arn} is not authorized to perform: lambda:ListFunctions", r.response["Error"]["Message"], "message")
    with raises(ClientError, "AccessDenied"):
        client("iam", session).list_roles()
    with raises(ClientError, "AccessDeniedException"):
        client("logs", session).describe_log_groups()


@case
def log_events():
    logs.create_log_group(logGroupName="py/logs")
    later(logs.delete_log_group, logGroupName="py/logs")
    now = int(time.time() * 1000)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName="py/logs", logStreamName=stream)
        lines = [{"timestamp": now + i, "message": f"{stream} {i}"} for i in range(6)]
        logs.put_log_events(logGroupName="py/logs", logStreamName=stream, logEvents=lines)
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="py/logs", PaginationConfig={"PageSize": 5}))
    found = [e["message"] for p in pages for e in p["events"]]
    equal(sorted(found), sorted(f"{s} {i}" for s in "ab" for i in range(6)), "events")
    got = logs.get_log_events(logGroupName="py/logs", logStreamName="a", limit=2, startFromHead=True)
    equal([e["message"] for e in got["events"]], ["a 0", "a 1"], "first events")
    got = logs.get_log_events(logGroupName="py/logs", logStreamName="a", limit=9, nextToken=got["nextForwardToken"])
    equal([e["message"] for e in got["events"]], ["a 2", "a 3", "a 4", "a 5"], "next events")
    end = got["nextForwardToken"]
    got = logs.get_log_events(logGroupName="py/logs", logStreamName="a", nextToken=end)
    equal((got["events"], got["nextForwardToken"]), ([], end), "at the end the token stays")
    streams = logs.get_paginator("describe_log_streams").paginate(logGroupName="py/logs", PaginationConfig={"PageSize": 1})
    equal([s["logStreamName"] for s in streams.search("logStreams[]")], ["a", "b"], "streams")


@case
def typed_errors_of_logs():
    with raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="py/nobody", logStreamName="a")
    with raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="py/logs")
    with raises(logs.exceptions.InvalidParameterException):
        logs.describe_log_groups(limit=1000)


@case
def http_apis():
    made = http.create_api(Name="py-api", ProtocolType="HTTP", Tags={"team": "shop"})
    later(http.delete_api, ApiId=made["ApiId"])
    equal(made["RouteSelectionExpression"], "$request.method $request.path", "RouteSelectionExpression")
    http.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    found = http.get_paginator("get_apis").paginate(PaginationConfig={"PageSize": 1}).build_full_result()
    inside("py-api", [a["Name"] for a in found["Items"]], "APIs")
    with raises(http.exceptions.NotFoundException):
        http.get_api(ApiId="nobody")
    with raises(http.exceptions.BadRequestException):
        http.create_route(ApiId=made["ApiId"], RouteKey="no route")


@case
def rest_apis():
    made = rest.create_rest_api(name="py-rest", tags={"team": "shop"})
    later(rest.delete_rest_api, restApiId=made["id"])
    root = rest.get_resources(restApiId=made["id"])["items"][0]
    equal((root["id"], root["path"]), (made.get("rootResourceId", root["id"]), "/"), "root")  # older models do not have it
    rest.put_method(restApiId=made["id"], resourceId=root["id"], httpMethod="GET", authorizationType="NONE")
    method = rest.get_method(restApiId=made["id"], resourceId=root["id"], httpMethod="GET")
    equal(method["apiKeyRequired"], False, "apiKeyRequired")
    with raises(rest.exceptions.NotFoundException):
        rest.get_rest_api(restApiId="nobody")
    with raises(rest.exceptions.BadRequestException):
        rest.create_deployment(restApiId=made["id"], stageName="v1")  # the method has no integration


@case
def rules():
    arn = events.put_rule(Name="py-rule", ScheduleExpression="rate(2 hours)", Tags=[{"Key": "team", "Value": "shop"}])["RuleArn"]
    later(events.delete_rule, Name="py-rule")
    equal(arn, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/py-rule", "RuleArn")
    equal(events.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "team", "Value": "shop"}], "Tags")
    events.disable_rule(Name="py-rule")
    equal(events.describe_rule(Name="py-rule")["State"], "DISABLED", "State")
    with raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="py-nobody")
    events.put_rule(Name="py-rule-2", ScheduleExpression="rate(2 hours)")
    later(events.delete_rule, Name="py-rule-2")
    found = events.get_paginator("list_rules").paginate(NamePrefix="py-rule", PaginationConfig={"PageSize": 1}).build_full_result()
    equal([r["Name"] for r in found["Rules"]], ["py-rule", "py-rule-2"], "rules")


main()
