// Owns the page `outage`, what callers notice when Redis stops under them: holdfast with either driver.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { DRIVERS } = require('../clients/adapters');
const { panel } = require('../lab/chart');
const { fixed, grouped, integer, median, table } = require('../lab/figures');
const { ask, end } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');

/** `seconds`: how long the server stands still once the outage is known. */
const defaults = { rounds: 5, seconds: 1 };

const CALLERS = 64;
/** The package's own. */
const TIMEOUT_MS = 250;
const BEFORE_MS = 500;

function run(options) {
  const caches = { kind: 'cache', known: Object.keys(DRIVERS), packages: ['holdfast'] };
  return runPage(options, caches, measureAll, report);
}

async function measureAll(lab, names, { rounds, seconds }) {
  const outages = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const cache of inTurn(names, round)) {
      outages.push({ round, cache, ...(await stopUnder(lab, cache, seconds)) });
    }
    console.log(`round ${round} of ${rounds}`);
  }
  return outages.sort((a, b) => names.indexOf(a.cache) - names.indexOf(b.cache));
}

/** One outage. Whoever comes late to it, or never back from it, ends the run. */
async function stopUnder(lab, cache, seconds) {
  const script = require.resolve('./outage-worker');
  const child = await lab.start(script, [cache, lab.url, TIMEOUT_MS, CALLERS], { HOLDFAST_LOG: 'silent' });
  await ask(child, 'load');
  await sleep(BEFORE_MS);
  process.kill(lab.serverPid, 'SIGSTOP');
  let result;
  try {
    await ask(child, 'stopped');
    await sleep(seconds * 1000);
    result = await ask(child, 'end');
  } finally {
    process.kill(lab.serverPid, 'SIGCONT');
  }
  await ask(child, 'recovered');
  await end(child);
  if (result.failed > 0) throw new Error(`${cache}: ${result.failed} calls rejected while Redis was away`);
  return { ...result, firstToDeadline: result.first / TIMEOUT_MS };
}

function report(outages) {
  const rows = [...grouped(outages, ({ cache }) => cache)].map(([cache, own]) => {
    const over = (field) => median(own.map((each) => each[field]));
    const worst = Math.max(...own.map(({ first }) => first));
    return { cache, worst, first: over('first'), calls: over('calls'), p50: over('p50'), p99: over('p99') };
  });
  return {
    name: 'outage',
    title: 'Redis stops under load',
    about: INTRODUCTION,
    figures: table(rows, {
      cache: (row) => row.cache,
      'longest first answer ms': (row) => fixed(row.first, 1),
      'worst round': (row) => fixed(row.worst, 1),
      'p50 ms, known': (row) => fixed(row.p50, 3),
      'p99 ms, known': (row) => fixed(row.p99, 3),
      calls: (row) => integer(row.calls),
    }),
    panels: bars(rows),
    raw: { outages },
  };
}

const INTRODUCTION = `\`npm run bench -- outage\` wrote this page; the raw numbers are in [outage.json](outage.json). ${CALLERS} callers \`get\` and \`set\` in turns, without a near cache, when
the server is stopped (SIGSTOP): its connections stay open and say nothing. The deadline of a call, \`timeoutMs\`, is ${TIMEOUT_MS} ms. Medians of ROUNDS rounds.

- **Longest first answer**: of the calls that Redis left waiting, and of those that began before the outage was known.
- **Known**: calls that began in the memory mode that follows, for SECONDS s; the event loop has all callers to serve. A call that rejected would end the run, and so would a cache that does not return to Redis.`;

function bars(rows) {
  const of = (title, field, digits) =>
    panel(`${title} (less is better)`, rows, {
      group: () => '',
      bar: (row) => ({ name: row.cache, value: row[field], text: `${fixed(row[field], digits)} ms` }),
    });
  return [of('The longest first answer', 'first', 1), of('p99 once the outage is known', 'p99', 3)];
}

module.exports = { run, defaults };
