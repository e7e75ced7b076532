// Leaves one durable effect per run before it answers: a log stream named after the event.
const crypto = require('crypto');
const aws = require('./aws');

exports.handler = async ({id}) => {
  const logStreamName = id + '/' + crypto.randomUUID();
  const {status, body} = await aws.logs('CreateLogStream', {logGroupName: '/ran', logStreamName});
  if (status !== 200) throw new Error(`CreateLogStream ${logStreamName}: ${status} ${body}`);
};
