// Signs requests by hand with the keys of the environment, as an SDK would, without one.
const crypto = require('crypto');
const http = require('http');

const hash = s => crypto.createHash('sha256').update(s).digest('hex');
const hmac = (k, s) => crypto.createHmac('sha256', k).update(s).digest();

exports.request = (service, method, path, headers, body, keys = {}) => new Promise((resolve, reject) => {
  const at = new URL(process.env.AWS_ENDPOINT_URL);
  const id = keys.id || process.env.AWS_ACCESS_KEY_ID;
  const secret = keys.secret || process.env.AWS_SECRET_ACCESS_KEY;
  const token = keys.id ? keys.token : process.env.AWS_SESSION_TOKEN;
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const all = {...headers, host: at.host, 'x-amz-date': date};
  if (token) all['x-amz-security-token'] = token;
  if (process.env._X_AMZN_TRACE_ID) all['x-amzn-trace-id'] = process.env._X_AMZN_TRACE_ID;
  const names = Object.keys(all).filter(n => n !== 'x-amzn-trace-id').map(n => n.toLowerCase()).sort();
  const [file, query = ''] = path.split('?');
  const canonical = [method, file.split('/').map(encodeURIComponent).join('/'), query.split('=').map(encodeURIComponent).join('='), ...names.map(n => n + ':' + all[n]), '', names.join(';'), hash(body)].join('\n');
  const scope = [date.slice(0, 8), process.env.AWS_REGION, service, 'aws4_request'].join('/');
  let k = 'AWS4' + secret;
  for (const part of scope.split('/')) k = hmac(k, part);
  const text = ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n');
  all.authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${hmac(k, text).toString('hex')}`;
  const req = http.request(at, {method, path, headers: all}, res => {
    let b = '';
    res.on('data', d => b += d);
    res.on('end', () => resolve({status: res.statusCode, body: b}));
    res.on('error', reject);
  });
  req.on('error', reject);
  req.end(body);
});

exports.logs = (operation, input) => exports.request('logs', 'POST', '/',
  {'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'Logs_20140328.' + operation}, JSON.stringify(input));

exports.caller = keys => exports.request('sts', 'POST', '/', {'content-type': 'application/x-www-form-urlencoded'},
  'Action=GetCallerIdentity&Version=2011-06-15', keys);

exports.invoke = (name, event, type = 'RequestResponse') => exports.request('lambda', 'POST',
  `/2015-03-31/functions/${name}/invocations`, {'x-amz-invocation-type': type}, JSON.stringify(event));
