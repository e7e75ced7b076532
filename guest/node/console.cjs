// console.* as Lambda tags it, each message one frame on the log pipe: type, length, microseconds, bytes (big endian).
// The pipe blocks, so a message that was logged is out of the process, whatever happens to it next.
'use strict';

const fs = require('fs');
const util = require('util');
const { errorLine } = require('./errors.cjs');

const LOG_FD = 4;
const HEADER = 16;
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const REQUEST = Symbol.for('aws.lambda.runtime.requestId');

let json = false;

function setRequest(id) { globalThis[REQUEST] = id; }

function write(level, message, now) {
  const size = Buffer.byteLength(message);
  const b = Buffer.allocUnsafe(HEADER + size);
  b.writeUInt32BE(((0xa55a0002 | (LEVELS[level] << 2)) | (json ? 0 : 1)) >>> 0, 0);
  b.writeUInt32BE(size, 4);
  const micros = now * 1000;
  b.writeUInt32BE(Math.floor(micros / 0x100000000), 8);
  b.writeUInt32BE(micros % 0x100000000, 12);
  b.write(message, HEADER);
  for (let at = 0; at < b.length;) at += fs.writeSync(LOG_FD, b, at);
}

function text(level, params) {
  const now = Date.now();
  write(level, `${new Date(now).toISOString()}\t${globalThis[REQUEST]}\t${level}\t${util.format(...params)}`, now);
}

function errorFields(e) {
  return {
    errorType: (e.constructor && e.constructor.name) || 'UnknownError',
    errorMessage: e.message,
    stackTrace: typeof e.stack === 'string' ? e.stack.split('\n') : e.stack,
  };
}

function structured(level, params) {
  const now = Date.now();
  const line = { timestamp: new Date(now).toISOString(), level, requestId: globalThis[REQUEST] };
  let out;
  if (params.length === 1) {
    try {
      out = JSON.stringify({ ...line, message: params[0] }, (_, v) => (v instanceof Error ? { ...errorFields(v), ...v } : v));
    } catch (_) {
      out = JSON.stringify({ ...line, message: util.format(params[0]) });
    }
  } else {
    const error = params.find((p) => p instanceof Error);
    out = JSON.stringify({ ...line, message: util.format(...params), ...(error && errorFields(error)) });
  }
  write(level, out, now);
}

// Node writes to a pipe without waiting; what is more than the pipe holds would come after the answer, or never when the
// process exits. Here it waits, as it does on a file. The streams are made when they are first asked for, by Node's getters.
for (const name of ['stdout', 'stderr']) {
  const made = Object.getOwnPropertyDescriptor(process, name);
  let stream;
  Object.defineProperty(process, name, {
    ...made,
    get() {
      if (stream === undefined) {
        stream = made.get.call(process);
        if (stream._handle && stream._handle.setBlocking) stream._handle.setBlocking(true);
      }
      return stream;
    },
  });
}

// patch replaces the console's methods; called when the function's environment is there, for its format and level.
function patch() {
  json = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const least = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || LEVELS.TRACE;
  const put = json ? structured : text;
  const method = (level) => (LEVELS[level] < least ? () => {} : (...params) => put(level, params));
  console.trace = method('TRACE');
  console.debug = method('DEBUG');
  console.log = console.info = method('INFO');
  console.warn = method('WARN');
  console.error = method('ERROR');
  console.fatal = (...params) => put('FATAL', params);
}

// error logs a failure of the function the way Lambda does.
function error(what, e) {
  if (json) console.error(e instanceof Error ? e : new Error(e));
  else console.error(what, errorLine(e));
}

module.exports = { patch, setRequest, error };
