// Owns the page `tiered`, Holdfast beside the caches that keep values in process and in Redis, each in its own process,
// in interleaved rounds: a hot key, a cold one, a crowd.
'use strict';

const { panel } = require('../lab/chart');
const { best, fixed, integer, median, summarize, table } = require('../lab/figures');
const { ask, end, measureWindow } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { VALUE_BYTES } = require('../lab/workload');
const { adapters, IN_PROCESS, SHARING } = require('./adapters');
const { measureCompute, rowsOf, computeText } = require('./compute');

const defaults = { rounds: 5, seconds: 0.6 };

const FROZEN = 'holdfast frozen';
const NEAR = 'holdfast near hit';
const OWN = ['holdfast', FROZEN, NEAR];
const LRU = 'lru-cache';
const KEYS = [1_000, 100_000];
/** Each is read once in a round, so there must be enough of them. */
const NEAR_KEYS = [100_000];
const KEYS_APART = 1_000_000;
/**
 * Commands that may reach Redis in a window though nothing is read from it: the heartbeats of idle caches, and our own
 * INFO.
 */
const STRAY_COMMANDS = 100;
const PACKAGES = [
  'bentocache',
  'cacheable',
  'cache-manager',
  '@keyv/redis',
  'async-cache-dedupe',
  'node-cache',
  'lru-cache',
];

function run(options) {
  const packages = ['holdfast', ...PACKAGES];
  return runPage(options, { kind: 'cache', known: Object.keys(adapters), packages }, measureAll, report);
}

async function measureAll(lab, names, options) {
  return {
    hits: await measureHits(lab, names, options),
    computed: await measureCompute(lab, names, options),
  };
}

/** Windows of `get` alone; ends the processes that it starts. */
async function measureHits(lab, names, { rounds, seconds, quick }) {
  const subjects = [];
  for (const name of names.filter((each) => each !== 'async-cache-dedupe, redis')) {
    const counts = name === NEAR ? NEAR_KEYS : KEYS;
    for (const keys of quick ? [1_000] : counts) {
      // No two have a key in common: what one writes would be news to the other.
      const first = subjects.length * KEYS_APART;
      subjects.push({
        cache: name,
        keys,
        worker: await lab.start(require.resolve('./worker'), [name, lab.url, first, keys]),
      });
      console.log(`${name} has read ${integer(keys)} keys`);
    }
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const { cache, keys, worker } of inTurn(subjects, round)) {
      const work = (length, warmUp) => ask(worker, { warmUp, seconds: length });
      // Every cache has written its own keys.
      const result = await measureWindow(lab, seconds, work, () => {});
      if (result.asked > STRAY_COMMANDS && !result.disturbed) throw new Error(`${cache} asked Redis for hot keys`);
      windows.push({ round, keys, cache, ...result });
    }
    console.log(`hits, round ${round} of ${rounds}`);
  }
  await end(...subjects.map(({ worker }) => worker));
  return windows.sort((a, b) => a.keys - b.keys || names.indexOf(a.cache) - names.indexOf(b.cache));
}

function report({ hits, computed }) {
  const rows = summarize(hits, ['keys', 'cache']);
  const computedRows = rowsOf(computed);
  const parse = hits.map((window) => window.parseMicros);
  const speed = `\`JSON.parse\` of one of the values, looked at after each window: ${fixed(median(parse))} µs (${fixed(Math.min(...parse))}–${fixed(Math.max(...parse))}).`;
  const figures = [
    `## A hot \`get\`\n\n${costs(rows)}\n\n${speed}`,
    `### Ratios\n\n${RATIOS}\n\n${compare(rows)}`,
    ...(computedRows.cold.length > 0 ? [computeText(computedRows)] : []),
  ].join('\n\n');
  return {
    name: 'tiered',
    title: 'Holdfast beside the tiered caches',
    about: INTRODUCTION,
    figures,
    panels: bars(rows, computedRows),
    raw: { hits, ...computed },
    windows: [...hits, ...computed.windows],
  };
}

