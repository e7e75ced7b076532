// Web handlers: payload 2.0 of an HTTP API or function URL as a Request, the Response as a streamed answer.
'use strict';

const { HttpResponseStream } = require('./stream.cjs');
const { RuntimeError } = require('./errors.cjs');

function toRequest(event) {
  const http = event && event.requestContext && event.requestContext.http;
  if (!http || !String(event.version).startsWith('2.')) {
    throw new RuntimeError('InvalidEvent', 'this function is a web handler and takes HTTP requests (payload 2.0) only');
  }
  const headers = new Headers();
  for (const [k, v] of Object.entries(event.headers || {})) headers.set(k, v);
  if (event.cookies && event.cookies.length) headers.set('cookie', event.cookies.join('; '));
  const proto = headers.get('x-forwarded-proto') || 'https';
  const host = headers.get('host') || event.requestContext.domainName || 'localhost';
  const query = event.rawQueryString ? '?' + event.rawQueryString : '';
  const init = { method: http.method, headers };
  if (event.body !== undefined && event.body !== null && http.method !== 'GET' && http.method !== 'HEAD') {
    init.body = event.isBase64Encoded ? Buffer.from(event.body, 'base64') : event.body;
  }
  return new Request(`${proto}://${host}${event.rawPath || '/'}${query}`, init);
}

// cookiesOf is what a Response sets. Debian's Node.js 18 has no getSetCookie and joins them by commas: a comma in a date
// is not followed by a name and an equals sign.
function cookiesOf(headers) {
  if (headers.getSetCookie) return headers.getSetCookie();
  const joined = headers.get('set-cookie');
  return joined ? joined.split(/,\s*(?=[\w!#$%&'*+.^`|~-]+=)/) : [];
}

function prelude(response) {
  const headers = {};
  response.headers.forEach((v, k) => { if (k !== 'set-cookie') headers[k] = v; });
  const cookies = cookiesOf(response.headers);
  return { statusCode: response.status, headers, cookies };
}

async function serve(handler, event, out, context) {
  const later = [];
  const response = await handler(toRequest(event), process.env, {
    waitUntil(promise) { later.push(promise); },
    passThroughOnException() {},
    awsContext: context,
    awsEvent: event,
  });
  if (!response || typeof response.status !== 'number' || !response.headers) {
    throw new TypeError('the web handler did not return a Response');
  }
  HttpResponseStream.from(out, prelude(response));
  if (response.body) {
    for await (const chunk of response.body) {
      if (!out.write(chunk)) await new Promise((resolve) => out.once('drain', resolve));
    }
  }
  await new Promise((resolve) => out.end(resolve));
  const failed = (await Promise.allSettled(later)).find((r) => r.status === 'rejected');
  if (failed) console.error('waitUntil:', failed.reason);
}

module.exports = { serve };
