// Owns the page `memory`, what a million entries weigh in process, and how long they stall the event loop: holdfast in
// memory mode beside lru-cache with the same objects.
'use strict';

const { panel } = require('../lab/chart');
const { fixed, integer, summarize, table } = require('../lab/figures');
const { ask, end, measure } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { VALUE_BYTES } = require('../lab/workload');

/** `seconds` are not used: a window is so many calls. */
const defaults = { rounds: 3, seconds: 1 };

const CACHES = ['holdfast', 'lru-cache'];
const SHAPES = ['flat', 'rows'];
const SIZES = { full: { entries: 1_000_000, calls: 2_000_000 }, quick: { entries: 20_000, calls: 20_000 } };

const MIB = 2 ** 20;

function run(options) {
  return runPage(options, { kind: 'cache', known: CACHES, packages: CACHES }, measureAll, report);
}

async function measureAll(lab, names, { rounds, quick }) {
  const { entries, calls } = quick ? SIZES.quick : SIZES.full;
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const shape of SHAPES) {
      for (const cache of inTurn(names, round)) {
        // A process of its own for each round: a heap does not shrink to what it was.
        const child = await lab.start(require.resolve('./memory-worker'), [cache, shape, entries]);
        const weight = await ask(child, { kind: 'fill' });
        const result = await measure(
          lab,
          () => ask(child, { kind: 'work', calls: calls / 10 }),
          () => ask(child, { kind: 'work', calls }),
        );
        windows.push({ round, shape, cache, entries, ...weight, ...result });
        await end(child);
        console.log(`round ${round} of ${rounds}: ${shape}, ${cache}`);
      }
    }
  }
  const place = ({ shape, cache }) => SHAPES.indexOf(shape) * 10 + names.indexOf(cache);
  return windows.sort((a, b) => place(a) - place(b));
}

const FIELDS = [
  'bytes',
  'heap',
  'rss',
  'fillSeconds',
  'longestTurn',
  'turnP50',
  'turnP99',
  'longestGc',
  'gcMs',
  'delayMax',
  'heapBefore',
  'rssBefore',
];

function report(windows) {
  const flat = windows.map(({ before, ...window }) => ({ ...window, heapBefore: before.heap, rssBefore: before.rss }));
  const rows = summarize(flat, ['shape', 'cache', 'entries'], FIELDS);
  const figures = [
    `## What they weigh\n\n${weights(rows)}`,
    `## What they stall\n\n${stalls(rows)}`,
    ...(rows.length === CACHES.length * SHAPES.length ? [`## Ratios\n\n${compare(rows)}`] : []),
  ].join('\n\n');
  return {
    name: 'memory',
    title: `${integer(rows[0].entries)} entries in process`,
    about: INTRODUCTION,
    fields: { CALLS: integer(windows[0].calls) },
    figures,
    panels: bars(rows),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- memory\` wrote this page; the raw numbers are in [memory.json](memory.json). Holdfast in memory mode (no Redis, \`maxMemory: '1gb'\`) and lru-cache are given the same
objects, each parsed anew and then let go, as an application has them from a database. A fresh process for each round, of which there are ROUNDS; medians. Heap and resident memory are looked at
after the filling and two collections. Then CALLS calls follow on keys far from each other, 100 in a turn of the event loop, four reads to a write, after a tenth as many to warm up.

- **Flat**: ${VALUE_BYTES} bytes of JSON, eight fields of numbers, one list and one text. **Rows**: as many, in four small objects within a list.
- **JS heap**: what V8's collector has to go through. **RSS**: the resident memory of the whole process. *Before*: before the package is loaded.
- **Longest turn**: of 100 calls, with all that kept the event loop from going on; what a request may have to wait. **Longest GC**: of the collections of V8 within.
- **Timer late**: the most that \`monitorEventLoopDelay\` saw, which a process that had no processor adds to.
- Reads of holdfast give a fresh copy, those of lru-cache the object that was stored.`;

function weights(rows) {
  return table(rows, {
    objects: (row) => row.shape,
    'bytes of JSON': (row) => integer(row.bytes),
    cache: (row) => row.cache,
    'JS heap MiB': (row) => fixed(row.heap / MIB, 1),
    before: (row) => fixed(row.heapBefore / MIB, 1),
    'RSS MiB': (row) => fixed(row.rss / MIB, 0),
    'before ': (row) => fixed(row.rssBefore / MIB, 0),
    'bytes an entry': (row) => integer((row.rss - row.rssBefore) / row.entries),
    'filled in s': (row) => fixed(row.fillSeconds, 1),
  });
}

function stalls(rows) {
  return table(rows, {
    objects: (row) => row.shape,
    cache: (row) => row.cache,
    'longest turn ms': (row) => fixed(row.longestTurn, 1),
    'p99 turn ms': (row) => fixed(row.turnP99, 2),
    'median turn ms': (row) => fixed(row.turnP50, 2),
    'longest GC ms': (row) => fixed(row.longestGc, 1),
    'all GC ms': (row) => fixed(row.gcMs, 0),
    'timer late ms': (row) => fixed(row.delayMax, 1),
    'calls/s': (row) => integer(row.rate),
    'event loop µs a call': (row) => fixed(row.loop),
  });
}

function compare(rows) {
  const ratio = (field) => (own) => {
    const peer = rows.find((row) => row.shape === own.shape && row !== own);
    return `${fixed(own[field] / peer[field], 3)} ×`;
  };
  return table(
    rows.filter((row) => row.cache === 'holdfast'),
    {
      'holdfast / lru-cache': (row) => row.shape,
      'JS heap': ratio('heap'),
      RSS: ratio('rss'),
      'longest turn': ratio('longestTurn'),
      'longest GC': ratio('longestGc'),
      'event loop a call': ratio('loop'),
    },
  );
}

function bars(rows) {
  const of = (title, field, unit, scale = 1) =>
    panel(`${title}, ${unit} (less is better)`, rows, {
      group: (row) => row.shape,
      bar: (row) => ({ name: row.cache, value: row[field] / scale, text: fixed(row[field] / scale, 1) }),
    });
  return [
    of('JS heap', 'heap', 'MiB', MIB),
    of('Resident memory', 'rss', 'MiB', MIB),
    of('Longest turn of the event loop', 'longestTurn', 'ms'),
    of('Longest garbage collection', 'longestGc', 'ms'),
  ];
}

module.exports = { run, defaults };
