// Loads modules of the AWS SDK before there is a function, so that a function that asks for them finds them loaded. A
// function must not be able to tell, but by the clock: modules are found by their path, so one that brings a copy of its own
// gets its own; what a module read of the environment while it loaded is told to the platform, which gives this process to
// no function that sets it; and a module that does anything else while it loads makes this process unfit for every function.
'use strict';

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');

// What functions ask for most, and with it the core of all clients. Others cost each process more memory than they save.
const SDK = ['client-dynamodb', 'lib-dynamodb'];

const ANYTHING = '*';

// watched runs load and returns the names that it read from the environment; ANYTHING when it did what cannot be undone.
async function watched(load) {
  const env = process.env;
  const reads = new Set();
  const globals = new Set(Object.getOwnPropertyNames(globalThis));
  const note = (name) => { if (typeof name === 'string') reads.add(name); };
  const warned = () => reads.add(ANYTHING);
  process.env = new Proxy(env, {
    get(t, k) { note(k); return t[k]; },
    has(t, k) { note(k); return k in t; },
    set() { reads.add(ANYTHING); return true; },
    deleteProperty() { reads.add(ANYTHING); return true; },
    ownKeys(t) { reads.add(ANYTHING); return Reflect.ownKeys(t); },
    getOwnPropertyDescriptor(t, k) { note(k); return Reflect.getOwnPropertyDescriptor(t, k); },
  });
  process.on('warning', warned);
  const listeners = process.eventNames().map((n) => [n, process.listenerCount(n)]);
  try {
    await load();
  } finally {
    process.env = env;
  }
  await new Promise(setImmediate); // warnings come a turn later
  const now = new Map(process.eventNames().map((n) => [n, process.listenerCount(n)]));
  if (now.size !== listeners.length || listeners.some(([n, count]) => now.get(n) !== count)) reads.add(ANYTHING);
  process.off('warning', warned);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (globals.has(name)) continue;
    // The SDK makes sure that this one is there; the bootstrap makes it anew for the function.
    if (name === 'awslambda' && Object.keys(globalThis.awslambda).length === 0) delete globalThis.awslambda;
    else reads.add(ANYTHING);
  }
  return [...reads];
}

// preload loads what there is of the SDK; with modules it goes through import as well, which keeps books of its own.
function preload(modules) {
  const home = path.join(__dirname, '..', 'node_modules', '@aws-sdk');
  return watched(async () => {
    for (const name of SDK) {
      const dir = path.join(home, name);
      if (!fs.existsSync(dir)) continue;
      const file = require.resolve(dir);
      require(file);
      if (modules) await import(pathToFileURL(file).href);
    }
    if (!modules) return;
    require('./load.cjs').hookResolution();
    // Brings the hook up by a name that nobody has: what was looked for once in a layer that is not there yet is not found
    // there later.
    await import('rouse-has-no-such-package').catch(() => {});
  });
}

module.exports = { preload };
