"""boto3 makes, changes and deletes stacks."""

import pathlib

from botocore.exceptions import ClientError, WaiterError
from cases import ACCOUNT, OFTEN, REGION, case, client, equal, inside, main, raises

stacks = client("cloudformation")
TEMPLATE = pathlib.Path(__file__).parent.parent.joinpath("testdata", "stack.yaml").read_text()
NAME = "py-stack"


def wait(what, **arguments):
    stacks.get_waiter(what).wait(WaiterConfig=OFTEN, **arguments)


@case
def create_by_a_change_set():
    stacks.create_change_set(
        StackName=NAME, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    )
    wait("change_set_create_complete", StackName=NAME, ChangeSetName="first")
    found = stacks.get_paginator("describe_change_set").paginate(StackName=NAME, ChangeSetName="first").build_full_result()
    inside("AWS::Lambda::Function", [c["ResourceChange"]["ResourceType"] for c in found["Changes"]], "changes")
    stacks.execute_change_set(StackName=NAME, ChangeSetName="first")
    wait("stack_create_complete", StackName=NAME)
    wait("stack_exists", StackName=NAME)


@case
def outputs():
    s = stacks.describe_stacks(StackName=NAME)["Stacks"][0]
    equal(s["StackStatus"], "CREATE_COMPLETE", "StackStatus")
    found = {o["OutputKey"]: o["OutputValue"] for o in s["Outputs"]}
    equal(found["Arn"], f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{found['Name']}", "Arn")
    body = client("lambda").invoke(FunctionName=found["Name"], Payload=b"{}")["Payload"].read()
    inside(b"hello nobody", body, "answer")


@case
def events():
    found = stacks.get_paginator("describe_stack_events").paginate(StackName=NAME).build_full_result()["StackEvents"]
    equal(found[0]["ResourceStatus"], "CREATE_COMPLETE", "newest event")
    equal(found[0]["PhysicalResourceId"], found[0]["StackId"], "it is the stack's")
    equal(found[-1]["ResourceStatus"], "REVIEW_IN_PROGRESS", "oldest event")


@case
def update():
    arguments = dict(StackName=NAME, UsePreviousTemplate=True, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    stacks.update_stack(Parameters=[{"ParameterKey": "Word", "ParameterValue": "moin"}], **arguments)
    wait("stack_update_complete", StackName=NAME)
    with raises(ClientError, "ValidationError") as r:
        stacks.update_stack(Parameters=[{"ParameterKey": "Word", "UsePreviousValue": True}], **arguments)
    equal(r.message, "No updates are to be performed.", "message")
    with raises(ClientError, "ValidationError") as r:
        stacks.update_stack(Parameters=[{"ParameterKey": "Word", "ParameterValue": "MOIN"}], **arguments)
    inside("Word", r.message, "message")


@case
def typed_errors():
    with raises(stacks.exceptions.AlreadyExistsException):
        stacks.create_stack(StackName=NAME, TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    with raises(stacks.exceptions.InsufficientCapabilitiesException):
        stacks.create_stack(StackName="py-bad", TemplateBody=TEMPLATE)
    with raises(stacks.exceptions.ChangeSetNotFoundException):
        stacks.describe_change_set(StackName=NAME, ChangeSetName="nobody")
    with raises(ClientError, "ValidationError") as r:
        stacks.describe_stacks(StackName="py-nobody")
    equal(r.message, "Stack with id py-nobody does not exist", "message")


@case
def delete():
    stacks.delete_stack(StackName=NAME)
    wait("stack_delete_complete", StackName=NAME)
    with raises(ClientError, "ValidationError"):
        stacks.describe_stacks(StackName=NAME)
    gone = stacks.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"]).build_full_result()
    inside(NAME, [s["StackName"] for s in gone["StackSummaries"]], "deleted stacks")
    with raises(WaiterError):
        stacks.get_waiter("stack_exists").wait(StackName=NAME, WaiterConfig={"Delay": 0.01, "MaxAttempts": 2})


main()
