// Orders: one transaction takes the stock of every line and writes the order, or does nothing at all.
import { randomBytes } from "node:crypto";
import { QueryCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import products from "catalogue";
import { answer, input, member, STORE, store } from "./session.js";

const linesMax = 20;

// priced checks a basket and prices it; a text when something is wrong with it.
function priced(basket) {
  if (!Array.isArray(basket) || basket.length === 0) return 'want a body such as {"basket": [{"id": "tea", "quantity": 2}]}';
  if (basket.length > linesMax) return `at most ${linesMax} lines`;
  const wanted = new Map();
  for (const line of basket) {
    const product = products.find((p) => p.id === line?.id);
    const quantity = line?.quantity ?? 1;
    if (!product) return `no product ${line?.id}`;
    if (!Number.isInteger(quantity) || quantity < 1) return `${product.id}: want a quantity of 1 or more`;
    wanted.set(product, (wanted.get(product) ?? 0) + quantity);
  }
  return [...wanted].map(([p, quantity]) => ({ id: p.id, quantity, cents: p.cents * quantity }));
}

// take counts what is sold of a product, as long as the stock lasts. Before the first sale there is no item.
const take = ({ id, quantity }) => ({
  Update: {
    TableName: STORE,
    Key: { id: `product#${id}`, entry: "sold" },
    UpdateExpression: "ADD sold :quantity",
    ConditionExpression: "sold <= :room OR attribute_not_exists(sold) AND :room >= :none",
    ExpressionAttributeValues: { ":quantity": quantity, ":room": products.find((p) => p.id === id).stock - quantity, ":none": 0 },
  },
});

const routes = {
  "POST /orders": async (event, name) => {
    const lines = priced(input(event).basket);
    if (typeof lines === "string") return answer(400, { message: lines });
    const at = new Date().toISOString();
    const order = { at, number: randomBytes(4).toString("hex"), lines, cents: lines.reduce((sum, l) => sum + l.cents, 0) };
    const Put = { TableName: STORE, Item: { id: `account#${name}`, entry: `order#${at}#${order.number}`, ...order } };
    try {
      await store.send(new TransactWriteCommand({ TransactItems: [...lines.map(take), { Put }] }));
    } catch (e) {
      const short = lines.filter((_, i) => e.CancellationReasons?.[i].Code === "ConditionalCheckFailed");
      if (short.length === 0) throw e;
      return answer(409, { message: `not enough in stock of ${short.map((l) => l.id).join(", ")}` });
    }
    return answer(201, order);
  },

  "GET /orders": async (event, name) => {
    const { Items } = await store.send(new QueryCommand({
      TableName: STORE,
      KeyConditionExpression: "id = :id AND begins_with(entry, :order)",
      ExpressionAttributeValues: { ":id": `account#${name}`, ":order": "order#" },
      ScanIndexForward: false, // the newest first
      Limit: 50,
    }));
    return answer(200, Items.map(({ at, number, lines, cents }) => ({ at, number, lines, cents })));
  },
};

export const handler = async (event) => {
  const name = await member(event);
  return name ? routes[event.routeKey](event, name) : answer(401, { message: "log in first: POST /login" });
};
