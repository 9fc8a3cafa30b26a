// Owns one client in a process of its own: measures the caller loop whenever the parent asks.
'use strict';

const assert = require('node:assert');
const { adapters } = require('./adapters');
const { adapters: clusterAdapters } = require('./cluster-adapters');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { PASSES_TO_KEEP, workloadOf, readInTurns, runCallers, percentiles } = require('../lab/workload');

async function main([name, url, primaries]) {
  const client = await (Number(primaries) > 0 ? clusterAdapters : adapters)[name](url);
  return (request) => measure(client, request);
}

async function measure(client, request) {
  const { keys, values, bytes } = workloadOf(request.bytes);
  // A lone caller would not have read all keys by the end of a warm-up.
  if (request.readAll) await readInTurns(client.get, keys, PASSES_TO_KEEP);
  const started = startMeter();
  const { calls, failed, latencies } = await runCallers(client, request, { keys, values, bytes });
  const cost = stopMeter(started);
  // A client that answered fast but wrong must not win.
  if (failed === 0) assert.deepStrictEqual(client.decode(await client.get(keys[7])), values[7]);
  return { calls, failed, ...cost, ...percentiles(latencies) };
}

serve(main);
