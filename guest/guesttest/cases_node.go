package guesttest

// languageCases are what only one language has: ways to find and to write a handler.
var languageCases = []testCase{
	{
		name:  "callback",
		node:  `exports.handler = (event, context, callback) => { setTimeout(() => callback(null, event.n + 1), 5) }`,
		calls: []call{{event: `{"n":1}`, want: `2`}, {event: `{"n":2}`, want: `3`}},
	},
	{
		name:  "callback with an error",
		node:  `exports.handler = (event, context, callback) => callback(new RangeError('far'))`,
		calls: []call{{fails: &failure{typ: all("RangeError"), message: all("far")}}},
	},
	{
		name:  "callback with a text as error",
		node:  `exports.handler = (event, context, callback) => callback('far')`,
		calls: []call{{fails: &failure{typ: all("string"), message: all("far")}}},
	},
	{
		name:  "throws before it calls back",
		node:  `exports.handler = (event, context, callback) => { throw new RangeError('far') }`,
		calls: []call{{fails: &failure{typ: all("RangeError"), message: all("far")}}},
	},
	{
		name: "callback waits for the event loop",
		node: `let n = 0; exports.handler = (event, context, callback) => {
			context.callbackWaitsForEmptyEventLoop = event.wait; callback(null, n); setTimeout(() => n++, 20) }`,
		calls: []call{{event: `{"wait":true}`, want: `0`}, {event: `{"wait":true}`, want: `1`}, {event: `{"wait":false}`, want: `2`},
			{event: `{"wait":false}`, want: `2`}},
	},
	{
		name:  "never calls back",
		node:  `exports.handler = (event, context, callback) => {}`,
		calls: []call{{want: `null`}, {want: `null`}},
	},
	{
		name: "context.succeed, fail and done",
		node: `exports.handler = (event, context) => { setTimeout(() => context[event.how](...event.args), 1) }`,
		calls: []call{
			{event: `{"how":"succeed","args":[{"a":1}]}`, want: `{"a":1}`},
			{event: `{"how":"done","args":[null,2]}`, want: `2`},
			{event: `{"how":"done","args":["bad"]}`, fails: &failure{typ: all("string"), message: all("bad")}},
			{event: `{"how":"fail","args":["bad"]}`, fails: &failure{typ: all("string"), message: all("bad")}},
			{event: `{"how":"fail","args":[]}`, fails: &failure{typ: all("string"), message: all("handled")}},
		},
	},
	{
		name: "only the first answer counts",
		node: `exports.handler = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false;
			callback(null, 1); callback(null, 2); context.succeed(3) }`,
		calls: []call{{want: `1`}, {want: `1`}},
	},
	{
		name:    "handler in a folder, nested",
		node:    `exports.shop = { list: { handler: async () => 'found' } }`,
		python:  "def handler(event, context): return 'found'",
		file:    by("src/deep/api.js", "src/deep/api.py", ""),
		handler: by("src/deep/api.shop.list.handler", "src/deep/api.handler", ""),
		calls:   []call{{want: `"found"`}},
	},
	{
		name:    "handler in a package, by dots",
		python:  "from . import stock\ndef handler(event, context): return stock.N",
		file:    by("", "shop/api.py", ""),
		files:   map[string]string{"shop/__init__.py": "", "shop/stock.py": "N = 7"},
		handler: by("", "shop.api.handler", ""),
		calls:   []call{{want: `7`}},
	},
	{
		name:  "type: module",
		node:  `import { n } from './stock.js'; export const handler = async () => n; await Promise.resolve()`,
		files: map[string]string{"package.json": `{"type":"module"}`, "stock.js": `export const n = 7`},
		calls: []call{{want: `7`}},
	},
	{
		name:  "cjs",
		node:  `exports.handler = async () => typeof require`,
		file:  by("index.cjs", "", ""),
		files: map[string]string{"package.json": `{"type":"module"}`},
		calls: []call{{want: `"function"`}},
	},
	{
		name:  "package of the function's own",
		node:  `const n = require('stock'); exports.handler = async () => n`,
		esm:   `import n from 'stock'; export const handler = async () => n`,
		files: map[string]string{"node_modules/stock/package.json": `{"name":"stock","main":"main.js"}`, "node_modules/stock/main.js": `module.exports = 7`},
		calls: []call{{want: `7`}},
	},
	{
		name:   "package of a layer",
		since:  18, // whose ES modules can be helped to find it
		node:   `const n = require('stock'); exports.handler = async () => n`,
		esm:    `import n from 'stock'; export const handler = async () => n`,
		python: "import stock\ndef handler(event, context): return stock.N",
		layers: map[string]string{"nodejs/node_modules/stock/index.js": `module.exports = 7`, "python/stock.py": "N = 7"},
		calls:  []call{{want: `7`}},
	},
	{
		name:   "numbers of DynamoDB, bytes",
		python: "from decimal import Decimal\ndef handler(event, context): return [Decimal('3'), Decimal('2.5')] if event else b'{\"raw\":1}'",
		calls:  []call{{event: `1`, want: `[3,2.5]`}, {event: `0`, want: `{"raw":1}`}},
	},
	{
		name: "event that is no JSON",
		node: `exports.handler = async () => 1`, python: `def handler(event, context): return 1`,
		calls: []call{{event: `{`, fails: &failure{typ: by("SyntaxError", "Runtime.UnmarshalError", ""), message: by("…JSON…", "Unable to unmarshal input: …", "")}}},
	},
}
