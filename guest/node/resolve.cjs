// A resolution hook: when a bare specifier of an ES module is not found, it is looked for where require would look.
'use strict';

const { createRequire } = require('module');
const { pathToFileURL } = require('url');

const bare = (s) => !/^(\.{0,2}\/|[a-z]+:)/.test(s);

// fallback answers with the file that require finds, or throws the first error.
function fallback(specifier, context, error) {
  if (!bare(specifier) || !error || error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  try {
    const found = createRequire(context.parentURL || pathToFileURL('/')).resolve(specifier);
    return { url: pathToFileURL(found).href, shortCircuit: true };
  } catch (_) {
    throw error;
  }
}

async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    return fallback(specifier, context, error);
  }
}

function resolveSync(specifier, context, next) {
  try {
    return next(specifier, context);
  } catch (error) {
    return fallback(specifier, context, error);
  }
}

module.exports = { resolve, resolveSync };
