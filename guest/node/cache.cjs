// Code that was compiled ahead of its function, so that V8 need not do it at the first start: made by compile, in a process
// that runs nothing of the function and ends after it, and used by keep, in the process that becomes the function. What
// does not fit, for V8 looks at version, settings and length, is compiled as if there were none.
'use strict';

const fs = require('fs');
const path = require('path');
const vm = require('vm');
const v8 = require('v8');
const Module = require('module');

const FILES_MAX = 1000;
const FILE_MAX = 8 << 20; // bytes of one source
const SOURCES_MAX = 16 << 20;

// From this length of a source on, all its functions are compiled, not only those that run at once. The price is a name: in
// stack traces V8 then calls no function by what it was assigned to, which in code that people wrote for one file would be
// missed (exports.handler = async () => …).
const WHOLE = 32 << 10;

// Before Node.js 22 V8 forgets, for code that was compiled ahead, who answers import(): files with one are left out there.
const ANSWERED = parseInt(process.versions.node, 10) >= 22;
const IMPORTS = /\bimport\s*(?:\(|\/)/;

const OPEN = '(function (exports, require, module, __filename, __dirname) { ', CLOSE = '\n});'; // as Node.js has them

function script(source, filename, cachedData) {
  return new vm.Script(OPEN + source + CLOSE, {
    filename, cachedData, columnOffset: -OPEN.length,
    importModuleDynamically: ANSWERED ? vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER : undefined,
  });
}

// plainly runs f with V8's settings of sizes as they are without any: they belong to what cached code is checked for, but the
// heap has its size since the start. So code that was compiled in one process fits one with more memory.
const SIZES = process.execArgv.filter((a) => /^--max-(old|semi)-space-size=\d+$/.test(a));

function plainly(f) {
  for (const s of SIZES) v8.setFlagsFromString(s.replace(/\d+$/, '0'));
  try {
    return f();
  } finally {
    for (const s of SIZES) v8.setFlagsFromString(s);
  }
}

// --- using --------------------------------------------------------------------------------------------------------------

const kept = new Map(); // file → code, until it is loaded
let hooked = false;

// keep takes code: a uint32 LE, that many bytes of JSON {root, files: [{path, bytes}]}, and the code of each file.
function keep(payload) {
  let at = 4 + payload.readUInt32LE(0);
  const m = JSON.parse(payload.utf8Slice(4, at));
  for (const f of m.files) {
    kept.set(path.join(m.root, f.path), payload.subarray(at, at + f.bytes));
    at += f.bytes;
  }
  if (!hooked) hook();
}

const TAKE = Symbol.for('rouse.require'); // of a module, while it is being compiled

function hook() {
  hooked = true;
  const compile = Module.prototype._compile;
  Module.prototype._compile = function _compile(source, filename, ...rest) {
    const code = kept.get(filename);
    kept.delete(filename);
    if (code === undefined || (rest[0] && rest[0] !== 'commonjs') || source.startsWith('#!')) {
      return compile.call(this, source, filename, ...rest);
    }
    let run, require;
    try {
      run = plainly(() => script(source, filename, code)).runInThisContext();
    } catch (_) {
      return compile.call(this, source, filename, ...rest); // which says what is wrong with it
    }
    // Only Node.js itself can make a module's require: a module of one line hands it over.
    Object.defineProperty(this, TAKE, { value: (r) => { require = r; }, configurable: true });
    compile.call(this, 'module[Symbol.for("rouse.require")](require)', filename, ...rest);
    delete this[TAKE];
    return run.call(this.exports, this.exports, require, this, filename, path.dirname(filename));
  };
}

// --- making -------------------------------------------------------------------------------------------------------------

// What a file loads, as far as it can be read off its text.
const LOADS = /\b(?:require|import)\s*\(\s*(["'])([^"'\\\n]+)\1\s*\)|\b(?:from|import)\s*(["'])([^"'\\\n]+)\3/g;

// reached lists the CommonJS files below root that file leads to, itself first: [path, source].
function reached(root, file) {
  const seen = new Set();
  const todo = [file];
  const list = [];
  let total = 0;
  while (todo.length && seen.size < FILES_MAX) {
    const at = todo.shift();
    if (seen.has(at) || !at.startsWith(root + '/')) continue;
    seen.add(at);
    if (!/\.(js|cjs|mjs)$/.test(at)) continue;
    let source;
    try {
      const { size } = fs.statSync(at);
      if (size > FILE_MAX || total + size > SOURCES_MAX) continue;
      total += size;
      source = fs.readFileSync(at, 'utf8');
    } catch (_) {
      continue;
    }
    list.push([at, source]);
    const resolver = Module.createRequire(at);
    for (const m of source.matchAll(LOADS)) {
      const name = m[2] || m[4];
      if (Module.isBuiltin(name)) continue;
      try {
        todo.push(resolver.resolve(name));
      } catch (_) { /* not there, or nothing for require */ }
    }
  }
  return list;
}

// entry is the file that a handler names, as load.cjs looks for it; undefined when there is none.
function entry(root, handler) {
  const file = path.basename(handler.split('#')[0]);
  const base = path.resolve(root, handler.slice(0, handler.indexOf(file)), handler.includes('#') ? file : file.split('.')[0]);
  return ['', '.js', '.mjs', '.cjs'].map((ext) => base + ext).find((f) => fs.existsSync(f) && fs.statSync(f).isFile());
}

// compile compiles what a handler leads to, without running any of it, and hands each result to emit.
function compile(root, handler, emit) {
  const file = entry(root, handler);
  if (!file) return;
  for (const [at, source] of reached(root, file)) {
    if (at.endsWith('.mjs') || source.startsWith('#!') || !ANSWERED && IMPORTS.test(source)) continue;
    try {
      const data = plainly(() => {
        if (source.length >= WHOLE) v8.setFlagsFromString('--no-lazy');
        let s;
        try {
          s = script(source, at);
        } finally {
          v8.setFlagsFromString('--lazy');
        }
        return s.createCachedData();
      });
      emit(path.relative(root, at), data);
    } catch (_) { /* an ES module, or not JavaScript: whoever loads it will say so */ }
  }
}

module.exports = { keep, compile };
