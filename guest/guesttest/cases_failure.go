package guesttest

import (
	"time"

	"github.com/rouse-dev/rouse/guest"
)

const tooLarge = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."

const exited1 = "RequestId: 8f5d1c9e-0000-4000-8000-000000000000 Error: Runtime exited with error: exit status 1"

// initCases fail before the first event.
var initCases = []testCase{
	{
		name:   "handler is not there",
		node:   `exports.other = async () => 1`,
		esm:    `export const other = async () => 1`,
		python: `def other(event, context): pass`,
		init: &failure{typ: all("Runtime.HandlerNotFound"),
			message: by("index.handler is undefined or not exported", "Handler 'handler' missing on module 'index'", ""),
			logs: map[string][]string{
				"node":   {"TIME\tundefined\tERROR\tUncaught Exception \t{\"errorType\":\"Runtime.HandlerNotFound\",\"errorMessage\":\"index.handler is undefined or not exported\",…}"},
				"python": {"[ERROR] Runtime.HandlerNotFound: Handler 'handler' missing on module 'index'\nTraceback (most recent call last):"},
			}},
	},
	{
		name: "handler is no function",
		node: `exports.handler = 1`,
		init: &failure{typ: all("Runtime.HandlerNotFound"), message: all("index.handler is not a function")},
	},
	{
		name:    "module is not there",
		node:    `exports.handler = async () => 1`,
		python:  `def handler(event, context): pass`,
		handler: by("absent.handler", "absent.handler", ""),
		init: &failure{typ: all("Runtime.ImportModuleError"),
			message: by("Error: Cannot find module 'absent'\nRequire stack:\n…", "Unable to import module 'absent': No module named 'absent'", "")},
	},
	{
		name:   "import of the handler's is not there",
		node:   `require('left-pad'); exports.handler = async () => 1`,
		python: "import left_pad\ndef handler(event, context): pass",
		init: &failure{typ: all("Runtime.ImportModuleError"),
			message: by("Error: Cannot find module 'left-pad'\nRequire stack:\n- …/index.js\n…", "Unable to import module 'index': No module named 'left_pad'", ""),
			keys:    map[string][]string{"node": {"trace"}, "python": {"stackTrace", "requestId"}}},
	},
	{
		name:   "syntax error",
		node:   `exports.handler = async () => {`,
		python: "def handler(event, context)\n    pass\n",
		init: &failure{typ: all("Runtime.UserCodeSyntaxError"),
			message: by("SyntaxError: Unexpected end of input", "Syntax error in module 'index': … (index.py, line 1)", "")},
	},
	{
		name: "syntax error in an ES module",
		esm:  `export const handler = async () => {`,
		init: &failure{typ: all("Runtime.UserCodeSyntaxError"), message: all("SyntaxError: Unexpected end of input")},
	},
	{
		name:     "malformed handler name",
		node:     `exports.handler = async () => 1`,
		python:   `def handler(event, context): pass`,
		provided: "",
		handler:  by("index", "index", ""),
		init: &failure{typ: all("Runtime.MalformedHandlerName"),
			message: by("Bad handler", "Bad handler 'index': not enough values to unpack (expected 2, got 1)", "")},
	},
	{
		name:    "handler name that leaves the folder",
		node:    `exports.handler = async () => 1`,
		handler: by("../index.handler", "", ""),
		init: &failure{typ: all("Runtime.MalformedHandlerName"),
			message: all("'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names.")},
	},
	{
		name:    "built-in module as handler",
		python:  `def handler(event, context): pass`,
		handler: by("", "sys.handler", ""),
		init: &failure{typ: all("Runtime.BuiltInModuleConflict"),
			message: all("Cannot use built-in module sys as a handler module")},
	},
	{
		name:   "module throws",
		node:   `throw new TypeError('no stock')`,
		esm:    `throw new TypeError('no stock')`,
		python: `raise TypeError('no stock')`,
		init:   &failure{typ: all("TypeError"), message: all("no stock")},
	},
	{
		name:     "exits while it is loaded",
		node:     `process.exit(1)`,
		python:   "import sys\nsys.exit(1)",
		provided: "exitInInit",
		init: &failure{typ: all("Runtime.ExitError"),
			message: all("Error: Runtime exited with error: exit status 1")},
	},
	{
		name:     "is killed while it is loaded",
		node:     `process.kill(process.pid, 'SIGKILL'); for (;;);`,
		python:   "import os\nos.kill(os.getpid(), 9)",
		provided: "killInInit",
		init:     &failure{typ: all("Runtime.ExitError"), message: all("Error: Runtime exited with error: signal: killed")},
	},
	{
		name: "callback handler asked to run on Node 24",
		node: `process.env.AWS_EXECUTION_ENV = 'AWS_Lambda_nodejs24.x'; exports.handler = (event, context, callback) => callback(null, 1)`,
		init: &failure{typ: all("Runtime.CallbackHandlerDeprecated"),
			message: all("ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. …")},
	},
}

