// The AWS SDK for JavaScript and the services around functions: IAM, STS, logs, APIs, rules, stacks.

import { readFile } from 'node:fs/promises';
import * as apigateway from '@aws-sdk/client-api-gateway';
import * as apigatewayv2 from '@aws-sdk/client-apigatewayv2';
import * as cloudformation from '@aws-sdk/client-cloudformation';
import * as logs from '@aws-sdk/client-cloudwatch-logs';
import * as events from '@aws-sdk/client-eventbridge';
import * as iam from '@aws-sdk/client-iam';
import { LambdaClient, InvokeCommand } from '@aws-sdk/client-lambda';
import * as sts from '@aws-sdk/client-sts';
import { ACCOUNT, REGION, TRUST, equal, inside, later, main, often, raises } from './cases.mjs';

// sender sends commands of one service by their names.
const sender = (service, client) => (command, input = {}) => client.send(new service[command + 'Command'](input));

const iamClient = new iam.IAMClient({});
const logsClient = new logs.CloudWatchLogsClient({});
const stackClient = new cloudformation.CloudFormationClient({});
const IAM = sender(iam, iamClient);
const STS = sender(sts, new sts.STSClient({}));
const LOGS = sender(logs, logsClient);
const REST = sender(apigateway, new apigateway.APIGatewayClient({}));
const HTTP = sender(apigatewayv2, new apigatewayv2.ApiGatewayV2Client({}));
const EVENTS = sender(events, new events.EventBridgeClient({}));
const STACKS = sender(cloudformation, stackClient);

