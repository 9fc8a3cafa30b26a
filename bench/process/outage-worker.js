// Owns one cache of ours in a process of its own, under callers, until its Redis stops and beyond. See outage.js.
'use strict';

const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const { DRIVERS, openHoldfast } = require('../clients/adapters');
const { serve } = require('../lab/child');
const { percentiles, workloadOf } = require('../lab/workload');

const POLL_MS = 5;
const PATIENCE_MS = 20_000;

const { keys, values } = workloadOf();

async function main([name, url, timeoutMs, callers]) {
  const cache = await openHoldfast(url, { nearCache: false, timeoutMs: Number(timeoutMs), io: DRIVERS[name] });
  const state = { stopped: Number.POSITIVE_INFINITY, over: false, first: 0, known: [], failed: 0 };
  const inMode = async (mode) => {
    for (const began = performance.now(); cache.getMode() !== mode; await sleep(POLL_MS)) {
      if (performance.now() - began > PATIENCE_MS) throw new Error(`${name} does not come to the mode ${mode}`);
    }
  };
  let load;
  const answers = {
    async load() {
      load = Promise.all(Array.from({ length: Number(callers) }, (_, n) => call(cache, state, n)));
    },
    async stopped() {
      state.stopped = performance.now();
      await inMode('memory');
    },
    async end() {
      state.over = true;
      await load;
      return { first: state.first, failed: state.failed, calls: state.known.length, ...percentiles(state.known) };
    },
    recovered: () => inMode('redis'),
  };
  return (request) => answers[request]();
}

/** A caller: reads and writes in turns, and leaves the event loop to the others after each call. */
async function call(cache, state, first) {
  for (let n = first; !state.over; n += 1) {
    const i = n % keys.length;
    const known = cache.getMode() === 'memory';
    const began = performance.now();
    try {
      await (n % 2 === 0 ? cache.get(keys[i]) : cache.set(keys[i], values[i]));
    } catch {
      state.failed += 1;
    }
    const now = performance.now();
    if (known) state.known.push(now - began);
    else if (now > state.stopped) state.first = Math.max(state.first, now - began);
    await turn();
  }
}

serve(main);
