// Owns the soak of full tiers: compares the bytes that the cache counts with those that the process grew by, in
// megabytes: entries with tags in memory mode; the near cache and hot values; and those in an outage under writes.
'use strict';

const { createCache } = require('holdfast');
const { collectedRss, inMode, run, sleep, word } = require('./program.cjs');

const MB = 1e6;
/** Resident memory after four collections, with time between them. */
const rss = async () => {
  for (let i = 0; i < 4; i++) {
    collectedRss();
    await sleep(50);
  }
  return process.memoryUsage.rss();
};
const text = (n) => Array.from({ length: n }, () => Math.floor(Math.random() * 36).toString(36)).join('');

async function tagged() {
  const cache = createCache({ namespace: 'tagged', url: null, maxMemory: '256mb', logger: null });
  const fill = async (name, count) => {
    for (let at = 0; at < count; at += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => {
          const tags = Array.from({ length: 8 }, (_, t) => `tag:${(at + i) % 1000}:${t}:${'x'.repeat(120)}`);
          return cache.set(`${name}:${at + i}`, { at, text: text(50) }, { ttl: 3600, tags });
        }),
      );
    }
  };
  await fill('warm', 10_000);
  const before = await rss();
  const { bytes } = (await cache.getStats()).memory;
  await fill('entry', 40_000);
  const grown = ((await rss()) - before) / MB;
  const counted = ((await cache.getStats()).memory.bytes - bytes) / MB;
  await cache.close();
  return { counted, grown };
}

async function main() {
  const figures = { tagged: await tagged() };
  console.log('tagged', figures.tagged);
  const cache = createCache({ namespace: 'hot', maxMemory: '64mb', logger: null, timeoutMs: 2_000 });
  await inMode(cache, 'redis');
  const keys = Array.from({ length: 60_000 }, (_, i) => `some:key:${i}`);
  await cache.setMany(
    keys.map((key, i) => [key, { id: i, name: text(30), rows: [1.5, i, i / 7] }]),
    3600,
  );
  const read = async (from, to, rounds) => {
    for (let round = 0; round < rounds; round++) for (let i = from; i < to; i++) await cache.get(keys[i]);
  };
  console.log('stored');
  await read(0, 5_000, 3);
  const before = await rss();
  const { bytes } = (await cache.getStats()).memory;
  await read(5_000, keys.length, 3);
  const grown = ((await rss()) - before) / MB;
  const stats = await cache.getStats();
  const counted = (stats.memory.bytes - bytes) / MB;
  figures.hot = { counted, grown, hot: counted - (stats.memory.entries * 250) / MB };

  console.log('hot');
  await word();
  while (cache.getMode() === 'redis') {
    await cache.get('nowhere');
    await sleep(5);
  }
  let most = 0;
  let warm = 0;
  for (let round = 0; round < 30; round++) {
    for (let at = 0; at < 40_000; at += 500) {
      const entries = Array.from({ length: 500 }, (_, i) => [`new:${round}:${at + i}`, { text: text(60) }]);
      await cache.setMany(entries, 3600);
      await cache.get(keys[at]);
    }
    most = Math.max(most, (await cache.getStats()).memory.bytes);
    // The journal is full by then, and so is the tier.
    if (round === 15) warm = await rss();
  }
  figures.outage = { most, max: 64 << 20, grownMb: ((await rss()) - warm) / MB };
  return figures;
}

run(main);
