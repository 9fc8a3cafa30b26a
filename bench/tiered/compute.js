// Owns the part of the page `tiered` that computes: keys nobody has asked for yet, and a crowd that asks for one of
// them at the same moment.
'use strict';

const { rush, WORKS_MS } = require('../lab/crowd');
const { best, costColumns, fixed, grouped, integer, median, summarize, table } = require('../lab/figures');
const { ask, end, measureWindow } = require('../lab/lab');
const { inTurn } = require('../lab/page');
const { COMPUTING, IN_PROCESS } = require('./adapters');

const CALLERS = [1, 64];
/** Processes, and callers of each: those of one process, and four times as many of four that share the Redis. */
const CROWDS = [
  { processes: 1, each: 1000 },
  { processes: 4, each: 2500 },
];
const QUICK_CROWDS = [
  { processes: 1, each: 100 },
  { processes: 2, each: 100 },
];

/** `{ windows, crowds }` of all rounds; ends the processes that it starts. */
async function measureCompute(lab, names, { rounds, seconds, quick }) {
  const sizes = quick ? QUICK_CROWDS : CROWDS;
  const most = Math.max(...sizes.map(({ processes }) => processes));
  const workers = {};
  for (const name of names.filter((each) => COMPUTING.includes(each))) {
    workers[name] = await Promise.all(
      Array.from({ length: most }, () => lab.start(require.resolve('./compute-worker'), [name, lab.url])),
    );
  }
  const all = Object.keys(workers);
  // V8 compiles the code of a cache once it has run for a while: all get their while, one cache after another.
  for (const cache of all) {
    await Promise.all(workers[cache].map((child) => ask(child, { kind: 'cold', callers: 64, seconds: seconds * 2 })));
  }
  const windows = [];
  const crowds = [];
  for (let round = 1; round <= rounds; round += 1) {
    const turn = inTurn(all, round);
    for (const callers of CALLERS) {
      for (const cache of turn) {
        const work = (length) => ask(workers[cache][0], { kind: 'cold', callers, seconds: length });
        const result = await measureWindow(lab, seconds, work, () => lab.store.flushdb());
        windows.push({ round, callers, cache, ...result });
      }
    }
    for (const crowd of sizes) {
      for (const cache of turn) {
        const part = workers[cache].slice(0, crowd.processes);
        crowds.push({ round, ...crowd, cache, ...(await rush(part, `crowd:${round}:${crowds.length}`, crowd.each)) });
      }
    }
    console.log(`computations, round ${round} of ${rounds}`);
  }
  await end(...Object.values(workers).flat());
  const place = ({ cache }) => all.indexOf(cache);
  return {
    windows: windows.sort((a, b) => a.callers - b.callers || place(a) - place(b)),
    crowds: crowds.sort((a, b) => a.processes - b.processes || place(a) - place(b)),
  };
}

function rowsOf({ windows, crowds }) {
  const stampedes = grouped(crowds, ({ processes, cache }) => `${processes} ${cache}`);
  return {
    cold: summarize(windows, ['callers', 'cache']),
    stampedes: [...stampedes.values()].map((rounds) => ({
      cache: rounds[0].cache,
      processes: rounds[0].processes,
      callers: rounds[0].processes * rounds[0].each,
      runs: rounds.map(({ runs }) => runs),
      ms: median(rounds.map(({ ms }) => ms)),
      slowest: Math.max(...rounds.map(({ ms }) => ms)),
    })),
  };
}

const COLD = `Each caller asks for one key after another that is nowhere yet, and whose function is done at once: what it costs to look into both tiers, compute, and store
into both. *node-cache* is a \`get\`, the function, and a \`set\`. Holdfast's call also takes a lease in Redis, so that no other process computes the same key. *Ratio*: to the
fastest of the others that have a Redis.`;

const STAMPEDE = `All ask for one cold key at the same moment; its function takes ${WORKS_MS} ms. *Runs*: how often it ran in a round, fewest to most; one is what it should be.
*All had it*: after the first asked, median of the rounds.`;

function computeText({ cold, stampedes }) {
  const coldTable = table(cold, {
    callers: (row) => row.callers,
    cache: (row) => row.cache,
    ...costColumns('calls/s', { digits: 3 }),
    ratio: (row) => (row.cache === 'holdfast' ? ratioOf(row, cold) : ''),
  });
  const stampedeTable = table(stampedes, {
    processes: (row) => row.processes,
    callers: (row) => integer(row.callers),
    cache: (row) => row.cache,
    runs: ({ runs }) => [...new Set([Math.min(...runs), Math.max(...runs)])].map(integer).join('–'),
    'all had it, ms': (row) => fixed(row.ms, 1),
    'slowest round': (row) => fixed(row.slowest, 1),
  });
  return `## A cold \`getOrCompute\`\n\n${COLD}\n\n${coldTable}\n\n## A stampede\n\n${STAMPEDE}\n\n${stampedeTable}`;
}

function ratioOf(row, rows) {
  const peers = rows.filter((peer) => peer !== row && peer.callers === row.callers && !IN_PROCESS.includes(peer.cache));
  return peers.length === 0 ? '–' : `${fixed(row.rate / best(peers, 'rate', 'most').rate)} ×`;
}

module.exports = { measureCompute, rowsOf, computeText };
