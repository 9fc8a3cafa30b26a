// Owns the targets of Holdfast, and the table that sets what a run measured beside them: `npm run bench -- targets`.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const clients = require('./clients/clients');
const cluster = require('./clients/cluster');
const matrix = require('./clients/matrix');
const processors = require('./clients/processors');
const six = require('./http/six');
const { rowsOf: computedOf } = require('./tiered/compute');
const { IN_PROCESS } = require('./tiered/adapters');
const { contests, fixed, grouped, matches, median, ratioToBest, table } = require('./lab/figures');

const PAGE = path.join(__dirname, '../docs/performance.md');
const [BEGIN, END] = ['<!-- targets: written by `npm run bench -- targets` -->', '<!-- /targets -->'];
const OURS = 'holdfast';
const LRU = 'lru-cache';
const FEW = [1, 2, 4, 8, 16];
const MB = 1e6;

/** Our figure of a client's page in multiples of the best peer's, where the rows have these fields. */
function toBest(page, fields, field) {
  const contest = contests(page.rows, page.by).find(({ row }) => matches(row, { ...fields, client: OURS }));
  return contest && ratioToBest(contest, field);
}

const clientsPage = (data) => ({ rows: clients.rowsOf(data), by: clients.BY });
const ofCall = (op, field) => (data, callers) => toBest(clientsPage(data), { keeping: false, op, callers }, field);
const pinned = (place) => (data, callers) =>
  toBest({ rows: processors.rowsOf(data), by: processors.BY }, { pinned: place, callers }, 'rate');
const largeReads = (data, bytes) =>
  toBest({ rows: matrix.rowsOf(data), by: matrix.BY }, { op: 'get', bytes, callers: 64 }, 'rate');

/** `call`: as `get 64`, a call and its callers. */
const overPrimaries = (field) => (data, call) => {
  const [op, callers] = call.split(' ');
  const fields = { keeping: false, op, callers: Number(callers) };
  return toBest({ rows: cluster.rowsOf(data), by: cluster.BY }, fields, field);
};
const OVER_PRIMARIES = ['get 64', 'get 512', 'set 64', 'set 512'];

function sixReads({ six: windows }, connections) {
  const contest = six
    .contestsOfSix(six.sixOf({ six: windows ?? [] }))
    .find(({ row }) => matches(row, { connections, client: OURS }));
  return contest && ratioToBest(contest, 'rate');
}

/** Microseconds of a hot read, by cache. */
function hitMicros({ hits }, keys) {
  const own = grouped(
    hits.filter((window) => window.keys === keys),
    ({ cache }) => cache,
  );
  const micros = (windows) => median(windows.map(({ seconds, calls }) => (seconds * 1e6) / calls));
  return new Map([...own].map(([cache, windows]) => [cache, micros(windows)]));
}

function toLru(data, cache) {
  const micros = hitMicros(data, 1_000);
  return micros.get(cache) / micros.get(LRU);
}

/** How many times faster frozen values are than the fastest cache that is tiered. */
function toTiered(data, keys) {
  const micros = hitMicros(data, keys);
  const peers = [...micros].filter(([cache]) => !cache.startsWith(OURS) && !IN_PROCESS.includes(cache));
  return Math.min(...peers.map(([, each]) => each)) / micros.get('holdfast frozen');
}

/** A near hit in multiples of JSON.parse, as the same process ran it right after. */
function nearToParse({ hits }) {
  const own = hits.filter(({ cache }) => cache === 'holdfast near hit');
  return median(own.map(({ seconds, calls, parseMicros }) => (seconds * 1e6) / calls / parseMicros));
}

function cold(data, callers) {
  const rows = computedOf(data).cold.filter((row) => row.callers === callers && !IN_PROCESS.includes(row.cache));
  const contest = contests(
    rows.map((row) => ({ ...row, client: row.cache })),
    [],
  ).find(({ row }) => row.client === OURS);
  return contest && ratioToBest(contest, 'rate');
}

/** Of the largest crowd: how often the function ran at most, and the time until all had its result beside a peer's. */
function stampede(data) {
  const { stampedes } = computedOf(data);
  const most = Math.max(...stampedes.map(({ callers }) => callers));
  const crowd = stampedes.filter(({ callers, cache }) => callers === most && !IN_PROCESS.includes(cache));
  const own = crowd.find(({ cache }) => cache === OURS);
  const fastest = Math.min(...crowd.filter((row) => row !== own).map(({ ms }) => ms));
  return { runs: Math.max(...own.runs), time: own.ms / fastest };
}

