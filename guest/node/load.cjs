// Finds a handler as Lambda's Node runtime does: DIR/FILE.PATH.TO.FUNCTION below the task root, CommonJS or ES module.
'use strict';

const fs = require('fs');
const path = require('path');
const Module = require('module');
const { pathToFileURL } = require('url');
const { RuntimeError } = require('./errors.cjs');

const MAJOR = parseInt(process.versions.node, 10);
const TYPESCRIPT = MAJOR >= 24; // runs TypeScript by itself

// The modules of the function and of its layers are required as if from the task root.
const importFile = (file) => import(pathToFileURL(file).href);

// isModuleFolder: does the nearest package.json say "type": "module"? A node_modules folder ends the search.
function isModuleFolder(dir) {
  for (;;) {
    if (dir.endsWith('/node_modules')) return false;
    let source;
    try {
      source = fs.readFileSync(path.join(dir, 'package.json'), 'utf8');
    } catch (_) {
      const up = path.dirname(dir);
      if (up === dir) return false;
      dir = up;
      continue;
    }
    try {
      return JSON.parse(source).type === 'module';
    } catch (e) {
      console.warn(`${dir}/package.json cannot be read, it will be ignored for ES module detection purposes.`, e);
      return false;
    }
  }
}

async function loadModule(root, dir, name) {
  const base = path.resolve(root, dir, name);
  const esm = isModuleFolder(path.dirname(base));
  const ways = [['', false], ['.js', esm], ['.mjs', true], ['.cjs', false]];
  if (TYPESCRIPT) ways.push(['.ts', esm], ['.mts', true], ['.cts', false]);
  for (const [ext, isESM] of ways) {
    const file = base + ext;
    if (!isFile(file)) continue;
    if (!isESM) return require(file);
    if (Module.registerHooks || needsHook(root, file)) hookResolution();
    return importFile(file);
  }
  return require(require.resolve(name, { paths: [root, dir] }));
}

function isFile(file) {
  try {
    return fs.statSync(file).isFile();
  } catch (_) {
    return false;
  }
}

// needsHook: could an ES module of the function ask for a package that is not beside it? What cannot be told from the text of
// a few files is taken for a yes: the hook costs a thread, 22 ms and 10 MiB; not to have it costs an error.
const FILES_MAX = 64, SIZE_MAX = 1 << 20;

