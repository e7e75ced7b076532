package guesttest

import (
	"strings"

	"github.com/rouse-dev/rouse"
)

// cases is the table.
var cases = []testCase{
	{
		name:     "echo",
		node:     `exports.handler = async (event) => event`,
		esm:      `export const handler = async (event) => event`,
		python:   `def handler(event, context): return event`,
		provided: "echo",
		calls: []call{
			{event: `{"a":[1,"é€😀",null,true,{"b":1.5}]}`, want: `{"a":[1,"é€😀",null,true,{"b":1.5}]}`},
			{event: `"text"`, want: `"text"`},
			{event: `[]`, want: `[]`},
			{event: `null`, want: `null`},
			{event: `"` + strings.Repeat("x", rouse.EventMax-2) + `"`, want: `"` + strings.Repeat("x", rouse.EventMax-2) + `"`},
		},
	},
	{
		name:   "nothing returned is null",
		node:   `exports.handler = async () => {}`,
		python: `def handler(event, context): pass`,
		calls:  []call{{want: `null`}, {want: `null`}},
	},
	{
		name: "context",
		node: `exports.handler = async (e, c) => ({ id: c.awsRequestId, name: c.functionName, version: c.functionVersion,
			arn: c.invokedFunctionArn, memory: c.memoryLimitInMB, group: c.logGroupName, stream: c.logStreamName,
			time: c.getRemainingTimeInMillis() > 1000 && c.getRemainingTimeInMillis() <= 3000, custom: c.clientContext.custom })`,
		python: `
def handler(e, c):
    return dict(id=c.aws_request_id, name=c.function_name, version=c.function_version, arn=c.invoked_function_arn,
                memory=c.memory_limit_in_mb, group=c.log_group_name, stream=c.log_stream_name,
                time=1000 < c.get_remaining_time_in_millis() <= 3000, custom=c.client_context.custom)`,
		provided: "context",
		calls: []call{{clientContext: `{"custom":{"k":"v"}}`, want: `{"id":"8f5d1c9e-0000-4000-8000-000000000000","name":"shop",
			"version":"$LATEST","arn":"arn:aws:lambda:us-east-1:000000000000:function:shop:live","memory":"128",
			"group":"/aws/lambda/shop","stream":"2024/01/01/[$LATEST]0","time":true,"custom":{"k":"v"}}`}},
	},
	{
		name: "environment",
		node: `const seen = (k) => process.env[k]; exports.handler = async (keys) => keys.map((k) => seen(k) === undefined ? null : seen(k))`,
		python: `
import os
def handler(keys, context): return [os.environ.get(k) for k in keys]`,
		provided: "environment",
		calls: []call{
			{event: `["COLOUR","AWS_REGION","AWS_DEFAULT_REGION","AWS_LAMBDA_FUNCTION_NAME","AWS_LAMBDA_FUNCTION_VERSION",
				"AWS_LAMBDA_FUNCTION_MEMORY_SIZE","AWS_LAMBDA_LOG_GROUP_NAME","AWS_LAMBDA_INITIALIZATION_TYPE","AWS_ACCESS_KEY_ID",
				"AWS_SECRET_ACCESS_KEY","AWS_SESSION_TOKEN","AWS_ENDPOINT_URL","TZ","LANG","_X_AMZN_TRACE_ID","HOME","ABSENT"]`,
				trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
				want: `["blue","us-east-1","us-east-1","shop","$LATEST","128","/aws/lambda/shop","on-demand","ASIA","secret","token",
				"http://127.0.0.1:4566",":UTC","en_US.UTF-8","Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",null,null]`},
			{event: `["_X_AMZN_TRACE_ID"]`, trace: "Root=2", want: `["Root=2"]`},
		},
	},
	{
		name:     "state is kept between calls",
		node:     `let n = 0; exports.handler = async () => ++n`,
		esm:      `let n = 0; export const handler = async () => ++n`,
		python:   "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n",
		provided: "count",
		calls:    []call{{want: `1`}, {want: `2`}, {want: `3`}},
	},
	{
		name:     "error",
		node:     `class Sold extends Error { constructor(m) { super(m); this.name = 'Sold' } }; exports.handler = async () => { throw new Sold('out of it') }`,
		esm:      `class Sold extends Error { constructor(m) { super(m); this.name = 'Sold' } }; export const handler = async () => { throw new Sold('out of it') }`,
		python:   "class Sold(Exception): pass\ndef handler(event, context): raise Sold('out of it')",
		provided: "error",
		calls: []call{{
			fails: &failure{typ: by("Sold", "Sold", "Sold"), message: all("out of it"),
				keys: map[string][]string{"node": {"trace"}, "python": {"stackTrace", "requestId"}}},
			logs: map[string][]string{
				"node":   {"TIME\tID\tERROR\tInvoke Error \t{\"errorType\":\"Sold\",\"errorMessage\":\"out of it\",\"name\":\"Sold\",\"stack\":[\"Sold: out of it\",…]}"},
				"python": {"[ERROR] Sold: out of it\nTraceback (most recent call last):\n\u00a0\u00a0File \"…index.py\", line 2, in handler\n…"},
			},
		}, {
			fails: &failure{typ: by("Sold", "Sold", "Sold"), message: all("out of it")},
		}},
	},
}