function memoryToLru(field) {
  return ({ windows }, shape) => {
    const of = (cache) => median(windows.filter((row) => matches(row, { shape, cache })).map((row) => row[field]));
    return of(OURS) / of(LRU);
  };
}

/** Loads of our own package. */
const ourLoads = ({ loads }) => loads.filter(({ name }) => name === OURS);
const outage =
  (field) =>
  ({ outages }, driver) =>
    median(outages.filter((each) => each.cache === driver).map((each) => each[field]));
const DRIVEN = ['holdfast, thread', 'holdfast, loop'];

/**
 * Each target: `of`, the page whose figures judge it; `at`, what is varied, and for each `least` or `most`, what the
 * figure has to be; `figure(data, at)` computes it from the raw numbers of the page.
 */
const TARGETS = [
  {
    what: '`get`: throughput, 1 / 2 / 4 / 8 / 16 callers',
    of: 'clients',
    at: FEW,
    least: [1.15, 1.1, 1, 1.3, 2],
    figure: ofCall('get', 'rate'),
  },
  {
    what: '… the client on one processor',
    of: 'processors',
    at: FEW,
    least: [1.15, 1.1, 1, 1.3, 2],
    figure: pinned('client'),
  },
  {
    what: '… client and server on one processor, 1 / 4 / 16 callers',
    of: 'processors',
    at: [1, 4, 16],
    least: [1.2, 2.5, 5],
    figure: pinned('both'),
  },
  {
    what: '`get`: throughput, 64 / 512 callers',
    of: 'clients',
    at: [64, 512],
    least: [2.5, 7],
    figure: ofCall('get', 'rate'),
  },
  {
    what: '`get`: event loop, 64 / 512 callers',
    of: 'clients',
    at: [64, 512],
    most: [1 / 5, 1 / 8],
    figure: ofCall('get', 'loop'),
  },
  {
    what: '`get`: CPU of all threads, 1 / 2 / 4 / 8 / 16 / 512 callers',
    of: 'clients',
    at: [...FEW, 512],
    most: [0.7, 0.7, 0.7, 0.7, 0.7, 1 / 5],
    figure: ofCall('get', 'cpu'),
  },
  {
    what: '`set`: throughput, 64 / 512 callers',
    of: 'clients',
    at: [64, 512],
    least: [2.5, 5],
    figure: ofCall('set', 'rate'),
  },
  {
    what: 'p50 of a lone `get` / `set`',
    of: 'clients',
    at: ['get', 'set'],
    most: [0.9, 0.9],
    figure: (data, op) => ofCall(op, 'p50')(data, 1),
  },
  {
    what: '`get` of 2 / 50 KB: throughput, 64 callers',
    of: 'clients-matrix',
    at: [2000, 50_000],
    least: [2.5, 1.3],
    figure: largeReads,
  },
  {
    what: 'over three primaries, `get` / `set`, each with 64 / 512 callers: throughput',
    of: 'cluster',
    at: OVER_PRIMARIES,
    least: [2, 2, 2, 2],
    figure: overPrimaries('rate'),
  },
  {
    what: '… event loop',
    of: 'cluster',
    at: OVER_PRIMARIES,
    most: [1 / 3, 1 / 3, 1 / 3, 1 / 3],
    figure: overPrimaries('loop'),
  },
  {
    what: 'an HTTP route with six reads: requests/s, 1 / 8 / 50 connections',
    of: 'http',
    at: [1, 8, 50],
    least: [1.2, 1.4, 2],
    figure: sixReads,
  },
  {
    what: 'a cold `getOrCompute`: throughput, 1 / 64 callers, to the best cache with a Redis',
    of: 'tiered',
    at: [1, 64],
    least: [1, 1],
    figure: cold,
  },
  {
    what: 'a hot hit of 1,000 keys: time, copied / frozen, to lru-cache behind the same `await`',
    of: 'tiered',
    at: ['holdfast', 'holdfast frozen'],
    most: [1.6, 1.3],
    figure: toLru,
  },
  {
    what: 'a hot hit of 100,000 keys, frozen: throughput, to the best tiered cache',
    of: 'tiered',
    at: [100_000],
    least: [10],
    figure: toTiered,
  },
  {
    what: 'a near hit that is not hot: time, to `JSON.parse` alone',
    of: 'tiered',
    at: ['near'],
    most: [2.5],
    figure: nearToParse,
  },
  {
    what: 'a million entries, flat / in rows: resident memory, to lru-cache',
    of: 'memory',
    at: ['flat', 'rows'],
    most: [0.55, 0.55],
    figure: memoryToLru('rss'),
  },
  {
    what: '… longest turn of the event loop',
    of: 'memory',
    at: ['flat', 'rows'],
    most: [0.25, 0.25],
    figure: memoryToLru('longestTurn'),
  },
  {
    what: '10,000 callers in 4 processes, one cold key: computations',
    of: 'tiered',
    at: ['runs'],
    most: [1],
    unit: '',
    figure: (data) => stampede(data).runs,
  },
  {
    what: '… the time until all have it, to the fastest cache with a Redis',
    of: 'tiered',
    at: ['time'],
    most: [1.3],
    figure: (data) => stampede(data).time,
  },
  {
    what: 'Redis stopped under load: the longest first answer, thread / loop, to the deadline',
    of: 'outage',
    at: DRIVEN,
    most: [1.1, 1.1],
    figure: outage('firstToDeadline'),
  },
  {
    what: '… p99 once the outage is known',
    of: 'outage',
    at: DRIVEN,
    most: [1, 1],
    unit: ' ms',
    figure: outage('p99'),
  },
  {
    what: '`require`',
    of: 'startup',
    at: ['ms'],
    most: [15],
    unit: ' ms',
    figure: (data) => median(ourLoads(data).map(({ ms }) => ms)),
  },
  {
    what: 'the addon',
    of: 'startup',
    at: ['bytes'],
    most: [3.5],
    unit: ' MB',
    figure: (data) => ourLoads(data)[0].nativeBytes / MB,
  },
];

