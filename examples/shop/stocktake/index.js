// Counts the stock once an hour and says what has run out.
const products = require("catalogue");

exports.handler = async (event) => {
  const out = products.filter((p) => p.stock === 0).map((p) => p.id);
  console.log(`stocktake of ${event.time}: ${products.length} products, sold out: ${out.join(", ") || "none"}`);
  return { products: products.length, out };
};
