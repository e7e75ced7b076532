export const handler = async (event) => {
  console.log(`greeting ${event.pathParameters.name}`);
  return { message: `Hello, ${event.pathParameters.name}!` };
};
