// Owns the page `clients`, Holdfast beside the Redis clients of Node.js: a `get` and a `set`, from one caller to many.
'use strict';

const { adapters, PACKAGES } = require('./adapters');
const { callersOf, costs, measureCalls, MEASURES, ratios } = require('./calls');
const { panel } = require('../lab/chart');
const { fixed, matches, summarize } = require('../lab/figures');
const { runPage } = require('../lab/page');
const { VALUE_BYTES } = require('../lab/workload');

const defaults = { rounds: 5, seconds: 0.4 };

const OPS = ['get', 'set'];
const CALLERS = [1, 2, 4, 8, 16, 64, 512];
const QUICK_CALLERS = [1, 64];
/** A drawing with all of them would be too high. */
const DRAWN_CALLERS = [1, 8, 64, 512];
const BY = ['keeping', 'op', 'callers'];

function run(options) {
  return runPage(options, { kind: 'client', known: Object.keys(adapters), packages: PACKAGES }, measureAll, report);
}

function measureAll(lab, names, options) {
  const callers = options.quick ? QUICK_CALLERS : CALLERS;
  const settings = OPS.flatMap((op) => callers.map((count) => ({ op, bytes: VALUE_BYTES, callers: count })));
  return measureCalls(lab, names, settings, options);
}

function rowsOf({ windows }) {
  return summarize(windows, [...BY, 'client']);
}

function report(windows) {
  const rows = rowsOf({ windows });
  const callers = { callers: (row) => row.callers };
  const sections = [false, true].flatMap((keeping) =>
    OPS.map((op) => rows.filter((row) => matches(row, { keeping, op })))
      .filter((shown) => shown.length > 0)
      .map((shown) => `## ${titleOf(shown[0])}\n\n${costs(shown, callers)}`),
  );
  return {
    name: 'clients',
    title: 'Holdfast beside the Redis clients',
    about: INTRODUCTION,
    figures: [...sections, ...ratios(rows, BY, { call: titleOf, ...callers })].join('\n\n'),
    panels: bars(rows.filter((row) => DRAWN_CALLERS.includes(row.callers))),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- clients\` wrote this page; the raw numbers are in [clients.json](clients.json). One Redis of its own, one process a client, 1,000 keys,
JSON objects of ${VALUE_BYTES} bytes, parsed and stringified for every client because Holdfast does so. A caller is a loop that awaits one call after another.
The figures are medians of ROUNDS rounds, in which the clients take turns; a window of SECONDS s follows half as long a warm-up. Every \`set\`
carries an expiry of 300 s. The peers are set up as their documentation recommends; ioredis, iovalkey and node-redis share one connection as Holdfast does. Holdfast sends
the reads of a batch as MGET. A call that did not reach Redis would end the run, and so would one that did in *answered in process*.

${MEASURES}
- **loop**, **thread**: who has Holdfast's socket, \`io\` ([bridge.md](../bridge.md)); *holdfast* alone is what it does by itself.
- **Answered in process**: the keys were read before and nobody changed them; both clients hear from Redis when somebody does.`;

function titleOf({ keeping, op }) {
  return keeping ? `${op}, answered in process` : op;
}

function bars(rows) {
  const rate = (row) => ({ name: row.client, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` });
  const loop = (row) => ({ name: row.client, value: row.loop, text: `${fixed(row.loop)} µs` });
  const shown = (keeping, op) => rows.filter((row) => matches(row, { keeping, op }));
  return [
    panel('get: calls per second (more is better)', shown(false, 'get'), { group: callersOf, bar: rate }),
    panel('set: calls per second (more is better)', shown(false, 'set'), { group: callersOf, bar: rate }),
    panel('get: event-loop time per call (less is better)', shown(false, 'get'), { group: callersOf, bar: loop }),
    panel('set: event-loop time per call (less is better)', shown(false, 'set'), { group: callersOf, bar: loop }),
    panel('get, in process: calls per second', shown(true, 'get'), { group: callersOf, bar: rate }),
    panel('get, in process: event-loop time per call', shown(true, 'get'), { group: callersOf, bar: loop }),
  ].filter(({ groups }) => groups.length > 0);
}

module.exports = { run, defaults, rowsOf, BY };
