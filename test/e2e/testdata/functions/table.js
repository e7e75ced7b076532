// Keeps items in a table by AWS's SDK, as the runtime provides it, told nothing but the environment.
const { DynamoDBClient, DescribeTableCommand } = require('@aws-sdk/client-dynamodb');
const { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand } = require('@aws-sdk/lib-dynamodb');

const TableName = process.env.TABLE;
const bare = new DynamoDBClient({});
const table = DynamoDBDocumentClient.from(bare);

const denied = async command => {
  try {
    await table.send(command);
  } catch (e) {
    return `${e.name}: ${e.message}`;
  }
  return 'allowed';
};

exports.handler = async () => {
  const Key = { owner: 'mine', n: 2 };
  await table.send(new PutCommand({ TableName, Item: { ...Key, price: 1.5, tags: new Set(['a', 'b']), raw: Buffer.from([0, 1]) } }));
  await table.send(new UpdateCommand({ TableName, Key, UpdateExpression: 'ADD seen :one', ExpressionAttributeValues: { ':one': 1 } }));
  const { Item } = await table.send(new GetCommand({ TableName, Key }));
  const { Items } = await table.send(new QueryCommand({ TableName, KeyConditionExpression: '#o = :o AND n >= :n',
    ExpressionAttributeNames: { '#o': 'owner' }, ExpressionAttributeValues: { ':o': 'mine', ':n': 2 } }));
  const cancelled = await table.send(new TransactWriteCommand({ TransactItems: [
    { Put: { TableName, Item: { owner: 'mine', n: 3 } } },
    { Update: { TableName, Key, UpdateExpression: 'SET seen = :n', ConditionExpression: 'seen > :n', ExpressionAttributeValues: { ':n': 9 } } },
  ] })).catch(e => e.CancellationReasons.map(r => r.Code).join());
  return {
    price: String(Item.price), tags: [...Item.tags].sort(), raw: Buffer.from(Item.raw).toString('hex'), seen: Item.seen, found: Items.length,
    cancelled,
    other: await denied(new PutCommand({ TableName, Item: { owner: 'yours', n: 1 } })),
    delete: await denied(new DeleteCommand({ TableName, Key })),
    describe: await bare.send(new DescribeTableCommand({ TableName })).catch(e => e.name),
  };
};
