// Owns the soak of a million keys that are all there, asked for in one call.
'use strict';

const { createCache } = require('holdfast');
const { run } = require('./program.cjs');

const KEYS = 1_000_000;
const CHUNK = 50_000;

async function main() {
  const cache = createCache({ namespace: 'many', timeoutMs: 60_000 });
  for (let at = 0; at < KEYS; at += CHUNK) {
    await cache.setMany(Array.from({ length: CHUNK }, (_, i) => [`k${at + i}`, { n: at + i, text: 'x'.repeat(50) }]));
  }
  const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
  let stallMs = 0;
  let done = false;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    stallMs = Math.max(stallMs, now - last);
    last = now;
    if (!done) setImmediate(look);
  };
  setImmediate(look);
  const began = performance.now();
  const values = await cache.getMany(keys);
  const seconds = (performance.now() - began) / 1_000;
  done = true;
  const right = values.filter((value, i) => value?.n === i).length;
  const rssMb = Math.round(process.memoryUsage.rss() / 1e6);
  const { inFlight } = cache.health();
  await cache.close();
  return { right, seconds, stallMs, rssMb, inFlight };
}

run(main);
