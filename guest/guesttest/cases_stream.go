package guesttest

import "github.com/rouse-dev/rouse"

// streamCases answer piece by piece.
var streamCases = []testCase{
	{
		name: "streamed answer",
		node: `exports.handler = awslambda.streamifyResponse(async (event, out, context) => {
			out.setContentType('text/plain'); out.write('a'); await new Promise((r) => setTimeout(r, 5)); out.write(Buffer.from('b'));
			out.write({ c: 1 }); out.end() })`,
		calls: []call{
			{raw: true, want: `ab{"c":1}`, head: &rouse.Head{ContentType: "text/plain"}},
			{raw: true, want: `ab{"c":1}`, head: &rouse.Head{ContentType: "text/plain"}},
		},
	},
	{
		name: "streamed answer by pipeline, large",
		node: `const { pipeline } = require('stream/promises'); const { Readable } = require('stream');
			exports.handler = awslambda.streamifyResponse(async (event, out) => {
				await pipeline(Readable.from((function* () { for (let i = 0; i < event; i++) yield Buffer.alloc(1000, 'x') })()), out) })`,
		calls: []call{{event: "0", raw: true, want: "", head: &rouse.Head{ContentType: "application/octet-stream"}},
			{event: "3", raw: true, want: rep("x", 3000)}, {event: "9000", raw: true, want: rep("x", 9000000)}},
	},
	{
		name: "streamed answer with status and headers",
		node: `exports.handler = awslambda.streamifyResponse(async (event, out) => {
			out = awslambda.HttpResponseStream.from(out, { statusCode: 201, headers: { 'content-type': 'text/html', 'X-Count': 3 }, cookies: ['a=1'] });
			out.write('<p>'); out.end('hi') })`,
		provided: "streamHTTP",
		calls: []call{{raw: true, want: "<p>hi", head: &rouse.Head{ContentType: "text/html", Status: 201,
			Header: map[string][]string{"Content-Type": {"text/html"}, "X-Count": {"3"}}, Cookies: []string{"a=1"}}}},
	},
	{
		name:  "stream that fails before it begins",
		node:  `exports.handler = awslambda.streamifyResponse(async (event, out) => { throw new RangeError('early') })`,
		calls: []call{{fails: &failure{typ: all("RangeError"), message: all("early")}, raw: true}},
	},
	{
		name:     "stream that fails after it began",
		node:     `exports.handler = awslambda.streamifyResponse(async (event, out) => { out.write('half'); throw new RangeError('late') })`,
		provided: "streamError",
		calls:    []call{{fails: &failure{typ: by("RangeError", "", "errorString"), message: all("late")}, raw: true, want: "half"}},
	},
	{
		name: "stream that is not ended",
		node: `exports.handler = awslambda.streamifyResponse(async (event, out) => { out.write('half') })`,
		calls: []call{{fails: &failure{typ: all("string"), message: all("Response stream is not finished.")}, raw: true, want: "half"},
			{fails: &failure{typ: all("string"), message: all("Response stream is not finished.")}, raw: true, want: "half"}},
	},
	{
		name:  "stream of a handler without promise",
		node:  `exports.handler = awslambda.streamifyResponse((event, out) => { out.end() })`,
		calls: []call{{fails: &failure{typ: all("string"), message: all("Streaming does not support non-async handlers.")}, raw: true, want: ""}},
	},
	{
		name: "stream with a bad prelude",
		node: `exports.handler = awslambda.streamifyResponse(async (event, out) => {
			out = awslambda.HttpResponseStream.from(out, 'what'); out.end('hi') })`,
		calls: []call{{fails: &failure{typ: all("Function.InvalidResponse"),
			message: all("The streamed response is not valid: its prelude is not the JSON of a status and headers")}, raw: true}},
	},
}
