"""boto3 makes, runs, changes, pages and deletes functions."""

import base64
import hashlib
import io
import json
import urllib.request

from botocore.exceptions import ClientError, ParamValidationError, WaiterError
from cases import ACCOUNT, OFTEN, REGION, archive, case, client, equal, inside, knows, later, main, raises, role

awslambda = client("lambda")
NAME = "py-function"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"
CODE = archive(
    index_py="""
import os
def handler(event, context):
    print("heard", event)
    if event.get("fail"):
        raise KeyError("nothing there")
    return {"event": event, "stage": os.environ.get("STAGE"), "version": context.function_version}
"""
)


def make(name, arn, **changes):
    arguments = dict(FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=arn, Code={"ZipFile": CODE}, Timeout=5)
    arguments.update(changes)
    return awslambda.create_function(**arguments)


@case
def its_role():
    return role("py-function")


@case
def create(its_role):
    made = make(NAME, its_role, Environment={"Variables": {"STAGE": "one"}}, Tags={"team": "shop"})
    equal(made["ResponseMetadata"]["HTTPStatusCode"], 201, "status")
    equal(made["FunctionArn"], ARN, "FunctionArn")
    equal(made["CodeSha256"], base64.b64encode(hashlib.sha256(CODE).digest()).decode(), "CodeSha256")
    equal(made["Runtime"], "python3.12", "Runtime")
    awslambda.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig=OFTEN)
    awslambda.get_waiter("function_exists").wait(FunctionName=NAME, WaiterConfig=OFTEN)
    return made


@case
def get():
    got = awslambda.get_function(FunctionName=NAME)
    equal(got["Configuration"]["State"], "Active", "State")
    equal(got["Tags"], {"team": "shop"}, "Tags")
    equal(got["Code"]["RepositoryType"], "S3", "RepositoryType")
    with urllib.request.urlopen(got["Code"]["Location"]) as r:
        equal(r.read(), CODE, "what Location serves")


@case
def invoke():
    out = awslambda.invoke(FunctionName=NAME, Payload=json.dumps({"a": [1, None, "ü"]}), LogType="Tail")
    equal(out["StatusCode"], 200, "StatusCode")
    equal(json.load(out["Payload"]), {"event": {"a": [1, None, "ü"]}, "stage": "one", "version": "$LATEST"}, "answer")
    tail = base64.b64decode(out["LogResult"]).decode()
    inside("heard {'a': [1, None, 'ü']}", tail, "LogResult")
    inside("REPORT RequestId: " + out["ResponseMetadata"]["RequestId"], tail, "LogResult")
    equal("FunctionError" in out, False, "FunctionError is there")


@case
def invoke_by_every_name():
    for name in (ARN, f"{ACCOUNT}:function:{NAME}", ARN + ":$LATEST", NAME + ":$LATEST"):
        equal(awslambda.invoke(FunctionName=name, Payload=b"{}")["StatusCode"], 200, name)


@case
def invoke_that_fails():
    out = awslambda.invoke(FunctionName=NAME, Payload=b'{"fail":true}')
    equal((out["StatusCode"], out["FunctionError"]), (200, "Unhandled"), "StatusCode and FunctionError")
    error = json.load(out["Payload"])
    equal((error["errorType"], error["errorMessage"]), ("KeyError", "'nothing there'"), "error")
    inside("index.py", "".join(error["stackTrace"]), "stackTrace")


@case
def update():
    awslambda.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"STAGE": "two"}}, Description="changed")
    awslambda.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig=OFTEN)
    equal(json.load(awslambda.invoke(FunctionName=NAME, Payload=b"{}")["Payload"])["stage"], "two", "STAGE")
    up = awslambda.update_function_code(FunctionName=NAME, ZipFile=archive(index_py="handler = lambda e, c: 'new'"), Publish=True)
    equal(up["Version"], "1", "Version")
    awslambda.get_waiter("function_updated").wait(FunctionName=NAME, WaiterConfig=OFTEN)
    equal(json.load(awslambda.invoke(FunctionName=NAME)["Payload"]), "new", "answer")
    awslambda.get_waiter("published_version_active").wait(FunctionName=NAME, Qualifier="1", WaiterConfig=OFTEN)


