// Owns the soak of an outage of ten minutes under load; the memory of the process must not grow with it. The clock runs
// faster: see support/machine/clock.c.
'use strict';

const { createCache } = require('holdfast');
const { collectedRss, inMode, run, sleep, word } = require('./program.cjs');

const CALLERS = 200;
const MINUTES = 10;
const WARM_UP = 2;
/** Keys of a journal at most: see src/engine/tier/journal.rs. */
const JOURNAL = 100_000;

async function main() {
  // Raw keys: their journal stays full, that of a namespace would become one pattern.
  const cache = createCache({ namespace: '', timeoutMs: 5_000, maxMemory: '16mb' });
  cache.on('error', () => {});
  let calls = 0;
  let fresh = 0;
  let done = false;
  const caller = async () => {
    while (!done) {
      const key = `key:${fresh++}`;
      await cache.set(key, { key, text: 'x'.repeat(100) });
      await cache.get(key);
      await cache.getOrCompute(`${key}:computed`, () => key);
      await cache.del(`${key}:gone`);
      calls += 4;
      await new Promise(setImmediate);
    }
  };
  await inMode(cache, 'redis', 50);
  const callers = Promise.all(Array.from({ length: CALLERS }, caller));
  await sleep(10_000);
  console.log('loaded');
  await word();
  await inMode(cache, 'memory', 50);

  const began = performance.now();
  const minutes = () => (performance.now() - began) / 60_000;
  let dials = 0;
  let breaker = '';
  const watching = setInterval(() => {
    const now = cache.health().breaker;
    if (now === 'half-open' && breaker !== now) dials++;
    breaker = now;
  }, 20);
  const rss = async (over) => {
    let most = 0;
    do {
      await sleep(15_000);
      most = Math.max(most, collectedRss());
    } while (!over());
    return most;
  };
  // A slow machine has not filled the journal by then, and fills it afterwards.
  const warm = await rss(() => minutes() >= WARM_UP && cache.health().journal === JOURNAL);
  calls = 0;
  const end = minutes() + MINUTES;
  const most = await rss(() => minutes() >= end);
  clearInterval(watching);
  done = true;
  const figures = {
    minutes: minutes(),
    calls,
    warmMb: warm / 1e6,
    mostMb: most / 1e6,
    grownMb: (most - warm) / 1e6,
    dials,
  };
  await callers;
  return { ...figures, journal: cache.health().journal, inFlight: cache.health().inFlight };
}

run(main);
