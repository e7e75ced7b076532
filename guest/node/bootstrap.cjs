// The Node side of the framed protocol (see the package page of guest): boots without a function, becomes one on 'I',
// runs it on each 'E'. Works on Node 16 and newer. Kept small and lazy: what only some functions need (streams, web
// handlers, resolution hooks) is loaded when they do.
'use strict';

const net = require('net');
const { errorPayload, RuntimeError } = require('./errors.cjs');
const log = require('./console.cjs');

const SOCKET_FD = 3;
const HEADER = 5;
const INIT = 0x49, EVENT = 0x45, CODE = 0x43, COMPILE = 0x4b;

const socket = new net.Socket({ fd: SOCKET_FD, readable: true, writable: true });

// send writes one frame with one write; done runs when it has left the process.
function send(kind, payload, done) {
  const text = typeof payload === 'string';
  const size = text ? Buffer.byteLength(payload) : payload.length;
  const b = Buffer.allocUnsafe(HEADER + size);
  b.writeUInt32LE(size, 0);
  b[4] = kind.charCodeAt(0);
  if (text) b.write(payload, HEADER);
  else b.set(payload, HEADER);
  return socket.write(b, done);
}

// Frames arrive in pieces; a piece is copied once, when its frame is whole.
let pieces = [];
let held = 0;

function receive(piece) {
  pieces.push(piece);
  held += piece.length;
  for (;;) {
    if (held < HEADER) return;
    if (pieces[0].length < HEADER) pieces = [Buffer.concat(pieces)];
    const size = HEADER + pieces[0].readUInt32LE(0);
    if (held < size) return;
    const all = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    const rest = all.subarray(size);
    pieces = rest.length ? [rest] : [];
    held = rest.length;
    dispatch(all[4], all.subarray(HEADER, size));
  }
}

function dispatch(kind, payload) {
  if (kind === EVENT) onEvent(payload);
  else if (kind === INIT) onInit(JSON.parse(payload.toString()));
  else if (kind === CODE) require('./cache.cjs').keep(payload);
  else if (kind === COMPILE) onCompile(JSON.parse(payload.toString()));
}

socket.on('data', receive);
socket.on('end', () => process.exit(0));
socket.on('error', () => process.exit(1));

// What the process says when the event loop has nothing left to do, or something failed that nobody catches.
let onEmpty = () => {};
let invocation = null; // the one that runs
let loading = true;

process.on('beforeExit', () => onEmpty());

function fatal(error, code) {
  onEmpty = () => {};
  if (!loading && invocation === null) process.exit(code);
  socket.ref();
  send('Q', errorPayload(error), () => process.exit(code));
}

process.on('uncaughtException', (error) => {
  log.error('Uncaught Exception', error);
  fatal(error, 129);
});

process.on('unhandledRejection', (reason, promise) => {
  const error = new RuntimeError('UnhandledPromiseRejection', reason);
  error.reason = reason;
  error.promise = promise;
  log.error('Unhandled Promise Rejection', error);
  fatal(error, 128);
});

let handler, streaming, isAsync, web;

