// The AWS SDK for JavaScript keeps items in tables: the client, the document client and the streams.

import * as db from '@aws-sdk/client-dynamodb';
import * as doc from '@aws-sdk/lib-dynamodb';
import * as streams from '@aws-sdk/client-dynamodb-streams';
import { ACCOUNT, REGION, equal, inside, later, main, often, raises } from './cases.mjs';

const client = new db.DynamoDBClient({});
const documents = doc.DynamoDBDocumentClient.from(client);
const changes = new streams.DynamoDBStreamsClient({});
const send = (command, input) => client.send(new db[command + 'Command'](input));
const say = (command, input) => documents.send(new doc[command + 'Command'](input));
const read = (command, input) => changes.send(new streams[command + 'Command'](input));

const TableName = 'js-orders';
let StreamArn;

await main({
  async create() {
    const { TableDescription } = await send('CreateTable', {
      TableName, BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'user', AttributeType: 'S' }, { AttributeName: 'at', AttributeType: 'N' }, { AttributeName: 'state', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'user', KeyType: 'HASH' }, { AttributeName: 'at', KeyType: 'RANGE' }],
      GlobalSecondaryIndexes: [{ IndexName: 'byState', KeySchema: [{ AttributeName: 'state', KeyType: 'HASH' }], Projection: { ProjectionType: 'ALL' } }],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    });
    later(() => send('DeleteTable', { TableName }));
    equal(TableDescription.TableArn, `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${TableName}`, 'TableArn');
    StreamArn = TableDescription.LatestStreamArn;
    await db.waitUntilTableExists(often(client), { TableName });
    equal((await send('DescribeTable', { TableName })).Table.TableStatus, 'ACTIVE', 'TableStatus');
  },

  async documents() {
    const Item = { user: 'ada', at: 1, state: 'open', total: 12.5, lines: [{ name: 'tea', count: 2 }], tags: new Set(['a', 'b']), photo: new Uint8Array([0, 255]), none: null, paid: true };
    await say('Put', { TableName, Item });
    const got = (await say('Get', { TableName, Key: { user: 'ada', at: 1 } })).Item;
    equal({ ...got, tags: [...got.tags].sort(), photo: [...got.photo] }, { ...Item, tags: ['a', 'b'], photo: [0, 255] }, 'Item');
    const changed = await say('Update', {
      TableName, Key: { user: 'ada', at: 1 }, UpdateExpression: 'SET #l[0].#c = #l[0].#c + :one', ExpressionAttributeNames: { '#l': 'lines', '#c': 'count' },
      ExpressionAttributeValues: { ':one': 1 }, ReturnValues: 'ALL_NEW',
    });
    equal(changed.Attributes.lines[0].count, 3, 'count');
  },

  async pages() {
    const put = (at) => ({ PutRequest: { Item: { user: 'bob', at, state: 'open' } } });
    const { UnprocessedItems } = await say('BatchWrite', { RequestItems: { [TableName]: Array.from({ length: 25 }, (_, i) => put(i)) } });
    equal(UnprocessedItems, {}, 'UnprocessedItems');
    const found = [];
    const query = { TableName, KeyConditionExpression: '#u = :u', ExpressionAttributeNames: { '#u': 'user' }, ExpressionAttributeValues: { ':u': 'bob' }, ScanIndexForward: false };
    for await (const page of doc.paginateQuery({ client: documents, pageSize: 10 }, query)) found.push(...page.Items.map((i) => i.at));
    equal(found, Array.from({ length: 25 }, (_, i) => 24 - i), 'queried items');
    let count = 0;
    for await (const page of db.paginateScan({ client, pageSize: 10 }, { TableName, IndexName: 'byState' })) count += page.Count;
    equal(count, 26, 'scanned items');
  },

  async 'typed errors'() {
    const again = { TableName, Item: { user: 'ada', at: 1 }, ConditionExpression: 'attribute_not_exists(#u)', ExpressionAttributeNames: { '#u': 'user' } };
    const failed = await raises(db.ConditionalCheckFailedException, () => say('Put', { ...again, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }));
    equal(failed.Item.state, { S: 'open' }, 'Item');
    const write = { TransactItems: [{ Put: again }, { Update: { TableName, Key: { user: 'ada', at: 2 }, UpdateExpression: 'SET n = :n', ExpressionAttributeValues: { ':n': 1 } } }] };
    const cancelled = await raises(db.TransactionCanceledException, () => say('TransactWrite', write));
    equal(cancelled.CancellationReasons.map((r) => r.Code), ['ConditionalCheckFailed', 'None'], 'reasons');
    inside('[ConditionalCheckFailed, None]', cancelled.message, 'message');
    await raises(db.ResourceNotFoundException, () => send('DescribeTable', { TableName: 'js-none' }));
    await raises('ValidationException', () => say('Get', { TableName, Key: { user: 'ada' } }));
  },

  async transactions() {
    await say('TransactWrite', { TransactItems: [{ Put: { TableName, Item: { user: 'eve', at: 1, n: 1 } } }, { Delete: { TableName, Key: { user: 'bob', at: 0 } } }] });
    const { Responses } = await say('TransactGet', { TransactItems: [{ Get: { TableName, Key: { user: 'eve', at: 1 } } }, { Get: { TableName, Key: { user: 'bob', at: 0 } } }] });
    equal(Responses.map((r) => r.Item?.n), [1, undefined], 'Responses');
  },

  async stream() {
    const { StreamDescription } = await read('DescribeStream', { StreamArn });
    let { ShardIterator } = await read('GetShardIterator', { StreamArn, ShardId: StreamDescription.Shards[0].ShardId, ShardIteratorType: 'TRIM_HORIZON' });
    const { Records } = await read('GetRecords', { ShardIterator, Limit: 2 });
    equal(Records.map((r) => r.eventName), ['INSERT', 'MODIFY'], 'events');
    equal(Records[1].dynamodb.NewImage.lines.L[0].M.count, { N: '3' }, 'count');
  },
});