function needsHook(root, file) {
  if (fs.existsSync(path.join(root, 'node_modules'))) return true;
  const seen = new Set();
  const todo = [file];
  while (todo.length) {
    const at = todo.pop();
    if (seen.has(at)) continue;
    seen.add(at);
    let source;
    try {
      if (seen.size > FILES_MAX || fs.statSync(at).size > SIZE_MAX) return true;
      source = fs.readFileSync(at, 'utf8');
    } catch (_) {
      return true;
    }
    if (source.includes('createRequire')) return true;
    for (const m of source.matchAll(/\b(?:from|import|require)\b/g)) {
      const rest = source.slice(m.index + m[0].length, m.index + 1024);
      const found = /^\s*(?:\(\s*)?(["'])((?:[^"'\\\n])+)\1/.exec(rest);
      if (!found) {
        if (/^\s*\//.test(rest) || m[0] !== 'from' && /^\s*\(/.test(rest)) return true; // a comment, or a name that is made
        continue; // import x from …: its from comes; or no statement at all
      }
      const name = found[2];
      if (name.startsWith('./') || name.startsWith('../')) todo.push(path.resolve(path.dirname(at), name));
      else if (!Module.isBuiltin(name)) return true;
    }
  }
  return false;
}

// hookResolution lets ES modules find packages of layers and of the runtime (NODE_PATH), which Node itself offers to
// CommonJS only. Skipped where there is nothing to find, for on older versions it costs a thread.
let hooked = false;

function hookResolution() {
  if (hooked || !(process.env.NODE_PATH || '').split(':').some((d) => d.endsWith('node_modules') && fs.existsSync(d))) return;
  hooked = true;
  if (Module.registerHooks) Module.registerHooks({ resolve: require('./resolve.cjs').resolveSync });
  else if (Module.register) Module.register('./resolve.cjs', pathToFileURL(__filename));
}

// Whoever loads the AWS SDK v2 has it pointed at the platform; others pay one look at each name that they load.
const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function _resolveFilename(request, ...rest) {
  const file = resolveFilename.call(this, request, ...rest);
  if (request.includes('aws-sdk') && file.includes('/aws-sdk/')) require('./sdk2.cjs').found(file);
  return file;
};

async function load(root, dir, name) {
  Module._initPaths(); // NODE_PATH may have come with the function
  try {
    return await loadModule(root, dir, name);
  } catch (e) {
    if (e instanceof SyntaxError) {
      const error = new RuntimeError('UserCodeSyntaxError', String(e));
      error.stack = error.name + ': ' + e.stack;
      throw error;
    }
    if (e && /^(ERR_)?MODULE_NOT_FOUND$/.test(e.code)) require('./remedy.cjs').add(e);
    if (e && e.code === 'MODULE_NOT_FOUND') {
      const error = new RuntimeError('ImportModuleError', String(e));
      if (Array.isArray(e.requireStack)) error.requireStack = e.requireStack;
      throw error;
    }
    throw e;
  }
}

// handler loads the function that FULL names.
async function handler(root, full) {
  if (full.includes('..')) {
    throw new RuntimeError('MalformedHandlerName', `'${full}' is not a valid handler name. Use absolute paths when ` +
      'specifying root directories in handler names.');
  }
  const file = path.basename(full);
  const dot = file.indexOf('.');
  if (dot < 0) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  const app = await load(root, full.slice(0, full.indexOf(file)), file.slice(0, dot));
  const fn = file.slice(dot + 1).split('.').reduce((o, key) => o && o[key], app);
  if (!fn) throw new RuntimeError('HandlerNotFound', `${full} is undefined or not exported`);
  if (typeof fn !== 'function') throw new RuntimeError('HandlerNotFound', `${full} is not a function`);
  refuseCallback(fn);
  return fn;
}

// refuseCallback: Lambda took callbacks away with Node 24.
function refuseCallback(fn) {
  const asked = /^AWS_Lambda_nodejs(\d+)\.x$/.exec(process.env.AWS_EXECUTION_ENV || '');
  if (!asked || +asked[1] < 24 || fn.length < 3 || fn[Symbol.for('aws.lambda.runtime.handler.streaming')]) return;
  throw new RuntimeError('CallbackHandlerDeprecated', 'ERROR: AWS Lambda has removed support for callback-based function ' +
    'handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use ' +
    'Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
}

// web loads the web handler that FILE#EXPORT names: a method of the default export, or an export of its own.
async function web(root, full) {
  if (MAJOR < 18) throw new RuntimeError('Unsupported', `web handlers need Node.js 18 or newer, this is ${process.versions.node}`);
  const cut = full.lastIndexOf('#');
  const file = full.slice(0, cut), name = full.slice(cut + 1);
  if (full.includes('..')) throw new RuntimeError('MalformedHandlerName', `'${full}' is not a valid handler name.`);
  const app = await load(root, path.dirname(file), path.basename(file).replace(/\.[cm]?[jt]s$/, ''));
  for (let owner of [app.default, app.default && app.default.default, app]) {
    if (owner && typeof owner[name] === 'function') return owner[name].bind(owner);
  }
  throw new RuntimeError('HandlerNotFound', `${full} is undefined or not exported`);
}

// warm brings up what imports modules: three quarters of the start of a small one.
const warm = () => importFile(path.join(__dirname, 'nothing.mjs')).catch(() => {});

module.exports = { handler, web, hookResolution, warm };