@case
def typed_errors(its_role):
    e = awslambda.exceptions
    with raises(e.ResourceNotFoundException) as r:
        awslambda.get_function(FunctionName="py-nobody")
    equal(r.response["ResponseMetadata"]["HTTPStatusCode"], 404, "status")
    equal(r.response["Error"]["Message"], f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:py-nobody", "message")
    with raises(e.ResourceConflictException) as r:
        make(NAME, its_role)
    equal(r.response["ResponseMetadata"]["HTTPStatusCode"], 409, "status")
    with raises(e.InvalidParameterValueException):
        make("py-bad", its_role, Code={"ZipFile": b"this is no archive"})
    with raises(e.InvalidParameterValueException):
        make("py-bad", its_role, Runtime="python1.5")
    with raises(e.InvalidRequestContentException):
        awslambda.invoke(FunctionName=NAME, Payload=b"not json")
    with raises(e.PreconditionFailedException) as r:
        awslambda.update_function_configuration(FunctionName=NAME, RevisionId="00000000-0000-0000-0000-000000000000")
    equal(r.response["ResponseMetadata"]["HTTPStatusCode"], 412, "status")
    with raises(ClientError, "ValidationException"):
        make("py-bad", its_role, MemorySize=128, Timeout=100000)
    with raises(ParamValidationError):
        awslambda.invoke()


@case
def a_waiter_gives_up():
    with raises(WaiterError):
        awslambda.get_waiter("function_exists").wait(FunctionName="py-nobody", WaiterConfig={"Delay": 0.01, "MaxAttempts": 2})


@case
def pages(its_role):
    names = [f"py-page-{i}" for i in range(5)]
    for name in names:
        make(name, its_role)
        later(awslambda.delete_function, FunctionName=name)
    seen, most = [], 0
    for page in awslambda.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}):
        most = max(most, len(page["Functions"]))
        seen += [f["FunctionName"] for f in page["Functions"]]
    equal(most, 2, "functions on a page")
    equal(sorted(n for n in seen if n.startswith("py-page-")), names, "functions on all pages")
    equal(len(seen), len(set(seen)), "functions that are listed once")
    few = awslambda.get_paginator("list_functions").paginate(PaginationConfig={"MaxItems": 3, "PageSize": 2}).build_full_result()
    equal(len(few["Functions"]), 3, "MaxItems")
    inside("NextToken", few, "a token to go on with")


@case
def layers(its_role):
    made = awslambda.publish_layer_version(LayerName="py-layer", Content={"ZipFile": archive(word_txt="from the layer")})
    later(awslambda.delete_layer_version, LayerName="py-layer", VersionNumber=made["Version"])
    code = archive(index_py="handler = lambda e, c: open('/opt/word.txt').read()")
    make("py-layered", its_role, Code={"ZipFile": code}, Layers=[made["LayerVersionArn"]])
    later(awslambda.delete_function, FunctionName="py-layered")
    awslambda.get_waiter("function_active_v2").wait(FunctionName="py-layered", WaiterConfig=OFTEN)
    equal(json.load(awslambda.invoke(FunctionName="py-layered")["Payload"]), "from the layer", "answer")
    found = awslambda.get_paginator("list_layer_versions").paginate(LayerName="py-layer").build_full_result()
    equal([v["Version"] for v in found["LayerVersions"]], [made["Version"]], "versions")


@case
def stream(its_role):
    knows(awslambda, "invoke_with_response_stream")
    code = archive(
        index_mjs="""
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  for (let i = 0; i < event.count; i++) stream.write('x'.repeat(1000));
  stream.end('!');
});
"""
    )
    make("py-stream", its_role, Runtime="nodejs22.x", Code={"ZipFile": code})
    later(awslambda.delete_function, FunctionName="py-stream")
    awslambda.get_waiter("function_active_v2").wait(FunctionName="py-stream", WaiterConfig=OFTEN)
    out = awslambda.invoke_with_response_stream(FunctionName="py-stream", Payload=b'{"count":300}')
    body, ends = io.BytesIO(), []
    for event in out["EventStream"]:
        if "PayloadChunk" in event:
            body.write(event["PayloadChunk"]["Payload"])
        else:
            ends.append(event["InvokeComplete"])
    equal(body.getvalue(), b"x" * 300000 + b"!", "body")
    equal(len(ends), 1, "ends")
    equal("ErrorCode" in ends[0], False, "ErrorCode is there")


@case
def function_url(its_role):
    made = awslambda.create_function_url_config(FunctionName=NAME, AuthType="NONE", Cors={"AllowOrigins": ["*"], "MaxAge": 5})
    got = awslambda.get_function_url_config(FunctionName=NAME)
    equal((got["FunctionUrl"], got["AuthType"]), (made["FunctionUrl"], "NONE"), "FunctionUrl and AuthType")
    awslambda.delete_function_url_config(FunctionName=NAME)
    with raises(awslambda.exceptions.ResourceNotFoundException):
        awslambda.get_function_url_config(FunctionName=NAME)


@case
def permissions():
    added = awslambda.add_permission(
        FunctionName=NAME, StatementId="a", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", Qualifier="1"
    )
    equal(json.loads(added["Statement"])["Resource"], ARN + ":1", "Resource")
    equal(len(json.loads(awslambda.get_policy(FunctionName=NAME, Qualifier="1")["Policy"])["Statement"]), 1, "statements")
    awslambda.remove_permission(FunctionName=NAME, StatementId="a", Qualifier="1")
    with raises(awslambda.exceptions.ResourceNotFoundException):
        awslambda.get_policy(FunctionName=NAME, Qualifier="1")


@case
def delete():
    equal(awslambda.delete_function(FunctionName=NAME)["ResponseMetadata"]["HTTPStatusCode"], 204, "status")
    with raises(awslambda.exceptions.ResourceNotFoundException):
        awslambda.invoke(FunctionName=NAME)


main()
