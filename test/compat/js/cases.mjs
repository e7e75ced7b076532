// Runs the cases of a program and prints a line for each, as program_test.go reads them. A case fails by throwing; cases run
// in the order in which they stand. Clean-ups that a case leaves with `later` run at the end, newest first.

import assert from 'node:assert/strict';
import * as zlib from 'node:zlib';

export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';
export const TRUST = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
});

// often makes the SDK's waiters ask as often as a test likes.
export const often = (client) => ({ client, minDelay: 0.1, maxDelay: 0.2, maxWaitTime: 30 });

const cleanups = [];
export const later = (f) => cleanups.push(f);

export const equal = (got, want, what) => assert.deepEqual(got, want, `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);

export const inside = (part, text, what) => {
  if (!text.includes(part)) throw new Error(`${what}: got ${JSON.stringify(text)}, want it to contain ${JSON.stringify(part)}`);
};

// raises wants f to reject with kind, an exception's class or name, and answers the error.
export async function raises(kind, f) {
  let error;
  try {
    await f();
  } catch (e) {
    error = e;
  }
  const name = typeof kind === 'string' ? kind : kind.name;
  if (!error) throw new Error(`got success, want ${name}`);
  if (typeof kind === 'string' ? error.name !== kind : !(error instanceof kind)) {
    throw new Error(`got ${error.name} (${error.constructor.name}): ${error.message}, want ${name}`);
  }
  return error;
}

function crc32(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes); // Node.js 22 has it
  let crc = ~0;
  for (const b of bytes) {
    crc ^= b;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

// archive makes a zip of contents by name.
export function archive(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const raw = Buffer.from(content);
    const packed = zlib.deflateRawSync(raw);
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0); // version
    head.writeUInt16LE(8, 4); // deflate
    head.writeUInt16LE(0x21, 8); // 1980-01-01
    head.writeUInt32LE(crc32(raw), 10);
    head.writeUInt32LE(packed.length, 14);
    head.writeUInt32LE(raw.length, 18);
    head.writeUInt16LE(Buffer.byteLength(name), 22);
    parts.push(Buffer.from('PK\x03\x04'), head, Buffer.from(name), packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((0o100644 << 16) >>> 0, 6); // mode
    tail.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), head, tail, Buffer.from(name));
    at += 4 + head.length + Buffer.byteLength(name) + packed.length;
  }
  const middle = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(Object.keys(files).length, 4);
  end.writeUInt16LE(Object.keys(files).length, 6);
  end.writeUInt32LE(middle.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, middle, Buffer.from('PK\x05\x06'), end]);
}

function line(word, name, reason = '') {
  const text = String(reason).trim().replaceAll('\n', '\\n');
  process.stdout.write(text ? `${word} ${name}: ${text}\n` : `${word} ${name}\n`);
}

const told = (e) => e.stack ?? String(e);

export async function main(cases) {
  for (const [name, f] of Object.entries(cases)) {
    try {
      await f();
      line('ok', name);
    } catch (e) {
      line('not ok', name, told(e));
    }
  }
  for (const f of cleanups.reverse()) {
    try {
      await f();
    } catch (e) {
      line('not ok', 'clean up', told(e));
    }
  }
  line('done', Object.keys(cases).length);
}
