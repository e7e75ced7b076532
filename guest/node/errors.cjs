// Errors as Lambda's Node runtime shapes them.
'use strict';

// RuntimeError is an error that the runtime itself reports: errorType "Runtime.NAME".
class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    Object.defineProperty(this, 'name', { value: 'Runtime.' + name, enumerable: false });
    if (this.stack) this.stack = this.stack.replace(/^Error/, this.name);
  }
}

function looksLikeError(e) {
  return e && typeof e.name === 'string' && typeof e.message === 'string' && typeof e.stack === 'string' &&
    e.name && e.message && e.stack;
}

function shape(e) {
  try {
    if (require('util').types.isNativeError(e) || looksLikeError(e)) {
      return { errorType: e.name, errorMessage: e.message, trace: e.stack.split('\n') };
    }
    return { errorType: typeof e, errorMessage: e.toString(), trace: [] };
  } catch (_) {
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its ' +
        'message, name, and stack',
    };
  }
}

// errorPayload is the JSON that the caller of the function gets.
function errorPayload(e) {
  return JSON.stringify(shape(e));
}

// errorLine is the text that stands behind "Invoke Error" in the log: a tab, and the error's own properties as JSON.
function errorLine(e) {
  if (!(e instanceof Error)) e = new Error(e);
  try {
    return '\t' + JSON.stringify(e, (_, v) => {
      if (!(v instanceof Error)) return v;
      const all = Object.assign({ errorType: v.name, errorMessage: v.message, code: v.code }, v);
      if (typeof v.stack === 'string') all.stack = v.stack.split('\n');
      return all;
    });
  } catch (_) {
    return '\t' + errorPayload(e);
  }
}

module.exports = { RuntimeError, errorPayload, errorLine };
