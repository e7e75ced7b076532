// Lists what the store sells. The catalogue is a layer, read once when the instance starts.
const products = require("catalogue");

const routes = {
  "GET /": () => ({ shop: "Rouse teas", try: ["/products", "/products/tea", "POST /quote", "POST /coupons", "POST /register", "POST /orders"] }),
  "GET /products": () => products,
  "GET /products/{id}": ({ id }) => products.find((p) => p.id === id),
};

exports.handler = async (event) => {
  const found = routes[event.routeKey](event.pathParameters ?? {});
  return found ?? { statusCode: 404, body: JSON.stringify({ message: `no product ${event.pathParameters.id}` }) };
};
