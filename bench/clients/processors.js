// Owns the page `processors`, a `get` at few callers where processors are few: the client on one, and client and server
// together on one.
'use strict';

const { ASKING, PACKAGES } = require('./adapters');
const { callersOf, costs, measureCalls, MEASURES, ratios } = require('./calls');
const { panel } = require('../lab/chart');
const { fixed, matches, summarize } = require('../lab/figures');
const { runPage } = require('../lab/page');
const { firstOf, pin, processorsOf, whyNotPinned } = require('../lab/processors');
const { VALUE_BYTES } = require('../lab/workload');

const defaults = { rounds: 5, seconds: 0.4 };

const CALLERS = { client: [1, 2, 4, 8, 16], both: [1, 4, 16] };
const QUICK_CALLERS = { client: [1], both: [4] };
const TITLES = { client: 'The client on one processor', both: 'Client and server on one processor' };
/** A drawing with all of them would be too high. */
const DRAWN_CALLERS = [1, 4, 16];
const BY = ['pinned', 'callers'];

function run(options) {
  return runPage(options, { kind: 'client', known: ASKING, packages: PACKAGES }, measureAll, report);
}

function measureAll(lab, names, options) {
  const all = Object.entries(options.quick ? QUICK_CALLERS : CALLERS).flatMap(([pinned, counts]) =>
    counts.map((callers) => ({ pinned, op: 'get', bytes: VALUE_BYTES, callers })),
  );
  const processors = processorsOf(process.pid);
  const one = firstOf(processors);
  const place = ({ pinned }, workers) => {
    for (const { pid } of workers) pin(pid, one);
    pin(lab.serverPid, pinned === 'both' ? one : processors);
    return { clientOn: processorsOf(workers[0].pid), serverOn: processorsOf(lab.serverPid) };
  };
  return measureCalls(lab, names, all, options, place);
}

function rowsOf({ windows }) {
  return summarize(windows, [...BY, 'client']);
}

function report(windows) {
  const rows = rowsOf({ windows });
  const callers = { callers: (row) => row.callers };
  const sections = Object.entries(TITLES).map(
    ([pinned, title]) =>
      `## ${title}\n\n${costs(
        rows.filter((row) => matches(row, { pinned })),
        callers,
      )}`,
  );
  return {
    name: 'processors',
    title: 'One processor',
    about: INTRODUCTION,
    figures: [...sections, ...ratios(rows, BY, { pinned: ({ pinned }) => pinned, ...callers })].join('\n\n'),
    panels: bars(rows.filter((row) => DRAWN_CALLERS.includes(row.callers))),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- processors\` wrote this page; the raw numbers are in [processors.json](processors.json). As [clients.md](clients.md), but \`taskset\` keeps all threads of the
client's process on one processor, as a container with one CPU does, and then the server on the same one. Otherwise the server has all processors of the machine. Medians of
ROUNDS rounds with windows of SECONDS s.

${MEASURES}`;

function bars(rows) {
  const rate = (row) => ({ name: row.client, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` });
  const cpu = (row) => ({ name: row.client, value: row.cpu, text: `${fixed(row.cpu)} µs` });
  return Object.entries(TITLES).flatMap(([pinned, title]) => {
    const shown = rows.filter((row) => matches(row, { pinned }));
    return [
      panel(`${title}: get per second (more is better)`, shown, { group: callersOf, bar: rate }),
      panel(`${title}: CPU per get (less is better)`, shown, { group: callersOf, bar: cpu }),
    ];
  });
}

module.exports = { run, defaults, whyNot: whyNotPinned, rowsOf, BY };
