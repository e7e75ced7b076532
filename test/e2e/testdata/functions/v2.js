// Works on a table by the AWS SDK v2 as a whole and by one of its clients, told nothing but the environment.
const AWS = require('aws-sdk');
const DynamoDB = require('aws-sdk/clients/dynamodb');

exports.handler = async () => {
  const TableName = process.env.TABLE;
  const table = new AWS.DynamoDB.DocumentClient();
  await table.put({ TableName, Item: { id: 'cjs', price: 1.5 } }).promise();
  const { Item } = await table.get({ TableName, Key: { id: 'cjs' } }).promise();
  const denied = await new DynamoDB().deleteItem({ TableName, Key: { id: { S: 'cjs' } } }).promise().then(() => 'allowed', e => e.code);
  const { Arn } = await new AWS.STS().getCallerIdentity().promise();
  const elsewhere = new AWS.DynamoDB({ endpoint: 'http://127.0.0.1:1', maxRetries: 0 });
  return { price: Item.price, denied, caller: Arn, own: await elsewhere.listTables().promise().catch(e => e.code) };
};