const INTRODUCTION = `\`npm run bench -- tiered\` wrote this page; the raw numbers are in [tiered.json](tiered.json). One Redis of its own, one process for each cache
and number of keys, JSON objects of ${VALUE_BYTES} bytes. Medians of ROUNDS rounds, in which the caches take turns; a window of SECONDS s follows half as long a warm-up. For hits, one caller
awaits one \`get\` after another, in a scattered order; every key was written and read several times before. A window in which
Redis had more than 100 commands to answer, heartbeats included, would end the run, and so would one whose reads holdfast did not count as near hits.

- **holdfast**: each hit is a fresh copy, the default. **frozen**: \`nearCache: { values: 'frozen' }\`, each hit is the same frozen object.
- **near hit**: held in Rust, but not among the hot values of JavaScript ([near-cache.md](../near-cache.md)), because 131,072 other keys are; each key is
  read once a round. The others know but one kind of hit.
- **bentocache**: memory (L1) and Redis (L2), without a bus. It copies as holdfast does; with \`serialize: false\` every hit is the same, writable object.
- **cacheable**, **cache-manager**: memory and Redis through Keyv, as their documentation shows.
- **async-cache-dedupe**: has either a memory, whose hits are all one object, or a Redis.
- **node-cache**: no Redis; copies.
- **lru-cache**: no Redis and no copies; what \`await\` and a look-up cost.

Holdfast's reads are coherent: it learns of a change in Redis by client tracking. The peers here serve what they hold until it expires. All keep values for an hour.`;

const RATIOS = `How many times faster holdfast is than the fastest of the others that are tiered: of those that copy for copies, of all for frozen values; and how many times slower than lru-cache.`;

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
  const fastest = (row) => {
    const peers = rows
      .filter((peer) => peer.keys === row.keys && !OWN.includes(peer.cache) && !IN_PROCESS.includes(peer.cache))
      .filter((peer) => row.cache === FROZEN || !SHARING.includes(peer.cache));
    return peers.length > 0 ? best(peers, 'rate', 'most') : null;
  };
  const lru = (row) => rows.find((peer) => peer.keys === row.keys && peer.cache === LRU);
  const times = (a, b) => (a && b ? `${fixed(a.rate / b.rate)} ×` : '–');
  return table(
    rows.filter((row) => OWN.includes(row.cache)),
    {
      keys: (row) => integer(row.keys),
      cache: (row) => row.cache,
      'fastest peer': (row) => fastest(row)?.cache ?? '–',
      'faster than it': (row) => times(row, fastest(row)),
      'slower than lru-cache': (row) => times(lru(row), row),
    },
  );
}

function bars(rows, { cold, stampedes }) {
  const micros = (row) => ({ name: row.cache, value: 1e6 / row.rate, text: `${fixed(1e6 / row.rate)} µs` });
  const rate = (row) => ({ name: row.cache, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` });
  const runs = (row) => ({ name: row.cache, value: Math.max(...row.runs), text: integer(Math.max(...row.runs)) });
  const tiered = (row) => !IN_PROCESS.includes(row.cache);
  return [
    panel('A hot get: µs (less is better)', rows, { group: (row) => `${integer(row.keys)} keys`, bar: micros }),
    panel('A stampede: runs of the function (1 is best)', stampedes, {
      group: (row) =>
        `${integer(row.callers)} callers, ${row.processes === 1 ? '1 process' : `${row.processes} processes`}`,
      bar: runs,
    }),
    panel('A cold getOrCompute: calls per second (more is better)', cold.filter(tiered), {
      group: (row) => (row.callers === 1 ? '1 caller' : `${row.callers} callers`),
      bar: rate,
    }),
  ].filter(({ groups }) => groups.length > 0);
}

module.exports = { run, defaults };
