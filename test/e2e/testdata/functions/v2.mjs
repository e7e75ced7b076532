// Works on a table by the AWS SDK v2, imported into an ES module.
import AWS from 'aws-sdk';

export const handler = async () => {
  const TableName = process.env.TABLE;
  const table = new AWS.DynamoDB.DocumentClient();
  await table.put({ TableName, Item: { id: 'esm', price: 2.5 } }).promise();
  const { Item } = await table.get({ TableName, Key: { id: 'esm' } }).promise();
  return { price: Item.price };
};
