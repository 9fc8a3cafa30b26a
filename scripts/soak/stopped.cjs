// Owns the soak of a million calls of 200 callers, while the server is stopped under them.
'use strict';

const { createCache } = require('holdfast');
const { inMode, run, sleep, word } = require('./program.cjs');

const CALLERS = 200;
const CALLS = 1_000_000;

/** Durations in steps of 10 µs, up to a second. */
const histogram = new Uint32Array(100_000);

function percentile(part) {
  const all = histogram.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [step, count] of histogram.entries()) {
    seen += count;
    if (seen >= all * part) return (step + 1) / 100;
  }
  return Number.NaN;
}

async function main() {
  const cache = createCache({ namespace: 'stopped', timeoutMs: 250 });
  let begun = 0;
  let settled = 0;
  let rejected = 0;
  let stopped = Number.POSITIVE_INFINITY;
  let firstMs = 0;
  const caller = async (id) => {
    for (let n = 0; begun < CALLS || stopped === Number.POSITIVE_INFINITY; n++) {
      const key = `k${id}:${n % 10}`;
      const call = [
        () => cache.set(key, { id, n }),
        () => cache.get(key),
        () => cache.getOrCompute(`c${id}:${n % 100}`, () => n),
        () => cache.del(key),
        () => cache.increment(`n${id}`),
      ][n % 5];
      begun++;
      const began = performance.now();
      await call().catch(() => rejected++);
      settled++;
      const now = performance.now();
      if (now - stopped > 1_000 && began - stopped > 1_000) {
        histogram[Math.min(histogram.length - 1, Math.floor((now - began) * 100))]++;
      } else if (now > stopped) {
        firstMs = Math.max(firstMs, now - began);
      }
      await new Promise(setImmediate);
    }
  };
  await inMode(cache, 'redis');
  const callers = Promise.all(Array.from({ length: CALLERS }, (_, id) => caller(id)));
  await sleep(1_000);
  console.log('loaded');
  await word();
  stopped = performance.now();
  await callers;
  const seconds = (performance.now() - stopped) / 1_000;
  console.log('all settled');
  await word();
  await inMode(cache, 'redis');
  return {
    begun,
    settled,
    rejected,
    firstMs,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    p999Ms: percentile(0.999),
    seconds,
    recovered: cache.getMode() === 'redis',
  };
}

run(main);
