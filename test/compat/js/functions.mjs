// The AWS SDK for JavaScript makes, runs, changes, pages and deletes functions.

import * as lambda from '@aws-sdk/client-lambda';
import { IAMClient, CreateRoleCommand, DeleteRoleCommand, waitUntilRoleExists } from '@aws-sdk/client-iam';
import { ACCOUNT, REGION, TRUST, archive, equal, inside, later, main, often, raises } from './cases.mjs';

const client = new lambda.LambdaClient({});
const iam = new IAMClient({});
const send = (command, input) => client.send(new lambda[command + 'Command'](input));
const text = (payload) => Buffer.from(payload).toString();

const NAME = 'js-function';
const ARN = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${NAME}`;
const SOURCE = `
exports.handler = async (event, context) => {
  console.log('heard', JSON.stringify(event));
  if (event.fail) throw new RangeError('too far');
  return { event, stage: process.env.STAGE, version: context.functionVersion, name: context.functionName };
};
`;
let role;

async function make(name, changes = {}) {
  return send('CreateFunction', {
    FunctionName: name, Runtime: 'nodejs22.x', Handler: 'index.handler', Role: role, Timeout: 5,
    Code: { ZipFile: archive({ 'index.js': SOURCE }) }, ...changes,
  });
}

await main({
  async role() {
    role = (await iam.send(new CreateRoleCommand({ RoleName: 'js-function', AssumeRolePolicyDocument: TRUST }))).Role.Arn;
    later(() => iam.send(new DeleteRoleCommand({ RoleName: 'js-function' })));
    await waitUntilRoleExists(often(iam), { RoleName: 'js-function' });
  },

  async create() {
    const made = await make(NAME, { Environment: { Variables: { STAGE: 'one' } }, Tags: { team: 'shop' } });
    equal(made.$metadata.httpStatusCode, 201, 'status');
    equal(made.FunctionArn, ARN, 'FunctionArn');
    const waited = await lambda.waitUntilFunctionActiveV2(often(client), { FunctionName: NAME });
    equal(waited.state, 'SUCCESS', 'waiter');
    await lambda.waitUntilFunctionExists(often(client), { FunctionName: NAME });
  },

  async get() {
    const got = await send('GetFunction', { FunctionName: NAME });
    equal(got.Configuration.State, 'Active', 'State');
    equal(got.Tags, { team: 'shop' }, 'Tags');
    equal((await fetch(got.Code.Location)).status, 200, 'status of Location');
  },

  async invoke() {
    const out = await send('Invoke', { FunctionName: NAME, Payload: JSON.stringify({ a: [1, null, 'ü'] }), LogType: 'Tail' });
    equal(JSON.parse(text(out.Payload)), { event: { a: [1, null, 'ü'] }, stage: 'one', version: '$LATEST', name: NAME }, 'answer');
    equal([out.StatusCode, out.ExecutedVersion, out.FunctionError], [200, '$LATEST', undefined], 'head');
    const tail = Buffer.from(out.LogResult, 'base64').toString();
    inside('INFO\theard {"a":[1,null,"ü"]}', tail, 'LogResult');
    inside(`REPORT RequestId: ${out.$metadata.requestId}`, tail, 'LogResult');
  },

  async 'invoke that fails'() {
    const out = await send('Invoke', { FunctionName: NAME, Payload: '{"fail":true}' });
    equal([out.StatusCode, out.FunctionError], [200, 'Unhandled'], 'StatusCode and FunctionError');
    const error = JSON.parse(text(out.Payload));
    equal([error.errorType, error.errorMessage], ['RangeError', 'too far'], 'error');
    inside('RangeError: too far', error.trace[0], 'trace');
  },

  async update() {
    await send('UpdateFunctionConfiguration', { FunctionName: NAME, Environment: { Variables: { STAGE: 'two' } } });
    await lambda.waitUntilFunctionUpdatedV2(often(client), { FunctionName: NAME });
    equal(JSON.parse(text((await send('Invoke', { FunctionName: NAME, Payload: '{}' })).Payload)).stage, 'two', 'STAGE');
    const code = archive({ 'index.mjs': 'export const handler = async () => "new";' });
    await send('UpdateFunctionCode', { FunctionName: NAME, ZipFile: code });
    await lambda.waitUntilFunctionUpdatedV2(often(client), { FunctionName: NAME });
    equal(text((await send('Invoke', { FunctionName: NAME })).Payload), '"new"', 'answer');
    equal((await send('PublishVersion', { FunctionName: NAME })).Version, '1', 'Version');
    await lambda.waitUntilPublishedVersionActive(often(client), { FunctionName: NAME, Qualifier: '1' });
    await send('CreateAlias', { FunctionName: NAME, Name: 'live', FunctionVersion: '1' });
    equal((await send('Invoke', { FunctionName: NAME, Qualifier: 'live' })).ExecutedVersion, '1', 'ExecutedVersion');
  },

  async 'typed errors'() {
    const gone = await raises(lambda.ResourceNotFoundException, () => send('GetFunction', { FunctionName: 'js-nobody' }));
    equal(gone.$metadata.httpStatusCode, 404, 'status');
    equal(gone.$fault, 'client', 'fault');
    equal(gone.Type, 'User', 'Type');
    equal(gone.message, `Function not found: arn:aws:lambda:${REGION}:${ACCOUNT}:function:js-nobody`, 'message');
    await raises(lambda.ResourceConflictException, () => make(NAME));
    await raises(lambda.InvalidParameterValueException, () => make('js-bad', { Code: { ZipFile: Buffer.from('no zip') } }));
    await raises(lambda.InvalidRequestContentException, () => send('Invoke', { FunctionName: NAME, Payload: 'no json' }));
    await raises(lambda.RequestTooLargeException, () => send('Invoke', { FunctionName: NAME, Payload: `"${'x'.repeat(6 << 20)}"` }));
    await raises(lambda.PreconditionFailedException, () => send('PublishVersion', { FunctionName: NAME, RevisionId: 'other' }));
    await raises('ValidationException', () => make('js-bad', { Timeout: 100000 }));
    await send('PutFunctionConcurrency', { FunctionName: NAME, ReservedConcurrentExecutions: 0 });
    const throttled = await raises(lambda.TooManyRequestsException, () => send('Invoke', { FunctionName: NAME }));
    equal(throttled.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded', 'Reason');
    await send('DeleteFunctionConcurrency', { FunctionName: NAME });
  },

  async 'unknown keys'() {
    const credentials = { accessKeyId: 'test', secretAccessKey: 'wrong' };
    await raises('InvalidSignatureException', () => new lambda.LambdaClient({ credentials }).send(new lambda.ListFunctionsCommand({})));
    credentials.accessKeyId = 'AKIAIOSFODNN7EXAMPLE';
    await raises('UnrecognizedClientException', () => new lambda.LambdaClient({ credentials }).send(new lambda.ListFunctionsCommand({})));
  },

  async pages() {
    const names = [0, 1, 2, 3, 4].map((i) => `js-page-${i}`);
    for (const name of names) {
      await make(name);
      later(() => send('DeleteFunction', { FunctionName: name }));
    }
    const seen = [];
    for await (const page of lambda.paginateListFunctions({ client, pageSize: 2 }, {})) {
      if (page.Functions.length > 2) throw new Error(`got a page of ${page.Functions.length} functions, want at most 2`);
      seen.push(...page.Functions.map((f) => f.FunctionName));
    }
    equal(seen.filter((n) => n.startsWith('js-page-')).sort(), names, 'functions on all pages');
  },

  async stream() {
    const source = `
      export const handler = awslambda.streamifyResponse(async (event, stream) => {
        for (const part of ['one ', 'two ', 'three']) { stream.write(part); await new Promise((done) => setTimeout(done, 10)); }
        stream.end();
      });`;
    await make('js-stream', { Code: { ZipFile: archive({ 'index.mjs': source }) } });
    later(() => send('DeleteFunction', { FunctionName: 'js-stream' }));
    await lambda.waitUntilFunctionActiveV2(often(client), { FunctionName: 'js-stream' });
    const out = await send('InvokeWithResponseStream', { FunctionName: 'js-stream' });
    let body = '';
    let complete;
    for await (const event of out.EventStream) {
      if (event.PayloadChunk) body += text(event.PayloadChunk.Payload);
      if (event.InvokeComplete) complete = event.InvokeComplete;
    }
    equal(body, 'one two three', 'body');
    equal(complete.ErrorCode, undefined, 'ErrorCode');
  },

  async 'layers, permissions, tags, URLs'() {
    const layer = await send('PublishLayerVersion', { LayerName: 'js-layer', Content: { ZipFile: archive({ 'a.txt': 'a' }) } });
    equal(layer.Version, 1, 'layer version');
    await send('DeleteLayerVersion', { LayerName: 'js-layer', VersionNumber: 1 });
    await send('AddPermission', { FunctionName: NAME, StatementId: 's', Action: 'lambda:InvokeFunction', Principal: ACCOUNT });
    const { Policy } = await send('GetPolicy', { FunctionName: NAME });
    equal(JSON.parse(Policy).Statement[0].Principal, { AWS: `arn:aws:iam::${ACCOUNT}:root` }, 'Principal');
    await send('RemovePermission', { FunctionName: NAME, StatementId: 's' });
    await send('TagResource', { Resource: ARN, Tags: { a: 'b' } });
    await send('UntagResource', { Resource: ARN, TagKeys: ['team'] });
    equal((await send('ListTags', { Resource: ARN })).Tags, { a: 'b' }, 'Tags');
    const url = await send('CreateFunctionUrlConfig', { FunctionName: NAME, AuthType: 'NONE' });
    inside('.lambda-url.', url.FunctionUrl, 'FunctionUrl');
    await send('DeleteFunctionUrlConfig', { FunctionName: NAME });
  },

  async delete() {
    equal((await send('DeleteFunction', { FunctionName: NAME })).$metadata.httpStatusCode, 204, 'status');
    await raises(lambda.ResourceNotFoundException, () => send('Invoke', { FunctionName: NAME }));
  },
});
