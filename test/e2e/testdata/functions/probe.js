// Tries whatever an event asks for and tells what came of it.
const fs = require('fs');
const net = require('net');
const {execFileSync, spawnSync} = require('child_process');
const aws = require('./aws');

let count = 0; // shows whether the instance is the same
let ticks = 0; // stands still while it is frozen
setInterval(() => ticks++, 10);

const dial = (host, port) => new Promise(resolve => {
  const s = net.connect({host, port, timeout: 700});
  const end = r => { s.destroy(); resolve(r); };
  s.on('connect', () => end('connected')).on('timeout', () => end('timeout')).on('error', e => end(e.code));
});

const tries = {
  env: async () => Object.fromEntries(Object.entries(process.env).filter(([k]) => /^(AWS_|_X_AMZN|_HANDLER|LAMBDA_|TZ|LANG|HOME|PATH)/.test(k))),
  count: async () => ++count,
  ticks: async () => ticks,
  sleep: ({ms}) => new Promise(resolve => setTimeout(() => resolve(++count), ms)),
  memory: async ({mb}) => { const all = []; for (let i = 0; i < mb; i++) all.push(Buffer.alloc(1 << 20, i)); return all.length; },
  heap: async () => { const all = []; for (;;) all.push(new Array(1000).fill(Math.random())); },
  spin: async () => { for (;;); },
  tmp: async ({mb}) => {
    let written = 0;
    try {
      for (; written < mb; written++) fs.appendFileSync('/tmp/large', Buffer.alloc(1 << 20, 1));
      return {written};
    } catch (e) {
      return {written, code: e.code};
    } finally {
      fs.rmSync('/tmp/large', {force: true});
    }
  },
  write: async ({path}) => { try { fs.writeFileSync(path, 'x'); return 'written'; } catch (e) { return e.code; } },
  read: async ({path}) => { try { return fs.readFileSync(path, 'latin1').slice(0, 200); } catch (e) { return e.code; } },
  // The shell ends at the first fork that is refused; until then it prints a line for each.
  bomb: async () => {
    const r = spawnSync('/bin/sh', ['-c', 'for i in 1 2 3 4 5 6; do for j in 0 1 2 3 4 5 6 7 8 9; do for k in 0 1 2 3 4 5 6 7 8 9; do '
      + 'for l in 0 1 2 3 4 5 6 7 8 9; do sleep 100 >/dev/null 2>&1 & echo; done; done; done; done']);
    return {made: r.stdout.toString().split('\n').length - 1, failed: r.stderr.toString()};
  },
  print: async ({mb}) => {
    const line = 'x'.repeat(1023) + '\n';
    const block = line.repeat(1024);
    for (let i = 0; i < mb; i++) fs.writeSync(1, block);
    return mb;
  },
  dial: async ({to}) => Object.fromEntries(await Promise.all(to.map(async ([h, p]) => [h + ':' + p, await dial(h, p)]))),
  listen: ({port}) => new Promise((resolve, reject) => {
    net.createServer(s => s.end('hello')).on('error', reject).listen(port, '0.0.0.0', () => resolve(execFileSync('/bin/cat', ['/proc/net/fib_trie']).toString()));
  }),
  processes: async () => fs.readdirSync('/proc').filter(n => /^\d+$/.test(n)).map(p => {
    try { return fs.readFileSync(`/proc/${p}/cmdline`, 'latin1').replace(/\0/g, ' ').trim(); } catch { return ''; }
  }),
  caller: async ({keys}) => aws.caller(keys),
  call: async ({service, method, path, headers = {}, body = ''}) => aws.request(service, method, path, headers, body),
  invoke: async ({name, event}) => aws.invoke(name, event),
  exit: async ({code}) => process.exit(code),
};

exports.handler = async event => tries[event.try](event);
