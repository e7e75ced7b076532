// Sessions: a random token in a cookie, and its hash in a table that lives in memory: who reads the table cannot use them.
import { createHash, randomBytes } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";

export const { STORE, SESSIONS } = process.env;
export const store = DynamoDBDocumentClient.from(new DynamoDBClient());

const hours = 12;
const now = () => Math.floor(Date.now() / 1000);
const key = (token) => ({ token: createHash("sha256").update(token).digest("base64url") });
const tokenOf = (event) => event.cookies?.find((c) => c.startsWith("session="))?.slice("session=".length);
const cookie = (event, token, age) =>
  `session=${token}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax` + (event.headers["x-forwarded-proto"] === "https" ? "; Secure" : "");

// begin starts a session and answers with its cookie.
export async function begin(name, event) {
  const token = randomBytes(24).toString("base64url");
  await store.send(new PutCommand({ TableName: SESSIONS, Item: { ...key(token), name, until: now() + hours * 3600 } }));
  return cookie(event, token, hours * 3600);
}

export async function end(event) {
  const token = tokenOf(event);
  if (token) await store.send(new DeleteCommand({ TableName: SESSIONS, Key: key(token) }));
  return cookie(event, "", 0);
}

// member is who sends the request; undefined when nobody is logged in. An item may be there for a while after its time.
export async function member(event) {
  const token = tokenOf(event);
  if (!token) return undefined;
  const { Item } = await store.send(new GetCommand({ TableName: SESSIONS, Key: key(token) }));
  return Item && Item.until > now() ? Item.name : undefined;
}

// input is the JSON that the client sent. API Gateway encodes what is not declared as text: curl -d without a type.
export function input(event) {
  try {
    const body = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
    return Object(JSON.parse(body));
  } catch {
    return {};
  }
}

export const answer = (statusCode, body, cookie) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  ...(cookie && { cookies: [cookie] }),
  body: JSON.stringify(body),
});
