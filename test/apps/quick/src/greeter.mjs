export const handler = async (event) => ({
  statusCode: 200,
  headers: { 'content-type': 'text/plain' },
  body: `${event.routeKey} ${event.rawPath} ${process.env.NUMBER}`,
})
