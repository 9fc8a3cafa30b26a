// Owns the page `clients-matrix`, Holdfast beside the Redis clients: values of other sizes, mixed calls, getMany.
'use strict';

const { ASKING, ASKING_ONCE, PACKAGES } = require('./adapters');
const { callersOf, costs, measureCalls, MEASURES, ratios } = require('./calls');
const { panel } = require('../lab/chart');
const { contests, integer, matches, ratioToBest, summarize, times } = require('../lab/figures');
const { runPage } = require('../lab/page');

const defaults = { rounds: 3, seconds: 0.25 };

const OPS = {
  get: 'get',
  set: 'set',
  mixed: 'four `get`, then a `set`',
  getMany: 'getMany of 100 keys',
};
const FULL = { callers: [1, 8, 64, 512], bytes: [20, 200, 2000, 50_000] };
const QUICK = { callers: [8], bytes: [20, 2000] };
/** Values under way at a time have so many bytes at most: with more the machine's memory would be measured. */
const UNDER_WAY = 64 << 20;
const BY = ['op', 'bytes', 'callers'];

function run(options) {
  const clients = { kind: 'client', known: ASKING, usual: ASKING_ONCE, packages: PACKAGES };
  return runPage(options, clients, measureAll, report);
}

function measureAll(lab, names, options) {
  return measureCalls(lab, names, settings(options.quick ? QUICK : FULL), options);
}

/** What is measured: each op with each number of callers and each size, but for what would not fit into memory. */
function settings({ callers, bytes }) {
  return Object.keys(OPS).flatMap((op) =>
    bytes.flatMap((size) =>
      callers
        .filter((count) => count * size * (op === 'getMany' ? 100 : 1) <= UNDER_WAY)
        .map((count) => ({ op, bytes: size, callers: count })),
    ),
  );
}

function rowsOf({ windows }) {
  return summarize(windows, [...BY, 'client']);
}

function report(windows) {
  const rows = rowsOf({ windows });
  const sizes = { bytes: (row) => integer(row.bytes), callers: (row) => row.callers };
  const sections = Object.entries(OPS).map(([op, meaning]) => {
    const shown = rows.filter((row) => matches(row, { op }));
    return `## ${meaning}\n\n${costs(shown, sizes)}`;
  });
  return {
    name: 'clients-matrix',
    title: 'Holdfast beside the Redis clients: sizes and calls',
    about: INTRODUCTION,
    figures: [...sections, ...ratios(rows, BY, { call: (row) => OPS[row.op], ...sizes })].join('\n\n'),
    panels: bars(rows),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- matrix\` wrote this page; the raw numbers are in [clients-matrix.json](clients-matrix.json). As [clients.md](clients.md), but with other
sizes and calls: 1,000 keys (400 of 50,000 bytes), JSON objects, medians of ROUNDS rounds with windows of SECONDS s.

${MEASURES}`;

/** Too much for a bar a client: how many times as fast as the fastest peer. */
function bars(rows) {
  const own = contests(rows, BY).map((contest) => ({ ...contest.row, ratio: ratioToBest(contest, 'rate') }));
  return Object.keys(OPS)
    .map((op) =>
      panel(
        `${op}: throughput, in multiples of the fastest peer's`,
        own.filter((row) => row.op === op),
        {
          group: (row) => `${integer(row.bytes)} bytes`,
          bar: (row) => ({ name: `${row.client}, ${callersOf(row)}`, value: row.ratio, text: times(row.ratio) }),
          shared: true,
        },
      ),
    )
    .filter(({ groups }) => groups.length > 0);
}

module.exports = { run, defaults, rowsOf, BY };
