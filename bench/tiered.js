// What a hot key costs: holdfast beside the caches that keep values in process and in Redis, each in its own process, in interleaved rounds.
'use strict';

const { startLab, ask, measure, describe } = require('./lab');
const { median, summarize, table, integer, fixed, writeFiles, whyNotForDocs } = require('./report');
const { adapters } = require('./tiered-adapters');
const { VALUE_BYTES } = require('./workload');

const FROZEN = 'holdfast frozen';
const NOT_HOT = 'holdfast not hot';
const OWN = ['holdfast', FROZEN, NOT_HOT];
/** The peer whose hits are all one object, as frozen values are. */
const SHARED = 'bentocache, serialize: false';
const LRU = 'lru-cache';
/** Stands in for a cache that `--only` left out. */
const NOBODY = { cache: '–', rate: NaN };
const KEYS = [1_000, 100_000];
/** Each is read once in a round: to find enough of them, more are needed than a cache has hot values. */
const NOT_HOT_KEYS = [400_000];
const KEYS_APART = 1_000_000;
/** Commands that may reach Redis in a window though nothing is read from it: the heartbeats of idle caches, and our own INFO. */
const STRAY_COMMANDS = 100;

async function run(options) {
  const names = options.only ?? Object.keys(adapters);
  const unknown = names.find((name) => !(name in adapters));
  if (unknown) throw new Error(`no cache is called «${unknown}»; there are ${Object.keys(adapters).join('; ')}`);

  const lab = await startLab(options);
  try {
    const machine = await describe(lab, ['holdfast', 'bentocache', 'cacheable', 'cache-manager', '@keyv/redis', LRU]);
    console.log(`${machine.join('\n')}\n`);
    const windows = await measureAll(lab, names, options);
    report(windows, machine, options);
  } finally {
    await lab.stop();
  }
}

async function measureAll(lab, names, { rounds, seconds, quick }) {
  const subjects = [];
  for (const name of names) {
    const counts = name === NOT_HOT ? NOT_HOT_KEYS : KEYS;
    for (const keys of quick ? [1_000] : counts) {
      // No two have a key in common: what one writes would be news to the other.
      const first = subjects.length * KEYS_APART;
      subjects.push({ cache: name, keys, worker: await lab.start('tiered-worker.js', [name, lab.url, first, keys]) });
      console.log(`${name} has read ${integer(keys)} keys`);
    }
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    // The order turns with the round, so that no cache always follows the same neighbour.
    for (const { cache, keys, worker } of subjects.map((_, i) => subjects[(i + round) % subjects.length])) {
      const result = await measure(
        lab,
        () => ask(worker, { warmUp: true, seconds: seconds / 2 }),
        () => ask(worker, { warmUp: false, seconds }),
      );
      if (result.asked > STRAY_COMMANDS && !result.disturbed) throw new Error(`${cache} asked Redis for hot keys`);
      windows.push({ round, keys, cache, ...result });
    }
    console.log(`round ${round} of ${rounds}`);
  }
  return windows.sort((a, b) => a.keys - b.keys || names.indexOf(a.cache) - names.indexOf(b.cache));
}

function report(windows, machine, options) {
  const rows = summarize(windows, ['keys', 'cache']);
  const parse = windows.map((window) => window.parseMicros);
  const speed = `\`JSON.parse\` of one of the values, looked at after each window: ${fixed(median(parse))} µs (${fixed(Math.min(...parse))}–${fixed(Math.max(...parse))}).`;
  const figures = ['## A `get`', costs(rows), speed, '## Ratios', RATIOS, compare(rows)].filter(Boolean).join('\n\n');
  console.log(`\n${figures}\n`);

  const about = INTRODUCTION.replace('ROUNDS', options.rounds).replace('SECONDS', options.seconds);
  writeFiles(
    {
      'tiered.md': `# A hot key, beside the tiered caches\n\n${machine.join('  \n')}\n\n${about}\n\n${figures}\n`,
      'tiered.json': `${JSON.stringify({ machine, options, windows }, null, 1)}\n`,
    },
    whyNotForDocs(options, windows),
  );
}

const INTRODUCTION = `\`npm run bench -- tiered\` wrote this page; the raw numbers are in [tiered.json](tiered.json). One Redis of its own, one process for each cache
and number of keys, JSON objects of ${VALUE_BYTES} bytes, one caller that awaits one \`get\` after another, in a scattered order. Every key was written and read several
times before. Medians of ROUNDS rounds, in which the caches take turns; a window of SECONDS s follows half as long a warm-up. A window in which
Redis had more than 100 commands to answer, heartbeats included, would end the run, and so would one whose reads holdfast did not count as near hits.

- **holdfast**: each hit is a fresh copy, the default. **frozen**: \`nearCache: { values: 'frozen' }\`, each hit is the same frozen object.
- **not hot**: held in Rust, but not among the hot values of JavaScript ([near-cache.md](../near-cache.md)), because 131,072 other keys are; each key is
  read once a round.
- **bentocache**: memory (L1) and Redis (L2), without a bus. It copies as holdfast does; with \`serialize: false\` every hit is the same, writable object.
- **cacheable**, **cache-manager**: memory and Redis through Keyv, as their documentation shows.
- **lru-cache**: no Redis and no copies; what \`await\` and a look-up cost.

Holdfast's reads are coherent: it learns of a change in Redis by client tracking. The peers here serve what they hold until it expires. All keep values for an hour.`;

const RATIOS = `How many times faster holdfast is than the fastest of the others: of those that copy for copies, of all for frozen values; and how many times slower than lru-cache.`;

function costs(rows) {
  return table(rows, {
    keys: (row) => integer(row.keys),
    cache: (row) => row.cache,
    µs: (row) => fixed(1e6 / row.rate),
    'fastest–slowest round': (row) => `${fixed(1e6 / row.fastest)}–${fixed(1e6 / row.slowest)}`,
    'get/s': (row) => integer(row.rate),
    'CPU µs': (row) => fixed(row.cpu),
  });
}

function compare(rows) {
  const own = rows.filter((row) => OWN.includes(row.cache) && row.cache !== NOT_HOT);
  const peersOf = (row) =>
    rows.filter(
      (peer) =>
        peer.keys === row.keys &&
        peer.cache !== LRU &&
        !OWN.includes(peer.cache) &&
        (row.cache === FROZEN || peer.cache !== SHARED),
    );
  const best = (row) => peersOf(row).reduce((a, b) => (a.rate > b.rate ? a : b), NOBODY);
  const lru = (row) => rows.find((peer) => peer.keys === row.keys && peer.cache === LRU) ?? NOBODY;
  const times = (ratio) => (Number.isNaN(ratio) ? '–' : `${fixed(ratio)} ×`);
  return table(own, {
    keys: (row) => integer(row.keys),
    cache: (row) => row.cache,
    'fastest peer': (row) => best(row).cache,
    'faster than it': (row) => times(row.rate / best(row).rate),
    'slower than lru-cache': (row) => times(lru(row).rate / row.rate),
  });
}

module.exports = { run };