async function onInit(m) {
  clearTimeout(idle);
  Object.assign(process.env, m.env);
  log.patch();
  const awslambda = {
    streamifyResponse(fn, options) {
      fn[Symbol.for('aws.lambda.runtime.handler.streaming')] = 'response';
      const mark = parseInt(options && options.highWaterMark, 10);
      if (mark > 0) fn[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')] = mark;
      return fn;
    },
    get HttpResponseStream() { return require('./stream.cjs').HttpResponseStream; },
  };
  if (!/^(1|true)$/.test(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA || '')) globalThis.awslambda = awslambda;
  try {
    process.chdir(m.taskRoot);
    const load = require('./load.cjs');
    web = m.handler.includes('#');
    handler = web ? await load.web(m.taskRoot, m.handler) : await load.handler(m.taskRoot, m.handler);
  } catch (error) {
    log.error('Uncaught Exception', error);
    send('F', errorPayload(error));
    return;
  }
  streaming = handler[Symbol.for('aws.lambda.runtime.handler.streaming')];
  isAsync = handler.constructor.name === 'AsyncFunction';
  loading = false;
  send('R', '');
}

// onCompile compiles a function's files. The process is good for nothing else then.
function onCompile(m) {
  require('./cache.cjs').compile(m.root, m.handler, (file, code) => {
    const meta = Buffer.from(JSON.stringify({ path: file }));
    const size = Buffer.alloc(4);
    size.writeUInt32LE(meta.length, 0);
    send('K', Buffer.concat([size, meta, code]));
  });
  send('R', '');
}

// finish ends the invocation of the given context, once.
function finish(context, kind, payload) {
  if (invocation !== context) return false;
  invocation = null;
  onEmpty = () => {};
  socket.ref();
  send(kind, payload);
  return true;
}

function fail(context, error) {
  if (invocation !== context) return;
  if (error && /^(ERR_)?MODULE_NOT_FOUND$/.test(error.code)) require('./remedy.cjs').add(error);
  log.error('Invoke Error', error);
  finish(context, 'X', errorPayload(error));
}

function succeed(context, result) {
  if (invocation !== context) return;
  let body;
  try {
    body = JSON.stringify(result === undefined ? null : result);
  } catch (_) {
    fail(context, new Error('Unable to stringify response body'));
    return;
  }
  finish(context, 'O', body === undefined ? '' : body);
}

const EMPTY_LOOP = 'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a ' +
  'Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';

function onEvent(payload) {
  const at = 4 + payload.readUInt32LE(0);
  const m = JSON.parse(payload.utf8Slice(4, at));
  if (m.env) Object.assign(process.env, m.env);
  if (m.trace) process.env._X_AMZN_TRACE_ID = m.trace;
  else delete process.env._X_AMZN_TRACE_ID;
  log.setRequest(m.id);

  const env = process.env;
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: m.clientContext,
    identity: m.identity,
    invokedFunctionArn: m.arn,
    awsRequestId: m.id,
    getRemainingTimeInMillis() { return m.deadline - Date.now(); },
  };
  invocation = context;
  socket.unref(); // from here to the answer the loop is the function's: when it runs empty, nothing more will come
  if (web || streaming) return stream(context, payload, at, m);
  let event;
  try {
    event = JSON.parse(payload.utf8Slice(at));
  } catch (error) {
    return fail(context, error);
  }
  run(context, event);
}

// run calls a handler that answers by a promise, by its callback or by the context.
function run(context, event) {
  onEmpty = () => {
    if (isAsync) fail(context, new RuntimeError('NodeJsExit', EMPTY_LOOP));
    else succeed(context, null);
  };
  let settled = false;
  const once = (fn) => (...args) => {
    if (settled) return;
    settled = true;
    fn(...args);
  };
  const done = once((error, result) => {
    if (error !== undefined && error !== null) fail(context, error);
    else succeed(context, result);
  });
  context.succeed = (result) => done(null, result);
  context.fail = (error) => done(error === undefined || error === null ? 'handled' : error);
  context.done = done;
  const callback = once((error, result) => {
    if (error !== undefined && error !== null) return fail(context, error);
    if (!context.callbackWaitsForEmptyEventLoop) return succeed(context, result);
    onEmpty = () => succeed(context, result);
  });
  try {
    const result = handler(event, context, callback);
    if (result && typeof result.then === 'function') {
      result.then(context.succeed, context.fail);
    }
  } catch (error) {
    callback(error);
  }
}

// stream runs a handler that writes its answer.
function stream(context, payload, at, m) {
  const { ResponseStream } = require('./stream.cjs');
  const mark = handler[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')];
  const out = new ResponseStream((kind, b, done) => {
    if (invocation === context) send(kind, b, done);
    else if (done) done();
  }, mark);
  // A write that waits for the socket keeps the loop alive although the socket itself does not.
  onEmpty = () => fail(context, 'Response stream is not finished.');
  const ended = new Promise((resolve, reject) => {
    out.on('finish', resolve);
    out.on('error', reject);
  });
  ended.catch(() => {});
  (async () => {
    const event = JSON.parse(payload.utf8Slice(at));
    const promise = web ? require('./web.cjs').serve(handler, event, out, context) : handler(event, out, context);
    if (!promise || typeof promise.then !== 'function') throw 'Streaming does not support non-async handlers.';
    const result = await promise;
    if (result !== undefined && !web) console.warn('Streaming handlers ignore return values.');
    await ended;
    finish(context, 'Z', '');
  })().catch((error) => fail(context, error));
}

// up says that a function can come. One that does not come at once finds loaded what its first moments need.
let idle;

async function up() {
  const ahead = process.argv.splice(2)[0];
  const reads = ahead === undefined ? [] : await require('./preload.cjs').preload(ahead === 'modules');
  send('U', JSON.stringify({ version: process.versions.node, abi: process.versions.modules, reads }));
  idle = setTimeout(() => {
    require('./cache.cjs');
    require('./load.cjs').warm();
  }, 20);
}

up();
