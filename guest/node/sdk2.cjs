// Points the AWS SDK for JavaScript v2 (aws-sdk) at the platform. It is the one SDK that does not read AWS_ENDPOINT_URL, so
// it is taught to: once it is loaded, by require or by import, the function's own copy or the one that Rouse provides, its
// configuration takes what the variable says for a default. Whatever the function configures wins, as in any other SDK. A
// copy that a bundler put into the function's own file cannot be seen.
'use strict';

const path = require('path');
const Module = require('module');

// Names of services in variables that are others in this SDK; all else is the same but for _ and case.
const NAMES = { SFN: 'stepfunctions', COGNITO_IDENTITY_PROVIDER: 'cognitoidentityserviceprovider', ELASTICSEARCH_SERVICE: 'es' };

const PREFIX = 'AWS_ENDPOINT_URL_';

const seen = new Set(); // folders of copies

// found is told of each file of the SDK that is going to be loaded from outside of it. What configures a copy is the last line
// of its lib/node_loader.js, which every way in loads first: the configuration is taught right after that.
function found(file) {
  const at = file.lastIndexOf('/aws-sdk/');
  if (at < 0) return;
  const home = file.slice(0, at + '/aws-sdk'.length);
  if (seen.has(home)) return;
  seen.add(home);
  const loader = path.join(home, 'lib', 'node_loader.js');
  const plain = Module._extensions['.js'];
  Module._extensions['.js'] = function teaching(module, filename) {
    plain.call(this, module, filename);
    if (filename !== loader) return;
    if (Module._extensions['.js'] === teaching) Module._extensions['.js'] = plain;
    teach(require(path.join(home, 'lib', 'core.js')));
  };
}

// teach makes defaults of what the variables say. AWS is the SDK's core: what its Config.prototype.keys holds is the default of
// every configuration to come, and a function there is called for it.
function teach(AWS) {
  const env = process.env;
  const config = AWS.config, keys = AWS.Config && AWS.Config.prototype.keys;
  if (!config || !keys) return;
  followKeys(AWS);
  if (/^true$/i.test(env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS || '')) return;
  const all = env.AWS_ENDPOINT_URL;
  if (all) {
    keys.endpoint = () => all;
    config.set('endpoint', config.endpoint);
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || !env[name]) continue;
    const service = name.slice(PREFIX.length);
    const own = {};
    // The function's endpoint for all services is the function's word on this one, too.
    Object.defineProperty(own, 'endpoint', { enumerable: true, get: () => (AWS.config.endpoint === all ? env[name] : AWS.config.endpoint) });
    config[NAMES[service] || service.replace(/_/g, '').toLowerCase()] = own;
  }
  if (all || env[PREFIX + 'S3']) {
    keys.s3ForcePathStyle = true;
    config.s3ForcePathStyle = true;
  }
}

// followKeys has keys read again that were replaced in the environment: the platform's are good for a while, and this SDK takes
// them to be good for ever.
function followKeys(AWS) {
  const Environment = AWS.EnvironmentCredentials;
  if (!Environment) return;
  const plain = Environment.prototype.needsRefresh;
  Environment.prototype.needsRefresh = function needsRefresh() {
    const now = process.env[(this.envPrefix ? this.envPrefix + '_' : '') + 'ACCESS_KEY_ID'];
    return plain.call(this) || (now !== undefined && now !== this.accessKeyId);
  };
}

module.exports = { found };
