package guesttest

// copyOfV2 is what of the AWS SDK for JavaScript v2 its configuration is made of, in the files of the real one, which a run
// against the registry takes.
func copyOfV2(folder string) map[string]string {
	return map[string]string{
		folder + "/aws-sdk/package.json": `{"name":"aws-sdk","version":"2.0.0","main":"lib/aws.js"}`,
		folder + "/aws-sdk/lib/aws.js": `require('./node_loader'); const AWS = require('./core'); module.exports = AWS;
			AWS.DynamoDB = require('../clients/dynamodb'); AWS.S3 = require('../clients/s3');`,
		folder + "/aws-sdk/lib/core.js": `const AWS = module.exports = {};
			AWS.Config = class Config {
				constructor(o = {}) { for (const k of Object.keys(this.keys)) this.set(k, o[k]); }
				set(k, v) { const d = this.keys[k]; this[k] = v !== undefined ? v : typeof d === 'function' ? d.call(this) : d; }
				update(o) { for (const k of Object.keys(o)) this.set(k, o[k]); }
			};
			AWS.Config.prototype.keys = { region: null, endpoint: undefined, s3ForcePathStyle: false };
			AWS.EnvironmentCredentials = class EnvironmentCredentials {
				constructor(prefix) { this.envPrefix = prefix; this.accessKeyId = process.env[prefix + '_ACCESS_KEY_ID']; }
				needsRefresh() { return !this.accessKeyId; }
			};
			AWS.service = (name) => class { constructor(o) {
				this.config = new AWS.Config(AWS.config);
				if (AWS.config[name]) this.config.update(AWS.config[name]);
				if (o) this.config.update(o);
			} };
			AWS.config = new AWS.Config();`,
		folder + "/aws-sdk/lib/node_loader.js": `const AWS = require('./core');
			AWS.Config.prototype.keys.region = () => process.env.AWS_REGION;
			AWS.config = new AWS.Config();`,
		folder + "/aws-sdk/clients/dynamodb.js": `require('../lib/node_loader'); module.exports = require('../lib/core').service('dynamodb');`,
		folder + "/aws-sdk/clients/s3.js":       `require('../lib/node_loader'); module.exports = require('../lib/core').service('s3');`,
	}
}

const saysV2 = ` = async () => {
	const say = (c) => [c.config.endpoint, c.config.s3ForcePathStyle, c.config.region].join();
	const before = [say(new AWS.DynamoDB()), say(new AWS.S3()), say(new AWS.DynamoDB({ endpoint: 'http://mine' }))];
	AWS.config.update({ endpoint: 'http://ours', s3ForcePathStyle: false });
	const keys = new AWS.EnvironmentCredentials('AWS');
	const fresh = keys.needsRefresh();
	process.env.AWS_ACCESS_KEY_ID = 'another';
	return [...before, say(new AWS.DynamoDB()), say(new AWS.S3()), fresh, keys.needsRefresh()];
}`

const platform = "http://127.0.0.1:4566"

// toPlatform is what saysV2 answers where the SDK was pointed at the platform; store is where S3 is.
func toPlatform(store string) string {
	return `["` + platform + `,true,us-east-1","` + store + `,true,us-east-1","http://mine,true,us-east-1",` +
		`"http://ours,false,us-east-1","http://ours,false,us-east-1",false,true]`
}

// sdkCases are about AWS's SDKs: what they are told, and what is said where they are missing.
var sdkCases = []testCase{
	{
		name:  "AWS SDK v2, the function's own",
		node:  `const AWS = require('aws-sdk'); exports.handler` + saysV2,
		esm:   `import AWS from 'aws-sdk'; export const handler` + saysV2,
		files: copyOfV2("node_modules"),
		calls: []call{{want: toPlatform(platform)}},
	},
	{
		name:   "AWS SDK v2 in a layer, a service elsewhere",
		since:  18,
		node:   `const AWS = require('aws-sdk'); exports.handler` + saysV2,
		esm:    `import AWS from 'aws-sdk'; export const handler` + saysV2,
		layers: copyOfV2("nodejs/node_modules"),
		env:    map[string]string{"AWS_ENDPOINT_URL_S3": "http://store"},
		calls:  []call{{want: toPlatform("http://store")}},
	},
	{
		name:  "AWS SDK v2 by one client, at the first call",
		node:  `exports.handler = async () => new (require('aws-sdk/clients/dynamodb'))().config.endpoint`,
		esm:   `export const handler = async () => new (await import('aws-sdk/clients/dynamodb.js')).default().config.endpoint`,
		files: copyOfV2("node_modules"),
		calls: []call{{want: `"` + platform + `"`}, {want: `"` + platform + `"`}},
	},
	{
		name:  "AWS SDK v2 told to ignore endpoints",
		node:  `const S3 = require('aws-sdk/clients/s3'); exports.handler = async () => { const c = new S3().config; return [c.endpoint, c.s3ForcePathStyle] }`,
		files: copyOfV2("node_modules"),
		env:   map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
		calls: []call{{want: `[null,false]`}},
	},
	{
		name:  "require is what it was",
		node:  `require.resolve('aws-sdk'); exports.handler = async () => [typeof require('aws-sdk-mock'), require('aws-sdk/package.json').version, Object.keys(require.extensions).length > 2]`,
		files: merged(copyOfV2("node_modules"), map[string]string{"node_modules/aws-sdk-mock/index.js": ``}),
		calls: []call{{want: `["object","2.0.0",true]`}},
	},
	{
		name: "AWS SDK v2 is not there",
		node: `require('aws-sdk'); exports.handler = async () => 1`,
		init: &failure{typ: all("Runtime.ImportModuleError"), message: all("Error: Cannot find module 'aws-sdk'. Lambda has it no more since " +
			"Node.js 18. Install it with the function, or provide it to all: rouse runtime add sdk-js-v2\nRequire stack:\n- …/index.js\n…")},
	},
	{
		name: "AWS SDK v2 is not there for an ES module",
		esm:  `import AWS from 'aws-sdk'; export const handler = async () => 1`,
		init: &failure{typ: all("Error"), message: all("Cannot find package 'aws-sdk' imported from …index.mjs…. Lambda has it no more …: rouse runtime add sdk-js-v2")},
	},
	{
		name:   "AWS SDK is not there at a call",
		node:   `exports.handler = async () => require('@aws-sdk/client-s3')`,
		python: "def handler(event, context): raise ModuleNotFoundError(\"No module named 'boto3'\", name='boto3')",
		calls: []call{{fails: &failure{typ: by("Error", "ModuleNotFoundError", ""),
			message: by("Cannot find module '@aws-sdk/client-s3'. Install it with the function, or provide the SDK to all as Lambda does: "+
				"rouse runtime add sdk-js\nRequire stack:…", "No module named 'boto3'. Python 3.… on this machine comes without it: list boto3 in "+
				"the function's requirements.txt, or install it for …", "")}}},
	},
	{
		name:   "boto3 is not there",
		python: "raise ModuleNotFoundError(\"No module named 'boto3.x'\", name='boto3.x')",
		init: &failure{typ: all("Runtime.ImportModuleError"), message: all("Unable to import module 'index': No module named 'boto3.x'. Python 3.… on " +
			"this machine comes without it: list boto3 in …")},
	},
}
