import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";

interface Request { pathParameters: { id: string } }

const names = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const TableName = process.env.NAMES;

export const handler = async (event: Request) => {
  const PK = event.pathParameters.id;
  const { Item } = await names.send(new GetCommand({ TableName, Key: { PK, SK: "NAME#" } }));
  const greeting = Item ? `Hello ${Item.name}` : `Nobody is ${PK}`;
  await names.send(new PutCommand({ TableName, Item: { PK, SK: "SAID#", greeting } }));
  return { statusCode: Item ? 200 : 404, body: greeting };
};
