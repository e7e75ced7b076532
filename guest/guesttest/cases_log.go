package guesttest

import "strings"

// logCases are about what is logged.
var logCases = []testCase{
	{
		name: "tagged messages",
		node: `exports.handler = async () => {
			console.log('a %s', 'b', { c: 1 }); console.info('i'); console.warn('w'); console.error(new Error('e').message);
			console.debug('d'); console.log('two\nlines'); console.log(); return 1 }`,
		python: `
import logging
def handler(event, context):
    log = logging.getLogger()
    log.info("not shown")
    log.warning("a %s", "b")
    log.setLevel(logging.DEBUG)
    log.info("i")
    logging.getLogger("x.y").debug("two\nlines")
    return 1`,
		calls: []call{{want: `1`, logs: map[string][]string{
			"node": {"TIME\tID\tINFO\ta b { c: 1 }", "TIME\tID\tINFO\ti", "TIME\tID\tWARN\tw", "TIME\tID\tERROR\te",
				"TIME\tID\tDEBUG\td", "TIME\tID\tINFO\ttwo\nlines", "TIME\tID\tINFO\t"},
			"python": {"[WARNING]\tTIME\tID\ta b", "[INFO]\tTIME\tID\ti", "[DEBUG]\tTIME\tID\ttwo\nlines"},
		}}},
	},
	{
		name:     "raw output",
		node:     `exports.handler = async () => { process.stdout.write('one\ntwo\n\nthree'); return 1 }`,
		python:   "def handler(event, context):\n    print('one\\ntwo\\n\\nthree', end='')\n    return 1",
		provided: "print",
		calls: []call{
			{want: `1`, logs: all2("one", "two", "three")},
			{want: `1`, logs: all2("one", "two", "three")},
		},
	},
	{
		name:     "standard error",
		node:     `exports.handler = async () => { process.stderr.write('oops\n'); return 1 }`,
		python:   "import sys\ndef handler(event, context):\n    print('oops', file=sys.stderr)\n    return 1",
		provided: "printErr",
		calls:    []call{{want: `1`, logs: all2("oops")}},
	},
	{
		name:     "output of a child process",
		node:     `exports.handler = async () => { require('child_process').execSync('echo child', { stdio: 'inherit' }); return 1 }`,
		python:   "import subprocess\ndef handler(event, context):\n    subprocess.run(['echo', 'child'])\n    return 1",
		provided: "child",
		calls:    []call{{want: `1`, logs: all2("child")}},
	},
	{
		name:     "line beyond the limit",
		node:     `exports.handler = async () => { process.stdout.write('x'.repeat(300 << 10) + '\n'); return 1 }`,
		python:   "def handler(event, context):\n    print('x' * (300 << 10))\n    return 1",
		provided: "printLong",
		calls:    []call{{want: `1`, logs: all2(strings.Repeat("x", 256<<10), strings.Repeat("x", 44<<10))}},
	},
	{
		name:   "message beyond the limit",
		node:   `exports.handler = async () => { console.log('x'.repeat(300 << 10)); return 1 }`,
		python: "import logging\ndef handler(event, context):\n    logging.warning('x' * (300 << 10))\n    return 1",
		calls: []call{{want: `1`, logs: map[string][]string{
			"node": {"TIME\tID\tINFO\txxx…", "xxx…"}, "python": {"[WARNING]\tTIME\tID\txxx…", "xxx…"}}}},
	},
	{
		name:   "JSON",
		node:   `exports.handler = async () => { console.debug('d'); console.log('a', 1); console.info({ k: 1 }); console.error(new TypeError('t')); return 1 }`,
		python: "import logging\ndef handler(event, context):\n    logging.debug('d')\n    logging.info('a %d', 1, extra={'k': 1})\n    return 1",
		format: "JSON",
		calls: []call{{want: `1`, logs: map[string][]string{
			"node": {`{"timestamp":"TIME","level":"INFO","requestId":"ID","message":"a 1"}`,
				`{"timestamp":"TIME","level":"INFO","requestId":"ID","message":{"k":1}}`,
				`{"timestamp":"TIME","level":"ERROR","requestId":"ID","message":{"errorType":"TypeError","errorMessage":"t","stackTrace":[…]}}`},
			"python": {`{"timestamp": "TIME", "level": "INFO", "message": "a 1", "logger": "root", "requestId": "ID", "k": 1}`},
		}}},
	},
}

// all2 is the same lines for every language.
func all2(lines ...string) map[string][]string {
	return map[string][]string{"node": lines, "python": lines, "provided": lines}
}
