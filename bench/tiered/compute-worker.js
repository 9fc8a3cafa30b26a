// Owns one cache in a process of its own: computes what is cold, alone or in a crowd, whenever the parent asks.
'use strict';

const { performance } = require('node:perf_hooks');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { stampede } = require('../lab/crowd');
const { adapters } = require('./adapters');
const { workloadOf, percentiles } = require('../lab/workload');

/** What is computed is kept in process: a window ends with so many keys. */
const MOST_CALLS = 20_000;

const { values } = workloadOf();
let next = 0;

async function main([name, url]) {
  const { getOrCompute } = await adapters[name](url);
  const answers = {
    cold: (request) => computeCold(getOrCompute, request),
    stampede: (request) => stampede(getOrCompute, request),
  };
  return ({ kind, ...request }) => answers[kind](request);
}

/** Callers that each ask for one key after another that nobody has asked for, and whose function is done at once. */
async function computeCold(getOrCompute, { callers, seconds }) {
  const latencies = [];
  const end = performance.now() + seconds * 1000;
  let failed = 0;
  let began = performance.now();
  const caller = async () => {
    while (latencies.length < MOST_CALLS && began < end) {
      const n = next++;
      const value = values[n % values.length];
      began = performance.now();
      const own = began;
      const got = await getOrCompute(`cold:${process.pid}:${n}`, async () => value);
      latencies.push(performance.now() - own);
      if (got.tenant !== value.tenant) failed += 1;
    }
  };
  const started = startMeter();
  await Promise.all(Array.from({ length: callers }, caller));
  const cost = stopMeter(started);
  return { calls: latencies.length, failed, ...cost, ...percentiles(latencies) };
}

serve(main);
