package compat

import (
	"archive/zip"
	"bytes"
	"testing"
)

// pythonEcho answers with what it was told and what it knows of itself, and misbehaves when asked to.
const pythonEcho = `
import json, os, sys, time

def handler(event, context):
    print("saw " + json.dumps(event, sort_keys=True)[:2000])
    act = event.get("act") if isinstance(event, dict) else None
    if act == "raise":
        raise ValueError("no such coupon")
    if act == "exit":
        sys.exit(3)
    if act == "sleep":
        time.sleep(30)
    if act == "keys":
        return {k: os.environ.get(k) for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    if act == "read":
        return open(event["path"]).read()
    client = context.client_context
    return {
        "event": event,
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "request": context.aws_request_id,
        "stage": os.environ.get("STAGE"),
        "custom": client.custom if client else None,
    }
`

// nodeStream streams three chunks, or what the event asks for.
const nodeStream = `
export const handler = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.setContentType('text/plain');
  for (const part of ['one ', 'two ', 'three']) {
    stream.write(part);
    await new Promise((done) => setTimeout(done, 20));
    if (event.fail && part === 'two ') throw new TypeError('broke off');
  }
  stream.end();
});
`

// nodeWeb answers an event of an HTTP API, a function URL or a REST API.
const nodeWeb = `
export const handler = async (event) => {
  const http = event.requestContext.http;
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json', 'x-shape': event.version ?? 'none' },
    body: JSON.stringify({
      method: http ? http.method : event.httpMethod,
      path: event.rawPath ?? event.path,
      route: event.routeKey ?? event.resource,
      id: event.pathParameters?.id,
      q: event.queryStringParameters?.q,
      stage: event.requestContext.stage,
      body: event.body,
    }),
  };
};
`

// archive makes a zip of names and contents, in pairs.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		check(t, err, "add "+files[i])
	}
	check(t, z.Close(), "end archive")
	return b.Bytes()
}
