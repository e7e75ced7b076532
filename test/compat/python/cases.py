"""Runs the cases of a program and prints a line for each, as program_test.go reads them.

A case is a function; it fails by an exception. Cases run in the order in which they stand. Clean-ups that a case leaves with
`later` run at the end, newest first.
"""

import inspect
import io
import os
import traceback
import zipfile

import boto3
import botocore
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
REGION = "us-east-1"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)

# Waiters ask as often as a test likes; what they ask for is botocore's.
OFTEN = {"Delay": 0.1, "MaxAttempts": 300}

cases = []
cleanups = []


def case(f):
    cases.append(f)
    return f


def later(f, **arguments):
    cleanups.append((f, arguments))


def client(service, session=boto3):
    """A client as the environment has it. Before 1.31 botocore did not know AWS_ENDPOINT_URL, so its users say it themselves."""
    if tuple(int(n) for n in botocore.__version__.split(".")[:2]) < (1, 31):
        return session.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    return session.client(service)


class TooOld(Exception):
    """What is installed does not know an operation."""


def knows(client, operation):
    if not hasattr(client, operation):
        raise TooOld(f"boto3 {boto3.__version__} has no {operation}")


def archive(**files):
    """A zip of contents by name; _py stands for .py, _mjs for .mjs."""
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as z:
        for name, content in files.items():
            z.writestr(name.replace("_py", ".py").replace("_mjs", ".mjs").replace("_txt", ".txt"), content)
    return b.getvalue()


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def inside(part, text, what=""):
    if part not in text:
        raise AssertionError(f"{what}: got {text!r}, want it to contain {part!r}")


class raises:
    """Wants the block to raise kind; afterwards .code, .message and .response are those of the error."""

    def __init__(self, kind, code=None):
        self.kind, self.want = kind, code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if error is None:
            raise AssertionError(f"got success, want {self.want or self.kind.__name__}")
        if not isinstance(error, self.kind):
            raise AssertionError(f"got {error!r}, want {self.want or self.kind.__name__}")
        if isinstance(error, ClientError):
            self.response = error.response
            self.code, self.message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if self.want and self.code != self.want:
                raise AssertionError(f"got {error!r}, want {self.want}")
        return True


def role(name):
    """Makes a role that Lambda may take; the answer is its ARN."""
    iam = client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    later(iam.delete_role, RoleName=name)
    return arn


def line(word, name, reason=""):
    reason = reason.strip().replace("\r", "").replace("\n", "\\n")
    print(f"{word} {name}: {reason}" if reason else f"{word} {name}", flush=True)


def attempt(name, f, **arguments):
    try:
        f(**arguments)
    except Exception:  # noqa: BLE001 - whatever it is, it is this case's result
        line("not ok", name, traceback.format_exc(limit=-4))
        return False
    return True


def main():
    made = {}
    for f in cases:
        name = f.__name__.replace("_", " ")
        # A parameter of a case is what an earlier case of that name answered.
        arguments = {p: made.get(p) for p in inspect.signature(f).parameters}
        try:
            made[f.__name__] = f(**arguments)
            line("ok", name)
        except TooOld as e:
            line("skip", name, str(e))
        except Exception:  # noqa: BLE001
            line("not ok", name, traceback.format_exc(limit=-4))
    for f, arguments in reversed(cleanups):
        attempt("clean up " + f.__name__.replace("_", " "), f, **arguments)
    line("done", str(len(cases)))