/** The table of all targets with the raw numbers that the folders hold; of those that lack, nothing is said. */
function judge(folders) {
  const read = (page) => {
    const file = folders.map((folder) => path.join(folder, `${page}.json`)).find((each) => fs.existsSync(each));
    return file && JSON.parse(fs.readFileSync(file, 'utf8'));
  };
  const pages = new Map([...new Set(TARGETS.map(({ of }) => of))].map((page) => [page, read(page)]));
  const rows = TARGETS.map((target) => ({ ...target, measured: measuredOf(target, pages.get(target.of)) }));
  const bounds = ({ least, most }) => least ?? most;
  return table(rows, {
    what: ({ what }) => what,
    target: (row) => `${row.least ? '≥' : '≤'} ${joined(bounds(row), row.unit, bound)}`,
    measured: (row) => (row.measured.every(Number.isNaN) ? '–' : joined(row.measured, row.unit, shown)),
    ' ': verdictOf,
    page: ({ of }) => `[${of}](benchmarks/${of}.md)`,
  });
}

/** NaN where the page does not have it. */
function measuredOf({ at, figure }, data) {
  return at.map((each) => {
    try {
      return data ? Number(figure(data, each) ?? Number.NaN) : Number.NaN;
    } catch (error) {
      // A page of another age may lack what is looked for.
      if (error instanceof TypeError) return Number.NaN;
      throw error;
    }
  });
}

function verdictOf({ at, least, most, measured }) {
  if (measured.every(Number.isNaN)) return '';
  const missed = at.filter((_, i) => (least ? measured[i] < least[i] : measured[i] > most[i]));
  if (missed.length === 0) return measured.some(Number.isNaN) ? 'met where measured' : 'met';
  return missed.length === at.length ? 'missed' : `missed at ${missed.join(', ')}`;
}

function joined(numbers, unit = ' ×', text) {
  return `${numbers.map(text).join(' / ')}${unit}`;
}

/** As it stands in the code; a third has no end. */
const bound = (number) => String(Number(number.toFixed(3)));

function shown(number) {
  if (Number.isNaN(number)) return '–';
  return Number.isInteger(number) ? String(number) : fixed(number);
}

/** Puts the table between its two marks in docs/performance.md. */
function writeTargets(text) {
  const page = fs.readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks the marks ${BEGIN} and ${END}`);
  fs.writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n\n${text}\n\n${page.slice(to)}`);
}

module.exports = { judge, writeTargets };
