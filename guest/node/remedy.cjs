// Says what to do where an AWS SDK is not found: the first function that somebody runs may be the one that took it for granted.
'use strict';

const fs = require('fs');
const path = require('path');

const runtime = path.join(__dirname, '..');
const provided = (...names) => fs.existsSync(path.join(runtime, ...names));

// advice for a package that was not found.
function advice(name) {
  if (name === 'aws-sdk') {
    return provided('sdk-js-v2', 'node_modules') ? '' : 'Lambda has it no more since Node.js 18. Install it with the function, or ' +
      'provide it to all: rouse runtime add sdk-js-v2';
  }
  if (provided('node_modules', '@aws-sdk')) return 'Rouse does not provide this one: install it with the function';
  return 'Install it with the function, or provide the SDK to all as Lambda does: rouse runtime add sdk-js';
}

// add puts the advice behind the first line of an error's text, if it is one of these.
function add(error) {
  if (!(error instanceof Error)) return;
  const m = /^Cannot find (?:module|package) '(aws-sdk|@aws-sdk\/[^'/]+)[^\n]*/.exec(error.message);
  const text = m && advice(m[1]);
  if (!text) return;
  const said = m[0] + '. ' + text;
  if (typeof error.stack === 'string') error.stack = error.stack.replace(m[0], () => said);
  error.message = error.message.replace(m[0], () => said);
}

module.exports = { add };
