// One client in a process of its own: measures the caller loop whenever the parent asks. Started by lab.js.
'use strict';

const assert = require('node:assert');
const { adapters } = require('./adapters');
const meter = require('./meter');
const { keys, values, runCallers, percentile } = require('./workload');

async function main() {
  const [name, url] = process.argv.slice(2);
  const client = await adapters[name](url);
  process.on('message', (request) => {
    measure(client, request).then(
      (result) => process.send({ result }),
      (error) => process.send({ error: error.stack }),
    );
  });
  process.send({ result: 'ready' });
}

async function measure(client, request) {
  const started = meter.start();
  const { calls, failed, latencies } = await runCallers(client, request);
  const cost = meter.stop(started);
  // A client that answered fast but wrong must not win.
  if (failed === 0) assert.deepStrictEqual(client.decode(await client.get(keys[7])), values[7]);
  return { calls, failed, ...cost, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}

// The parent ends this process by closing the channel; then nothing is left to measure and nothing worth a farewell.
process.on('disconnect', () => process.exit(0));
main().catch((error) => process.send({ error: error.stack }));
