package guesttest

import (
	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

const webEvent = `{"version":"2.0","rawPath":"/a%20b/c","rawQueryString":"x=1&y=%2F","cookies":["k=v","l=w"],
	"headers":{"host":"shop.example","x-a":"A","content-type":"text/plain"},
	"requestContext":{"domainName":"shop.example","http":{"method":"POST","path":"/a b/c","sourceIp":"192.0.2.1"}},
	"body":"aMOpbGxv","isBase64Encoded":true}`

const webBinary = `{"version":"2.0","rawPath":"/binary","rawQueryString":"","headers":{"host":"shop.example"},
	"requestContext":{"http":{"method":"GET"}}}`

const webBody = "/a%20b/c?x=1&y=%2F|shop.example|A|k=v; l=w|héllo"

var webHead = rouse.Head{ContentType: "text/plain", Status: 201, Cookies: []string{"s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT", "t=2"},
	Header: map[string][]string{"Content-Type": {"text/plain"}, "X-Method": {"POST"}}}

var webCalls = []call{
	{event: webEvent, raw: true, want: webBody, head: &webHead},
	{event: webEvent, buffered: true, want: `{"statusCode":201,"headers":{"Content-Type":"text/plain","X-Method":"POST"},
		"cookies":["s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT","t=2"],"body":"` + webBody + `","isBase64Encoded":false}`},
	{event: webBinary, raw: true, want: "\xff\x00a"},
	{event: webBinary, buffered: true, want: `{"statusCode":200,"headers":{"Content-Type":"text/plain","X-Method":"GET"},
		"cookies":["s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT","t=2"],"body":"/wBh","isBase64Encoded":true}`},
	{event: `{"n":1}`, raw: true, fails: &failure{typ: all("Runtime.InvalidEvent"),
		message: all("this function is a web handler and takes HTTP requests (payload 2.0) only")}},
	{event: webEvent, raw: true, want: webBody, head: &webHead},
}

// webCases answer HTTP instead of events.
var webCases = []testCase{
	{
		name:  "web handler",
		since: 18,
		esm: `export default { async fetch(request) {
			const url = new URL(request.url), h = request.headers
			const headers = new Headers({ 'content-type': 'text/plain', 'x-method': request.method })
			headers.append('set-cookie', 's=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT'); headers.append('set-cookie', 't=2')
			if (url.pathname === '/binary') return new Response(new Uint8Array([255, 0, 97]), { headers })
			const body = await request.text()
			return new Response([url.pathname + url.search, url.host, h.get('x-a'), h.get('cookie'), body].join('|'), { status: 201, headers })
		} }`,
		python: `
def app(environ, start_response):
    head = [("content-type", "text/plain"), ("x-method", environ["REQUEST_METHOD"]),
            ("Set-Cookie", "s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT"), ("Set-Cookie", "t=2")]
    if environ["PATH_INFO"] == "/binary":
        start_response("200 OK", head)
        return [b"\xff\x00", b"a"]
    start_response("201 Created", head)
    e = environ
    yield (e["aws.event"]["rawPath"] + "?" + e["QUERY_STRING"] + "|" + e["HTTP_HOST"] + "|").encode()
    yield (e["HTTP_X_A"] + "|" + e["HTTP_COOKIE"] + "|").encode() + e["wsgi.input"].read(int(e["CONTENT_LENGTH"]))`,
		provided: "web:",
		handler:  by("index.mjs#fetch", "index:app", ""),
		calls:    webCalls[:2],
	},
	{
		name:  "web handler, binary",
		since: 18,
		esm: `export const fetch = async (request) => {
			const headers = new Headers({ 'content-type': 'text/plain', 'x-method': request.method })
			headers.append('set-cookie', 's=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT'); headers.append('set-cookie', 't=2')
			return new Response(new Uint8Array([255, 0, 97]), { headers }) }`,
		python: `
def app(environ, start_response):
    write = start_response("200 OK", [("content-type", "text/plain"), ("x-method", "GET"),
        ("Set-Cookie", "s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT"), ("Set-Cookie", "t=2")])
    write(b"\xff")
    return [b"\x00", b"a"]`,
		provided: "web:./bootstrap",
		handler:  by("index.mjs#fetch", "index:app", ""),
		calls:    webCalls[2:5],
	},
	{
		name: "ASGI",
		python: `
state = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        state.append("up")
        await send({"type": "lifespan.startup.complete"})
        await receive()
    assert state == ["up"]
    message = await receive()
    head = dict(scope["headers"])
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain"),
        (b"x-method", scope["method"].encode()), (b"set-cookie", b"s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT"), (b"set-cookie", b"t=2")]})
    await send({"type": "http.response.body", "more_body": True, "body": scope["raw_path"] + b"?" + scope["query_string"] + b"|"})
    await send({"type": "http.response.body", "body": b"|".join([head[b"host"], head[b"x-a"], head[b"cookie"], message["body"]])})`,
		handler: by("", "index:app", ""),
		calls:   []call{webCalls[0], webCalls[1], webCalls[5], webCalls[4]},
	},
	{
		name: "ASGI without lifespan, by a class",
		python: `
class App:
    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hi"})
app = App()`,
		handler: by("", "index:app", ""),
		calls:   []call{{event: webEvent, raw: true, want: "hi"}, {event: webEvent, raw: true, want: "hi"}},
	},
	{
		name:    "web handler that throws",
		since:   18,
		esm:     `export default { fetch() { throw new RangeError('far') } }`,
		python:  "def app(environ, start_response): raise IndexError('far')",
		handler: by("index.mjs#fetch", "index:app", ""),
		calls:   []call{{event: webEvent, raw: true, fails: &failure{typ: by("RangeError", "IndexError", ""), message: all("far")}}},
	},
	{
		name:    "web handler that is not there",
		since:   18,
		esm:     `export default {}`,
		python:  "pass",
		handler: by("index.mjs#fetch", "index:app", ""),
		init: &failure{typ: all("Runtime.HandlerNotFound"),
			message: by("index.mjs#fetch is undefined or not exported", "Handler 'app' missing on module 'index'", "")},
	},
	{
		name:  "web handler, streamed and later work",
		since: 18,
		esm: `export default { fetch(request, env, ctx) {
			ctx.waitUntil((async () => { await new Promise((r) => setTimeout(r, 5)); console.log('later') })())
			return new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode(env.COLOUR)); c.close() } })) } }`,
		handler: by("index.mjs#fetch", "", ""),
		calls:   []call{{event: webEvent, raw: true, want: "blue", logs: map[string][]string{"node": {"TIME\tID\tINFO\tlater"}}}},
	},
	{
		name:     "web program that exits",
		provided: "web:",
		calls: []call{{event: `{"version":"2.0","rawPath":"/exit","requestContext":{"http":{"method":"GET"}}}`, raw: true,
			fails: &failure{typ: all("Runtime.ExitError"), message: all(exited1)}, state: guest.Exited}},
	},
	{
		name: "web program of an interpreter",
		node: `require('http').createServer((q, r) => { r.setHeader('content-type', 'text/plain'); r.end(q.url) }).listen(process.env.PORT, '127.0.0.1')`,
		python: `
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200); self.send_header("content-type", "text/plain"); self.end_headers(); self.wfile.write(self.path.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()`,
		handler: by("web:index.js", "web:index.py", ""),
		calls:   []call{{event: webEvent, raw: true, want: "/a%20b/c?x=1&y=%2F"}},
	},
	{
		name:    "web program that does not start",
		node:    `process.exit(3)`,
		handler: by("web:index.js", "", ""),
		init:    &failure{typ: all("Runtime.ExitError"), message: all("Error: Runtime exited with error: exit status 3")},
	},
}