// failureCases fail in a call.
var failureCases = []testCase{
	{
		name:     "exits in a call",
		node:     `exports.handler = async () => { console.log('bye'); process.exit(1) }`,
		python:   "import sys\ndef handler(event, context):\n    print('bye', end='')\n    sys.exit(1)",
		provided: "exit",
		calls: []call{{
			fails: &failure{typ: all("Runtime.ExitError"), message: all(exited1)}, state: guest.Exited,
			logs: map[string][]string{"node": {"TIME\tID\tINFO\tbye"}, "python": {"bye"}, "provided": {"bye"}},
		}},
	},
	{
		name:     "exits well in a call",
		node:     `exports.handler = async () => process.exit(0)`,
		python:   "import os\ndef handler(event, context): os._exit(0)",
		provided: "exitWell",
		calls: []call{{
			fails: &failure{typ: all("Runtime.ExitError"),
				message: all("RequestId: 8f5d1c9e-0000-4000-8000-000000000000 Error: Runtime exited without providing a reason")},
			state: guest.Exited,
		}},
	},
	{
		name:     "is killed in a call",
		node:     `exports.handler = async () => { process.kill(process.pid, 'SIGKILL'); for (;;); }`,
		python:   "import os\ndef handler(event, context): os.kill(os.getpid(), 9)",
		provided: "kill",
		calls: []call{{
			fails: &failure{typ: all("Runtime.ExitError"),
				message: all("RequestId: 8f5d1c9e-0000-4000-8000-000000000000 Error: Runtime exited with error: signal: killed")},
			state: guest.Exited,
		}},
	},
	{
		name: "uncaught exception",
		node: `exports.handler = () => new Promise(() => setTimeout(() => { throw new RangeError('late') }, 1))`,
		calls: []call{{
			fails: &failure{typ: all("RangeError"), message: all("late")}, state: guest.Exited,
			logs: map[string][]string{"node": {"TIME\tID\tERROR\tUncaught Exception \t{\"errorType\":\"RangeError\",\"errorMessage\":\"late\",…}"}},
		}},
	},
	{
		name: "unhandled rejection",
		node: `exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(() => setTimeout(() => {}, 1000)) }`,
		calls: []call{{
			fails: &failure{typ: all("Runtime.UnhandledPromiseRejection"), message: all("Error: lost")}, state: guest.Exited,
		}},
	},
	{
		name: "promise that is never settled",
		node: `exports.handler = async () => { await new Promise(() => {}) }`,
		calls: []call{
			{fails: &failure{typ: all("Runtime.NodeJsExit"), message: all("The Lambda runtime client detected an unexpected Node.js exit code. …")}},
			{fails: &failure{typ: all("Runtime.NodeJsExit"), message: all("The Lambda runtime client detected an unexpected Node.js exit code. …")}},
		},
	},
	{
		name:   "throws what is no error",
		node:   `exports.handler = async () => { throw 'plain' }`,
		python: "def handler(event, context): raise Exception()",
		calls:  []call{{fails: &failure{typ: by("string", "Exception", ""), message: by("plain", "", "")}}},
	},
	{
		name:   "answer that is no JSON",
		node:   `exports.handler = async () => { const a = {}; a.a = a; return a }`,
		python: "def handler(event, context): return {1, 2}",
		calls: []call{{fails: &failure{typ: by("Error", "Runtime.MarshalError", ""),
			message: by("Unable to stringify response body", "Unable to marshal response: Object of type set is not JSON serializable", "")}}},
	},
	{
		name:   "answers with a big integer, with a coroutine",
		node:   `exports.handler = async () => 1n`,
		python: "async def handler(event, context): return 1",
		calls: []call{{fails: &failure{typ: by("Error", "Runtime.MarshalError", ""),
			message: by("Unable to stringify response body", "Unable to marshal response: Object of type coroutine is not JSON serializable", "")}}},
	},
	{
		name:   "answer too large",
		node:   `exports.handler = async (n) => 'x'.repeat(n)`,
		python: "def handler(n, context): return 'x' * n",
		calls: []call{
			{event: "6291555", fails: &failure{typ: all("Function.ResponseSizeTooLarge"), message: all(tooLarge)}},
			{event: "3", want: `"xxx"`},
		},
	},
	{
		name:     "answer too large, refused by the Runtime API: AWS's client ends itself",
		provided: "repeat",
		calls: []call{
			{event: "3", want: `"xxx"`},
			{event: "6291555", dies: true, fails: &failure{typ: all("Function.ResponseSizeTooLarge"), message: all(tooLarge)}},
		},
	},
	{
		name:     "largest answer",
		node:     `exports.handler = async (n) => 'x'.repeat(n)`,
		python:   "def handler(n, context): return 'x' * n",
		provided: "repeat",
		calls:    []call{{event: "6291554", want: `"` + rep("x", 6291554) + `"`}},
	},
	{
		name:     "caller gives up",
		node:     `exports.handler = async () => { for (;;); }`,
		python:   "def handler(event, context):\n    while True: pass",
		provided: "hang",
		calls:    []call{{timeout: 100 * time.Millisecond}},
	},
	{
		name:   "garbage on the socket",
		node:   `exports.handler = async () => { require('fs').writeSync(3, 'GET / HTTP/1.1\r\n\r\n'); await new Promise((r) => setTimeout(r, 10000)) }`,
		python: "import os, time\ndef handler(event, context):\n    os.write(3, b'GET / HTTP/1.1\\r\\n\\r\\n')\n    time.sleep(10)",
		calls: []call{{state: guest.Broken, fails: &failure{typ: all("Runtime.Unknown"),
			message: all("RequestId: 8f5d1c9e-0000-4000-8000-000000000000 Error: Runtime sent an invalid message")}}},
	},
	{
		name:   "closes its socket",
		node:   `exports.handler = async () => { require('fs').closeSync(3); for (;;); }`,
		python: "import os, time\ndef handler(event, context):\n    os.close(3)\n    time.sleep(10)",
		calls: []call{{state: guest.Broken, fails: &failure{typ: all("Runtime.Unknown"),
			message: all("RequestId: 8f5d1c9e-0000-4000-8000-000000000000 Error: Runtime sent an invalid message")}}},
	},
	{
		name:   "garbage on the log pipe",
		node:   `exports.handler = async () => { require('fs').writeSync(4, 'plain text\n'); return 1 }`,
		python: "import os\ndef handler(event, context):\n    os.write(4, b'plain text\\n')\n    return 1",
		calls: []call{
			{want: `1`, logs: map[string][]string{"node": {"plain text"}, "python": {"plain text"}}},
		},
	},
}
