// Owns the page `scaling`, how the cost of a `get` grows: with callers, the size of values, the number of keys, and
// worker threads, one at a time.
'use strict';

const { panel } = require('../lab/chart');
const { fixed, integer, rateColumns, summarize, table } = require('../lab/figures');
const { ask, end, measureWindow, seed } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { keysFrom, valueFor, workloadOf } = require('../lab/workload');

const defaults = { rounds: 5, seconds: 0.4 };

const CLIENTS = ['holdfast', 'holdfast, near cache', 'ioredis autopipelining'];
const BASE = { callers: 64, bytes: 200, keys: 1000, threads: 1 };
const AXES = {
  callers: [1, 8, 64, 512, 4096],
  bytes: [20, 200, 2000, 20_000, 200_000],
  keys: [100, 1000, 10_000, 100_000],
  threads: [1, 2, 4],
};
const TITLES = { callers: 'Callers', bytes: 'Bytes of a value', keys: 'Keys', threads: 'Worker threads' };
const KEYS_APART = 1_000_000;

function run(options) {
  return runPage(options, { kind: 'client', known: CLIENTS, packages: ['holdfast', 'ioredis'] }, measureAll, report);
}

/** All that is measured, each setting once, though the base belongs to every axis. A quick run has the ends of each. */
function settings(quick) {
  const all = Object.entries(AXES).flatMap(([axis, values]) =>
    (quick ? [values[0], values[2]] : values).map((value) => ({ ...BASE, [axis]: value })),
  );
  const distinct = new Map([BASE, ...all].map((setting) => [JSON.stringify(setting), setting]));
  return [...distinct.values()];
}

async function measureAll(lab, names, { rounds, seconds, quick }) {
  const all = settings(quick);
  const stores = new Map();
  for (const { bytes, keys } of all) {
    const id = `${bytes} ${keys}`;
    if (!stores.has(id)) stores.set(id, await store(lab, stores.size * KEYS_APART, keys, bytes));
  }
  const workers = {};
  for (const name of names) {
    for (const threads of AXES.threads) {
      workers[`${name} ${threads}`] = await lab.start(require.resolve('./scaling-worker'), [name, lab.url, threads]);
    }
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const setting of all) {
      for (const client of inTurn(names, round)) {
        const { callers, bytes, keys, threads } = setting;
        const request = { ...stores.get(`${bytes} ${keys}`), bytes, callers };
        const work = (length, warmUp) => ask(workers[`${client} ${threads}`], { ...request, warmUp, seconds: length });
        const result = await measureWindow(lab, seconds, work, () => {});
        windows.push({ round, ...setting, client, ...result });
      }
    }
    console.log(`round ${round} of ${rounds}`);
  }
  await end(...Object.values(workers));
  return windows;
}

/** Writes keys of their own for a size and a number; of large values there are fewer. */
async function store(lab, first, keys, bytes) {
  const count = Math.min(keys, workloadOf(bytes).keys.length * (keys / BASE.keys));
  const made = workloadOf(bytes).values;
  const values = Array.from({ length: count }, (_, i) => made[i] ?? valueFor(i, bytes));
  await seed(lab, { keys: keysFrom(first, count), values });
  return { first, count };
}

function report(windows) {
  const rows = summarize(windows, ['callers', 'bytes', 'keys', 'threads', 'client']);
  const sections = Object.keys(AXES).map((axis) => `## ${TITLES[axis]}\n\n${growth(along(rows, axis), axis)}`);
  return {
    name: 'scaling',
    title: 'How the cost of a `get` grows',
    about: INTRODUCTION,
    figures: sections.join('\n\n'),
    panels: bars(rows),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- scaling\` wrote this page; the raw numbers are in [scaling.json](scaling.json). One thing is varied at a time, the others stay at ${BASE.callers} callers, ${BASE.bytes} bytes, ${integer(BASE.keys)} keys
(100 of 200,000 bytes) and one thread. A caller is a loop that awaits one \`get\` after another; all keys were read before. Every thread has as many callers. Medians of ROUNDS rounds, in which the
clients take turns; a window of SECONDS s follows half as long a warm-up. *CPU*: of all threads of the client's process, per call. *Beside the base*: the same, divided by the client's own
figure at the base. The worker threads of a process share Holdfast's one connection; ioredis has one each.`;

/** The rows of one axis, in its order, the clients side by side. */
function along(rows, axis) {
  return rows
    .filter((row) => Object.keys(AXES).every((other) => other === axis || row[other] === BASE[other]))
    .sort((a, b) => a[axis] - b[axis] || CLIENTS.indexOf(a.client) - CLIENTS.indexOf(b.client));
}

function growth(rows, axis) {
  const beside = (row, field) =>
    row[field] / rows.find((r) => r.client === row.client && r[axis] === BASE[axis])[field];
  return table(rows, {
    [axis]: (row) => integer(row[axis]),
    client: (row) => row.client,
    ...rateColumns('get/s'),
    'beside the base': (row) => `${fixed(beside(row, 'rate'))} ×`,
    'CPU µs': (row) => fixed(row.cpu),
    'beside the base ': (row) => `${fixed(beside(row, 'cpu'))} ×`,
  });
}

function bars(rows) {
  return Object.keys(AXES).flatMap((axis) => {
    const group = (row) => integer(row[axis]);
    const own = along(rows, axis);
    return [
      panel(`${TITLES[axis]}: get per second (more is better)`, own, {
        group,
        bar: (row) => ({ name: row.client, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` }),
      }),
      panel(`${TITLES[axis]}: CPU per get (less is better)`, own, {
        group,
        bar: (row) => ({ name: row.client, value: row.cpu, text: `${fixed(row.cpu)} µs` }),
      }),
    ];
  });
}

module.exports = { run, defaults };
