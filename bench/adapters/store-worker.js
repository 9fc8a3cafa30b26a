// Owns one store of stores.js in a process of its own: reads and writes whenever the parent asks, alone, in a crowd, or
// through an outage.
'use strict';

const assert = require('node:assert');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { stampede } = require('../lab/crowd');
const { PASSES_TO_KEEP, percentiles, readInTurns, runCallers, workloadOf } = require('../lab/workload');
const { stores } = require('./stores');
const { startStrain } = require('./strain');

const { keys, values, bytes } = workloadOf();

/** unstorage has null for a miss, and Keyv undefined; what is no value of ours is none either. */
const decode = (value) => (value?.period === 'week' ? value : null);

async function main([name, url, options]) {
  const store = await stores[name].open(url, JSON.parse(options));
  await Promise.all(keys.map((key, at) => store.set(key, values[at])));
  await readInTurns(store.get, keys, PASSES_TO_KEEP);
  const told = () => store.errors?.() ?? 0;
  let strain;
  const answers = {
    measure: (request) => measure(store, told, request),
    stampede: (request) => stampede(store.wrap, request),
    load: ({ callers }) => {
      strain = startStrain((n) => call(store, n), callers);
      return true;
    },
    mark: ({ away }) => strain.mark(away),
    end: async () => {
      const seen = await strain.end();
      return { ...seen, failed: seen.failed + told() };
    },
  };
  return ({ kind, ...request }) => answers[kind](request);
}

async function measure(store, told, request) {
  const errors = told();
  const started = startMeter();
  const client = { ...store, encode: (value) => value, decode };
  const { calls, failed, latencies } = await runCallers(client, request, { keys, values, bytes });
  const cost = stopMeter(started);
  // A store that answered fast but wrong must not win.
  if (failed === 0) assert.deepStrictEqual(await store.get(keys[7]), values[7]);
  return { calls, failed: failed + told() - errors, ...cost, ...percentiles(latencies) };
}

/** Reads and writes in turns; resolves to whether a read found its value. */
async function call(store, n) {
  const at = (n >> 1) % keys.length;
  if (n % 2 === 0) return decode(await store.get(keys[at])) !== null;
  await store.set(keys[at], values[at]);
  return true;
}

serve(main);
