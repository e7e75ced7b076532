"""The Python side of the framed protocol (see the package page of guest): boots without a function, becomes one on 'I',
runs it on each 'E'. Works on Python 3.8 and newer."""

import decimal
import gc
import importlib
import importlib.util
import json
import logging
import os
import sys
import time
import traceback

SOCKET, LOG = 3, 4
TEXT = {0: 0x03, 10: 0x0B, 20: 0x0F, 30: 0x13, 40: 0x17, 50: 0x1B}
HERE = os.path.dirname(os.path.abspath(__file__))


class Fault(Exception):
    """A failure that the runtime, not the handler, reports: errorType "Runtime.NAME"."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind, self.message, self.trace = "Runtime." + kind, message, trace or []


# --- the socket ---------------------------------------------------------------------------------------------------------


def read_frame(stream):
    head = stream.read(5)
    if len(head) < 5:
        os._exit(0)  # the platform is gone
    payload = stream.read(int.from_bytes(head[:4], "little"))
    return head[4:], payload


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def send(kind, payload=b""):
    write_all(SOCKET, len(payload).to_bytes(4, "little") + kind + payload)


# --- the log ------------------------------------------------------------------------------------------------------------


class State:
    request_id = None


def log_frame(message, level=0):
    data = message.encode("utf-8", "replace")
    kind = 0xA55A0000 | TEXT.get(level, 0x03)
    micros = time.time_ns() // 1000
    write_all(LOG, kind.to_bytes(4, "big") + len(data).to_bytes(4, "big") + micros.to_bytes(8, "big") + data)


def frame_level(record):
    return min(50, max(0, record.levelno)) // 10 * 10


class Handler(logging.Handler):
    """The root logger's handler: one record, one event."""

    def emit(self, record):
        try:
            record.aws_request_id = State.request_id or ""
            log_frame(self.format(record), frame_level(record))
        except Exception:
            self.handleError(record)


def timestamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%03dZ" % (seconds % 1 * 1000)


class JSONFormatter(logging.Formatter):
    OWN = frozenset(
        "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created "
        "msecs relativeCreated thread threadName processName process aws_request_id taskName message asctime".split()
    )

    def format(self, record):
        exc = record.exc_info if record.exc_info and record.exc_info[0] else None
        out = {
            "timestamp": timestamp(record.created),
            "level": logging.getLevelName(frame_level(record)),
            "message": record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(exc[2]) if exc else None,
            "errorType": exc[0].__name__ if exc else None,
            "errorMessage": str(exc[1]) if exc else None,
            "requestId": record.aws_request_id,
            "location": "%s:%s:%d" % (record.pathname, record.funcName, record.lineno) if exc else None,
        }
        for key, value in record.__dict__.items():
            if key not in self.OWN and key not in out:
                out[key] = value
        return json.dumps({k: v for k, v in out.items() if v is not None}, ensure_ascii=False, default=str)


def json_logs():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def setup_logging():
    logging.Formatter.converter = time.gmtime
    handler = Handler()
    if json_logs():
        handler.setFormatter(JSONFormatter())
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
            )
        )
    root = logging.getLogger()
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)
    if isinstance(logging.getLevelName(level), int):
        root.setLevel(level)
    root.addHandler(handler)


# --- errors -------------------------------------------------------------------------------------------------------------


def error_of(exc, request_id):
    """What the caller gets for exc, in Lambda's shape."""
    if isinstance(exc, Fault):
        kind, message, trace = exc.kind, exc.message, exc.trace
    else:
        frames = traceback.extract_tb(exc.__traceback__)
        while frames and frames[0].filename.startswith(HERE):
            del frames[0]  # the way through this file is nobody's concern
        kind, message = type(exc).__name__, str(exc) + remedy(exc)
        trace = traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])
    return {"errorMessage": message, "errorType": kind, "requestId": request_id or "", "stackTrace": trace}