await main({
  async identity() {
    equal((await STS('GetCallerIdentity')).Arn, `arn:aws:iam::${ACCOUNT}:root`, 'Arn');
  },

  async roles() {
    for (const i of [0, 1, 2]) {
      await IAM('CreateRole', { RoleName: `js-role-${i}`, AssumeRolePolicyDocument: TRUST });
      later(() => IAM('DeleteRole', { RoleName: `js-role-${i}` }));
    }
    const got = (await IAM('GetRole', { RoleName: 'js-role-0' })).Role;
    equal(decodeURIComponent(got.AssumeRolePolicyDocument), TRUST, 'AssumeRolePolicyDocument');
    equal(got.CreateDate instanceof Date, true, 'CreateDate is a date');
    const seen = [];
    for await (const page of iam.paginateListRoles({ client: iamClient, pageSize: 2 }, {})) seen.push(...page.Roles.map((r) => r.RoleName));
    equal(seen.filter((n) => n.startsWith('js-role-')), ['js-role-0', 'js-role-1', 'js-role-2'], 'roles on all pages');
    const error = await raises(iam.NoSuchEntityException, () => IAM('GetRole', { RoleName: 'js-nobody' }));
    equal(error.message, 'The role with name js-nobody cannot be found.', 'message');
    await raises(iam.EntityAlreadyExistsException, () => IAM('CreateRole', { RoleName: 'js-role-0', AssumeRolePolicyDocument: TRUST }));
  },

  async 'assume role'() {
    const trust = TRUST.replace('"Service":"lambda.amazonaws.com"', `"AWS":"${ACCOUNT}"`);
    await IAM('UpdateAssumeRolePolicy', { RoleName: 'js-role-0', PolicyDocument: trust });
    const { Credentials: k } = await STS('AssumeRole', { RoleArn: `arn:aws:iam::${ACCOUNT}:role/js-role-0`, RoleSessionName: 'js' });
    const credentials = { accessKeyId: k.AccessKeyId, secretAccessKey: k.SecretAccessKey, sessionToken: k.SessionToken };
    const who = await new sts.STSClient({ credentials }).send(new sts.GetCallerIdentityCommand({}));
    equal(who.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/js-role-0/js`, 'Arn');
    await raises('AccessDeniedException', () => new logs.CloudWatchLogsClient({ credentials }).send(new logs.DescribeLogGroupsCommand({})));
    await raises('AccessDenied', () => new iam.IAMClient({ credentials }).send(new iam.ListRolesCommand({})));
  },

  async 'log events'() {
    await LOGS('CreateLogGroup', { logGroupName: 'js/logs' });
    later(() => LOGS('DeleteLogGroup', { logGroupName: 'js/logs' }));
    await LOGS('CreateLogStream', { logGroupName: 'js/logs', logStreamName: 's' });
    const now = Date.now();
    const logEvents = [...Array(7).keys()].map((i) => ({ timestamp: now + i, message: `line ${i}` }));
    await LOGS('PutLogEvents', { logGroupName: 'js/logs', logStreamName: 's', logEvents });
    const seen = [];
    for await (const page of logs.paginateFilterLogEvents({ client: logsClient, pageSize: 3 }, { logGroupName: 'js/logs' })) {
      seen.push(...page.events.map((e) => e.message));
    }
    equal(seen, logEvents.map((e) => e.message), 'events of FilterLogEvents');
    const got = [];
    const input = { logGroupName: 'js/logs', logStreamName: 's', startFromHead: true };
    for await (const page of logs.paginateGetLogEvents({ client: logsClient, pageSize: 3, stopOnSameToken: true }, input)) {
      got.push(...page.events.map((e) => e.message));
    }
    equal(got, logEvents.map((e) => e.message), 'events of GetLogEvents');
    await raises(logs.ResourceNotFoundException, () => LOGS('GetLogEvents', { logGroupName: 'js/nobody', logStreamName: 's' }));
    await raises(logs.ResourceAlreadyExistsException, () => LOGS('CreateLogGroup', { logGroupName: 'js/logs' }));
  },

  async apis() {
    const api = await HTTP('CreateApi', { Name: 'js-api', ProtocolType: 'HTTP' });
    later(() => HTTP('DeleteApi', { ApiId: api.ApiId }));
    equal(api.CreatedDate instanceof Date, true, 'CreatedDate is a date');
    await raises(apigatewayv2.NotFoundException, () => HTTP('GetApi', { ApiId: 'nobody' }));
    const rest = await REST('CreateRestApi', { name: 'js-rest' });
    later(() => REST('DeleteRestApi', { restApiId: rest.id }));
    equal(rest.createdDate instanceof Date, true, 'createdDate is a date');
    equal((await REST('GetResources', { restApiId: rest.id })).items[0].path, '/', 'path');
    await raises(apigateway.NotFoundException, () => REST('GetRestApi', { restApiId: 'nobody' }));
  },

  async rules() {
    const { RuleArn } = await EVENTS('PutRule', { Name: 'js-rule', ScheduleExpression: 'rate(3 hours)' });
    later(() => EVENTS('DeleteRule', { Name: 'js-rule' }));
    equal(RuleArn, `arn:aws:events:${REGION}:${ACCOUNT}:rule/js-rule`, 'RuleArn');
    equal((await EVENTS('DescribeRule', { Name: 'js-rule' })).State, 'ENABLED', 'State');
    await raises(events.ResourceNotFoundException, () => EVENTS('DescribeRule', { Name: 'js-nobody' }));
  },

  async stacks() {
    const TemplateBody = await readFile(new URL('../testdata/stack.yaml', import.meta.url), 'utf8');
    const input = { StackName: 'js-stack', TemplateBody, Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_AUTO_EXPAND'] };
    await STACKS('CreateStack', input);
    await cloudformation.waitUntilStackCreateComplete(often(stackClient), { StackName: 'js-stack' });
    await raises(cloudformation.AlreadyExistsException, () => STACKS('CreateStack', input));
    const stack = (await STACKS('DescribeStacks', { StackName: 'js-stack' })).Stacks[0];
    const name = stack.Outputs.find((o) => o.OutputKey === 'Name').OutputValue;
    const out = await new LambdaClient({}).send(new InvokeCommand({ FunctionName: name, Payload: '{}' }));
    inside('hello nobody', Buffer.from(out.Payload).toString(), 'answer');
    const kinds = new Set();
    for await (const page of cloudformation.paginateListStackResources({ client: stackClient }, { StackName: 'js-stack' })) {
      for (const r of page.StackResourceSummaries) kinds.add(r.ResourceType);
    }
    equal(kinds.has('AWS::Lambda::Function'), true, 'there is a function');
    await raises(cloudformation.InsufficientCapabilitiesException, () => STACKS('CreateStack', { ...input, StackName: 'js-bad', Capabilities: [] }));
    const error = await raises('ValidationError', () => STACKS('DescribeStacks', { StackName: 'js-nobody' }));
    equal(error.message, 'Stack with id js-nobody does not exist', 'message');
    await STACKS('DeleteStack', { StackName: 'js-stack' });
    await cloudformation.waitUntilStackDeleteComplete(often(stackClient), { StackName: 'js-stack' });
  },
});
