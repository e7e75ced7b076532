"""WSGI and ASGI applications as handlers: payload 2.0 of an HTTP API or function URL in, a streamed answer out."""

import base64
import inspect
import io
import json
import sys
from urllib.parse import unquote, unquote_to_bytes

PRELUDE = b"application/vnd.awslambda.http-integration-response"
PIECE = 1 << 20  # of one frame


class Answer:
    """Sends the head once and then the body."""

    def __init__(self, send):
        self.send, self.begun = send, False

    def head(self, status, headers):
        plain, cookies = {}, []
        for name, value in headers:
            if name.lower() == "set-cookie":
                cookies.append(value)
            elif name in plain:
                plain[name] += "," + value
            else:
                plain[name] = value
        prelude = {"statusCode": status, "headers": plain, "cookies": cookies}
        self.begun = True
        self.send(b"H", PRELUDE)
        self.send(b"D", json.dumps(prelude).encode() + bytes(8))

    def body(self, data):
        for at in range(0, len(data), PIECE):
            self.send(b"D", bytes(data[at : at + PIECE]))


class Request:
    def __init__(self, event, fault):
        http = (event.get("requestContext") or {}).get("http") if isinstance(event, dict) else None
        if not http or not str(event.get("version", "")).startswith("2."):
            raise fault("InvalidEvent", "this function is a web handler and takes HTTP requests (payload 2.0) only")
        self.method = http.get("method", "GET")
        self.raw_path = event.get("rawPath") or "/"
        self.query = event.get("rawQueryString") or ""
        self.client = http.get("sourceIp") or ""
        headers = {k.lower(): v for k, v in (event.get("headers") or {}).items()}
        if event.get("cookies"):
            headers["cookie"] = "; ".join(event["cookies"])
        body = event.get("body") or ""
        self.body = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8")
        if self.body:
            headers["content-length"] = str(len(self.body))
        self.headers = headers
        self.scheme = headers.get("x-forwarded-proto", "https")
        self.host, _, port = headers.get("host", "localhost").partition(":")
        self.port = port or ("443" if self.scheme == "https" else "80")


def is_asgi(app):
    """ASGI takes (scope, receive, send) and is awaited; WSGI takes (environ, start_response)."""
    call = app if inspect.isroutine(app) else getattr(app, "__call__", app)
    if inspect.iscoroutinefunction(call):
        return True
    try:
        inspect.signature(app).bind(None, None)
        return False
    except TypeError:
        return True
    except ValueError:
        return False


def adapt(app, fault, send):
    serve = serve_asgi if is_asgi(app) else serve_wsgi
    start = getattr(serve, "start", None)
    state = start(app) if start else None

    def handler(event, context):
        request = Request(event, fault)
        answer = Answer(send)
        serve(app, request, answer, {"aws.event": event, "aws.context": context}, state)
        if not answer.begun:
            raise fault("InvalidResponse", "the web application ended without a response")

    return handler


def serve_wsgi(app, request, answer, extra, _state):
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.raw_path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "REMOTE_ADDR": request.client,
        "SERVER_NAME": request.host,
        "SERVER_PORT": request.port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **extra,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
    head = []

    def begin():
        if not answer.begun:
            answer.head(*head)

    def write(data):
        begin()
        answer.body(data)

    def start_response(status, headers, exc_info=None):
        if exc_info and answer.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        head[:] = [int(status.split(" ", 1)[0]), headers]
        return write

    result = app(environ, start_response)
    try:
        for data in result:
            if data:
                write(data)
        if head:
            begin()
    finally:
        if hasattr(result, "close"):
            result.close()


def asgi_loop(app):
    """One event loop for the instance's life, and the application's lifespan if it has one."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    state, started = {}, loop.create_future()

    async def receive():
        if not started.done():
            return {"type": "lifespan.startup"}
        await loop.create_future()  # there is no orderly end: an instance is killed

    async def send(message):
        if not started.done():
            failed = message["type"] == "lifespan.startup.failed"
            started.set_result(message.get("message", "startup failed") if failed else None)

    async def lifespan():
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}, receive, send)
        except Exception:
            pass  # the application has no lifespan
        if not started.done():
            started.set_result(None)

    task = loop.create_task(lifespan())
    problem = loop.run_until_complete(started)
    if problem is not None:
        raise RuntimeError(problem)
    return loop, task, state


def serve_asgi(app, request, answer, extra, loop_task_state):
    loop, _task, state = loop_task_state
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(request.raw_path),
        "raw_path": request.raw_path.encode("latin-1", "replace"),
        "query_string": request.query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(k.encode("latin-1"), str(v).encode("latin-1", "replace")) for k, v in request.headers.items()],
        "client": (request.client, 0),
        "server": (request.host, int(request.port)),
        "state": state.copy(),
        **extra,
    }
    asked, ended = [False], loop.create_future()

    async def receive():
        if not asked[0]:
            asked[0] = True
            return {"type": "http.request", "body": request.body, "more_body": False}
        await ended
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            headers = [(bytes(k).decode("latin-1"), bytes(v).decode("latin-1")) for k, v in message.get("headers", [])]
            answer.head(message["status"], headers)
        elif message["type"] == "http.response.body":
            answer.body(message.get("body", b""))
            if not message.get("more_body") and not ended.done():
                ended.set_result(None)

    loop.run_until_complete(app(scope, receive, send))


serve_asgi.start = asgi_loop
