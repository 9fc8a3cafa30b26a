// One client in a process of its own: measures the caller loop whenever the parent asks. Started by lab.js.
'use strict';

const assert = require('node:assert');
const { adapters } = require('./adapters');
const meter = require('../lab/meter');
const { serve } = require('../lab/serve');
const { workloadOf, readInTurns, runCallers, percentile } = require('../lab/workload');

/** To fill what is kept in process: the second read of a key may be the first that is kept where it is hottest. */
const PASSES = 3;

async function main([name, url]) {
  const client = await adapters[name](url);
  return (request) => measure(client, request);
}

async function measure(client, request) {
  const { keys, values, bytes } = workloadOf(request.bytes);
  // A lone caller would not have read all keys by the end of a warm-up.
  if (request.readAll) for (let pass = 0; pass < PASSES; pass += 1) await readInTurns(client.get, keys);
  const started = meter.start();
  const { calls, failed, latencies } = await runCallers(client, request, { keys, values, bytes });
  const cost = meter.stop(started);
  // A client that answered fast but wrong must not win.
  if (failed === 0) assert.deepStrictEqual(client.decode(await client.get(keys[7])), values[7]);
  return { calls, failed, ...cost, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}

serve(main);
