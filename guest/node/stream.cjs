// Streamed answers: a Writable whose chunks are frames.
'use strict';

const { Writable } = require('stream');
const { RuntimeError } = require('./errors.cjs');

const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response';
const PIECE = 1 << 20; // of one frame

class ResponseStream extends Writable {
  // send(kind, bytes, done) writes one frame.
  constructor(send, highWaterMark) {
    super({ highWaterMark, decodeStrings: true });
    this._frame = send;
    this._type = 'application/octet-stream';
    this._begun = false;
  }

  setContentType(type) {
    if (this._begun) throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this._type = String(type);
  }

  write(chunk, encoding, callback) {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) chunk = JSON.stringify(chunk);
    if (!this._begun) this._begin();
    return super.write(chunk, encoding, callback);
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') return this.end(undefined, undefined, chunk);
    if (chunk !== undefined && chunk !== null) this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
    else if (!this._begun) this._begin();
    return super.end(typeof encoding === 'function' ? encoding : callback);
  }

  _begin() {
    this._begun = true;
    this._frame('H', this._type);
    if (typeof this._onBeforeFirstWrite === 'function') this._onBeforeFirstWrite((b) => super.write(b));
  }

  _write(chunk, _encoding, done) {
    let at = 0;
    for (; chunk.length - at > PIECE; at += PIECE) this._frame('D', chunk.subarray(at, at + PIECE));
    this._frame('D', chunk.subarray(at), done);
  }
}

class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType(PRELUDE_TYPE);
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

module.exports = { ResponseStream, HttpResponseStream };