def remedy(exc):
    """What to do when the AWS SDK is not found, which every Python of Lambda's has."""
    name = (getattr(exc, "name", None) or "").partition(".")[0]
    if not isinstance(exc, ModuleNotFoundError) or name not in ("boto3", "botocore"):
        return ""
    return ". Python %d.%d on this machine comes without it: list %s in the function's requirements.txt, or install it for %s" % (
        sys.version_info[0],
        sys.version_info[1],
        name,
        sys.executable,
    )


def log_error(error):
    if json_logs():
        log_frame(encode({"timestamp": timestamp(time.time()), "level": "ERROR", **error}), logging.ERROR)
        return
    lines = ["[ERROR] %s: %s" % (error["errorType"], error["errorMessage"]), "Traceback (most recent call last):"]
    for entry in error["stackTrace"]:
        for line in entry.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    log_frame("\n".join(lines), logging.ERROR)


# --- the handler --------------------------------------------------------------------------------------------------------


def load_handler(name):
    module, dot, attribute = name.rpartition(".")
    if not dot:
        raise Fault(
            "MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name
        )
    if module.split(".")[0] in sys.builtin_module_names:
        raise Fault("BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module)
    found = import_module(module)
    try:
        return getattr(found, attribute)
    except AttributeError:
        raise Fault("HandlerNotFound", "Handler '%s' missing on module '%s'" % (attribute, module)) from None


def import_module(module):
    try:
        return importlib.import_module(module.replace("/", "."))
    except ImportError as e:
        raise Fault("ImportModuleError", "Unable to import module '%s': %s%s" % (module, e, remedy(e))) from None
    except SyntaxError as e:
        trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
        raise Fault("UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, e), trace) from None


def load_web(name):
    """MODULE:NAME is a WSGI or ASGI application."""
    module, _, attribute = name.partition(":")
    app = import_module(module)
    for part in attribute.split("."):
        try:
            app = getattr(app, part)
        except AttributeError:
            raise Fault("HandlerNotFound", "Handler '%s' missing on module '%s'" % (attribute, module)) from None
    return own("web").adapt(app, Fault, send)


def own(name):
    """A module beside this file, which functions do not see."""
    spec = importlib.util.spec_from_file_location("_rouse_" + name, os.path.join(HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Encoder(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, decimal.Decimal):
            if o.is_finite() and o == o.to_integral_value():
                return int(o)
            return float(o)
        return super().default(o)


plain = Encoder(ensure_ascii=sys.version_info < (3, 12))
encode = plain.encode


def marshal(result):
    if isinstance(result, bytes):
        return result
    try:
        return encode(result).encode("utf-8", "surrogatepass")
    except Exception as e:
        raise Fault("MarshalError", "Unable to marshal response: %s" % e) from None


# --- the context --------------------------------------------------------------------------------------------------------


class Record:
    """An object whose attributes are fixed by __slots__ and taken from a dict."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return "%s([%s])" % (type(self).__name__, ",".join("%s=%s" % (n, getattr(self, n)) for n in self.__slots__))


class CognitoIdentity(Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(Record):
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        super().__init__(values)
        if isinstance(self.client, dict):
            self.client = Client(self.client)


class LambdaContext:
    def __init__(self, meta):
        env = os.environ
        self.aws_request_id = meta["id"]
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = meta.get("arn")
        self.tenant_id = None
        context = meta.get("clientContext")
        self.client_context = ClientContext(context) if isinstance(context, dict) else None
        identity = meta.get("identity") or {}
        self.identity = CognitoIdentity(
            {
                "cognito_identity_id": identity.get("cognitoIdentityId"),
                "cognito_identity_pool_id": identity.get("cognitoIdentityPoolId"),
            }
        )
        self._deadline = meta["deadline"]

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, msg):
        log_frame(str(msg))

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb function_version "
            "invoked_function_arn client_context identity tenant_id"
        ).split()
        return "LambdaContext([%s])" % ",".join("%s=%s" % (n, getattr(self, n)) for n in names)


# --- the loop -----------------------------------------------------------------------------------------------------------


def initialise(message, ahead, endpoint):
    """Becomes the function. Returns its handler and whether that writes its answer itself, or None when it failed."""
    m = json.loads(message)
    os.environ.update(m["env"])
    if "TZ" in m["env"]:
        time.tzset()
    layer = m["layerRoot"]
    version = "%d.%d" % sys.version_info[:2]
    sys.path[:0] = [
        m["taskRoot"],
        layer + "/python/lib/python" + version + "/site-packages",
        layer + "/python",
    ]
    if ahead:
        ahead.forget(sys.path[:3])
    endpoint.install()
    os.chdir(m["taskRoot"])
    setup_logging()
    try:
        name = m["handler"]
        web = ":" in name
        return (load_web if web else load_handler)(name), web
    except Exception as e:
        error = error_of(e, None)
        log_error(error)
        send(b"F", encode(error).encode())
        return None


def invoke(handler, web, payload):
    size = int.from_bytes(payload[:4], "little")
    meta = json.loads(payload[4 : 4 + size])
    if "env" in meta:
        os.environ.update(meta["env"])
    if "trace" in meta:
        os.environ["_X_AMZN_TRACE_ID"] = meta["trace"]
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    State.request_id = meta["id"]
    try:
        context = LambdaContext(meta)
        try:
            event = json.loads(payload[4 + size :])
        except Exception as e:
            raise Fault("UnmarshalError", "Unable to unmarshal input: %s" % e) from None
        if web:
            handler(event, context)
            kind, answer = b"Z", b""
        else:
            kind, answer = b"O", marshal(handler(event, context))
    except Exception as e:
        error = error_of(e, meta["id"])
        log_error(error)
        kind, answer = b"X", encode(error).encode("utf-8", "surrogatepass")
    sys.stdout.flush()
    sys.stderr.flush()
    send(kind, answer)


def compile_ahead(m):
    """Compiles a function's modules. The process is good for nothing else then."""

    def emit(path, code):
        head = json.dumps({"path": path}).encode()
        send(b"K", len(head).to_bytes(4, "little") + head + code)

    name = m["handler"]
    module = name.partition(":")[0] if ":" in name else name.rpartition(".")[0]
    own("cache").make(m["root"], module.replace("/", "."), emit)
    send(b"R")


def main():
    for fd in (SOCKET, LOG):
        os.set_inheritable(fd, False)
    if sys.path and os.path.abspath(sys.path[0]) == HERE:
        del sys.path[0]  # this folder is no place to import from
    ahead, reads, endpoint = None, [], own("endpoint")
    if len(sys.argv) > 1:
        ahead = own("preload")
        reads = ahead.preload()
        gc.collect()
        gc.freeze()  # what is loaded stays: no collection need look at it
    sys.argv = [""]
    stream = open(SOCKET, "rb", buffering=65536, closefd=False)
    up = {"version": "%d.%d.%d" % sys.version_info[:3], "abi": sys.implementation.cache_tag, "reads": reads}
    send(b"U", json.dumps(up).encode())
    kind, message = read_frame(stream)
    if kind == b"K":
        compile_ahead(json.loads(message))
        kind, message = read_frame(stream)
    if kind == b"C":
        size = 4 + int.from_bytes(message[:4], "little")
        head = json.loads(message[4:size])
        own("cache").keep(head["root"], head["files"], message[size:])
        kind, message = read_frame(stream)
    loaded = initialise(message, ahead, endpoint)
    if loaded is None:
        read_frame(stream)
        os._exit(1)
    send(b"R")
    while True:
        _, payload = read_frame(stream)
        invoke(loaded[0], loaded[1], payload)


if __name__ == "__main__":
    main()
