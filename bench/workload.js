// The work every client does: 1,000 keys, 200-byte JSON objects, and callers that await one call after another.
'use strict';

const { performance } = require('node:perf_hooks');

const KEYS = 1000;
const VALUE_BYTES = 200;
/** The clock is asked once per so many calls whether the time is up: often enough at one caller, unseen at 512. */
const CALLS_PER_LOOK = 256;
/** With many callers one call in eight is timed, because two looks at the clock cost a tenth of the fastest call. */
const TIMED_OF_MANY = 8;

const keys = keysFrom(0, KEYS);
const values = keys.map((_, i) => valueFor(i));

/** The names of the values from `first` on. */
function keysFrom(first, count) {
  return Array.from({ length: count }, (_, i) => `bench:performance:tenant-${1000 + first + i}`);
}

/** An object as an analytics route caches it, filled up so that its JSON text has exactly VALUE_BYTES bytes. */
function valueFor(i) {
  const value = {
    tenant: 1000 + i,
    period: 'week',
    trades: 40_000 + i * 7,
    winRate: 0.5 + i / 4000,
    drawdown: -1234.5 - i / 8,
    percentiles: [0.25 + i, 1.5 + i, 3.75 + i],
    open: i % 2 === 0,
    note: '',
  };
  value.note = 'x'.repeat(VALUE_BYTES - JSON.stringify(value).length);
  return value;
}

/**
 * Runs `callers` loops of `op` for `seconds` and resolves to `{ calls, failed, latencies }`: `failed` are reads that missed, though
 * every key was written; latencies are in milliseconds, sorted.
 * Encoding and decoding happen in the loop, as an application does it, so that no client pays for a wrapper's promise.
 */
async function runCallers(client, { op, callers, seconds }) {
  const { get, set, encode, decode } = client;
  const latencies = [];
  const every = callers === 1 ? 1 : TIMED_OF_MANY;
  const end = performance.now() + seconds * 1000;
  let calls = 0;
  let failed = 0;
  let over = false;

  const count = () => {
    calls += 1;
    if (calls % CALLS_PER_LOOK === 0 && performance.now() >= end) over = true;
  };

  const reader = async (first) => {
    for (let i = first; !over; i = (i + 1) % KEYS) {
      const began = i % every === 0 ? performance.now() : 0;
      const value = decode(await get(keys[i]));
      if (began !== 0) latencies.push(performance.now() - began);
      if (value === null) failed += 1;
      count();
    }
  };

  const writer = async (first) => {
    for (let i = first; !over; i = (i + 1) % KEYS) {
      const began = i % every === 0 ? performance.now() : 0;
      await set(keys[i], encode(values[i]));
      if (began !== 0) latencies.push(performance.now() - began);
      count();
    }
  };

  const caller = op === 'get' ? reader : writer;
  // 97 is prime to 1,000: the callers begin spread over the keys instead of asking for the same one side by side.
  await Promise.all(Array.from({ length: callers }, (_, n) => caller((n * 97) % KEYS)));
  return { calls, failed, latencies: latencies.sort((a, b) => a - b) };
}

function percentile(sorted, p) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
}

module.exports = { keys, values, keysFrom, valueFor, runCallers, percentile, VALUE_BYTES };
