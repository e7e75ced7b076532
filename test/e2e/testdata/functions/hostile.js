// Lies to the platform, stops listening to it, takes what it can get, and tells what came of it.
const fs = require('fs');
const net = require('net');
const crypto = require('crypto');

let count = 0; // shows whether the instance is the same
const kept = [];
const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
const rest = ms => new Promise(resolve => setTimeout(resolve, ms));

// flood opens connections to the platform and leaves each with half a request.
const flood = most => new Promise(resolve => {
  let open = 0, ended = 0;
  const again = () => {
    if (open + ended >= most) return resolve({open, ended});
    const s = net.connect({host: endpoint.hostname, port: endpoint.port});
    s.on('connect', () => { open++; kept.push(s); s.write('POST / HTTP/1.1\r\nHost: x\r\nX-Slow: '); setImmediate(again); });
    s.on('error', e => { ended++; if (e.code === 'EMFILE') resolve({open, ended, code: e.code}); else setImmediate(again); });
  };
  again();
});

const tries = {
  count: async () => ++count,
  // Raw bytes on the socket by which the platform speaks with this process, in place of an answer.
  frames: async ({bytes}) => { fs.writeSync(3, Buffer.from(bytes, 'base64')); await rest(20_000); },
  // Answers, and never listens again.
  deaf: async () => { setTimeout(() => { for (;;); }, 5); return 'last'; },
  size: async e => JSON.stringify(e).length,
  random: async () => { await rest(700); return [String(Math.random()), crypto.randomUUID(), crypto.randomBytes(8).toString('hex')]; },
  clock: async () => Date.now(),
  files: async () => {
    const all = [];
    try { for (;;) all.push(fs.openSync('/dev/null')); } catch (e) { all.forEach(f => fs.closeSync(f)); return {opened: all.length, code: e.code}; }
  },
  flood: async ({most}) => flood(most),
  listen: async () => new Promise(resolve => {
    net.createServer().on('error', e => resolve(e.code)).listen(Number(endpoint.port), endpoint.hostname, () => resolve('listens'));
  }),
};

exports.handler = async event => tries[event.try](event);
