// Accounts: register, log in, log out. A password is kept as its scrypt hash, with a salt of its own.
import { promisify } from "node:util";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { answer, begin, end, input, member, STORE, store } from "./session.js";

const derive = promisify(scrypt);
const cost = { N: 16384, r: 8, p: 5 };
const hash = (password, salt) => derive(password.normalize("NFKC"), salt, 32, cost);

const account = (name) => ({ id: `account#${name}`, entry: "profile" });

const routes = {
  "POST /register": async (event) => {
    const { name, password } = input(event);
    if (!/^[a-z][a-z0-9-]{1,29}$/.test(name)) return answer(400, { message: "name: 2 to 30 of a-z, 0-9 and -" });
    if (typeof password !== "string" || password.length < 8 || password.length > 128)
      return answer(400, { message: "password: 8 to 128 characters" });
    const salt = randomBytes(16);
    try {
      await store.send(new PutCommand({
        TableName: STORE,
        Item: { ...account(name), name, salt, hash: await hash(password, salt), since: new Date().toISOString() },
        ConditionExpression: "attribute_not_exists(id)",
      }));
    } catch (e) {
      if (e.name !== "ConditionalCheckFailedException") throw e;
      return answer(409, { message: `${name} is taken` });
    }
    return answer(201, { name }, await begin(name, event));
  },

  "POST /login": async (event) => {
    const { name, password } = input(event);
    const { Item } = await store.send(new GetCommand({ TableName: STORE, Key: account(String(name)), ConsistentRead: true }));
    // Somebody who is not there takes as long as a wrong password, and gets the same answer.
    const want = Item?.hash ?? randomBytes(32);
    const got = await hash(String(password).slice(0, 128), Item?.salt ?? randomBytes(16));
    if (!timingSafeEqual(got, want)) return answer(401, { message: "wrong name or password" });
    return answer(200, { name }, await begin(name, event));
  },

  "POST /logout": async (event) => answer(200, { message: "bye" }, await end(event)),

  "GET /me": async (event) => {
    const name = await member(event);
    return name ? answer(200, { name }) : answer(401, { message: "log in first: POST /login" });
  },
};

export const handler = (event) => routes[event.routeKey](event);
